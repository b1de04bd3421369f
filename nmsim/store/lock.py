"""Advisory locks on folders and files themselves: there is no lock file to be left behind.

The system releases a lock when the process that holds it ends, however it ends (flock(2)). Where it or the
file system knows no such locks, everything goes on as if nobody else were there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nmsim.errors import StoreError

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

#: How long to wait for a folder. Whoever has it creates, removes or renames something, and lets go.
PATIENCE_S = 30.0
_PAUSE_S = 0.02


def hold(path: Path) -> int | None:
    """Lock a file or folder until `release` or this process's end; None where that cannot be.

    Returns
    -------
    int or None
        What `release` takes. None: another holds it, or there are no locks here; `is_held` tells which.
    """
    if fcntl is None:
        return None
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held, or the file system has no locks
        os.close(handle)
        return None
    except BaseException:
        os.close(handle)
        raise
    return handle


def release(handle: int | None) -> None:
    """Let go of what `hold` gave."""
    if handle is not None:
        os.close(handle)


def is_held(path: Path) -> bool:
    """Return whether somebody holds the lock of a file or folder, this process included."""
    if fcntl is None:
        return False
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


@contextmanager
def locked(folder: Path, patience_s: float = PATIENCE_S) -> Iterator[None]:
    """Hold a folder's lock during the block, after waiting for others that have it.

    Raises
    ------
    StoreError
        Where it is not to be had in time.
    """
    until = time.monotonic() + patience_s
    while (handle := hold(folder)) is None and is_held(folder):
        if time.monotonic() > until:
            raise StoreError(
                f"another process has had this folder locked for {patience_s:.0f} s",
                file=folder,
                hint="Look for one that was stopped, or choose another folder.",
            )
        time.sleep(_PAUSE_S)
    try:
        yield
    finally:
        release(handle)


@contextmanager
def sole(folder: Path) -> Iterator[None]:
    """Be the only process that works in a folder during the block.

    Nothing else may lock the folder meanwhile: no run's folder can be made in it.

    Raises
    ------
    StoreError
        Where another process is.
    """
    handle = hold(folder)
    if handle is None and is_held(folder):
        raise StoreError(
            "another process is at work in this folder", file=folder, hint="Wait for it, or choose another."
        )
    try:
        yield
    finally:
        release(handle)
