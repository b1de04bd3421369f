"""A scheme: which images a run trains on, and where these are chosen.

full           all of them
random         a share of them, drawn without a look at any
METHOD@host    a share of them, chosen by a selection method that the SoC runs
METHOD@nmc     the same, chosen by the units beside the memory
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

#: The two schemes without a place: no image is read to choose.
FULL: Final = "full"
RANDOM: Final = "random"

#: Who can execute the steps of a selection: the SoC, or the units beside the memory.
PLACES = ("host", "nmc")

#: A selection method's name; which methods there are is known where they are run.
METHOD = r"[A-Za-z0-9][A-Za-z0-9._-]*"

#: What a scheme looks like. The two without a place have one spelling each, so that none stands twice.
PATTERN = rf"^({FULL}|{RANDOM}|(?!({FULL}|{RANDOM})@){METHOD}@({'|'.join(PLACES)}))$"


@dataclass(frozen=True)
class Scheme:
    """A scheme, taken apart.

    Attributes
    ----------
    method : str
        Of a selection; or `full`, or `random`.
    place : str
        Of `PLACES`; "" for a scheme without one.
    """

    method: str
    place: str = ""

    @classmethod
    def parse(cls, text: str) -> Scheme:
        """Return the scheme of a text: of a configuration, which has checked it, or of a run's files."""
        method, _, place = text.partition("@")
        return cls(method, place)

    def __str__(self) -> str:
        return f"{self.method}@{self.place}" if self.place else self.method

    @property
    def is_full(self) -> bool:
        """Return whether everything is kept."""
        return self.method == FULL

    @property
    def is_random(self) -> bool:
        """Return whether chance chooses."""
        return self.method == RANDOM

    @property
    def is_selection(self) -> bool:
        """Return whether the images say which of them are kept."""
        return not (self.is_full or self.is_random)

    @property
    def near_memory(self) -> bool:
        """Return whether the units beside the memory choose."""
        return self.place == "nmc"

    @property
    def side(self) -> str:
        """Return who chooses, of `PLACES`: without a place it is the host."""
        return self.place or "host"

    @property
    def file_name(self) -> str:
        """Return it as part of a file's name."""
        return str(self).replace("@", "-")

    def at(self, place: str) -> Scheme:
        """Return the same method at another place."""
        return replace(self, place=place)
