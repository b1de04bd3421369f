"""Provenance: everything that one must know to get a run's numbers again."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shlex
import sys
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import nmsim
from nmsim._version import git_revision
from nmsim.errors import NoRunError, StoreError
from nmsim.store.reading import read_json

MANIFEST = "manifest.json"
#: What a run, or a point of a sweep, ran with; a configuration like any other.
RESOLVED_CONFIG = "config.resolved.yaml"
#: Raised when a key changes its meaning.
MANIFEST_VERSION = 1
#: Whether a run came to its end.
COMPLETE, INTERRUPTED = "complete", "interrupted"

#: What the numbers can depend on.
_PACKAGES = (
    "simpy", "numpy", "numba", "llvmlite", "pandas", "matplotlib", "pyyaml", "pydantic", "pyarrow",
    "scikit-learn", "scipy", "pillow",
)  # fmt: skip


def config_hash(resolved: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a resolved configuration, as 64 hexadecimal digits.

    Parameters
    ----------
    resolved : mapping
        JSON's types only. The order of its keys does not matter.
    """
    text = json.dumps(resolved, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def now() -> datetime:
    """Return the time in UTC, to the second."""
    return datetime.now(timezone.utc).replace(microsecond=0)


def _iso(time: datetime) -> str:
    return time.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _package_version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"


def cpu_model() -> str:
    """Return the processor's name as the operating system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.lower().startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def peak_memory_bytes() -> int | None:
    """Return the most memory that this process has held at a time; None where the system does not say."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # getrusage(2): kilobytes, but bytes on macOS


def build_manifest(
    *,
    config: Mapping[str, Any],
    seeds: Sequence[int],
    dataset_sha256: str,
    threads: int,
    started: datetime,
    status: str = COMPLETE,
) -> dict[str, Any]:
    """Return a run's manifest, ready for JSON; call it last, for it also notes the time and the memory.

    Parameters
    ----------
    config : mapping
        The resolved configuration, JSON's types only.
    seeds : sequence of int
        Every seed of the run.
    dataset_sha256 : str
        `Dataset.sha256`.
    threads : int
        Threads that the kernels used.
    started : datetime
        When the run began, with its time zone: `now()`.
    status : {"complete", "interrupted"}
        Whether the run came to its end.
    """
    return {
        "manifest_version": MANIFEST_VERSION,
        "status": status,
        "nmsim_version": nmsim.__version__,
        "git_revision": git_revision(),
        "config_sha256": config_hash(config),
        "dataset_sha256": dataset_sha256,
        "seeds": [int(seed) for seed in seeds],
        "python": platform.python_version(),
        "packages": {name: _package_version(name) for name in _PACKAGES},
        "platform": platform.platform(),
        "cpu": cpu_model(),
        "cpu_count": os.cpu_count(),
        "threads": int(threads),
        "started": _iso(started),
        "ended": _iso(now()),
        "peak_memory_bytes": peak_memory_bytes(),
        "command": shlex.join(sys.argv),
    }


def is_complete(run: Path | str) -> bool:
    """Return whether a finished run stands in a folder, by its manifest."""
    try:
        read_manifest(run)
    except StoreError:
        return False
    return True


def read_manifest(run: Path | str, status: Collection[str] = (COMPLETE,)) -> dict[str, Any]:
    """Return a run's manifest.

    Parameters
    ----------
    run : Path or str
        The run's folder.
    status : collection of str
        What the run may be: `COMPLETE`, `INTERRUPTED`.

    Raises
    ------
    StoreError
        Where there is none, it is damaged, or the run is something else.
    """
    path = Path(run) / MANIFEST
    try:
        manifest = read_json(path)
    except FileNotFoundError:
        raise NoRunError(
            "this is not a finished run", file=run, found=f"no {MANIFEST}", hint="Name the folder of a run."
        ) from None
    except OSError as error:
        raise StoreError("cannot read this", file=path, found=error.strerror) from error
    except ValueError as error:
        raise StoreError(
            "the manifest is damaged", file=path, found=str(error), hint="Run it again."
        ) from error
    if not isinstance(manifest, dict) or manifest.get("manifest_version") != MANIFEST_VERSION:
        found = manifest.get("manifest_version") if isinstance(manifest, dict) else type(manifest).__name__
        raise StoreError(
            "the manifest is of another kind",
            file=path,
            found=f"manifest_version {found}",
            expected=str(MANIFEST_VERSION),
            hint="Read it with the version of nmsim that wrote it.",
        )
    if manifest.get("status") not in status:
        interrupted = manifest.get("status") == INTERRUPTED
        raise StoreError(
            "this run was interrupted" if interrupted else "this run is not an interrupted one",
            file=run,
            hint=f"Finish it: nmsim run --resume {run}" if interrupted else None,
        )
    return manifest
