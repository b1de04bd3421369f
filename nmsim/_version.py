"""The version, and the revision of the source. Packaging reads this file without nmsim's requirements."""

from __future__ import annotations

import subprocess
from pathlib import Path

__version__ = "0.1.0"

#: A file of an installed package: the revision that it was built from. A checkout has none.
BUILT_FROM = "_revision"

_PACKAGE = Path(__file__).resolve().parent


def git_revision(package: Path = _PACKAGE) -> str | None:
    """Return the commit that a package runs from or was built from, with `+changes` where files differed.

    None where neither is known. The checkout must be the package's own: an installed copy may lie inside
    another project's, whose revision would say nothing.
    """
    top = _git(package, "rev-parse", "--show-toplevel")
    if top is not None and Path(top).resolve() == package.parent:
        revision = _git(package, "rev-parse", "HEAD")
        changes = revision and _git(package, "status", "--porcelain", "--untracked-files=no")
        return f"{revision}+changes" if changes else revision
    try:
        return (package / BUILT_FROM).read_text(encoding="ascii").strip()
    except (OSError, UnicodeError):
        return None


def _git(folder: Path, *words: str) -> str | None:
    command = ["git", "--no-optional-locks", "-C", str(folder), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
