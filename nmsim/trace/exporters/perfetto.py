"""A trace for ui.perfetto.dev: Chrome's trace-event format, in JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nmsim.errors import ResourceLimitError
from nmsim.store import fs
from nmsim.trace.exporters.window import Exported, Window, singles_of
from nmsim.trace.reader import Trace

#: Perfetto's page holds a whole trace in the browser's memory; much more than this and it gives up.
MAX_EVENTS = 500_000


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
        for batch in singles_of(trace, window or Window(), done):
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
