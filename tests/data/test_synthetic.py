"""Are random bytes images like any others, and do they take no more memory than they say?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nmsim.config import load_config
from nmsim.data import load
from nmsim.data.synthetic import STEP, make_synthetic
from nmsim.errors import DataError
from nmsim.selection.api import create, fit

LPDDR4 = Path(__file__).parents[2] / "hw_configs" / "lpddr4.yaml"


def held_bytes(images: np.ndarray) -> int:
    """Return the bytes of the buffer that an array is a view of."""
    while images.base is not None:
        images = images.base
    return images.nbytes


def test_a_million_images_of_150_kB_are_held_in_sixteen_bytes_each():
    data = make_synthetic(1_281_167, 1, (224, 224, 3), 1000)
    assert data.X_train.nbytes == 1_281_167 * 150_528
    assert held_bytes(data.X_train) <= STEP * 1_281_167 + 150_528 + 8
    assert np.ptp(np.bincount(data.y_train)) <= 1


def test_bytes_at_the_same_place_of_two_images_are_independent():
    flat = make_synthetic(3000, 1, (8, 8, 3), 2).X_train.reshape(3000, -1)[:, ::37].astype(float)
    # Of 6 columns of random bytes the correlation has the standard deviation 1/sqrt(3000) = 0.018.
    assert abs(np.corrcoef(flat.T) - np.eye(flat.shape[1])).max() < 5 / np.sqrt(3000)
    assert abs(np.corrcoef(flat[:-1].ravel(), flat[1:].ravel())[0, 1]) < 5 / np.sqrt(flat.size)
    assert abs(flat.mean() - 127.5) < 5 * 73.9 / np.sqrt(
        flat.size
    )  # sd of a byte: sqrt((256² − 1)/12) = 73.9


@pytest.mark.parametrize("method", ["random", "kernel-herding", "de-sne"])
def test_windows_and_copies_of_the_same_images_give_the_same_selection_and_work(method):
    data = make_synthetic(60, 1, (12, 12, 3), 2)
    options = {"n_iter": 20, "perplexity": 5.0} if method == "de-sne" else {}
    streamed, held = (
        fit(create(method, 0.2, 1, **options), X, data.y_train) for X in (data.X_train, data.X_train.copy())
    )
    assert np.array_equal(streamed.indices_, held.indices_)
    for one, other in zip(streamed.steps(4096), held.steps(4096), strict=True):
        assert (one.phase, one.operations, one.repeat) == (other.phase, other.operations, other.repeat)
        for a, b in zip(one.transfers, other.transfers, strict=True):
            assert (a.array, a.write) == (b.array, b.write) and np.array_equal(a.rows, b.rows)


def test_a_configuration_names_their_number_and_size():
    section = "dataset.synthetic={n_train: 30, n_test: 4, height: 5, width: 6, channels: 1, n_classes: 3}"
    data = load(load_config(LPDDR4, [section]).dataset)
    assert data.X_train.shape == (30, 5, 6, 1) and data.X_test.shape == (4, 5, 6, 1)
    again = load(load_config(LPDDR4, [section]).dataset)
    assert data.sha256 == again.sha256 and np.array_equal(data.X_train, again.X_train)
    assert not np.array_equal(data.X_train[:4], data.X_test)


def test_every_class_needs_an_image():
    with pytest.raises(DataError, match="have no training image"):
        make_synthetic(5, 1, (2, 2, 1), 6)
