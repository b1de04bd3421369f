"""A folder of image files per class: `<class>/*.png`, or `train/<class>/*.png` and `test/<class>/*.png`.

Every image has to be of one size. Images are grey where all files are, else RGB; transparency is dropped.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nmsim.data.dataset import check_size
from nmsim.data.files import is_folder, list_folder
from nmsim.errors import DataError
from nmsim.store.reading import check_regular

if TYPE_CHECKING:
    from PIL.Image import Image

Part = tuple[np.ndarray, np.ndarray]

#: Far above any image that an edge board trains on; a small file that unpacks to more is an attack.
_MAX_PIXELS = 1 << 22
_GREY = ("1", "L", "LA")
_MODES = (*_GREY, "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")


def is_image_folder(folder: Path) -> bool:
    """Tell whether a folder holds folders, as one with class folders does."""
    return any(is_folder(entry) for entry in list_folder(folder))


def read_image_folder(folder: Path) -> tuple[Part, Part | None, tuple[str, ...]]:
    """Return the training part, the test part if there is one, and the names of the classes, sorted.

    Raises
    ------
    DataError
        Where a file is not an image, is damaged, too large or of another size than the first; where a class
        is empty or only in the test part.
    ResourceLimitError
        Where all images together would not fit.
    """
    names = {entry.name for entry in list_folder(folder) if is_folder(entry)}
    if "train" in names:
        roots = [folder / "train"] + ([folder / "test"] if "test" in names else [])
    else:
        roots = [folder]
    listed = [_list_classes(root) for root in roots]
    classes = tuple(listed[0])
    for root, files in zip(roots[1:], listed[1:], strict=True):
        unknown = sorted(set(files) - set(classes))
        if unknown:
            raise DataError(
                "a class has no training images",
                file=root / unknown[0],
                expected=f"one of {len(classes)} classes",
            )
    size, grey = _survey([file for files in listed for group in files.values() for file in group])
    parts = [_read(files, classes, size, grey) for files in listed]
    return parts[0], parts[1] if len(parts) > 1 else None, classes


def _list_classes(root: Path) -> dict[str, list[Path]]:
    """Return the files of each class folder below `root`, one level deep."""
    classes = {}
    for entry in list_folder(root):
        if not is_folder(entry):
            raise DataError("a file stands among the class folders", file=entry.path, hint="Move it away.")
        files = []
        for inner in list_folder(Path(entry.path)):
            if is_folder(inner):
                raise DataError(
                    "a folder stands among the images of a class",
                    file=inner.path,
                    expected="<class>/<image>, or train/<class>/<image> and test/<class>/<image>",
                )
            files.append(Path(inner.path))
        if not files:
            raise DataError(
                "a class folder is empty", file=entry.path, hint="Remove it, or put images there."
            )
        classes[entry.name] = files
    if not classes:
        raise DataError("there are no class folders", file=root)
    return classes


def _open(file: Path) -> Image:
    """Open an image without decoding it, and refuse what should not be decoded."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            check_regular(file)
            image = Image.open(file)
    except UnidentifiedImageError:
        raise DataError("this is not an image", file=file, hint="Move it away.") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DataError("the image is too large", file=file, found=str(error)) from None
    except (OSError, ValueError, SyntaxError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError("the image cannot be read", file=file, found=reason) from error
    width, height = image.size
    if width * height > _MAX_PIXELS:
        image.close()
        raise DataError(
            "the image is too large",
            file=file,
            found=f"{width}×{height}",
            expected=f"at most {_MAX_PIXELS:,} pixels",
        )
    if image.mode not in _MODES:
        mode = image.mode
        image.close()
        raise DataError(
            "pixels of this kind are not read",
            file=file,
            found=mode,
            expected="8 bits a channel, grey or colour",
        )
    return image


def _survey(files: list[Path]) -> tuple[tuple[int, int], bool]:
    """Return the size (width, height) that all images share, and whether all are grey, from their headers."""
    size, grey = (0, 0), True
    for file in files:
        with _open(file) as image:
            size = size if any(size) else image.size
            if image.size != size:
                raise DataError(
                    "images are not of one size",
                    file=file,
                    found="{}×{}".format(*image.size),
                    expected="{}×{} as in {}".format(*size, files[0]),
                    hint="Bring them to one size first.",
                )
            grey = grey and image.mode in _GREY
    check_size(len(files) * size[0] * size[1] * (1 if grey else 3), os.path.commonpath(files))
    return size, grey


def _read(classes: dict[str, list[Path]], names: tuple[str, ...], size: tuple[int, int], grey: bool) -> Part:
    n = sum(map(len, classes.values()))
    X = np.empty((n, size[1], size[0], 1 if grey else 3), np.uint8)
    y = np.empty(n, np.int64)
    i = 0
    for name, files in classes.items():
        for file in files:
            with _open(file) as image:
                try:
                    pixels = np.asarray(image.convert("L" if grey else "RGB"))
                except (OSError, ValueError, SyntaxError) as error:
                    raise DataError(
                        "the image is damaged", file=file, found=str(error), hint="Get it again."
                    ) from error
            if pixels.shape[:2] != X.shape[1:3]:
                raise DataError("the file changed while it was read", file=file)
            X[i] = pixels.reshape(X.shape[1:])
            y[i] = names.index(name)
            i += 1
    return X, y
