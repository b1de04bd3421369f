"""IDX, the format of MNIST and its successors.

A file is a big-endian header, `00 00 <type> <rank>` and one 32-bit length per axis, then the numbers (LeCun,
Cortes, Burges: The MNIST database, "The IDX file format"). Images are unsigned bytes (type 08) of rank 3 or,
with channels last, 4; labels are unsigned bytes of rank 1. Files may be compressed by gzip.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np

from nmsim.data.dataset import check_size
from nmsim.data.files import list_folder, open_maybe_gzip
from nmsim.errors import DataError
from nmsim.store.reading import read_up_to

_UNSIGNED_BYTE = 0x08
_FILE = re.compile(
    r"(?:.*[-_.])?(?P<part>train|t10k|test)[-_.](?P<kind>images|labels)[-_.]idx[134]-ubyte(?:\.gz)?"
)

Part = tuple[np.ndarray, np.ndarray]


def read_idx(file: Path, ranks: tuple[int, ...]) -> np.ndarray:
    """Return the array of unsigned bytes in an IDX file.

    Parameters
    ----------
    file : Path
        Plain or compressed by gzip, whatever its name.
    ranks : tuple of int
        The numbers of axes that are right here.

    Raises
    ------
    DataError
        Wrong magic, a size that is not the header's, or an unreadable file.
    ResourceLimitError
        Where the header claims more than fits.
    """
    with open_maybe_gzip(file) as content:
        magic = bytes(read_up_to(content, 4))
        if len(magic) < 4 or magic[:3] != bytes((0, 0, _UNSIGNED_BYTE)) or magic[3] not in ranks:
            right = " or ".join(f"{_UNSIGNED_BYTE:06x}{rank:02x}" for rank in ranks)
            raise DataError(
                "this is not an IDX file of the right kind",
                file=file,
                found=f"first bytes {magic.hex()}" if magic else "nothing",
                expected=right,
                hint="Get it again, or give the folder of another format.",
            )
        rank = magic[3]
        lengths = read_up_to(content, 4 * rank)
        if len(lengths) < 4 * rank:
            raise DataError("the header is cut short", file=file, hint="Get it again.")
        shape = struct.unpack(f">{rank}I", lengths)
        size = int(np.prod(shape, dtype=object))
        check_size(size, file)
        numbers = read_up_to(content, size + 1)
    if len(numbers) != size:
        raise DataError(
            "the file does not hold what its header says",
            file=file,
            found="more bytes" if len(numbers) > size else f"{len(numbers):,} bytes",
            expected=f"{size:,} bytes for {'×'.join(map(str, shape))}",
            hint="Get it again.",
        )
    return np.frombuffer(numbers, np.uint8).reshape(shape)


def find_idx(folder: Path) -> dict[tuple[str, str], Path]:
    """Return the IDX files of a folder by part ("train", "test") and kind ("images", "labels").

    `t10k` counts as "test"; where a file is there plain and compressed, the plain one is taken.
    """
    found: dict[tuple[str, str], Path] = {}
    for entry in list_folder(folder):
        match = _FILE.fullmatch(entry.name)
        if match:
            part = "train" if match["part"] == "train" else "test"
            found.setdefault((part, match["kind"]), Path(entry.path))
    return found


def read_idx_folder(folder: Path) -> tuple[Part, Part | None]:
    """Return the training part and, where there is one, the test part of a folder of IDX files.

    Raises
    ------
    DataError
        Where images lack their labels or a file is damaged.
    """
    files = find_idx(folder)
    parts: dict[str, Part] = {}
    for part in ("train", "test"):
        of_images, of_labels = (files.get((part, kind)) for kind in ("images", "labels"))
        if part == "test" and of_images is None and of_labels is None:
            continue
        if of_images is None or of_labels is None:
            missing = "images" if of_images is None else "labels"
            raise DataError(
                f"the {part} {missing} are missing",
                file=folder,
                expected=f"a file like {part}-{missing}-idx{'3' if missing == 'images' else '1'}-ubyte.gz",
            )
        images, labels = read_idx(of_images, (3, 4)), read_idx(of_labels, (1,))
        if len(images) != len(labels):
            raise DataError(
                f"the {part} part has not one label an image",
                file=of_labels,
                found=f"{len(labels):,} labels",
                expected=f"{len(images):,}, as {of_images.name} has images",
            )
        parts[part] = images, labels
    return parts["train"], parts.get("test")
