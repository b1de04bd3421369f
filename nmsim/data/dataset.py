"""A data set: labelled images of one size, in a training and a test part, that every stage can rely on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nmsim.errors import DataError, ResourceLimitError, printable
from nmsim.rng import stream

#: Share of the images that becomes the test part where a data set brings none.
TEST_SHARE = 0.2

#: What `Dataset.split` says where none is held out.
UNTESTED = "no test part"

#: An edge board trains on no more than this; a header that claims more is a damaged header.
LIMIT_BYTES = 8 << 30


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels, checked; make it with `make_dataset`, which also does the hashing.

    Attributes
    ----------
    name : str
        What it is called in reports.
    X_train, X_test : ndarray of uint8, shape (n, H, W, C)
        Images, read-only. One byte a channel is also what lies in the board's DRAM.
    y_train, y_test : ndarray of int64, shape (n,)
        Classes, 0 to `n_classes` - 1, read-only.
    class_names : tuple of str
        One name a class, at least two.
    sha256 : str
        Hash of the four arrays: shapes and bytes.
    split : str
        Where the test part comes from, for reports. `UNTESTED`: it is empty.
    train_rows : ndarray of int64, shape (n,), or None
        Where each training image stands among those that were given as such, ascending, read-only. None where
        all that were given are there.
    """

    name: str
    X_train: np.ndarray
    y_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    class_names: tuple[str, ...]
    sha256: str
    split: str = "as given"
    train_rows: np.ndarray | None = None

    @property
    def n_classes(self) -> int:
        """Return the number of classes."""
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Return the height, the width and the channels of an image."""
        return self.X_train.shape[1:]

    @property
    def image_bytes(self) -> int:
        """Return the bytes of one image."""
        return int(np.prod(self.image_shape))

    def rows_as_given(self, rows: np.ndarray) -> np.ndarray:
        """Return where rows of `X_train` stand among the training images given: rows of the file."""
        return rows if self.train_rows is None else self.train_rows[rows]

    def validate(self, file: Path | str | None = None) -> None:
        """Refuse what no stage could use.

        Parameters
        ----------
        file : Path or str, optional
            What the message blames.

        Raises
        ------
        DataError
            Empty parts, lengths or shapes that do not match, types other than uint8 and int64, fewer than
            two classes, labels out of range, or a class without a training image.
        """
        if self.n_classes < 2:
            raise DataError(
                "there is nothing to tell apart",
                file=file,
                found=f"{self.n_classes} class",
                expected="2 or more",
            )
        _check_part("training", self.X_train, self.y_train, self.n_classes, file)
        if self.split != UNTESTED:
            _check_part("test", self.X_test, self.y_test, self.n_classes, file)
        if self.X_test.shape[1:] != self.image_shape:
            raise DataError(
                "test images are of another size",
                file=file,
                found=_shape(self.X_test.shape[1:]),
                expected=_shape(self.image_shape),
            )
        absent = np.flatnonzero(np.bincount(self.y_train, minlength=self.n_classes) == 0)
        if len(absent):
            raise DataError(
                f"{len(absent)} of {self.n_classes} classes have no training image",
                file=file,
                found=f"none of class {absent[0]} ({self.class_names[absent[0]]})",
                expected="labels that count the classes from 0 without a gap",
            )


def _check_part(part: str, X: np.ndarray, y: np.ndarray, n_classes: int, file: Path | str | None) -> None:
    if X.ndim != 4 or X.dtype != np.uint8 or 0 in X.shape[1:]:
        raise DataError(
            f"the {part} images are of the wrong kind",
            file=file,
            found=f"{X.dtype} {_shape(X.shape)}",
            expected="uint8 (n, height, width, channels)",
        )
    if y.ndim != 1 or y.dtype != np.int64:
        raise DataError(
            f"the {part} labels are of the wrong kind", file=file, found=f"{y.dtype} {_shape(y.shape)}"
        )
    if len(X) != len(y):
        raise DataError(
            f"the {part} part has not one label an image",
            file=file,
            found=f"{len(X)} images and {len(y)} labels",
        )
    if len(X) == 0:
        raise DataError(f"the {part} part is empty", file=file)
    wrong = np.flatnonzero((y < 0) | (y >= n_classes))
    if len(wrong):
        raise DataError(
            f"a {part} label is out of range",
            file=file,
            found=f"{y[wrong[0]]} for image {wrong[0]}",
            expected=f"0 to {n_classes - 1}",
        )


def make_dataset(
    name: str,
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray] | None,
    class_names: Sequence[str] | None = None,
    *,
    file: Path | str | None = None,
    seed: int = 0,
    n_train: int | None = None,
    n_test: int | None = None,
    hold_out: bool = True,
) -> Dataset:
    r"""Return a checked data set from its parts, splitting and shortening where that is asked for.

    Parameters
    ----------
    name : str
        What it is called in reports. In it and in the names of classes, which come from folders,
        characters that cannot be printed stand as `\x1b`.
    train, test : (X, y)
        X uint8 (n, H, W) or (n, H, W, C); y integers (n,). Without a test part, a stratified fifth of the
        images becomes one if `hold_out`.
    class_names : sequence of str, optional
        By default "0", "1", …, up to the largest training label.
    file : Path or str, optional
        What an error message blames.
    seed : int
        Of the split, and of the choice where `n_train` or `n_test` shortens a part.
    n_train, n_test : int, optional
        Keep so many images, stratified; all by default.
    hold_out : bool
        False: images without a test part stay all together, and the test part is empty.

    Raises
    ------
    DataError
        See `Dataset.validate`; also where fewer images are there than asked for.
    """
    X, y = _tidy(*train)
    if class_names is None:
        class_names = _count_classes(y, file)
    # Checked as one part before it is split, so that a message counts images as the file does.
    _check_part("training", X, y, len(class_names), file)
    split, train_rows = "as given", None
    if test is None and hold_out:
        held = stratified(y, max(1, round(TEST_SHARE * len(y))), seed, "split")
        train_rows = np.setdiff1d(np.arange(len(y)), held, assume_unique=True)
        test, X, y = (X[held], y[held]), X[train_rows], y[train_rows]
        split = f"stratified {TEST_SHARE:.0%} for testing, seed {seed}"
    elif test is None:
        test, split = (X[:0], y[:0]), UNTESTED
    X_test, y_test = _tidy(*test)
    if n_train is not None:
        kept = _kept("training", y, n_train, seed, file)
        X, y, train_rows = X[kept], y[kept], kept if train_rows is None else train_rows[kept]
    if n_test is not None:
        kept = _kept("test", y_test, n_test, seed, file)
        X_test, y_test = X_test[kept], y_test[kept]
    X, y, X_test, y_test = map(_frozen, (X, y, X_test, y_test))
    dataset = Dataset(
        printable(name),
        X,
        y,
        X_test,
        y_test,
        tuple(printable(str(c)) for c in class_names),
        sha256_of(X, y, X_test, y_test),
        split,
        None if train_rows is None else _frozen(train_rows),
    )
    dataset.validate(file)
    return dataset


def _kept(part: str, y: np.ndarray, n: int, seed: int, file: Path | str | None) -> np.ndarray:
    """Return which n images a shortened part keeps."""
    if n > len(y):
        raise DataError(f"there are fewer {part} images than asked for", file=file, found=len(y), expected=n)
    return stratified(y, n, seed, part)


def _tidy(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return X[..., None] if X.ndim == 3 else X, y.astype(np.int64, copy=False)


def _count_classes(y: np.ndarray, file: Path | str | None) -> tuple[str, ...]:
    top = int(y.max(initial=-1))
    if top >= max(len(y), 1):  # some class would be empty for sure; and names for 2**62 classes do not fit
        raise DataError(
            "labels are larger than there are images", file=file, found=top, expected=f"below {len(y)}"
        )
    return tuple(map(str, range(top + 1)))


def _frozen(array: np.ndarray) -> np.ndarray:
    array = np.ascontiguousarray(array)
    if array.flags.writeable:
        array = array.view()
        array.setflags(write=False)
    return array


def stratified(y: np.ndarray, n: int, seed: int, purpose: str) -> np.ndarray:
    """Return n indices that hold each class in proportion, rounded by largest remainders.

    Parameters
    ----------
    y : ndarray of int64, shape (m,)
        Labels, not negative.
    n : int
        0 <= n <= m.
    seed : int
        Of the choice within a class.
    purpose : str
        Names the random stream.

    Returns
    -------
    ndarray of int64, shape (n,)
        Sorted, distinct.
    """
    counts = np.bincount(y)
    share = counts * n  # in units of 1/len(y), so that no rounding depends on a machine
    quota = share // max(len(y), 1)
    order = np.argsort(-(share % max(len(y), 1)), kind="stable")
    quota[order[: n - int(quota.sum())]] += 1
    rng = stream(seed, "data", purpose)
    chosen = [rng.permutation(np.flatnonzero(y == c))[:q] for c, q in enumerate(quota) if q]
    return np.sort(np.concatenate(chosen)) if chosen else np.zeros(0, np.int64)


def sha256_of(X_train: np.ndarray, y_train: np.ndarray, X_test: np.ndarray, y_test: np.ndarray) -> str:
    """Return the hash of a data set's content, 64 hexadecimal digits, the same on every machine."""
    content = hashlib.sha256()
    named = {"X_train": X_train, "y_train": y_train, "X_test": X_test, "y_test": y_test}
    for name, array in named.items():
        stored = np.ascontiguousarray(array, "|u1" if name[0] == "X" else "<i8")
        content.update(f"{name} {stored.dtype.str} {stored.shape}\n".encode())
        content.update(stored.data if stored.size else b"")
    return content.hexdigest()


def check_size(n_bytes: int, file: Path | str) -> None:
    """Refuse a size that a header claims before anything is allocated for it.

    Raises
    ------
    ResourceLimitError
        Above 8 GiB.
    """
    if n_bytes > LIMIT_BYTES:
        raise ResourceLimitError(
            "this is too much data for one run",
            file=file,
            found=f"{n_bytes / 2**30:,.1f} GiB",
            expected=f"at most {LIMIT_BYTES >> 30} GiB",
            hint="If it should be smaller, the file is damaged.",
        )


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) if shape else "a single number"
