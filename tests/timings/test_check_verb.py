"""Does `nmsim trace check` judge files and traces by the standard, and say what it could not judge?"""

import gzip
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import nmsim
from nmsim.cli.app import app
from nmsim.dram.commands import COMMANDS
from nmsim.system.parts import dram_spec
from nmsim.trace import texts
from nmsim.trace.checking import check_file, check_trace
from nmsim.trace.exporters.commands import CommandFile
from nmsim.trace.reader import open_trace
from nmsim.trace.schema import trace_table
from nmsim.trace.writer import TraceWriter

ROOT = Path(__file__).parents[2]
BOARD = ROOT / "hw_configs" / "lpddr4.yaml"
SPEC = dram_spec(nmsim.load_config(BOARD).memory)
LEGAL = (ROOT / "traces" / "commands.csv").read_text().splitlines()


def check(path, *options, config=BOARD):
    """Return how `nmsim trace check` ends."""
    config = [] if config is None else ["--config", str(config)]
    return CliRunner().invoke(app, ["trace", "check", str(path), *config, *map(str, options)])


def written(path, lines):
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_legal_file_ends_with_0(tmp_path):
    for sample in ("commands.csv", "commands.drampower.csv"):
        result = check(ROOT / "traces" / sample)
        assert (result.exit_code, result.stderr) == (0, "")
        assert "19 commands" in result.stdout and ": 0 violations" in result.stdout
    packed = tmp_path / "commands.csv.gz"
    packed.write_bytes(gzip.compress("\r\n".join(["# by hand", "", *LEGAL, ""]).encode()))
    assert check(packed).exit_code == 0


def test_a_violation_ends_with_1_and_names_rule_table_line_clock_and_place(tmp_path):
    # The RD of line 2 comes one clock before tRCD (29 clocks) is over.
    path = written(tmp_path / "c.csv", [LEGAL[0], LEGAL[1].replace("1000,", "28,"), *LEGAL[2:]])
    result = check(path, "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["violations"], found["commands"]) == (1, 1, 19)
    first = found["first"][0]
    row = next(row for row in SPEC.table.constraints if row.name == "tRCD")
    assert (first["rule"], first["table"], first["line"]) == (row.name, row.table, 2)
    wanted = {"clk": 28, "earliest_clk": SPEC.latency(row.latency), "command": "RD", "bank": 2}
    assert {name: first[name] for name in wanted} == wanted
    shown = check(path)
    assert shown.exit_code == 1
    assert all(word in shown.stdout for word in ("tRCD", "line 2", "28", "rank 0", ": 1 violations"))


def test_ten_violations_are_shown_and_all_are_counted(tmp_path):
    lines = [f"{1000 * i},RD,0,0,0,5,0" for i in range(1, 50)]
    found = json.loads(check(written(tmp_path / "c.csv", [*lines, "50000,END,0,0,0,0,0"]), "--json").stdout)
    assert (found["violations"], len(found["first"])) == (49, 10)
    assert [one["line"] for one in found["first"]] == list(range(1, 11))


def test_the_end_of_a_file_shows_refreshes_that_never_came(tmp_path):
    allowed = (1 + SPEC.table.refresh_postponed) * SPEC.clocks["nREFI"]
    for clk, violations in ((allowed, 0), (allowed + 1, 1)):
        path = written(tmp_path / "c.csv", [LEGAL[0], f"{clk},END,0,0,0,0,0"])
        found = json.loads(check(path, "--json").stdout)
        assert found["violations"] == violations
    assert found["first"][0]["command"] == "END" and found["first"][0]["line"] == 2


def test_a_file_without_its_end_is_checked_and_said_to_lack_it(tmp_path):
    result = check(written(tmp_path / "c.csv", LEGAL[:-1]))
    assert result.exit_code == 0 and "no END line" in result.stderr


def test_a_part_of_a_run_is_judged_by_what_it_shows(tmp_path):
    part = written(tmp_path / "c.csv", LEGAL[1:])
    assert check(part).exit_code == 1
    assert check(part, "--part").exit_code == 0


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("x,ACT,0,0,1,7,0", "found x; expected a decimal number for the clock"),
        ("500,FOO,0,0,1,7,0", "found FOO; expected one of ACT"),
        ("500,ACTACTACT,0,0,1,7,0", "found ACTACTACT; expected one of ACT"),
        ("500,ACT,0,0,1,7", "found end of line; expected a comma"),
        ("500,ACT,0,0,1,7,0,zz", "found zz; expected the end of the line"),
        ("500,ACT,0,0,1,7,0 0", "found 0; expected the end of the line"),
        ("500,ACT,0,0,1,-7,0", "found -7; expected a decimal number for the row"),
        ("500,ACT,1,0,1,7,0", "this rank lies outside the memory .found 1; expected below 1"),
        ("500,ACT,0,0,8,7,0", "this bank lies outside the memory .found 8; expected below 8"),
        ("500,ACT,0,0,1,99999999999999999999,0", "this row lies outside the memory"),
        ("99999999999999999999,ACT,0,0,1,7,0", "expected a clock below"),
        ("500,ACT,0,0,1,7,\N{SNOWMAN}", "found \N{SNOWMAN}; expected a decimal number for the column"),
    ],
)
def test_a_damaged_line_is_named_with_its_number_and_what_stands_there(tmp_path, line, says):
    path = written(tmp_path / "c.csv", [LEGAL[0], "# a note", line, *LEGAL[1:]])
    result = check(path)
    assert result.exit_code == 2 and result.stdout == ""
    import re

    assert result.stderr.startswith(f"nmsim: error: {path}:3: ") and re.search(says, result.stderr)


