"""Reading the energy trace part by part, in constant memory."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nmsim.errors import TraceFormatError
from nmsim.store.reading import check_regular, open_regular, read_json
from nmsim.trace.schema import SCHEMA

#: Rows of a batch at most.
BATCH_ROWS = 1 << 16

#: What a summary is made of: the texts that rows are summed under, then the sums.
SUMMARY_COLUMNS = ("scheme", "phase", "cmd", "count", "bytes", "energy_fJ")

_PART = re.compile(r"part-(\d{5,})\.parquet")
_WRITE_AGAIN = "It is damaged or was not written to its end; run again to write it anew."


@dataclass(frozen=True)
class Trace:
    """An energy trace on disk; make one with `open_trace`.

    Attributes
    ----------
    path : Path
        What the user named.
    files : tuple of Path
        Its parts in order.
    rows : int
        Rows of all parts.
    """

    path: Path
    files: tuple[Path, ...]
    rows: int

    def batches(
        self,
        columns: Sequence[str] | None = None,
        from_ps: int | None = None,
        to_ps: int | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows in the order of writing, at most `BATCH_ROWS` at a time.

        Parameters
        ----------
        columns : sequence of str, optional
            Columns to read, in this order; all by default.
        from_ps, to_ps : int, optional
            Only rows that start at `from_ps` or later, and before `to_ps`.

        Raises
        ------
        TraceFormatError
            Where a part is damaged; every page is checked against its CRC-32.
        """
        wanted = list(columns) if columns is not None else list(SCHEMA.names)
        windowed = from_ps is not None or to_ps is not None
        read = wanted if not windowed or "t_ps" in wanted else [*wanted, "t_ps"]
        for file in self.files:
            with _reading(file), _open_part(file) as part:
                groups = [g for g in range(part.num_row_groups) if _may_hold(part, g, from_ps, to_ps)]
                if not groups:
                    continue
                for batch in part.iter_batches(batch_size=BATCH_ROWS, row_groups=groups, columns=read):
                    _refuse_gaps(batch, file)
                    if windowed:
                        batch = batch.filter(_within(batch.column("t_ps"), from_ps, to_ps))
                    if batch.num_rows:
                        yield batch.select(wanted)

    def summary(self, batches: Iterable[pa.RecordBatch] | None = None) -> pd.DataFrame:
        """Return rows, commands, bytes and energy by scheme, phase and command.

        Columns: scheme phase cmd rows count bytes energy_fJ, in the order in which they first occur.

        Parameters
        ----------
        batches : iterable of RecordBatch, optional
            Rows of this trace with the columns `SUMMARY_COLUMNS`; all by default.
        """
        keys, sums = list(SUMMARY_COLUMNS[:3]), list(SUMMARY_COLUMNS[3:])
        totals: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        for batch in self.batches(SUMMARY_COLUMNS) if batches is None else batches:
            # Dictionary columns are grouped by their texts: the codes of two batches need not agree.
            grouped = pa.table(batch).group_by(keys, use_threads=False)
            wanted = [("count", "count"), *((name, "sum") for name in sums)]
            for group in grouped.aggregate(wanted).to_pylist():
                total = totals[tuple(group[key] or "" for key in keys)]
                for index, (name, kind) in enumerate(wanted):
                    total[index] += group[f"{name}_{kind}"]
        rows = [(*key, *total) for key, total in totals.items()]
        return pd.DataFrame(rows, columns=[*keys, "rows", *sums])

    def energy_fJ(self) -> int:
        """Return the energy of all rows."""
        return sum(pc.sum(batch.column(0)).as_py() for batch in self.batches(["energy_fJ"]))


def open_trace(path: Path | str) -> Trace:
    """Return the trace of a run's folder, of a folder of parts, or of one Parquet file.

    Raises
    ------
    TraceFormatError
        Where there is no trace, a part is missing, damaged, or not one of nmsim's.
    """
    path = Path(path)
    if path.is_dir():
        files = _parts(path if any(path.glob("part-*.parquet")) else path / "trace", path)
    elif os.path.lexists(path):
        files = (path,)
    else:
        raise TraceFormatError("no such file or folder", file=path)
    rows = 0
    for file in files:
        with _reading(file), _open_part(file) as part:
            _check_schema(part.schema_arrow, file)
            rows += part.metadata.num_rows
    if path.is_dir() and (stated := _stated_rows(files[0].parent)) not in (None, rows):
        raise TraceFormatError(
            "this is not the whole trace of its run",
            file=path,
            found=f"{rows:,} rows",
            expected=f"{stated:,}",
            hint=_WRITE_AGAIN,
        )
    return Trace(path, files, rows)


