"""Do command traces for other programs say what was issued, in their words, and only if it is legal?"""

import json
from dataclasses import fields, replace

import numpy as np
import pytest
from command_samples import END_CLK, LAID, ROOT, SAMPLES, log_of, spec_of

from nmsim.dram.activity import CommandLog
from nmsim.dram.commands import COMMANDS
from nmsim.errors import ProtocolViolation, ResourceLimitError
from nmsim.trace.exporters import perfetto
from nmsim.trace.exporters.commands import COMMAND_FORMATS, CommandFile

DRAMPOWER_NAMES = {"PREpb": "PRE", "PREab": "PREA", "REFpb": "REFB", "REFab": "REFA"}
DRAMPOWER_NAMES |= {"SRE": "SREFEN", "SRX": "SREFEX"}


@pytest.fixture(scope="module")
def lpddr4():
    return spec_of("lpddr4")


def written(path, spec, format, log, chunks=1, **options):
    """Return the text of a command file; `chunks`: in how many pieces the log is written."""
    with CommandFile(path, spec, format, **options) as file:
        for part in np.array_split(np.arange(len(log)), chunks):
            file.write(CommandLog(*(getattr(log, f.name)[part] for f in fields(CommandLog))))
        file.end(END_CLK)
    return path.read_text()


def test_the_stream_laid_by_hand_has_every_command(lpddr4):
    assert {name for _, name, *_ in LAID} == set(COMMANDS)


@pytest.mark.parametrize("format", COMMAND_FORMATS)
def test_each_sample_is_what_is_written(tmp_path, lpddr4, format):
    text = written(tmp_path / "out", lpddr4, format, log_of(lpddr4, LAID))
    assert text == (ROOT / "traces" / SAMPLES[format]).read_text()


def test_csv_is_the_names_of_drampower_and_zeros_for_what_a_command_has_not(tmp_path, lpddr4):
    lines = written(tmp_path / "c", lpddr4, "csv", log_of(lpddr4, LAID)).splitlines()
    assert lines[-1] == f"{END_CLK},END,0,0,0,0,0"
    # The first power-down has a row open, the second none.
    power_down = iter(["PDEA", "PDXA", "PDEP", "PDXP"])
    for line, (clk, name, bank, row, column) in zip(lines[:-1], LAID, strict=True):
        name = next(power_down) if name in ("PDE", "PDX") else DRAMPOWER_NAMES.get(name, name)
        assert line == f"{clk},{name},0,0,{max(bank, 0)},{max(row, 0)},{max(column, 0)}"


def test_drampower_is_csv_with_the_data_of_a_burst_behind_column_commands(tmp_path, lpddr4):
    log = log_of(lpddr4, LAID)
    plain = written(tmp_path / "c", lpddr4, "csv", log).splitlines()
    with_data = written(tmp_path / "d", lpddr4, "drampower", log).splitlines()
    for a, b in zip(plain, with_data, strict=True):
        data = "," + "00" * lpddr4.access_bytes if a.split(",")[1] in ("RD", "WR", "RDA", "WRA") else ""
        assert b == a + data


def test_ramulator_has_the_levels_of_the_memory_and_minus_1_for_what_a_command_has_not(tmp_path, lpddr4):
    text = written(tmp_path / "r", lpddr4, "ramulator", log_of(lpddr4, LAID), channel=1)
    head, *lines = text.splitlines()
    assert head == "clock,command,Channel,Rank,Bank,Row,Column,type,source"
    for line, (clk, name, bank, row, column) in zip(lines, LAID, strict=True):
        kind = {"RD": 0, "WR": 1}.get(name[:2], -1)
        assert line == f"{clk},{name},1,0,{bank},{row},{column},{kind},-1"


def test_ramulator_has_bank_groups_where_the_memory_has(tmp_path):
    spec = spec_of("ddr4_2400")
    text = written(tmp_path / "r", spec, "ramulator", log_of(spec, [(5, "ACT", 6, 3, -1)]))
    head = "clock,command,Channel,Rank,BankGroup,Bank,Row,Column,type,source"
    assert text.splitlines() == [head, "5,ACT,0,0,1,2,3,-1,-1,-1"]


