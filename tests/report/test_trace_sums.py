"""Are sums over a trace exact, whatever its parts, row groups and order?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nmsim.energy.components import COMPONENTS, DDR_COMPONENTS
from nmsim.errors import TraceFormatError
from nmsim.report import frames
from nmsim.report.run import load_run
from nmsim.trace import reader
from nmsim.trace.reader import open_trace


@pytest.fixture
def trace(run_folder: Path) -> pa.Table:
    return pa.concat_tables(pq.read_table(path) for path in load_run(run_folder).trace_files)


def _sums_of(table: pa.Table, path: Path, **options) -> pd.DataFrame:
    pq.write_table(table, path, **options)
    return frames.trace_sums(path)


def _sorted(frame: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    return frame.sort_values(keys).reset_index(drop=True)


def test_energy_equals_a_sum_over_the_whole_trace_in_memory(run_folder: Path, trace: pa.Table):
    # The twin holds all rows at once and adds them with Python's unbounded integers.
    twin: dict[tuple[str, str, str], int] = {}
    for row in trace.to_pylist():
        for name in COMPONENTS:
            key = (row["scheme"], row["phase"], name)
            twin[key] = twin.get(key, 0) + row[f"{name}_fJ"]
    energy = frames.energy_by_component(frames.trace_sums(run_folder))
    assert dict(zip(zip(energy["scheme"], energy["phase"], energy["component"], strict=True), energy["energy_fJ"], strict=True)) == twin  # fmt: skip  # noqa: E501


def test_the_trace_gives_the_three_energies_of_the_summary_with_difference_0(run_folder: Path):
    run = load_run(run_folder)
    layers = frames.energy_by_layer(frames.trace_sums(run.path))
    for name in ("dataset_ddr_energy_fJ", "ddr_energy_fJ", "system_energy_fJ"):
        assert list(layers[name]) == list(run.schemes[name])


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_the_size_of_row_groups_changes_nothing(trace: pa.Table, tmp_path: Path, rows: int):
    whole = _sums_of(trace, tmp_path / "a.parquet")
    split = _sums_of(trace.slice(0, 200), tmp_path / "b.parquet", row_group_size=rows)
    pd.testing.assert_frame_equal(split, _sums_of(trace.slice(0, 200), tmp_path / "c.parquet"))
    assert whole["energy_fJ"].sum() > split["energy_fJ"].sum() > 0


def test_folding_partial_sums_changes_nothing(trace: pa.Table, tmp_path: Path, monkeypatch):
    whole = _sums_of(trace, tmp_path / "a.parquet")
    monkeypatch.setattr(reader, "BATCH_ROWS", 16)
    monkeypatch.setattr(frames, "_FOLD_ROWS", 20)
    pd.testing.assert_frame_equal(frames.trace_sums(tmp_path / "a.parquet"), whole)


def test_the_same_part_twice_doubles_every_sum(run_folder: Path):
    trace = open_trace(run_folder)
    once, twice = frames.trace_sums(trace), frames.trace_sums(replace(trace, files=trace.files * 2))
    for name in frames.SUMMED:
        assert (twice[name] == 2 * once[name]).all()


def test_the_order_of_rows_changes_no_sum(trace: pa.Table, tmp_path: Path):
    shuffled = trace.take(np.random.default_rng(3).permutation(trace.num_rows))
    a, b = _sums_of(trace, tmp_path / "a.parquet"), _sums_of(shuffled, tmp_path / "b.parquet")
    pd.testing.assert_frame_equal(_sorted(a, frames.KEYS), _sorted(b, frames.KEYS))


def test_sums_beyond_the_whole_numbers_of_a_double_are_exact(trace: pa.Table, tmp_path: Path):
    # 2**53 + 1 is the first whole number that a double cannot hold.
    rows = trace.slice(0, 3)
    zero = pa.array([0, 0, 0], pa.int64())
    for name in ["energy_fJ", *frames.COMPONENT_COLUMNS]:
        index = rows.schema.get_field_index(name)
        big = pa.array([2**53 + 1, 2, 0], pa.int64()) if name in ("energy_fJ", "act_fJ") else zero
        rows = rows.set_column(index, rows.schema.field(index), big)
    assert _sums_of(rows, tmp_path / "big.parquet")["act_fJ"].sum() == 2**53 + 3


def test_commands_are_those_of_the_rows(run_folder: Path, trace: pa.Table):
    rows = trace.to_pandas()
    sums = frames.trace_sums(run_folder)
    assert sums["bytes"].sum() == rows["bytes"].sum()
    commands = frames.commands_by_bank(sums)
    assert commands["count"].sum() == rows.loc[rows["bank"] >= 0, "count"].sum()
    assert set(commands["cmd"]) == {"RD"}


def test_every_ddr_component_is_on_the_path_to_the_devices_or_in_them():
    assert set(DDR_COMPONENTS) == {name for name, (_, side) in COMPONENTS.items() if side in ("dram", "io")}


def test_a_trace_whose_energies_do_not_add_up_is_refused(trace: pa.Table, tmp_path: Path):
    index = trace.schema.get_field_index("energy_fJ")
    wrong = pa.array(trace["energy_fJ"].to_numpy() + (np.arange(trace.num_rows) == 5), pa.int64())
    with pytest.raises(TraceFormatError, match="difference of 1 fJ"):
        _sums_of(trace.set_column(index, trace.schema.field(index), wrong), tmp_path / "wrong.parquet")


def test_other_files_are_no_trace(trace: pa.Table, tmp_path: Path):
    pq.write_table(trace, tmp_path / "whole.parquet")
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "whole.parquet").read_bytes()[:-20])
    (tmp_path / "text.parquet").write_text("cycle,cmd\n")
    pq.write_table(pa.table({"x": [1]}), tmp_path / "table.parquet")
    pq.write_table(trace.slice(0, 0), tmp_path / "empty.parquet")
    for name in ("cut", "text", "table", "empty", "absent"):
        with pytest.raises(TraceFormatError):
            frames.trace_sums(tmp_path / f"{name}.parquet")
