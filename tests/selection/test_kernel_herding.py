"""Does herding take the records that bring the kernel mean nearest, in an order that every budget shares?"""

import numba
import numpy as np
import pytest

from nmsim.errors import ConfigError
from nmsim.selection import KernelHerding, create, select
from nmsim.selection import kernel_herding_reference as reference
from nmsim.selection.budget import class_budgets
from nmsim.selection.kernel_herding import herding_order, kernel_sums, kernel_table, median_distance
from nmsim.selection.kernel_herding_features import FilterBank, make_codes


def images(n=120, shape=(9, 11, 3), seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, *shape), dtype=np.uint8), np.arange(n) % 3


@pytest.fixture
def codes():
    return np.random.default_rng(1).integers(-40, 41, (70, 6)).astype(np.int8)


@pytest.mark.parametrize("shape", [(5, 5, 1), (9, 11, 3), (16, 7, 2), (28, 28, 1)])
def test_filters_respond_as_their_twin_does(shape):
    bank = FilterBank.draw(*shape, n_filters=7, cells=4, random_state=3)
    pixels = np.random.default_rng(0).integers(-128, 128, (3, *shape)).astype(np.int8)
    assert np.array_equal(bank.sums(pixels), reference.filter_sums(bank, pixels))


def test_filters_have_no_mean_so_that_brightness_does_not_count():
    bank = FilterBank.draw(12, 12, 3, 64, 2, 0)
    assert not bank.filters.sum(axis=0, dtype=np.int64).any()
    pixels = np.random.default_rng(0).integers(-100, 80, (2, 12, 12, 3)).astype(np.int8)
    assert np.array_equal(bank.sums(pixels), bank.sums(pixels + np.int8(20)))


def test_kernel_sums_and_order_equal_those_of_the_matrix(codes, monkeypatch):
    monkeypatch.setattr("nmsim.selection.kernel_herding._TILE_PAIRS", 300)  # several tiles
    table, shift = kernel_table(median_distance(codes), (0.25, 1.0, 4.0))
    K = reference.kernel_matrix(codes, table, shift)
    assert np.array_equal(kernel_sums(codes, table, shift), K.sum(axis=1))
    assert np.array_equal(herding_order(codes, 70, (0.25, 1.0, 4.0)), reference.herd(K, 70))


def test_each_record_taken_lowers_the_discrepancy_most(codes):
    table, shift = kernel_table(median_distance(codes), (1.0,))
    K = reference.kernel_matrix(codes, table, shift)
    order = herding_order(codes, 12, (1.0,))
    for t in range(12):
        left = np.setdiff1d(np.arange(70), order[:t])
        reached = [reference.discrepancy(K, np.append(order[:t], i)) for i in left]
        assert reference.discrepancy(K, order[: t + 1]) == pytest.approx(min(reached), rel=1e-12)


def test_the_table_is_the_mean_of_the_kernels():
    table, shift = kernel_table(5000, (0.5, 2.0))
    d2 = np.arange(len(table)) * 2**shift + (2**shift - 1) / 2
    exact = 0.5 * (np.exp(-d2 / 2500) + np.exp(-d2 / 10000))
    assert np.abs(table / 65535 - exact).max() <= 0.5 / 65535 * (1 + 1e-9)
    assert exact[-1] * 65535 < 1, "beyond the table nothing is left"


@pytest.mark.parametrize("features", ["rconv", "pca"])
def test_the_order_of_a_fit_serves_every_smaller_budget(features):
    X, y = images()
    y[:80], y[80:] = np.arange(80) % 2, 2  # 40 of each, in another order
    y[:7] = 5
    whole = KernelHerding(1.0, features=features).fit(X, y)
    for ratio in (0.05, 0.1, 0.37, 0.8):
        alone = KernelHerding(ratio, features=features).fit(X, y)
        assert np.array_equal(whole.prefix(ratio), alone.indices_)
        assert all(np.array_equal(whole.order_[c][: len(o)], o) for c, o in alone.order_.items())