def test_a_bank_that_is_not_of_its_group_or_a_refresh_that_there_is_not_is_refused(tmp_path):
    ddr4 = ROOT / "hw_configs" / "ddr4_2400.yaml"
    result = check(written(tmp_path / "c.csv", ["500,ACT,0,1,3,7,0"]), config=ddr4)
    assert result.exit_code == 2 and "c.csv:1: this bank is of another group (found 3" in result.stderr
    result = check(written(tmp_path / "c.csv", ["500,REFB,0,0,0,0,0"]), config=ddr4)
    assert result.exit_code == 2 and "c.csv:1: DDR4 has no per-bank refresh" in result.stderr


def test_what_is_no_command_file_is_refused(tmp_path):
    for lines, says in (
        ([*LEGAL, LEGAL[0]], r":21: the file goes on after END"),
        (["# nothing"], "holds no command"),
    ):
        result = check(written(tmp_path / "c.csv", lines))
        assert result.exit_code == 2 and says in result.stderr
    assert check(tmp_path / "none.csv").exit_code == 2
    result = check(written(tmp_path / "c.csv", LEGAL), config=None)
    assert result.exit_code == 2 and "--config" in result.stderr


def test_lines_cut_anywhere_give_the_same_verdict(tmp_path, monkeypatch):
    path = written(tmp_path / "c.csv", [*LEGAL[:7], "6500,ACT,0,0,2,7,0", *LEGAL[7:]])
    whole = check_file(path, SPEC, "all_bank")
    for size in (33, 64, 100):
        monkeypatch.setattr(texts, "CHUNK_BYTES", size)
        assert check_file(path, SPEC, "all_bank") == whole
    assert [(one.line, one.violation.rule) for one in whole.first] == [(8, "command in power-down")]


def test_every_command_that_nmsim_writes_is_read_back(tmp_path):
    names = {line.split(",")[1] for line in LEGAL}
    assert len(names) == len(COMMANDS) + 2 + 1  # two names of PDE and of PDX each; and END
    verdict = check_file(ROOT / "traces" / "commands.csv", SPEC, "all_bank")
    assert (verdict.commands, verdict.violations) == (19, 0)


def test_a_long_file_takes_no_more_memory_than_a_short_one(tmp_path):
    n, interval = 400_000, SPEC.clocks["nREFI"]
    gap = interval // 4
    lines = [f"{gap * i},REFA,0,0,0,0,0" for i in range(4, n)]
    path = written(tmp_path / "c.csv", lines)
    check_file(path, SPEC, "all_bank")
    tracemalloc.start()
    assert check_file(path, SPEC, "all_bank").commands == n - 4
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 24e6, f"{peak / 1e6:.0f} MB for a file of {path.stat().st_size / 1e6:.0f} MB"


# Energy traces


def rows(commands, phase="work", count=1, source="host", scheme="full", channel=0):
    """Return trace rows of (clock, command, bank, row); an aggregate names no row."""
    t_ps, cmd, bank, row = zip(*commands, strict=True)
    columns = {
        "t_ps": np.array(t_ps) * SPEC.tCK_ps,
        "dur_ps": SPEC.tCK_ps,
        "cmd": list(cmd),
        "bank": bank,
        "row": row,
    }
    columns |= {"channel": channel, "rank": 0, "bankgroup": 0, "col": 0, "count": count}
    return trace_table({**columns, "source": source, "phase": phase, "scheme": scheme}, len(commands))


def trace_of(folder, *tables):
    with TraceWriter(folder) as writer:
        for table in tables:
            writer.write(table)
    return open_trace(folder)


ACT_RD = [(1000, "ACT", 1, 7), (1100, "RD", 1, 7)]


