"""Reading files for the readers: an operating system's refusal becomes one line for the user."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from nmsim.errors import DataError
from nmsim.store.reading import open_regular


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Turn whatever can go wrong while `file` is read into a `DataError` that names it."""
    try:
        yield
    except FileNotFoundError:
        raise DataError("there is no such file", file=file) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            "the compressed file is damaged or cut short", file=file, found=str(error), hint="Get it again."
        ) from error
    except OSError as error:
        raise DataError("this cannot be read", file=file, found=error.strerror or str(error)) from error


@contextmanager
def open_maybe_gzip(file: Path) -> Iterator[IO[bytes] | gzip.GzipFile]:
    """Open a file for reading, unpacking it where its first two bytes are gzip's (RFC 1952)."""
    with reading(file), open_regular(file) as raw:
        if raw.read(2) == b"\x1f\x8b":
            raw.seek(0)
            with gzip.open(raw, "rb") as unpacked:
                yield unpacked
        else:
            raw.seek(0)
            yield raw


def list_folder(folder: Path) -> list[os.DirEntry[str]]:
    """Return a folder's entries by name, hidden files and those of file managers left out."""
    with reading(folder), os.scandir(folder) as entries:
        shown = [
            e for e in entries if not e.name.startswith(".") and e.name not in ("Thumbs.db", "desktop.ini")
        ]
    return sorted(shown, key=lambda entry: entry.name)


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Tell whether an entry is a folder, or leads to one; links that lead in a circle are an error."""
    with reading(Path(entry.path)):
        return entry.is_dir()
