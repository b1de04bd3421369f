"""CIFAR-10 and CIFAR-100 in their binary version.

A record of CIFAR-10 is a label byte and 3,072 bytes of image, one of CIFAR-100 a coarse and a fine label byte
and the image; an image is its red, green and blue plane, each 32 rows of 32 (Krizhevsky, "The CIFAR-10
dataset", section "Binary version"). The fine labels of CIFAR-100 are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nmsim.data.dataset import check_size
from nmsim.data.files import list_folder, reading
from nmsim.errors import DataError
from nmsim.store.reading import check_regular, open_regular, read_up_to

CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"
)  # fmt: skip
_IMAGE_BYTES = 3 * 32 * 32
#: More than a hundred names take.
_NAMES_BYTES = 1 << 16

Part = tuple[np.ndarray, np.ndarray]


def read_batches(files: Sequence[Path], label_bytes: int, n_classes: int) -> Part:
    """Return the images and labels of some batch files, in their order.

    Parameters
    ----------
    files : sequence of Path
        At least one.
    label_bytes : int
        1 for CIFAR-10, 2 for CIFAR-100; the last is the label.
    n_classes : int
        Labels reach from 0 to this, less one.

    Raises
    ------
    DataError
        Where a file is not a whole number of records, or a label is out of range.
    """
    record = label_bytes + _IMAGE_BYTES
    sizes = []
    for file in files:
        with reading(file):
            check_regular(file)
            sizes.append(file.stat().st_size)
        if sizes[-1] == 0 or sizes[-1] % record:
            raise DataError(
                "this is not a whole number of records",
                file=file,
                found=f"{sizes[-1]:,} bytes",
                expected=f"a multiple of {record:,}",
                hint="Get it again; the Python version of the data set is not read, the binary version is.",
            )
    check_size(sum(sizes), files[0].parent)
    X, y = [], []
    for file in files:
        with reading(file):
            records = np.fromfile(file, np.uint8)
        if records.size % record:
            raise DataError("the file changed while it was read", file=file)
        records = records.reshape(-1, record)
        labels = records[:, label_bytes - 1]
        wrong = np.flatnonzero(labels >= n_classes)
        if len(wrong):
            raise DataError(
                "a label is out of range",
                file=file,
                found=f"{labels[wrong[0]]} in record {wrong[0]}",
                expected=f"0 to {n_classes - 1}",
            )
        y.append(labels.astype(np.int64))
        X.append(records[:, label_bytes:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    return np.ascontiguousarray(np.concatenate(X)), np.concatenate(y)


def find_cifar(folder: Path) -> tuple[str, list[Path], list[Path]] | None:
    """Return "cifar10" or "cifar100" and the training and test files in a folder, or None.

    Any of the five training batches of CIFAR-10 will do.
    """
    names = {entry.name: Path(entry.path) for entry in list_folder(folder)}
    batches = [names[n] for n in (f"data_batch_{i}.bin" for i in range(1, 6)) if n in names]
    if batches:
        return "cifar10", batches, [names[n] for n in ("test_batch.bin",) if n in names]
    if "train.bin" in names:
        return "cifar100", [names["train.bin"]], [names[n] for n in ("test.bin",) if n in names]
    return None


def read_cifar_folder(folder: Path) -> tuple[str, Part, Part | None, tuple[str, ...] | None]:
    """Return a folder's data set: its name, its training and test parts, the names of its classes.

    Raises
    ------
    DataError
        Where there is no training file, or one is damaged.
    """
    found = find_cifar(folder)
    if found is None:
        raise DataError(
            "there is no training file of CIFAR here", file=folder, expected="data_batch_1.bin or train.bin"
        )
    name, train, test = found
    label_bytes = 1 if name == "cifar10" else 2
    classes = CIFAR10_CLASSES if name == "cifar10" else _fine_names(folder)
    training = read_batches(train, label_bytes, len(classes))
    return name, training, read_batches(test, label_bytes, len(classes)) if test else None, classes


def _fine_names(folder: Path) -> tuple[str, ...]:
    """Return the names of CIFAR-100's classes, which come in a file of their own, or numbers."""
    file = folder / "fine_label_names.txt"
    if not file.is_file():
        return tuple(map(str, range(100)))
    with reading(file), open_regular(file) as content:
        names = tuple(read_up_to(content, _NAMES_BYTES).decode("utf-8", errors="replace").split())
    if len(names) != 100:
        raise DataError("these are not the names of the classes", file=file, found=len(names), expected=100)
    return names
