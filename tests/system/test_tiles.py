"""Does one tile that stands for its neighbours come to what all of them come to?"""

from itertools import pairwise

import numpy as np
import pytest
from board_samples import BOARDS, GROUPS, energies, epoch
from hypothesis import given
from hypothesis import strategies as st

from nmsim.access.work import Step, Transfer
from nmsim.config import load_config
from nmsim.data import load
from nmsim.learning import Learner
from nmsim.simulation import prepare
from nmsim.system.tiles import thinned

ONE_BY_ONE, LEAST = "all", 10


def tiles(group=0, macs=1000):
    """Return a search over all pairs of a class whose units hold one query at a time."""
    members = np.flatnonzero(group == GROUPS)
    return [
        Step(
            "scan",
            (Transfer("images", members[i : i + 1], broadcast=True), Transfer("images", members[i + 1 :])),
            {"mac_int8": macs * (len(members) - i - 1)},
            broadcast_bytes=4,
            gather_bytes_per_unit=8,
            group=group,
        )
        for i in range(len(members) - 1)
    ]


@pytest.mark.parametrize(("placement", "macs"), [("striped", 10), ("class_per_bank", 1_000_000)])
def test_tiles_that_stand_for_their_neighbours_come_to_what_all_of_them_do(execute, placement, macs):
    work = tiles(1, macs)
    every, some = (
        execute(work, [epoch(np.arange(4))], near_memory__data_placement=placement, simulation__tiles=n)[0]
        for n in (ONE_BY_ONE, LEAST)
    )
    assert some.course().simulated_accesses < 0.2 * every.course().simulated_accesses
    one_by_one, thin = (
        board.frame().query("phase == 'scan'").groupby("cmd")["count"].sum() for board in (every, some)
    )
    # What never rises is right to a tenth; here all fall nearly evenly.
    for name in ("ACT", "RD", "active", "LEAKAGE"):
        assert thin[name] == pytest.approx(one_by_one[name], rel=0.03)
    assert placement == "class_per_bank" or "GATHER" in thin  # a bank's unit has none to send to
    for name in thin.index.intersection(["mac_int8", "BROADCAST", "GATHER", "SRAM"]):
        assert thin[name] == pytest.approx(one_by_one[name], rel=1e-3)
    assert sum(energies(some).values()) == pytest.approx(sum(energies(every).values()), rel=0.03)


def test_rows_of_tiles_that_are_not_long_are_played_as_they_are(execute):
    few = tiles()[: 3 * LEAST - 1]
    every, some = (execute(few, [epoch(np.arange(4))], simulation__tiles=n)[0] for n in (ONE_BY_ONE, LEAST))
    assert energies(some) == energies(every) and some.meter.phases == every.meter.phases


@given(st.lists(st.integers(0, 40), max_size=120), st.integers(1, 12))
def test_what_is_played_stands_for_every_step_and_keeps_their_sums(lengths, least):
    works = [
        (Step("scan", (Transfer("images", np.arange(n)),), {"compare": 5000 + n}, gather_bytes_per_unit=n),)
        for n in lengths
    ]
    played = list(thinned(works, least))
    assert sum(times for _, times in played) == len(works)
    assert len(played) >= min(least, len(works))
    compared = sum(step.operations["compare"] * times for (step,), times in played)
    assert abs(compared - sum(5000 + n for n in lengths)) <= len(works) / 2
    rises = sum(after > before for before, after in pairwise(lengths))
    # Of what never rises, a piece's middle is off by the piece's fall at most; falls add up to the first.
    longest = max((times for _, times in played), default=0)
    moved = sum(len(step.transfers[0].rows) * times for (step,), times in played)
    assert abs(moved - sum(lengths)) <= longest * max(lengths, default=0) * (rises + 1)


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "phase"), [("de-sne@nmc", "distances"), ("kernel-herding@nmc", "kernel")])
def test_a_whole_selection_with_small_buffers_comes_to_what_it_does_tile_by_tile(scheme, phase):
    small = ["dataset.glyphs={n_train: 2400, n_test: 60}", "near_memory.buffer=1 KiB", "training.seeds=1"]
    config = load_config(BOARDS / "lpddr4.yaml", [*small, f"schemes=[{scheme}]", "training.epochs=1"])
    dataset = load(config.dataset)
    learnt = Learner(config, dataset, lambda message, share: None).learn(scheme, 0.0)
    boards = []
    for tiles in (ONE_BY_ONE, config.simulation.tiles):
        config = config.model_copy(
            update={"simulation": config.simulation.model_copy(update={"tiles": tiles})}
        )
        board, *work = prepare(config, dataset, scheme, learnt)
        board.execute(*work)
        boards.append(board)
    every, some = boards
    assert some.meter.phases[phase][1] == pytest.approx(every.meter.phases[phase][1], rel=1 / 32)
    # What follows begins at another moment of a refresh interval, which is worth as much.
    assert sum(energies(some).values()) == pytest.approx(sum(energies(every).values()), rel=0.02)


def test_steps_that_differ_in_kind_do_not_stand_for_each_other():
    class_by_class = [(step,) for group in (0, 1) for step in tiles(group)[:12]]
    played = list(thinned(class_by_class, 4))
    assert [step.group for (step,), _ in played] == [0] * 4 + [1] * 4
    assert {times for _, times in played} == {3}


def test_all_are_played_where_that_is_asked_for():
    works = [(step,) for step in tiles()]
    assert list(thinned(works, None)) == [(work, 1) for work in works]
