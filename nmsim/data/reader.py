"""Opening a data set by name or by path, whatever its format."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, Protocol, TypedDict

import numpy as np

from nmsim.data import glyphs
from nmsim.data.catalog import CATALOG, cache_folder, find_entry
from nmsim.data.cifar import find_cifar, read_cifar_folder
from nmsim.data.dataset import Dataset, make_dataset, sha256_of
from nmsim.data.digits import read_digits
from nmsim.data.idx import find_idx, read_idx_folder
from nmsim.data.images import is_image_folder, read_image_folder
from nmsim.data.npz import read_npz
from nmsim.data.synthetic import make_synthetic
from nmsim.errors import DataError, StoreError
from nmsim.store import fs
from nmsim.store.reading import read_json, read_npy

log = logging.getLogger(__name__)

_FORMATS = "IDX files, CIFAR .bin files, a .npz file, or a folder of images per class"
_BY_NAME = "nmsim data list shows those that can be had by name."
#: Folders that the archives of CIFAR unpack to; a path to their parent is understood.
_INNER = ("cifar-10-batches-bin", "cifar-100-binary")


class _Asked(TypedDict):
    n_train: int | None
    n_test: int | None
    hold_out: bool


class _Glyphs(Protocol):
    @property
    def n_train(self) -> int: ...

    @property
    def n_test(self) -> int: ...


class _Synthetic(_Glyphs, Protocol):
    @property
    def height(self) -> int: ...

    @property
    def width(self) -> int: ...

    @property
    def channels(self) -> int: ...

    @property
    def n_classes(self) -> int: ...


class DatasetSpec(Protocol):
    """The part of a configuration that names a data set: `path`, else `synthetic`, else `name`."""

    @property
    def name(self) -> str: ...

    @property
    def path(self) -> str | None: ...

    @property
    def glyphs(self) -> _Glyphs: ...

    @property
    def synthetic(self) -> _Synthetic | None: ...


def load(spec: DatasetSpec) -> Dataset:
    """Return the data set that a configuration names.

    It does not depend on the seed of the run: the seed changes what is done with the data, not the data.

    Raises
    ------
    DataError, ResourceLimitError
        See `open_dataset`.
    """
    if spec.path is not None:
        return open_dataset(path=Path(spec.path))
    if spec.synthetic is not None:
        asked = spec.synthetic
        shape = asked.height, asked.width, asked.channels
        return make_synthetic(asked.n_train, asked.n_test, shape, asked.n_classes)
    if spec.name == "glyphs":
        return open_dataset("glyphs", n_train=spec.glyphs.n_train, n_test=spec.glyphs.n_test)
    return open_dataset(spec.name)


def open_dataset(
    name: str | None = None,
    path: Path | str | None = None,
    seed: int = 0,
    n_train: int | None = None,
    n_test: int | None = None,
    cache_dir: Path | None = None,
    hold_out: bool = True,
) -> Dataset:
    """Return a data set by its name or from a path.

    Parameters
    ----------
    name : str, optional
        A name of `list_datasets`. Nothing is downloaded: see `fetch`.
    path : Path or str, optional
        A folder with IDX files, with CIFAR's .bin files or with a folder of images per class; or a .npz
        file. Wins over `name`.
    seed : int
        Of the generator, of a split where the data has none, and of the choice that `n_train` and `n_test`
        make. A study of a method keeps the data: leave it 0.
    n_train, n_test : int, optional
        How many images: for glyphs to make, otherwise to keep, stratified.
    cache_dir : Path, optional
        `cache_folder()` by default.
    hold_out : bool
        Whether a fifth of the images becomes the test part where the data has none; otherwise that part
        is empty then.

    Raises
    ------
    DataError
        Unknown name, data set not fetched, no known format, damaged files, unusable content.
    ResourceLimitError
        Where the data would not fit.
    """
    asked = _Asked(n_train=n_train, n_test=n_test, hold_out=hold_out)
    if any(n is not None and n < 1 for n in (n_train, n_test)):
        raise DataError("each part needs images", found=f"{n_train} and {n_test}", expected="at least 1 each")
    if path is not None:
        return _open_path(Path(path).expanduser(), seed, asked)
    if name is None:
        raise DataError("a data set needs a name or a path", hint=f"Names: {', '.join(CATALOG)}.")
    entry = find_entry(name)
    if name == "glyphs":
        n_train, n_test = n_train or entry.n_train, n_test or entry.n_test
        return _open_glyphs(n_train, n_test, seed, cache_dir or cache_folder())
    if name == "digits":
        return make_dataset("digits", read_digits(), None, glyphs.CLASS_NAMES, seed=seed, **asked)
    folder = (cache_dir or cache_folder()) / name
    if not all((folder / file).is_file() for file in entry.files):
        raise DataError(
            f"{name} has not been fetched",
            file=folder,
            hint=f"Run `nmsim data fetch {name}`, or set dataset.path to a folder of your own.",
        )
    return _open_folder(folder, seed, asked, name=name, class_names=entry.class_names)


def _open_path(path: Path, seed: int, asked: _Asked) -> Dataset:
    if not os.path.lexists(path):
        raise DataError("there is no such file or folder", file=path, expected=_FORMATS, hint=_BY_NAME)
    if path.is_dir():
        return _open_folder(path, seed, asked)
    if path.suffix.lower() == ".npz":
        train, test = read_npz(path)
        return make_dataset(path.stem, train, test, file=path, seed=seed, **asked)
    raise DataError(
        "this is no data set of a known format", file=path, found=path.suffix or "a file", expected=_FORMATS
    )


def _open_folder(
    folder: Path,
    seed: int,
    asked: _Asked,
    name: str | None = None,
    class_names: tuple[str, ...] | None = None,
) -> Dataset:
    name = name or folder.absolute().name or "data"
    if find_idx(folder):
        train, test = read_idx_folder(folder)
        return make_dataset(name, train, test, class_names, file=folder, seed=seed, **asked)
    for place in (folder, *(folder / inner for inner in _INNER)):
        if place.is_dir() and find_cifar(place):
            _, train, test, class_names = read_cifar_folder(place)
            return make_dataset(name, train, test, class_names, file=place, seed=seed, **asked)
    if is_image_folder(folder):
        train, test, class_names = read_image_folder(folder)
        return make_dataset(name, train, test, class_names, file=folder, seed=seed, **asked)
    raise DataError("no data set of a known format is here", file=folder, expected=_FORMATS, hint=_BY_NAME)


def _open_glyphs(n_train: int, n_test: int, seed: int, cache: Path) -> Dataset:
    """Return the glyphs from the cache, or made anew where they are not there or are damaged."""
    folder = cache / "glyphs" / f"v{glyphs.VERSION}-{seed}-{n_train}-{n_test}"
    parts = _read_glyphs(folder)
    if parts is None:
        X, y = glyphs.generate(n_train, split="train", seed=seed)
        X_test, y_test = glyphs.generate(n_test, split="test", seed=seed)
        parts = {"X_train": X, "y_train": y, "X_test": X_test, "y_test": y_test}
        try:
            with fs.staged_dir(folder) as stage:
                for key, array in parts.items():
                    fs.write_npy(stage / f"{key}.npy", array)
                fs.write_json(stage / "sha256.json", sha256_of(**parts))
        except StoreError as error:  # the cache only saves time
            log.warning("the glyphs are not kept: %s", error)
    train, test = (parts["X_train"], parts["y_train"]), (parts["X_test"], parts["y_test"])
    return make_dataset("glyphs", train, test, glyphs.CLASS_NAMES, file="glyphs")


def _read_glyphs(folder: Path) -> dict[str, np.ndarray] | None:
    if not folder.is_dir():
        return None
    try:
        parts = {key: read_npy(folder / f"{key}.npy") for key in ("X_train", "y_train", "X_test", "y_test")}
        if sha256_of(**parts) == read_json(folder / "sha256.json"):
            return parts
    except (OSError, ValueError):
        pass
    log.warning("%s is damaged; its images are made anew", folder)
    return None


def check(what: Path | str, cache_dir: Path | None = None) -> dict[str, Any]:
    """Return what a data set holds, after reading all of it.

    Parameters
    ----------
    what : Path or str
        A name of `list_datasets`, or a path.
    cache_dir : Path, optional
        `cache_folder()` by default.

    Returns
    -------
    dict
        JSON's types only: `name`, `n_train`, `n_test`, `shape`, `image_bytes`, `classes`, `train_per_class`,
        `test_per_class` (class name to count), `split`, `sha256`.

    Raises
    ------
    DataError, ResourceLimitError
        Where it cannot be used.
    """
    if isinstance(what, str) and what in CATALOG:
        dataset = open_dataset(what, cache_dir=cache_dir)
    else:
        dataset = open_dataset(path=what, cache_dir=cache_dir)
    per_class = {
        f"{part}_per_class": dict(
            zip(dataset.class_names, np.bincount(y, minlength=dataset.n_classes).tolist(), strict=True)
        )
        for part, y in (("train", dataset.y_train), ("test", dataset.y_test))
    }
    return {
        "name": dataset.name,
        "n_train": len(dataset.y_train),
        "n_test": len(dataset.y_test),
        "shape": list(dataset.image_shape),
        "image_bytes": dataset.image_bytes,
        "classes": dataset.n_classes,
        **per_class,
        "split": dataset.split,
        "sha256": dataset.sha256,
    }
