"""The data sets that have a name: where they come from, what they are, and where they lie on this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from nmsim.data.cifar import CIFAR10_CLASSES
from nmsim.errors import DataError, suggestion


@dataclass(frozen=True)
class RemoteFile:
    """A file to download.

    Attributes
    ----------
    name : str
        Its name on disk.
    urls : tuple of str
        Addresses that hold the same file, tried in this order.
    sha256 : str
        Pinned; what does not match it is thrown away.
    size_bytes : int
        Pinned as well, so that a download can be cut off.
    """

    name: str
    urls: tuple[str, ...]
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Entry:
    """A data set that has a name.

    Attributes
    ----------
    name : str
        What `dataset.name` may say.
    n_train, n_test : int
        Images in the official split, or by default.
    shape : tuple of int
        Height, width and channels.
    licence, source : str
        For people.
    remote : tuple of RemoteFile
        What to download; empty where nothing is.
    unpack : mapping of str to int
        Files to take out of the downloaded archive, and their exact sizes in bytes; empty where the
        downloads are used as they are.
    class_names : tuple of str, optional
        Where the files do not hold them.
    n_classes : int
    """

    name: str
    n_train: int
    n_test: int
    shape: tuple[int, int, int]
    licence: str
    source: str
    remote: tuple[RemoteFile, ...] = ()
    unpack: tuple[tuple[str, int], ...] = ()
    class_names: tuple[str, ...] | None = None
    n_classes: int = 10

    @property
    def files(self) -> tuple[str, ...]:
        """Return the names of the files that make the data set once fetched."""
        return tuple(n for n, _ in self.unpack) or tuple(f.name for f in self.remote)


_CIFAR_URL = "https://www.cs.toronto.edu/~kriz/"
# The authors' server has refused programs for years; the second address is the copy that Google's CVDF keeps.
_MNIST_URLS = ("http://yann.lecun.com/exdb/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
# The first is named in the data set's README; the second is its repository.
_FASHION_URLS = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
)


def _idx_files(urls: tuple[str, ...], *pinned: tuple[str, int, str]) -> tuple[RemoteFile, ...]:
    return tuple(
        RemoteFile(name, tuple(url + name for url in urls), sha256, size) for name, size, sha256 in pinned
    )


def _cifar_archive(name: str, size_bytes: int, sha256: str) -> tuple[RemoteFile, ...]:
    return (RemoteFile(name, (_CIFAR_URL + name,), sha256, size_bytes),)


# SHA-256 and sizes: TensorFlow Datasets, tensorflow_datasets/url_checksums/{cifar10,cifar100,mnist,
# fashion_mnist}.txt; MLDatasets.jl (CIFAR) and other projects pin the same. CIFAR's authors publish MD5 only:
# c32a1d4ab5d03f1284b67883e8d87530 and 03b5dce01913d631647c71ecec9e9cb8 for the binary versions.
# Sizes of CIFAR's members: records of 3,073 and 3,074 bytes, 10,000 a batch; 50,000 and 10,000.
CATALOG: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry(
            "glyphs",
            12_000,
            2_000,
            (32, 32, 3),
            "fonts: Bitstream Vera, STIX and Bakoma, all free",
            "drawn by nmsim from matplotlib's fonts",
        ),
        Entry(
            "digits",
            1_438,
            359,
            (8, 8, 1),
            "CC BY 4.0",
            "scikit-learn; UCI, Optical Recognition of Handwritten Digits",
        ),
        Entry(
            "cifar10",
            50_000,
            10_000,
            (32, 32, 3),
            "none stated; cite Krizhevsky 2009",
            "https://www.cs.toronto.edu/~kriz/cifar.html",
            _cifar_archive(
                "cifar-10-binary.tar.gz",
                170_052_171,
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            ),
            (*((f"data_batch_{i}.bin", 30_730_000) for i in range(1, 6)), ("test_batch.bin", 30_730_000)),
            CIFAR10_CLASSES,
        ),
        Entry(
            "cifar100",
            50_000,
            10_000,
            (32, 32, 3),
            "none stated; cite Krizhevsky 2009",
            "https://www.cs.toronto.edu/~kriz/cifar.html",
            _cifar_archive(
                "cifar-100-binary.tar.gz",
                168_513_733,
                "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
            ),
            (("train.bin", 153_700_000), ("test.bin", 30_740_000)),
            n_classes=100,
        ),
        Entry(
            "fashion-mnist",
            60_000,
            10_000,
            (28, 28, 1),
            "MIT",
            "https://github.com/zalandoresearch/fashion-mnist",
            _idx_files(
                _FASHION_URLS,
                (
                    "train-images-idx3-ubyte.gz",
                    26_421_880,
                    "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                ),
                (
                    "train-labels-idx1-ubyte.gz",
                    29_515,
                    "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                ),
                (
                    "t10k-images-idx3-ubyte.gz",
                    4_422_102,
                    "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                ),
                (
                    "t10k-labels-idx1-ubyte.gz",
                    5_148,
                    "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                ),
            ),
            class_names=(
                "T-shirt/top",
                "Trouser",
                "Pullover",
                "Dress",
                "Coat",
                "Sandal",
                "Shirt",
                "Sneaker",
                "Bag",
                "Ankle boot",
            ),
        ),
        Entry(
            "mnist",
            60_000,
            10_000,
            (28, 28, 1),
            "CC BY-SA 3.0",
            "http://yann.lecun.com/exdb/mnist/",
            _idx_files(
                _MNIST_URLS,
                (
                    "train-images-idx3-ubyte.gz",
                    9_912_422,
                    "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                ),
                (
                    "train-labels-idx1-ubyte.gz",
                    28_881,
                    "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                ),
                (
                    "t10k-images-idx3-ubyte.gz",
                    1_648_877,
                    "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                ),
                (
                    "t10k-labels-idx1-ubyte.gz",
                    4_542,
                    "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                ),
            ),
        ),
    )
}


def cache_folder() -> Path:
    """Return the folder that data sets are kept in: `NMSIM_CACHE`, or the system's place for caches."""
    given = os.environ.get("NMSIM_CACHE")
    return Path(given).expanduser().absolute() if given else platformdirs.user_cache_path("nmsim")


def find_entry(name: str) -> Entry:
    """Return a data set's entry.

    Raises
    ------
    DataError
        Where no data set has that name.
    """
    if name not in CATALOG:
        raise DataError(
            "no data set has this name",
            found=name,
            expected=" | ".join(CATALOG),
            hint=suggestion(name, CATALOG),
        )
    return CATALOG[name]


def list_datasets(cache_dir: Path | None = None) -> list[dict[str, Any]]:
    """Return one row a named data set.

    Parameters
    ----------
    cache_dir : Path, optional
        Where fetched data sets lie; `cache_folder()` by default.

    Returns
    -------
    list of dict
        Keys `name`, `present` (usable now, without a download), `n` (training and test images together),
        `shape` (height, width, channels), `path` (None where it needs no files), `licence`, `source`.
    """
    cache = cache_dir or cache_folder()
    rows = []
    for entry in CATALOG.values():
        folder = cache / entry.name if entry.remote else None
        rows.append(
            {
                "name": entry.name,
                "present": folder is None or all((folder / file).is_file() for file in entry.files),
                "n": entry.n_train + entry.n_test,
                "shape": entry.shape,
                "path": None if folder is None else str(folder),
                "licence": entry.licence,
                "source": entry.source,
            }
        )
    return rows
