"""What a run needs of this machine: memory, disk and time, known from its configuration before it begins.

Memory is a sum of the largest things that are held at the same time, with constants that were measured; the
peak that a run comes to is within a factor of 1.5 of it (tests/verify/test_estimates.py). Disk is an upper
bound where rows of a trace are counted by phases. Time is an order of magnitude, on a machine of 2020.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numba

from nmsim.config import RunConfig
from nmsim.config.experiment import Selection
from nmsim.data import Dataset, load
from nmsim.data.catalog import CATALOG
from nmsim.data.synthetic import STEP
from nmsim.energy.priced import MAX_SUM, too_large
from nmsim.energy.prices import PriceList
from nmsim.errors import DataError
from nmsim.machine import IMAGES, Estimate, Need, refuse
from nmsim.schemes import FULL, Scheme
from nmsim.selection.api import method_parameters
from nmsim.selection.budget import total_budget
from nmsim.selection.configured import make_selector
from nmsim.selection.defaults import makes_map
from nmsim.selection.needs import MB, Records
from nmsim.selection.selector import Selector, follows_training
from nmsim.system.pace import npu_rate_Hz
from nmsim.system.parts import dram_spec, geometry
from nmsim.trace.schema import PART_ROWS
from nmsim.trace.writer import GROUP_ROWS
from nmsim.training.network import Network
from nmsim.training.planes import CHUNK_IMAGES
from nmsim.training.recipe import Recipe

__all__ = [
    "Estimate",
    "Images",
    "Need",
    "estimate_all",
    "estimate_run",
    "estimate_selection",
    "images_of",
    "least_energy_fJ",
    "refuse",
]

#: Python, the libraries and nmsim's compiled kernels; drawing; PyTorch, without what it puts on a GPU.
_BASE_BYTES, _REPORT_BYTES, _TORCH_BYTES = 290 * MB, 150 * MB, 600 * MB

#: A row of the trace while it waits to be encoded, with what it is made from; and on disk, compressed.
_ROW_BYTES, _ROW_DISK_BYTES = 330, 4
#: Row groups that are under way at a time: being filled, waiting, being encoded.
_GROUPS = 4

#: Phases of a selection that the trace shows rows of, at most, by place; a training is one more.
_PHASES = {"host": 7, "nmc": 9}

#: Rates of one core, in 1/s: multiply-adds of a training, DRAM commands of a board.
_MACS_PER_S, _COMMANDS_PER_S = 8e9, 2e6


@dataclass(frozen=True)
class Images:
    """How many images there are, and what they are like.

    Attributes
    ----------
    n_train, n_test, n_classes : int
    shape : tuple of int
        Height, width, channels.
    held_bytes : int
        What they take in memory.
    """

    n_train: int
    n_test: int
    n_classes: int
    shape: tuple[int, int, int]
    held_bytes: int

    @classmethod
    def of(cls, data: Dataset) -> Images:
        """Return what a data set that was read is like."""
        n_train, n_test = len(data.y_train), len(data.y_test)
        held = (n_train + n_test) * (data.image_bytes + 8)
        return cls(n_train, n_test, data.n_classes, data.image_shape, held)

    @property
    def values(self) -> int:
        """Return the bytes of one image."""
        return math.prod(self.shape)

    @property
    def records(self) -> Records:
        """Return what is selected from."""
        return Records(self.n_train, self.n_classes, self.shape)


def images_of(config: RunConfig) -> Images:
    """Return what the data set of a configuration is like, without making it; one that has a path is read."""
    section = config.dataset
    if section.path is None and section.synthetic is not None:
        s = section.synthetic
        shape = (s.height, s.width, s.channels)
        held = (STEP + 8) * (s.n_train + s.n_test) + 2 * math.prod(shape)
        return Images(s.n_train, s.n_test, s.n_classes, shape, held)
    if section.path is None:
        entry = CATALOG[section.name]
        n_train, n_test, shape = entry.n_train, entry.n_test, entry.shape
        if section.name == "glyphs":
            n_train, n_test = section.glyphs.n_train, section.glyphs.n_test
        return Images(n_train, n_test, entry.n_classes, shape, (n_train + n_test) * (math.prod(shape) + 8))
    return Images.of(load(section))


def estimate_run(config: RunConfig, report: bool = True, trace: bool = True) -> Estimate:
    """Return what `nmsim.simulate` needs for a configuration, without a report or a trace where told so.

    Raises
    ------
    ResourceLimitError
        Where energies are certain to become larger than a run can count.
    """
    images = images_of(config)
    least_fJ = max(least_energy_fJ(config, images), default=0.0)
    if least_fJ > MAX_SUM:
        raise too_large(least_fJ, MAX_SUM)
    selectors = {method: make_selector(config, method) for method in _methods(config)}
    selections = [_selection(images, *each) for each in selectors.items()]
    largest = max(selections, key=lambda needs: sum(n.n_bytes for n in needs), default=())
    rows = sum(_trace_rows(config, images, scheme) for scheme in config.schemes) if trace else 0
    trained = (*_training(config, images, selectors), *_trace_memory(rows))
    at_peak = max((largest, trained), key=lambda needs: sum(n.n_bytes for n in needs))
    memory = (
        Need("Python and its libraries", _BASE_BYTES + (_REPORT_BYTES if report else 0)),
        Need(f"{images.n_train + images.n_test:,} images", images.held_bytes, IMAGES),
        *at_peak,
    )
    numbers = sum(8 * _rows(config, images, scheme) for scheme in config.schemes)
    maps = 16 * images.n_train if any(map(makes_map, selectors.values())) else 0
    parts = Need(f"a trace of up to {rows:,} rows", rows * _ROW_DISK_BYTES, "trace.rows_per_phase")
    disk = (
        *((parts,) if rows else ()),
        Need("indices and map", numbers + maps),
        Need("figures, report and summary", (4 if report else 0.2) * MB),
    )
    time_s = 5 + (10 if report else 0) + _training_s(config, images)
    time_s += sum(selector.duration_s(images.records) for selector in selectors.values())
    time_s += sum(_commands(config, images, s) for s in config.schemes) / _COMMANDS_PER_S
    return Estimate(memory, disk, time_s)


def estimate_all(estimates: Iterable[Estimate], at_once: int = 1) -> Estimate:
    """Return what several runs need, so many of them at a time in processes of their own.

    Raises
    ------
    ValueError
        Where there is none.
    """
    all_of_them = list(estimates)
    largest = max(all_of_them, key=lambda estimate: estimate.memory_bytes)
    memory = largest.memory
    if at_once > 1:
        memory = tuple(
            Need(f"{at_once} × {n.what}", at_once * n.n_bytes, n.lower or "--jobs") for n in memory
        )
    disk = Need(f"{len(all_of_them):,} runs", sum(estimate.disk_bytes for estimate in all_of_them))
    return Estimate(memory, (disk,), sum(estimate.time_s for estimate in all_of_them) / at_once)


def estimate_selection(images: Images, method: str, selector: Selector) -> Estimate:
    """Return what selecting alone needs, by a selector of this method."""
    base = Need("Python and its libraries", 0.8 * _BASE_BYTES)
    held = Need(f"{images.n_train + images.n_test:,} images", images.held_bytes, IMAGES)
    disk = Need("indices", 8 * selector.budget(images.n_train))
    return Estimate(
        (base, held, *_selection(images, method, selector)), (disk,), 3 + selector.duration_s(images.records)
    )


def _methods(config: RunConfig) -> list[str]:
    return list(dict.fromkeys(Scheme.parse(s).method for s in config.schemes if s != FULL))


def _selection(images: Images, method: str, selector: Selector) -> tuple[Need, ...]:
    """Return what a selection holds at its peak; what to lower by its path in a configuration."""
    own, path = method_parameters(method), Selection().path(method)
    return tuple(
        replace(need, lower=".".join((*path, need.lower))) if need.lower in own else need
        for need in selector.needs(images.records)
    )


def _rows(config: RunConfig, images: Images, scheme: str) -> int:
    """Return how many images an epoch of a scheme reads."""
    if Scheme.parse(scheme).is_full:
        return images.n_train
    try:
        return total_budget(images.n_train, config.selection.keep_ratio)
    except DataError as error:
        origin = config.origin(("selection", "keep_ratio"))
        error.file, error.line = origin.file, origin.line
        raise


def _training(config: RunConfig, images: Images, selectors: Mapping[str, Selector]) -> Iterator[Need]:
    """Yield what trainings hold, as many side by side as there are threads."""
    section = config.training
    # What follows a training chooses from all images again and again.
    following = [method for method, selector in selectors.items() if follows_training(selector)]
    rows = images.n_train if following else max(_rows(config, images, s) for s in config.schemes)
    for method in following:
        yield from _selection(images, method, selectors[method])
    epochs = _epochs(config, rows)
    at_once = min(section.seeds, numba.get_num_threads())
    yield Need(
        f"orders of {epochs} epochs", 8 * rows * epochs * (at_once if section.backend != "none" else 0)
    )
    yield Need("boards and their accesses", 60 * rows + 16 * images.n_train)
    if section.backend == "none":
        return
    yield Need(f"training images, {at_once} times", at_once * rows * images.values, IMAGES)
    if section.backend == "torch":
        yield Need("PyTorch", _TORCH_BYTES + at_once * rows * images.values * 4)
        return
    network = Network(section.network, images.shape, images.n_classes)
    chunks = -(-min(section.batch_size, rows) // CHUNK_IMAGES)
    values = sum(math.prod(shape) for shape in network.shapes)
    of_chunk = 4 * (2 * values * min(CHUNK_IMAGES, section.batch_size) + network.parameter_count)
    yield Need(
        f"a batch of {section.batch_size} in {section.network}",
        at_once * (chunks * of_chunk + 12 * network.parameter_count),
        "training.batch_size",
    )


def _epochs(config: RunConfig, rows: int) -> int:
    return Recipe.of(config.training).epochs_for(max(1, rows))


def _trace_memory(rows: int) -> Iterator[Need]:
    if rows:
        under_way = min(rows, _GROUPS * GROUP_ROWS)
        encoded = min(rows, PART_ROWS) * _ROW_DISK_BYTES * 2
        yield Need("rows of the trace under way", under_way * _ROW_BYTES + encoded, "trace.level")


def _commands(config: RunConfig, images: Images, scheme: str) -> int:
    """Return about how many DRAM commands a scheme's board executes one by one."""
    bursts = -(-images.values // geometry(dram_spec(config.memory)).access_bytes)
    rows, parsed = _rows(config, images, scheme), Scheme.parse(scheme)
    epochs, simulated = _epochs(config, rows), config.simulation.epochs
    epochs = epochs if simulated == "all" else min(epochs, int(simulated))
    training = rows * epochs * bursts
    return round(1.15 * (training + (4 * images.n_train * bursts if parsed.is_selection else 0)))


def least_energy_fJ(config: RunConfig, images: Images) -> Iterator[float]:
    """Yield what each scheme's training takes at least: images read, arithmetic, and power meanwhile."""
    spec, section = dram_spec(config.memory), config.training
    prices, cost = PriceList(config, spec), Network(section.network, images.shape, images.n_classes).cost()
    macs = cost.macs_forward + cost.macs_backward
    mac_fJ = prices.work(cost.mac, "soc").sum()
    mac_fJ += prices.work("STATIC", "soc").sum() * 1e12 / npu_rate_Hz(config.soc)
    bursts = -(-images.values // geometry(spec).access_bytes)
    image_fJ = bursts * prices.command("RD", "host").sum() + macs * mac_fJ
    for scheme in config.schemes:
        rows = _rows(config, images, scheme)
        yield float(rows * _epochs(config, rows) * image_fJ)


def _trace_rows(config: RunConfig, images: Images, scheme: str) -> int:
    if config.trace.level == "off":
        return 0
    commands = _commands(config, images, scheme)
    if config.trace.level == "access":
        return commands
    parsed = Scheme.parse(scheme)
    phases = 1 + (_PHASES[parsed.side] if parsed.is_selection else 0)
    return min(commands, phases * config.trace.rows_per_phase) + 500 * phases


def _training_s(config: RunConfig, images: Images) -> float:
    section = config.training
    if section.backend == "none":
        return 0.0
    cost = Network(section.network, images.shape, images.n_classes).cost()
    seen = 0
    for scheme in {Scheme.parse(s).method: s for s in config.schemes}.values():
        rows = _rows(config, images, scheme)
        seen += rows * _epochs(config, rows)
    macs = seen * (cost.macs_forward + cost.macs_backward) + images.n_test * cost.macs_forward
    return section.seeds * macs / _MACS_PER_S / min(section.seeds, numba.get_num_threads())