def test_a_share_that_shrinks_as_the_budget_grows_is_there():
    # Alabama's paradox of largest remainders: classes of 6, 6 and 2 share ten and eleven records like this
    sizes = np.array([6, 6, 2])
    assert class_budgets(sizes, 10).tolist() == [4, 4, 2] and class_budgets(sizes, 11).tolist() == [5, 5, 1]
    X, y = images(14)[0], np.repeat([0, 1, 2], sizes)
    assert np.array_equal(
        KernelHerding(11 / 14).fit(X, y).prefix(10 / 14), select(X, y, 10 / 14, "kernel-herding")
    )


def test_a_prefix_longer_than_the_fit_is_refused():
    with pytest.raises(ConfigError, match="keep_ratio is out of its range"):
        KernelHerding(0.2).fit(*images()).prefix(0.3)


@pytest.mark.parametrize("features", ["rconv", "pca"])
def test_any_number_of_threads_makes_the_same_order(features, monkeypatch):
    monkeypatch.setattr("nmsim.selection.kernel_herding_features._PATCH_VALUES", 5000)  # many pieces
    X, y = images()
    before, orders = numba.get_num_threads(), []
    for threads in (1, numba.config.NUMBA_NUM_THREADS):
        numba.set_num_threads(threads)
        orders.append(np.concatenate(list(KernelHerding(1.0, features=features).fit(X, y).order_.values())))
    numba.set_num_threads(before)
    assert np.array_equal(*orders)


def test_codes_are_eight_bit_and_lose_little_of_the_distances():
    X, _ = images(120, (20, 20, 1))  # all in the sample, so that their axes hold all of them
    X[::2] //= 3  # two kinds of images, so that distances differ
    codes = make_codes(X, [np.arange(120)], "pca", 1, 1, 120, 0).codes.astype(float)
    assert codes.min() >= -128 and codes.max() <= 127
    pixels = X.reshape(120, -1).astype(float)
    near, far = (((A[:60, None] - A[None, 60:]) ** 2).sum(axis=2).ravel() for A in (codes, pixels))
    assert np.corrcoef(near, far)[0, 1] > 0.98


def test_of_two_kinds_of_images_both_are_taken_in_their_shares():
    # a class of 75 % dark and 25 % bright images: the kernel mean has both, so has what is taken at any time
    rng = np.random.default_rng(0)
    X = rng.integers(0, 40, (200, 8, 8), dtype=np.uint8)
    X[:50, 2:5] += np.uint8(200)
    order = KernelHerding(0.2).fit(X, np.zeros(200, int)).order_[0]
    for taken in (8, 16, 40):
        assert (order[:taken] < 50).sum() == pytest.approx(taken / 4, abs=1)


def test_constant_images_duplicates_and_tiny_classes_survive():
    X = np.full((40, 6, 6), 7, np.uint8)
    X[20:30] = 9
    y = np.repeat([0, 1, 2, 3], [30, 7, 2, 1])
    for ratio in (0.1, 0.25, 1):
        chosen = select(X, y, ratio, "kernel-herding")
        assert len(np.unique(chosen)) == len(chosen) == 40 * ratio


@pytest.mark.parametrize("shape", [(64,), (8, 8), (4, 9, 2), (8, 8, 3), (2, 4, 4, 2), (6, 5, 2, 2)])
@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.int64])
def test_records_of_any_shape_and_real_type_are_taken(shape, kind):
    X, y = images(60, shape)
    assert len(select(X.astype(kind), y, 0.2, "kernel-herding")) == 12


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"features": "rcnv"}, "unknown features.*Did you mean rconv[?]"),
        ({"n_filters": 0}, "n_filters"),
        ({"cells": 0}, "cells"),
        ({"n_features": 2.5}, "n_features.*whole number"),
        ({"bandwidths": 1.0}, "bandwidths is no list"),
        ({"bandwidths": []}, "bandwidths is no list"),
        ({"bandwidths": [1, 0]}, "bandwidths is out of its range"),
        ({"random_state": -1}, "random_state"),
    ],
)
def test_parameters_that_cannot_be_meant_are_refused(params, message):
    with pytest.raises(ConfigError, match=message):
        create("kernel-herding", 0.2, **params)
