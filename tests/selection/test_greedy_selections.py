"""Do k-center, herding, graph cut and facility location take what their definitions say?"""

from functools import partial
from itertools import combinations

import numba
import numpy as np
import pytest

from nmsim.errors import ConfigError, ResourceLimitError
from nmsim.selection import create, facility_location, greedy_reference, select
from nmsim.selection.facility_location import cosine_similarity
from nmsim.selection.graph_cut import cut
from nmsim.selection.greedy import Rows
from nmsim.selection.greedy_kernels import first_gains, lazy_facility_location
from nmsim.selection.herding import follow_mean
from nmsim.selection.k_center import farthest_first

METHODS = ["k-center", "herding", "graph-cut", "facility-location"]
FORMATS = {"int8": np.int8, "fp16": np.float16, "fp32": np.float32}


def records(n=50, d=6, seed=0, kind=np.int8):
    X = np.random.default_rng(seed).integers(-128, 128, (n, d)).astype(np.int8)
    return X if kind == np.int8 else (X + np.random.default_rng(seed).random((n, d))).astype(kind)


def facility_order(similarity, budget):
    n = len(similarity)
    gains, covered = np.empty(n), np.zeros(n, np.float32)
    order, tried = np.empty(budget, np.int64), np.zeros(budget, np.int64)
    first_gains(similarity, covered, gains)
    lazy_facility_location(similarity, budget, gains, covered, order, tried)
    return order.tolist()


@pytest.mark.parametrize("kind", FORMATS.values())
@pytest.mark.parametrize("seed", range(3))
def test_every_method_takes_what_its_slow_twin_takes(kind, seed):
    X = records(seed=seed, kind=kind)
    similarity = greedy_reference.cosine_similarity(X)
    assert farthest_first(Rows(X), 20, 7).tolist() == greedy_reference.k_center(X, 20, 7)
    assert follow_mean(Rows(X), 20).tolist() == greedy_reference.herding(X, 20)
    for redundancy in (0.0, 0.5, 1.0):
        value = partial(greedy_reference.graph_cut, similarity, redundancy)
        assert cut(Rows(X), 15, redundancy).tolist() == greedy_reference.greedy(value, 50, 15)


