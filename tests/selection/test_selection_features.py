"""Are features the numbers that they are said to be?"""

import numpy as np
import pytest

from nmsim.errors import ConfigError, DataError
from nmsim.selection.features import extract, principal_axes


def images(n=12, height=8, width=6, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, height, width, channels), dtype=np.uint8)


def test_pooling_is_the_rounded_mean_of_each_block():
    X = images()
    pooled = extract(X, "pool", 2, 1, 0)
    blocks = X.reshape(12, 4, 2, 3, 2, 3).astype(int).sum(axis=(2, 4))
    assert np.array_equal(pooled.codes.reshape(12, 4, 3, 3).astype(int) + 128, (blocks + 2) // 4)
    assert pooled.codes.dtype == np.int8 and pooled.row_bytes == 4 * 3 * 3


def test_pooling_repeats_the_last_pixel_where_blocks_stick_out():
    X = images(height=7, width=5)
    whole = np.pad(X, ((0, 0), (0, 1), (0, 1), (0, 0)), mode="edge")
    assert np.array_equal(extract(X, "pool", 2, 1, 0).codes, extract(whole, "pool", 2, 1, 0).codes)


def test_grey_images_may_leave_out_the_channel_axis():
    X = images(channels=1)
    assert np.array_equal(extract(X[..., 0], "pool", 2, 1, 0).codes, extract(X, "pool", 2, 1, 0).codes)


def test_raw_bytes_are_used_where_they_lie():
    made = extract(images(), "raw", 2, 1, 0)
    assert not made.stored and made.operations == {} and made.fits == ()
    assert np.array_equal(made.codes, images().reshape(12, -1).astype(int) - 128)


@pytest.mark.parametrize("kind", ["raw", "pool", "random_projection", "pca"])
@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e6])
def test_8_bit_features_of_floats_do_not_depend_on_the_unit_or_the_zero(kind, scale):
    X = np.random.default_rng(3).random((20, 4, 4))
    codes = extract(X, kind, 2, 5, 0).codes.astype(int)
    moved = extract(X * scale + 7 * scale, kind, 2, 5, 0).codes.astype(int)
    assert np.abs(codes - moved).max() <= 1
    assert 64 <= np.abs(codes).max() <= 128, "they use the 8 bits"


def test_constant_records_give_constant_features():
    for kind in ("raw", "pool", "random_projection", "pca"):
        for X in (np.full((6, 4, 4), 200, np.uint8), np.full((6, 4, 4), 0.3)):
            assert (extract(X, kind, 2, 3, 0).codes == extract(X, kind, 2, 3, 0).codes[0]).all()


def test_random_projections_keep_distances_on_average():
    # Rademacher signs: E|Rx|² = k |x|² for k projections, with relative standard deviation below sqrt(2/k)
    X = images(n=40)
    raw = extract(X, "raw", 2, 1, 0).codes.astype(float)
    made = extract(X, "random_projection", 2, 800, 0, "fp32").codes.astype(float)
    ratio = [
        ((made[i] - made[j]) ** 2).sum() / 800 / ((raw[i] - raw[j]) ** 2).sum()
        for i in range(40)
        for j in range(i)
    ]
    assert abs(np.mean(ratio) - 1) < 0.05
    assert max(abs(np.array(ratio) - 1)) < 6 * np.sqrt(2 / 800)


def test_principal_axes_are_those_of_the_covariance_where_variances_differ_clearly():
    rng = np.random.default_rng(4)
    spread = np.array([3000, 1000, 300, 20, 10, 5, 3, 2])
    turn, _ = np.linalg.qr(rng.standard_normal((8, 8)))
    X = np.round(rng.standard_normal((500, 8)) * spread @ turn.T).astype(np.int16)
    axes, mean = principal_axes(X, 3, rng)
    _, vectors = np.linalg.eigh(np.cov(X.T.astype(float)))
    assert np.allclose(np.abs(np.sum(axes * vectors[:, ::-1][:, :3], axis=0)), 1, atol=1e-6)
    assert np.allclose(mean, X.mean(axis=0))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((0, 4)), "no records"),
        (np.zeros(4), "no records"),
        (np.array([["a", "b"]]), "not real numbers"),
        (np.array([[1 + 2j]]), "not real numbers"),
        (np.array([[0.0, 1.0], [np.nan, 0.0]]), "NaN or infinity.*first at 1"),
        (np.array([[np.inf, 1.0]]), "NaN or infinity"),
    ],
)
def test_records_that_cannot_be_measured_are_refused(X, message):
    with pytest.raises(DataError, match=message):
        extract(X, "raw", 2, 1, 0)


def test_unknown_features_are_refused():
    with pytest.raises(ConfigError, match=r"unknown features.*pool"):
        extract(images(), "pol", 2, 1, 0)


@pytest.mark.parametrize("shape", [(7, 9, 3), (8, 8), (33, 20, 1)])
@pytest.mark.parametrize("number_format", ["int8", "fp16", "fp32"])
def test_bytes_pool_to_the_bit_as_the_same_numbers_in_floating_point(shape, number_format):
    X = np.random.default_rng(1).integers(0, 256, (9, *shape), dtype=np.uint8)
    X[0, 0, 0], X[1, 0, 0] = 0, 255  # so that the range of the numbers is that of bytes
    for size in (2, 3, 16):
        of_bytes, of_numbers = (extract(x, "pool", size, 1, 0, number_format) for x in (X, X.astype(float)))
        assert np.array_equal(of_bytes.codes, of_numbers.codes)
