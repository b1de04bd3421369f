"""Does `replay` print what other programs read?"""

from __future__ import annotations

import gzip
import json
import re

import pytest

KEYS = ["requests", "clocks", "time_ps", "row_hits", "row_misses", "row_conflicts", "commands", "bytes"]
KEYS += ["bandwidth_GBps", "energy_fJ", "wall_s", "requests_per_s"]


@pytest.fixture
def requests(tmp_path):
    """Return a trace of 64 reads of 64 B in a row, in Ramulator's format."""
    path = tmp_path / "reads.trace"
    path.write_text("".join(f"LD 0x{64 * i:x}\n" for i in range(64)))
    return path


def test_one_trace_is_one_object_with_exactly_the_named_keys(nmsim_json, ddr4, requests):
    found = nmsim_json("replay", ddr4, requests)
    assert sorted(found) == sorted(KEYS)
    # 64 requests of one burst of 64 B (8 devices × 8 bit × 8 beats) in one row of 8 KiB.
    assert found["requests"] == 64 and found["bytes"] == 4096 and found["commands"]["RD"] == 64
    assert (found["row_misses"], found["row_hits"], found["row_conflicts"]) == (1, 63, 0)
    assert found["commands"]["ACT"] == 1 and found["time_ps"] == found["clocks"] * 830
    parts = {name: value for name, value in found["energy_fJ"].items() if name != "total"}
    assert set(parts) >= {"act", "pre", "rd", "wr", "ref", "background"}
    assert sum(parts.values()) == found["energy_fJ"]["total"]


def test_several_traces_are_a_list_and_a_column_each(nmsim, nmsim_json, ddr4, requests, tmp_path):
    packed = tmp_path / "packed.trace.gz"
    packed.write_bytes(gzip.compress(requests.read_bytes()))
    first, second = nmsim_json("replay", ddr4, requests, packed)
    for fact in set(KEYS) - {"wall_s", "requests_per_s"}:
        assert first[fact] == second[fact]
    printed = nmsim("replay", ddr4, requests, packed).stdout
    assert "reads.trace" in printed and "packed.trace.gz" in printed and "row hits" in printed


def test_commands_are_written_where_asked(nmsim, ddr4, requests, tmp_path):
    assert nmsim("replay", ddr4, requests, "--commands", "commands.csv").exit_code == 0
    lines = (tmp_path / "commands.csv").read_text().splitlines()
    assert sum("RD" in line for line in lines) == 64 and sum("ACT" in line for line in lines) == 1


def test_each_channel_has_a_file_of_commands_in_the_format_asked_for(nmsim, lpddr4, requests, tmp_path):
    heads = {
        "csv": "0,ACT,0,0,0,0,0",
        "drampower": "0,ACT,0,0,0,0,0",
        "ramulator": "clock,command,Channel,Rank,Bank,Row,Column,type,source",
        "perfetto": '{"displayTimeUnit":"ns","traceEvents":[',
    }
    for form, head in heads.items():
        words = ["--bytes", "64", "--commands", f"{form}.txt", "--commands-format", form]
        assert nmsim("replay", lpddr4, requests, *words).exit_code == 0
        for channel in range(2):  # 64 requests of two bursts of 32 B, which alternate between the channels
            text = (tmp_path / f"{form}.channel{channel}.txt").read_text()
            assert text.splitlines()[0] == head and len(re.findall(r"\bRD\b", text)) == 64
    assert len(list(tmp_path.glob("*.txt"))) == 8


def test_commands_of_a_time_are_those_of_the_whole_within_it(nmsim, ddr4, requests, tmp_path):
    def lines(name, *words):
        assert nmsim("replay", ddr4, requests, "--commands", name, *words).exit_code == 0
        return [line for line in (tmp_path / name).read_text().splitlines() if "END" not in line]

    whole = lines("whole.csv")
    some = lines("some.csv", "--commands-from", "50 ns", "--commands-until", "0.1 us")
    assert some == [line for line in whole if 50_000 <= int(line.split(",")[0]) * 830 < 100_000]
    assert 0 < len(some) < len(whole)


def test_how_to_write_commands_without_where_is_wrong_usage(nmsim, ddr4, requests):
    for words in (
        ["--commands-format", "perfetto"],
        ["--commands-from", "1 us"],
        ["--commands-until", "1 us"],
    ):
        result = nmsim("replay", ddr4, requests, *words)
        assert result.exit_code == 2 and "--commands" in result.stderr
    result = nmsim("replay", ddr4, requests, "--commands", "c.csv", "--commands-from", "1 mm")
    assert result.exit_code == 2 and "--commands-from" in result.stderr


def test_a_bank_hash_is_a_setting_of_the_controller(nmsim_json, ddr4, tmp_path):
    rows = tmp_path / "rows.trace"
    rows.write_text("".join(f"LD {i * 2**17:#x}\n" for i in range(64)))  # a row further in one bank
    plain = nmsim_json("replay", ddr4, rows)
    hashed = nmsim_json("replay", ddr4, rows, "--set", "memory.controller.bank_hash=xor")
    assert (plain["row_conflicts"], hashed["row_conflicts"]) == (63, 48)  # 16 banks are opened once each


def test_commands_of_several_traces_are_wrong_usage(nmsim, ddr4, requests):
    result = nmsim("replay", ddr4, requests, requests, "--commands", "c.csv")
    assert result.exit_code == 2 and "--commands" in result.stderr


@pytest.mark.parametrize("text", ["LD 0xZZ\n", "hello\n", "LD\n", ""])
def test_a_damaged_trace_is_one_line_with_its_file(refused, ddr4, tmp_path_factory, text):
    path = tmp_path_factory.mktemp("traces") / "bad.trace"
    path.write_text(text)
    assert str(path) in refused("replay", ddr4, path)


def test_a_missing_trace_is_one_line(refused, ddr4):
    assert "absent.trace" in refused("replay", ddr4, "absent.trace")


def test_options_change_the_memory(nmsim, ddr4, requests):
    slow = ["--set", "memory.timing.nCL=20"]
    clocks = [
        json.loads(nmsim("replay", ddr4, requests, "--json", *words).stdout)["clocks"] for words in ([], slow)
    ]
    # The last beat of the last read comes nCL later: 20 instead of 17.
    assert clocks[1] - clocks[0] == 3
