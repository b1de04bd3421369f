"""A whole board: from a configuration to SimPy processes, and the course of one scheme on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import pandas as pd

from nmsim.access.layout import RowVisits
from nmsim.access.phases import CONTROL, INDICES, MODE_SWITCH, TRAINING
from nmsim.access.work import ArraySpec, Step, Transfer
from nmsim.config.schema import RunConfig
from nmsim.dram.engine import Channel
from nmsim.energy.data_bits import LineActivity
from nmsim.energy.link import flight_time_ps
from nmsim.energy.priced import priced
from nmsim.energy.prices import PriceList
from nmsim.system.course import Course, Epoch
from nmsim.system.host import Host
from nmsim.system.memory import MemoryChannel
from nmsim.system.meter import Meter
from nmsim.system.nmc import NearMemoryUnits
from nmsim.system.parts import controller_spec, dram_spec, layout
from nmsim.system.process import Environment, Process
from nmsim.system.repeats import Repeater
from nmsim.system.trace_rows import TraceRows
from nmsim.trace.writer import TraceWriter

#: What the reserved rows hold, as the trace's array.
REGISTERS = "mode_registers"


@dataclass(frozen=True)
class SelectionWork:
    """The selection of a scheme, as the board executes it.

    Attributes
    ----------
    place : str
        "nmc" or "host".
    steps : iterable of Step
        In order, for the buffer of the place that executes them.
    kept : int
        Records that were selected.
    before : iterable of Step
        What the host does before the steps, wherever these are executed.
    """

    place: str
    steps: Iterable[Step]
    kept: int
    before: Iterable[Step] = ()


class Board:
    """One board with its arrays in place, ready to execute one scheme.

    Parameters
    ----------
    config : RunConfig
        The board.
    scheme : str
        Name in the trace.
    arrays : sequence of ArraySpec
        What lies in DRAM.
    groups : ndarray of int64, shape (n,)
        Class of each training image; it places the arrays with a record for each image.
    writer : TraceWriter or None
        Where the trace goes.
    lines : mapping of str to LineActivity, optional
        Array -> what its records do to the link's pins, where its bytes are known and `link.data_dependent`;
        see `line_contents`.

    Attributes
    ----------
    meter : Meter
        What was counted.
    epochs : list of Epoch
        The simulated epochs of the training.
    """

    def __init__(
        self,
        config: RunConfig,
        scheme: str,
        arrays: Sequence[ArraySpec],
        groups: np.ndarray,
        writer: TraceWriter | None,
        lines: Mapping[str, LineActivity] | None = None,
    ):
        self._config, self.spec = config, dram_spec(config.memory)
        controller = controller_spec(config.memory)
        self.prices = PriceList(config, self.spec)
        organization = config.memory.organization
        shown = config.trace.rows_per_phase if config.trace.level == "window" else None
        self._scheme = scheme
        rows = None if writer is None else TraceRows(writer, scheme, self.spec, self.prices, shown)
        self.meter = Meter(self.spec, rows)
        self.env = Environment()
        self.layout = layout(config, arrays, groups)
        flight_ps = flight_time_ps(config.link)
        self.channels = [
            MemoryChannel(self.env, i, Channel(self.spec, controller), self.meter, flight_ps)
            for i in range(organization.channels)
        ]
        self._repeater = Repeater(self.env, self.channels, config.simulation.iterations)
        self.host = Host(
            self.env,
            config.soc,
            config.link,
            self.channels,
            self.layout,
            self.meter,
            self._repeater,
            lines or {},
        )
        self.units = NearMemoryUnits(
            self.env,
            config.near_memory,
            self.channels,
            self.layout,
            self.meter,
            config.simulation,
            self.spec,
        )
        self.epochs: list[Epoch] = []

    def execute(
        self,
        selection: SelectionWork | Mapping[int, SelectionWork],
        epochs: Sequence[Sequence[Step]],
    ) -> None:
        """Run the scheme: its selection, if it has one, then the training epochs, each made in its turn.

        Where there is none, or several, they are given by the epochs before which they come, counted from 0.
        `simulation.epochs` then holds for each stretch of the training.
        """
        selections = {0: selection} if isinstance(selection, SelectionWork) else selection
        works, commands = {}, []
        for epoch, work in selections.items():
            steps = list(work.steps)
            works[epoch] = replace(work, before=list(work.before), steps=steps)
            commands += [len(steps)] if work.place == "nmc" else []
        self._place_control(commands)
        self.env.run(self.env.process(self._course(works, epochs)))
        self.meter.close()

    def course(self) -> Course:
        """Return what was done, once `execute` is through."""
        meter = self.meter
        return Course(
            self._scheme,
            meter.total,
            {phase: (start, duration) for phase, (start, duration) in meter.phases.items()},
            meter.pace,
            meter.outcomes,
            meter.all_accesses,
            meter.simulated_accesses,
            tuple(self.epochs),
        )

    def frame(self) -> pd.DataFrame:
        """Return all that was counted, with its energy (see `nmsim.energy.priced.priced`)."""
        return priced(self.meter.total, self.prices)

    def stop(self) -> None:
        """Make `execute`, in another thread, end at its next access; its counts are then useless."""
        for channel in self.channels:
            channel.stopped = True

    def _course(
        self, selections: Mapping[int, SelectionWork], epochs: Sequence[Sequence[Step]]
    ) -> Process[None]:
        starts = sorted({0, *selections})
        for start, end in zip(starts, [*starts[1:], len(epochs)], strict=True):
            if start in selections:
                yield from self._select(selections[start])
            yield from self._phase(TRAINING, self._train(epochs, start, end))

    def _select(self, selection: SelectionWork) -> Process[None]:
        yield from self._host_phases(selection.before)
        if selection.place == "nmc":
            yield from self._select_near_memory(selection)
        else:
            yield from self._host_phases(selection.steps)

    def _host_phases(self, steps: Iterable[Step]) -> Process[None]:
        for phase, together in groupby(steps, key=lambda step: step.phase):
            yield from self._phase(phase, self.host.run(together))

    def _place_control(self, commands: Sequence[int]) -> None:
        """Make room for the control words of the longest of the selections near memory."""
        if commands:
            row_bytes = self._config.near_memory.control_bytes_per_step
            self.layout.place(ArraySpec(CONTROL, max(commands), row_bytes))

    def _select_near_memory(self, selection: SelectionWork) -> Process[None]:
        phases = [
            (phase, list(steps)) for phase, steps in groupby(selection.steps, key=lambda step: step.phase)
        ]
        program = Transfer(CONTROL, np.arange(sum(len(steps) for _, steps in phases)), write=True)
        yield from self._phase(CONTROL, self.host.transfer(CONTROL, program))
        switch = self._config.near_memory.mode_switch
        self.meter.pace.add(MODE_SWITCH, "host", enter=switch.enter.value, leave=switch.leave.value)
        yield from self._phase(MODE_SWITCH, self._switch(switch.park_reads, switch.enter.value))
        for phase, steps in phases:
            yield from self._phase(phase, self.units.run(steps))
        yield from self._phase(MODE_SWITCH, self._switch(0, switch.leave.value))
        result = Transfer(INDICES, np.arange(selection.kept))
        yield from self._phase(INDICES, self.host.transfer(INDICES, result))

    def _train(self, epochs: Sequence[Sequence[Step]], first: int, end: int) -> Process[None]:
        wanted, n = self._config.simulation.epochs, end - first
        simulated = n if wanted == "all" else min(int(wanted), n)
        before = self.meter.total.counts()
        for index in range(simulated):
            times = n - simulated + 1 if index == simulated - 1 else 1
            start = self.env.now
            yield from self._repeater.stand_for(self.host.run(epochs[first + index]), TRAINING, times)
            after = self.meter.total.counts()
            counts = {name: count - before.get(name, 0) for name, count in after.items()}
            self.epochs.append(Epoch(counts, (self.env.now - start) // times, times))
            before = after

    def _switch(self, park_reads: int, duration_ps: float) -> Process[None]:
        """Access the reserved rows, reads of all banks before writes, and wait."""
        ranks, banks = self.spec.organization.ranks, self.spec.banks_per_rank
        every_bank = np.tile(np.arange(ranks * banks), park_reads)
        write = np.arange(self._config.near_memory.mode_switch.register_writes)
        of_each_rank = (write[:, None] % banks + np.arange(ranks) * banks).ravel()
        for bank, is_write in ((every_bank, False), (of_each_rank, True)):
            if len(bank):
                accesses = [
                    c.access(MODE_SWITCH, "host", REGISTERS, self._last_row(c.index, bank), is_write)
                    for c in self.channels
                ]
                yield self.env.all_of([self.env.process(access) for access in accesses])
        yield self.env.timeout(round(duration_ps))

    def _last_row(self, channel: int, bank: np.ndarray) -> RowVisits:
        """Return an access to the first column of the last row of each of these banks."""

        def all_are(value: int) -> np.ndarray:
            return np.full(len(bank), value, dtype=np.int64)

        return RowVisits(
            all_are(channel), bank, all_are(self.layout.geometry.rows - 1), all_are(0), all_are(1)
        )

    def _phase(self, phase: str, work: Process[None]) -> Process[None]:
        start = self.env.now
        yield from work
        for channel in self.channels:
            channel.settle(phase)
        duration = self.env.now - start
        self.meter.work(phase, "soc", "STATIC", duration)
        self.meter.time(phase, start, duration)
