"""Text files read in chunks of whole lines, gzipped or not, in constant memory."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import cast

from nmsim.errors import TraceFormatError
from nmsim.store.reading import open_regular

#: Text that is read at a time, and the longest line.
CHUNK_BYTES = 1 << 20


def whole_lines(path: Path) -> Iterator[tuple[bytearray, int]]:
    """Yield (buffer, bytes of it that are whole lines); the buffer is the same every time.

    Raises
    ------
    TraceFormatError
        Where the file cannot be read, or a line is longer than `CHUNK_BYTES`.
    """
    text, filled = bytearray(CHUNK_BYTES), 0
    with _opened(path) as file:
        while True:
            with _reading(path):
                got = file.readinto(memoryview(text)[filled:-1])
            filled += got
            if not got and filled:
                text[filled] = ord("\n")  # the last line may lack its end
                filled += 1
            size = text.rfind(b"\n", 0, filled) + 1
            if size:
                yield text, size
                text[: filled - size] = text[size:filled]
                filled -= size
            elif filled >= CHUNK_BYTES - 1:
                raise TraceFormatError(
                    f"a line is longer than {CHUNK_BYTES} bytes: this is no trace of lines", file=path
                )
            if not got:
                return


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader | gzip.GzipFile]:
    with _reading(path):
        file = cast(BufferedReader, open_regular(path))
    with file:
        with _reading(path):
            magic = file.read(2)
            file.seek(0)
        if magic == b"\x1f\x8b":
            with gzip.open(file) as unpacked:
                yield unpacked
        else:
            yield file


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn a refusal to read into one line for the user."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise TraceFormatError(
            "the gzip stream is truncated or damaged", file=path, found=str(error), hint="Fetch it again."
        ) from error
    except OSError as error:
        raise TraceFormatError(f"cannot read this: {error.strerror or error}", file=path) from error
