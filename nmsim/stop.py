"""Requests to stop (Ctrl-C, SIGTERM): long work asks at its borders whether one has come.

Within `at_borders` the first request is only noted, and `check` raises `Interrupted` where work can be left
off: after a batch of a training, an iteration of a map, a board. The second ends the process at once, as
`kill -9` would; so nothing may be half-written at any time, whatever is written (see `nmsim.store.fs`).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_NOTICE = b"\nnmsim: stopping at the next border; once more ends at once\n"

_asked = threading.Event()
_listening = False


class Interrupted(KeyboardInterrupt):
    """The work was left off where it could be, because somebody asked for it."""


def check() -> None:
    """Raise Interrupted if a request to stop has come; cheap, and for any thread."""
    if _asked.is_set():
        raise Interrupted


@contextmanager
def at_borders() -> Iterator[None]:
    """Note requests to stop during the block, in place of raising KeyboardInterrupt anywhere in it.

    Taken over are signals that would raise KeyboardInterrupt; a program's own handlers stay. Outside the main
    thread, and within another such block, it does nothing.

    Raises
    ------
    Interrupted
        At the end, where a request came after the last `check`.
    """
    global _listening
    if _listening or threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = [number for number in _SIGNALS if signal.getsignal(number) is signal.default_int_handler]
    for number in ours:
        signal.signal(number, _note)
    _listening = True
    try:
        yield
        check()
    finally:
        _listening = False
        _asked.clear()
        for number in ours:
            signal.signal(number, signal.default_int_handler)


def _note(number: int, frame: FrameType | None) -> None:
    for each in _SIGNALS:
        if signal.getsignal(each) is _note:
            signal.signal(each, signal.SIG_DFL)  # also in the middle of a kernel, where Python cannot act
    _asked.set()
    if sys.stderr is not None and sys.stderr.isatty():
        os.write(2, _NOTICE)