@pytest.mark.parametrize("kind", FORMATS.values())
@pytest.mark.parametrize("seed", range(3))
def test_no_other_record_would_raise_the_facility_location_more(kind, seed):
    # Two records that cover nothing but each other have equal gains, which no rounding tells apart: compare
    # the gain of what is taken with the best there is, by the definition.
    X = records(seed=seed, kind=kind)
    value = partial(greedy_reference.facility_location, greedy_reference.cosine_similarity(X))
    order = facility_order(cosine_similarity(Rows(X)), 30)
    for t in range(30):
        best = max(value([*order[:t], x]) for x in range(50) if x not in order[:t])
        assert value(order[: t + 1]) == pytest.approx(best, abs=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_lazy_facility_location_is_the_plain_greedy_ties_and_all(seed):
    # multiples of 1/4 sum exactly, and many gains are equal
    half = np.random.default_rng(seed).integers(0, 5, (40, 40)) / 4
    similarity = np.maximum(half, half.T)
    value = partial(greedy_reference.facility_location, similarity)
    assert facility_order(similarity.astype(np.float32), 40) == greedy_reference.greedy(value, 40, 40)


def test_whole_numbers_are_exact_at_the_largest_size_that_features_may_have():
    # 66,051 values are the most whose distances fit into 32 bits (2^32 / 255^2)
    X = np.full((3, 66_051), -128, np.int8)
    X[1] = 127
    assert Rows(X).dots(0).tolist() == [66_051 * 16_384, -66_051 * 16_256, 66_051 * 16_384]
    assert Rows(X).norms().tolist() == [66_051 * 16_384, 66_051 * 16_129, 66_051 * 16_384]


@pytest.mark.parametrize("seed", range(8))
def test_k_center_covers_within_twice_the_best_radius(seed):
    X = records(n=12, d=2, seed=seed)
    d = np.sqrt(((X[:, None].astype(float) - X[None]) ** 2).sum(axis=2))
    best = min(d[:, list(some)].min(axis=1).max() for some in combinations(range(12), 3))
    for first in range(12):
        assert d[:, farthest_first(Rows(X), 3, first)].min(axis=1).max() <= 2 * best


def test_every_next_k_center_lies_at_the_covering_radius_which_never_grows():
    X = records(n=80)
    order = farthest_first(Rows(X), 80, 3)
    d = np.sqrt(((X[:, None].astype(float) - X[None]) ** 2).sum(axis=2))
    radii = [d[:, order[:t]].min(axis=1).max() for t in range(1, 80)]
    reached = [d[order[t], order[:t]].min() for t in range(1, 80)]
    assert radii == reached == sorted(radii, reverse=True)


def test_herding_takes_the_nearest_to_what_its_sum_lacks():
    # 0 … 10 with the mean 5. Lacking 5: takes 5; 10 - 5 = 5: 4, as near as 6 and first; 15 - 9 = 6: 6;
    # 20 - 15 = 5: 3 before 7; 25 - 18 = 7: 7; 30 - 25 = 5: 2 before 8.
    assert follow_mean(Rows(np.arange(11, dtype=np.int8)[:, None]), 6).tolist() == [5, 4, 6, 3, 7, 2]


def test_the_mean_of_a_herd_comes_far_nearer_than_that_of_random_records():
    X = records(n=400, d=3)
    rng = np.random.default_rng(0)
    subsets = [follow_mean(Rows(X), 40), *(rng.choice(400, 40, replace=False) for _ in range(50))]
    away = [np.linalg.norm(X[rows].mean(axis=0) - X.mean(axis=0)) for rows in subsets]
    assert away[0] < np.median(away[1:]) / 5


@pytest.mark.parametrize("function", ["facility-location", "graph-cut"])
@pytest.mark.parametrize("seed", range(4))
def test_greedy_gains_fall_and_reach_the_bound_of_submodular_functions(function, seed):
    X = records(n=11, d=3, seed=seed)
    similarity = greedy_reference.cosine_similarity(X)
    if function == "graph-cut":
        order = cut(Rows(X), 4, 0.5)
        value = partial(greedy_reference.graph_cut, similarity, 0.5)
    else:
        order = facility_order(cosine_similarity(Rows(X)), 4)
        value = partial(greedy_reference.facility_location, similarity)
    values = [0.0, *(value(order[:t]) for t in range(1, 5))]
    gains = np.diff(values)
    assert (gains >= 0).all() and (np.diff(gains) <= 1e-9).all()
    assert values[-1] >= (1 - 1 / np.e) * max(value(some) for some in combinations(range(11), 4))


@pytest.mark.parametrize("method", METHODS[1:])
def test_records_in_another_order_give_the_same_records(method):
    rng = np.random.default_rng(5)
    X, y = rng.integers(0, 256, (90, 12), dtype=np.uint8), np.arange(90) % 3
    order = rng.permutation(90)
    mine = select(X, y, 0.3, method, features="raw")
    theirs = select(X[order], y[order], 0.3, method, features="raw")
    assert np.array_equal(np.sort(order[theirs]), mine)


def test_k_centers_in_another_order_are_the_same_from_the_same_start():
    X = records(n=60)
    order = np.random.default_rng(1).permutation(60)
    there = farthest_first(Rows(X[order]), 20, int(np.flatnonzero(order == 4)[0]))
    assert np.array_equal(order[there], farthest_first(Rows(X), 20, 4))


def test_k_centers_start_elsewhere_with_another_seed():
    X, y = np.random.default_rng(0).integers(0, 256, (200, 4), dtype=np.uint8), np.zeros(200, int)
    starts = {create("k-center", 0.1, seed).fit(X, y).order_[0][0] for seed in range(8)}
    assert len(starts) > 4


@pytest.mark.parametrize("method", METHODS)
def test_a_smaller_budget_takes_the_first_of_a_larger_one(method):
    X, y = np.random.default_rng(0).integers(0, 256, (80, 4, 4), dtype=np.uint8), np.arange(80) % 2
    few, many = (create(method, ratio).fit(X, y).order_ for ratio in (0.1, 0.5))
    assert all(np.array_equal(few[label], many[label][:4]) for label in (0, 1))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("number_format", FORMATS)
def test_any_number_of_threads_takes_the_same(method, number_format):
    X, y = np.random.default_rng(0).integers(0, 256, (120, 8, 8), dtype=np.uint8), np.arange(120) % 4
    before, picks = numba.get_num_threads(), []
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(threads)
        picks.append(select(X, y, 0.25, method, number_format=number_format))
    numba.set_num_threads(before)
    assert np.array_equal(*picks)


def test_records_of_zeros_have_no_direction_and_are_no_obstacle():
    X = np.zeros((6, 2), np.int8)
    X[4:] = [[3, 4], [6, 8]]
    assert np.array_equal(cosine_similarity(Rows(X))[4], [0.5, 0.5, 0.5, 0.5, 1, 1])
    assert np.allclose(cosine_similarity(Rows(X)), greedy_reference.cosine_similarity(X))
    assert sorted(cut(Rows(X), 6, 1.0)) == list(range(6))


def test_similarities_that_would_not_fit_are_refused_before_they_are_formed(monkeypatch):
    monkeypatch.setattr(facility_location, "MAX_BYTES", 4 * 49**2)
    with pytest.raises(ResourceLimitError, match=r"50 records of one class.*at most 49.*linear"):
        select(np.zeros((50, 4), np.uint8), np.zeros(50, int), 0.1, "facility-location")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"features": "pixels"}, "unknown features"),
        ({"pool_size": 0}, "pool_size"),
        ({"redundancy": -1}, "redundancy is out of its range"),
        ({"redundancy": float("nan")}, "redundancy"),
        ({"number_format": "int4"}, "unknown number_format"),
        ({"random_state": -1}, "random_state"),
        ({"lambda_": 1}, "unknown parameter of graph-cut"),
    ],
)
def test_parameters_that_cannot_be_meant_are_refused_before_any_data(params, message):
    with pytest.raises(ConfigError, match=message):
        create("graph-cut", 0.1, **params)


