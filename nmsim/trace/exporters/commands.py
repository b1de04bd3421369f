"""The DRAM commands of one channel as a file for other programs, each checked before the file appears."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import numpy as np

from nmsim.dram.activity import CommandLog
from nmsim.dram.checker import Checker
from nmsim.dram.spec import DramSpec
from nmsim.errors import ProtocolViolation
from nmsim.store import fs
from nmsim.trace.exporters.drampower import DrampowerLines
from nmsim.trace.exporters.perfetto import PerfettoEvents
from nmsim.trace.exporters.ramulator import RamulatorLines

#: "csv" is "drampower" without the data of reads and writes.
COMMAND_FORMATS = ("csv", "drampower", "ramulator", "perfetto")
#: Commands that are checked and written at a time.
_ROWS = 1 << 16


class CommandFile:
    """Checks the commands of a channel against its standard and writes those of a time, in constant memory.

    The file appears under its name when the block ends well.

    Parameters
    ----------
    path : Path or str
    spec : DramSpec
    format : str
        One of `COMMAND_FORMATS`.
    channel : int
        Its number, for formats that name it.
    refresh : {"all_bank", "per_bank", "none"}
        By what the controller refreshes, which says what refreshes are owed.
    from_clk, to_clk : int or None
        Only commands at `from_clk` or later, and before `to_clk`, are written; all are checked.
    start_clk : int
        When all banks were closed and no refresh was owed.
    """

    def __init__(
        self,
        path: Path | str,
        spec: DramSpec,
        format: str = "csv",
        *,
        channel: int = 0,
        refresh: str = "all_bank",
        from_clk: int | None = None,
        to_clk: int | None = None,
        start_clk: int = 0,
    ):
        self._path, self._checker = Path(path), Checker(spec, refresh)
        self._from_clk, self._to_clk, self._start_clk = from_clk, to_clk, start_clk
        self._waiting: list[CommandLog] = []
        self._exit = ExitStack()
        self._form: PerfettoEvents | RamulatorLines | DrampowerLines
        if format == "perfetto":
            self._form = PerfettoEvents(spec, channel, self._path)
        elif format == "ramulator":
            self._form = RamulatorLines(spec, channel)
        else:
            self._form = DrampowerLines(spec, with_data=format == "drampower")

    def __enter__(self) -> CommandFile:
        self._file = self._exit.enter_context(fs.staged_file(self._path))
        self._file.write(self._form.head())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._exit.__exit__(kind, error, trace)

    def write(self, log: CommandLog) -> None:
        """Append commands, which must be complete and follow those written before.

        Raises
        ------
        ProtocolViolation
            Where a command, of these or before, breaks a rule of the standard.
        ResourceLimitError
            Where Perfetto could not hold all commands.
        """
        self._waiting.append(log)
        if sum(len(log) for log in self._waiting) >= _ROWS:
            self._flush()

    def end(self, clk: int) -> None:
        """Write what ends the file: everything was over at clock `clk`."""
        self._flush()
        for violation in self._checker.end(clk - self._start_clk):
            raise self._error(violation.error())
        self._file.write(self._form.tail(clk if self._to_clk is None else min(clk, self._to_clk)))

    def _error(self, error: ProtocolViolation) -> ProtocolViolation:
        error.file = self._path
        return error

    def _flush(self) -> None:
        if not self._waiting:
            return
        log = CommandLog.concatenate(self._waiting)
        self._waiting = []
        try:
            self._checker.check(replace(log, clk=log.clk - self._start_clk))
        except ProtocolViolation as error:
            raise self._error(error) from None
        keep = np.ones(len(log), dtype=bool)
        if self._from_clk is not None:
            keep &= log.clk >= self._from_clk
        if self._to_clk is not None:
            keep &= log.clk < self._to_clk
        self._file.write(self._form.body(log, keep))
