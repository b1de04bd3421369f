"""The course of a scheme on a board: what happened there as counts and times, before anything has a price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nmsim.config.schema import RunConfig
from nmsim.energy.ledger import Ledger
from nmsim.energy.link import flight_time_ps
from nmsim.energy.priced import priced_fJ
from nmsim.energy.prices import PriceList
from nmsim.schemes import Scheme
from nmsim.system.pace import Pace

#: How often each command or kind of work was seen, by (phase, source, array, name); see `Ledger.counts`.
Counts = Mapping[tuple[str, str, str, str], int]


#: What has a say in prices and in reports, and in nothing that a board does. All else is taken to have one.
_WITHOUT_A_SAY = (
    "name", "trace", "simulation.samples", "operations",
    "memory.rails", "memory.on_die", "memory.die", "memory.refresh_background",
    "near_memory.node_nm", "near_memory.dram_process_penalty", "near_memory.sram_process_penalty",
    "near_memory.area_penalty", "near_memory.leakage_process_factor", "near_memory.sram_read",
    "near_memory.sram_read_factor", "near_memory.leakage", "near_memory.leakage_factor",
    "near_memory.control_instruction", "near_memory.host_policy",
    "soc.sram_read", "soc.static_power", "soc.npu.node_nm", "soc.cpu.energy_per_instruction",
    # What was learnt stands for these, and the scheme's name for the last.
    "dataset", "selection", "training", "seed", "schemes",
)  # fmt: skip


def course_key(config: RunConfig, scheme: str) -> dict[str, Any]:
    """Return all that a scheme's course depends on besides what it learnt, in JSON's types.

    Boards with equal keys do the same, at other prices.
    """
    key = _numbers(config.model_dump(mode="json"))
    link = config.link
    for path in _WITHOUT_A_SAY:
        *sections, name = path.split(".")
        node = key
        for section in sections:
            node = node[section]
        node.pop(name, None)
    if not link.data_dependent:
        key["link"] = None
    key["flight_ps"] = flight_time_ps(link)
    if not Scheme.parse(scheme).near_memory:  # the units do nothing; only where data lie may be due to them
        near = config.near_memory
        key["near_memory"] = [near.data_placement, near.mode_switch.reserved_rows]
    return {"scheme": scheme, **key}


def _numbers(tree: Any) -> Any:
    """Return a dumped configuration without sources, physical values as their numbers."""
    if not isinstance(tree, dict):
        return tree
    if "value" in tree and "unit" in tree:
        return tree["value"]
    return {name: _numbers(value) for name, value in tree.items() if name != "source"}


@dataclass(frozen=True)
class Epoch:
    """One simulated epoch of the training.

    Attributes
    ----------
    counts : Counts
        All that it did, `times` over, but for static power.
    time_ps : int
        Of one of its repeats.
    times : int
        Epochs that it stands for.
    """

    counts: Counts
    time_ps: int
    times: int


@dataclass(frozen=True, eq=False)
class Course:
    """What one scheme did on a board.

    Attributes
    ----------
    scheme : str
    ledger : Ledger
        Everything that was counted.
    phases : mapping of str to (int, int)
        Start and duration of each phase in ps, in order.
    pace : Pace
        What set the pace of each phase.
    outcomes : mapping of str to int
        Column accesses by what they found in the row buffer.
    accesses, simulated_accesses : int
        Bursts read and written, and those of them that were simulated one by one.
    epochs : tuple of Epoch
    """

    scheme: str
    ledger: Ledger
    phases: Mapping[str, tuple[int, int]]
    pace: Pace
    outcomes: Mapping[str, int]
    accesses: int
    simulated_accesses: int
    epochs: tuple[Epoch, ...]

    def epoch_energies_fJ(self, prices: PriceList) -> list[int]:
        """Return the energy of each simulated epoch, static power included."""
        static_fJ_per_ps = float(prices.work("STATIC", "soc").sum())
        return [
            round(priced_fJ(epoch.counts, prices) / epoch.times + static_fJ_per_ps * epoch.time_ps)
            for epoch in self.epochs
        ]
