"""Are the neighbours the nearest, and has every point the perplexity asked for?"""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmsim.selection import reference, searches
from nmsim.selection.affinities import joint_affinities, nearest_neighbours


def points(n, d, seed=0, values=256):
    return (np.random.default_rng(seed).integers(0, values, (n, d)) - values // 2).astype(np.int8)


@settings(max_examples=25)
@given(st.integers(2, 40), st.integers(1, 6), st.integers(2, 256), st.integers(0, 10**6), st.data())
def test_neighbours_equal_those_of_the_slow_twin_ties_included(n, d, values, seed, data):
    X, k = points(n, d, seed, values), data.draw(st.integers(1, n - 1))
    indices, distances, _, _ = nearest_neighbours(X, k)
    expected_indices, expected_distances = reference.nearest_neighbours(X, k)
    assert np.array_equal(indices, expected_indices)
    assert np.array_equal(distances, expected_distances)


@pytest.mark.parametrize("d", [5, 3072])
def test_distances_of_8_bit_records_are_exact_whole_numbers(d):
    # 3072 · 128² = 5e7 is above float32's 2^24 whole numbers: needs the float64 path
    X = points(30, d)
    assert np.array_equal(nearest_neighbours(X, 4)[1], reference.nearest_neighbours(X, 4)[1])


def test_tiles_do_not_change_the_neighbours(monkeypatch):
    X = points(101, 7)
    whole = nearest_neighbours(X, 9)
    monkeypatch.setattr("nmsim.selection.affinities._TILE_VALUES", 101 * 8)  # 8 rows a tile, the last has 5
    for tiled, expected in zip(nearest_neighbours(X, 9), whole, strict=True):
        assert np.array_equal(tiled, expected)


def test_candidates_are_counted_as_a_list_kept_in_order_of_arrival_would_count_them():
    X = points(60, 3)
    d2 = ((X[:, None].astype(float) - X[None]) ** 2).sum(axis=2)
    early, late = reference.list_entries(d2, 5)
    _, _, kernel_early, kernel_late = nearest_neighbours(X, 5)
    assert np.array_equal(kernel_early, early) and np.array_equal(kernel_late, late)


@pytest.mark.parametrize("perplexity", [2, 5.5, 30, 50])
def test_every_point_has_the_perplexity_asked_for_to_three_decimals(perplexity):
    distances = nearest_neighbours(points(400, 20), int(3 * perplexity))[1]
    p = np.empty(distances.shape, dtype=np.float32)
    achieved, steps = np.empty(400), np.empty(400, dtype=np.int32)
    searches.search_affinities(distances, perplexity, 2.5e-4 / perplexity, 0, p, achieved, steps)
    assert np.abs(reference.perplexity_of(p.astype(np.float64)) - perplexity).max() < 5e-4
    assert np.abs(achieved - perplexity).max() < 5e-4
    assert np.allclose(p.sum(axis=1), 1, atol=1e-5)
    assert (steps > 0).all() and (steps < searches.MAX_STEPS).all()


@pytest.mark.parametrize("perplexity", [1.5, 3.0, 8.0])
def test_conditional_affinities_equal_those_of_the_slow_twin(perplexity):
    X = points(50, 2, values=8)  # few values: many ties, some of them more than the perplexity
    distances = nearest_neighbours(X, 24)[1]
    p, achieved = np.empty((50, 24), dtype=np.float32), np.empty(50)
    searches.search_affinities(distances, perplexity, 1e-9, 0, p, achieved, np.empty(50, np.int32))
    expected = reference.search_affinities(distances, perplexity, 1e-9)
    assert np.allclose(p, expected, atol=2e-6)


def searched(distances, perplexity, search, tolerance=1e-5):
    """Return the affinities, the perplexities reached and the values of beta tried."""
    p, achieved = np.empty(distances.shape, dtype=np.float32), np.empty(len(distances))
    steps = np.empty(len(distances), dtype=np.int32)
    kind = searches.SEARCHES.index(search)
    searches.search_affinities(distances, perplexity, tolerance, kind, p, achieved, steps)
    return p, achieved, steps


def test_the_searches_on_the_absolute_error_try_what_their_slow_twins_try():
    distances = nearest_neighbours(points(60, 9), 30)[1]
    for search in ("absolute", "fireworks"):
        p, achieved, steps = searched(distances, 10.0, search)
        for i, d in enumerate(distances):
            if search == "absolute":
                beta, tried = reference.halve_by_absolute_error(d, 10.0, 1e-5)
            else:
                beta, tried = reference.explode(d, 10.0, 1e-5, i)
            assert steps[i] == tried
            assert achieved[i] == pytest.approx(np.exp(reference.log_perplexity(d, beta)), rel=1e-9)
            assert p[i] == pytest.approx(
                np.exp(-beta * (d - d[0])) / np.exp(-beta * (d - d[0])).sum(), rel=1e-5
            )


def test_fireworks_reach_the_perplexity_and_halving_by_the_absolute_error_misses_it_for_some():
    distances = nearest_neighbours(points(400, 20), 90)[1]
    _, by_sign, _ = searched(distances, 30.0, "bisection")
    _, by_fireworks, _ = searched(distances, 30.0, "fireworks")
    _, by_size, _ = searched(distances, 30.0, "absolute")
    for achieved in (by_sign, by_fireworks):
        assert np.abs(achieved - 30).max() < 5e-4
    assert (np.abs(by_size - 30) > 0.3).any(), "the half with the smaller |error| need not hold the answer"
    # it never ends with a larger error than that of the best power of two it met on its way
    assert np.abs(np.log(by_size / 30)).max() < np.log(2)


@pytest.mark.parametrize("search", searches.SEARCHES)
def test_no_search_stumbles_over_duplicates_ties_and_few_points(search):
    for X in (np.repeat(points(10, 4), 8, axis=0), points(3, 5), points(50, 1, values=2)):
        joint = joint_affinities(X, 5.0, search=search)
        assert np.isfinite(joint.P).all() and abs(joint.P.sum() - 1) < 1e-5


def test_the_perplexity_of_duplicates_is_their_number_where_that_is_more():
    X = np.repeat(points(10, 4), 8, axis=0)  # 7 neighbours at distance 0
    joint = joint_affinities(X, 3.0)
    assert np.array_equal(joint.perplexity, np.full(80, 7.0))
    assert joint.search_steps == 0


@pytest.mark.parametrize("n", [1, 2, 3, 7, 40])
def test_few_points_get_the_perplexity_that_their_number_allows(n):
    joint = joint_affinities(points(n, 5), 30.0)
    assert joint.n_neighbours == n - 1
    assert np.allclose(joint.perplexity, max(1.0, (n - 1) / 3), atol=1e-3)
    assert np.isfinite(joint.P).all()


@pytest.mark.parametrize("constant", [True, False])
def test_joint_affinities_are_symmetric_and_sum_to_one(constant):
    joint = joint_affinities(points(120, 1, values=1) if constant else points(120, 6), 10.0)
    P = joint.dense()
    assert np.array_equal(P, P.T)
    assert abs(P.sum() - 1) < 1e-5
    assert (np.diag(P) == 0).all()


def test_joint_affinities_are_the_mean_of_both_conditional_ones():
    X = points(90, 4)
    indices, distances, _, _ = nearest_neighbours(X, 30)
    conditional = np.zeros((90, 90))
    np.put_along_axis(conditional, indices, reference.search_affinities(distances, 10.0, 1e-9), axis=1)
    # n = 90: p_ij = (p(j|i) + p(i|j)) / 180; the search stops within 2.5e-5 of log 10, hence the tolerance
    assert np.allclose(joint_affinities(X, 10.0).dense(), (conditional + conditional.T) / 180, atol=1e-7)


def test_affinities_are_the_same_for_any_number_of_threads():
    X, before = points(300, 30), numba.get_num_threads()
    results = []
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(threads)
        results.append(joint_affinities(X, 20.0))
    numba.set_num_threads(before)
    assert np.array_equal(results[0].P, results[1].P)
    assert np.array_equal(results[0].indices, results[1].indices)
