"""Do the methods with a network keep their budgets, repeat themselves, and count what they did?"""

from collections import Counter

import numba
import numpy as np
import pytest

from nmsim.data.glyphs import generate
from nmsim.errors import ConfigError, DataError
from nmsim.selection import api, create, select
from nmsim.selection.budget import class_budgets
from nmsim.selection.dq import DatasetQuantization
from nmsim.selection.nessa import NeSSA

FAST = {"network_epochs": 2}
METHODS = ["dq", "dqas", "nessa"]


@pytest.fixture(scope="module")
def data():
    X, y = generate(200)
    return X, y % 5  # five classes of 40


def rows_read(steps, array="images"):
    rows = Counter()
    for step in steps:
        for move in step.transfers:
            rows[step.phase] += (move.array == array) * step.repeat * len(move.rows)
    return +rows


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("ratio", [0.025, 0.1, 0.333, 1])
def test_the_budget_is_exact_and_every_class_has_its_share(method, ratio, data):
    X, y = data
    chosen = select(X, y, ratio, method, **FAST)
    assert chosen.dtype == np.int64 and len(chosen) == int(200 * ratio + 0.5)
    assert (np.diff(chosen) > 0).all()
    shares = np.bincount(y[chosen], minlength=5)
    if method == "dqas":
        assert (shares >= 1).all()  # amounts are its own
    else:
        assert np.array_equal(shares, class_budgets(np.bincount(y), len(chosen)))


@pytest.mark.parametrize("method", METHODS)
def test_one_seed_gives_one_selection_for_any_number_of_threads(method, data):
    before, picks = numba.get_num_threads(), []
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(threads)
        picks.append(select(*data, 0.2, method, random_state=3, **FAST))
    numba.set_num_threads(before)
    assert np.array_equal(*picks)
    assert not np.array_equal(picks[0], select(*data, 0.2, method, random_state=4, **FAST))


@pytest.mark.parametrize("method", METHODS)
def test_duplicates_constant_images_and_tiny_classes_survive(method):
    X = np.full((40, 12, 12), 7, np.uint8)
    X[20:30] = 9
    y = np.repeat([0, 1, 2, 5], [30, 7, 2, 1])
    chosen = select(X, y, 0.25, method, **FAST)
    assert len(chosen) == 10 and 39 in chosen


@pytest.mark.parametrize("method", METHODS)
def test_what_is_no_image_is_refused(method):
    with pytest.raises(DataError, match="8-bit images"):
        select(np.zeros((20, 9)), np.arange(20) % 2, 0.2, method)


@pytest.mark.parametrize(
    ("method", "params", "message"),
    [
        ("dq", {"n_bins": 0}, "n_bins"),
        ("dq", {"passes": "cashed"}, "unknown passes.*Did you mean cached[?]"),
        ("dq", {"network": "cnn"}, "unknown network"),
        ("dq", {"patch_drop": 0.95}, "patch_drop"),
        ("dqas", {"initial_share": 0}, "initial_share"),
        ("dqas", {"n_rounds": 0}, "n_rounds"),
        ("nessa", {"reselect_every": 0}, "reselect_every"),
        ("nessa", {"drop_share": 1}, "drop_share"),
        ("nessa", {"network_epochs": 1.5}, "network_epochs"),
        ("nessa", {"network": "resnet-8"}, "resnet-8 has no int8 form: BatchNorm2d is not quantised"),
    ],
)
def test_parameters_that_cannot_be_meant_are_refused(method, params, message):
    with pytest.raises(ConfigError, match=message):
        create(method, 0.1, **params)


def test_bins_of_a_class_hold_every_record_once_and_give_equal_shares(data):
    X, y = data
    fit = DatasetQuantization(0.3, n_bins=5, **FAST).fit(X, y)
    for own in fit.bins_:
        assert np.array_equal(own.members, np.flatnonzero(y == own.group))
        assert np.array_equal(np.sort(np.concatenate(own.bins)), np.arange(len(own.members)))
        kept = np.isin(own.members, fit.indices_)
        shares = [kept[b].mean() for b in own.bins]
        assert max(shares) - min(shares) <= 1 / min(map(len, own.bins)) + 1e-12


def test_released_and_cached_passes_select_alike_and_differ_in_work(data):
    X, y = data
    cached, released = (DatasetQuantization(0.2, passes=p, **FAST).fit(X, y) for p in ("cached", "released"))
    assert np.array_equal(cached.indices_, released.indices_)
    passes = [rows_read(fit.steps(1 << 20)) for fit in (cached, released)]
    assert [p["network"] for p in passes] == [2 * 200, 2 * 200]
    # Bins 1 to 9 of ten are cut from 10/10, 9/10 … 2/10 of the images: 5.4 passes; 40 divides by ten.
    assert [p["features"] for p in passes] == [200, 1080]


def test_work_counts_the_products_of_training_and_passes(data):
    fit = DatasetQuantization(0.2, **FAST).fit(*data)
    count = Counter()
    for step in fit.steps(1 << 20):
        count.update({(step.phase, kind): n for kind, n in step.operations.items()})
    cost = fit.network_.cost
    per_epoch = 200 * (cost.macs_forward + cost.macs_backward) + 4 * cost.macs_update  # batches of 64
    assert count["network", "mac_fp16"] == 2 * per_epoch
    assert count["features", "mac_fp16"] == 200 * cost.macs_forward
    # 40 · 41 / 2 pairs a class, each of classes + features products
    assert count["similarities", "mac_fp32"] == 5 * 820 * (5 + 512)


