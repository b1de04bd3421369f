"""Do `trace summary` and `trace convert` say what a trace holds?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nmsim.store import fs
from nmsim.trace.schema import trace_table
from nmsim.trace.writer import TraceWriter

# Two reads and an activation of one bank shown one by one, and 900 reads in one row. LPDDR4-3200: 625 ps.
SINGLES = {
    "t_ps": [0, 18_125, 23_125],
    "dur_ps": 5_000,
    "cmd": ["ACT", "RD", "RD"],
    "channel": 0,
    "rank": 0,
    "bankgroup": 0,
    "bank": 2,
    "row": 7,
    "col": [-1, 0, 1],
    "bytes": [0, 32, 32],
    "source": "host",
    "phase": "training",
    "energy_fJ": [90, 50, 50],
    "act_fJ": [90, 0, 0],
    "rd_fJ": [0, 50, 50],
    "scheme": "full",
    "count": 1,
}
REST = {
    "cmd": "RD",
    "channel": 0,
    "rank": 0,
    "bankgroup": 0,
    "bank": 2,
    "dur_ps": 10**9,
    "bytes": 28_800,
    "count": 900,
    "scheme": "full",
}
REST |= {"phase": "training", "energy_fJ": 45_000, "rd_fJ": 45_000}


@pytest.fixture
def run(tmp_path: Path, lpddr4: str) -> Path:
    """Return a run's folder as far as the trace verbs look at it."""
    folder = tmp_path / "run"
    with TraceWriter(folder / "trace") as writer:
        writer.write(trace_table(SINGLES, 3))
        writer.write(trace_table(REST, 1))
    fs.write_text(folder / "config.resolved.yaml", f"extends: {lpddr4}\n")
    return folder


def test_the_summary_has_every_command_once(nmsim_json, run):
    common = {"scheme": "full", "phase": "training"}
    assert nmsim_json("trace", "summary", run) == {
        "path": str(run),
        "rows": 4,
        "energy_fJ": 90 + 2 * 50 + 45_000,
        "groups": [
            {**common, "cmd": "ACT", "rows": 1, "count": 1, "bytes": 0, "energy_fJ": 90},
            {**common, "cmd": "RD", "rows": 3, "count": 902, "bytes": 28_864, "energy_fJ": 45_100},
        ],
    }


def test_the_summary_for_people_has_the_same_numbers(nmsim, run):
    printed = nmsim("trace", "summary", run).stdout
    assert "902" in printed and "45.1 pJ" in printed and "28.9 kB" in printed
    assert "rows: 4; energy: 45.2 pJ" in printed


def test_csv_has_all_rows(nmsim, run, tmp_path):
    result = nmsim("trace", "convert", run, "--to", "csv", "--out", "trace.csv")
    assert result.exit_code == 0 and result.stdout == "trace.csv: 4 rows\n" and result.stderr == ""
    assert len((tmp_path / "trace.csv").read_text().splitlines()) == 5


def test_perfetto_has_the_single_commands_and_the_rest_is_said(nmsim, run, tmp_path):
    result = nmsim("trace", "convert", run, "--to", "perfetto", "--out", "trace.json")
    assert (
        result.stdout == "trace.json: 3 rows\n" and "aggregated rows left out: 1 (45.0 pJ)" in result.stderr
    )
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert [e["name"] for e in events if e["ph"] == "X"] == ["ACT", "RD", "RD", "training"]


def test_a_time_window_is_given_with_units(nmsim_json, run):
    window = ["--from", "18.125 ns", "--until", "23125 ps"]
    done = nmsim_json("trace", "convert", run, "--to", "csv", "--out", "t.csv", *window)
    assert done == {"file": "t.csv", "rows": 1, "left_out_rows": 0, "left_out_energy_fJ": 0}


def test_drampower_takes_clock_and_banks_from_the_runs_own_board(nmsim, run, tmp_path):
    assert nmsim("trace", "convert", run, "--to", "drampower", "--out", "t.csv").exit_code == 0
    lines = (tmp_path / "t.csv").read_text().splitlines()
    # Clocks: 0, 18125 / 625 = 29, 37; the last read ends at 28.125 ns = clock 45.
    assert [line.split(",")[:2] for line in lines] == [
        ["0", "ACT"],
        ["29", "RD"],
        ["37", "RD"],
        ["45", "END"],
    ]


def test_drampower_takes_them_from_a_board_for_a_trace_without_a_run(nmsim, run, lpddr4, tmp_path):
    words = ["trace", "convert", run / "trace", "--to", "drampower", "--out", "t.csv"]
    refused = nmsim(*words)
    assert refused.exit_code == 2 and "--config" in refused.stderr and not (tmp_path / "t.csv").exists()
    assert nmsim(*words, "--config", lpddr4).exit_code == 0


def test_ramulator_has_its_heading_and_the_channel(nmsim, run, tmp_path):
    assert nmsim("trace", "convert", run, "--to", "ramulator", "--out", "t.csv").exit_code == 0
    assert (tmp_path / "t.csv").read_text().splitlines() == [
        "clock,command,Channel,Rank,Bank,Row,Column,type,source",
        "0,ACT,0,0,2,7,-1,-1,-1",
        "29,RD,0,0,2,7,0,0,-1",
        "37,RD,0,0,2,7,1,0,-1",
    ]


