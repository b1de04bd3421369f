"""Does the description of kernel herding's work say what was done, and obey the laws of blocking?"""

from collections import Counter
from functools import cache

import numpy as np
import pytest

from nmsim.access.work import OPERATIONS
from nmsim.selection import KernelHerding
from nmsim.selection.kernel_herding_work import TABLE_BYTES

PHASES = ["features", "kernel", "herding", "indices"]
SIZES = [70, 41, 8, 1]


@cache
def fitted(**params):
    y = np.repeat([0, 1, 2, 3], SIZES)
    X = np.random.default_rng(0).integers(0, 256, (120, 9, 9, 3), dtype=np.uint8)
    params = {"n_filters": 8, "cells": 4, "n_features": 16} | params
    return KernelHerding(0.2, **params).fit(X, y), y


def counted(fit, phase, buffer_bytes=20_000, units=1):
    total = Counter()
    for step in fit.steps(buffer_bytes, units):
        if step.phase == phase:
            total.update({kind: count * step.repeat for kind, count in step.operations.items()})
    return total


def moved(fit, phase, array, buffer_bytes=20_000, write=False):
    """Return the rows of an array that a phase reads or writes, repeats included."""
    return [
        row
        for step in fit.steps(buffer_bytes)
        for t in step.transfers
        if step.phase == phase and t.array == array and t.write == write
        for row in np.tile(t.rows, step.repeat)
    ]


@pytest.mark.parametrize("features", ["rconv", "pca"])
@pytest.mark.parametrize("n_features", [16, 1000])
def test_steps_use_only_declared_arrays_known_operations_and_rows_of_their_class(features, n_features):
    fit, y = fitted(features=features, n_features=n_features)
    rows = {a.name: a.rows for a in fit.arrays()}
    for step in fit.steps(1000):
        assert step.phase in PHASES and step.repeat >= 1 and set(step.operations) <= set(OPERATIONS)
        assert all(type(n) is int and n >= 0 for n in step.operations.values())
        assert type(step.broadcast_bytes) is int and type(step.gather_bytes_per_unit) is int
        for transfer in step.transfers:
            assert transfer.rows.dtype == np.int64 and len(transfer.rows) > 0
            assert transfer.rows.min() >= 0 and transfer.rows.max() < rows[transfer.array]
            assert step.group is None or set(y[transfer.rows]) == {step.group}


def test_phases_come_in_order():
    seen = [step.phase for step in fitted()[0].steps(1000)]
    assert seen == sorted(seen, key=PHASES.index) and set(seen) == set(PHASES)


def test_every_image_is_read_once_beside_the_sample_and_every_feature_written_once():
    fit, _ = fitted()  # no class is larger than the sample, so that the sample is everything
    assert sorted(moved(fit, "features", "images")) == sorted([*range(120)] * 2)
    assert sorted(moved(fit, "features", "features", write=True)) == list(range(120))


def test_responses_are_counted_one_by_one():
    # 9 × 9 × 3 bytes: 3 × 3 positions of 75 taps, 8 filters; 3 × 3 cells of one position, so 72 values.
    # A projection takes 72 · 16 products; it is done for the sample too, which is everything here.
    fit, _ = fitted()
    learning = 5 * 2 * 72 * (16 + 2)  # passes · (products, weighted sum) · axes with two to spare
    assert counted(fit, "features") == {
        "mac_int8": 2 * 120 * (9 * 8 * 75 + 72 * 16),
        "compare": 2 * 120 * 72 + 120 * 72 + 120 * 16,  # two looks at how large numbers get
        "add_int32": 2 * 120 * (72 + 16),
        "mac_fp32": 120 * learning,
    }


def test_values_that_are_few_enough_are_the_features():
    fit, _ = fitted(cells=1)  # one cell of 3 × 3 positions: as many values as filters
    assert {a.name: a.row_bytes for a in fit.arrays()}["features"] == 8
    assert counted(fit, "features") == {
        "mac_int8": 2 * 120 * 9 * 8 * 75, "compare": 2 * 120 * 72 + 120 * 8, "add_int32": 2 * 120 * 72
    }  # fmt: skip
    assert {t.array for s in fit.steps(1000) if s.phase == "features" for t in s.transfers} == {
        "images",
        "features",
    }


@pytest.mark.parametrize("q", [1, 3, 8, 40, 70, 1000])
def test_each_pair_meets_once_whatever_the_tiles(q):
    fit, _ = fitted()
    buffer_bytes = TABLE_BYTES + 16 * (q + 1)
    total = counted(fit, "kernel", buffer_bytes)
    assert total["exp"] == sum(n * (n - 1) // 2 for n in SIZES)
    tiles = [(min(q, n - s), n - s) for n in SIZES for s in range(0, n, q)]
    streamed = sum(rest - tile for tile, rest in tiles)
    # the median's sample is the whole class; then every record once as a query
    assert len(moved(fit, "kernel", "features", buffer_bytes)) == 2 * 120 + streamed
    assert len(moved(fit, "kernel", "scores", buffer_bytes, write=True)) == 120 + streamed


def test_a_round_of_herding_updates_every_record_of_the_class():
    fit, _ = fitted()
    total = counted(fit, "herding")
    assert total["exp"] == total["compare"] == sum(n * len(fit.order_[c]) for c, n in enumerate(SIZES))
    assert total["mac_int8"] == 16 * total["exp"]  # nothing is read anew, so no norm is formed anew


def test_records_that_exceed_the_buffers_stream_in_every_round_and_only_those():
    fit, _ = fitted()
    rounds = [len(fit.order_[c]) for c in range(4)]
    room = 10  # records of 16 bytes and two sums of 8
    read = moved(fit, "herding", "features", TABLE_BYTES + 32 * room)
    assert len(read) == sum(min(n, room) + max(0, n - room) * r for n, r in zip(SIZES, rounds, strict=True))
    assert len(moved(fit, "herding", "features", 10**6)) == 120


def test_operations_of_a_phase_do_not_depend_on_the_number_of_units():
    fit, _ = fitted()
    for phase in ("features", "kernel"):
        assert counted(fit, phase, units=1) == counted(fit, phase, units=64)


def test_a_larger_buffer_never_streams_more():
    fit, _ = fitted()
    for phase in ("kernel", "herding"):
        amounts = [len(moved(fit, phase, "features", TABLE_BYTES + 16 * q)) for q in range(1, 200, 7)]
        assert amounts == sorted(amounts, reverse=True)


def test_the_result_is_four_bytes_a_kept_record():
    fit, _ = fitted()
    (spec,) = [a for a in fit.arrays() if a.name == "indices"]
    *_, last = fit.steps(1000)
    assert spec.size_bytes == 4 * 24
    assert last.transfers[0].write and np.array_equal(last.transfers[0].rows, np.arange(24))
