"""What each worker that a sweep starts on this machine does first (dask's `preload`)."""

from __future__ import annotations

import signal
from typing import Any


def dask_setup(worker: Any) -> None:
    """Leave Ctrl-C, which a terminal sends to all of a command's processes, to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
