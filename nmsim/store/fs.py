"""The only place that writes files: stage beside, flush to disk, rename.

A reader sees the old content or the new, never a part: what is being written stands in a hidden neighbour,

    .<name>.<host>-<pid>-<random>.stage     not finished
    .<name>.<host>-<pid>-<random>.old       finished before, waiting for its successor's rename

which an exception removes. What a killed process leaves is cleared up by the next one that writes there: the
process number in the name and the lock on it (see `lock`) say that nobody is at work on it any more. A folder
is published with its parent locked, and is locked itself while it grows: there is one process at work on it.
"""

from __future__ import annotations

import ctypes
import errno
import glob
import json
import os
import platform
import re
import secrets
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from nmsim.errors import StoreError
from nmsim.store import lock, targets

NOTHING_CHANGED = "nothing was changed"
IN_PLACE = "it is in place, but may not outlast a power cut"

#: Tells machines that share a folder apart: a process number means something on its own host only.
_HOST = f"{zlib.crc32(platform.node().encode()):08x}"
_LEFTOVER = re.compile(r"\.(?P<name>.+)\.(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]{8}\.(?P<kind>stage|old)")

_HINTS = {
    errno.ENOSPC: "Free some space or choose another folder.",
    errno.EDQUOT: "Free some of your quota or choose another folder.",
    errno.EACCES: "Choose a folder that you may write to.",
    errno.EPERM: "Choose a folder that you may write to.",
    errno.EROFS: "The file system is read-only; choose another folder.",
    errno.ENOTDIR: "A part of the path is a file; choose another folder.",
    errno.EEXIST: "A part of the path is a file; choose another folder.",
    errno.EISDIR: "A folder of that name stands there; choose another name.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
    errno.EINVAL: "Choose the name of a file.",
    errno.ELOOP: "Its links lead in a circle; choose another folder.",
}


@contextmanager
def _as_store_error(path: Path, kept: str) -> Iterator[None]:
    """Turn an operating system's refusal to write `path` into one line for the user."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot write this: {error.strerror or error}; {kept}",
            file=path,
            hint=_HINTS.get(error.errno or 0),
        ) from error


def _hidden(path: Path, kind: str) -> Path:
    return path.with_name(f".{path.name}.{_HOST}-{os.getpid()}-{secrets.token_hex(4)}.{kind}")


def _absolute(path: Path | str) -> Path:
    """Return `path` without `..` or links to itself, so that it has a name and a parent."""
    return Path(os.path.abspath(path))


#: What systems and file systems say that cannot make names durable.
_CANNOT_FLUSH = {errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM, errno.EBADF, errno.EISDIR}


def _flush_folder(folder: Path) -> None:
    """Make the names in `folder` durable; file systems that cannot are left alone."""
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH:
            raise


def _discard(path: Path) -> None:
    """Remove a file or folder of ours; where that fails twice, it stays for the next process to clear."""
    for _ in range(2):
        with suppress(OSError):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
            return


@contextmanager
def staged_file(path: Path | str) -> Iterator[IO[bytes]]:
    """Open a binary file that appears under `path` only when the block ends well.

    Parameters
    ----------
    path : Path or str
        The file to make or to replace; missing parent folders are made. See `targets.target`.

    Raises
    ------
    StoreError
        Where the operating system refuses, something else than a file stands there, or a run rests on it; a
        file that stood there is unchanged.
    """
    with _as_store_error(_absolute(path), NOTHING_CHANGED):
        path, mode = targets.target(path)
    stage = _hidden(path, "stage")
    with _as_store_error(path, NOTHING_CHANGED):
        path.parent.mkdir(parents=True, exist_ok=True)
        clear_leftovers(path.parent)
        try:
            with open(stage, "xb") as file:
                yield file
                file.flush()
                if mode is not None and hasattr(os, "fchmod"):
                    os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            os.replace(stage, path)
        except BaseException:
            _discard(stage)
            raise
    with _as_store_error(path, IN_PLACE):
        _flush_folder(path.parent)


def check_output(path: Path | str, inputs: Iterable[Path | str] = ()) -> None:
    """Refuse early what `staged_file` would refuse, and an output that is one of its own inputs.

    Raises
    ------
    StoreError
    """
    with _as_store_error(_absolute(path), NOTHING_CHANGED):
        targets.target(path)
    targets.refuse_inputs(path, inputs)


def remove(path: Path | str) -> None:
    """Remove a file, if it is there.

    Raises
    ------
    StoreError
        Where the operating system refuses.
    """
    with _as_store_error(Path(path), NOTHING_CHANGED):
        Path(path).unlink(missing_ok=True)


def write_chunks(path: Path | str, chunks: Iterable[bytes]) -> None:
    """Write a file from its pieces; see `staged_file` for what happens when a piece fails to come."""
    with staged_file(path) as file:
        for chunk in chunks:
            file.write(chunk)


def write_bytes(path: Path | str, data: bytes) -> None:
    """Write a whole file."""
    write_chunks(path, (data,))


def write_text(path: Path | str, text: str) -> None:
    """Write a whole text file in UTF-8, lines ending as they are given."""
    write_bytes(path, text.encode())


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON; NaN and infinity are refused, for JSON has neither.

    Raises
    ------
    ValueError, TypeError
        Where `value` cannot be said in JSON.
    """
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_npy(path: Path | str, array: np.ndarray) -> None:
    """Write an array of numbers in NumPy's `.npy` format, never pickled."""
    with staged_file(path) as file:
        np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)


