"""Do the areas of near-memory units follow from the published ones?"""

import numpy as np
import pytest

from nmsim.config import load_config
from nmsim.energy.area import lane_um2, sram_mm2, unit_area_mm2
from nmsim.energy.logic import node_area_factor
from nmsim.energy.prices import PriceList
from nmsim.system.parts import dram_spec
from nmsim.system.unit_facts import unit_facts


def near_memory(*sets, board="lpddr4"):
    return load_config(f"hw_configs/{board}.yaml", [f"near_memory.{text}" for text in sets])


def facts(config):
    spec = dram_spec(config.memory)
    return unit_facts(config, spec, PriceList(config, spec))


def test_logic_never_grows_as_the_node_shrinks_and_lies_between_the_published_points():
    nodes = np.linspace(7, 65, 400)
    assert (np.diff(node_area_factor(nodes)) > 0).all()
    # A. Stillmaker, B. Baas, Integration 58, 2017: 0.21 at 20 nm and 1 at 45 nm. Straight lines, log over
    # log: at the geometric mean of two nodes, 30 nm, stands that of their areas.
    assert node_area_factor((20 * 45) ** 0.5) == pytest.approx(0.21**0.5)


def test_a_unit_by_hand():
    # int8 lane: 282 + 137, and fp32 7700 + 4184 with a comparator of 137 µm²: 12,440 µm² at 45 nm
    assert lane_um2("int8") == 12_440
    # 16 lanes and CACTI's 0.20 mm² for 64 KB; 0.21 for 20 nm, 2 for a DRAM process
    area = unit_area_mm2(
        near_memory("lanes=16", 'buffer="64 KiB"', "node_nm=20", "area_penalty=2").near_memory
    )
    assert area == pytest.approx(2 * 0.21 * (16 * 12_440e-6 + 0.20))


def test_a_buffer_chip_has_no_penalty_of_a_dram_process_and_takes_no_share_of_a_die():
    config = near_memory("placement=rank")
    on_die = near_memory("placement=bank", "area_penalty=1")
    assert unit_area_mm2(config.near_memory) == unit_area_mm2(on_die.near_memory)
    assert facts(config)["die_share"] is None


def test_larger_buffers_take_more_and_lie_between_the_points_of_cacti():
    sizes = 2.0 ** np.arange(8, 26)
    assert (np.diff([sram_mm2(size) for size in sizes]) > 0).all()
    # CACTI 7, 45 nm, low operating power, a port of 256 bits: 0.059 mm² for 16 KiB, 0.2 for 64, 3.7 for 1024.
    # Half-way in the logarithm lies the root of the product; below the least as much a byte.
    assert sram_mm2(32 * 1024) == pytest.approx((0.059 * 0.20) ** 0.5)
    assert sram_mm2(256 * 1024) == pytest.approx((0.20 * 3.7) ** 0.5)
    assert sram_mm2(4 * 1024) == pytest.approx(0.059 / 4)


@pytest.mark.parametrize(
    ("board", "units", "dies"), [("lpddr4", 16, 2), ("hbm2", 256, 4), ("ddr4_2400", 128, 8)]
)
def test_the_share_of_the_dies_counts_every_unit_and_every_die_once(board, units, dies):
    config = near_memory(board=board)
    found = facts(config)
    area = unit_area_mm2(config.near_memory)
    assert found["units"] == units
    assert found["die_share"] == pytest.approx(units * area / (dies * config.memory.die.area.value))
    assert found["die_share_low"] <= found["die_share"] <= found["die_share_high"]


def test_full_rate_is_every_lane_in_every_cycle():
    config = near_memory("leakage=0 mW", "control_instruction=0 pJ", "sram_read=0 pJ/bit")
    # 16 units, 16 lanes at 300 MHz; 0.3 pJ at 45 nm, times 0.22 (20 nm) and 2 (DRAM process)
    assert facts(config)["peak_power_W"] == pytest.approx(16 * 16 * 300e6 * 0.3e-12 * 0.22 * 2)
    slower = near_memory("format=fp32", "leakage=0 mW", "control_instruction=0 pJ", "sram_read=0 pJ/bit")
    # 4.6 pJ, in two cycles
    assert facts(slower)["peak_power_W"] == pytest.approx(16 * 16 * 150e6 * 4.6e-12 * 0.22 * 2)


def test_the_memorys_reading_power_is_that_of_its_currents():
    config = near_memory()
    # A read draws IDD4R on each rail; that of the data pins belongs to the link, and only its standby counts.
    watts = sum(
        rail.voltage.value * rail.currents["IDD3N" if name == "VDDQ" else "IDD4R"].value
        for name, rail in config.memory.rails.items()
    )
    assert facts(config)["dram_read_power_W"] == pytest.approx(2 * watts, rel=1e-3)
