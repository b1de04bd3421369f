"""Do DDR4, DDR5 and HBM2 have the sizes, the speed and the latencies that their data sheets give?"""

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from laid_out import PRESETS, memory

from nmsim.config.load import load_config
from nmsim.dram.checker import Checker
from nmsim.dram.engine import AccessBatch, Channel
from nmsim.dram.standard import load_standard
from nmsim.errors import ConfigError, ProtocolViolation
from nmsim.system.board_checks import check_board
from nmsim.system.parts import controller_spec, dram_spec

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


# A standard of one's own: the files of docs/howto/standard.md.


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Return the folder into which the page's files are put, beside the presets that come with nmsim."""
    folder = tmp_path_factory.mktemp("hw_configs")
    shutil.copytree(PRESETS, folder / "presets")
    page = (PRESETS.parents[1] / "docs" / "howto" / "standard.md").read_text(encoding="utf-8")
    files = re.findall(r"`hw_configs/([\w/.-]+\.yaml)`:\n\n```yaml\n(.*?)```", page, re.DOTALL)
    assert [name for name, _ in files] == [
        "standards/lpddr3.yaml", "presets/memory-lpddr3-1600.yaml", "lpddr3.yaml"
    ]  # fmt: skip
    for name, text in files:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def own_memory(own):
    section = load_config(own / "lpddr3.yaml").memory
    return dram_spec(section), controller_spec(section)


def test_a_standard_of_ones_own_is_timed_and_checked_without_a_line_of_code(own):
    spec, controller = own_memory(own)
    assert spec.table.name == "LPDDR3" and spec.refresh_sets == 0
    # 8 beats x 32 pins = 32 bytes in 4 clocks of 1.25 ns: 6.4 GB/s; twice 4 Gb.
    assert (spec.access_bytes, spec.row_bytes, spec.size_bytes) == (32, 4096, 2**30)
    assert spec.peak_bandwidth_Bps == pytest.approx(6.4e9)
    rng = np.random.default_rng(1)
    n = 3000
    requests = AccessBatch(
        rng.integers(0, 8, n), rng.integers(0, 5, n), rng.integers(0, 128, n), rng.random(n) < 0.3,
        np.cumsum(rng.integers(0, 40, n)),
    )  # fmt: skip
    activity = Channel(spec, replace(controller, power_down_idle_clk=30)).access(requests, log_rows=20_000)
    assert activity.refreshes == activity.accounted_clk // spec.clocks["nREFI"] > 10
    Checker(spec).check(activity.log)
    # And the checker knows the table: the same commands are too early for a slower memory.
    slower = replace(spec, timing={**spec.timing, "nRCD": 16})
    with pytest.raises(ProtocolViolation, match="tRCD"):
        Checker(slower).check(activity.log)


def test_the_latencies_of_a_standard_of_ones_own_are_exact(own):
    spec, controller = own_memory(own)
    channel = Channel(spec, controller)
    for row, (clk, expected) in enumerate([(0, 15 + 12 + 4), (1000, 15 + 15 + 12 + 4)]):
        one = AccessBatch(*(np.array([v]) for v in (0, row, 0, False, clk)))
        assert channel.access(one).end_clk - clk == expected


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("level: bank, preceding: [ACT], following: [RD,", "levle: bank, preceding: [ACT], following: [RD,",
         r"\.yaml:16: constraints\.0\.levle: unknown key .*Did you mean level"),
        ("level: bank, preceding: [ACT], following: [RD,", "level: bnak, preceding: [ACT], following: [RD,",
         r"\.yaml:16: constraints\.0\.level: unknown value .*found bnak; expected one of bank"),
        ("following: [RD, RDA, WR, WRA], latency: nRCD", "following: [RD, RAD, WR, WRA], latency: nRCD",
         r"\.yaml:16: constraints\.0\.following\.1: unknown value .*found RAD"),
        ("latency: nRCD,", "latency: nRDC,", r"\.yaml:16: constraints\.0\.latency: .*nRDC is not given"),
        ("latency: nRCD,", "latency: __import__('os'),", r"\.yaml:16: constraints\.0\.latency"),
        ("that: nCCD >= nBL", "that: nCCD >= nLB", r"checks\.1\.that: .*nLB is not given"),
        ("nRCD, nRPpb, nRPab", "nRCD, nRPab", r"\.yaml:.*nRPpb is (not given|missing)"),
        ("burst_beats: 8 ", "burst_beats: eight ", r"\.yaml:3: burst_beats: expected a whole number .*eight"),
        ("document: JESD209-3", "documents: JESD209-3", "documents: unknown key .*Did you mean document"),
        ("interval: nREFI, ", "", r"refresh: the key 'interval' is missing"),
        ("standard: LPDDR3", "extends: LPDDR2\nstandard: LPDDR3", "extends.* names no standard .*LPDDR2"),
        ("standard: LPDDR3", "standard: !!python/object:os.system x", "a tag is not allowed"),
    ],
)  # fmt: skip
def test_a_damaged_table_is_refused_with_its_line_and_what_is_expected(own, tmp_path, old, new, says):
    text = (own / "standards" / "lpddr3.yaml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "damaged.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=says):
        load_standard(str(path))


def test_checking_a_board_names_the_line_of_its_table(own):
    config = load_config(own / "lpddr3.yaml")
    table = own / "standards" / "damaged.yaml"
    text = (own / "standards" / "lpddr3.yaml").read_text(encoding="utf-8")
    table.write_text(text.replace("latency: nRCD,", "latency: nRDC,", 1), encoding="utf-8")
    memory = config.memory.model_copy(update={"standard": str(table)})
    with pytest.raises(ConfigError, match=r"damaged\.yaml:16: constraints\.0\.latency"):
        check_board(config.model_copy(update={"memory": memory}))


def test_a_table_that_does_not_exist_is_refused_with_its_path(own):
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        dram_spec(load_config(own / "lpddr3.yaml", ["memory.standard=nowhere.yaml"]).memory)


def test_hbm2_units_take_four_times_what_the_pins_carry():
    # FIMDRAM: one unit for two banks reads a burst every tCCDL; published: four times the off-chip bandwidth.
    spec, _ = memory("hbm2")
    units = spec.banks_per_rank // 2
    near_Bps = units * spec.access_bytes / (spec.clocks["nCCD"] * spec.tCK_ps * 1e-12)
    assert near_Bps == pytest.approx(4 * spec.peak_bandwidth_Bps)
    assert 1e12 / (spec.clocks["nCCD"] * spec.tCK_ps) == pytest.approx(300e6, rel=0.001)
