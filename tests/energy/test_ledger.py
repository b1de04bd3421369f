"""Is an energy that 64 bits cannot hold refused, alone and as a sum?"""

from pathlib import Path

import numpy as np
import pytest

from nmsim.config import load_config
from nmsim.energy.ledger import MAX_SUM, MAX_TOTAL, CommandKey, Ledger, WorkKey
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
    fits, over = Ledger(), Ledger()
    for phase in range(phases):
        fits.add_work(WorkKey(f"{phase}", "soc", "STATIC"), most, 0)
        over.add_work(WorkKey(f"{phase}", "soc", "STATIC"), int(1.02 * most), 0)
    assert fits.frame(prices).filter(like="_fJ").to_numpy().sum() > 0.98 * limit
    with pytest.raises(ResourceLimitError, match=f"found {words}; expected at most {words}.*training.epochs"):
        over.frame(prices)


@pytest.mark.parametrize("setting", ['link.voltage="1e30 V"', 'link.phy="1e60 fJ/bit"'])
def test_a_command_that_would_cost_more_than_a_joule_is_refused(setting):
    config = load_config(LPDDR4, [setting])
    with pytest.raises(ConfigError, match="one DRAM command is beyond all memories"):
        PriceList(config, dram_spec(config.memory))


def test_commands_beyond_64_bits_are_refused_before_they_turn_over():
    ledger, key = Ledger(), CommandKey("training", "host", "images", 0)
    counts = np.full((2, 2), 1 << 40)
    ledger.add_commands(key, counts, 1 << 22)
    with pytest.raises(ResourceLimitError, match=r"found 9\.22e\+18 of a kind; expected at most 4\.61e\+18"):
        ledger.add_commands(key, counts, 1 << 23)