@pytest.mark.parametrize("to", ["csv", "perfetto", "drampower", "ramulator"])
def test_a_filter_that_nothing_passes_is_one_line_and_leaves_no_file(refused, run, to):
    words = ["trace", "convert", run, "--to", to, "--out", "t.out"]
    assert "found none; expected full" in refused(*words, "--scheme", "none")
    assert "nothing in the trace" in refused(*words, "--from", "1 s")


@pytest.mark.parametrize("time", ["10", "10 mm", "soon"])
def test_a_time_without_a_unit_of_time_is_wrong_usage(nmsim, run, time):
    result = nmsim("trace", "convert", run, "--to", "csv", "--out", "t.csv", "--from", time)
    assert result.exit_code == 2 and "--from" in result.stderr


def test_a_trace_that_is_absent_or_damaged_is_one_line(refused, tmp_path_factory):
    folder = tmp_path_factory.mktemp("traces")
    damaged = folder / "part-00000.parquet"
    damaged.write_bytes(b"PAR1 and so on")
    assert "no such file" in refused("trace", "summary", folder / "absent")
    assert str(damaged) in refused("trace", "summary", folder)
    assert str(damaged) in refused("trace", "convert", damaged, "--to", "csv", "--out", "t.csv")


def test_an_output_that_cannot_be_written_is_one_line_with_code_1(nmsim, run):
    result = nmsim("trace", "convert", run, "--to", "csv", "--out", run / "config.resolved.yaml" / "t.csv")
    assert result.exit_code == 1 and result.stderr.startswith("nmsim: error: ")
    assert result.stderr.count("\n") == 1


def test_plot_draws_from_the_trace_alone_and_names_its_files(nmsim_json, run, tmp_path):
    files = nmsim_json("plot", run / "trace", "--out", "figures")["files"]
    assert files and all((tmp_path / file).stat().st_size > 0 for file in files)
    assert sorted(str(p.relative_to(tmp_path)) for p in (tmp_path / "figures").iterdir()) == sorted(files)
    assert any(file.endswith("energy_breakdown.png") for file in files)


def test_plot_of_nothing_is_one_line(refused):
    assert "absent" in refused("plot", "absent")


def test_head_shows_the_first_rows_with_every_column(nmsim_json, nmsim, run):
    rows = nmsim_json("trace", "head", run, "-n", 2)["rows"]
    assert [row["cmd"] for row in rows] == ["ACT", "RD"]
    assert rows[1]["t_ps"] == 18_125 and rows[1]["rd_fJ"] == 50 and rows[0]["array"] is None
    assert [
        r["cmd"] for r in nmsim_json("trace", "head", run, "--from", "18 ns", "--to", "20 ns")["rows"]
    ] == ["RD"]
    assert "18,125" in nmsim("trace", "head", run).stdout


def test_a_summary_may_be_of_a_time_and_a_channel(nmsim_json, refused, run):
    groups = nmsim_json("trace", "summary", run, "--from", "1 ns", "--until", "20 ns")["groups"]
    assert [(g["cmd"], g["count"]) for g in groups] == [("RD", 1)]
    assert "channel 7" in refused("trace", "summary", run / "trace", "--channel", 7)


def test_plot_over_time_writes_picture_and_numbers(nmsim_json, refused, run, tmp_path):
    files = nmsim_json("trace", "plot", run, "--out", "p", "--bins", 10)["files"]
    names = {"power_by_component", "power_by_command", "banks_over_time"}  # the rows name no outcome
    assert {Path(f).stem for f in files} == names
    assert all((tmp_path / file).stat().st_size > 0 for file in files)
    table = (tmp_path / "p" / "power_by_command.csv").read_text().splitlines()
    assert table[0] == "scheme,start_ps,end_ps,cmd,energy_fJ" and len(table) == 1 + 10 * 2
    assert "no such phase" in refused("trace", "plot", run / "trace", "--phase", "x", "--out", "q")


def test_a_trace_without_a_manifest_is_said_to_be_of_no_finished_run(nmsim, run):
    assert "manifest.json" in nmsim("trace", "head", run).stderr
    (run / "manifest.json").write_text("{}")
    assert nmsim("trace", "head", run).stderr == ""


def test_a_time_that_ends_before_it_begins_is_wrong_usage(nmsim, run):
    result = nmsim("trace", "head", run, "--from", "3 us", "--to", "2 us")
    assert result.exit_code == 2 and "not after" in result.stderr


@pytest.mark.parametrize(
    "words",
    [("head", "-n", "9" * 20), ("head", "--channel", "9" * 20), ("summary", "--until", "1e30 us"),
     ("summary", "--from", "1e300 s"), ("summary", "--channel", 1 << 15)],
)  # fmt: skip
def test_numbers_beyond_64_bits_are_refused_by_their_option(nmsim, run, words):
    result = nmsim("trace", words[0], run, *words[1:])
    assert result.exit_code == 2 and words[1] in result.stderr and "internal" not in result.stderr


def test_a_file_of_commands_that_is_not_there_is_missed_before_its_board(refused, tmp_path):
    assert "nothing: no such file or folder" in refused("trace", "check", "nothing")
