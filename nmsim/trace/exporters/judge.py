"""The check of an energy trace that may lack commands, before a picture is made of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nmsim.dram.activity import CommandLog
from nmsim.dram.checker import Checker
from nmsim.dram.commands import COMMANDS
from nmsim.dram.spec import DramSpec
from nmsim.errors import ProtocolViolation, TraceFormatError
from nmsim.trace.exporters.window import ADDRESS
from nmsim.trace.reader import Trace


class Judge:
    """Checks the single commands of an energy trace, phase by phase of each channel and scheme.

    A trace may leave out the rest of a phase, and repeats of what was simulated once. So each phase begins
    anew with whatever rows are open, and refreshes are not missed. From the first near-memory access of a
    phase on, its commands are not checked: the trace does not say which of them share the channel's pins.

    Attributes
    ----------
    checked : int
        Commands that were checked.
    """

    def __init__(self, spec: DramSpec, trace: Trace):
        self.checked = 0
        self._spec, self._trace = spec, trace
        self._phases: dict[tuple[str, int], str] = {}
        self._checkers: dict[tuple[str, int], Checker | None] = {}

    def check(self, batch: pa.RecordBatch) -> None:
        """Check the next rows; those that are no DRAM commands are passed over.

        Raises
        ------
        ProtocolViolation
            Where a command is illegal.
        TraceFormatError
            Where the rows are of another memory.
        """
        batch = batch.filter(pc.is_in(batch.column("cmd").cast(pa.string()), pa.array(COMMANDS)))
        if batch.num_rows == 0:
            return
        check_memory(batch, self._spec, self._trace)
        for scheme, channel, phase, part in _runs(batch):
            key = scheme, channel
            if self._phases.get(key) != phase:
                self._phases[key] = phase
                self._checkers[key] = Checker(self._spec, refresh="none", from_start=False)
            if pc.any(pc.equal(part.column("source").cast(pa.string()), "nmc")).as_py():
                self._checkers[key] = None
            checker = self._checkers[key]
            if checker is None:
                continue
            self.checked += part.num_rows
            try:
                checker.check(command_log(part, self._spec.tCK_ps))
            except ProtocolViolation as error:
                error.file = self._trace.path
                raise


def _runs(batch: pa.RecordBatch) -> Iterator[tuple[str, int, str, pa.RecordBatch]]:
    """Yield scheme, channel, phase and rows of each stretch of a phase, in their order within a channel."""
    names = ("scheme", "channel", "phase")
    keys = [pc.dictionary_encode(_plain(batch.column(name))) for name in names]
    codes = np.array([np.asarray(pc.fill_null(key.indices, 0)) for key in keys])
    order = np.lexsort((np.arange(batch.num_rows), codes[1], codes[0]))
    codes = codes[:, order]
    cuts = np.flatnonzero((np.diff(codes) != 0).any(axis=0)) + 1
    for rows in np.split(order, cuts):
        part = batch.take(pa.array(rows))
        scheme, channel, phase = (_plain(part.column(name))[0].as_py() for name in names)
        yield scheme, channel, phase, part


def _plain(column: pa.Array) -> pa.Array:
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column


def check_memory(batch: pa.RecordBatch, spec: DramSpec, trace: Trace) -> None:
    """Raise TraceFormatError where DRAM commands cannot be of this memory."""
    if not spec.refresh_sets and pc.any(pc.equal(batch.column("cmd").cast(pa.string()), "REFpb")).as_py():
        raise TraceFormatError(f"{spec.standard} has no per-bank refresh", file=trace.path, found="REFpb")
    org = spec.organization
    sizes = {"rank": org.ranks, "bankgroup": org.bankgroups, "bank": org.banks, "row": org.rows}
    for name, size in sizes.items():
        highest = pc.max(batch.column(name)).as_py()
        if highest >= size:
            raise TraceFormatError(
                f"the trace is of another memory: {name}",
                file=trace.path,
                found=highest,
                expected=f"below {size}",
                hint="Name the board that it was made with: --config.",
            )
    t_ps = batch.column("t_ps").to_numpy()
    if (t_ps % spec.tCK_ps).any():
        raise TraceFormatError(
            "a command comes at no whole clock",
            file=trace.path,
            found=f"t_ps {t_ps[t_ps % spec.tCK_ps != 0][0]}",
            expected=f"multiples of tCK = {spec.tCK_ps} ps",
        )


def command_log(batch: pa.RecordBatch, tCK_ps: int) -> CommandLog:
    """Return rows that are DRAM commands as the engine would have logged them."""
    numbers = {name: batch.column(name).to_numpy().astype(np.int64) for name in ("t_ps", *ADDRESS)}
    codes = pc.index_in(batch.column("cmd").cast(pa.string()), pa.array(COMMANDS))
    absent = np.full(batch.num_rows, -1, dtype=np.int64)
    return CommandLog(
        clk=numbers["t_ps"] // tCK_ps,
        command=codes.to_numpy().astype(np.int64),
        column=numbers["col"],
        outcome=absent,
        closed=absent,
        near_memory=np.zeros(batch.num_rows, dtype=bool),
        **{name: numbers[name] for name in ("rank", "bankgroup", "bank", "row")},
    )
