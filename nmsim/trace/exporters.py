"""The energy trace in formats that other programs read: CSV, Perfetto and DRAMPower."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from nmsim.errors import ResourceLimitError, TraceFormatError
from nmsim.store import fs
from nmsim.trace.reader import Trace
from nmsim.trace.schema import SCHEMA

#: Perfetto's page holds a whole trace in the browser's memory; much more than this and it gives up.
MAX_EVENTS = 500_000

#: A single DRAM command is over sooner than this (the longest, tRFCab of JESD79-5 and JESD209-5, is below
#: 0.5 µs), an aggregate lasts as long as its phase.
_LONGEST_COMMAND_PS = 1_000_000

#: nmsim's command names -> those of DRAMPower 5 (repository tukl-msd/DRAMPower, command/CmdType.h). Entry to
#: and exit from power-down have two names each, by whether a bank is open.
_DRAMPOWER = {
    "ACT": "ACT",
    "PREpb": "PRE",
    "PREab": "PREA",
    "RD": "RD",
    "WR": "WR",
    "RDA": "RDA",
    "WRA": "WRA",
    "REFab": "REFA",
    "REFpb": "REFB",
    "SRE": "SREFEN",
    "SRX": "SREFEX",
}
_ADDRESS = ("channel", "rank", "bankgroup", "bank", "row", "col")


@dataclass(frozen=True)
class Window:
    """The part of a trace to export; None: all of it.

    Attributes
    ----------
    from_ps, to_ps : int or None
        Rows that start at `from_ps` or later, and before `to_ps`.
    scheme, phase : str or None
        Rows of this scheme, of this phase.
    channel : int or None
        Rows of this channel.
    """

    from_ps: int | None = None
    to_ps: int | None = None
    scheme: str | None = None
    phase: str | None = None
    channel: int | None = None


@dataclass
class Exported:
    """What an export wrote, and what it could not write.

    Attributes
    ----------
    rows : int
        Rows written.
    left_out_rows, left_out_energy_fJ : int
        Aggregated rows, which stand for many commands and have no time of their own.
    """

    rows: int = 0
    left_out_rows: int = 0
    left_out_energy_fJ: int = 0


def export_csv(trace: Trace, target: Path | str, window: Window | None = None) -> Exported:
    """Write the rows, aggregates included, as CSV with a header; texts that are absent are empty."""
    done = Exported()
    plain = pa.schema(
        [pa.field(f.name, pa.string() if pa.types.is_dictionary(f.type) else f.type) for f in SCHEMA]
    )
    with fs.staged_file(target) as file, pa.csv.CSVWriter(file, plain) as writer:
        for batch in _rows(trace, window or Window(), list(SCHEMA.names)):
            writer.write_batch(
                pa.RecordBatch.from_arrays([c.cast(t) for c, t in _typed(batch, plain)], schema=plain)
            )
            done.rows += batch.num_rows
    return done


def export_perfetto(
    trace: Trace, target: Path | str, window: Window | None = None, max_events: int = MAX_EVENTS
) -> Exported:
    """Write the single commands as trace-event JSON, for ui.perfetto.dev or chrome://tracing.

    A process stands for a channel of a scheme, a thread for a bank. Aggregated rows are left out; how many,
    and with how much energy, stands in the result and under `otherData` in the file.

    Raises
    ------
    ResourceLimitError
        Where the window holds more than `max_events` commands.
    """
    done = Exported()

    def document() -> Iterator[bytes]:
        tracks = _Tracks()
        yield b'{"displayTimeUnit":"ns","traceEvents":[\n'
        separator = ""
        for batch in _singles(trace, window or Window(), done):
            if done.rows > max_events:
                raise ResourceLimitError(
                    "the window holds too many commands for Perfetto",
                    file=trace.path,
                    expected=f"at most {max_events:,}",
                    hint="Choose a shorter one with --from and --until, or one scheme, phase or channel.",
                )
            lines = [json.dumps(event, separators=(",", ":")) for event in tracks.events(batch.to_pylist())]
            if lines:
                yield (separator + ",\n".join(lines)).encode()
                separator = ",\n"
        lines = [json.dumps(event, separators=(",", ":")) for event in tracks.rest()]
        yield ((separator if lines else "") + ",\n".join(lines)).encode()
        other = {
            "aggregated_rows_left_out": done.left_out_rows,
            "energy_left_out_fJ": done.left_out_energy_fJ,
            "time": "ts and dur in microseconds, t_ps and dur_ps in picoseconds",
        }
        yield f'\n],"otherData":{json.dumps(other)}}}\n'.encode()

    fs.write_chunks(target, document())
    return done


def export_drampower(
    trace: Trace, target: Path | str, tCK_ps: int, banks_per_group: int, window: Window | None = None
) -> Exported:
    """Write the single commands of one channel as a command trace of DRAMPower 5.

    Lines are `cycle,CMD,rank,bankgroup,bank,row,col[,data]`; the last is `END`. Banks are counted through
    within a rank, as DRAMPower does. Its command line wants the data of every read and write; nmsim knows no
    contents and writes zeros of the right length, so only DRAMPower's core energy means something.

    Parameters
    ----------
    tCK_ps : int
        Clock period; every time must be a multiple of it.
    banks_per_group : int
        Banks of a bank group.

    Raises
    ------
    TraceFormatError
        Where the window holds several schemes or channels, a command that DRAMPower does not know, a time
        that is no whole clock, or commands out of order.
    """
    done = Exported()
    fs.write_chunks(target, _drampower_lines(trace, window or Window(), tCK_ps, banks_per_group, done))
    return done


def _drampower_lines(
    trace: Trace, window: Window, tCK_ps: int, banks_per_group: int, done: Exported
) -> Iterator[bytes]:
    only: dict[str, Any] = {}
    open_banks: dict[int, set[int]] = {}
    last_ps = end_ps = 0
    for batch in _singles(trace, window, done):
        lines = []
        for row in batch.to_pylist():
            for name in ("scheme", "channel"):
                if only.setdefault(name, row[name]) != row[name]:
                    raise TraceFormatError(
                        f"DRAMPower takes one {name} at a time",
                        file=trace.path,
                        found=f"{only[name]} and {row[name]}",
                        hint=f"Choose one with --{name}.",
                    )
            if row["t_ps"] % tCK_ps or row["t_ps"] < last_ps:
                problem = "is no whole clock" if row["t_ps"] % tCK_ps else "comes after a later one"
                raise TraceFormatError(
                    f"a {row['cmd']} {problem}",
                    file=trace.path,
                    found=f"t_ps {row['t_ps']}",
                    expected=f"multiples of tCK = {tCK_ps} ps, in order",
                )
            last_ps, end_ps = row["t_ps"], max(end_ps, row["t_ps"] + row["dur_ps"])
            bank = max(row["bankgroup"], 0) * banks_per_group + max(row["bank"], 0)
            command = _drampower_command(row["cmd"], bank, open_banks.setdefault(row["rank"], set()), trace)
            address = (
                max(row["rank"], 0),
                max(row["bankgroup"], 0),
                bank,
                max(row["row"], 0),
                max(row["col"], 0),
            )
            data = "," + "00" * row["bytes"] if command in ("RD", "RDA", "WR", "WRA") else ""
            lines.append(f"{row['t_ps'] // tCK_ps},{command},{','.join(map(str, address))}{data}\n")
        yield "".join(lines).encode()
    yield f"{-(-end_ps // tCK_ps)},END,0,0,0,0,0\n".encode()


def _drampower_command(command: str, bank: int, open_banks: set[int], trace: Trace) -> str:
    """Return DRAMPower's name, keeping track of the rank's open banks."""
    if command in ("PDE", "PDX"):
        return command + ("A" if open_banks else "P")
    if command not in _DRAMPOWER:
        raise TraceFormatError("DRAMPower has no such command", file=trace.path, found=command)
    if command == "ACT":
        open_banks.add(bank)
    elif command in ("PREpb", "RDA", "WRA"):
        open_banks.discard(bank)
    elif command == "PREab":
        open_banks.clear()
    return _DRAMPOWER[command]


@dataclass
class _Tracks:
    """Perfetto's processes and threads, and the command that each thread is busy with.

    Slices of one thread may not overlap, but commands to one bank do (a read's data still comes when the next
    read starts). So a slice is drawn until the next command of its bank; `dur_ps` has the whole duration.
    """

    _pids: dict[tuple[str, int, str], int] = field(default_factory=dict)
    _tids: dict[tuple[int, tuple[int, ...]], int] = field(default_factory=dict)
    _waiting: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)

    def events(self, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the events that `rows` complete."""
        for row in rows:
            channel, source = row["channel"], "" if row["channel"] >= 0 else row["source"]
            process = (row["scheme"] or "", channel, source)
            if process not in self._pids:
                self._pids[process] = len(self._pids) + 1
                name = f"{process[0]} " + (f"channel {channel}" if channel >= 0 else source)
                yield _named("process_name", self._pids[process], 0, name.strip())
            pid = self._pids[process]
            bank = tuple(row[name] for name in ("rank", "bankgroup", "bank"))
            if (pid, bank) not in self._tids:
                # Numbered by bank, so that threads stand in the order of banks whichever comes first.
                self._tids[(pid, bank)] = tid = 1 + sum((n + 1) << (10 * (2 - i)) for i, n in enumerate(bank))
                parts = zip(("rank", "bank group", "bank"), bank, strict=True)
                yield _named(
                    "thread_name", pid, tid, ", ".join(f"{n} {v}" for n, v in parts if v >= 0) or "all"
                )
            tid = self._tids[(pid, bank)]
            event = {
                "ph": "X",
                "name": row["cmd"],
                "cat": row["phase"] or "",
                "pid": pid,
                "tid": tid,
                "ts": row["t_ps"] / 1e6,
                "dur": row["dur_ps"] / 1e6,
                "args": {
                    n: v
                    for n, v in row.items()
                    if n not in ("cmd", "phase", "scheme", "count") and v is not None
                },
            }
            previous = self._waiting.get((pid, tid))
            self._waiting[(pid, tid)] = event
            if previous is not None:
                if previous["ts"] <= event["ts"]:
                    previous["dur"] = min(previous["dur"], event["ts"] - previous["ts"])
                yield previous

    def rest(self) -> Iterator[dict[str, Any]]:
        """Yield the last event of every thread."""
        yield from self._waiting.values()