def is_trace(path: Path | str) -> bool:
    """Return whether a path names a folder or a Parquet file, by its first bytes."""
    path = Path(path)
    if not path.is_file():
        return True
    with open_regular(path) as file:
        return file.read(4) == b"PAR1"


def _stated_rows(folder: Path) -> int | None:
    """Return how many rows a run says that its trace has; None where the folder is no run's trace."""
    try:
        rows = read_json(folder.parent / "summary.json")["trace"]["rows"] if folder.name == "trace" else None
    except (OSError, ValueError, TypeError, LookupError):
        return None
    return rows if isinstance(rows, int) else None


def _parts(folder: Path, named: Path) -> tuple[Path, ...]:
    found = {int(m[1]): f for f in folder.glob("part-*.parquet") if (m := _PART.fullmatch(f.name))}
    if not found:
        hint = "Name a run's folder, or run with --set trace.level=window if it was off."
        raise TraceFormatError("there is no trace in this folder", file=named, hint=hint)
    missing = sorted(set(range(max(found) + 1)) - set(found))
    if missing:
        raise TraceFormatError(f"part {missing[0]} of the trace is missing", file=folder, hint=_WRITE_AGAIN)
    return tuple(found[number] for number in sorted(found))


def _open_part(file: Path) -> pq.ParquetFile:
    check_regular(file)  # pyarrow would wait for a pipe
    return pq.ParquetFile(file, page_checksum_verification=True)


def _check_schema(schema: pa.Schema, file: Path) -> None:
    for field in SCHEMA:
        index = schema.get_field_index(field.name)
        if index < 0 or schema.field(index).type != field.type:
            found = "no such column" if index < 0 else str(schema.field(index).type)
            raise TraceFormatError(
                f"not a trace that nmsim wrote: column {field.name}",
                file=file,
                found=found,
                expected=str(field.type),
            )


def _refuse_gaps(batch: pa.RecordBatch, file: Path) -> None:
    """Refuse numbers that are missing: nmsim writes all of them, and a sum over them would leave some out."""
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if column.null_count and not pa.types.is_dictionary(column.type):
            found = f"{column.null_count:,} empty values of {name}"
            raise TraceFormatError(
                "numbers are missing in this trace", file=file, found=found, hint=_WRITE_AGAIN
            )


class _reading:  # noqa: N801 - used as a statement
    """Turns what pyarrow says about a bad file into one line for the user."""

    def __init__(self, file: Path):
        self._file = file

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError) and error.strerror:
            raise TraceFormatError(f"cannot read this: {error.strerror}", file=self._file) from None
        if isinstance(error, pa.ArrowException | OSError | EOFError | ValueError):
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise TraceFormatError(
                "cannot be read as Parquet", file=self._file, found=reason[:120], hint=_WRITE_AGAIN
            ) from None


def _may_hold(part: pq.ParquetFile, group: int, from_ps: int | None, to_ps: int | None) -> bool:
    """Say whether a row group can have rows that start in the window, from its statistics alone."""
    column = part.schema_arrow.get_field_index("t_ps")
    statistics = part.metadata.row_group(group).column(column).statistics
    if statistics is None or not statistics.has_min_max:
        return True
    return (from_ps is None or statistics.max >= from_ps) and (to_ps is None or statistics.min < to_ps)


def _within(t_ps: pa.Array, from_ps: int | None, to_ps: int | None) -> pa.Array:
    inside = pc.is_valid(t_ps)
    if from_ps is not None:
        inside = pc.and_(inside, pc.greater_equal(t_ps, from_ps))
    if to_ps is not None:
        inside = pc.and_(inside, pc.less(t_ps, to_ps))
    return inside
