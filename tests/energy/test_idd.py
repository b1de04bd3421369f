"""Do a data sheet's currents give the energies that their formulas, and two other programs, give?"""

from dataclasses import replace
from pathlib import Path

import pytest

from nmsim.config.load import load_config, read_extended
from nmsim.config.memory import Memory
from nmsim.dram.commands import COMMANDS
from nmsim.energy.components import COMPONENTS
from nmsim.energy.idd import command_energies
from nmsim.energy.prices import PriceList
from nmsim.errors import ConfigError
from nmsim.system.parts import dram_spec

BOARDS = Path(__file__).parents[2] / "hw_configs"
PRESETS = BOARDS / "presets"
ALL = sorted(p.stem.removeprefix("memory-") for p in PRESETS.glob("memory-*.yaml"))


def spec_of(name):
    return dram_spec(Memory.model_validate(read_extended(PRESETS / f"memory-{name}.yaml")[0]["memory"]))


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


@pytest.mark.parametrize("name", ALL)
def test_auto_precharge_costs_the_access_and_the_precharge(name):
    energies = command_energies(spec_of(name)).command_fJ
    assert set(energies) == set(COMMANDS)
    assert energies["RDA"] == energies["RD"] + energies["PREpb"] > energies["RD"] > 0
    assert energies["WRA"] == energies["WR"] + energies["PREpb"] > energies["WR"] > 0


@pytest.mark.parametrize("name", ALL)
def test_entering_and_leaving_a_state_is_free_and_being_in_it_is_cheaper_the_deeper_it_is(name):
    energies = command_energies(spec_of(name))
    assert [energies.command_fJ[c] for c in ("PDE", "PDX", "SRE", "SRX")] == [0] * 4
    states = energies.background_fJ_per_clk
    assert states["active"] > states["precharged"] > states["power_down_precharged"]
    assert states["active"] > states["power_down_active"] > states["self_refresh"] > 0


def test_self_refresh_costs_idd6_on_every_rail():
    # LPDDR4-3200: 1.8·0.3 + 1.1·0.5 + 1.1·0.1 = 1.2 mW · 625 ps = 750 fJ a clock.
    # DDR5-4800: 1.1 V · 102 mA · 4 devices · 416 ps = 186,700.8 fJ.
    lpddr4, ddr5 = spec_of("lpddr4-3200"), spec_of("ddr5-4800")
    assert command_energies(lpddr4).background_fJ_per_clk["self_refresh"] == 750
    assert command_energies(ddr5).background_fJ_per_clk["self_refresh"] == 186_701


def test_refreshing_bank_by_bank_costs_as_much_a_second_as_all_at_once_where_no_current_says_otherwise():
    # LPDDR4-3200: REFab 22,386,000 fJ, by the eighth.
    spec = spec_of("lpddr4-3200")
    assert command_energies(spec).command_fJ["REFpb"] == 22_386_000 // 8 == 2_798_250


def test_a_same_bank_refresh_costs_its_own_current_where_that_is_known():
    # DDR5: 1.1 V · (135 − 93.6) mA · 313 clk · 416 ps · 4 devices = 23.7 nJ: within a tenth of a REFab's
    # eighth, which the maker's other current, 277 mA, gives: 1.1 · (277 − 142) · 710 · 416 · 4 / 8.
    energies = command_energies(spec_of("ddr5-4800"), "precharged").command_fJ
    assert energies["REFpb"] == round(1.1 * (135 - 93.6) * 313 * 416 * 4)
    assert energies["REFpb"] == pytest.approx(energies["REFab"] / 8, rel=0.1)


def test_one_bank_open_is_what_an_activation_is_counted_from_where_all_open_draw_more_than_idd0():
    # DDR5: IDD3N 142 mA with 32 banks open, IDD0 122 mA with one. 1.1 · (122 − 93.6) · 77 · 416 · 4.
    spec = spec_of("ddr5-4800")
    assert command_energies(spec).command_fJ["ACT"] == round(1.1 * (122 - 93.6) * 77 * 416 * 4)
    without = {k: v for k, v in spec.rails["VDD"].items() if k != "IDD3N1_A"}
    with pytest.raises(ConfigError, match="IDD0 must be above IDD3N"):
        replace(spec, rails={"VDD": without})


def test_a_current_that_one_core_rail_has_all_have():
    spec = spec_of("lpddr4-3200")
    with pytest.raises(ConfigError, match="rail VDD1 lacks IDD5PB"):
        replace(spec, rails={**spec.rails, "VDD2": {**spec.rails["VDD2"], "IDD5PB_A": 0.09}})


def test_hbm2_costs_what_is_published_for_its_parts():
    # O'Connor et al., MICRO 2017: 909 pJ to open and close a row; a column up to the bank's edge 0.44, to the
    # bank group's multiplexer 1.45, to the global I/O 2.68 pJ/bit; TSV and I/O 0.8.
    config = load_config(BOARDS / "hbm2.yaml")
    energies = command_energies(spec_of("hbm2")).command_fJ
    assert energies["ACT"] + energies["PREpb"] == pytest.approx(909e3, rel=1e-3)
    bits = 8 * spec_of("hbm2").access_bytes
    reached = {}
    for placement in ("bank", "bankgroup", "rank"):
        near = config.near_memory.model_copy(update={"placement": placement})
        price = PriceList(config.model_copy(update={"near_memory": near}), spec_of("hbm2")).command(
            "RD", "nmc"
        )
        parts = dict(zip(COMPONENTS, (price / bits).tolist(), strict=True))
        reached[placement] = (parts["rd"] + parts["on_die_bus"]) / 1e3
        assert parts["phy"] == pytest.approx(800 if placement == "rank" else 0)
    assert reached == pytest.approx({"bank": 0.44, "bankgroup": 1.45, "rank": 2.68}, rel=1e-3)


@pytest.mark.parametrize("convention", ["active", "precharged"])
@pytest.mark.parametrize("board", ["ddr4_2400", "ddr5_4800", "lpddr4"])
def test_a_board_books_every_command_whole_and_each_part_where_it_belongs(board, convention):
    config = load_config(BOARDS / f"{board}.yaml", [f"memory.refresh_background={convention}"])
    spec = dram_spec(config.memory)
    energies, prices = command_energies(spec, convention), PriceList(config, spec)

    def parts(command, source="host"):
        vector = prices.command(command, source)
        return {name: int(v) for name, v in zip(COMPONENTS, vector, strict=True) if v}

    # On their way to the host all bits of a burst pass the whole die.
    for plain, closing in (("RD", "RDA"), ("WR", "WRA")):
        assert parts(closing) == {**parts(plain), "pre": energies.command_fJ["PREpb"]}
        assert parts(plain)[plain.lower()] + parts(plain)["on_die_bus"] == energies.command_fJ[plain]
        near = parts(closing, "nmc")
        assert near["pre"] == energies.command_fJ["PREpb"] and "phy" not in near
    extra = energies.refresh_background_fJ
    background = {"background": extra} if extra else {}
    assert parts("REFab", "dram") == {"ref": energies.command_fJ["REFab"] - extra, **background}
    if spec.table.refresh_per_bank_interval:
        assert parts("REFpb", "dram") == {"ref": energies.command_fJ["REFpb"]}
