"""Commands for ui.perfetto.dev: Chrome's trace-event format, in JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nmsim.dram.activity import CommandLog
from nmsim.dram.commands import COMMANDS, OUTCOMES
from nmsim.dram.durations import command_durations
from nmsim.dram.spec import DramSpec
from nmsim.errors import ResourceLimitError
from nmsim.store import fs
from nmsim.trace.exporters.judge import Judge
from nmsim.trace.exporters.window import Exported, Window, check_not_empty, singles_of
from nmsim.trace.reader import Trace

#: Perfetto's page holds a whole trace in the browser's memory; much more than this and it gives up.
MAX_EVENTS = 500_000


def export_perfetto(
    trace: Trace,
    target: Path | str,
    window: Window | None = None,
    max_events: int = MAX_EVENTS,
    spec: DramSpec | None = None,
) -> Exported:
    """Write the single commands of an energy trace as trace-event JSON.

    A process stands for a channel of a scheme, a thread for a bank; one more process shows the phases of each
    scheme, as far as its commands reach. Aggregated rows are left out; how many,
    and with how much energy, stands in the result and under `otherData` in the file.

    Parameters
    ----------
    spec : DramSpec, optional
        The memory of the trace, against which commands are checked as far as the trace allows it (see
        `nmsim.trace.exporters.judge`); how many were stands under `otherData`.

    Raises
    ------
    ResourceLimitError
        Where the window holds more than `max_events` commands.
    TraceFormatError
        Where it holds none, or those of another memory.
    ProtocolViolation
        Where a command that is checked is illegal.
    """
    done, window = Exported(), window or Window()
    judge = None if spec is None else Judge(spec, trace)

    def pieces() -> Iterator[bytes]:
        document = _Document(
            trace.path, "Choose a shorter one with --from and --until, or one channel.", max_events
        )
        yield document.head()
        for batch in singles_of(trace, window, done):
            document.count(batch.num_rows)
            if judge is not None:
                judge.check(batch)
            yield document.body(batch.to_pylist())
        check_not_empty(done, trace, window)
        yield document.tail(
            {
                "aggregated_rows_left_out": done.left_out_rows,
                "energy_left_out_fJ": done.left_out_energy_fJ,
                "commands_checked": 0 if judge is None else judge.checked,
            }
        )

    fs.write_chunks(target, pieces())
    return done


class PerfettoEvents:
    """Writes the commands of a channel as trace-event JSON: a process for the channel, a thread for a bank.

    Parameters
    ----------
    spec : DramSpec
    channel : int
    path : Path
        The file, to be named where it would hold too much.
    """

    def __init__(self, spec: DramSpec, channel: int, path: Path):
        hint = "Choose a shorter time with --commands-from and --commands-until."
        self._document = _Document(path, hint, MAX_EVENTS)
        self._channel, self._tCK_ps = channel, spec.tCK_ps
        durations_clk = command_durations(spec)
        self._durations_ps = np.array([durations_clk.get(c, 1) for c in COMMANDS]) * spec.tCK_ps

    def head(self) -> bytes:
        """Return the beginning of the document."""
        return self._document.head()

    def body(self, log: CommandLog, keep: np.ndarray) -> bytes:
        """Return the events that those commands of a log complete that are kept."""
        self._document.count(int(keep.sum()))
        command = log.command[keep]
        columns = {
            "t_ps": log.clk[keep] * self._tCK_ps,
            "dur_ps": self._durations_ps[command],
            "cmd": [COMMANDS[c] for c in command.tolist()],
            "clk": log.clk[keep],
            **{name: getattr(log, name)[keep] for name in ("rank", "bankgroup", "bank", "row")},
            "col": log.column[keep],
            "row_outcome": [OUTCOMES[o] if o >= 0 else None for o in log.outcome[keep].tolist()],
        }
        lists = [c.tolist() if isinstance(c, np.ndarray) else c for c in columns.values()]
        constant = {"channel": self._channel, "source": "", "scheme": "", "phase": ""}
        rows = (constant | dict(zip(columns, values, strict=True)) for values in zip(*lists, strict=True))
        return self._document.body(rows)

    def tail(self, clk: int) -> bytes:
        """Return the end of the document."""
        return self._document.tail({"end_clk": clk})


class _Document:
    """Trace-event JSON in pieces."""

    def __init__(self, path: Path, hint: str, max_events: int):
        self._path, self._hint, self._max_events = path, hint, max_events
        self._tracks, self._commands, self._separator = _Tracks(), 0, ""

    def count(self, commands: int) -> None:
        """Raise ResourceLimitError where so many more commands would be too many."""
        self._commands += commands
        if self._commands > self._max_events:
            raise ResourceLimitError(
                "the window holds too many commands for Perfetto",
                file=self._path,
                expected=f"at most {self._max_events:,}",
                hint=self._hint,
            )

    def head(self) -> bytes:
        return b'{"displayTimeUnit":"ns","traceEvents":[\n'

    def body(self, rows: Iterable[dict[str, Any]]) -> bytes:
        return self._lines(self._tracks.events(rows))

    def tail(self, other: dict[str, Any]) -> bytes:
        other = {**other, "time": "ts and dur in microseconds, t_ps and dur_ps in picoseconds"}
        return self._lines(self._tracks.rest()) + f'\n],"otherData":{json.dumps(other)}}}\n'.encode()

    def _lines(self, events: Iterable[dict[str, Any]]) -> bytes:
        lines = ",\n".join(json.dumps(event, separators=(",", ":")) for event in events)
        if not lines:
            return b""
        lines, self._separator = self._separator + lines, ",\n"
        return lines.encode()


@dataclass
class _Tracks:
    """Perfetto's processes and threads, and the command that each thread is busy with.

    Slices of one thread may not overlap, but commands to one bank do (a read's data still comes when the next
    read starts). So a slice is drawn until the next command of its bank; `dur_ps` has the whole duration.
    """

    _pids: dict[tuple[str, int, str], int] = field(default_factory=dict)
    _tids: dict[tuple[int, tuple[int, ...]], int] = field(default_factory=dict)
    _waiting: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    _phases: dict[int, dict[str, Any]] = field(default_factory=dict)

    def events(self, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the events that `rows` complete."""
        for row in rows:
            if row["phase"]:
                yield from self._phase(row)
            channel, source = row["channel"], "" if row["channel"] >= 0 else row["source"]
            name = f"channel {channel}" if channel >= 0 else source
            pid, new = self._process(row["scheme"] or "", channel, source)
            if new:
                yield _named("process_name", pid, 0, f"{row['scheme'] or ''} {name}".strip())
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
                    if n not in ("cmd", "phase", "scheme", "count") and v not in (None, "")
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
        yield from self._phases.values()

    def _process(self, scheme: str, channel: int, source: str) -> tuple[int, bool]:
        """Return the number of a process, and whether it is new."""
        process, known = (scheme, channel, source), len(self._pids)
        pid = self._pids.setdefault(process, known + 1)
        return pid, len(self._pids) > known

    def _phase(self, row: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Let a scheme's phase last until this command ends; yield the one before where it is another."""
        pid, new = self._process(row["scheme"] or "", -1, "phases")
        if new:
            yield _named("process_name", pid, 0, f"{row['scheme'] or ''} phases".strip())
            yield _named("thread_name", pid, 1, "phases")
        start, end = row["t_ps"] / 1e6, (row["t_ps"] + row["dur_ps"]) / 1e6
        now = self._phases.get(pid)
        if now is not None and now["name"] == row["phase"]:
            now["dur"] = max(now["dur"], end - now["ts"])
            return
        if now is not None:
            now["dur"] = max(0.0, min(now["dur"], start - now["ts"]))
            yield now
        event = {"ph": "X", "name": row["phase"], "cat": "phase", "pid": pid, "tid": 1}
        self._phases[pid] = {**event, "ts": start, "dur": end - start, "args": {}}


def _named(kind: str, pid: int, tid: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": pid, "tid": tid, "args": {"name": name}}
