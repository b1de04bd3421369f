"""Is an energy that 64 bits cannot hold refused, alone and as a sum?"""

from pathlib import Path

import numpy as np
import pytest

from nmsim.config import load_config
from nmsim.dram.commands import COMMANDS
from nmsim.energy.ledger import MAX_TOTAL, CommandKey, Ledger, WorkKey, refuse_too_many
from nmsim.energy.priced import MAX_SUM, priced
from nmsim.energy.prices import PriceList
from nmsim.errors import ConfigError, ResourceLimitError
from nmsim.system.parts import dram_spec

LPDDR4 = Path(__file__).parents[2] / "hw_configs" / "lpddr4.yaml"


@pytest.mark.parametrize(
    ("phases", "limit", "words"), [(1, MAX_TOTAL, r"4\.6\d kJ"), (3, MAX_SUM, r"9\.\d+ kJ")]
)
def test_energies_beyond_64_bits_are_refused_with_what_they_came_to(phases, limit, words):
    config = load_config(LPDDR4)
    prices = PriceList(config, dram_spec(config.memory))
    a_ps_fJ = float(prices.work("STATIC", "soc").sum())
    most = int(0.99 * limit / a_ps_fJ / phases)
    fits, over = Ledger(32), Ledger(32)
    for phase in range(phases):
        fits.add_work(WorkKey(f"{phase}", "soc", "STATIC"), most, 0)
        over.add_work(WorkKey(f"{phase}", "soc", "STATIC"), int(1.02 * most), 0)
    assert priced(fits, prices)["energy_fJ"].sum() > 0.98 * limit
    with pytest.raises(ResourceLimitError, match=f"found {words}; expected at most {words}.*training.epochs"):
        priced(over, prices)


@pytest.mark.parametrize("setting", ['link.voltage="1e30 V"', 'link.phy="1e60 fJ/bit"'])
def test_a_command_that_would_cost_more_than_a_joule_is_refused(setting):
    config = load_config(LPDDR4, [setting])
    with pytest.raises(ConfigError, match="one DRAM command is beyond all memories"):
        PriceList(config, dram_spec(config.memory))


def test_commands_beyond_64_bits_are_refused_before_they_turn_over():
    counts = np.full((2, 2), 1 << 40)
    refuse_too_many(counts, 1 << 22)
    with pytest.raises(ResourceLimitError, match=r"found 9\.22e\+18 of a kind; expected at most 4\.61e\+18"):
        refuse_too_many(counts, 1 << 23)


def test_a_burst_moves_its_bytes_whether_or_not_a_precharge_comes_with_it():
    ledger, counts = Ledger(64), np.zeros((len(COMMANDS), 2), dtype=np.int64)
    for name, count in {"ACT": 5, "RD": 3, "RDA": 2, "WR": 7, "WRA": 1}.items():
        counts[COMMANDS.index(name), 1] = count
    ledger.add_commands(CommandKey("training", "host", "images", 0), counts)
    moved = {entry.cmd: entry.bytes for entry in ledger.entries()}
    assert moved == {"ACT": 0, "RD": 3 * 64, "RDA": 2 * 64, "WR": 7 * 64, "WRA": 64}
    assert ledger.bytes_of("host") == 13 * 64 and ledger.bytes_of("nmc") == 0
