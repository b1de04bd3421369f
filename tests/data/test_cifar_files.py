"""Are CIFAR's planes, labels and batches put where its description says, and is damage named?"""

from __future__ import annotations

import numpy as np
import pytest

from nmsim.data import open_dataset
from nmsim.data.cifar import read_batches
from nmsim.errors import DataError


def records(labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return records: the given label bytes (n, k), then 3,072 random bytes."""
    pixels = np.random.default_rng(seed).integers(0, 256, (len(labels), 3072), dtype=np.uint8)
    return np.concatenate([labels.astype(np.uint8), pixels], axis=1)


def batch(n: int = 20, seed: int = 0) -> np.ndarray:
    return records(np.arange(n)[:, None] % 10, seed)


def cifar10(folder, *batches: str, test: bool = True):
    folder.mkdir(exist_ok=True)
    for i, name in enumerate(batches):
        (folder / name).write_bytes(batch(seed=i).tobytes())
    if test:
        (folder / "test_batch.bin").write_bytes(batch(10, seed=9).tobytes())
    return folder


def test_a_byte_of_a_record_is_the_pixel_that_the_description_says(tmp_path):
    one = batch(10)
    (tmp_path / "b.bin").write_bytes(one.tobytes())
    X, y = read_batches([tmp_path / "b.bin"], 1, 10)
    assert X.shape == (10, 32, 32, 3) and y.tolist() == list(range(10))
    for image, row, column, channel in [(0, 0, 0, 0), (3, 5, 7, 1), (9, 31, 31, 2)]:
        # One label byte, then planes of 1,024 bytes, each in rows of 32.
        assert X[image, row, column, channel] == one[image, 1 + 1024 * channel + 32 * row + column]


@pytest.mark.parametrize("batches", [[1], [1, 2], [2, 4], [1, 2, 3, 4, 5]])
def test_any_of_the_five_batches_make_a_data_set_in_their_order(tmp_path, batches):
    data = open_dataset(path=cifar10(tmp_path / "part", *(f"data_batch_{i}.bin" for i in batches)))
    assert len(data.y_train) == 20 * len(batches) and len(data.y_test) == 10
    assert data.class_names[3] == "cat"
    first = batch(seed=0)[0, 1:].reshape(3, 32, 32).transpose(1, 2, 0)
    np.testing.assert_array_equal(data.X_train[0], first)


def test_the_folder_that_the_archive_unpacks_to_is_found_below_the_path(tmp_path):
    cifar10(tmp_path / "cifar-10-batches-bin", "data_batch_1.bin")
    assert len(open_dataset(path=tmp_path).y_train) == 20


def test_the_second_label_byte_of_cifar_100_is_the_class(tmp_path):
    labels = np.stack([np.arange(100) % 20, np.arange(100)], axis=1)
    for name in ("train.bin", "test.bin"):
        (tmp_path / name).write_bytes(records(labels).tobytes())
    data = open_dataset(path=tmp_path)
    assert data.n_classes == 100 and data.y_train.tolist() == list(range(100))
    (tmp_path / "fine_label_names.txt").write_text("\n".join(f"name{i}" for i in range(100)))
    assert open_dataset(path=tmp_path).class_names[7] == "name7"
    (tmp_path / "fine_label_names.txt").write_text("apple")
    with pytest.raises(DataError, match="found 1; expected 100"):
        open_dataset(path=tmp_path)


@pytest.mark.parametrize("size", [0, 1, 3072, 3074, 20 * 3073 - 1])
def test_a_file_that_is_not_whole_records_is_refused(tmp_path, size):
    folder = cifar10(tmp_path / "part", "data_batch_1.bin")
    (folder / "data_batch_2.bin").write_bytes(bytes(size))
    with pytest.raises(DataError, match=rf"data_batch_2.bin: .*found {size:,} bytes; expected a multiple"):
        open_dataset(path=folder)


def test_a_label_out_of_range_is_refused_with_its_record(tmp_path):
    folder = cifar10(tmp_path / "part", "data_batch_1.bin")
    damaged = batch()
    damaged[13, 0] = 10
    (folder / "data_batch_1.bin").write_bytes(damaged.tobytes())
    with pytest.raises(DataError, match=r"found 10 in record 13; expected 0 to 9"):
        open_dataset(path=folder)


def test_a_test_batch_alone_is_not_a_data_set(tmp_path):
    with pytest.raises(DataError, match="no data set of a known format"):
        open_dataset(path=cifar10(tmp_path / "part"))
