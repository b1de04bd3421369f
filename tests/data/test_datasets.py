"""Is a data set the same thing wherever it comes from, and are splits fair?"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmsim.data import check, list_datasets, load, make_dataset, open_dataset
from nmsim.data.dataset import sha256_of, stratified
from nmsim.errors import DataError

LABELS = st.lists(st.integers(0, 5), min_size=1, max_size=60).map(np.array)


@given(y=LABELS, share=st.floats(0, 1), seed=st.integers(0, 99))
def test_a_stratified_choice_is_exact_distinct_and_in_proportion(y, share, seed):
    n = round(share * len(y))
    chosen = stratified(y, n, seed, "test")
    assert len(chosen) == n and (np.diff(chosen) > 0).all()
    ideal = np.bincount(y, minlength=6) * n / len(y)
    # Largest remainders give each class its ideal share, rounded down or up.
    assert (abs(np.bincount(y[chosen], minlength=6) - ideal) < 1).all()


def small(**changes):
    X = np.arange(10 * 2 * 2, dtype=np.uint8).reshape(10, 2, 2)
    y = np.arange(10) % 2
    return make_dataset("small", (X, y), changes.pop("test", (X[:4], y[:4])), **changes)


def test_a_split_parts_the_images_without_loss():
    data = small(test=None)
    together = np.concatenate([data.X_train, data.X_test]).reshape(10, 4)
    assert sorted(map(tuple, together.tolist())) == [tuple(range(4 * i, 4 * i + 4)) for i in range(10)]


@pytest.mark.parametrize("changes", [{}, {"test": None}, {"n_train": 6}, {"test": None, "n_train": 5}])
def test_training_images_are_found_where_they_were_given(changes):
    data = small(**changes)
    given = small().X_train[data.rows_as_given(np.arange(len(data.y_train)))]
    assert np.array_equal(given, data.X_train)


def test_without_a_split_all_images_are_there_and_none_is_tested():
    data = small(test=None, hold_out=False)
    assert np.array_equal(data.X_train, small().X_train) and data.X_test.shape == (0, 2, 2, 1)


def test_a_seed_gives_one_split_and_another_seed_another():
    first, again, other = (small(test=None, seed=s).sha256 for s in (1, 1, 2))
    assert first == again != other


def test_a_shortened_part_keeps_its_classes_and_its_order():
    data = small(n_train=6)
    assert np.bincount(data.y_train).tolist() == [3, 3]
    assert (np.diff(data.X_train[:, 0, 0, 0].astype(int)) > 0).all()
    with pytest.raises(DataError, match="found 10; expected 11"):
        small(n_train=11)


def test_the_hash_sees_every_array_and_shape_and_nothing_else():
    data = small()
    arrays = [data.X_train, data.y_train, data.X_test, data.y_test]
    hashes = {data.sha256}
    for i in range(4):
        changed = [a.copy() for a in arrays]
        changed[i].flat[0] += 1
        hashes.add(sha256_of(*changed))
    hashes.add(sha256_of(data.X_train.reshape(10, 4, 1, 1), *arrays[1:]))
    assert len(hashes) == 6
    assert sha256_of(np.asfortranarray(data.X_train), arrays[1].astype(">i8"), *arrays[2:]) == data.sha256


def test_arrays_cannot_be_changed_by_accident():
    for array in (small().X_train, small().y_train, open_dataset("digits").X_test):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_digits_are_all_there_and_stretched_to_bytes():
    data = open_dataset("digits")
    assert len(data.y_train) + len(data.y_test) == 1797 and data.image_shape == (8, 8, 1)
    assert data.X_train.max() == 255 and set(np.unique(data.X_train)) == {
        round(v * 255 / 16) for v in range(17)
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "needs a name or a path"),
        ({"name": "imagenet"}, "no data set has this name (found imagenet; expected glyphs | digits"),
        ({"name": "cifar10"}, "has not been fetched. Run `nmsim data fetch cifar10`"),
        ({"path": "nowhere"}, "nowhere: there is no such file or folder"),
        ({"path": "empty"}, "empty: no data set of a known format is here"),
        ({"path": "loop"}, "loop: this is no data set"),
        ({"path": "file.txt"}, "file.txt: this is no data set of a known format (found .txt"),
        ({"path": "folder.npz"}, "folder.npz: no data set of a known format"),
        ({"name": "digits", "n_train": 0}, "at least 1"),
        ({"name": "digits", "n_test": 1797}, "fewer test images than asked for"),
    ],
)
def test_what_cannot_be_opened_is_said_in_one_line(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("folder.npz").mkdir()
    Path("loop").symlink_to("loop")
    Path("file.txt").write_text("")
    with pytest.raises(DataError) as caught:
        open_dataset(**arguments, cache_dir=tmp_path / "cache")
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "cache").exists()


def test_a_configuration_names_a_data_set(tmp_path):
    class Glyphs:
        n_train, n_test = 30, 10

    class Spec:
        name, path, glyphs, synthetic = "digits", None, Glyphs, None

    assert load(Spec).name == "digits"
    np.savez(tmp_path / "own.npz", x_train=np.zeros((4, 2, 2), np.uint8), y_train=np.array([0, 1, 0, 1]))
    Spec.path = str(tmp_path / "own.npz")
    assert load(Spec).name == "own"


def test_a_check_counts_what_is_there():
    found = check("digits")
    data = open_dataset("digits")
    assert found["sha256"] == data.sha256 and found["shape"] == [8, 8, 1]
    assert sum(found["train_per_class"].values()) == found["n_train"] == len(data.y_train)


def test_the_list_says_what_can_be_used_now(tmp_path):
    rows = {row["name"]: row for row in list_datasets(tmp_path)}
    assert rows["glyphs"]["present"] and rows["digits"]["present"] and not rows["cifar10"]["present"]
    assert all(row["licence"] and row["source"] and row["n"] > 0 for row in rows.values())


def real_data(name: str) -> Path:
    folder = Path(os.environ.get("NMSIM_DATA", "")) / name
    if not os.environ.get("NMSIM_DATA") or not folder.is_dir():
        pytest.skip(f"NMSIM_DATA names no folder with {name}")
    return folder


@pytest.mark.data
def test_a_part_of_cifar_10_is_read_whole():
    data = open_dataset(path=real_data("cifar-10-part"))
    assert data.X_train.shape == (20_000, 32, 32, 3) and data.X_test.shape == (4_000, 32, 32, 3)
    # Photographs: a pixel resembles its neighbour, in the plane and over the colours; wrongly ordered
    # planes would not.
    X = data.X_train[:500].astype(float)
    for a, b in ((X[:, 1:], X[:, :-1]), (X[:, :, 1:], X[:, :, :-1]), (X[..., 1:], X[..., :-1])):
        assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.8


@pytest.mark.data
def test_fashion_mnist_is_read_whole():
    data = open_dataset(path=real_data("fashion-mnist-resplit"))
    assert data.X_train.shape == (60_000, 28, 28, 1) and np.bincount(data.y_test).tolist() == [1_000] * 10
