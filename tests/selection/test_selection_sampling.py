"""Does a sample have exactly its budget of distinct points, and the density of the data?"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmsim.selection import map_kernels, reference
from nmsim.selection.sampling import KINDS, occupancy_entropy, sample


def plane(n, seed=0):
    return np.random.default_rng(seed).standard_normal((n, 2)).astype(np.float32)


def rng():
    return np.random.default_rng(9)


@settings(max_examples=60)
@given(st.sampled_from(KINDS), st.integers(1, 80), st.integers(1, 6), st.integers(0, 10**6), st.data())
def test_a_sample_has_exactly_its_budget_of_distinct_points_whatever_the_duplicates(
    kind, n, places, seed, data
):
    Y = plane(places, seed)[np.random.default_rng(seed).integers(0, places, n)]
    budget = data.draw(st.integers(1, n))
    chosen = sample(Y, budget, kind, rng()).chosen
    assert len(chosen) == budget
    assert len(np.unique(chosen)) == budget
    assert chosen.min() >= 0 and chosen.max() < n and (np.diff(chosen) > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_every_distinct_place_is_sampled_where_the_budget_allows_it(kind):
    # 9 places on a 3 × 3 lattice, 20 duplicates each; a grid of 3 × 3 squares has one in each
    lattice = np.array([[i, j] for i in range(3) for j in range(3)], dtype=np.float32)
    places = np.repeat(np.arange(9), 20)
    chosen = sample(lattice[places], 9 if kind != "medoid" else 40, kind, rng()).chosen
    assert set(places[chosen]) == set(range(9))


def test_medoids_and_proportional_cells_keep_the_density_and_uniform_cells_do_not():
    # A dense and a thin disc of equal size, 900 and 100 points, far apart. Of 100 exemplars proportional
    # cells take the population's share, 90. k-means in the plane spreads centres like density^(1/2)
    # (P. Zador, IEEE Trans. Inf. Theory 28, 1982), 3 : 1, hence about 75. Uniform cells see
    # two equal areas: about 50 : 50.
    noise = np.random.default_rng(0)
    radius, angle = np.sqrt(noise.random(1000)), 2 * np.pi * noise.random(1000)
    Y = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).astype(np.float32)
    Y[900:, 0] += 50
    dense = {kind: int((sample(Y, 100, kind, rng()).chosen < 900).sum()) for kind in KINDS}
    assert abs(dense["grid_proportional"] - 90) <= 1
    assert 65 <= dense["medoid"] <= 92
    assert dense["grid_uniform"] < dense["medoid"]


def test_the_entropy_of_a_map_is_that_of_its_cells_and_largest_where_it_is_even():
    lattice = np.array([[i, j] for i in range(4) for j in range(4)], dtype=np.float32)
    assert occupancy_entropy(np.repeat(lattice, 5, axis=0), 16) == pytest.approx(np.log(16))
    assert occupancy_entropy(np.zeros((9, 2), np.float32), 16) == 0
    # by hand: 3 of 4 points in one corner, 1 in the other: -(3/4 log 3/4 + 1/4 log 1/4)
    corners = np.array([[0, 0], [0, 0], [0, 0], [1, 1]], dtype=np.float32)
    assert occupancy_entropy(corners, 4) == pytest.approx(0.75 * np.log(4 / 3) + 0.25 * np.log(4))
    uneven = np.concatenate([lattice, np.zeros((40, 2), np.float32)])
    assert occupancy_entropy(uneven, 16) < np.log(16)


def test_uniform_sampling_takes_the_points_nearest_to_the_middles_of_their_cells():
    # Four cells of side 1/2 in the unit square, two points in each: in the middle, in the corner.
    middles = np.array([[0.25, 0.25], [0.25, 0.75], [0.75, 0.25], [0.75, 0.75]])
    corners = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    Y = np.concatenate([corners, middles]).astype(np.float32)
    assert sample(Y, 4, "grid_uniform", rng()).chosen.tolist() == [4, 5, 6, 7]


def test_medoids_lie_nearest_to_the_mean_of_well_separated_groups():
    centres = np.array([[0, 0], [100, 0], [0, 100]], dtype=np.float32)
    offsets = np.array([[0.1, 0], [3, 0], [-3, 0], [0, 3], [0, -3]], dtype=np.float32)
    Y = np.concatenate([c + offsets for c in centres])

    # Mean of a group: (0.02, 0) from its centre, so its first point is nearest. The first centres are one of
    # each group's outer points, as two in one group would be a local optimum of k-means.
    class OneOfEach:
        def choice(self, n, size, replace):
            return np.array([1, 7, 13])

    assert sample(Y, 3, "medoid", OneOfEach()).chosen.tolist() == [0, 5, 10]


def test_keeping_everything_keeps_everything():
    for kind in KINDS:
        assert np.array_equal(sample(plane(57), 57, kind, rng()).chosen, np.arange(57))


def test_nearest_centres_equal_those_of_the_slow_twin_ties_included():
    Y = np.random.default_rng(1).integers(0, 6, (200, 2)).astype(np.float32)
    centres = np.random.default_rng(2).integers(0, 6, (15, 2)).astype(np.float32)
    labels, distances = np.empty(200, np.int32), np.empty(200, np.float32)
    map_kernels.nearest_centres(Y, centres, labels, distances)
    assert np.array_equal(labels, reference.nearest_centres(Y, centres))
    assert np.array_equal(distances, ((Y - centres[labels]) ** 2).sum(axis=1))