def test_every_array_of_the_steps_is_declared_and_no_row_is_beyond_it(data):
    released = create("dq", 0.2, passes="released", patch_drop=0.2, **FAST)
    for fit in (released, create("dqas", 0.2, **FAST), create("nessa", 0.2, **FAST)):
        arrays = {a.name: a.rows for a in fit.fit(*data).arrays()}
        for buffer in (1 << 9, 1 << 20):
            for step in fit.steps(buffer):
                assert all(t.rows.max(initial=0) < arrays[t.array] for t in step.transfers)


def test_without_patches_more_images_are_kept_in_as_many_pixels(data):
    X, y = data
    strict, patched = (DatasetQuantization(0.1, patch_drop=drop, **FAST).fit(X, y) for drop in (0, 0.2))
    assert strict.training_images_ is None and patched.training_images_.shape == (25, 32, 32, 3)
    assert len(strict.indices_) == 20 and len(patched.indices_) == 25  # 0.1 / (1 - 0.2) of 200
    same = (patched.training_images_ == X[patched.indices_]).reshape(25, 8, 4, 8, 4, 3).all(axis=(2, 4, 5))
    assert (same.sum(axis=(1, 2)) >= 51).all()  # int(0.8 · 64) patches are as they were
    (stored,) = (a for a in patched.arrays() if a.name == "kept_patches")
    assert (stored.rows, stored.row_bytes) == (25, 64 // 8 + 51 * 4 * 4 * 3)
    assert rows_read(patched.steps(1 << 20))["patches"] == 25
    assert len(api.fit(patched, X, y).indices_) == 25


def dqas(data, **params):
    return create("dqas", 0.3, **FAST, **params).fit(*data)


def test_the_loop_adds_to_what_was_drawn_until_the_budget_is_full(data):
    fit = dqas(data, initial_share=0.5, n_rounds=3)
    assert len(fit.initial_) == 30 and [len(turn.added) for turn in fit.rounds_] == [10, 10, 10]
    chosen = fit.initial_
    for turn in fit.rounds_:
        assert np.array_equal(turn.network.rows, chosen)
        assert np.array_equal(turn.pool, np.setdiff1d(np.arange(200), chosen))
        assert np.isin(turn.added, turn.pool).all()
        chosen = np.union1d(chosen, turn.added)
    assert np.array_equal(fit.indices_, chosen)


def test_a_class_of_copies_gets_one_at_first_and_the_others_the_rest(data):
    X, y = data[0].copy(), data[1]
    X[y == 2] = X[y == 2][0]
    fit = dqas((X, y))
    first = np.bincount(y[fit.initial_], minlength=5)
    assert fit.spread_[2] < 1e-6 < np.delete(fit.spread_, 2).min()
    assert first[2] == 1 and first.sum() == 30 and np.delete(first, 2).min() >= 7


def test_every_turn_reads_its_pool_once_and_what_was_chosen_in_every_epoch(data):
    fit = dqas(data)
    read = rows_read(fit.steps(1 << 20))
    assert read["error_reduction"] == 170 + 160 + 150
    assert read["active_training"] == 2 * (30 + 40 + 50)
    assert read["network"] == 2 * 200 and read["features"] == 200


def nessa(data, **params):
    settings = {"network_epochs": 5, "reselect_every": 2, "drop_share": 0.2} | params
    return NeSSA(0.1, **settings).fit(*data)


def test_rounds_come_every_so_often_and_the_training_reads_their_records_alone(data):
    fit = nessa(data)
    assert [found.epoch for found in fit.rounds_] == [0, 2, 4]
    for epoch, order in enumerate(fit.network_.epoch_orders):
        assert np.array_equal(np.sort(order), fit.rounds_[epoch // 2].indices)
    assert all(len(found.indices) == 20 and (np.diff(found.indices) > 0).all() for found in fit.rounds_)
    assert not np.array_equal(fit.rounds_[0].indices, fit.rounds_[1].indices)


def test_what_is_learnt_is_not_read_again(data):
    read = [np.concatenate([own.candidates for own in found.classes]) for found in nessa(data).rounds_]
    assert [len(rows) for rows in read] == [
        200,
        160,
        130,
    ]  # 40 a class, less int(0.2 · 40), less int(0.2 · 32)
    assert np.isin(read[2], read[1]).all() and np.isin(read[1], read[0]).all()
    (*_, last) = nessa(data, drop_share=0).rounds_
    assert sum(len(own.candidates) for own in last.classes) == 200


def test_candidates_never_run_out(data):
    fit = nessa(data, drop_share=0.9, reselect_every=1)
    assert [len(own.candidates) for own in fit.rounds_[-1].classes] == [4] * 5
    assert len(fit.indices_) == 20


def test_a_round_reads_each_candidate_once_in_int8(data):
    fit = nessa(data)
    for number, candidates in enumerate([200, 160, 130]):
        steps = list(fit.round_steps(number, 1 << 16, units=4))
        assert rows_read(steps) == {"forward": candidates}
        products = sum(s.operations.get("mac_int8", 0) for s in steps)
        assert products == candidates * fit.network_.cost.macs_forward


def test_weights_beyond_the_buffer_are_sent_again_for_every_image_of_a_unit(data):
    fit, records = nessa(data), -(-(576 + 3456 + 512 * 5 + 4 * (12 + 32 + 5) + 4 * 9) // 1024)
    whole = rows_read(fit.round_steps(0, 1 << 16, units=4), "int8_weights")
    assert whole == {"weights": records}
    # 6,144 bytes of activations (3,072 of the image, 3,072 after the first layer) and room for two records
    split = rows_read(fit.round_steps(0, 6144 + 2048, units=4), "int8_weights")
    assert split == {"weights": 2 + (records - 2) * 200 // 4}
