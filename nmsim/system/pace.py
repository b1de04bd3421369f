"""What sets the pace of each phase, so that its time under other clocks follows without simulating again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from nmsim.config.board import NearMemory, Soc
from nmsim.config.schema import RunConfig

#: Who can set the pace. NPU, CPU, units and memory work side by side, with the time of flight on top of the
#: memory's; the units' bus and the mode switch come on top of all.
PACERS = ("npu", "cpu", "units", "memory", "flight", "exchange", "enter", "leave")

#: Pieces of work whose parts stand in the same proportion, to within this factor, are summed up.
_ALIKE = math.log(1.02)


#: How the times of a piece's parts compare, as `Pace.add` rounds them.
_Kind: TypeAlias = tuple[int | None, ...]


@dataclass(frozen=True)
class Speeds:
    """How fast each pacer is: operations, bytes or one over ps; numbers, or arrays of shape (samples,)."""

    of: Mapping[str, float | np.ndarray]

    @classmethod
    def on(cls, config: RunConfig) -> Speeds:
        """Return the speeds on a board, whose values may be arrays."""
        near, link = config.near_memory, config.link
        return cls(
            {
                "npu": npu_rate_Hz(config.soc),
                "cpu": cpu_rate_Hz(config.soc),
                "units": unit_rate_Hz(near),
                "memory": 1.0,
                "flight": 1 / _positive(link.flight_time.value * link.length.value),
                # As fast as the pads, unless it is said how fast.
                "exchange": near.exchange_bandwidth.value if near.exchange_bandwidth else 1.0,
                "enter": 1 / _positive(near.mode_switch.enter.value),
                "leave": 1 / _positive(near.mode_switch.leave.value),
            }
        )


def npu_rate_Hz(soc: Soc) -> float:
    """Return the multiply-accumulates that the NPU sustains in a second."""
    npu = soc.npu
    return npu.rows * npu.columns * npu.clock.value * npu.utilisation.value


def cpu_rate_Hz(soc: Soc) -> float:
    """Return the instructions that all cores together sustain in a second."""
    cpu = soc.cpu
    return cpu.cores * cpu.instructions_per_cycle.value * cpu.clock.value * cpu.utilisation.value


def unit_rate_Hz(near_memory: NearMemory) -> float:
    """Return the single-cycle operations that a near-memory unit does in a second."""
    return near_memory.lanes * near_memory.clock.value


def _positive(time_ps: float | np.ndarray) -> float | np.ndarray:
    return np.maximum(time_ps, 1e-9)


class Pace:
    """The pieces of work of each phase, and how long each of their parts takes by itself.

    A piece takes max(npu, cpu, units, memory + flight) + exchange + enter + leave. Pieces follow each other
    within a lane (the host, or the units of one channel); the slowest lane decides on the phase.
    """

    def __init__(self) -> None:
        self._sums: dict[str, dict[str, dict[_Kind, np.ndarray]]] = {}

    def add(self, phase: str, lane: str, times: int = 1, **parts_ps: float) -> None:
        """Add a piece of work, `times` over, with the time in ps that each of its `PACERS` takes alone."""
        parts = np.array([parts_ps.get(name, 0.0) for name in PACERS])
        longest = max(float(parts[:4].max()), 1.0)
        alike = tuple(
            round(math.log(part / longest) / _ALIKE) if part else None for part in parts[:4].tolist()
        )
        kinds = self._sums.setdefault(phase, {}).setdefault(lane, {})
        kinds[alike] = kinds.get(alike, 0.0) + parts * times

    def extra_ps(self, phase: str, slower: Mapping[str, float | np.ndarray]) -> np.ndarray:
        """Return how much longer the phase takes, in ps, where each pacer is `slower` by a factor.

        Parameters
        ----------
        phase : str
        slower : mapping of str to float or ndarray of shape (samples,)
            Time of each of `PACERS` over what it was; those left out are as they were.

        Returns
        -------
        ndarray of float64, shape () or (samples,)
            Negative where the phase is shorter.
        """
        lanes = self._sums.get(phase, {})
        if not lanes:
            return np.zeros(())
        factors = {name: np.asarray(slower.get(name, 1.0), dtype=float) for name in PACERS}
        unchanged = dict.fromkeys(PACERS, np.ones(()))
        after, before = (
            np.stack([_lane_ps(kinds, f) for kinds in lanes.values()]).max(axis=0)
            for f in (factors, unchanged)
        )
        return after - before


def _lane_ps(kinds: Mapping[_Kind, np.ndarray], factors: Mapping[str, np.ndarray]) -> np.ndarray:
    total = np.zeros(np.broadcast_shapes(*(f.shape for f in factors.values())))
    for parts in kinds.values():
        npu, cpu, units, memory, flight, *serial = (
            part * factors[name] for part, name in zip(parts.tolist(), PACERS, strict=True)
        )
        total = total + np.maximum(np.maximum(npu, cpu), np.maximum(units, memory + flight)) + sum(serial)
    return total