def fitted(method, **params):
    X, y = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 1), dtype=np.uint8), np.arange(60) % 2
    return create(method, 0.2, **params).fit(X, y)


def work(fit, phase, buffer_bytes=10**6, units=1):
    return [s for s in fit.steps(buffer_bytes, units) if s.phase == phase and s.group == 0]


@pytest.mark.parametrize(
    ("number_format", "mac", "add"), [("int8", "mac_int8", "add_int32"), ("fp16", "mac_fp32", "add_fp32")]
)
def test_a_round_of_k_center_costs_a_product_with_every_record(number_format, mac, add):
    # 30 records of 4 · 4 pooled values, 6 of them kept: the norms, the start, and 5 rounds
    norms, start, rounds = work(fitted("k-center", number_format=number_format), "k-center")
    assert norms.operations == {mac: 30 * 16} and start.operations == {"compare": 30}
    assert rounds.repeat == 5 and rounds.operations == {mac: 30 * 16, add: 60, "compare": 60}
    assert rounds.broadcast_bytes == 16 * (1 if number_format == "int8" else 2)


@pytest.mark.parametrize("method", METHODS[:3])
@pytest.mark.parametrize(
    ("space", "streamed"), [((30 * 24,), []), ((10 * 24, 3), []), ((29 * 24,), [1]), ((0,), [30])]
)
def test_what_exceeds_the_buffers_streams_in_every_round_and_only_that(method, space, streamed):
    # 16 bytes and a score of 8 for each of the 30 records of a class
    steps = work(fitted(method, features="pool"), method, *space)
    assert [len(t.rows) for step in steps for t in step.transfers if step.repeat > 1] == streamed


@pytest.mark.parametrize("method", METHODS)
def test_features_are_made_of_every_image_once(method):
    steps = fitted(method, features="pool").steps(1000)
    moves = [t for step in steps if step.phase == "features" for t in step.transfers]
    for array, write in (("images", False), ("features", True)):
        rows = np.concatenate([t.rows for t in moves if (t.array, t.write) == (array, write)])
        assert np.array_equal(np.sort(rows), np.arange(60))


def test_facility_location_reads_a_row_of_similarities_for_every_gain_it_works_out():
    fit = fitted("facility-location", features="pool")
    reads = [(len(t.rows) * s.repeat) for s in work(fit, "facility-location") for t in s.transfers
             if t.array == "similarities" and not t.write]  # fmt: skip
    writes = [t for s in work(fit, "facility-location", 200) for t in s.transfers if t.write]
    tried = fit._tried[0]
    assert sum(reads) == 30 + tried + 6 and tried >= 5
    assert np.array_equal(np.concatenate([t.rows for t in writes]), np.arange(30))
    # 200 bytes hold 12 records of 16, one of them for the stream: tiles of 11, 11 and 8
    assert [len(t.rows) for t in writes] == [11, 11, 8]


def test_similarities_cost_a_product_of_every_pair():
    # 30 records of 4 · 4 values, all of which the buffer holds
    lengths, pairs = work(fitted("facility-location", features="pool"), "facility-location")[:2]
    assert lengths.operations == {"mac_int8": 30 * 16, "div_fp32": 2 * 30}
    assert pairs.operations == {"mac_int8": 900 * 16, "mul_fp32": 900, "mac_fp32": 900}
    floats = work(fitted("facility-location", features="pool", number_format="fp32"), "facility-location")[1]
    assert floats.operations == {"mac_fp32": 900 * 17, "mul_fp32": 900}


@pytest.mark.parametrize(
    ("method", "macs", "rest"),
    [
        # the class's sum, each one's product with it and its length; three 64-bit sums a record and round
        ("herding", {"mac_int8": 16 + 5 * 16, "mac_fp32": 16}, {"add_int32": 16 + 5 * 6, "mul_fp32": 5}),
        # lengths; the sum at unit length, the products with it, and a mac each there and in a round
        ("graph-cut", {"mac_int8": 16 + 5 * 16, "mac_fp32": 16 + 17 + 5}, {"div_fp32": 2, "mul_fp32": 10}),
    ],
)
def test_the_passes_and_rounds_are_counted_for_every_record(method, macs, rest):
    total = dict.fromkeys((*macs, *rest), 0)
    for step in work(fitted(method, features="pool"), method):
        for kind in total:
            total[kind] += step.operations.get(kind, 0) * step.repeat
    assert total == {kind: 30 * count for kind, count in (macs | rest).items()}


@pytest.mark.parametrize("method", METHODS)
def test_phases_come_one_after_the_other(method):
    phases = [step.phase for step in fitted(method, features="pool").steps(1000)]
    assert list(dict.fromkeys(phases)) == ["features", method, "indices"]
    assert phases == sorted(phases, key=["features", method, "indices"].index)
