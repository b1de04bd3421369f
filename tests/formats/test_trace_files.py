"""Does a trace come back as it was written, and is a bad one refused?"""

from __future__ import annotations

import errno
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from trace_samples import random_table

from nmsim.energy.components import COMPONENTS
from nmsim.errors import StoreError, TraceFormatError
from nmsim.store import fs
from nmsim.trace.reader import open_trace
from nmsim.trace.schema import SCHEMA
from nmsim.trace.writer import TraceWriter, part_name


def written(folder: Path, tables: list[pa.Table], part_rows: int = 1000) -> TraceWriter:
    with TraceWriter(folder, part_rows) as writer:
        for table in tables:
            writer.write(table)
    return writer


def as_frame(table: pa.Table) -> pd.DataFrame:
    return table.to_pandas().astype(dict.fromkeys(table.column_names, object))


@pytest.mark.parametrize("sizes", [[10], [999, 1, 1], [2500], [300] * 7, [1000, 1000], [0, 5, 0]])
def test_rows_come_back_in_order_however_they_are_cut(tmp_path, sizes):
    tables = [random_table(n, seed, scheme=f"s{seed % 2}") for seed, n in enumerate(sizes)]
    writer = written(tmp_path / "trace", tables)
    trace = open_trace(tmp_path / "trace")
    back = pa.Table.from_batches(trace.batches(), schema=SCHEMA)
    pd.testing.assert_frame_equal(as_frame(back), as_frame(pa.concat_tables(tables)))
    assert trace.rows == writer.rows == sum(sizes)


def test_parts_are_full_except_the_last_and_counted_through(tmp_path):
    written(tmp_path, [random_table(2500, 0)], part_rows=1000)
    rows = [pq.ParquetFile(tmp_path / part_name(i)).metadata.num_rows for i in range(3)]
    assert rows == [1000, 1000, 500]
    assert sorted(p.name for p in tmp_path.iterdir()) == [part_name(i) for i in range(3)]


def test_text_columns_are_dictionaries_and_everything_is_zstd(tmp_path):
    written(tmp_path, [random_table(100, 0)])
    part = pq.ParquetFile(tmp_path / part_name(0))
    assert part.schema_arrow.equals(SCHEMA)
    group = part.metadata.row_group(0)
    assert {group.column(i).compression for i in range(group.num_columns)} == {"ZSTD"}


def test_a_trace_without_rows_is_a_trace(tmp_path):
    written(tmp_path, [])
    trace = open_trace(tmp_path)
    assert trace.rows == 0 and list(trace.batches()) == [] and trace.summary().empty


def test_the_writers_sums_are_those_of_the_rows(tmp_path):
    tables = [random_table(700, seed, scheme) for seed, scheme in enumerate(["full", "random", "full"])]
    energy = written(tmp_path, tables).energy_fJ
    for scheme, chosen in {"full": [tables[0], tables[2]], "random": [tables[1]]}.items():
        rows = pa.concat_tables(chosen)
        for name in COMPONENTS:
            assert energy[scheme][name] == sum(rows[f"{name}_fJ"].to_pylist())
        assert energy[scheme]["total"] == sum(energy[scheme][name] for name in COMPONENTS)


def test_an_exception_drops_the_part_in_progress(tmp_path):
    with pytest.raises(KeyboardInterrupt), TraceWriter(tmp_path / "trace", part_rows=100) as writer:
        writer.write(random_table(50, 0))
        raise KeyboardInterrupt
    assert not (tmp_path / "trace").exists()


def test_a_full_disk_surfaces_in_write_or_close_as_one_line(tmp_path, monkeypatch):
    def full(path, data):
        raise StoreError("cannot write this: No space left on device", file=path)

    monkeypatch.setattr(fs, "write_bytes", full)
    with pytest.raises(StoreError, match="No space left"):
        written(tmp_path, [random_table(100, i) for i in range(40)], part_rows=100)


