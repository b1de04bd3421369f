"""Are NumPy archives read without unpickling, and is what they hold checked?"""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from nmsim.data import open_dataset
from nmsim.errors import DataError, ResourceLimitError

X = np.random.default_rng(0).integers(0, 256, (12, 6, 4, 3), dtype=np.uint8)
Y = np.arange(12) % 3
GOOD = {"x_train": X, "y_train": Y, "x_test": X[:6], "y_test": Y[:6]}


def archive(folder, **changes):
    arrays = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    np.savez(folder / "data.npz", **arrays)
    return folder / "data.npz"


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_back_packed_or_not(tmp_path, save):
    save(tmp_path / "data.npz", **GOOD)
    data = open_dataset(path=tmp_path / "data.npz")
    np.testing.assert_array_equal(data.X_train, X)
    np.testing.assert_array_equal(data.y_test, Y[:6])
    assert data.name == "data" and data.split == "as given"


@pytest.mark.parametrize(
    "changes",
    [
        {"x_train": X.astype(np.int64), "y_train": Y.astype(np.uint8)},
        {"x_train": X / 255.0},
        {"x_train": (X / 255.0).astype(np.float32)},
        {"x_train": np.asfortranarray(X)},
        {"y_train": Y[:, None]},
    ],
    ids=["integers", "float64", "float32", "by column", "labels as Keras keeps them"],
)
def test_one_data_set_however_its_numbers_are_kept(tmp_path, changes):
    assert (
        open_dataset(path=archive(tmp_path, **changes)).sha256 == open_dataset(path=archive(tmp_path)).sha256
    )


def test_floating_point_images_of_one_file_are_on_one_scale(tmp_path):
    # Whole numbers to 254 in one part say that 0 and 1 in the other are nearly black, not black and white.
    dark = (X[:6] % 2).astype(float)
    file = archive(tmp_path, x_train=np.minimum(X, 254).astype(float), x_test=dark)
    np.testing.assert_array_equal(open_dataset(path=file).X_test, dark)
    bright = archive(tmp_path, x_train=X / 255.0, x_test=dark)
    np.testing.assert_array_equal(open_dataset(path=bright).X_test, 255 * dark)


def spoilt(value: float) -> np.ndarray:
    floats = X / 255.0
    floats[3, 2, 1, 0] = value
    return floats


REFUSED = {
    "NaN": ({"x_train": spoilt(np.nan)}, "x_train holds NaN or infinity"),
    "infinity": ({"x_test": spoilt(np.inf)[:6]}, "x_test holds NaN or infinity"),
    "a float above 1": ({"x_train": spoilt(1.5)}, "found float64 from 0 to 1.5; expected 0 to 1"),
    "two scales": (
        {"x_train": X / 255.0, "x_test": X[:6].astype(float)},
        "x_train is out of range (found float64 from 0 to 1 in a file whose other images reach 255",
    ),
    "a negative float": ({"x_train": spoilt(-0.5)}, "expected 0 to 1"),
    "an integer above 255": ({"x_train": X.astype(np.int16) * 2}, "expected 0 to 255"),
    "vectors": ({"x_train": X.reshape(12, -1)}, "found 12×72"),
    "channels first": ({"x_train": X.transpose(0, 3, 1, 2).repeat(2, axis=-1)}, "move the channels"),
    "labels of another number": ({"y_train": Y[:-1]}, "found 12 images and 11 labels"),
    "labels as one-hot": ({"y_train": np.eye(3)[Y]}, "y_train is not a list of classes"),
    "a negative label": ({"y_train": Y - 1}, "found -1 for image 0; expected 0 to 1"),
    "a test label out of range": ({"y_test": Y[:6] + 1}, "found 3 for image 2; expected 0 to 2"),
    "a huge label": ({"y_train": Y + 2**62}, "labels are larger than there are images"),
    "one class": ({"y_train": Y * 0, "y_test": Y[:6] * 0}, "nothing to tell apart"),
    "a gap in the classes": ({"y_train": Y * 2}, "2 of 5 classes have no training image"),
    "no images": ({"x_train": X[:0], "y_train": Y[:0]}, "training part is empty"),
    "test images of another size": ({"x_test": X[:6, :5]}, "found 5×4×3; expected 6×4×3"),
    "no labels": ({"y_train": None}, "expected y_train"),
    "nothing known": (dict.fromkeys(GOOD) | {"a": X}, "expected x_train and y_train"),
    "text": ({"y_train": np.array(["a"] * 12)}, "only arrays of numbers are read"),
    "complex numbers": ({"x_train": X * 1j}, "only arrays of numbers are read"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_used_is_refused_in_one_line(tmp_path, case):
    changes, message = REFUSED[case]
    file = archive(tmp_path, **changes)
    with pytest.raises(DataError) as caught:
        open_dataset(path=file)
    assert str(file) in str(caught.value) and message in str(caught.value)
    assert "\n" not in str(caught.value)


class _Trap:
    def __reduce__(self):
        return (pytest.fail, ("an archive was unpickled",))


def test_pickled_objects_are_never_loaded(tmp_path):
    objects = np.empty(12, dtype=object)
    objects[:] = [_Trap() for _ in range(12)]
    with pytest.raises(DataError, match="found pickled objects"):
        open_dataset(path=archive(tmp_path, y_train=objects))


def with_header(folder, shape: str, payload: bytes):
    """Write an archive whose x_train says `shape` (NumPy's format, version 1.0) and holds `payload`."""
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + payload
    labels = io.BytesIO()
    np.save(labels, Y)
    with zipfile.ZipFile(folder / "data.npz", "w") as file:
        file.writestr("x_train.npy", content)
        file.writestr("y_train.npy", labels.getvalue())
    return folder / "data.npz"


@pytest.mark.parametrize(
    ("shape", "error", "message"),
    [
        ("(12, 6, 4, 3)", DataError, "found 800 bytes in place of 864"),
        ("(1, 6, 4, 3)", DataError, "found more bytes in place of 72"),
        ("(99999999, 999, 999)", ResourceLimitError, "GiB"),
        ("(-1, 6, 4, 3)", DataError, "not an array of numbers.*negative"),
        ("'text'", DataError, "not an array of numbers"),
    ],
)
def test_headers_that_lie_are_found_out(tmp_path, shape, error, message):
    with pytest.raises(error, match=message):
        open_dataset(path=with_header(tmp_path, shape, bytes(800)))


def test_a_damaged_archive_is_refused(tmp_path):
    whole = archive(tmp_path).read_bytes()
    middle = whole.index(X[0, 0].tobytes())
    for content in (b"", b"text", whole[:-40], whole[:middle] + b"\xff\xfe" + whole[middle + 2 :]):
        (tmp_path / "data.npz").write_bytes(content)
        with pytest.raises(DataError, match=r"data.npz: this is not an undamaged \.npz archive"):
            open_dataset(path=tmp_path / "data.npz")
