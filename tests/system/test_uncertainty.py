"""Do the bands say what simulating each of the drawn boards would say?"""

import numpy as np
import pytest
from board_samples import BOARDS, GROUPS, RECORD_BYTES, N, epoch, one_pass

from nmsim.access.work import ArraySpec, Step
from nmsim.config import load_config
from nmsim.config.variation import factors, latin_hypercube, one_at_a_time, with_values
from nmsim.energy.components import COMPONENTS
from nmsim.system.board import Board, SelectionWork
from nmsim.uncertainty import Variants, outcome

ARRAYS = [ArraySpec("images", N, RECORD_BYTES, per_image=True), ArraySpec("indices", 40, 4)]


def steps():
    """Return work of each kind: streamed with much and with little arithmetic, exchanged, and repeated."""
    scans = one_pass("scan", operations={"mac_int8": 20_000})
    sums = [Step("sums", (), {"exp": 5_000}, 4096, 512, g, repeat=40) for g in range(4)]
    return [*one_pass("light"), *scans, *sums]


def executed(config, place):
    board = Board(config, "scheme", ARRAYS, GROUPS, None)
    board.execute(SelectionWork(place, steps(), 40), [epoch(np.arange(N), macs=20_000_000)] * 3)
    return board


def energies(board):
    frame = board.frame()
    return frame.groupby("phase")[[f"{name}_fJ" for name in COMPONENTS]].sum()


@pytest.mark.parametrize("place", ["nmc", "host"])
@pytest.mark.parametrize("name", ["lpddr4", "hbm2", "ddr4_2400"])
def test_a_drawn_board_takes_what_simulating_it_gives(name, place):
    # Prices are exact; times are those of pieces of work whose slowest part decides, here to 3 %.
    config = load_config(BOARDS / f"{name}.yaml")
    unknown = factors(config)
    shares = latin_hypercube(100, len(unknown), seed=3)[:4]
    found = outcome(executed(config, place).course(), 3, Variants(config, unknown, shares))
    for sample, row in enumerate(shares):
        values = {p: float(v) for f, s in zip(unknown, row, strict=True) for p, v in f.values(s).items()}
        other = executed(with_values(config, values), place)
        time_ps = sum(duration for _, duration in other.meter.phases.values())
        total_fJ = energies(other).to_numpy().sum()
        assert found.time_ps[:, sample].sum() == pytest.approx(time_ps, rel=0.03), f"time of sample {sample}"
        assert found.energy_fJ[..., sample].sum() == pytest.approx(total_fJ, rel=0.03), f"sample {sample}"


def test_a_board_with_its_stated_values_takes_what_its_ledger_says():
    config = load_config(BOARDS / "lpddr4.yaml")
    unknown, board = factors(config), executed(config, "nmc")
    found = outcome(board.course(), 3, Variants(config, unknown, np.full((1, len(unknown)), np.nan)))
    stated = energies(board).loc[list(found.phases)].to_numpy()
    # The ledger rounds each of its rows to whole fJ.
    assert found.energy_fJ[..., 0] == pytest.approx(stated, rel=1e-9, abs=100)
    assert found.time_ps[:, 0] == pytest.approx([d for _, d in board.meter.phases.values()])


def test_every_value_that_is_not_known_exactly_moves_something_or_is_not_used_by_the_board():
    config = load_config(BOARDS / "lpddr4.yaml")
    unknown = factors(config)
    variants = Variants(config, unknown, one_at_a_time(len(unknown)))
    moved = np.zeros(len(unknown), dtype=bool)
    for place in ("nmc", "host"):
        board = executed(config, place)
        found = outcome(board.course(), 3, variants)
        for array in (found.energy_fJ, found.time_ps):
            flat = array.reshape(-1, variants.samples)
            moved |= (flat[:, 0::2] != flat[:, 1::2]).any(axis=0)
    still = {factor.name for factor, moves in zip(unknown, moved, strict=True) if not moves}
    unused = {"link.driver", "link.rising_share", "link.pad_capacitance", "link.trace_capacitance"}
    operations = {f"operations.{kind}" for kind in ("mac_fp32", "add_fp32", "mul_fp32", "div_fp32")}
    operations |= {"operations.add_int32", "operations.compare", "near_memory.control_instruction"}
    unused |= {"memory.die.area", "near_memory.area_penalty"}  # they decide on areas alone
    assert still <= unused | operations | {"near_memory.buffer", "soc.sram"}, "ranges without effect"
