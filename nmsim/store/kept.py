"""What an interrupted run keeps of its finished work, so that it can be resumed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nmsim.errors import StoreError
from nmsim.store import fs
from nmsim.store.manifest import INTERRUPTED, read_manifest
from nmsim.store.objects import read_piece, write_piece
from nmsim.store.reading import sha256_of
from nmsim.store.rundir import RunDir

#: Folder of the pieces below the run's, the manifest's key that lists them, and that of their hashes.
KEPT, KEPT_SHA256 = "kept", "kept_sha256"

#: What must be as it was for a piece to be one of the same run: keys of the manifest.
_SAME = {
    "nmsim_version": "another version of nmsim",
    "config_sha256": "another configuration",
    "dataset_sha256": "other data",
}


def write_kept(run: RunDir, pieces: Mapping[str, Any], known: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Make a run's folder hold these pieces and nothing else; return what the manifest says of them.

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
    written = {name: file for name, file in files.items() if write_piece(run.path(file), pieces[name], known)}
    return {KEPT: written, KEPT_SHA256: {name: sha256_of(run.path(file)) for name, file in written.items()}}


def read_kept(run: Path, manifest: Mapping[str, Any], known: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the pieces that an interrupted run kept, by name; none where there is no such run.

    Parameters
    ----------
    run : Path
    manifest : mapping
        Of the run that goes on.
    known : mapping of str to ndarray
        See `objects.read_piece`.

    Raises
    ------
    StoreError
        Where they are not what was written, or belong to another configuration, other data or another version
        of nmsim.
    """
    try:
        kept_by = read_manifest(run, (INTERRUPTED,))
    except StoreError:
        return {}
    kept, hashes = kept_by.get(KEPT), kept_by.get(KEPT_SHA256)
    if not isinstance(kept, dict) or not kept:
        return {}
    for key, what in _SAME.items():
        if kept_by.get(key) != manifest[key]:
            raise StoreError(
                f"this run was interrupted with {what}",
                file=run,
                found=str(kept_by.get(key))[:16],
                expected=manifest[key][:16],
                hint="Run it anew, without --resume.",
            )
    pieces = {}
    for name, file in kept.items():
        path = run / str(file)
        try:
            found = sha256_of(path)
        except (OSError, ValueError) as error:
            found = getattr(error, "strerror", None) or str(error)
        expected = hashes.get(name) if isinstance(hashes, dict) else None
        if found != expected:
            raise StoreError(
                "what an interrupted run kept is damaged",
                file=path,
                found=found[:40],
                expected=f"SHA-256 {str(expected)[:16]}…",
                hint="Run it anew, without --resume.",
            )
        pieces[name] = read_piece(path, known)
    return pieces
