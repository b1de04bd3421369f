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
    ("size_KiB", "node_nm", "ends_pJ"),
    # Points of CACTI 7 (low operating power, a port of 256 bits), in pJ a bit, around one half-way.
    [
        (32, 22, (0.013, 0.033)),  # 16 and 64 KiB
        (128, 45, (0.100, 0.204)),  # 64 and 256 KiB
        (64, (22 * 45) ** 0.5, (0.033, 0.100)),  # 22 and 45 nm
        (512, (22 * 45) ** 0.5, (0.071, 0.149, 0.204, 0.418)),  # all four around it
    ],
)
def test_half_way_between_points_of_cacti_a_bit_costs_their_geometric_mean(size_KiB, node_nm, ends_pJ):
    # Straight lines, log over log: half-way lies the root of the product.
    middle_pJ = np.prod(ends_pJ) ** (1 / len(ends_pJ))
    assert sram_read_fJ_per_bit(size_KiB * KIB, node_nm) == pytest.approx(1e3 * middle_pJ)


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
