"""Every error that nmsim raises for its user, in one tree.

    NmsimError
    ├── ConfigError          a configuration that cannot be meant        (exit 2)
    ├── DataError            a data set that cannot be read or used      (exit 2)
    ├── TraceFormatError     a damaged or unknown trace line             (exit 2)
    ├── ResourceLimitError   a run that would not fit this machine       (exit 2)
    ├── StoreError           an output folder that cannot be written     (exit 1)
    │   └── NoRunError       a folder that is no run's                   (exit 2)
    ├── ClusterError         a scheduler or workers that cannot be used  (exit 1)
    └── ProtocolViolation    a command stream that breaks a DRAM timing  (exit 1)

A message says where, what was found, what was expected and what to do, on one line; a user's mistake is
never answered with a traceback.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path


class NmsimError(Exception):
    """An error to show as one line: `file:line: message (found …; expected …). what to do`.

    Parameters
    ----------
    message : str
        What is wrong, without a full stop.
    file : str or Path, optional
        The file that holds the mistake.
    line : int, optional
        Its line, counted from 1.
    found, expected : str, optional
        What stands there, and what would be right.
    hint : str, optional
        What to do, as a sentence.
    """

    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        file: str | Path | None = None,
        line: int | None = None,
        found: object = None,
        expected: object = None,
        hint: str | None = None,
    ):
        self.message, self.file, self.line = message, file, line
        self.found, self.expected, self.hint = found, expected, hint
        super().__init__(message)

    def __str__(self) -> str:
        where = "" if self.file is None else f"{self.file}:" + (f"{self.line}: " if self.line else " ")
        facts = [
            f"{name} {value}"
            for name, value in (("found", self.found), ("expected", self.expected))
            if value is not None
        ]
        text = f"{where}{self.message}" + (f" ({'; '.join(facts)})" if facts else "")
        text += f". {self.hint}" if self.hint else ""
        return printable(" ".join(text.split()))


def printable(text: str) -> str:
    """Return a text without what a terminal would obey: such characters as Python writes them, `\\x1b`."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def closest(word: object, known: Iterable[str]) -> str | None:
    """Return the known name that a misspelt one is nearest to, or None where none is near.

    Capitals do not count, and `_` is as good as `-`.
    """
    by_spelling = {_spelling(name): name for name in known}
    found = get_close_matches(_spelling(str(word)), by_spelling, n=1, cutoff=0.5)
    return by_spelling[found[0]] if found else None


def _spelling(name: str) -> str:
    return name.casefold().replace("_", "-")


def suggestion(word: object, known: Iterable[str]) -> str | None:
    """Return `Did you mean NAME?` with the known name that `closest` finds, or None."""
    name = closest(word, known)
    return None if name is None else f"Did you mean {name}?"


class ConfigError(NmsimError):
    """A configuration that cannot be meant.

    Attributes
    ----------
    others : sequence of ConfigError
        What else is wrong with the same configuration, where it was read to its end.
    """

    exit_code = 2
    others: Sequence[ConfigError] = ()


class DataError(NmsimError):
    """A data set that cannot be read or used."""

    exit_code = 2


class TraceFormatError(NmsimError):
    """A damaged or unknown line of a trace."""

    exit_code = 2


class ResourceLimitError(NmsimError):
    """A run that would not fit this machine."""

    exit_code = 2


class StoreError(NmsimError):
    """An output folder that cannot be written."""


class NoRunError(StoreError):
    """A folder that is no run's."""

    exit_code = 2


class ClusterError(NmsimError):
    """A scheduler or workers of a cluster that cannot be used."""


class ProtocolViolation(NmsimError):  # noqa: N818 - the name checkers of DRAM traces use
    """A command stream that breaks a rule of its DRAM standard."""
