"""What does a bit cost on its way over the board?"""

import itertools

import pytest

from nmsim.config.board import Link
from nmsim.config.quantity import Physical
from nmsim.energy.link import flight_time_ps, link_energy
from nmsim.energy.logic import NODE_ENERGY, node_energy_factor
from nmsim.energy.terminated import lvstl_pin_power_W, pod_pin_power_W
from nmsim.errors import ConfigError

PLAIN = {
    "length": "30 mm",
    "voltage": "1.1 V",
    "driver": "40 Ohm",
    "termination": "40 Ohm",
    "output_high": "0.36667 V",
    "driven_share": 0.5,
    "rising_share": 0.25,
    "pad_capacitance": "3.25 pF",
    "trace_capacitance": "0.118 pF/mm",
    "flight_time": "5.9 ps/mm",
    "strobe_overhead": 1,
    "phy": "1 pJ/bit",
    "controller": "1 pJ/bit",
}


def energy(data_rate_Hz, **changes):
    return link_energy(Link.model_validate(PLAIN | changes), data_rate_Hz)


def test_a_pod_pin_at_1_2_V_with_34_and_48_ohm_burns_17_56_mW():
    # V²/(Ron + Rtt) = 1.44/82; the package energydram gives the same figure.
    assert pod_pin_power_W(1.2, 34, 48) == pytest.approx(17.56e-3, rel=1e-3)


@pytest.mark.parametrize(
    ("rate_Hz", "changes", "pJ_per_bit"),
    [
        # POD: 0.5 · VDDQ² / (Ron + Rtt) / rate
        (2.4e9, {"signalling": "POD", "voltage": "1.2 V", "driver": "34 Ohm", "termination": "48 Ohm"}, 3.66),
        (3.2e9, {"signalling": "POD", "voltage": "1.2 V", "driver": "34 Ohm", "termination": "48 Ohm"}, 2.74),
        (4.8e9, {"signalling": "POD", "driver": "34 Ohm", "termination": "40 Ohm"}, 1.70),
        # LVSTL: 0.5 · VDDQ · (VDDQ/3) / Rodt / rate
        (3.2e9, {"signalling": "LVSTL"}, 1.58),
        (4.266e9, {"signalling": "LVSTL"}, 1.18),
    ],
)
def test_termination_per_bit_is_dc_power_over_the_data_rate(rate_Hz, changes, pJ_per_bit):
    found = energy(rate_Hz, **changes).termination_fJ_per_bit / 1e3
    assert found == pytest.approx(pJ_per_bit, abs=0.005)


def test_an_unterminated_trace_costs_0_036_pJ_per_bit_and_mm_at_1_1_V():
    # p01 · c · V² = 0.25 · 0.118 pF/mm · 1.21 V²
    short, long = (energy(1e9, signalling="unterminated", length=f"{mm} mm") for mm in (10, 60))
    assert (long.trace_fJ_per_bit - short.trace_fJ_per_bit) / 50 == pytest.approx(0.25 * 118 * 1.21)
    assert short.phy_fJ_per_bit == pytest.approx(1000 + 0.25 * 3250 * 1.21), "pads count as PHY"


@pytest.mark.parametrize("signalling", ["POD", "LVSTL"])
def test_the_length_of_a_terminated_trace_costs_time_but_no_energy(signalling):
    assert energy(3.2e9, signalling=signalling) == energy(3.2e9, signalling=signalling, length="80 mm")
    links = [Link.model_validate(PLAIN | {"signalling": signalling, "length": f"{mm} mm"}) for mm in (30, 60)]
    assert [flight_time_ps(link) for link in links] == [177, 354]


def test_strobes_and_mask_pins_multiply_what_the_pins_cost():
    plain, with_strobes = (energy(3.2e9, signalling="LVSTL", strobe_overhead=f) for f in (1, 1.3))
    assert with_strobes.termination_fJ_per_bit == pytest.approx(1.3 * plain.termination_fJ_per_bit)
    assert with_strobes.phy_fJ_per_bit == plain.phy_fJ_per_bit


def test_doubling_the_voltage_at_a_fixed_voh_doubles_lvstl_power():
    assert lvstl_pin_power_W(2.2, 0.4, 40) == pytest.approx(2 * lvstl_pin_power_W(1.1, 0.4, 40))


def test_the_energy_of_logic_falls_with_its_node_and_meets_the_published_points():
    nodes = [7 + 0.25 * i for i in range(4 * (65 - 7) + 1)]
    factors = [node_energy_factor(node) for node in nodes]
    assert all(a < b for a, b in itertools.pairwise(factors))
    assert {node: node_energy_factor(node) for node in NODE_ENERGY} == pytest.approx(NODE_ENERGY)


@pytest.mark.parametrize("node", [5, 90])
def test_a_node_outside_the_published_table_is_refused(node):
    with pytest.raises(ConfigError, match="no published scaling"):
        node_energy_factor(node)


def test_a_value_without_a_range_is_taken_to_be_known_within_a_factor_of_two():
    quantity = Physical("voltage")._quantity("1.1 V")
    assert (quantity.low, quantity.high, quantity.assumed) == (0.55, 2.2, True)
