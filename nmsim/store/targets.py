"""Where an output may go: to a new file or in place of a regular one, never in place of a run's results."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from nmsim.errors import StoreError
from nmsim.store.manifest import MANIFEST
from nmsim.store.reading import check_regular, read_json

#: Of a run's folder: what its results are. All else there is drawn from these, and can be drawn again.
_RESULTS = re.compile(
    r"manifest\.json|summary\.json|energy\.csv|config\.resolved\.yaml|selection\.npz|selected_indices\..+"
    r"|trace|kept"
)


def target(path: Path | str) -> tuple[Path, int | None]:
    """Return the file that an output named `path` will be, and the permissions that it has, if it is there.

    A link is followed: what it leads to is replaced, and it stays.

    Raises
    ------
    OSError
        Where a folder, a device or a pipe stands there.
    StoreError
        Where a result of a run stands there, or would be added to.
    """
    path = Path(os.path.abspath(path))
    if path.is_symlink():
        path = Path(os.path.realpath(path))
    try:
        check_regular(path)
        mode = stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError:
        mode = None
    for folder in path.parents:
        if _RESULTS.fullmatch(path.relative_to(folder).parts[0]) and _is_run(folder):
            raise StoreError(
                "this is a place of a run's own results, which stay as they are; nothing was changed",
                file=path,
                hint="Choose another name.",
            )
    return path, mode


def refuse_inputs(path: Path | str, inputs: Iterable[Path | str]) -> None:
    """Raise StoreError where an output would take the place of one of the files that it is made from."""
    try:
        there = os.stat(path)
    except OSError:
        return
    for file in inputs:
        with suppress(OSError):  # one of them is not there
            if os.path.samestat(there, os.stat(file)):
                raise StoreError(
                    "this is read, and would be lost; nothing was changed",
                    file=path,
                    hint="Choose another name for the output.",
                )


def _is_run(folder: Path) -> bool:
    try:
        manifest = read_json(folder / MANIFEST)
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and "manifest_version" in manifest
