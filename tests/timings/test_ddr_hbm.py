"""Do DDR4, DDR5 and HBM2 have the sizes, the speed and the latencies that their data sheets give?"""

from dataclasses import replace

import numpy as np
import pytest
from laid_out import memory

from nmsim.dram.engine import AccessBatch, Channel
from nmsim.errors import ConfigError

#: Bytes of a burst and of a row, Gibit of a channel, GB/s of a channel, sets of banks that REFpb refreshes.
SIZES = {
    "ddr4-2400": (64, 8192, 64, 8 * 2400e6, 0),
    "ddr4-3200": (64, 8192, 64, 8 * 3200e6, 0),
    "ddr4-3200-x16": (64, 8192, 32, 8 * 3200e6, 0),
    "ddr5-4800": (64, 4096, 64, 4 * 4800e6, 4),
    "ddr5-4800-x16": (64, 4096, 32, 4 * 4800e6, 4),
    "hbm2": (32, 1024, 2, 8 * 2400e6, 16),
}


@pytest.fixture(params=SIZES)
def name(request):
    return request.param


def test_a_channel_has_the_size_and_the_peak_of_its_devices(name):
    spec, _ = memory(name)
    burst, row, gibit, peak, sets = SIZES[name]
    assert (spec.access_bytes, spec.row_bytes, spec.refresh_sets) == (burst, row, sets)
    assert spec.size_bytes * 8 == spec.organization.channels * gibit * 2**30
    # tCK is rounded to whole picoseconds: 2 x 0.5 ps of 416.
    assert spec.peak_bandwidth_Bps == pytest.approx(peak, rel=0.005)


def test_an_unloaded_read_takes_the_latency_of_its_row_outcome(name):
    spec, controller = memory(name)
    c = spec.clocks
    channel = Channel(spec, controller)
    latency = c["nCL"] + c["nBL"]
    for clk, row, extra in ((0, 1, c["nRCD"]), (1000, 1, 0), (2000, 2, c["nRP"] + c["nRCD"])):
        one = AccessBatch(*(np.array([v]) for v in (0, row, 0, False, clk)))
        assert channel.access(one).end_clk == clk + extra + latency


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("ddr5-4800", {"nREFIsb": 300}, "nREFIsb > nRFCsb"),
        ("ddr5-4800", {"nCCD_L_WR2": 7}, "nCCD_L_WR2 >= nCCD_S_WR"),
        ("ddr5-4800", {"nXS_DLL": 20}, "nXS_DLL >= nXS"),
        ("ddr5-4800", {"nCKE": 6}, "unknown timing of DDR5: nCKE"),
    ],
)
def test_timings_that_cannot_be_meant_are_refused(name, change, says):
    spec, _ = memory(name)
    with pytest.raises(ConfigError, match=says):
        replace(spec, timing={**spec.timing, **change})


def test_same_bank_refresh_is_due_twice_as_often_as_its_banks_divide_it():
    # Fine granularity: 2 x 4 REFsb in the time of one REFab.
    c = memory("ddr5-4800")[0].clocks
    assert c["nREFI"] / c["nREFIsb"] == pytest.approx(8, rel=0.001)