def test_an_unwritable_folder_is_a_store_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError) as caught:
        written(tmp_path / "file" / "trace", [random_table(10, 0)])
    assert caught.value.__cause__.errno in (errno.ENOTDIR, errno.EEXIST)


def test_a_table_of_another_schema_is_refused(tmp_path):
    with TraceWriter(tmp_path) as writer, pytest.raises(ValueError, match="schema"):
        writer.write(pa.table({"t_ps": [1]}))


@pytest.mark.parametrize("window", [(None, 400_000), (400_000, None), (100_000, 900_000), (5, 5)])
def test_a_window_holds_the_rows_that_start_in_it(tmp_path, window):
    table = random_table(500, 3)
    written(tmp_path, [table], part_rows=100)
    low, high = window[0] or 0, window[1] if window[1] is not None else 1 << 62
    expected = [t for t in table["t_ps"].to_pylist() if low <= t < high]
    batches = open_trace(tmp_path).batches(["energy_fJ", "t_ps"], *window)
    assert [t for b in batches for t in b.column("t_ps").to_pylist()] == expected
    energies = open_trace(tmp_path).batches(["energy_fJ"], *window)
    assert all(b.schema.names == ["energy_fJ"] for b in energies)


def test_the_summary_is_the_sum_over_rows(tmp_path):
    tables = [random_table(600, seed, scheme) for seed, scheme in enumerate(["full", "random", "full"])]
    written(tmp_path, tables, part_rows=250)
    summary = open_trace(tmp_path).summary()
    rows = pa.concat_tables(tables).to_pandas().astype(dict.fromkeys(("scheme", "phase", "cmd"), str))
    expected = rows.groupby(["scheme", "phase", "cmd"])[["count", "bytes", "energy_fJ"]].sum()
    found = summary.set_index(["scheme", "phase", "cmd"]).sort_index()
    pd.testing.assert_frame_equal(found[["count", "bytes", "energy_fJ"]], expected, check_names=False)
    assert summary["rows"].sum() == 1800 and open_trace(tmp_path).energy_fJ() == rows["energy_fJ"].sum()


def test_a_run_folder_a_trace_folder_and_a_file_are_all_traces(tmp_path):
    written(tmp_path / "run" / "trace", [random_table(30, 1)])
    run, folder = tmp_path / "run", tmp_path / "run" / "trace"
    energies = [open_trace(path).energy_fJ() for path in (run, folder, folder / part_name(0))]
    assert len(set(energies)) == 1


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def flip_a_data_bit(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[200] ^= 1
    file.write_bytes(data)


def make_foreign(file: Path) -> None:
    pq.write_table(pa.table({"t_ps": [1, 2]}), file)


def retype(file: Path) -> None:
    table = pq.read_table(file)
    pq.write_table(table.set_column(0, "t_ps", pc.cast(table["t_ps"], pa.float64())), file)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (truncate, "Parquet"),
        (flip_a_data_bit, "Parquet"),
        (make_foreign, "dur_ps"),
        (retype, "t_ps.*double"),
        (lambda f: f.write_bytes(b""), "Parquet"),
        (lambda f: f.write_text("t_ps,cmd\n"), "Parquet"),
    ],
)
def test_a_damaged_or_foreign_part_is_one_line_that_names_it(tmp_path, damage, words):
    written(tmp_path, [random_table(300, 1)], part_rows=100)
    damage(tmp_path / part_name(1))
    with pytest.raises(TraceFormatError, match=words) as caught:
        list(open_trace(tmp_path).batches())
    assert part_name(1) in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_part_is_missed(tmp_path):
    written(tmp_path, [random_table(300, 1)], part_rows=100)
    (tmp_path / part_name(1)).unlink()
    with pytest.raises(TraceFormatError, match="part 1 of the trace is missing"):
        open_trace(tmp_path)


def test_a_path_without_a_trace_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(TraceFormatError):
            open_trace(path)
