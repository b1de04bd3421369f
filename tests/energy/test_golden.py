"""Do energies equal those that others print, and do they change with voltage, length and use as they must?"""

from pathlib import Path

import numpy as np
import pytest
from drampower_patterns import PATTERNS, TOTAL_pJ, energy_pJ

from nmsim.access.work import ArraySpec, Step
from nmsim.config import load_config
from nmsim.config.load import read_extended
from nmsim.config.memory import Memory
from nmsim.dram.commands import COMMANDS
from nmsim.energy.components import COMPONENTS, DDR_COMPONENTS
from nmsim.energy.idd import command_energies
from nmsim.energy.prices import PriceList
from nmsim.system.board import Board, SelectionWork
from nmsim.system.parts import dram_spec

BOARDS = Path(__file__).parents[2] / "hw_configs"
PRESETS = sorted((BOARDS / "presets").glob("memory-*.yaml"))


def test_drampowers_pattern_0_costs_what_drampower_prints_to_the_pj():
    # act 196, pre 208, active background 485, total 888.
    found = {name: round(pJ) for name, pJ in energy_pJ(0).items() if pJ}
    assert found == {"act": 196, "pre": 208, "active": 485}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_drampowers_patterns_agree_to_the_pj_with_one_bank_and_to_half_a_per_cent_with_more(pattern):
    # Of several open banks each adds to DRAMPower's active background; IDD3N is one current here.
    several = len({bank for _, command, bank in PATTERNS[pattern][0] if command == "ACT"}) > 1
    total = sum(energy_pJ(pattern).values())
    assert total == pytest.approx(TOTAL_pJ[pattern], **({"rel": 0.005} if several else {"abs": 0.5}))


@pytest.mark.parametrize("preset", PRESETS, ids=lambda file: file.stem)
def test_twice_the_voltage_at_the_same_currents_is_twice_the_energy(preset):
    spec = dram_spec(Memory.model_validate(read_extended(preset)[0]["memory"]))
    louder = {name: {**rail, "voltage_V": 2 * rail["voltage_V"]} for name, rail in spec.rails.items()}
    once, twice = (command_energies(spec, "precharged", rails) for rails in (spec.rails, louder))
    for name, energy_fJ in once.command_fJ.items():
        assert twice.command_fJ[name] == pytest.approx(2 * energy_fJ, abs=2)  # both are whole fJ
    for state, energy_fJ in once.background_fJ_per_clk.items():
        assert twice.background_fJ_per_clk[state] == pytest.approx(2 * energy_fJ, abs=2)


@pytest.mark.parametrize("board", ["lpddr4", "ddr4_2400"])
def test_a_memory_that_nobody_accesses_costs_its_background_alone(board):
    config = load_config(BOARDS / f"{board}.yaml", ["memory.controller.refresh=none"])
    machine = Board(config, "idle", [ArraySpec("indices", 1, 4)], np.zeros(1, dtype=np.int64), None)
    machine.execute(SelectionWork("host", [Step("compute", (), {"mac_fp16": 10**9})], 1), [])
    frame = machine.frame()
    spent = {name: int(frame[f"{name}_fJ"].sum()) for name in DDR_COMPONENTS}
    clocks = machine.meter.phases["compute"][1] // machine.spec.tCK_ps
    price_fJ = command_energies(machine.spec).background_fJ_per_clk["precharged"]
    organization = config.memory.organization
    idle_fJ = clocks * price_fJ * organization.channels * organization.ranks
    assert {name: fJ for name, fJ in spent.items() if fJ} == {"background": idle_fJ}


@pytest.mark.parametrize(("signalling", "changed"), [("LVSTL", set()), ("unterminated", {"trace"})])
def test_a_longer_trace_changes_the_unterminated_part_alone(signalling, changed):
    def prices(length):
        sets = [f"link.signalling={signalling}", f"link.length={length}"]
        config = load_config(BOARDS / "lpddr4.yaml", sets)
        of_board = PriceList(config, dram_spec(config.memory))
        commands = [of_board.command(name, source) for name in COMMANDS for source in ("host", "nmc", "dram")]
        return np.array(commands)

    short, long = prices("30 mm"), prices("60 mm")
    differs = {name for name, off in zip(COMPONENTS, (short != long).any(axis=0), strict=True) if off}
    assert differs == changed
    trace = list(COMPONENTS).index("trace")
    assert long[:, trace] == pytest.approx(2 * short[:, trace], abs=1)


def test_a_read_of_lpddr4_lies_between_5_and_10_pj_a_bit():
    # Accelergy's CACTI plug-in takes 8 for a whole access. Standby and refresh come on top here.
    config = load_config(BOARDS / "lpddr4.yaml")
    spec = dram_spec(config.memory)
    read_fJ = PriceList(config, spec).command("RD", "host").sum()
    assert 5 < read_fJ / (8 * spec.access_bytes) / 1e3 < 10
