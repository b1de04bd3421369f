"""What a run needs of this machine: memory, disk and time, known from its configuration before it begins.

Memory is a sum of the largest things that are held at the same time, with constants that were measured; the
peak that a run comes to is within a factor of 1.5 of it (tests/verify/test_estimates.py). Disk is an upper
bound where rows of a trace are counted by phases. Time is an order of magnitude, on a machine of 2020.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba

from nmsim.config import RunConfig
from nmsim.data import Dataset, load
from nmsim.data.catalog import CATALOG
from nmsim.data.synthetic import STEP
from nmsim.energy.priced import MAX_SUM, too_large
from nmsim.energy.prices import PriceList
from nmsim.errors import ResourceLimitError
from nmsim.schemes import FULL, RANDOM, Scheme
from nmsim.selection.api import selector_class
from nmsim.selection.budget import total_budget
from nmsim.selection.defaults import makes_map
from nmsim.selection.desne import CANDIDATES
from nmsim.selection.embedding import CROSSOVER
from nmsim.selection.formats import FORMATS
from nmsim.selection.selector import follows_training
from nmsim.system.pace import npu_rate_Hz
from nmsim.system.parts import dram_spec, geometry
from nmsim.trace.schema import PART_ROWS
from nmsim.trace.writer import GROUP_ROWS
from nmsim.training.network import Network
from nmsim.training.planes import LANES
from nmsim.training.recipe import Recipe
from nmsim.units import format_bytes

MB = 1e6

#: Python, the libraries and nmsim's compiled kernels; drawing; PyTorch, without what it puts on a GPU.
_BASE_BYTES, _REPORT_BYTES, _TORCH_BYTES = 290 * MB, 150 * MB, 600 * MB

#: A row of the trace while it waits to be encoded, with what it is made from; and on disk, compressed.
_ROW_BYTES, _ROW_DISK_BYTES = 330, 4
#: Row groups that are under way at a time: being filled, waiting, being encoded.
_GROUPS = 4

#: What to lower where nothing else helps.
_IMAGES = "the number of images"

#: Phases of a selection that the trace shows rows of, at most, by place; a training is one more.
_PHASES = {"host": 7, "nmc": 9}

#: Rates of one core, in 1/s: multiply-adds of a training, pairs of a map's forces, DRAM commands of a board.
_MACS_PER_S, _PAIRS_PER_S, _COMMANDS_PER_S = 8e9, 5e8, 2e6


@dataclass(frozen=True)
class Need:
    """Something that takes room.

    Attributes
    ----------
    what : str
        For people.
    n_bytes : float
    lower : str
        What to lower so that it takes less; "" where nothing can be done.
    """

    what: str
    n_bytes: float
    lower: str = ""


@dataclass(frozen=True)
class Estimate:
    """What a run needs.

    Attributes
    ----------
    memory, disk : tuple of Need
        What is held at the moment of the peak; what a run leaves on disk.
    time_s : float
        An order of magnitude.
    """

    memory: tuple[Need, ...]
    disk: tuple[Need, ...]
    time_s: float

    @property
    def memory_bytes(self) -> int:
        """Return the peak of memory."""
        return round(sum(need.n_bytes for need in self.memory))

    @property
    def disk_bytes(self) -> int:
        """Return the bytes on disk."""
        return round(sum(need.n_bytes for need in self.disk))

    def to_dict(self) -> dict[str, Any]:
        """Return it in JSON's types."""
        parts = {
            name: [{"what": need.what, "bytes": round(need.n_bytes)} for need in needs]
            for name, needs in (("memory", self.memory), ("disk", self.disk))
        }
        return {
            "memory_bytes": self.memory_bytes,
            "disk_bytes": self.disk_bytes,
            "time_s": self.time_s,
            **parts,
        }


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
    def of_class(self) -> int:
        """Return the images of a class of mean size."""
        return -(-self.n_train // self.n_classes)


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
        classes = 100 if section.name == "cifar100" else 10
        return Images(n_train, n_test, classes, shape, (n_train + n_test) * (math.prod(shape) + 8))
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
    selections = [(m, _selection(config, images, m)) for m in _methods(config)]
    largest = max(
        (needs for _, needs in selections), key=lambda needs: sum(n.n_bytes for n in needs), default=()
    )
    rows = sum(_trace_rows(config, images, scheme) for scheme in config.schemes) if trace else 0
    trained = (*_training(config, images), *_trace_memory(rows))
    at_peak = max((largest, trained), key=lambda needs: sum(n.n_bytes for n in needs))
    memory = (
        Need("Python and its libraries", _BASE_BYTES + (_REPORT_BYTES if report else 0)),
        Need(f"{images.n_train + images.n_test:,} images", images.held_bytes, _IMAGES),
        *at_peak,
    )
    kept = round(config.selection.keep_ratio * images.n_train)
    numbers = sum(8 * (images.n_train if s == FULL else kept) for s in config.schemes)
    has_map = any(makes_map(selector_class(method)) for method in _methods(config))
    maps = 16 * images.n_train if has_map else 0
    parts = Need(f"a trace of up to {rows:,} rows", rows * _ROW_DISK_BYTES, "trace.rows_per_phase")
    disk = (
        *((parts,) if rows else ()),
        Need("indices and map", numbers + maps),
        Need("figures, report and summary", (4 if report else 0.2) * MB),
    )
    time_s = 5 + (10 if report else 0) + _training_s(config, images)
    time_s += sum(_selection_s(config, images, m) for m in _methods(config))
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


def estimate_selection(images: Images, method: str, parameters: Mapping[str, Any], keep: float) -> Estimate:
    """Return what selecting alone needs, with the method's parameters as far as they are given."""
    needs = tuple(_of_method(images, method, parameters, keep))
    base = Need("Python and its libraries", 0.8 * _BASE_BYTES)
    held = Need(f"{images.n_train + images.n_test:,} images", images.held_bytes, _IMAGES)
    disk = Need("indices", 8 * total_budget(images.n_train, keep))
    return Estimate((base, held, *needs), (disk,), 3 + _method_s(images, method, parameters))


def _methods(config: RunConfig) -> list[str]:
    return list(dict.fromkeys(Scheme.parse(s).method for s in config.schemes if s != FULL))


def _parameters(config: RunConfig, method: str) -> dict[str, Any]:
    return {"number_format": config.near_memory.format, **config.selection.parameters(method)}


def _selection(config: RunConfig, images: Images, method: str) -> tuple[Need, ...]:
    return tuple(_of_method(images, method, _parameters(config, method), config.selection.keep_ratio))


def _of_method(images: Images, method: str, given: Mapping[str, Any], keep: float) -> Iterator[Need]:
    """Yield what a selection holds at its peak."""
    n, group = images.n_train, images.of_class
    where = "selection.de_sne" if method == "de-sne" else f"selection.methods.{method}"
    if given.get("scope") == "global":
        group = n
    if method in _BY_FEATURES:
        width = _features(images, given)
        item = FORMATS[given.get("number_format", "int8")].value_bytes
        yield Need(f"features of {n:,} images ({width} values)", n * width * (item + 2), f"{where}.features")
    if method in ("de-sne", "adapsne"):
        k = min(group - 1, int(3 * given.get("perplexity", 30.0)))
        maps = _maps(method, given)
        what = f"affinities of {n:,} images with {k} neighbours"
        # Lists (index and distance), the joint form of all maps twice, and the sorting of the largest.
        yield Need(what, n * k * (12 + 28 * maps) + 80 * group * k, f"{where}.perplexity")
        yield Need("a tile of inner products", 24 * MB)
    elif method == "kernel-herding":
        yield Need("features", n * 400, _IMAGES)
        yield Need("tiles of pairs", numba.get_num_threads() * 24 * MB)
    elif method in _SQUARES:
        per_pair, side_by_side = _SQUARES[method]
        at_once = min(images.n_classes, numba.get_num_threads()) if side_by_side else 1
        pairs = f"{group:,} × {group:,} of a class"
        yield Need(f"similarities ({pairs})", per_pair * group * group * at_once, _IMAGES)


#: Methods that compare features, as `features.extract` makes them.
_BY_FEATURES = ("de-sne", "adapsne", "k-center", "herding", "graph-cut", "facility-location")

#: Methods that hold all pairs of a class: bytes of a pair, with what is computed from it, and whether classes
#: are worked on side by side.
_SQUARES = {"facility-location": (12, False), "dq": (28, False), "dqas": (28, False), "nessa": (6, False)}


def _features(images: Images, given: Mapping[str, Any]) -> int:
    height, width, channels = images.shape
    kind = given.get("features", "pool")
    if kind == "pool":
        side = int(given.get("pool_size", 2))
        return -(-height // side) * -(-width // side) * channels
    return images.values if kind == "raw" else int(given.get("n_features", 50))


def _training(config: RunConfig, images: Images) -> Iterator[Need]:
    """Yield what trainings hold, as many side by side as there are threads."""
    section = config.training
    kept = config.selection.keep_ratio * images.n_train
    # What follows a training chooses from all images again and again.
    following = [method for method in _methods(config) if follows_training(selector_class(method))]
    rows = images.n_train if FULL in config.schemes or following else round(kept)
    for method in following:
        yield from _selection(config, images, method)
    epochs = _epochs(config, rows)
    at_once = min(section.seeds, numba.get_num_threads())
    yield Need(
        f"orders of {epochs} epochs", 8 * rows * epochs * (at_once if section.backend != "none" else 0)
    )
    yield Need("boards and their accesses", 60 * rows + 16 * images.n_train)
    if section.backend == "none":
        return
    yield Need(f"training images, {at_once} times", at_once * rows * images.values, _IMAGES)
    if section.backend == "torch":
        yield Need("PyTorch", _TORCH_BYTES + at_once * rows * images.values * 4)
        return
    network = Network(section.network, images.shape, images.n_classes)
    chunks = -(-min(section.batch_size, rows) // LANES)
    values = sum(math.prod(shape) for shape in network.shapes)
    of_chunk = 4 * (2 * values * min(LANES, section.batch_size) + network.parameter_count)
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
    parsed = Scheme.parse(scheme)
    rows = images.n_train if parsed.is_full else round(config.selection.keep_ratio * images.n_train)
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
        share = 1.0 if scheme == FULL else config.selection.keep_ratio
        rows = total_budget(images.n_train, share)
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
    for method in dict.fromkeys(Scheme.parse(s).method for s in config.schemes):
        rows = images.n_train if method == FULL else round(config.selection.keep_ratio * images.n_train)
        seen += rows * _epochs(config, rows)
    macs = seen * (cost.macs_forward + cost.macs_backward) + images.n_test * cost.macs_forward
    return section.seeds * macs / _MACS_PER_S / min(section.seeds, numba.get_num_threads())


def _selection_s(config: RunConfig, images: Images, method: str) -> float:
    return _method_s(images, method, _parameters(config, method))


def _maps(method: str, given: Mapping[str, Any]) -> int:
    """Return how many perplexities a map is made for."""
    return len(CANDIDATES) if method == "adapsne" or given.get("sampling") == "entropy" else 1


def _method_s(images: Images, method: str, given: Mapping[str, Any]) -> float:
    n, group = images.n_train, images.n_train if given.get("scope") == "global" else images.of_class
    pairs = n * group
    if method in ("de-sne", "adapsne"):
        per_iteration = pairs if group <= CROSSOVER else 300 * n
        maps = _maps(method, given)
        forces = per_iteration * given.get("n_iter", 500) * maps
        return (forces + 10 * pairs) / _PAIRS_PER_S / numba.get_num_threads()
    return 0.0 if method == RANDOM else 10 * pairs / _PAIRS_PER_S


def memory_limit() -> int:
    """Return half of the memory that this process may use: the machine's, or its control group's if less."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")] if hasattr(os, "sysconf") else []
    sizes += [size for file in _GROUP_LIMITS if (size := _number_in(Path(file))) is not None]
    return min(sizes, default=16 << 30) // 2


#: Control groups of version 2 and 1, as a container sees its own.
_GROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def _number_in(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # none, or "max"
        return None


def free_disk(folder: Path | str) -> int:
    """Return the bytes that are free where a folder is, or will be made."""
    path = Path(folder).absolute()
    nearest = next(p for p in (path, *path.parents) if p.exists())
    return shutil.disk_usage(nearest).free


def refuse(estimate: Estimate, max_memory: int, max_disk: int) -> None:
    """Refuse what needs more than these bytes.

    Raises
    ------
    ResourceLimitError
        With the estimate, its largest part, and what to lower or to raise.
    """
    for name, needs, total, limit in (
        ("memory", estimate.memory, estimate.memory_bytes, max_memory),
        ("disk", estimate.disk, estimate.disk_bytes, max_disk),
    ):
        if total <= limit:
            continue
        largest = max(needs, key=lambda need: need.n_bytes)
        lower = f"Lower {largest.lower}, or raise" if largest.lower else "Raise"
        raise ResourceLimitError(
            f"this would need about {format_bytes(total)} of {name} ({largest.what}: "
            f"{format_bytes(largest.n_bytes)}); the limit is {format_bytes(limit)}",
            hint=f"{lower} --max-{name}.",
        )
