"""Are the roofs of a board its own, and does arithmetic count as it is defined?"""

import pytest
from board_samples import BOARDS

import nmsim
from nmsim.system.parts import dram_spec
from nmsim.system.peaks import arithmetic, peaks


def roofs(*overrides):
    config = nmsim.load_config(BOARDS / "lpddr4.yaml", overrides)
    return peaks(config, dram_spec(config.memory))


def test_the_peaks_of_the_default_board_are_what_its_parts_give():
    found = roofs()
    # 16 × 16 multiply-accumulates at 1 GHz; 4 cores with 1 instruction of 4 lanes at 1.5 GHz; 32 pins at
    # 3200 Mbit/s.
    assert found["host"] == {
        "operations_per_s": pytest.approx(512e9),
        "cpu_operations_per_s": pytest.approx(24e9),
        "bytes_per_s": pytest.approx(12.8e9),
    }
    # 16 banks: 16 lanes at 300 MHz in each, and 32 bytes every 8 clocks of 625 ps.
    assert found["nmc"] == {
        "operations_per_s": pytest.approx(2 * 16 * 16 * 300e6),
        "bytes_per_s": pytest.approx(16 * 32 / 5e-9),
    }


def test_units_that_share_a_bus_read_no_more_together_than_it_carries():
    # A buffer chip sees a rank through its pins: 2 channels with one rank each.
    at_rank = roofs("near_memory.placement=rank")
    assert at_rank["nmc"]["bytes_per_s"] == pytest.approx(12.8e9)
    assert at_rank["nmc"]["operations_per_s"] == pytest.approx(roofs()["nmc"]["operations_per_s"] / 8)


def test_a_multiply_accumulate_is_two_operations_and_what_steers_is_none():
    counts = {
        ("scan", "nmc", "", "mac_int8"): 10,
        ("scan", "nmc", "", "compare"): 3,
        ("scan", "nmc", "", "cpu_instruction"): 99,
        ("scan", "soc", "", "mac_fp16"): 5,
        ("scan", "soc", "", "exp"): 7,
        ("scan", "host", "images", "RD"): 1000,
        ("other", "soc", "", "exp"): 1,
    }
    assert arithmetic(counts, "scan") == {
        "host": {"operations": 17, "cpu_operations": 7},
        "nmc": {"operations": 23},
    }
