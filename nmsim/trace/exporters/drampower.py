"""A trace as a command trace of DRAMPower 5 (repository tukl-msd/DRAMPower)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nmsim.dram.activity import CommandLog
from nmsim.dram.checker import Checker
from nmsim.dram.commands import COMMANDS
from nmsim.dram.spec import DramSpec
from nmsim.errors import ProtocolViolation, TraceFormatError
from nmsim.store import fs
from nmsim.trace.exporters.window import ADDRESS, Exported, Window, singles_of
from nmsim.trace.reader import Trace

#: nmsim's command names -> those of DRAMPower 5 (its command/CmdType.h). Entry to
#: and exit from power-down have two names each, which end in A or P by whether a bank is open.
_DRAMPOWER = {
    "ACT": "ACT",
    "PREpb": "PRE",
    "PREab": "PREA",
    "RD": "RD",
    "WR": "WR",
    "REFab": "REFA",
    "PDE": "PDE",
    "PDX": "PDX",
}


def export_drampower(
    trace: Trace, target: Path | str, spec: DramSpec, window: Window | None = None
) -> Exported:
    """Write the single commands of one channel as a command trace of DRAMPower 5.

    Lines are `cycle,CMD,rank,bankgroup,bank,row,col[,data]`; the last is `END`. Banks are counted through
    within a rank, as DRAMPower does. Its command line wants the data of every read and write; nmsim knows no
    contents and writes zeros of the right length, so only DRAMPower's core energy means something.

    Parameters
    ----------
    spec : DramSpec
        The memory of the trace; its standard says which streams are legal.

    Raises
    ------
    TraceFormatError
        Where the window holds several schemes or channels, near-memory accesses, a command that DRAMPower
        does not know, or a time that is no whole clock.
    ProtocolViolation
        Where the commands are not legal one after another, as when some between them are left out.
    """
    done = Exported()
    fs.write_chunks(target, _drampower_lines(trace, window or Window(), spec, done))
    return done


def _drampower_lines(trace: Trace, window: Window, spec: DramSpec, done: Exported) -> Iterator[bytes]:
    only: dict[str, Any] = {}
    open_banks: dict[int, set[int]] = {}
    checker, start_clk, end_ps = Checker(spec), None, 0
    for batch in singles_of(trace, window, done):
        _check_exportable(batch, only, spec, trace)
        log = _command_log(batch, spec.tCK_ps)
        start_clk = int(log.clk[0]) if start_clk is None else start_clk
        try:
            # A window has its own zero, from which its refreshes are due.
            checker.check(replace(log, clk=log.clk - start_clk))
        except ProtocolViolation as error:
            error.file = trace.path
            error.hint = "A legal stream has every command from its start: --set trace.level=access."
            raise
        lines = []
        for row in batch.to_pylist():
            end_ps = max(end_ps, row["t_ps"] + row["dur_ps"])
            bank = max(row["bankgroup"], 0) * spec.organization.banks + max(row["bank"], 0)
            command = _drampower_command(row["cmd"], bank, open_banks.setdefault(row["rank"], set()))
            address = (row["rank"], max(row["bankgroup"], 0), bank, max(row["row"], 0), max(row["col"], 0))
            data = "," + "00" * row["bytes"] if command in ("RD", "WR") else ""
            lines.append(f"{row['t_ps'] // spec.tCK_ps},{command},{','.join(map(str, address))}{data}\n")
        yield "".join(lines).encode()
    yield f"{-(-end_ps // spec.tCK_ps)},END,0,0,0,0,0\n".encode()


def _check_exportable(batch: pa.RecordBatch, only: dict[str, Any], spec: DramSpec, trace: Trace) -> None:
    """Refuse rows that DRAMPower would misread; `only` remembers scheme and channel of earlier batches."""
    for name in ("scheme", "channel"):
        values = batch.column(name)
        values = values.cast(pa.string()) if pa.types.is_dictionary(values.type) else values
        for value in pc.unique(values).to_pylist():
            if only.setdefault(name, value) != value:
                raise TraceFormatError(
                    f"DRAMPower takes one {name} at a time",
                    file=trace.path,
                    found=f"{only[name]} and {value}",
                    hint=f"Choose one with --{name}.",
                )
    strange = sorted(set(pc.unique(batch.column("cmd").cast(pa.string())).to_pylist()) - set(_DRAMPOWER))
    if strange:
        raise TraceFormatError("DRAMPower has no such command", file=trace.path, found=", ".join(strange))
    if pc.any(pc.equal(batch.column("source").cast(pa.string()), "nmc")).as_py():
        raise TraceFormatError(
            "DRAMPower knows no near-memory accesses",
            file=trace.path,
            hint="Choose a scheme or a time without them.",
        )
    t_ps = batch.column("t_ps").to_numpy()
    if (t_ps % spec.tCK_ps).any():
        raise TraceFormatError(
            "a command comes at no whole clock",
            file=trace.path,
            found=f"t_ps {t_ps[t_ps % spec.tCK_ps != 0][0]}",
            expected=f"multiples of tCK = {spec.tCK_ps} ps",
        )


def _command_log(batch: pa.RecordBatch, tCK_ps: int) -> CommandLog:
    """Return the rows as the engine would have logged them."""
    n = batch.num_rows
    numbers = {name: batch.column(name).to_numpy().astype(np.int64) for name in ("t_ps", *ADDRESS)}
    codes = [COMMANDS.index(name) for name in batch.column("cmd").cast(pa.string()).to_pylist()]
    place = {name: numbers[name] for name in ("rank", "bankgroup", "bank", "row")}
    absent = np.full(n, -1, dtype=np.int64)
    return CommandLog(
        clk=numbers["t_ps"] // tCK_ps,
        command=np.array(codes, dtype=np.int64),
        column=numbers["col"],
        outcome=absent,
        closed=absent,
        near_memory=np.zeros(n, dtype=bool),
        **place,
    )


def _drampower_command(command: str, bank: int, open_banks: set[int]) -> str:
    """Return DRAMPower's name, keeping track of the rank's open banks."""
    name = _DRAMPOWER[command] + (("A" if open_banks else "P") if command in ("PDE", "PDX") else "")
    if command == "ACT":
        open_banks.add(bank)
    elif command == "PREpb":
        open_banks.discard(bank)
    elif command == "PREab":
        open_banks.clear()
    return name
