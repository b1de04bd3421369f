"""The whole trace as CSV."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from nmsim.store import fs
from nmsim.trace.exporters.window import Exported, Window, check_not_empty, rows_of
from nmsim.trace.reader import Trace
from nmsim.trace.schema import SCHEMA


def export_csv(trace: Trace, target: Path | str, window: Window | None = None) -> Exported:
    """Write the rows, aggregates included, as CSV with a header; texts that are absent are empty."""
    done, window = Exported(), window or Window()
    plain = pa.schema(
        [pa.field(f.name, pa.string() if pa.types.is_dictionary(f.type) else f.type) for f in SCHEMA]
    )
    with fs.staged_file(target) as file, pa.csv.CSVWriter(file, plain) as writer:
        for batch in rows_of(trace, window, list(SCHEMA.names)):
            columns = [batch.column(field.name).cast(field.type) for field in plain]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=plain))
            done.rows += batch.num_rows
        check_not_empty(done, trace, window)
    return done
