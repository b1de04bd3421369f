"""Do distances come out as the stated arithmetic makes them, in each number format?"""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nmsim.errors import ConfigError, DataError
from nmsim.selection import DESNE, reference
from nmsim.selection.affinities import nearest_neighbours
from nmsim.selection.features import KINDS, extract


def images(n=40, size=8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, size, size), dtype=np.uint8)


@settings(max_examples=30)
@given(
    st.sampled_from([np.float16, np.float32]), st.integers(2, 20), st.integers(1, 40),
    st.integers(-14, 2), st.integers(0, 10**6),
)  # fmt: skip
@example(np.float16, 20, 33, -14, 0)  # squares below 2^-14, where float16 has no normal numbers
def test_floating_point_neighbours_equal_those_of_the_slow_twin_to_the_bit(kind, n, d, exponent, seed):
    X = (np.random.default_rng(seed).standard_normal((n, d)) * 2.0**exponent).astype(kind)
    found, expected = nearest_neighbours(X, n - 1), reference.nearest_neighbours(X, n - 1)
    assert np.array_equal(found[0], expected[0])
    assert np.array_equal(found[1], expected[1])


@pytest.mark.parametrize(("scale", "offset"), [(1, 0), (1, 30), (1, 1000), (1.5e18, 0), (1e17, 1e19)])
def test_screening_by_inner_products_loses_no_float32_neighbour(scale, offset):
    # Far from 0 and near each other, inner products tell little of distances; where squared norms come near
    # float32's largest number, 3.4e38, or beyond it, nothing.
    X = (np.random.default_rng(1).integers(0, 5, (300, 7)) * scale + offset).astype(np.float32)
    expected = reference.nearest_neighbours(X, 20)
    for ours, twins in zip(nearest_neighbours(X, 20)[:2], expected, strict=True):
        assert np.array_equal(ours, twins)


def test_fp32_distances_of_pixels_are_exactly_the_whole_number_ones():
    # 64 · 255² < 2^24: every partial sum is a whole number that float32 holds.
    whole, floating = (
        nearest_neighbours(extract(images(), "raw", 1, 1, 0, f).codes, 30) for f in ("int8", "fp32")
    )
    assert all(np.array_equal(a, b) for a, b in zip(whole, floating, strict=True))


def test_fp16_neighbours_are_those_of_fp32_except_among_near_ties():
    X = images(200)
    half, single = (extract(X, "raw", 1, 1, 0, f).codes for f in ("fp16", "fp32"))
    near = nearest_neighbours(half, 20)[0]
    exact = reference.squared_distances(single)
    np.fill_diagonal(exact, np.inf)
    bound = np.sort(exact, axis=1)[:, 19]
    # 64 values scaled by a power of two: differences are exact; a product, three sums in a lane (the first
    # is with 0) and four in the tree are rounded, each by at most u = 2^-11, so a distance is off by
    # (1 + u)^8 at most, and a place in the list is given wrongly only among distances this near together.
    off = (1 + 2.0**-11) ** 8
    assert (np.take_along_axis(exact, near.astype(np.int64), axis=1) <= bound[:, None] * off**2).all()


@pytest.mark.parametrize("kind", KINDS)
def test_no_distance_overflows_however_far_the_records_are_apart(kind):
    X = np.zeros((6, 32, 32), dtype=np.uint8)
    X[::2] = 255
    for number_format in ("int8", "fp16", "fp32"):
        made = extract(X, kind, 2, 8, 0, number_format)
        assert np.isfinite(made.codes.astype(float)).all()
        distances = nearest_neighbours(made.codes, 5)[1]
        assert np.isfinite(distances).all() and distances.max() > 0


@pytest.mark.parametrize(("number_format", "width"), [("int8", 1), ("fp16", 2), ("fp32", 4)])
@pytest.mark.parametrize("kind", KINDS)
def test_bytes_and_operations_follow_the_format(kind, number_format, width):
    fit = DESNE(0.2, features=kind, n_features=6, number_format=number_format, n_iter=2).fit(
        images(), np.arange(40) % 2
    )
    rows = {a.name: a.row_bytes for a in fit.arrays()}
    values = {"raw": 64, "pool": 16}.get(kind, 6)
    assert rows.get("features", rows["images"]) == width * values
    macs = [s.operations for s in fit.steps(1 << 16) if s.phase == "distances"]
    # two classes of 20: each of 190 pairs once
    assert sum(m[f"mac_{number_format}"] for m in macs) == 2 * 190 * values
    assert all(set(m) == {f"mac_{number_format}", "compare"} for m in macs)


def test_records_too_long_for_a_32_bit_sum_are_refused_with_what_to_do():
    # 66,052 · 255² > 2^32 - 1
    X = np.zeros((2, 66_052), dtype=np.uint8)
    with pytest.raises(DataError, match=r"66,052 values; expected at most 66,051.*fp32"):
        extract(X, "raw", 1, 1, 0)
    assert extract(X, "raw", 1, 1, 0, "fp32").codes.shape == X.shape


def test_an_unknown_format_is_refused():
    with pytest.raises(ConfigError, match=r"unknown number_format.*Did you mean fp16[?]"):
        DESNE(number_format="fp61").fit(images(), np.arange(40) % 2)
