"""Are interpolated forces the exact ones on a fine mesh, and what they should be on a coarse one?"""

import numba
import numpy as np
import pytest

from nmsim.selection import reference
from nmsim.selection.affinities import joint_affinities
from nmsim.selection.embedding import Descent, Forces, embed, start_map
from nmsim.selection.mesh import Mesh, mesh_side

KERNELS = [False, True]


def a_map(n, scale, seed=1):
    return (np.random.default_rng(seed).standard_normal((2, n)) * scale).astype(np.float32)


def both(Y, gaussian, spacing):
    """Return repulsion and weights from the mesh, and by all pairs in float64."""
    repulsion, weights = np.empty_like(Y), np.empty(Y.shape[1], np.float32)
    Mesh(gaussian, spacing).evaluate(Y, repulsion, weights)
    y = Y.T.astype(np.float64)
    w = reference.map_weights(y, gaussian)
    push = w if gaussian else w * w
    return repulsion, weights, (push.sum(axis=1)[:, None] * y - push @ y).T, w.sum(axis=1)


def error(got, expected):
    return np.sqrt(((got - expected) ** 2).sum() / (expected**2).sum())


@pytest.mark.parametrize("gaussian", KERNELS)
@pytest.mark.parametrize("scale", [1e-4, 0.01, 1.0, 12.0])
def test_a_fine_mesh_gives_the_exact_forces_and_weights(gaussian, scale):
    repulsion, weights, exact_repulsion, exact_weights = both(a_map(500, scale), gaussian, 0.1)
    assert error(repulsion, exact_repulsion) < 5e-5
    assert error(weights, exact_weights) < 1e-5


@pytest.mark.parametrize("gaussian", KERNELS)
def test_halving_the_spacing_divides_the_error_of_the_forces_by_more_than_sixteen(gaussian):
    # A spline of order 6 leaves errors of the fifth power in a slope: 32 in the limit.
    errors = [error(*both(a_map(800, 8.0), gaussian, h)[::2]) for h in (0.4, 0.2)]
    assert errors[0] < 0.01
    assert errors[0] > 16 * errors[1]


@pytest.mark.parametrize("gaussian", KERNELS)
def test_a_point_does_not_push_itself(gaussian):
    # Two points too far apart to feel each other to float32's precision, at places without symmetry.
    Y = np.array([[0.13, 70.0], [0.29, 9.7]], dtype=np.float32)
    repulsion, weights, exact_repulsion, exact_weights = both(Y, gaussian, 0.4)
    assert np.abs(repulsion - exact_repulsion).max() < 1e-6
    assert np.abs(weights - exact_weights).max() < 1e-6


@pytest.mark.parametrize("gaussian", KERNELS)
def test_the_interpolated_gradient_agrees_with_finite_differences_to_five_decimals(gaussian):
    X = np.random.default_rng(3).integers(-90, 90, (40, 6)).astype(np.int16)
    joint, Y, h = joint_affinities(X, 5.0), a_map(40, 2.0), 1e-5
    forces = Forces([joint], gaussian, interpolated=[0])
    forces.meshes[0].spacing = 0.1
    gradient, P, Y = forces.gradient(Y), joint.dense(), Y.astype(np.float64)
    for axis, i in [(0, 0), (1, 0), (0, 17), (1, 39)]:
        step = np.zeros_like(Y)
        step[axis, i] = h
        up, down = (reference.kl_divergence(P, (Y + s).T, gaussian) for s in (step, -step))
        assert gradient[axis, i] == pytest.approx((up - down) / (2 * h), abs=1e-5)


def test_maps_of_one_place_and_of_two_points_have_finite_forces():
    for Y in (np.zeros((2, 30), np.float32), np.array([[0, 1], [0, 0]], np.float32)):
        repulsion, weights, exact_repulsion, exact_weights = both(Y, False, 0.4)
        assert np.abs(repulsion - exact_repulsion).max() < 1e-4
        assert np.allclose(weights, exact_weights, atol=1e-4)


def test_sides_have_room_and_small_prime_factors():
    for nodes in (64.0, 100.2, 431.7, 1000.0):
        side = mesh_side(nodes)
        rest = side
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        assert rest == 1 and nodes <= side < 1.1 * nodes + 2


@pytest.mark.parametrize("kernel", ["student", "gaussian"])
def test_any_number_of_threads_interpolates_the_same_map_bit_for_bit(kernel):
    X, before = np.random.default_rng(4).integers(-90, 90, (700, 6)).astype(np.int16), numba.get_num_threads()
    joint, start = joint_affinities(X, 15.0), start_map(X, np.random.default_rng(0)) * 1e5  # several blocks
    maps = []
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(threads)
        maps.append(embed([joint], [start], Descent(kernel, n_iter=20, forces="interpolated"))[0][0])
    numba.set_num_threads(before)
    assert np.array_equal(maps[0], maps[1])


def test_an_interpolated_map_is_nearly_as_good_as_an_exact_one():
    X = np.random.default_rng(2).integers(-50, 50, (600, 8)).astype(np.int16)
    joint, start = joint_affinities(X, 20.0), start_map(X, np.random.default_rng(0))
    exact, interpolated = (
        embed([joint], [start], Descent(n_iter=250, forces=forces))[1][0]
        for forces in ("exact", "interpolated")
    )
    assert interpolated == pytest.approx(exact, rel=0.02)