def write_npz(path: Path | str, compressed: bool = True, **arrays: np.ndarray) -> None:
    """Write arrays of numbers under their names in NumPy's `.npz` format."""
    if any(np.asanyarray(array).dtype.hasobject for array in arrays.values()):
        raise ValueError("arrays of objects would be pickled")
    with staged_file(path) as file:
        save: Callable[..., None] = np.savez_compressed if compressed else np.savez
        save(file, **arrays)


def empty(folder: Path | str) -> None:
    """Remove what a folder that is being made holds.

    Raises
    ------
    StoreError
        Where the operating system refuses.
    """
    with _as_store_error(Path(folder), NOTHING_CHANGED):
        for entry in Path(folder).iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


@contextmanager
def staged_dir(final: Path | str) -> Iterator[Path]:
    """Give an empty folder that becomes `final`, with everything in it, when the block ends well.

    An exception, an interrupt included, removes it and leaves `final` as it was. A finished folder that
    stood there is replaced as a whole. Folders of different names can be made side by side, by any number of
    processes; of one name there is one at a time.

    Parameters
    ----------
    final : Path or str
        The folder to make or to replace.

    Yields
    ------
    Path
        Where to write meanwhile: a hidden neighbour, on the same file system.

    Raises
    ------
    StoreError
        Where the operating system refuses, or another process is making the same folder.
    """
    final = _absolute(final)
    stage, handle = _hidden(final, "stage"), None
    with _as_store_error(final, NOTHING_CHANGED):
        final.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _as_store_error(final, NOTHING_CHANGED), lock.locked(final.parent):
            clear_leftovers(final.parent)
            _refuse_rival(final)
            stage.mkdir()
            handle = lock.hold(stage)
        yield stage
        with _as_store_error(final, NOTHING_CHANGED), lock.locked(final.parent):
            for folder, _, _ in os.walk(stage):
                _flush_folder(Path(folder))
            old = _exchange(stage, final)
    except BaseException as error:
        _discard(stage)
        if isinstance(error, StoreError):
            _name_as_seen(error, stage, final)
        raise
    finally:
        lock.release(handle)
    with _as_store_error(final, IN_PLACE):
        try:
            _flush_folder(final.parent)
        finally:
            _discard(old)


def _name_as_seen(error: StoreError, stage: Path, final: Path) -> None:
    """Make an error about a file in a staged folder name it as the user knows it: it comes to nothing."""
    file = Path(error.file or "")
    if file.is_relative_to(stage):
        error.file = final / file.relative_to(stage)
        error.message = error.message.replace(IN_PLACE, NOTHING_CHANGED)


def _refuse_rival(final: Path) -> None:
    for entry in final.parent.glob(f".{glob.escape(final.name)}.*.stage"):
        match = _LEFTOVER.fullmatch(entry.name)
        if match and match["name"] == final.name and lock.is_held(entry):
            raise StoreError(
                f"another process is at work on this already (number {match['pid']})",
                file=final,
                hint="Wait for it, or choose another folder or name.",
            )


def _exchange(stage: Path, final: Path) -> Path:
    """Rename `stage` to `final`; return the name of what stood there, to be removed.

    Where the system cannot do that in one step, what stands there steps aside first and comes back if the
    second step fails; if there is none, because the process was killed, `clear_leftovers` brings it back.
    """
    if not final.is_dir() or final.is_symlink():
        os.rename(stage, final)
        return stage
    if _swap(stage, final):
        return stage
    aside = _hidden(final, "old")
    os.rename(final, aside)
    try:
        os.rename(stage, final)
    except BaseException:
        os.rename(aside, final)
        raise
    return aside


def _swap(one: Path, other: Path) -> bool:
    """Exchange two names at once, as Linux can (renameat2(2)); False where the system cannot."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE of <fcntl.h> and <linux/fs.h>
    if renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), str(other))


def _alive(pid: int) -> bool:
    if os.name != "posix":  # elsewhere signal 0 is a real signal; better to keep a leftover
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def clear_leftovers(folder: Path) -> None:
    """Remove what killed processes of this machine left in `folder`; bring back what they had set aside."""
    for entry in sorted(os.listdir(folder)):
        match = _LEFTOVER.fullmatch(entry)
        if not match or match["host"] != _HOST or _alive(int(match["pid"])):
            continue
        leftover, final = folder / entry, folder / match["name"]
        if lock.is_held(leftover):  # by a process that counts otherwise: of another container
            continue
        with suppress(OSError):  # another process may be clearing up as well
            if match["kind"] == "old" and not final.exists():
                os.rename(leftover, final)
            else:
                _discard(leftover)


def ensure_writable(folder: Path | str) -> Path:
    """Make `folder` if need be and prove that a file can be written there; return its absolute path.

    Raises
    ------
    StoreError
        Where it cannot: better before a run than after it.
    """
    folder = _absolute(folder)
    with _as_store_error(folder, "nothing was run"):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"nmsim")
            file.flush()
    return folder
