"""The commands of one channel as a file, checked against the standard's table while it is written."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.csv

from nmsim.dram.activity import Activity, CommandLog
from nmsim.dram.checker import Checker
from nmsim.dram.commands import ACT, COMMANDS, N_COMMANDS, PDE, PDX, PREab, PREpb
from nmsim.dram.spec import DramSpec
from nmsim.errors import ProtocolViolation
from nmsim.store import fs

#: Names of DRAMPower 5 (repository tukl-msd/DRAMPower) in the order of `COMMANDS`. Entry to and exit from
#: power-down are named by whether a bank is open: the second half is for ranks with one.
_NAMES = ("PRE", "ACT", "RD", "WR", "RDA", "WRA", "REFB", "PREA", "REFA", "PDEP", "PDXP", "SREFEN", "SREFEX")
_NAMES += (*_NAMES[:-4], "PDEA", "PDXA", *_NAMES[-2:])
#: Commands that are checked and written at a time.
_ROWS = 1 << 16
_COLUMNS = ("cycle", "command", "rank", "bankgroup", "bank", "row", "column")


class CommandFile:
    """Writes `cycle,CMD,rank,bankgroup,bank,row,col` lines, and `END` at last, in constant memory.

    Banks are counted through within a rank, columns in bursts; what a command has not is 0. The file appears
    under its name when the block ends well.

    Parameters
    ----------
    path : Path
    spec : DramSpec
    """

    def __init__(self, path: Path, spec: DramSpec):
        self._path, self._spec, self._checker = path, spec, Checker(spec)
        self._open_banks = np.zeros(spec.organization.ranks, dtype=np.int64)
        self._waiting: list[CommandLog] = []
        self._exit = ExitStack()

    def __enter__(self) -> CommandFile:
        with ExitStack() as stack:
            self._file = stack.enter_context(fs.staged_file(self._path))
            types = [pa.string() if name == "command" else pa.int64() for name in _COLUMNS]
            self._schema = pa.schema(list(zip(_COLUMNS, types, strict=True)))
            options = pa.csv.WriteOptions(include_header=False, quoting_style="none")
            self._writer = stack.enter_context(
                pa.csv.CSVWriter(self._file, self._schema, write_options=options)
            )
            self._exit = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._exit.__exit__(kind, error, trace)

    def write(self, activity: Activity) -> None:
        """Append the commands of an activity, which must be complete and follow those written before.

        Raises
        ------
        ProtocolViolation
            Where a command, of this activity or one before, breaks a rule of the standard.
        """
        _check_complete(activity)
        self._waiting.append(activity.log)
        if sum(len(log) for log in self._waiting) >= _ROWS:
            self._flush()

    def end(self, clk: int) -> None:
        """Write the last line: everything was over at clock `clk`."""
        self._flush()
        self._writer.close()
        self._file.write(f"{clk},END,0,0,0,0,0\n".encode())

    def _flush(self) -> None:
        if not self._waiting:
            return
        log = CommandLog.concatenate(self._waiting)
        self._waiting = []
        try:
            self._checker.check(log)
        except ProtocolViolation as error:
            error.file = self._path
            raise
        bank = np.maximum(log.bankgroup, 0) * self._spec.organization.banks + np.maximum(log.bank, 0)
        places = (log.rank, log.bankgroup, bank, log.row, log.column)
        arrays = [pa.array(log.clk), self._names(log)] + [pa.array(np.maximum(p, 0)) for p in places]
        self._writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=self._schema))

    def _names(self, log: CommandLog) -> pa.Array:
        name = log.command.copy()
        change = np.where(log.command == ACT, 1, -log.closed * np.isin(log.command, (PREpb, PREab)))
        for rank in range(len(self._open_banks)):
            here = log.rank == rank
            is_open = self._open_banks[rank] + np.cumsum(change[here])
            entries = np.flatnonzero(here)
            power = np.isin(log.command[entries], (PDE, PDX)) & (is_open > 0)
            name[entries[power]] += N_COMMANDS
            self._open_banks[rank] += change[here].sum()
        return pa.DictionaryArray.from_arrays(pa.array(name), pa.array(_NAMES)).cast(pa.string())


def _check_complete(activity: Activity) -> None:
    """Refuse a log that lacks commands: a file with gaps would pass for what happened."""
    log = activity.log
    logged = np.bincount(log.command, minlength=N_COMMANDS)
    logged[PREab] = log.closed[log.command == PREab].sum()
    counted = activity.counts.sum(axis=1)
    if (logged != counted).any():
        lacking = ", ".join(name for name, a, b in zip(COMMANDS, logged, counted, strict=True) if a != b)
        raise RuntimeError(f"the log of commands was too short: {lacking}")
