"""Do IDX files come back bit for bit, and is a damaged one named?"""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from idx_samples import idx_bytes, write_idx_folder

from nmsim.data import open_dataset
from nmsim.data.idx import read_idx
from nmsim.errors import DataError, ResourceLimitError

SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=6)


@given(array=hnp.arrays(np.uint8, SHAPES), packed=st.booleans())
def test_any_array_of_bytes_comes_back(tmp_path_factory, array, packed):
    file = tmp_path_factory.mktemp("idx") / "file"
    content = idx_bytes(array)
    file.write_bytes(gzip.compress(content) if packed else content)
    np.testing.assert_array_equal(read_idx(file, (array.ndim,)), array)


def test_packed_and_plain_files_are_the_same_data_set(tmp_path):
    plain = open_dataset(path=write_idx_folder(tmp_path / "plain", packed=False))
    packed = open_dataset(path=write_idx_folder(tmp_path / "packed"))
    assert plain.sha256 == packed.sha256
    assert plain.image_shape == (4, 5, 1) and plain.class_names == ("0", "1")


GOOD = idx_bytes(np.zeros((3, 2, 2), np.uint8))
DAMAGED = {
    "an empty file": (b"", "found nothing"),
    "a text": (b"<html>not found</html>", "found first bytes 3c68746d"),
    "labels for images": (idx_bytes(np.zeros(3, np.uint8)), "found first bytes 00000801; expected 00000803"),
    "numbers of another type": (GOOD[:2] + b"\x0d" + GOOD[3:], "found first bytes 00000d03"),
    "half a header": (GOOD[:9], "header is cut short"),
    "a byte too few": (GOOD[:-1], "found 11 bytes; expected 12 bytes for 3×2×2"),
    "a byte too many": (GOOD + b"\0", "found more bytes; expected 12 bytes"),
    "a packed file cut short": (gzip.compress(GOOD)[:-9], "compressed file is damaged"),
    "a packed file with a wrong sum": (gzip.compress(GOOD)[:-5] + b"\x99" * 5, "compressed file is damaged"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_file_is_named_with_what_was_found(tmp_path, case):
    content, message = DAMAGED[case]
    file = tmp_path / "train-images-idx3-ubyte"
    file.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_idx(file, (3,))
    assert str(caught.value).startswith(f"{file}: ") and message in str(caught.value)


def test_a_header_that_claims_too_much_is_refused_before_memory_is_taken(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(struct.pack(">I3I", 0x803, 2**32 - 1, 2**32 - 1, 2**32 - 1))
    with pytest.raises(ResourceLimitError, match="GiB"):
        read_idx(file, (3,))


def test_a_header_that_claims_more_than_is_there_costs_no_memory(tmp_path):
    import tracemalloc

    file = tmp_path / "file"
    file.write_bytes(struct.pack(">I3I", 0x803, 2**16, 2**8, 2**8) + bytes(100))  # claims 4 GiB
    tracemalloc.start()
    with pytest.raises(DataError, match="found 100 bytes"):
        read_idx(file, (3,))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20


@pytest.mark.parametrize("missing", ["train-images-idx3", "train-labels-idx1", "t10k-labels-idx1"])
def test_a_missing_file_is_asked_for(tmp_path, missing):
    folder = write_idx_folder(tmp_path / "set")
    (folder / f"{missing}-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"(images|labels) are missing \(expected a file like"):
        open_dataset(path=folder)


def test_images_and_labels_of_different_number_are_refused(tmp_path):
    folder = write_idx_folder(tmp_path / "set", packed=False)
    (folder / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(19, np.uint8)))
    with pytest.raises(DataError, match="found 19 labels; expected 20"):
        open_dataset(path=folder)


def test_a_label_far_beyond_the_others_is_refused(tmp_path):
    folder = write_idx_folder(tmp_path / "set", n_train=300, packed=False)
    labels = (np.arange(300) % 2).astype(np.uint8)
    labels[7] = 255
    (folder / "train-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    # Labels 0, 1 and 255 make 256 classes, of which 2 … 254 are empty.
    with pytest.raises(DataError, match="253 of 256 classes have no training image"):
        open_dataset(path=folder)


def test_without_test_files_a_stratified_fifth_is_held_back_and_said(tmp_path):
    data = open_dataset(path=write_idx_folder(tmp_path / "set", n_train=40, n_test=0))
    assert (len(data.y_train), len(data.y_test)) == (32, 8)
    assert np.bincount(data.y_test).tolist() == [4, 4]
    assert data.split == "stratified 20% for testing, seed 0"
