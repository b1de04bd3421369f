"""NumPy archives: `x_train`, `y_train` and, if wanted, `x_test`, `y_test`, as Keras names them.

Images become uint8 as `nmsim.data.pixels` says; floating-point images of one file are on one scale. Any
other range is refused, for guessing its scale could be wrong without a sign. Arrays are parsed here and never
unpickled: pickled objects are programs.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from nmsim.data.dataset import check_size
from nmsim.data.files import reading
from nmsim.data.pixels import as_pixels
from nmsim.errors import DataError
from nmsim.store.reading import open_regular, read_body, read_header

Part = tuple[np.ndarray, np.ndarray]


def read_npz(file: Path) -> tuple[Part, Part | None]:
    """Return the training part and, where there is one, the test part of an archive.

    Raises
    ------
    DataError
        Missing or pickled arrays, sizes that lie, NaN or infinity, images out of range, labels that are not
        whole numbers, or a file that is no archive.
    ResourceLimitError
        Where a header claims more than fits.
    """
    try:
        with reading(file), open_regular(file) as opened, zipfile.ZipFile(opened) as archive:
            names = [name.removesuffix(".npy")[:40] for name in archive.namelist()[:9]]
            arrays = {
                Path(member.filename).stem.lower(): _read_member(file, archive, member)
                for member in archive.infolist()
                if member.filename.lower() in ("x_train.npy", "y_train.npy", "x_test.npy", "y_test.npy")
            }
    except (zipfile.BadZipFile, RuntimeError, ValueError) as error:  # encrypted, unknown method, bad name
        raise DataError(
            "this is not an undamaged .npz archive",
            file=file,
            found=str(error),
            hint="Write it with numpy.savez.",
        ) from error
    images = {key: X for key, X in arrays.items() if key.startswith("x_")}
    for key, X in images.items():
        _check_images(file, key, X)
    highest = max((float(X.max(initial=0)) for X in images.values() if X.dtype.kind == "f"), default=0.0)
    parts: dict[str, Part] = {}
    for part in ("train", "test"):
        missing = [key for key in (f"x_{part}", f"y_{part}") if key not in arrays]
        if part == "test" and len(missing) == 2:
            continue
        if missing:
            found, expected = ", ".join(names) or "none", " and ".join(missing)
            raise DataError("an array is missing", file=file, found=found, expected=expected)
        X = _as_bytes(file, f"x_{part}", images[f"x_{part}"], highest)
        parts[part] = X, _as_labels(file, f"y_{part}", arrays[f"y_{part}"])
    return parts["train"], parts.get("test")


def _read_member(file: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """Return one array, its size checked before it is allocated."""
    where = f"{file}:{member.filename}"
    with archive.open(member) as content:
        try:
            header = read_header(content)
        except ValueError as error:
            raise DataError("this is not an array of numbers", file=where, found=str(error)) from error
        dtype = header.dtype
        if dtype.hasobject or dtype.kind not in "biuf":
            raise DataError(
                "only arrays of numbers are read",
                file=where,
                found="pickled objects" if dtype.hasobject else str(dtype),
                hint="Save plain numbers, never objects.",
            )
        check_size(header.n_bytes, where)
        try:
            return read_body(content, header)
        except ValueError as error:
            raise DataError(
                "the array does not hold what its header says", file=where, found=str(error)
            ) from error


def _check_images(file: Path, key: str, X: np.ndarray) -> None:
    if X.ndim not in (3, 4) or (X.ndim == 4 and X.shape[-1] > 4):
        raise DataError(
            f"{key} is not a stack of images",
            file=file,
            found="×".join(map(str, X.shape)) or "a single number",
            expected="n×height×width or n×height×width×channels, at most 4 channels",
            hint="Reshape vectors to images, and move the channels to the last axis.",
        )
    if X.dtype.kind == "f" and not np.isfinite([X.min(initial=0), X.max(initial=0)]).all():
        raise DataError(f"{key} holds NaN or infinity", file=file, expected="numbers from 0 to 1")


def _as_bytes(file: Path, key: str, X: np.ndarray, highest: float) -> np.ndarray:
    """Return images as uint8; `highest` is the highest number of all floating-point images of the file."""
    pixels = as_pixels(X, highest)
    if pixels is not None:
        return pixels
    found = f"{X.dtype} from {X.min():g} to {X.max():g}"
    if X.dtype.kind == "f":
        if X.max() <= 1 < highest:
            found += f" in a file whose other images reach {highest:g}"
        top, hint = "1, or whole numbers to 255", "Scale it to 0–1, or save it as uint8."
    else:
        top, hint = "255", "Save it as uint8."
    raise DataError(
        f"{key} is out of range",
        file=file,
        found=found,
        expected=f"0 to {top}",
        hint=hint,
    )


def _as_labels(file: Path, key: str, y: np.ndarray) -> np.ndarray:
    if y.ndim == 2 and y.shape[1] == 1:  # as Keras keeps CIFAR's labels
        y = y[:, 0]
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise DataError(
            f"{key} is not a list of classes",
            file=file,
            found=f"{y.dtype} {'×'.join(map(str, y.shape))}",
            expected="whole numbers, one an image",
        )
    if y.dtype.kind == "u" and y.max(initial=0) > np.iinfo(np.int64).max:
        raise DataError(f"{key} holds a number beyond any class", file=file, found=y.max())
    return y.astype(np.int64)
