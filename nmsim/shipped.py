"""What comes with nmsim besides code: boards and sweeps in `hw_configs/`, sample traces in `traces/`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

#: Folders that lie in an installed package, and beside the package in a checkout.
_FOLDERS = ("hw_configs", "traces")

#: Where a name alone is looked for.
_BOARDS, _SWEEPS = Path(), Path("sweeps")


@dataclass(frozen=True)
class Shipped:
    """A board or a sweep that comes with nmsim.

    Attributes
    ----------
    name : str
        What it can be called by, wherever a file is asked for.
    path : Path
    about : str
        The first sentence of the file.
    """

    name: str
    path: Path
    about: str


def boards() -> Iterator[Shipped]:
    """Yield the boards that come with nmsim, by name."""
    return _yaml_files(_BOARDS)


def sweeps() -> Iterator[Shipped]:
    """Yield the sweeps that come with nmsim, by name."""
    return _yaml_files(_SWEEPS)


def board_names() -> list[str]:
    """Return by which names alone `named` finds boards."""
    return [path.stem for path in _files(_BOARDS)]


def sweep_names() -> list[str]:
    """Return by which names alone `named` finds sweeps."""
    return [path.stem for path in _files(_SWEEPS)]


def folder(name: str) -> Path:
    """Return the folder "hw_configs" or "traces" that comes with nmsim."""
    package = Path(__file__).resolve().parent
    inside = package / name
    return inside if inside.is_dir() else package.parent / name


def named(name: str | Path, beside: Path | None = None) -> Path:
    """Return the file that a user means: the one that is there, or else one that comes with nmsim.

    Parameters
    ----------
    name : str or Path
        A path; or, where there is no such file, `hw_configs/…` or `traces/…` of nmsim's own, or the name of a
        board or sweep alone: `lpddr4`.
    beside : Path, optional
        The folder that a path is relative to; the present one unless given.

    Returns
    -------
    Path
        The path as it is given where there is neither: whoever opens it says what is wrong.
    """
    path = Path(name) if beside is None else beside / name
    if os.path.isfile(path):  # false, too, for what no file can be called
        return path
    first, *rest = Path(name).parts or ("",)
    if rest:
        candidates = [folder(first).joinpath(*rest)] if first in _FOLDERS else []
    else:
        files = [
            where / f"{stem}.yaml"
            for where in (_BOARDS, _SWEEPS)
            for stem in (first, first.replace("-", "_"))
        ]
        candidates = [folder("hw_configs") / file for file in files]
    return next(filter(os.path.isfile, candidates), path)


def _files(where: Path) -> list[Path]:
    return sorted((folder("hw_configs") / where).glob("*.yaml"))


def _yaml_files(where: Path) -> Iterator[Shipped]:
    for path in _files(where):
        text = path.read_text(encoding="utf-8")
        comment = " ".join(
            line.strip("# ") for line in takewhile(lambda line: line.startswith("#"), text.splitlines())
        )
        yield Shipped(path.stem, path, re.split(r"(?<=[.?])\s", comment, maxsplit=1)[0])
