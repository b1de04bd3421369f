"""Is the gradient that of the divergence, and is the map a good one?"""

import numba
import numpy as np
import pytest
from sklearn.datasets import load_digits

from nmsim.selection import map_kernels, reference
from nmsim.selection.affinities import joint_affinities
from nmsim.selection.embedding import Descent, Forces, embed, start_map
from nmsim.selection.features import extract

KERNELS = [False, True]


def clusters(n, seed=0):
    """Return n points around three centres, far apart, and whose each is."""
    rng = np.random.default_rng(seed)
    owner = np.arange(n) % 3
    return (rng.integers(-8, 9, (n, 6)) + 60 * np.eye(6)[owner]).astype(np.int16), owner


def a_map(n, scale=2.0, seed=1):
    return (np.random.default_rng(seed).standard_normal((2, n)) * scale).astype(np.float32)


@pytest.mark.parametrize("gaussian", KERNELS)
@pytest.mark.parametrize("n", [2, 31, 64])
def test_the_gradient_equals_that_of_the_slow_twin(n, gaussian):
    joint = joint_affinities(clusters(n)[0], 5.0)
    Y = a_map(n)
    expected = reference.gradient(joint.dense(), Y.T.astype(np.float64), gaussian)
    gradient = Forces([joint], gaussian).gradient(Y).T
    assert np.abs(gradient - expected).max() < 2e-6 * max(1.0, np.abs(expected).max())


@pytest.mark.parametrize("gaussian", KERNELS)
def test_the_gradient_agrees_with_finite_differences_of_the_divergence_to_five_decimals(gaussian):
    joint = joint_affinities(clusters(40)[0], 5.0)
    P, Y = joint.dense(), a_map(40).astype(np.float64)
    gradient, h = Forces([joint], gaussian).gradient(Y.astype(np.float32)), 1e-5
    Y = Y.astype(np.float32).astype(np.float64)
    for axis, i in [(0, 0), (1, 0), (0, 17), (1, 39)]:
        step = np.zeros_like(Y)
        step[axis, i] = h
        up, down = (reference.kl_divergence(P, (Y + s).T, gaussian) for s in (step, -step))
        assert gradient[axis, i] == pytest.approx((up - down) / (2 * h), abs=1e-5)


@pytest.mark.parametrize("gaussian", KERNELS)
def test_the_divergence_equals_that_of_the_slow_twin(gaussian):
    joint, Y = joint_affinities(clusters(50)[0], 8.0), a_map(50)
    expected = reference.kl_divergence(joint.dense(), Y.T.astype(np.float64), gaussian)
    assert Forces([joint], gaussian).kl_divergence(Y)[0] == pytest.approx(expected, rel=1e-5)


def test_the_exponential_is_right_to_three_units_in_a_million_up_to_where_it_no_longer_matters():
    # one point at the origin and one at distance sqrt(x): weights = exp(0) + exp(-x). Rounding -x/log 2 to
    # float32 costs |x| · 2^-24, which is 1.2e-6 at x = 20, where exp(-x) itself is 2e-9.
    pairs, none = np.array([[0, 0, 2]]), np.zeros((2, 2), np.float32)
    for x in np.linspace(0.0, 20.0, 81):
        Y = np.array([[0, np.sqrt(x)], [0, 0]], dtype=np.float32)
        repulsion, weights = np.zeros((2, 2), np.float32), np.zeros(2, np.float32)
        starts, indices, P = np.zeros(3, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32)
        map_kernels.map_forces(Y, pairs, starts, indices, P, True, none, repulsion, weights)
        distance = float(Y[0, 1])
        assert repulsion[0, 1] == pytest.approx(np.exp(-(distance**2)) * distance, rel=3e-6)


def test_maps_side_by_side_are_the_maps_made_one_by_one():
    joints = [joint_affinities(clusters(n, seed=n)[0], 5.0) for n in (1, 30, 41, 2)]
    starts = [a_map(n, 1e-4, n).T for n in (1, 30, 41, 2)]
    together, divergences, _ = embed(joints, starts, Descent(n_iter=40))
    for joint, start, Y, divergence in zip(joints, starts, together, divergences, strict=True):
        (alone,), (own,), _ = embed([joint], [start], Descent(n_iter=40))
        assert np.array_equal(Y, alone) and divergence == own


