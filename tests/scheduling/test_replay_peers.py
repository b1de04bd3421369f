"""Does a trace file through the command line take as long as two established simulators say?

The requests, and the clocks of DRAMsim3 and Ramulator 2.1, are those of `test_peers`.
"""

import json
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from small_memories import PRESETS, memory
from test_peers import DRAMSIM3, RAMULATOR, mixed, sequential, uniform

from nmsim.dram.address import AddressMap
from nmsim.system.replay import replay_requests
from nmsim.trace.importers import Requests

PATTERNS = {"sequential": sequential, "random": uniform, "mixed": mixed}
MILLION = 1_000_000
LINES = {
    "csv": lambda w, a: f"{'RW'[w]},{a}\n",
    "dramsim3": lambda w, a: f"0x{a:X} {'WRITE' if w else 'READ'} 0\n",
    "ramulator": lambda w, a: f"{'ST' if w else 'LD'} 0x{a:X}\n",
}


@pytest.fixture(scope="module")
def board():
    """Return (DramSpec, ControllerSpec) of the memory that both were given."""
    return memory("ddr4-2400")


def short(board, name, n=60_000):
    """Replay the first n of a seeded re-generation of a pattern, by NumPy instead of Python's `random`."""
    rng, lines, row_lines = np.random.default_rng(7), (1 << 30) // 64, 8192 // 64
    line, is_write = np.arange(n), np.zeros(n, dtype=bool)
    if name == "random":
        line = rng.integers(0, lines, n)
    elif name == "mixed":
        # Runs of geometric length, each from a random line and on within its 8 KiB; a third are writes.
        jump = rng.random(n) >= 0.9
        jump[0] = True
        start = np.flatnonzero(jump)
        length = np.array([b - a for a, b in pairwise([*start.tolist(), n])])
        first = np.repeat(rng.integers(0, lines, len(start)), length)
        offset = np.arange(n) - np.repeat(start, length)
        line = first // row_lines * row_lines + (first + offset) % row_lines
        is_write = rng.random(n) < 1 / 3
    place = AddressMap(board[0], board[1].address_map).decode(line * 64)
    return replay_requests(*board, [Requests(place, is_write, line[:0])])


@pytest.mark.parametrize("name", PATTERNS)
def test_a_short_piece_takes_its_share_of_the_clocks_of_both(board, name):
    # The patterns are alike all along, and what the queues hold at the end is little of 60,000 requests.
    clocks = short(board, name)["clocks"] * MILLION / 60_000
    assert clocks == pytest.approx(DRAMSIM3[name], rel=0.05)
    assert clocks == pytest.approx(RAMULATOR[name], rel=0.05)


def test_sequential_reads_miss_once_a_row_and_after_refresh(board):
    result = short(board, "sequential")
    rows = -(-60_000 // 128)
    # All rows of one bank group's bank follow one another; refresh closes what is open and being read.
    assert rows <= result["commands"]["ACT"] <= rows + 2 * result["commands"]["REF"]
    assert result["row_hits"] == 60_000 - result["row_misses"] - result["row_conflicts"]


def test_mixed_requests_hit_as_often_as_the_two_say(board):
    # 9 of 10 follow their predecessor's row; DRAMsim3 counts 86.5 % hits, Ramulator 2.1 81.8 %.
    assert 0.81 < short(board, "mixed")["row_hits"] / 60_000 < 0.9


@pytest.mark.slow
@pytest.mark.parametrize("name", PATTERNS)
def test_a_million_requests_in_every_format_lie_within_5_per_cent_of_both(tmp_path, name):
    line, is_write = PATTERNS[name]()
    requests = list(zip(is_write.tolist(), (64 * line).tolist(), strict=True))
    results = []
    for form, written in LINES.items():
        path = tmp_path / form
        path.write_text("".join(written(w, a) for w, a in requests))
        config = PRESETS.parent / "ddr4_2400.yaml"
        command = [sys.executable, "-m", "nmsim", "replay", config, path, "--json"]
        results.append(json.loads(subprocess.run(command, capture_output=True, check=True).stdout))
    for result in results:
        assert result["clocks"] == pytest.approx(DRAMSIM3[name], rel=0.05)
        assert result["clocks"] == pytest.approx(RAMULATOR[name], rel=0.05)
        assert result["energy_fJ"] == results[0]["energy_fJ"]
        assert result["commands"] == results[0]["commands"]
