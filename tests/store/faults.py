"""Makes the n-th file operation fail, whoever does it: by Python's audit hooks, and below open files.

Counted are opening for writing, making, renaming, removing and listing below a folder, and of files that
nmsim stages, every write and every flush to disk. Reading is left alone.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nmsim.store import fs

#: Audit events of Python (the library's table "Audit events") by how many of their arguments are paths.
EVENTS = {"os.rename": 2, "os.mkdir": 1, "os.remove": 1, "os.rmdir": 1, "os.truncate": 1, "os.link": 2,
          "os.symlink": 2, "os.listdir": 1}  # fmt: skip


@dataclass
class Faults:
    """What is to fail, and what was done.

    Attributes
    ----------
    below : Path
        Only operations on names below this folder count.
    fail_at : int
        The first operation that fails, counted from 1; 0: none does.
    code : int
        What the system then says, of `errno`.
    short : bool
        Whether a write that fails has written half of its bytes.
    lasting : bool
        Whether all later operations fail as well.
    kill : bool
        Whether this process is killed in place of the operation.
    done : list of str
        Operations in order.
    """

    below: Path
    fail_at: int = 0
    code: int = errno.ENOSPC
    short: bool = False
    lasting: bool = False
    kill: bool = False
    done: list[str] = field(default_factory=list)

    def happens(self, operation: str, path: object) -> bool:
        """Count an operation; return whether it is to fail."""
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        path = os.path.abspath(os.fsdecode(path))
        if not path.startswith(str(self.below)):
            return False
        self.done.append(f"{operation} {os.path.relpath(path, self.below)}")
        number = len(self.done)
        if self.kill and number == self.fail_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return bool(self.fail_at) and (number >= self.fail_at if self.lasting else number == self.fail_at)

    def meet(self, operation: str, path: object) -> None:
        """Count an operation; raise OSError if it is to fail."""
        if self.happens(operation, path):
            raise OSError(self.code, os.strerror(self.code), str(path))


_active: list[Faults] = []


def _hook(event: str, arguments: tuple) -> None:
    if not _active:
        return
    if event == "open":
        path, mode, flags = arguments
        writes = mode is not None and any(letter in mode for letter in "wax+")
        if writes or (mode is None and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
            _active[-1].meet("open", path)
    elif event in EVENTS:
        for path in arguments[: EVENTS[event]]:
            _active[-1].meet(event, path)


sys.addaudithook(_hook)  # for good: there is no way to take one back; without `_active` it does nothing


class _Raw(io.FileIO):
    """A file whose writes count, and can be cut off in their middle."""

    def __init__(self, path: Path, mode: str, faults: Faults):
        super().__init__(path, mode)
        self._faults = faults

    def write(self, data: bytes) -> int:
        if self._faults.happens("write", self.name):
            if self._faults.short:
                super().write(memoryview(data)[: len(data) // 2])
            raise OSError(self._faults.code, os.strerror(self._faults.code))
        return super().write(data)


@contextmanager
def faults(below: Path, fail_at: int = 0, **how: object) -> Iterator[Faults]:
    """Let operations below a folder fail as told while the block runs; yields what happens."""
    told = Faults(Path(below), fail_at, **how)
    real_fsync, real_swap = os.fsync, fs._swap

    def open_counting(path: Path, mode: str) -> io.BufferedWriter:
        return io.BufferedWriter(_Raw(path, mode.replace("b", ""), told))

    def fsync(handle: int) -> None:
        told.meet(
            "fsync", os.readlink(f"/proc/self/fd/{handle}")
        )  # and no more: it is slow, and shows nothing

    def swap(one: Path, other: Path) -> bool:
        told.meet("swap", other)
        return real_swap(one, other)

    fs.open, os.fsync, fs._swap = open_counting, fsync, swap
    _active.append(told)
    try:
        yield told
    finally:
        _active.remove(told)
        os.fsync, fs._swap = real_fsync, real_swap
        del fs.open
