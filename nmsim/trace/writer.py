"""Writing the energy trace: Parquet parts, encoded in a thread of their own, published one by one."""

from __future__ import annotations

import queue
import threading
from collections import defaultdict
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from nmsim.store import fs
from nmsim.trace.schema import COMPONENT_COLUMNS, PART_ROWS, SCHEMA

#: Rows that are encoded together. A row group is what a reader holds in memory at a time.
GROUP_ROWS = 1 << 17

#: Row groups that may wait for the encoder; `write` blocks when there are more.
_WAITING = 2

# Times grow steadily and rows have too many values for a dictionary: differences are smaller and faster. What
# is left repeats a few values.
_DELTA_COLUMNS = ["t_ps", "row", "col"]
_DICTIONARY_COLUMNS = [name for name in SCHEMA.names if name not in _DELTA_COLUMNS]
#: Only a window of time is ever looked for.
_STATISTICS_COLUMNS = ["t_ps"]


def part_name(number: int) -> str:
    """Return the file name of a trace's part, counted from 0."""
    return f"part-{number:05d}.parquet"


class TraceWriter:
    """Writes `part-00000.parquet`, `part-00001.parquet`, … into a folder.

    A part appears whole or not at all: it is encoded in memory and published when it is full or the writer
    is closed. Use the writer as a context manager; an exception in the block drops the part in progress.

    Parameters
    ----------
    folder : Path
        Where the parts go; made when the first one is published. It must not hold parts yet.
    part_rows : int
        Rows of a part at most, at least 1.

    Attributes
    ----------
    rows : int
        Rows given to `write` so far.

    Raises
    ------
    StoreError
        From `write` or `close`, where a part cannot be written.
    """

    def __init__(self, folder: Path, part_rows: int = PART_ROWS):
        if part_rows < 1:
            raise ValueError(f"part_rows must be at least 1, found {part_rows}")
        self.folder, self.part_rows, self.rows = Path(folder), part_rows, 0
        self._pending: list[pa.Table] = []
        self._pending_rows = 0
        self._sums_fJ: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._encoder = _Encoder(self.folder)
        self._closed = False

    @property
    def energy_fJ(self) -> dict[str, dict[str, int]]:
        """Return the exact sums so far by scheme and component, and in `total` that of `energy_fJ`."""
        found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for (scheme, _), sums in self._sums_fJ.items():
            for name, energy in sums.items():
                found[scheme][name] += energy
        return {scheme: dict(sums) for scheme, sums in found.items()}

    @property
    def phase_energy_fJ(self) -> dict[str, dict[str, int]]:
        """Return the exact sums of `energy_fJ` so far by scheme and phase."""
        found: dict[str, dict[str, int]] = defaultdict(dict)
        for (scheme, phase), sums in self._sums_fJ.items():
            found[scheme][phase] = sums["total"]
        return dict(found)

    def write(self, table: pa.Table) -> None:
        """Append rows; `table` has the schema `nmsim.trace.schema.SCHEMA`."""
        if self._closed:
            raise ValueError("the trace is closed")
        if table.schema != SCHEMA:
            raise ValueError("a trace table must have the schema of nmsim.trace.schema")
        self._add_energy(table)
        self.rows += table.num_rows
        while table.num_rows:
            part_left = self.part_rows - (self.rows - table.num_rows) % self.part_rows
            room = min(GROUP_ROWS - self._pending_rows, part_left)
            self._pending.append(table.slice(0, room))
            self._pending_rows += min(room, table.num_rows)
            if self._pending_rows == GROUP_ROWS or table.num_rows >= part_left:
                self._flush(ends_part=table.num_rows >= part_left)
            table = table.slice(room)

    def _add_energy(self, table: pa.Table) -> None:
        wanted = [*COMPONENT_COLUMNS, "energy_fJ"]
        groups = table.select(["scheme", "phase", *wanted]).group_by(["scheme", "phase"], use_threads=False)
        sums = groups.aggregate([(n, "sum") for n in wanted])
        for row in sums.to_pylist():
            into = self._sums_fJ[row["scheme"] or "", row["phase"] or ""]
            for name in wanted:
                key = "total" if name == "energy_fJ" else name.removesuffix("_fJ")
                into[key] += row[f"{name}_sum"]

    def _flush(self, ends_part: bool) -> None:
        self._encoder.put(self._pending, ends_part)
        self._pending, self._pending_rows = [], 0

    def close(self) -> None:
        """Publish what is left and wait for the encoder; a trace without rows becomes one empty part."""
        if self._closed:
            return
        self._closed = True
        if self._pending or not self.rows:
            self._flush(ends_part=True)
        self._encoder.finish()

    def __enter__(self) -> TraceWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self._closed = True
            self._encoder.abandon()


class _Encoder:
    """The thread that turns row groups into Parquet parts; one thread, so the order of rows is kept."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._queue: queue.Queue[tuple[list[pa.Table], bool] | None] = queue.Queue(_WAITING)
        self._error: BaseException | None = None
        self._abandoned = False
        self._thread = threading.Thread(target=self._work, name="nmsim-trace", daemon=True)
        self._thread.start()

    def put(self, tables: list[pa.Table], ends_part: bool) -> None:
        self._queue.put((tables, ends_part))
        self._raise()

    def finish(self) -> None:
        self._queue.put(None)
        self._thread.join()
        self._raise()

    def abandon(self) -> None:
        self._abandoned = True
        self._queue.put(None)
        self._thread.join()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        part = _Part(self._folder, 0)
        # After an error the queue is still emptied, so that `put` never waits for a dead thread.
        while (item := self._queue.get()) is not None:
            if self._error is not None or self._abandoned:
                continue
            tables, ends_part = item
            try:
                group = pa.concat_tables(tables or [SCHEMA.empty_table()]).unify_dictionaries()
                part.write(group)
                if ends_part:
                    part.publish()
                    part = _Part(self._folder, part.number + 1)
            except BaseException as error:
                self._error = error


class _Part:
    """One part file while it grows in memory."""

    def __init__(self, folder: Path, number: int):
        self.number = number
        self._path = folder / part_name(number)
        self._sink = pa.BufferOutputStream()
        self._writer = pq.ParquetWriter(
            self._sink,
            SCHEMA,
            compression="zstd",
            compression_level=1,
            use_dictionary=_DICTIONARY_COLUMNS,
            column_encoding=dict.fromkeys(_DELTA_COLUMNS, "DELTA_BINARY_PACKED"),
            write_statistics=_STATISTICS_COLUMNS,
            write_page_checksum=True,
        )

    def write(self, group: pa.Table) -> None:
        self._writer.write_table(group, row_group_size=GROUP_ROWS)

    def publish(self) -> None:
        self._writer.close()
        fs.write_bytes(self._path, self._sink.getvalue())
