"""Does what replay is told about addresses and sizes reach the memory?"""

from dataclasses import replace
from pathlib import Path

import pytest

from nmsim.config import load_config
from nmsim.system.parts import controller_spec, dram_spec
from nmsim.system.replay import replay

CONFIGS = Path(__file__).parents[2] / "hw_configs"


def board(name):
    """Return (DramSpec, ControllerSpec)."""
    memory = load_config(CONFIGS / f"{name}.yaml").memory
    return dram_spec(memory), controller_spec(memory)


def strided(path, stride, n):
    path.write_text("".join(f"LD {i * stride:#x}\n" for i in range(n)))
    return path


@pytest.mark.parametrize("name", ["ddr4_2400", "lpddr4"])
def test_a_stride_in_one_bank_takes_a_row_cycle_an_access_unless_banks_are_hashed(tmp_path, name):
    spec, controller = board(name)
    org = spec.organization
    trace = strided(tmp_path / "stride", spec.size_bytes // org.rows, 4096)
    plain = replay(spec, controller, trace)
    hashed = replay(spec, replace(controller, bank_hash="xor"), trace)
    assert plain["clocks"] >= 4096 * spec.clocks["nRC"]
    # Each access opens a row either way (a few twice, where a refresh comes between ACT and RD); many banks
    # are bound by nRRD and nFAW instead of by nRC.
    for result in (plain, hashed):
        assert 4096 <= result["commands"]["ACT"] <= 4096 * 1.01
    assert hashed["clocks"] < plain["clocks"] / 3


def test_cache_lines_of_64_bytes_use_both_channels_of_32_byte_bursts_where_they_are_said_to_be_64(tmp_path):
    spec, controller = board("lpddr4")
    assert (spec.access_bytes, spec.organization.channels, controller.address_map[-2:]) == (32, 2, "Ch")
    trace = strided(tmp_path / "lines", 64, 4096)
    bursts = replay(spec, controller, trace)
    lines = replay(spec, controller, trace, request_bytes=64)
    assert bursts["bytes"] == 4096 * 32 and lines["bytes"] == 4096 * 64
    # One burst a line leaves a channel idle: half the bytes in the same time.
    assert lines["clocks"] == pytest.approx(bursts["clocks"], rel=0.01)
