"""Reading files that may be damaged, or written by somebody who means harm: any, JSON, and NumPy's.

Whatever a file holds, these functions return a value or raise `ValueError` with the reason, within the bytes
that they are allowed; errors of the operating system come through. Nothing is ever unpickled.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import stat
import warnings
import zipfile
from collections.abc import Collection
from gzip import GzipFile
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

#: Of a JSON file, and of all arrays of an archive; far above what nmsim writes.
JSON_BYTES, ARCHIVE_BYTES = 64 << 20, 8 << 30

_CHUNK = 1 << 20

#: What a shell's pipes are called, in `nmsim … <(…)` and `… | nmsim … /dev/stdin`.
_PIPES = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/")


def check_regular(path: Path | str) -> None:
    """Raise OSError unless `path` is a regular file, or a link to one: devices have no end, pipes may wait.

    For libraries that open a file by its name; all else is opened with `open_regular`.
    """
    _refuse_irregular(os.stat(path).st_mode)


def open_regular(path: Path | str, pipes: bool = False) -> IO[bytes]:
    """Return a regular file opened for reading, bytes.

    Parameters
    ----------
    path : Path or str
    pipes : bool
        Whether one of the shell's own pipes is taken too; who reads it sets a bound.

    Raises
    ------
    OSError
        Where it cannot be opened, or is a folder, a device, or a pipe that has a name.
    """
    piped = pipes and str(path).startswith(_PIPES)
    # Without waiting: the opening of a named pipe lasts until somebody writes to it.
    handle = os.open(path, os.O_RDONLY | (0 if piped else getattr(os, "O_NONBLOCK", 0)))
    try:
        mode = os.fstat(handle).st_mode
        if not (piped and stat.S_ISFIFO(mode)):
            _refuse_irregular(mode)
        return open(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def _refuse_irregular(mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "Not a regular file, but a device or a pipe")


def read_up_to(file: IO[bytes] | GzipFile, n_bytes: int) -> bytearray:
    """Return the next n bytes, or fewer at the end; memory grows with what comes, not with what is asked."""
    content = bytearray()
    while len(content) < n_bytes and (chunk := file.read(min(_CHUNK, n_bytes - len(content)))):
        content += chunk
    return content


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def read_json(path: Path) -> Any:
    """Return what a JSON file holds: finite numbers alone, as JSON has no others.

    Raises
    ------
    OSError, ValueError
        Where it cannot be read; where it is no JSON, of more than 64 MiB, or nested too deeply.
    """
    with open_regular(path) as file:
        content = read_up_to(file, JSON_BYTES + 1)
    if len(content) > JSON_BYTES:
        raise ValueError(f"more than {JSON_BYTES >> 20} MiB")
    return parse_json(content)


def parse_json(content: bytes | bytearray) -> Any:
    """Return what JSON text holds.

    Raises
    ------
    ValueError
        Where it is none, is nested too deeply, or holds NaN or an infinity.
    """
    try:
        return json.loads(content, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number of JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is beyond all numbers")
    return value


class Header(NamedTuple):
    """What the beginning of an `.npy` file says of its array."""

    shape: tuple[int, ...]
    by_column: bool
    dtype: np.dtype

    @property
    def n_bytes(self) -> int:
        """Return the size of the numbers."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(content: IO[bytes]) -> Header:
    """Return the header of an `.npy` file (NumPy Enhancement Proposal 1); its numbers come next.

    Raises
    ------
    ValueError
        Where it is none.
    """
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        version = np.lib.format.read_magic(content)
        if version not in readers:
            raise ValueError(f"format version {version[0]}.{version[1]}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python, about what stands in the header
            header = Header(*readers[version](content))
    except (OSError, MemoryError, zipfile.BadZipFile):
        raise
    except Exception as error:  # NumPy lets Python's parser read the header, and passes on what that says
        raise ValueError(str(error) or type(error).__name__) from error
    if any(length < 0 for length in header.shape):
        raise ValueError("a negative length")
    return header


def read_body(content: IO[bytes], header: Header) -> np.ndarray:
    """Return the array whose header has just been read; the caller has checked its size and kind.

    Raises
    ------
    ValueError
        Where there are more or fewer numbers than the header says, or they are no numbers.
    """
    if header.dtype.hasobject:
        raise ValueError("pickled objects")
    size = header.n_bytes
    numbers = read_up_to(content, size + 1)
    if len(numbers) != size:
        found = "more" if len(numbers) > size else f"{len(numbers):,}"
        raise ValueError(f"{found} bytes in place of {size:,}")
    array = np.frombuffer(numbers, header.dtype) if size else np.empty(math.prod(header.shape), header.dtype)
    return array.reshape(header.shape[::-1]).T if header.by_column else array.reshape(header.shape)


def read_npy(path: Path, limit_bytes: int = ARCHIVE_BYTES) -> np.ndarray:
    """Return the array of an `.npy` file.

    Raises
    ------
    OSError, ValueError
        Where it cannot be read; where it is damaged, pickled, or claims more than is allowed.
    """
    with open_regular(path) as content:
        return _within(content, limit_bytes)


def read_npz(
    path: Path, names: Collection[str] | None = None, limit_bytes: int = ARCHIVE_BYTES
) -> dict[str, np.ndarray]:
    """Return the arrays of an `.npz` file by name, all or those of `names` that are there.

    Raises
    ------
    OSError, ValueError
        Where it cannot be read; where it is damaged, pickled, or all of it is more than is allowed.
    """
    arrays: dict[str, np.ndarray] = {}
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                name = member.filename.removesuffix(".npy")
                if names is None or name in names:
                    with archive.open(member) as content:
                        arrays[name] = _within(content, limit_bytes)
                    limit_bytes -= arrays[name].nbytes
    except (OSError, MemoryError, ValueError):
        raise
    except Exception as error:  # zipfile, zlib and struct each have their own for a damaged file
        raise ValueError(str(error) or type(error).__name__) from error
    return arrays


def _within(content: IO[bytes], limit_bytes: int) -> np.ndarray:
    header = read_header(content)
    if header.n_bytes > limit_bytes:
        raise ValueError(f"an array of {header.n_bytes:,} bytes, where at most {limit_bytes:,} are read")
    return read_body(content, header)
