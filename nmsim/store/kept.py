"""What an interrupted run keeps of its finished work, so that it can be resumed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nmsim.errors import StoreError
from nmsim.store import fs
from nmsim.store.manifest import INTERRUPTED, nmsim_version, read_manifest
from nmsim.store.objects import read_piece, write_piece
from nmsim.store.rundir import RunDir

#: Folder of the pieces below the run's, and the manifest's key that lists them.
KEPT = "kept"


def write_kept(run: RunDir, pieces: Mapping[str, Any], known: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Make a run's folder hold these pieces and nothing else; return their files by their names.

    Parameters
    ----------
    run : RunDir
    pieces : mapping
        By name. What cannot be written (a plug-in's own objects) is left out, and computed again.
    known : mapping of str to ndarray
        See `objects.write_piece`.
    """
    fs.empty(run.folder)
    files = {name: f"{KEPT}/{number:03d}.npz" for number, name in enumerate(sorted(pieces))}
    return {name: file for name, file in files.items() if write_piece(run.path(file), pieces[name], known)}


def read_kept(run: Path, dataset_sha256: str, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the pieces that an interrupted run kept, by name; none where there is no such run.

    Raises
    ------
    StoreError
        Where they are damaged, or belong to other data or another version of nmsim.
    """
    try:
        manifest = read_manifest(run, (INTERRUPTED,))
    except StoreError:
        return {}
    kept = manifest.get(KEPT)
    if not isinstance(kept, dict):
        return {}
    for what, found, expected in (
        ("another version of nmsim", manifest.get("nmsim_version"), nmsim_version()),
        ("other data", manifest.get("dataset_sha256"), dataset_sha256),
    ):
        if kept and found != expected:
            raise StoreError(
                f"this run was interrupted with {what}",
                file=run,
                found=str(found)[:16],
                expected=expected[:16],
                hint="Run it anew, without --resume.",
            )
    return {name: read_piece(run / str(file), known) for name, file in kept.items()}
