"""Which rows of a trace an export takes, and what it leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from nmsim.errors import TraceFormatError
from nmsim.trace.reader import Trace
from nmsim.units import format_time

#: The columns that say which bank, row and column a command goes to.
ADDRESS = ("channel", "rank", "bankgroup", "bank", "row", "col")


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

    @property
    def text(self) -> str:
        """Return what is chosen, for messages; empty where that is everything."""
        return ", ".join(f"{name} {value}" for name, value in vars(self).items() if value is not None)


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


def check_not_empty(done: Exported, trace: Trace, window: Window) -> None:
    """Raise TraceFormatError where an export has come to its end without a row."""
    if done.rows:
        return
    check_choice_exists(trace, window)
    aggregates = (
        f"{done.left_out_rows} aggregated rows, and no single command" if done.left_out_rows else None
    )
    raise TraceFormatError(
        "nothing in the trace is to be written",
        file=trace.path,
        found=aggregates or window.text or "no row",
        hint="Run with --set trace.level=access to keep every command." if aggregates else None,
    )


def nothing_in(trace: Trace, window: Window) -> TraceFormatError:
    """Return the error that a trace has no row in a window; it says what there is instead."""
    check_choice_exists(trace, window)
    message, first, last = "nothing in the trace lies in this window", None, None
    for batch in trace.batches(["t_ps"]):
        span = pc.min_max(batch.column(0)).as_py()
        first = span["min"] if first is None else min(first, span["min"])
        last = span["max"] if last is None else max(last, span["max"])
    if first is None or last is None:
        return TraceFormatError("this trace holds no rows", file=trace.path)
    hint = f"Rows of the whole trace start from {format_time(first)} to {format_time(last)}."
    return TraceFormatError(message, file=trace.path, found=window.text or None, hint=hint)


def check_choice_exists(trace: Trace, window: Window) -> None:
    """Raise TraceFormatError where the trace has not the scheme or the phase of a window."""
    for name in ("scheme", "phase"):
        chosen = getattr(window, name)
        if chosen is None:
            continue
        known = [text for text in trace.summary()[name].unique().tolist() if text]
        if chosen not in known:
            raise TraceFormatError(
                f"the trace has no such {name}",
                file=trace.path,
                found=chosen,
                expected=" or ".join(known) or None,
            )


def rows_of(trace: Trace, window: Window, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of the window; `columns` holds those that the window looks at."""
    for batch in trace.batches(columns, window.from_ps, window.to_ps):
        for name in ("scheme", "phase", "channel"):
            wanted = getattr(window, name)
            if wanted is not None:
                column = batch.column(name)
                column = column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
                batch = batch.filter(pc.fill_null(pc.equal(column, wanted), False))
        if batch.num_rows:
            yield batch


def singles_of(
    trace: Trace, window: Window, done: Exported, refresh_ps: int | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the rows that are one command each; count in `done` them and those that are left out.

    `refresh_ps` is the duration of REFpb, where it is known: this one command to a bank names no row, so that
    only its duration tells it from an aggregate of one, which is as long as its phase.
    """
    columns = ["t_ps", "dur_ps", "cmd", *ADDRESS, "bytes", "source", "phase", "row_outcome", "energy_fJ"]
    columns += ["scheme", "array", "count"]
    for batch in rows_of(trace, window, columns):
        single = is_single(batch, refresh_ps)
        aggregates = batch.filter(pc.invert(single))
        done.left_out_rows += aggregates.num_rows
        done.left_out_energy_fJ += pc.sum(aggregates.column("energy_fJ")).as_py() or 0
        batch = batch.filter(single)
        done.rows += batch.num_rows
        if batch.num_rows:
            yield batch


def is_single(batch: pa.RecordBatch, refresh_ps: int | None = None) -> pa.Array:
    """Return which rows are one command each; `refresh_ps` as in `singles_of`."""
    # A command to a bank names its row (but for REFpb), one to a whole rank names no bank; an aggregate is of
    # a bank, or of no channel, and names no row.
    of_a_bank = pc.greater_equal(batch.column("row"), 0)
    of_a_rank = pc.and_(pc.less(batch.column("bank"), 0), pc.greater_equal(batch.column("channel"), 0))
    is_refresh = pc.equal(batch.column("cmd").cast(pa.string()), "REFpb")
    is_refresh = pc.and_(is_refresh, pc.equal(batch.column("count"), 1))
    if refresh_ps is not None:
        is_refresh = pc.and_(is_refresh, pc.equal(batch.column("dur_ps"), refresh_ps))
    return pc.or_(pc.or_(of_a_bank, of_a_rank), is_refresh)
