"""The commands of a run's energy trace as a command trace of other programs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from nmsim.dram.activity import CommandLog
from nmsim.dram.commands import COMMANDS
from nmsim.dram.durations import command_durations
from nmsim.dram.spec import DramSpec
from nmsim.errors import ProtocolViolation, TraceFormatError
from nmsim.trace.exporters.commands import CommandFile
from nmsim.trace.exporters.judge import check_memory, command_log
from nmsim.trace.exporters.window import Exported, Window, check_not_empty, singles_of
from nmsim.trace.reader import Trace

_WHOLE = (
    "A legal stream has every command from its start: run with --set trace.level=access, and with "
    "simulation.iterations as high as a step is repeated."
)


def export_commands(
    trace: Trace,
    target: Path | str,
    spec: DramSpec,
    format: str,
    window: Window | None = None,
    refresh: str = "all_bank",
) -> Exported:
    """Write the single commands of one channel of one scheme; see `nmsim.trace.exporters.commands`.

    Parameters
    ----------
    spec : DramSpec
        The memory of the trace; its standard says which streams are legal. All banks are closed, and no
        refresh is owed, at the first command of the window.
    format : str
        One of `COMMAND_FORMATS`.
    refresh : {"all_bank", "per_bank", "none"}
        By what the controller refreshes.

    Raises
    ------
    TraceFormatError
        Where the window holds nothing, several schemes or channels, near-memory accesses, an unknown command,
        or a time that is no whole clock.
    ProtocolViolation
        Where the commands are not legal one after another, as when some between them are left out.
    """
    done, window = Exported(), window or Window()
    logs = _logs(trace, window, spec, done)
    first = next(logs, None)
    check_not_empty(done, trace, window)
    assert first is not None, "or it would have been empty"
    channel, log, _ = first
    start_clk = int(log.clk[0])
    with CommandFile(target, spec, format, channel=channel, refresh=refresh, start_clk=start_clk) as file:
        try:
            for _, log, over_clk in chain([first], logs):
                file.write(log)
                end_clk = over_clk
            file.end(end_clk)
        except ProtocolViolation as error:
            error.file = trace.path
            error.hint = _WHOLE
            raise
    return done


def _logs(
    trace: Trace, window: Window, spec: DramSpec, done: Exported
) -> Iterator[tuple[int, CommandLog, int]]:
    """Yield the channel, its commands as the engine would have logged them, and when all so far are over."""
    only: dict[str, Any] = {}
    end_ps = 0
    refresh_clk = command_durations(spec).get("REFpb")
    refresh_ps = None if refresh_clk is None else refresh_clk * spec.tCK_ps
    for batch in singles_of(trace, window, done, refresh_ps):
        _check_exportable(batch, only, spec, trace)
        ends_ps = pc.add(batch.column("t_ps"), batch.column("dur_ps"))
        end_ps = max(end_ps, pc.max(ends_ps).as_py())
        yield only["channel"], command_log(batch, spec.tCK_ps), -(-end_ps // spec.tCK_ps)


def _check_exportable(batch: pa.RecordBatch, only: dict[str, Any], spec: DramSpec, trace: Trace) -> None:
    """Refuse rows that a reader would misread; `only` remembers scheme and channel of earlier batches."""
    for name in ("scheme", "channel"):
        values = batch.column(name)
        values = values.cast(pa.string()) if pa.types.is_dictionary(values.type) else values
        for value in pc.unique(values).to_pylist():
            if only.setdefault(name, value) != value:
                raise TraceFormatError(
                    f"a command trace is of one {name}",
                    file=trace.path,
                    found=f"{only[name]} and {value}",
                    hint=f"Choose one with --{name}.",
                )
    commands = set(pc.unique(batch.column("cmd").cast(pa.string())).to_pylist())
    if strange := sorted(commands - set(COMMANDS)):
        raise TraceFormatError("there is no such DRAM command", file=trace.path, found=", ".join(strange))
    if pc.any(pc.equal(batch.column("source").cast(pa.string()), "nmc")).as_py():
        raise TraceFormatError(
            "no other program knows near-memory accesses",
            file=trace.path,
            hint="Choose a scheme or a time without them.",
        )
    check_memory(batch, spec, trace)