def test_perfetto_has_an_event_for_each_command(tmp_path, lpddr4):
    document = json.loads(written(tmp_path / "p", lpddr4, "perfetto", log_of(lpddr4, LAID), channel=1))
    events = sorted((e for e in document["traceEvents"] if e["ph"] == "X"), key=lambda e: e["ts"])
    assert [e["name"] for e in events] == [name for _, name, *_ in LAID]
    assert [e["args"]["clk"] for e in events] == [clk for clk, *_ in LAID]
    assert [e["ts"] for e in events] == [clk * lpddr4.tCK_ps / 1e6 for clk, *_ in LAID]
    names = {e["args"]["name"] for e in document["traceEvents"] if e["ph"] == "M"}
    assert names == {"channel 1", "rank 0"} | {f"rank 0, bank group 0, bank {b}" for b in (0, 1, 2, 5)}


@pytest.mark.parametrize(
    ("board", "name"), [("lpddr4", "REFB"), ("lpddr5", "REFP2B"), ("ddr5_4800", "REFSB")]
)
def test_drampower_names_a_refresh_by_the_banks_that_it_refreshes(tmp_path, board, name):
    spec = spec_of(board)
    lines = written(tmp_path / "c", spec, "csv", log_of(spec, [(5000, "REFpb", 1, -1, -1)])).splitlines()
    assert lines[0] == f"5000,{name},0,0,1,0,0"


@pytest.mark.parametrize("format", ["csv", "drampower", "ramulator"])
def test_windows_side_by_side_are_the_whole(tmp_path, lpddr4, format):
    log = log_of(lpddr4, LAID)

    def lines(**window):
        text = written(tmp_path / "c", lpddr4, format, log, **window).splitlines()
        return [line for line in text if "END" not in line and "clock" not in line]

    whole = lines()
    for cut in (0, 1, 6000, 6500, 14000, 30000):
        before, after = lines(to_clk=cut), lines(from_clk=cut)
        assert before + after == whole, f"cut at clock {cut}"
        assert len(before) == sum(clk < cut for clk, *_ in LAID)


def test_a_window_ends_where_it_ends(tmp_path, lpddr4):
    log = log_of(lpddr4, LAID)
    for to_clk, end in ((12345, 12345), (END_CLK + 5, END_CLK)):
        lines = written(tmp_path / "c", lpddr4, "csv", log, from_clk=9000, to_clk=to_clk).splitlines()
        assert lines[-1] == f"{end},END,0,0,0,0,0"


@pytest.mark.parametrize("format", COMMAND_FORMATS)
def test_how_a_log_is_cut_changes_nothing(tmp_path, lpddr4, format, monkeypatch):
    log = log_of(lpddr4, LAID)
    whole = written(tmp_path / "a", lpddr4, format, log)
    monkeypatch.setattr("nmsim.trace.exporters.commands._ROWS", 1)
    assert written(tmp_path / "b", lpddr4, format, log, chunks=7) == whole


@pytest.mark.parametrize("format", COMMAND_FORMATS)
@pytest.mark.parametrize("where", [{}, {"to_clk": 500}])
def test_an_illegal_command_leaves_no_file_even_outside_the_window(tmp_path, lpddr4, format, where):
    log = log_of(lpddr4, LAID)
    clk = log.clk.copy()
    clk[1] = lpddr4.clocks["nRCD"] - 1
    with pytest.raises(ProtocolViolation, match=r"RD to .* breaks tRCD") as caught:
        written(tmp_path / "out", lpddr4, format, replace(log, clk=clk), **where)
    assert caught.value.file == tmp_path / "out" and list(tmp_path.iterdir()) == []


def test_more_than_a_browser_holds_is_refused_with_what_to_do(tmp_path, lpddr4, monkeypatch):
    monkeypatch.setattr(perfetto, "MAX_EVENTS", len(LAID) - 1)
    log = log_of(lpddr4, LAID)
    with pytest.raises(ResourceLimitError, match="--commands-until"):
        written(tmp_path / "out", lpddr4, "perfetto", log)
    assert list(tmp_path.iterdir()) == []
    written(tmp_path / "out", lpddr4, "perfetto", log, to_clk=20000)
