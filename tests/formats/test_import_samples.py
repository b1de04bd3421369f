"""Do the committed samples say what their README says, whatever they are written in?"""

import random
from pathlib import Path

import numpy as np
import pytest

from nmsim.config import load_config
from nmsim.dram.address import AddressMap
from nmsim.system.parts import controller_spec, dram_spec
from nmsim.system.replay import replay
from nmsim.trace.importers import read_requests

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "traces"
MIXED = sorted(path.name for path in SAMPLES.glob("mixed.*"))


@pytest.fixture(scope="module")
def board():
    """Return (DramSpec, ControllerSpec) of the board that the vectors are made for."""
    memory = load_config(ROOT / "hw_configs" / "ddr4_2400.yaml").memory
    return dram_spec(memory), controller_spec(memory)


def described():
    """Return (whether each request is a write, its address) by the rule in the README."""
    r = random.Random(2400)
    line = r.randrange(2**30 // 64)
    for _ in range(256):
        if r.random() < 0.9:
            line = line // 128 * 128 + (line + 1) % 128
        else:
            line = r.randrange(2**30 // 64)
        yield r.random() < 1 / 3, 64 * line


@pytest.mark.parametrize("name", MIXED)
def test_each_sample_holds_the_requests_that_the_rule_makes(board, name):
    address_map = AddressMap(board[0], board[1].address_map)
    (requests,) = read_requests(SAMPLES / name, address_map)
    found = zip(requests.is_write.tolist(), address_map.encode(requests.place).tolist(), strict=True)
    assert list(found) == list(described())


def test_all_formats_of_the_same_requests_give_the_same_result(board):
    results = [replay(*board, SAMPLES / name) for name in MIXED]
    assert len(results) == 6
    for result in results:
        del result["wall_s"], result["requests_per_s"]
        assert result == results[0]


def test_a_trace_with_lengths_is_as_many_bursts_as_its_bytes(board):
    result = replay(*board, SAMPLES / "bursts.stl")
    # Four transfers of 2 KiB are 32 bursts of 64 B each; two requests have no length.
    assert result["requests"] == 4 * 32 + 2 and result["bytes"] == 130 * 64
    assert (result["commands"]["RD"], result["commands"]["WR"]) == (2 * 32 + 1, 2 * 32 + 1)
    # The last two arrive at clock 2600, and 32 bursts before them take much less than the 1260 clocks since.
    assert 2600 < result["clocks"] < 2600 + 200


def test_no_sample_is_larger_than_20_kB():
    assert all(path.stat().st_size <= 20_000 for path in SAMPLES.iterdir())


def test_vectors_of_another_memory_are_the_places_themselves(board):
    (requests,) = read_requests(SAMPLES / "mixed.vectors.ramulator", AddressMap(board[0], "BgBaRoRaCo"))
    address_map = AddressMap(board[0], board[1].address_map)
    assert np.array_equal(address_map.encode(requests.place), [address for _, address in described()])
