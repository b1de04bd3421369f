"""What a selector may leave out, as it is taken then; so whoever uses a selector finds all of it there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from nmsim.access.work import Step
from nmsim.machine import Need
from nmsim.selection import needs
from nmsim.selection.budget import total_budget
from nmsim.selection.needs import Records

if TYPE_CHECKING:
    from nmsim.selection.selector import FollowsTraining, Selector


class Turn(NamedTuple):
    """One execution of a selection.

    Attributes
    ----------
    epoch : int
        Of the training, that it comes before.
    steps : iterable of Step
        What is executed where the selection runs.
    before : iterable of Step
        What the SoC does first, wherever that is.
    """

    epoch: int
    steps: Iterable[Step]
    before: Iterable[Step] = ()


class Defaults:
    """The members that a class of `nmsim.selection.Selector` need not have.

    Attributes
    ----------
    places : tuple of str
        Where the steps can be executed, of `nmsim.schemes.PLACES`.
    host_only : str
        Where they cannot be executed near memory: why, as part of a sentence.
    reselect_every : int or None
        Epochs of a training between two selections; None for a method that selects once, before it.
    training_images_ : ndarray of uint8, or None
        After `fit`: what a training gets in place of the chosen records.
    training_array : str
        The array in which a board finds these, a row for each.
    """

    keep_ratio: float
    indices_: np.ndarray
    places: ClassVar[tuple[str, ...]] = ("host",)
    host_only: ClassVar[str] = ""
    reselect_every: int | None = None
    training_images_: np.ndarray | None = None
    training_array: str = "images"

    def check_parameters(self) -> None:
        """Raise ConfigError for a parameter out of its range before any data is read; or `fit` does."""

    def check_network(self, name: str) -> None:
        """Raise ConfigError for a network whose training it cannot follow."""

    def budget(self, n: int) -> int:
        """Return how many of n records are kept."""
        return total_budget(n, self.keep_ratio)

    def map(self) -> np.ndarray | None:
        """Return where the records lay in the plane when they were chosen, floats, shape (n, 2), or None."""
        return None

    def needs(self, records: Records) -> Iterator[Need]:
        """Yield what selecting from such records holds at its peak, beside them.

        `lower` of a need may be the name of a parameter.
        """
        yield needs.of_anything(records)

    def duration_s(self, records: Records) -> float:
        """Return about how long selecting from such records takes."""
        return needs.seconds_of_pairs(records)

    def turns(self: Selector, buffer_bytes: int, units: int = 1) -> Iterator[Turn]:
        """Yield the executions of the selection, for a buffer size and units that share the work."""
        yield Turn(0, self.steps(buffer_bytes, units))

    def training_reads(self, n: int) -> tuple[np.ndarray, str]:
        """Return the rows that a training on n records reads, by its own numbers, and of which array."""
        if self.training_images_ is None:
            return self.indices_, "images"
        return np.arange(len(self.indices_)), self.training_array


def makes_map(selector: Any) -> bool:
    """Return whether a selector is one of those that make maps."""
    return type(selector).map is not Defaults.map


class FollowingDefaults(Defaults):
    """The same for a class of `nmsim.selection.selector.FollowsTraining`, which selects in rounds."""

    reselect_every: int

    def turns(self: FollowsTraining, buffer_bytes: int, units: int = 1) -> Iterator[Turn]:
        """Yield the rounds."""
        for number, found in enumerate(self.rounds_):
            steps = self.round_steps(number, buffer_bytes, units)
            yield Turn(found.epoch, steps, self.feedback_steps(number))

    def training_reads(self, n: int) -> tuple[np.ndarray, str]:
        """Return all rows: the training goes through what each round chose of them."""
        return np.arange(n), "images"
