"""Do the boards that are named after real ones have their published peaks, and do they run?"""

import math

import pytest
from smoke_samples import BOARDS, SMALL

import nmsim
from nmsim.config.experiment import SCHEMES
from nmsim.system.parts import dram_spec

#: Published: bytes a second of the memory, its size in bytes, operations a second (a MAC is two).
PUBLISHED = {
    # 64 bits of LPDDR4 at 1600 MHz, 4 GB; 472 GFLOPS in fp16.
    "jetson_nano": (25.6e9, 4 * 2**30, 472e9),
    # 128 bits of LPDDR5, 68 GB/s, 8 GB; 40 TOPS for sparse int8 are 20 for dense int8 and 10 for dense fp16.
    "orin_nano": (68e9, 8 * 2**30, 40e12 / 4),
    # 64 bits of LPDDR4X, 34 GB/s; 6 TOPS for int8 are 3 for fp16.
    "rk3588": (34e9, 4 * 2**30, 6e12 / 2),
}


@pytest.mark.parametrize("board", PUBLISHED)
def test_a_board_has_the_published_peaks_of_its_class(board):
    bandwidth_Bps, size_bytes, operations_Hz = PUBLISHED[board]
    config = nmsim.load_config(BOARDS / f"{board}.yaml")
    spec, npu = dram_spec(config.memory), config.soc.npu
    assert spec.organization.channels * spec.peak_bandwidth_Bps == pytest.approx(bandwidth_Bps, rel=0.01)
    assert spec.size_bytes == size_bytes
    # Makers round: 3 · 1024 · 2 at 1 GHz are "6", 32 · 512 · 2 · 2 at 625 MHz are "40".
    assert 2 * npu.rows * npu.columns * npu.clock.value == pytest.approx(operations_Hz, rel=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("board", PUBLISHED)
def test_a_board_runs_all_schemes(board, tmp_path):
    few = [*SMALL, "training.epochs=1", "training.seeds=1", "selection.de_sne.n_iter=20"]
    run = nmsim.simulate(nmsim.load_config(BOARDS / f"{board}.yaml", few), out=tmp_path, report=False)
    assert list(run.schemes["scheme"]) == list(SCHEMES)
    assert all(math.isfinite(x) and x > 0 for x in run.schemes["system_energy_fJ"])
