"""The SoC at the end of the link: DMA with double buffering, an NPU and cores as a roofline."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from itertools import groupby

import numpy as np
import simpy

from nmsim.access.layout import Layout
from nmsim.access.work import Step, Transfer
from nmsim.config.schema import Soc
from nmsim.energy.soc import INSTRUCTIONS, NPU_KINDS
from nmsim.system.memory import MemoryChannel, split_repeats
from nmsim.system.meter import Meter

#: Records placed at once; keeps the arrays of a transfer that covers a whole data set small.
_RECORDS_AT_ONCE = 4096


def compute_time_ps(soc: Soc, operations: dict[str, int]) -> int:
    """Return how long the SoC takes for these operations, in ps: NPU and cores work side by side."""
    npu, cpu = soc.npu, soc.cpu
    macs = sum(n for kind, n in operations.items() if kind in NPU_KINDS)
    npu_s = macs / (npu.rows * npu.columns * npu.clock.value * npu.utilisation.value)
    scalar = operations.get("cpu_instruction", 0)
    vector = sum(
        n * INSTRUCTIONS.get(kind, 1)
        for kind, n in operations.items()
        if kind not in NPU_KINDS and kind != "cpu_instruction"
    )
    per_core = cpu.instructions_per_cycle.value * cpu.clock.value * cpu.utilisation.value
    cpu_s = (scalar + vector / cpu.simd_lanes) / (cpu.cores * per_core)
    return round(max(npu_s, cpu_s) * 1e12)


class Host:
    """Executes steps on the SoC.

    A step's reads are loaded into one of two SRAM buffers while the step before computes; its writes leave
    after its operations. Steps that repeat are simulated `iterations` times and for a block of repeats that
    stands for the rest.
    """

    def __init__(
        self,
        env: simpy.Environment,
        soc: Soc,
        channels: list[MemoryChannel],
        layout: Layout,
        meter: Meter,
        iterations: int,
        refresh_ps: int,
    ):
        self._refresh_ps = refresh_ps
        self._env, self._soc, self._channels, self._layout = env, soc, channels, layout
        self._meter, self._iterations = meter, iterations
        self._times = 1

    def run(self, steps: Iterable[Step]) -> Generator:
        """Execute steps in order (a SimPy process)."""
        for repeated, group in groupby(steps, key=lambda step: step.repeat > 1):
            if not repeated:
                yield from self._pipeline(group)
                continue
            for step in group:
                yield from self._repeat(step)

    def _repeat(self, step: Step) -> Generator:
        simulated = min(step.repeat, self._iterations)
        yield from self._again(step, simulated - 1)
        start = self._env.now
        yield from self._again(step, 1)
        left = step.repeat - simulated
        if left:
            singly, block, times = split_repeats(left, self._env.now - start, self._refresh_ps)
            yield from self._again(step, singly)
            yield from self.stand_for(self._again(step, block), step.phase, times)

    def _again(self, step: Step, times: int) -> Generator:
        for _ in range(times):
            yield from self._pipeline([step])

    def stand_for(self, work: Generator, phase: str, times: int) -> Generator:
        """Do `work` once and count it `times` over, in energy and in time (a SimPy process)."""
        for channel in self._channels:
            channel.settle(phase)
            channel.times = times
        self._times, start = times, self._env.now
        yield from work
        for channel in self._channels:
            channel.settle(phase)
            channel.times = 1
        self._times = 1
        if times > 1:
            skipped = (times - 1) * (self._env.now - start)
            yield self._env.timeout(skipped)
            for channel in self._channels:
                channel.skip(skipped)

    def _pipeline(self, steps: Iterable[Step]) -> Generator:
        buffers = simpy.Container(self._env, capacity=2, init=2)
        loaded = simpy.Store(self._env)

        def load() -> Generator:
            for step in steps:
                yield buffers.get(1)
                yield self._env.process(self._move(step, write=False))
                yield loaded.put(step)
            yield loaded.put(None)

        self._env.process(load())
        writes = []
        while (step := (yield loaded.get())) is not None:
            operations = dict(step.operations)
            for kind, count in operations.items():
                self._meter.work(step.phase, "soc", kind, count * self._times)
            yield self._env.timeout(compute_time_ps(self._soc, operations))
            yield buffers.put(1)
            if any(t.write for t in step.transfers):
                writes = [w for w in writes if w.is_alive]
                writes.append(self._env.process(self._move(step, write=True)))
        yield self._env.all_of(writes)

    def _move(self, step: Step, write: bool) -> Generator:
        for transfer in step.transfers:
            if transfer.write == write:
                yield from self.transfer(step.phase, transfer)

    def transfer(self, phase: str, transfer: Transfer) -> Generator:
        """Move records over the link, on all channels side by side (a SimPy process)."""
        for start in range(0, len(transfer.rows), _RECORDS_AT_ONCE):
            rows = np.asarray(transfer.rows[start : start + _RECORDS_AT_ONCE])
            visits = self._layout.visits(transfer.array, rows)
            bits = 8 * self._layout.geometry.access_bytes * int(visits.bursts.sum())
            self._meter.work(phase, "soc", "SRAM", bits * self._times)
            moves = []
            for channel in self._channels:
                here = visits.of_channel(channel.index)
                if len(here.bursts):
                    access = channel.access(phase, "host", transfer.array, here, transfer.write)
                    moves.append(self._env.process(access))
            yield self._env.all_of(moves)
