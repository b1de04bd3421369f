"""Do other programs' formats say what the trace says?"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pytest
from trace_samples import commands_table, random_table

from nmsim.config import load_config
from nmsim.dram.spec import DramSpec
from nmsim.errors import NmsimError, ProtocolViolation, ResourceLimitError, TraceFormatError
from nmsim.system.parts import dram_spec
from nmsim.trace.exporters.csv import export_csv
from nmsim.trace.exporters.energy_trace import export_commands
from nmsim.trace.exporters.perfetto import export_perfetto
from nmsim.trace.exporters.window import Window
from nmsim.trace.reader import Trace, open_trace
from nmsim.trace.schema import SCHEMA, trace_table
from nmsim.trace.writer import TraceWriter

# Clock, command, bank group, bank, row, column of DDR4-2400: two banks of two groups, power-down once with a
# bank open and once without, a refresh. The distances are far above every minimum (the longest are nRAS = 39
# and nCWL + nBL + nWR = 34).
BOARDS = Path(__file__).parents[2] / "hw_configs"
TCK_PS = 830
CLOCKS = [
    (0, "ACT", 0, 1, 7, -1),
    (20, "ACT", 1, 0, 9, -1),
    (40, "RD", 0, 1, 7, 3),
    (80, "WR", 1, 0, 9, 4),
    (140, "PREpb", 0, 1, 7, -1),
    (200, "PDE", -1, -1, -1, -1),
    (240, "PDX", -1, -1, -1, -1),
    (280, "PREab", -1, -1, -1, -1),
    (320, "PDE", -1, -1, -1, -1),
    (360, "PDX", -1, -1, -1, -1),
    (400, "REFab", -1, -1, -1, -1),
]
COMMANDS = [(clk * TCK_PS, *rest) for clk, *rest in CLOCKS]


@pytest.fixture(scope="module")
def ddr4() -> DramSpec:
    return dram_spec(load_config(BOARDS / "ddr4_2400.yaml").memory)


def aggregate(count: int = 900) -> pa.Table:
    columns = {"cmd": "RD", "count": count, "channel": 0, "rank": 0, "bankgroup": 0, "bank": 3}
    columns |= {"dur_ps": 5000, "energy_fJ": 11, "act_fJ": 11}
    return trace_table({**columns, "scheme": "full", "phase": "training"}, 1)


def make(folder: Path, *tables: pa.Table) -> Trace:
    with TraceWriter(folder) as writer:
        for table in tables:
            writer.write(table)
    return open_trace(folder)


def events_of(path: Path) -> tuple[list[dict], list[dict], dict]:
    document = json.loads(path.read_text())
    events = document["traceEvents"]
    assert {e["ph"] for e in events} <= {"X", "M"}
    named = {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}
    of_banks = [e for e in events if not named[e["pid"]].endswith("phases")]
    commands, names = ([e for e in of_banks if e["ph"] == ph] for ph in "XM")
    return commands, names, document["otherData"]


def phases_of(path: Path) -> list[tuple[str, float, float]]:
    """Return name, start and end of every phase of a picture, in us."""
    events = json.loads(path.read_text())["traceEvents"]
    return [(e["name"], e["ts"], e["ts"] + e["dur"]) for e in events if e.get("cat") == "phase"]


def test_csv_holds_every_row_and_column(tmp_path):
    table = random_table(400, 5)
    done = export_csv(make(tmp_path / "t", table), tmp_path / "t.csv")
    back = pd.read_csv(tmp_path / "t.csv")
    assert list(back.columns) == SCHEMA.names and done.rows == len(back) == 400
    for name in ("t_ps", "energy_fJ", "bank"):
        assert back[name].tolist() == table[name].to_pylist()
    assert back["array"].fillna("").tolist() == [text or "" for text in table["array"].to_pylist()]


def test_csv_read_back_is_the_trace_to_the_last_column(tmp_path):
    trace = make(tmp_path / "t", random_table(200, 7), aggregate())
    export_csv(trace, tmp_path / "t.csv")
    plain = {f.name: pa.string() if pa.types.is_dictionary(f.type) else f.type for f in SCHEMA}
    options = pa.csv.ConvertOptions(column_types=plain, null_values=[""], strings_can_be_null=True)
    back = pa.csv.read_csv(tmp_path / "t.csv", convert_options=options)
    assert back.to_pylist() == [row for batch in trace.batches() for row in batch.to_pylist()]


def test_csv_of_a_window_holds_that_scheme_phase_and_channel(tmp_path):
    trace = make(tmp_path / "t", random_table(300, 1, "full"), random_table(300, 2, "random"))
    export_csv(trace, tmp_path / "t.csv", Window(scheme="random", phase="training", channel=1))
    back = pd.read_csv(tmp_path / "t.csv")
    assert (
        set(back["scheme"]) == {"random"}
        and set(back["phase"]) == {"training"}
        and set(back["channel"]) == {1}
    )
    rows = random_table(300, 2, "random").to_pandas()
    assert len(back) == ((rows["phase"] == "training") & (rows["channel"] == 1)).sum()


def test_perfetto_has_one_complete_event_per_command(tmp_path):
    done = export_perfetto(make(tmp_path / "t", random_table(300, 1)), tmp_path / "t.json")
    events, _, other = events_of(tmp_path / "t.json")
    assert done.rows == len(events) == 300 and other["aggregated_rows_left_out"] == 0
    for event in events:
        assert set(event) == {"ph", "name", "cat", "pid", "tid", "ts", "dur", "args"}
        assert isinstance(event["pid"], int) and isinstance(event["tid"], int) and event["dur"] >= 0
        assert event["ts"] == event["args"]["t_ps"] / 1e6
    assert sum(e["args"]["energy_fJ"] for e in events) == open_trace(tmp_path / "t").energy_fJ()


def test_perfetto_names_every_track_once(tmp_path):
    export_perfetto(make(tmp_path / "t", random_table(300, 1)), tmp_path / "t.json")
    events, names, _ = events_of(tmp_path / "t.json")
    threads = [(n["pid"], n["tid"]) for n in names if n["name"] == "thread_name"]
    processes = [n["pid"] for n in names if n["name"] == "process_name"]
    assert sorted(threads) == sorted({(e["pid"], e["tid"]) for e in events})
    assert sorted(processes) == sorted({e["pid"] for e in events})
    assert len(threads) == 16  # 2 channels × 8 banks


def test_perfetto_slices_of_a_track_do_not_overlap(tmp_path):
    export_perfetto(make(tmp_path / "t", random_table(500, 2)), tmp_path / "t.json")
    ends: dict[tuple[int, int], float] = {}
    events, _, _ = events_of(tmp_path / "t.json")
    for event in sorted(events, key=lambda e: e["ts"]):
        track = event["pid"], event["tid"]
        assert event["ts"] >= ends.get(track, 0.0) - 1e-9
        ends[track] = event["ts"] + event["dur"]


def test_perfetto_has_a_track_of_the_phases_of_a_scheme_one_after_the_other(tmp_path):
    table = random_table(300, 4)
    export_perfetto(make(tmp_path / "t", table), tmp_path / "t.json")
    rows = table.to_pandas().assign(end_ps=lambda r: r["t_ps"] + r["dur_ps"])
    spans = rows.groupby("phase", observed=True).agg(start=("t_ps", "min"), end=("end_ps", "max")) / 1e6
    cut = min(spans.loc["features", "end"], spans.loc["training", "start"])
    assert phases_of(tmp_path / "t.json") == [
        ("features", pytest.approx(spans.loc["features", "start"]), pytest.approx(cut)),
        (
            "training",
            pytest.approx(spans.loc["training", "start"]),
            pytest.approx(spans.loc["training", "end"]),
        ),
    ]


def test_perfetto_leaves_aggregates_out_and_says_so(tmp_path):
    # One command in a row does not make an aggregate a command: it has no row.
    trace = make(tmp_path / "t", commands_table(COMMANDS), aggregate(), aggregate(count=1))
    done = export_perfetto(trace, tmp_path / "t.json")
    events, _, other = events_of(tmp_path / "t.json")
    assert len(events) == len(COMMANDS)
    assert (done.left_out_rows, done.left_out_energy_fJ) == (2, 22)
    assert (other["aggregated_rows_left_out"], other["energy_left_out_fJ"]) == (2, 22)


EXPORTS = {
    "csv": lambda trace, target, spec, window: export_csv(trace, target, window),
    "perfetto": lambda trace, target, spec, window: export_perfetto(trace, target, window),
    "drampower": lambda trace, target, spec, window: export_commands(
        trace, target, spec, "drampower", window
    ),
    "ramulator": lambda trace, target, spec, window: export_commands(
        trace, target, spec, "ramulator", window
    ),
}


@pytest.mark.parametrize("to", EXPORTS)
@pytest.mark.parametrize(
    ("window", "words"),
    [
        (Window(scheme="ful"), "no such scheme.*found ful; expected full"),
        (Window(phase="test"), "no such phase.*found test; expected training"),
        (Window(channel=3), "nothing in the trace.*found channel 3"),
        (Window(to_ps=-1), "nothing in the trace.*found to_ps -1"),
    ],
)
def test_a_selection_of_nothing_is_refused_and_leaves_no_file(tmp_path, ddr4, to, window, words):
    trace = make(tmp_path / "t", commands_table(COMMANDS))
    with pytest.raises(TraceFormatError, match=words):
        EXPORTS[to](trace, tmp_path / "out", ddr4, window)
    assert [p.name for p in tmp_path.iterdir()] == ["t"]


@pytest.mark.parametrize("to", ["perfetto", "drampower", "ramulator"])
def test_a_trace_of_aggregates_alone_has_no_command_to_write(tmp_path, ddr4, to):
    trace = make(tmp_path / "t", aggregate(), aggregate())
    with pytest.raises(TraceFormatError, match=r"found 2 aggregated rows.*trace\.level=access"):
        EXPORTS[to](trace, tmp_path / "out", ddr4, Window())


def test_perfetto_refuses_more_than_a_browser_holds_and_writes_nothing(tmp_path):
    trace = make(tmp_path / "t", random_table(300, 1))
    with pytest.raises(ResourceLimitError, match="--from"):
        export_perfetto(trace, tmp_path / "t.json", max_events=299)
    assert [p.name for p in tmp_path.iterdir()] == ["t"]


def picture(tmp_path, spec, *tables):
    """Return how many commands were checked of those that a picture shows."""
    done = export_perfetto(make(tmp_path / "t", *tables), tmp_path / "t.json", spec=spec)
    events, _, other = events_of(tmp_path / "t.json")
    assert len(events) == done.rows
    return other["commands_checked"], done.rows


def test_what_a_picture_shows_is_checked_where_its_memory_is_known(tmp_path, ddr4):
    tables = [commands_table(COMMANDS), aggregate(), commands_table(COMMANDS, "random", channel=1)]
    assert picture(tmp_path / "a", ddr4, *tables) == (22, 22)
    assert picture(tmp_path / "b", None, *tables) == (0, 22)


def test_a_picture_of_an_illegal_command_is_refused(tmp_path, ddr4):
    early = commands_table([COMMANDS[0], (16 * TCK_PS, *COMMANDS[2][1:])])  # nRCD = 17
    with pytest.raises(ProtocolViolation, match="tRCD"):
        picture(tmp_path, ddr4, commands_table(COMMANDS, "random"), early)
    assert [p.name for p in tmp_path.iterdir()] == ["t"]


def test_a_phase_of_a_picture_may_begin_in_the_midst_of_things(tmp_path, ddr4):
    # A read of a row that was opened before, after ten refresh intervals without a refresh.
    late = [(t_ps + 93_600 * TCK_PS, *rest) for t_ps, *rest in COMMANDS[2:]]
    assert picture(tmp_path, ddr4, commands_table(COMMANDS[:2]), commands_table(late, phase="test")) == (
        11,
        11,
    )


def test_near_memory_accesses_of_a_picture_are_shown_unchecked(tmp_path, ddr4):
    near = [(t_ps, *rest) for t_ps, *rest in COMMANDS[:2]]
    tables = [commands_table(near, source="nmc", phase="test"), commands_table(COMMANDS)]
    assert picture(tmp_path, ddr4, *tables) == (11, 13)


def test_a_picture_of_another_memory_is_refused(tmp_path, ddr4):
    with pytest.raises(TraceFormatError, match=r"another memory: row.*--config"):
        picture(tmp_path, ddr4, commands_table([(0, "ACT", 0, 0, 65536, 0)]))


def test_drampower_lines_are_clocks_and_flat_banks(tmp_path, ddr4):
    trace = make(tmp_path / "t", commands_table(COMMANDS))
    export_commands(trace, tmp_path / "t.csv", ddr4, "drampower")
    # Bank 0 of group 1 is bank 4 of its rank (four banks a group). Power-down is "active" while a bank is
    # open, which PREab ends. REFab at 400 lasts 5 ns = 6.02 clocks here, so the trace ends at 407. A burst
    # is 64 bytes of data that nobody knows.
    assert (tmp_path / "t.csv").read_text().splitlines() == [
        "0,ACT,0,0,1,7,0",
        "20,ACT,0,1,4,9,0",
        f"40,RD,0,0,1,7,3,{'00' * 64}",
        f"80,WR,0,1,4,9,4,{'00' * 64}",
        "140,PRE,0,0,1,7,0",
        "200,PDEA,0,0,0,0,0",
        "240,PDXA,0,0,0,0,0",
        "280,PREA,0,0,0,0,0",
        "320,PDEP,0,0,0,0,0",
        "360,PDXP,0,0,0,0,0",
        "400,REFA,0,0,0,0,0",
        "407,END,0,0,0,0,0",
    ]


def test_a_window_of_a_legal_stream_that_starts_closed_is_legal_wherever_it_starts(tmp_path, ddr4):
    # Ten refresh intervals of 9360 clocks later: a checker that counted from 0 would miss ten refreshes.
    late = [(t_ps + 93_600 * TCK_PS, *rest) for t_ps, *rest in COMMANDS]
    export_commands(make(tmp_path / "t", commands_table(late)), tmp_path / "t.csv", ddr4, "drampower")
    assert (tmp_path / "t.csv").read_text().startswith("93600,ACT")


def test_a_refresh_of_a_bank_is_a_command_and_its_aggregate_is_not(tmp_path):
    lpddr4 = dram_spec(load_config(BOARDS / "lpddr4.yaml").memory)
    refresh_ps = lpddr4.clocks["nRFCpb"] * lpddr4.tCK_ps
    single, many = (
        commands_table([(625 * 5000, "REFpb", 0, 3, -1, -1)], dur_ps=dur_ps) for dur_ps in (refresh_ps, 10**9)
    )
    done = export_commands(make(tmp_path / "t", single, many), tmp_path / "t.csv", lpddr4, "csv")
    assert (done.rows, done.left_out_rows) == (1, 1)
    assert (tmp_path / "t.csv").read_text().startswith("5000,REFB,0,0,3,0,0\n")


@pytest.mark.parametrize(
    ("tables", "kind", "words"),
    [
        (
            [commands_table(COMMANDS), commands_table(COMMANDS, "random")],
            TraceFormatError,
            "scheme.*--scheme",
        ),
        (
            [commands_table(COMMANDS), commands_table(COMMANDS, channel=1)],
            TraceFormatError,
            "channel.*--channel",
        ),
        ([commands_table([(0, "XYZ", 0, 0, 0, 0)])], TraceFormatError, "no such DRAM command.*XYZ"),
        ([commands_table([(700, "ACT", 0, 0, 0, 0)])], TraceFormatError, "no whole clock.*700"),
        ([commands_table([(0, "REFpb", 0, 0, -1, -1)])], TraceFormatError, "no per-bank refresh"),
        ([commands_table([(0, "ACT", 4, 0, 0, 0)])], TraceFormatError, "another memory: bankgroup.*below 4"),
        ([commands_table([(0, "ACT", 0, 0, 65536, 0)])], TraceFormatError, "row.*found 65536.*--config"),
        ([commands_table(COMMANDS, source="nmc")], TraceFormatError, "near-memory"),
        ([commands_table(COMMANDS[1:])], ProtocolViolation, "closed bank.*trace.level=access"),
        ([commands_table(COMMANDS[:4] + COMMANDS[5:7] + COMMANDS[8:])], ProtocolViolation, "open bank"),
        # nRCD = 17: a read 16 clocks after its ACT is a clock too early.
        (
            [commands_table([COMMANDS[0], (16 * TCK_PS, *COMMANDS[2][1:])])],
            ProtocolViolation,
            "tRCD.*clock 17",
        ),
    ],
)
def test_drampower_refuses_what_it_would_misread_and_writes_nothing(tmp_path, ddr4, tables, kind, words):
    trace = make(tmp_path / "t", *tables)
    with pytest.raises(kind, match=words) as caught:
        export_commands(trace, tmp_path / "t.csv", ddr4, "drampower")
    assert isinstance(caught.value, NmsimError) and str(caught.value).startswith(str(tmp_path / "t"))
    assert not (tmp_path / "t.csv").exists()
