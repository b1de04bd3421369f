"""`nmsim doctor`: is everything here that nmsim needs?"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from nmsim.cli.output import Json, print_json, print_table

_PYTHON = (3, 10)


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report.

    Attributes
    ----------
    name : str
        What was looked at.
    ok : bool
        Whether it is as it should be.
    needed : bool
        Whether nmsim needs it.
    detail : str
        What was found, and what to do where that is not enough.
    """

    name: str
    ok: bool
    needed: bool
    detail: str


def doctor(as_json: Json = False) -> None:
    """Check Python, packages, caches, the compiler, data sets.

    The exit code is 1 where something is missing that nmsim needs.
    """
    findings = list(examine())
    healthy = all(f.ok for f in findings if f.needed)
    if as_json:
        print_json({"ok": healthy, "findings": [asdict(f) for f in findings]})
    else:
        marks = {(True, True): "ok", (True, False): "ok", (False, True): "MISSING", (False, False): "absent"}
        print_table(["", "", ""], [(f.name, marks[f.ok, f.needed], f.detail) for f in findings], text=3)
    if not healthy:
        raise typer.Exit(1)


def examine() -> Iterator[Finding]:
    """Yield what there is, needed things first."""
    version = platform.python_version()
    yield Finding("Python", sys.version_info >= _PYTHON, True, f"{version} at {sys.executable}")
    yield from _packages()
    yield _tried("compiler", True, _compile)
    yield _tried("compiler's cache", True, _numba_cache)
    yield _tried("data cache", True, _data_cache)
    yield _tried("processor", False, _processor)
    import shutil

    git = shutil.which("git")
    yield Finding("git", git is not None, False, git or "runs will not name the revision of nmsim")
    yield _tried("data sets", False, _datasets)


def _tried(name: str, needed: bool, look: Callable[[], str]) -> Finding:
    """Make what goes wrong while looking the finding: a doctor does not fall ill."""
    try:
        return Finding(name, True, needed, look())
    except Exception as error:
        return Finding(name, False, needed, " ".join(f"{type(error).__name__}: {error}".split()))


def _packages() -> Iterator[Finding]:
    from importlib import metadata

    from packaging.requirements import Requirement

    for text in metadata.requires("nmsim") or ():
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            yield Finding(requirement.name, False, True, f"not installed; pip install '{requirement}'")
            continue
        fits = requirement.specifier.contains(version, prereleases=True)
        wanted = "" if fits else f", but {requirement.specifier} is needed"
        yield Finding(requirement.name, fits, True, version + wanted)


def _compile() -> str:
    import numba
    import numpy as np

    from nmsim.compiled import njit

    @njit(parallel=True)
    def total(values: np.ndarray) -> int:
        result = 0
        for i in numba.prange(values.shape[0]):
            result += values[i]
        return result

    found = total(np.arange(1000))
    if found != 499_500:  # 999 · 1000 / 2
        raise ValueError(f"a compiled loop came to {found}, not to 499500")
    return f"numba {numba.__version__}, {numba.get_num_threads()} threads, {numba.threading_layer()}"


def _numba_cache() -> str:
    import nmsim

    package = Path(nmsim.__file__).parent
    folder = os.environ.get("NUMBA_CACHE_DIR")
    if folder is None and not os.access(package, os.W_OK):
        return f"the user's cache folder, for {package} is read-only"
    return _writable(Path(folder) if folder else package)


def _data_cache() -> str:
    from nmsim.data import cache_folder

    return _writable(cache_folder())


def _writable(folder: Path) -> str:
    """Return the folder's name once a file could be made in it, or in its nearest parent that exists."""
    import tempfile

    nearest = next(f for f in (folder, *folder.parents) if f.is_dir())
    with tempfile.TemporaryFile(dir=nearest):
        return str(folder)


def _processor() -> str:
    from nmsim.store.manifest import cpu_model

    return f"{cpu_model()}, {os.cpu_count()} cores"


def _datasets() -> str:
    from nmsim.data import list_datasets

    rows = list_datasets()
    absent = [row["name"] for row in rows if not row["present"]]
    here = "here: " + ", ".join(row["name"] for row in rows if row["present"])
    return here + (f"; nmsim data fetch {absent[0]} gets another" if absent else "")