@pytest.mark.parametrize("kernel", ["student", "gaussian"])
def test_any_number_of_threads_gives_the_same_map_bit_for_bit(kernel, monkeypatch):
    X, before = clusters(201)[0], numba.get_num_threads()
    monkeypatch.setattr("nmsim.selection.embedding._PAIRS_PER_THREAD", 1)  # no map too small to be shared
    joint, start = joint_affinities(X, 15.0), start_map(X, np.random.default_rng(0))
    maps = []
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(threads)
        maps.append(embed([joint], [start], Descent(kernel, n_iter=60))[0][0])
    numba.set_num_threads(before)
    assert np.array_equal(maps[0], maps[1])


def test_permuting_points_and_their_first_map_permutes_the_map():
    X, order = clusters(90)[0], np.random.default_rng(5).permutation(90)
    start = start_map(X, np.random.default_rng(0))
    # Sums run in another order, and descent magnifies last bits: few iterations, and a tolerance.
    descent = Descent(n_iter=25)
    (Y,), *_ = embed([joint_affinities(X, 8.0)], [start], descent)
    (permuted,), *_ = embed([joint_affinities(X[order], 8.0)], [start[order]], descent)
    assert np.abs(permuted - Y[order]).max() < 1e-3 * Y.std()


@pytest.mark.parametrize("kernel", ["student", "gaussian"])
def test_separate_clusters_stay_separate_in_the_map(kernel):
    X, owner = clusters(150)
    (Y,), *_ = embed(
        [joint_affinities(X, 10.0)], [start_map(X, np.random.default_rng(0))], Descent(kernel, 300)
    )
    d2 = ((Y[:, None] - Y[None]) ** 2).sum(axis=2)
    np.fill_diagonal(d2, np.inf)
    # The clusters lie 85 apart and are 14 wide: every nearest neighbour is of the same cluster.
    assert np.array_equal(owner[d2.argmin(axis=1)], owner)


@pytest.mark.parametrize("kernel", ["student", "gaussian"])
def test_more_iterations_lower_the_divergence(kernel):
    X = np.random.default_rng(2).integers(-50, 50, (200, 8)).astype(np.int16)
    joint, start = joint_affinities(X, 20.0), start_map(X, np.random.default_rng(0))
    few, some, many = (embed([joint], [start], Descent(kernel, n))[1][0] for n in (2, 10, 100))
    assert few > some > many


@pytest.mark.parametrize("X", [np.zeros((50, 4)), np.repeat([[1, 2], [3, 90]], 25, axis=0)])
def test_constant_features_and_duplicates_give_a_finite_map(X):
    X = X.astype(np.int16)
    (Y,), (divergence,), _ = embed(
        [joint_affinities(X, 5.0)], [start_map(X, np.random.default_rng(0))], Descent()
    )
    assert np.isfinite(Y).all() and np.isfinite(divergence)


def test_digits_reach_the_divergence_of_a_barnes_hut_implementation():
    # scikit-learn 1.9's TSNE(init="pca", perplexity=30), 1,000 iterations, reports 0.753 for the same 1,797
    # digits; affinities of the nearest 90 there as here.
    codes = extract(load_digits().data, "raw", 2, 1, 0).codes
    start = start_map(codes, np.random.default_rng(0))
    assert embed([joint_affinities(codes, 30.0)], [start], Descent(n_iter=500))[1][0] <= 0.753


@pytest.mark.slow
def test_digits_reach_the_divergence_of_an_exact_implementation():
    # scikit-learn 1.4's TSNE(method="exact", init="pca", perplexity=30), 1,000 iterations, reports 0.681;
    # there, as here, all other points have an affinity, not just the nearest 90.
    codes = extract(load_digits().data, "raw", 2, 1, 0).codes
    joint = joint_affinities(codes, 30.0, n_neighbours=len(codes) - 1)
    start = start_map(codes, np.random.default_rng(0))
    assert embed([joint], [start], Descent(n_iter=1000))[1][0] <= 0.69
