"""What a controller can be asked for, by itself and of a given memory."""

from dataclasses import replace

import pytest
from small_memories import memory

from nmsim.dram.controller import ControllerSpec, check_controller
from nmsim.errors import ConfigError


@pytest.mark.parametrize(
    "settings",
    [
        {"scheduler": "FIFO"},
        {"row_policy": "close"},
        {"refresh": "same_bank"},
        {"read_queue": 0},
        {"write_low_watermark": 24},
        {"row_hit_cap": -1},
        {"power_down_idle_clk": -1},
        {"self_refresh_idle_clk": -1},
        {"row_policy": "timeout"},
        {"row_timeout_clk": 5},
        {"refresh_postponed": 9},
        {"refresh_postponed": -1},
    ],
    ids=str,
)
def test_a_setting_that_cannot_be_meant_is_refused(settings):
    with pytest.raises(ConfigError, match=r"must be|do not fit|goes with"):
        ControllerSpec(**settings)


def test_a_memory_without_a_refresh_of_single_banks_is_not_given_one():
    per_bank = ControllerSpec(refresh="per_bank")
    check_controller(memory("lpddr4-3200")[0], per_bank)
    with pytest.raises(ConfigError, match="DDR4 has no per-bank refresh"):
        check_controller(memory("ddr4-2400")[0], per_bank)


def test_no_more_refreshes_are_postponed_than_the_standard_lets(monkeypatch):
    spec, controller = memory("ddr4-2400")[0], ControllerSpec(refresh_postponed=4)
    for limit, fits in ((4, True), (3, False)):
        table = replace(spec.table, refresh_postponed=limit)
        monkeypatch.setattr("nmsim.dram.spec.load_standard", lambda name, table=table: table)
        if fits:
            check_controller(spec, controller)
        else:
            with pytest.raises(ConfigError, match="so many refreshes"):
                check_controller(spec, controller)


def test_self_refresh_before_a_refresh_interval_is_over_is_refused(preset):
    spec = preset[0]
    interval = spec.clocks["nREFI"]
    check_controller(spec, ControllerSpec(self_refresh_idle_clk=interval))
    with pytest.raises(ConfigError, match=f"at least {interval} clocks"):
        check_controller(spec, ControllerSpec(self_refresh_idle_clk=interval - 1))
