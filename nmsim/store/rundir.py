"""A run's folder: built out of sight, published whole, and finished if and only if it has a manifest."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from nmsim.errors import StoreError
from nmsim.store import fs
from nmsim.store.manifest import MANIFEST

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class RunDir:
    """The folder `<parent>/<name>-<hash8>` while it is being filled.

    Use it as a context manager: outputs go below `folder`, and `publish` makes the run visible. Without
    `publish`, or where an exception leaves the block, nothing stays behind.

    Parameters
    ----------
    parent : Path or str
        The folder that run folders are put in, made if need be.
    name : str
        The run's name: letters, digits, `.`, `_`, `-`; at most 64, the first a letter or a digit.
    config_hash : str
        Hash of the resolved configuration; its first 8 characters become part of the name.

    Attributes
    ----------
    final : Path
        Where the run stands once published. A run of the same name and hash is replaced.
    folder : Path
        Where to write until then.

    Raises
    ------
    StoreError
        Where the name is not allowed, or the parent cannot be written to; at once, before any work.
    """

    def __init__(self, parent: Path | str, name: str, config_hash: str):
        if not _NAME.fullmatch(name):
            raise StoreError(
                "a run's name becomes a folder's name",
                found=repr(name),
                expected="letters, digits, '.', '_' or '-', at most 64, starting with a letter or digit",
            )
        self.final = fs.ensure_writable(parent) / f"{name}-{config_hash[:8]}"
        if self.final.exists() and not self.final.is_dir():
            raise StoreError("a file stands where the run's folder should go", file=self.final)
        self._published = False
        self._stack = ExitStack()

    def __enter__(self) -> RunDir:
        self.folder = self._stack.enter_context(fs.staged_dir(self.final))
        return self

    def path(self, *parts: str) -> Path:
        """Return the path of one output of this run, `run.path("plots", "energy.png")`."""
        return self.folder.joinpath(*parts)

    def publish(self, manifest: dict[str, Any]) -> Path:
        """Write the manifest and rename the folder to its final place; return that.

        Raises
        ------
        StoreError
            Where the folder cannot be written or renamed; nothing of the run stays then.
        """
        fs.write_json(self.path(MANIFEST), manifest)
        self._published = True
        self._stack.close()
        return self.final

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._published:
            return
        abandoned = error or StoreError("the run ended without a manifest", file=self.final)
        self._stack.__exit__(type(abandoned), abandoned, trace)
        if error is None:
            raise abandoned
