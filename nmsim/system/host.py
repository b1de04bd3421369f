"""The SoC at the end of the link: DMA with double buffering, an NPU and cores as a roofline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import simpy

from nmsim.access.layout import Layout
from nmsim.access.work import Step, Transfer
from nmsim.config.board import Link, Soc
from nmsim.energy.arithmetic import ARITHMETIC
from nmsim.energy.data_bits import LineActivity, expected_activity
from nmsim.energy.link import flight_time_ps
from nmsim.system.memory import MemoryChannel
from nmsim.system.meter import Meter
from nmsim.system.pace import cpu_rate_Hz, npu_rate_Hz
from nmsim.system.process import Environment, Process
from nmsim.system.repeats import Repeater

#: Records placed at once; keeps the arrays of a transfer that covers a whole data set small.
_RECORDS_AT_ONCE = 4096


def compute_times_ps(soc: Soc, operations: Mapping[str, float]) -> tuple[float, float]:
    """Return how long the NPU and the cores take for these operations, in ps; they work side by side."""
    arithmetic = [(ARITHMETIC[kind], n) for kind, n in operations.items() if kind != "cpu_instruction"]
    macs = sum(n for kind, n in arithmetic if kind.on_npu)
    scalar = operations.get("cpu_instruction", 0)
    vector = sum(n * kind.instructions for kind, n in arithmetic if not kind.on_npu)
    instructions = scalar + vector / soc.cpu.simd_lanes
    return macs / npu_rate_Hz(soc) * 1e12, instructions / cpu_rate_Hz(soc) * 1e12


class Host:
    """Executes steps on the SoC.

    A step's reads are loaded into one of two SRAM buffers while the step before computes; its writes leave
    after its operations.
    """

    def __init__(
        self,
        env: Environment,
        soc: Soc,
        link: Link,
        channels: Sequence[MemoryChannel],
        layout: Layout,
        meter: Meter,
        repeater: Repeater,
        lines: Mapping[str, LineActivity],
    ):
        self._env, self._soc, self._channels, self._layout = env, soc, channels, layout
        self._link, self._lines, self._flight_ps = link, lines, flight_time_ps(link)
        self._meter, self._repeater = meter, repeater

    def run(self, steps: Iterable[Step]) -> Process[None]:
        """Execute steps in order (a SimPy process)."""
        for repeated, group in groupby(steps, key=lambda step: step.repeat > 1):
            if not repeated:
                yield from self._pipeline(group)
                continue
            for step in group:
                yield from self._repeater.repeat(partial(self._pipeline, [step]), step.phase, step.repeat)

    def _pipeline(self, steps: Iterable[Step]) -> Process[None]:
        buffers = simpy.Container(self._env, capacity=2, init=2)
        loaded = simpy.Store(self._env)

        def load() -> Process[None]:
            for step in steps:
                yield buffers.get(1)
                move_ps = yield self._env.process(self._move(step, write=False))
                yield loaded.put((step, move_ps))
            yield loaded.put((None, 0))

        self._env.process(load())
        writes: list[simpy.Process] = []
        step: Step | None
        load_ps: int
        while True:
            step, load_ps = yield loaded.get()
            if step is None:
                break
            for kind, count in step.operations.items():
                self._meter.work(step.phase, "soc", kind, count * self._repeater.times)
            npu_ps, cpu_ps = compute_times_ps(self._soc, step.operations)
            yield self._env.timeout(round(max(npu_ps, cpu_ps)))
            yield buffers.put(1)
            writes = [w for w in writes if w.is_alive]
            writes.append(self._env.process(self._finish(step, load_ps, npu_ps, cpu_ps)))
        yield self._env.all_of(writes)

    def _finish(self, step: Step, load_ps: int, npu_ps: float, cpu_ps: float) -> Process[None]:
        """Write what the step leaves, and note what set its pace."""
        times, write_ps = self._repeater.times, 0
        if any(t.write for t in step.transfers):
            write_ps = yield from self._move(step, write=True)
        moves = sum(-(-len(t.rows) // _RECORDS_AT_ONCE) for t in step.transfers)
        flight_ps = 2 * self._flight_ps * moves
        memory_ps = max(0, load_ps + write_ps - flight_ps)
        self._meter.pace.add(
            step.phase, "host", times, npu=npu_ps, cpu=cpu_ps, memory=memory_ps, flight=flight_ps
        )

    def _move(self, step: Step, write: bool) -> Process[int]:
        """Move a step's records and return how long that took, in ps (a SimPy process)."""
        start = self._env.now
        for transfer in step.transfers:
            if transfer.write == write:
                yield from self.transfer(step.phase, transfer)
        return self._env.now - start

    def transfer(self, phase: str, transfer: Transfer) -> Process[None]:
        """Move records over the link, on all channels side by side (a SimPy process)."""
        for start in range(0, len(transfer.rows), _RECORDS_AT_ONCE):
            rows = np.asarray(transfer.rows[start : start + _RECORDS_AT_ONCE])
            visits = self._layout.visits(transfer.array, rows)
            bits = 8 * self._layout.geometry.access_bytes * int(visits.bursts.sum())
            self._meter.work(phase, "soc", "SRAM", bits * self._repeater.times)
            if self._link.data_dependent:
                self._count_line(phase, transfer.array, rows, bits)
            moves = []
            for channel in self._channels:
                here = visits.of_channel(channel.index)
                if len(here.bursts):
                    access = channel.access(phase, "host", transfer.array, here, transfer.write)
                    moves.append(self._env.process(access))
            yield self._env.all_of(moves)

    def _count_line(self, phase: str, array: str, rows: np.ndarray, bits: int) -> None:
        """Count what sending these records does to the pins: from their bytes where these are known."""
        known = self._lines.get(array)
        driven: Any
        rises: Any
        if known is None:
            driven, rises = expected_activity(self._link, bits)
        else:
            driven, rises = known.driven[rows].sum(), known.rises[rows].sum()
        counts = {"LINK_BITS": bits, "LINK_DRIVEN": driven, "LINK_RISES": rises}
        for kind, count in counts.items():
            self._meter.work(phase, "host", kind, round(count) * self._repeater.times, array=array)
