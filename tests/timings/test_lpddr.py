"""Do the LPDDR presets give the sizes, rates and latencies that follow from names and standards?"""

from dataclasses import replace

import numpy as np
import pytest
from laid_out import PRESETS as FOLDER
from laid_out import memory

from nmsim.config import load_config
from nmsim.dram.engine import AccessBatch, Channel
from nmsim.energy.components import COMPONENTS
from nmsim.energy.prices import PriceList
from nmsim.errors import ConfigError
from nmsim.system.parts import dram_spec

BOARDS = FOLDER.parent

#: Preset: pins of a channel, MT/s, Gb of a channel, banks refreshed by one REFpb, ns of tRFCab.
PRESETS = {
    "lpddr4-3200": (16, 3200, 8, 1, 280),
    "lpddr4-3200-16gb": (16, 3200, 16, 1, 380),
    "lpddr4x-4266": (16, 4266, 8, 1, 280),
    "lpddr5-6400": (16, 6400, 8, 2, 210),
    "lpddr5-6400-16gb": (16, 6400, 16, 2, 280),
    "lpddr5x-8533": (16, 8533, 16, 2, 280),
}


@pytest.fixture(params=PRESETS)
def preset(request):
    return memory(request.param), PRESETS[request.param]


def test_a_channel_has_the_peak_bandwidth_and_the_size_of_its_name(preset):
    (spec, _), (pins, rate_MTps, size_Gb, _, _) = preset
    # tCK is rounded to whole picoseconds.
    assert spec.peak_bandwidth_Bps == pytest.approx(pins / 8 * rate_MTps * 1e6, rel=6e-4)
    assert spec.size_bytes == spec.organization.channels * size_Gb * 2**30 // 8
    assert spec.access_bytes == 16 * pins // 8


def test_an_unloaded_read_takes_exactly_the_sum_of_its_latencies(preset):
    (spec, controller), _ = preset
    c, channel = spec.clocks, Channel(spec, controller)

    def latency(row, clk):
        one = [np.array([v]) for v in (3, row, 0, False, clk)]
        return channel.access(AccessBatch(*one)).end_clk - clk

    hit = c["nCL"] + c["nBL"]
    assert latency(row=1, clk=0) == c["nRCD"] + hit
    assert latency(row=1, clk=1000) == hit
    assert latency(row=2, clk=2000) == c["nRPpb"] + c["nRCD"] + hit


def test_per_bank_refresh_reaches_every_bank_as_often_as_all_bank_refresh(preset):
    (spec, _), (_, _, _, at_once, _) = preset
    assert spec.refresh_sets * at_once == spec.banks_per_rank
    # As often, or at most a clock a set more often: never less.
    slack = spec.clocks["nREFI"] - spec.refresh_sets * spec.clocks["nREFIpb"]
    assert 0 <= slack <= spec.refresh_sets


def test_all_rows_are_refreshed_in_32_ms_and_no_wait_is_shorter_than_its_nanoseconds(preset):
    (spec, _), (_, _, _, _, tRFCab_ns) = preset
    assert spec.clocks["nREFI"] * spec.tCK_ps * 8192 <= 32e9
    assert 0 <= spec.clocks["nRFCab"] * spec.tCK_ps - tRFCab_ns * 1000 < spec.tCK_ps


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("lpddr4-3200", {"nRPab": 20}, "nRPab >= nRPpb"),
        ("lpddr5-6400", {"nRC": 40}, "nRC >= nRAS"),
        ("lpddr5-6400", {"nCCD_L": 3}, "nCCD_L >= nBLmax"),
        ("lpddr5-6400", {"nREFIpb": 60}, "nREFIpb > npbR2pbR"),
        ("lpddr5-6400", {"nXSR": 100}, "nXSR > nRFCab"),
        ("lpddr5-6400", {"nBL": 4}, "nBL does not fit"),
        ("lpddr5-6400", {"npbr2pbr": 72}, "Did you mean npbR2pbR"),
    ],
)
def test_a_timing_that_cannot_be_meant_is_refused_by_name(name, change, says):
    spec, _ = memory(name)
    with pytest.raises(ConfigError, match=says.replace("+", r"\+")):
        replace(spec, timing={**spec.timing, **change})


def test_neighbouring_bank_groups_stream_at_the_peak_of_lpddr5_and_one_alone_at_half():
    spec, controller = memory("lpddr5-6400")
    n = 4096

    def clocks(banks):
        bank = np.resize(banks, n)
        arguments = (bank, np.zeros(n, int), np.arange(n) % spec.row_bursts, np.zeros(n, bool))
        return Channel(spec, controller).access(AccessBatch(*arguments, np.empty(0, int))).end_clk

    assert clocks([0, 4, 8, 12]) == pytest.approx(n * spec.clocks["nBL"], rel=0.1)
    assert clocks([0]) == pytest.approx(2 * n * spec.clocks["nBL"], rel=0.1)


def test_a_bit_is_on_the_link_for_one_beat_however_many_beats_a_clock_has():
    config = load_config(BOARDS / "lpddr5.yaml")
    spec = dram_spec(config.memory)
    read = PriceList(config, spec).command("RD", "host")
    # Half the bits are high and draw 0.5 V · 0.25 V / 40 Ohm for 1/6400 of a microsecond: 0.49 pJ.
    expected_fJ = 8 * spec.access_bytes * 0.5 * (0.5 * 0.25 / 40) / 6.4e9 * 1e15 * 1.3
    assert read[list(COMPONENTS).index("termination")] == pytest.approx(expected_fJ, rel=1e-3)
