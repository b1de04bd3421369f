"""Downloading data sets: the only place that opens the network, and only when asked to.

Nothing is believed before its SHA-256 is checked: a download of another size is cut off, an archive is opened
after the check only, and out of it come the expected files with their expected sizes and nothing else. A
data set appears in the cache whole, by one rename.
"""

from __future__ import annotations

import hashlib
import http.client
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from nmsim._version import __version__
from nmsim.data.catalog import CATALOG, Entry, RemoteFile, cache_folder, find_entry
from nmsim.data.files import reading
from nmsim.errors import DataError
from nmsim.store import fs

_CHUNK = 1 << 18
_TIMEOUT_S = 30

#: Called as `progress(file, bytes so far, bytes in all)`.
Progress = Callable[[str, int, int], None]


def fetch(name: str, cache_dir: Path | None = None, progress: Progress | None = None) -> Path:
    """Return the folder of a data set in the cache, downloading it where it is not there.

    Files that were put into `<cache>/downloads/<name>/` by hand are taken instead of a download.

    Parameters
    ----------
    name : str
        "cifar10", "cifar100", "fashion-mnist" or "mnist".
    cache_dir : Path, optional
        `cache_folder()` by default.
    progress : callable, optional
        Called as `progress(file, bytes so far, bytes in all)`.

    Raises
    ------
    DataError
        Unknown name; no network; a download or a file put there by hand that is not the pinned one.
    StoreError
        Where the cache cannot be written to.
    """
    entry = find_entry(name)
    if not entry.remote:
        fetchable = [e.name for e in CATALOG.values() if e.remote]
        raise DataError(f"{name} needs no download", expected=" | ".join(fetchable), hint=f"Use it: {name}.")
    cache = cache_dir or cache_folder()
    folder = cache / name
    if all((folder / file).is_file() for file in entry.files):
        return folder
    by_hand = cache / "downloads" / name
    with fs.staged_dir(folder) as stage:
        for remote in entry.remote:
            given = by_hand / remote.name
            file = stage / remote.name
            if given.is_file():
                _check_given(remote, given)
                file = given
            else:
                _download(entry, remote, file, by_hand, progress)
            if entry.unpack:
                _unpack(file, stage, dict(entry.unpack))
                if file is not given:
                    fs.remove(file)
            elif file is given:
                with reading(given), open(given, "rb") as content:
                    fs.write_chunks(stage / remote.name, _chunks(content, given))
    return folder


def _download(entry: Entry, remote: RemoteFile, file: Path, by_hand: Path, progress: Progress | None) -> None:
    """Write `file` from the first of its addresses that gives the pinned content."""
    reasons = []
    for url in remote.urls:
        reason = _try(remote, url, file, progress)
        if reason is None:
            return
        reasons.append(f"{url}: {reason}")
    names = ", ".join(f.name for f in entry.remote)
    raise DataError(
        f"{remote.name} cannot be downloaded",
        found="; ".join(reasons),
        hint=f"Where there is no network, get {names} from {remote.urls[-1].removesuffix(remote.name)} on "
        f"another machine, put what you got into {by_hand} and fetch again; or set dataset.path to a folder "
        "of your own.",
    )


def _try(remote: RemoteFile, url: str, file: Path, progress: Progress | None) -> str | None:
    """Write `file` from one address; return why not, or None."""
    try:
        fs.write_chunks(file, _checked(remote, url, progress))
    except _NoDownloadError as error:
        return str(error)
    return None


class _NoDownloadError(Exception):
    """Why one address did not give the pinned file."""


def _checked(remote: RemoteFile, url: str, progress: Progress | None) -> Iterator[bytes]:
    """Give the bytes at `url`, and fail at the end, so that nothing is kept, where they are not as pinned."""
    digest, size = hashlib.sha256(), 0
    request = urllib.request.Request(url, headers={"User-Agent": f"nmsim/{__version__}"})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
            while chunk := response.read(_CHUNK):
                size += len(chunk)
                if size > remote.size_bytes:
                    raise _NoDownloadError(f"more than the expected {remote.size_bytes:,} bytes")
                digest.update(chunk)
                if progress:
                    progress(remote.name, size, remote.size_bytes)
                yield chunk
    except urllib.error.HTTPError as error:
        raise _NoDownloadError(f"the server says {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _NoDownloadError(getattr(error.reason, "strerror", None) or str(error.reason)) from error
    except (OSError, http.client.HTTPException) as error:
        raise _NoDownloadError(str(error) or type(error).__name__) from error
    if size < remote.size_bytes:
        raise _NoDownloadError(f"only {size:,} of {remote.size_bytes:,} bytes came")
    if digest.hexdigest() != remote.sha256:
        raise _NoDownloadError(f"SHA-256 {digest.hexdigest()[:16]}… is not the pinned {remote.sha256[:16]}…")


def _check_given(remote: RemoteFile, file: Path) -> None:
    digest = hashlib.sha256()
    with reading(file), open(file, "rb") as content:
        for chunk in _chunks(content, file):
            digest.update(chunk)
    if digest.hexdigest() != remote.sha256:
        raise DataError(
            "this is not the file that was expected",
            file=file,
            found=f"SHA-256 {digest.hexdigest()[:16]}…",
            expected=f"{remote.sha256[:16]}…",
            hint=f"Get {remote.urls[-1]} again, or remove the file.",
        )


def _chunks(content: IO[bytes], file: Path) -> Iterator[bytes]:
    """Give the rest of an open file; a reading error is not to be taken for a writing error."""
    with reading(file):
        while chunk := content.read(_CHUNK):
            yield chunk


def _unpack(archive: Path, folder: Path, wanted: dict[str, int]) -> None:
    """Take the wanted files, by base name and with their exact sizes, out of a checked tar archive."""
    # The paths in the archive are not used; Python's own filter is asked nevertheless, for its second look at
    # links, devices and modes. It came with 3.10.12, 3.11.4 and 3.12.
    safe = getattr(tarfile, "data_filter", lambda member, _: member)
    missing = dict(wanted)
    try:
        with reading(archive), tarfile.open(archive, "r:gz") as tar:
            for found in tar:
                member = safe(found, str(folder))
                name = Path(member.name).name
                if not member.isfile() or missing.get(name) != member.size:
                    continue
                content = tar.extractfile(member)
                assert content is not None, "an ordinary file has content"
                fs.write_chunks(folder / name, _chunks(content, archive))
                del missing[name]
    except (tarfile.TarError, ValueError) as error:  # ValueError: names that no file can have
        raise DataError("the archive is damaged or unsafe", file=archive, found=str(error)) from error
    if missing:
        raise DataError("the archive lacks files", file=archive, expected=", ".join(missing))