def _named(kind: str, pid: int, tid: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": pid, "tid": tid, "args": {"name": name}}


def _rows(trace: Trace, window: Window, columns: list[str]) -> Iterator[pa.RecordBatch]:
    for batch in trace.batches(columns, window.from_ps, window.to_ps):
        for name in ("scheme", "phase", "channel"):
            wanted = getattr(window, name)
            if wanted is not None:
                column = batch.column(name)
                column = column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
                batch = batch.filter(pc.fill_null(pc.equal(column, wanted), False))
        if batch.num_rows:
            yield batch


def _singles(trace: Trace, window: Window, done: Exported) -> Iterator[pa.RecordBatch]:
    """Yield the rows that are one command each; count in `done` them and those that are left out."""
    columns = ["t_ps", "dur_ps", "cmd", *_ADDRESS, "bytes", "source", "phase", "row_outcome", "energy_fJ"]
    columns += ["scheme", "array", "count"]
    for batch in _rows(trace, window, columns):
        addressed = pc.is_in(
            batch.column("cmd").cast(pa.string()), pa.array(["ACT", "RD", "WR", "RDA", "WRA"])
        )
        single = pc.and_(
            pc.and_(pc.equal(batch.column("count"), 1), pc.greater_equal(batch.column("channel"), 0)),
            pc.and_(
                pc.less(batch.column("dur_ps"), _LONGEST_COMMAND_PS),
                pc.or_(pc.invert(addressed), pc.greater_equal(batch.column("row"), 0)),
            ),
        )
        aggregates = batch.filter(pc.invert(single))
        done.left_out_rows += aggregates.num_rows
        done.left_out_energy_fJ += pc.sum(aggregates.column("energy_fJ")).as_py() or 0
        batch = batch.filter(single)
        done.rows += batch.num_rows
        if batch.num_rows:
            yield batch


def _typed(batch: pa.RecordBatch, schema: pa.Schema) -> Iterator[tuple[pa.Array, pa.DataType]]:
    return ((batch.column(f.name), f.type) for f in schema)
