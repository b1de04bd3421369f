"""Do a data sheet's currents give the energies that their formulas, and two other programs, give?"""

from dataclasses import replace
from pathlib import Path

import pytest

from nmsim.config.schema import Memory
from nmsim.config.yaml_tree import read_yaml
from nmsim.energy.idd import command_energies
from nmsim.errors import ConfigError
from nmsim.system.board import dram_spec

PRESETS = Path(__file__).parents[2] / "hw_configs" / "presets"


def spec_of(name):
    return dram_spec(Memory.model_validate(read_yaml(PRESETS / f"memory-{name}.yaml")[0]["memory"]))


def test_lpddr4_commands_cost_what_the_currents_of_both_core_rails_say():
    # fJ = V · mA · ps. VDD1 1.8 V, VDD2 1.1 V, tCK 625 ps; tRAS 68, tRPpb 29, burst 8 clocks:
    # ACT 1.8·(3.5 − 2.25)·42500 + 1.1·(45 − 30)·42500 = 95,625 + 701,250 fJ = 797 pJ
    # PRE 1.8·(3.5 − 2.0)·18125 + 1.1·(45 − 27)·18125 = 48,937.5 + 358,875 fJ = 408 pJ
    # RD  1.8·(2.25 − 2.25)·5000 + 1.1·(275 − 30)·5000 = 1,347,500 fJ = 1,348 pJ
    # WR  1.1·(210 − 30)·5000 = 990,000 fJ
    energies = command_energies(spec_of("lpddr4-3200")).command_fJ
    assert energies["ACT"] == 796_875
    assert energies["PREpb"] == pytest.approx(407_812.5, abs=0.5)
    assert energies["RD"] == 1_347_500
    assert energies["WR"] == 990_000


def test_a_refresh_is_charged_the_current_during_it_not_the_average():
    # tRFCab 448·625 ps: 1.8·(10 − 2.25)·280000 + 1.1·(90 − 30)·280000 = 3,906,000 + 18,480,000 fJ.
    # With IDD5AB, the average over tREFI (2.5 and 30 mA), it would be 126 pJ: less than one activation.
    energies = command_energies(spec_of("lpddr4-3200"), "precharged")
    assert energies.command_fJ["REFab"] == 22_386_000


#: DRAMsim3 on a trace of a million requests (2/3 reads, 9 of 10 in one row), DDR4-2400 x8, eight devices.
COUNTS = {"ACT": 135_624, "RD": 666_303, "WR": 333_680, "REFab": 529}
CLOCKS, IDLE_CLOCKS = 4_953_103, 231_388


def test_ddr4_components_equal_those_of_two_other_programs():
    # DRAMsim3 and DRAMPower, given the same counts, agree on these (mJ, four digits); DRAMsim3's are
    # multiplied by tCK in ns, which its own output leaves out.
    energies = command_energies(spec_of("ddr4-2400"), "precharged").command_fJ
    mJ = {name: COUNTS[name] * energies[name] * 1e-12 for name in COUNTS}
    assert mJ["ACT"] + COUNTS["ACT"] * energies["PREpb"] * 1e-12 == pytest.approx(0.4679, abs=1e-4)
    assert mJ["RD"] == pytest.approx(1.9538, abs=1e-4)
    assert mJ["WR"] == pytest.approx(0.8508, abs=1e-4)
    assert mJ["REFab"] == pytest.approx(0.3665, abs=1e-4)


@pytest.mark.parametrize(("convention", "total_mJ"), [("precharged", 5.3194), ("active", 5.3353)])
def test_ddr4_totals_equal_those_of_two_other_programs(convention, total_mJ):
    energies = command_energies(spec_of("ddr4-2400"), convention)
    commands = sum(n * energies.command_fJ[name] for name, n in COUNTS.items())
    commands += COUNTS["ACT"] * energies.command_fJ["PREpb"]
    background = (CLOCKS - IDLE_CLOCKS) * energies.background_fJ_per_clk["active"]
    background += IDLE_CLOCKS * energies.background_fJ_per_clk["precharged"]
    assert (commands + background) * 1e-12 == pytest.approx(total_mJ, abs=1e-4)


def test_the_two_conventions_differ_by_the_standby_currents_during_refresh():
    # 420 clk · 830 ps · 1.2 V · (43 − 34) mA · 8 devices = 30,119,040 fJ a refresh.
    spec = spec_of("ddr4-2400")
    active, precharged = (command_energies(spec, c) for c in ("active", "precharged"))
    assert active.command_fJ["REFab"] - precharged.command_fJ["REFab"] == 30_119_040
    assert active.refresh_background_fJ == 30_119_040 and precharged.refresh_background_fJ == 0
    assert {k: v for k, v in active.command_fJ.items() if k != "REFab"} == {
        k: v for k, v in precharged.command_fJ.items() if k != "REFab"
    }


def test_twice_the_devices_cost_twice_the_energy():
    spec = spec_of("ddr4-2400")
    half = replace(spec, organization=replace(spec.organization, devices_per_rank=4))
    whole, part = command_energies(spec), command_energies(half)
    assert all(whole.command_fJ[c] == 2 * part.command_fJ[c] for c in whole.command_fJ)
    assert all(whole.background_fJ_per_clk[s] == 2 * v for s, v in part.background_fJ_per_clk.items())


def test_the_pins_rail_costs_its_standby_only():
    spec = spec_of("lpddr4-3200")
    louder = {**spec.rails["VDDQ"], "IDD4R_A": 10.0, "IDD4W_A": 10.0}
    loud = replace(spec, rails={**spec.rails, "VDDQ": louder})
    assert command_energies(loud) == command_energies(spec)
    # 1.8·2.0 + 1.1·27 + 1.1·0.75 = 34.125 mW · 625 ps = 21,328 fJ a clock.
    assert command_energies(spec).background_fJ_per_clk["precharged"] == 21_328


def test_an_unknown_convention_is_refused():
    with pytest.raises(ConfigError, match="active or precharged"):
        command_energies(spec_of("ddr4-2400"), "both")