@pytest.mark.parametrize(
    ("tables", "violations", "stretches"),
    [
        # Complete: the second phase goes on from the first, and the bank is still open.
        ([rows(ACT_RD), rows([(2000, "ACT", 1, 8)], "next")], 1, 1),
        # Sums of the first phase: between the two anything may have happened.
        ([rows(ACT_RD), rows([(2000, "ACT", 1, 8)], "next"), rows([(0, "RD", 1, -1)], count=9)], 0, 2),
        # ... but not within what is shown.
        ([rows(ACT_RD), rows([(1101, "RD", 1, 7)]), rows([(0, "RD", 1, -1)], count=9)], 2, 1),
        # Sums of another channel, or of another scheme, are no gap here.
        ([rows(ACT_RD), rows([(2000, "ACT", 1, 8)], "next"), rows([(0, "RD", 1, -1)], channel=1)], 1, 1),
        ([rows(ACT_RD), rows([(2000, "ACT", 1, 8)], "next"), rows([(0, "RD", 1, -1)], scheme="x")], 1, 1),
        # Channels and schemes do not share a bank.
        ([rows(ACT_RD), rows(ACT_RD, channel=1), rows(ACT_RD, scheme="x")], 0, 3),
        # No refresh for a hundred intervals: missing where all is shown, else left out.
        ([rows([*ACT_RD, (700_000, "RD", 1, 7)])], 1, 1),
        ([rows([*ACT_RD, (700_000, "RD", 1, 7)]), rows([(0, "RD", 1, -1)], count=9)], 0, 2),
        # Beside the banks commands need no pins: at one clock in two banks; but tRRD holds.
        ([rows([(1000, "ACT", 1, 7), (1016, "ACT", 2, 7), (1100, "RD", 1, 7), (1100, "RD", 2, 7)],
               source="nmc")], 0, 1),
        ([rows([(1000, "ACT", 1, 7), (1015, "ACT", 2, 7)], source="nmc")], 1, 1),
    ],
)  # fmt: skip
def test_a_trace_is_judged_stretch_by_stretch(tmp_path, tables, violations, stretches):
    verdict = check_trace(trace_of(tmp_path / "trace", *tables), SPEC, "all_bank")
    found = [(one.violation.rule, one.violation.clk) for one in verdict.first]
    assert (verdict.violations, verdict.stretches) == (violations, stretches), found


def test_a_part_of_a_trace_has_gaps_that_nobody_knows(tmp_path):
    trace_of(tmp_path / "trace", rows([(1100, "RD", 1, 7)]), rows([(2000, "ACT", 1, 8)], "next"))
    (part,) = (tmp_path / "trace").glob("part-*")
    assert check_trace(open_trace(tmp_path / "trace"), SPEC, "all_bank").violations == 1
    assert check_trace(open_trace(part), SPEC, "all_bank").violations == 0


def test_a_violation_in_a_trace_names_its_scheme_phase_and_channel(tmp_path):
    trace_of(tmp_path / "trace", rows([(1000, "RD", 1, 7)], channel=1), rows([(0, "SRAM", -1, -1)]))
    result = check(tmp_path / "trace", "--json")
    assert result.exit_code == 1
    (found,) = json.loads(result.stdout)["first"]
    assert (found["scheme"], found["phase"], found["channel"], found["line"]) == ("full", "work", 1, None)


@pytest.mark.parametrize("level", ["trace.rows_per_phase=37", "trace.level=access"])
def test_what_a_run_writes_is_legal_as_far_as_it_is_shown(tmp_path, level):
    settings = ["dataset.name=digits", "selection.de_sne.n_iter=50", "training.network=softmax"]
    settings += ["training.epochs=2", "training.min_steps=0", "training.seeds=1", level]
    settings += ["memory.organization.ranks=2", "memory.controller.power_down_idle=100 ns"]
    run = nmsim.simulate(nmsim.load_config(BOARD, settings), out=tmp_path, report=False)
    result = check(run.path, "--json", config=None)
    found = json.loads(result.stdout)
    assert (result.exit_code, found["violations"]) == (0, 0), found["first"]
    assert found["commands"] > 400 and found["stretches"] > 2
    # What is not shown is in the trace as sums: every DRAM command is one or the other.
    counts = (
        open_trace(run.path)
        .summary()
        .query("cmd in @COMMANDS and cmd != 'PREab'", local_dict={"COMMANDS": COMMANDS})
    )
    shown_pre_all = found["commands"] + found["unchecked"] - counts["count"].sum()
    assert shown_pre_all >= 0


def test_a_file_that_nmsim_writes_is_legal(tmp_path):
    from nmsim.dram.controller import ControllerSpec
    from nmsim.dram.engine import AccessBatch, Channel

    rng = np.random.default_rng(3)
    n = 2000
    bank, row = rng.integers(0, SPEC.banks_per_channel, n), rng.integers(0, 9, n)
    clk = np.cumsum(rng.integers(0, 200, n))
    channel = Channel(SPEC, ControllerSpec(), log_rows=20 * n)
    done = channel.access(AccessBatch(bank, row, rng.integers(0, 9, n), rng.random(n) < 0.5, clk))
    with CommandFile(tmp_path / "c.csv", SPEC) as file:
        file.write(done.log)
        file.end(done.accounted_clk)
    verdict = check_file(tmp_path / "c.csv", SPEC, "all_bank")
    assert (verdict.commands, verdict.violations, verdict.has_end) == (len(done.log), 0, True)
