"""Does a buffer cost what CACTI says of its size and node?"""

from itertools import pairwise

import numpy as np
import pytest
from test_idd import BOARDS

from nmsim.config import load_config
from nmsim.energy.near_memory import buffer_read_fJ_per_bit, near_memory_prices, unit_leakage_W
from nmsim.energy.sram import sram_leakage_W, sram_read_fJ_per_bit

KIB = 1024


@pytest.mark.parametrize(
    ("size_KiB", "node_nm", "pJ_per_bit"),
    [
        (2, 22, 0.005),
        (64, 22, 0.033),
        (1024, 22, 0.149),
        (16, 45, 0.039),
        (256, 45, 0.204),
        (1024, 45, 0.418),
    ],
)
def test_the_points_of_the_table_are_met(size_KiB, node_nm, pJ_per_bit):
    assert sram_read_fJ_per_bit(size_KiB * KIB, node_nm) == pytest.approx(1e3 * pJ_per_bit)


def test_a_larger_buffer_and_an_older_node_cost_more_and_nothing_jumps():
    sizes = np.geomspace(2 * KIB, 4096 * KIB, 60)
    nodes = np.linspace(22, 65, 60)
    for values in (
        [sram_read_fJ_per_bit(size, 30.0) for size in sizes],
        [sram_leakage_W(size) for size in sizes],
        sram_read_fJ_per_bit(64 * KIB, nodes).tolist(),
    ):
        assert all(1 < b / a < 1.2 for a, b in pairwise(values))


def test_below_the_table_a_buffer_costs_what_it_does_at_its_end():
    assert sram_read_fJ_per_bit(256, 7) == sram_read_fJ_per_bit(2 * KIB, 22)


def units(*sets):
    return load_config(BOARDS / "lpddr4.yaml", sets).near_memory


def test_a_swept_buffer_takes_its_energy_and_leakage_along_unless_they_are_stated():
    small, large = units("near_memory.buffer=2 KiB"), units("near_memory.buffer=256 KiB")
    assert buffer_read_fJ_per_bit(large) / buffer_read_fJ_per_bit(small) == pytest.approx(71 / 5)
    assert unit_leakage_W(large) / unit_leakage_W(small) == pytest.approx(12 / 0.13)
    stated = units("near_memory.buffer=2 KiB", "near_memory.sram_read=0.1 pJ/bit", "near_memory.leakage=1 mW")
    assert (buffer_read_fJ_per_bit(stated), unit_leakage_W(stated)) == (100.0, 1e-3)


def test_the_buffer_of_the_default_board_costs_what_64_KB_at_22_nm_do():
    default = units()
    config = load_config(BOARDS / "lpddr4.yaml")
    # 0.033 pJ/bit and 3.1 mW, times the factors of a DRAM process.
    prices = near_memory_prices(default, config.operations)
    assert prices["SRAM"]["nmc_sram"] == pytest.approx(33.0 * default.sram_process_penalty.value)
    assert prices["LEAKAGE"]["nmc_leakage"] == pytest.approx(3.1 * default.leakage_process_factor.value)
