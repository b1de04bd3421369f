"""Does a byte between near-memory units cost the way that it takes?"""

from typing import get_args

import pytest

from nmsim.config import load_config
from nmsim.config.board import NearMemory
from nmsim.energy.components import COMPONENTS
from nmsim.energy.placement import PLACEMENTS
from nmsim.energy.prices import PriceList
from nmsim.system.parts import dram_spec

BOARDS = "hw_configs"


def prices(board, *sets):
    """Return kind -> component -> fJ of the units' work, and the energy of a column read per byte, fJ."""
    config = load_config(f"{BOARDS}/{board}.yaml", sets)
    spec = dram_spec(config.memory)
    listed = PriceList(config, spec)
    kinds = ("GATHER", "BROADCAST", "SRAM", "LEAKAGE", "mac_int8", "mac_fp32")
    table = {k: dict(zip(COMPONENTS, listed.work(k, "nmc").tolist(), strict=True)) for k in kinds}
    column = listed.command("RD", "host")
    names = list(COMPONENTS)
    whole = (column[names.index("rd")] + column[names.index("on_die_bus")]) / spec.access_bytes
    return table, float(whole)


# HBM2's shares are O'Connor's 0.44 : 1.01 : 1.23 pJ/bit, whole 2.68; it has four bank groups on one die.
@pytest.mark.parametrize(
    ("placement", "up", "down"),
    [("bank", 1.01 + 1.23, 1.23 + 4 * 1.01), ("bankgroup", 1.23, 1.23), ("rank", 0, 0)],
)
def test_on_one_die_a_byte_pays_the_buses_that_it_takes(placement, up, down):
    table, column = prices("hbm2", f"near_memory.placement={placement}")
    assert table["GATHER"]["on_die_bus"] == pytest.approx(column * up / 2.68, rel=1e-5)
    assert table["BROADCAST"]["on_die_bus"] == pytest.approx(column * down / 2.68, rel=1e-5)
    assert sum(table["GATHER"].values()) == table["GATHER"]["on_die_bus"]


def test_between_devices_a_byte_crosses_the_link_up_once_and_down_once_a_device():
    table, _ = prices("ddr4_2400")  # eight devices in the one rank
    link = ("phy", "termination", "trace", "controller")
    # 1.76 pJ/bit PHY; 8 bits
    assert table["GATHER"]["phy"] == pytest.approx(8 * 1760)
    for component in link:
        assert table["BROADCAST"][component] == pytest.approx(8 * table["GATHER"][component])
    at_rank, _ = prices("ddr4_2400", "near_memory.placement=rank")
    assert not any(at_rank[kind][component] for kind in ("GATHER", "BROADCAST") for component in COMPONENTS)


def test_the_dram_process_has_its_factors_on_a_die_and_none_in_a_buffer_chip():
    sets = ("dram_process_penalty=2.5", "sram_process_penalty=1.25", "leakage_process_factor=0.5")
    on_die, _ = prices("lpddr4", *(f"near_memory.{text}" for text in sets))
    apart, _ = prices("lpddr4", "near_memory.placement=rank")
    assert on_die["mac_fp32"]["nmc_compute"] == pytest.approx(2.5 * apart["mac_fp32"]["nmc_compute"])
    assert on_die["mac_int8"]["nmc_sram"] == pytest.approx(1.25 * apart["mac_int8"]["nmc_sram"])
    assert on_die["SRAM"]["nmc_sram"] == pytest.approx(1.25 * apart["SRAM"]["nmc_sram"])
    assert on_die["LEAKAGE"]["nmc_leakage"] == pytest.approx(0.5 * apart["LEAKAGE"]["nmc_leakage"])


def test_every_placement_that_a_board_can_state_has_its_record():
    stated = get_args(NearMemory.model_fields["placement"].annotation)
    assert set(PLACEMENTS) == set(stated)
