"""What every selection method has in common: its interface, and the checks of what it is given."""

from __future__ import annotations

import math
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Protocol

import numpy as np

from nmsim.access.work import ArraySpec, Step
from nmsim.errors import ConfigError, DataError


class Selector(Protocol):
    """A selection method. Its constructor takes `keep_ratio` and `random_state` besides its own parameters.

    Attributes
    ----------
    indices_ : ndarray of int64, shape (budget,)
        After `fit`: the chosen records, ascending and distinct.
    """

    indices_: np.ndarray

    def fit(self, X: np.ndarray, y: np.ndarray) -> Selector:
        """Select from records X, shape (n, …), with class labels y, shape (n,), and return self."""
        ...

    def arrays(self) -> list[ArraySpec]:
        """Return the arrays that the steps touch.

        Those with as many rows as there are records hold one row a record, and are placed like the records.
        """
        ...

    def steps(self, buffer_bytes: int, units: int = 1) -> Iterator[Step]:
        """Return what `fit` did as accesses and operations, for a buffer size and units that share work."""
        ...


def check_labels(y: np.ndarray, n: int) -> np.ndarray:
    """Return labels as int64, shape (n,).

    Raises
    ------
    DataError
        Where they are not n whole numbers.
    """
    y = np.asarray(y)
    if y.shape != (n,):
        raise DataError("labels and records differ in number", found=f"shape {y.shape}", expected=f"({n},)")
    if y.dtype.kind not in "uib":
        raise DataError("the labels are not whole numbers", found=y.dtype, expected="an integer type")
    return y.astype(np.int64)


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise ConfigError, with a suggestion, unless `value` is one of `choices`."""
    if value not in choices:
        raise ConfigError(
            f"unknown {name}", found=value, expected=", ".join(choices), hint=suggestion(value, choices)
        )


def check_number(
    name: str, value: object, low: float, high: float, *, whole: bool = False, above: bool = False
) -> None:
    """Raise ConfigError unless `value` is a number in low … high, `whole` and `above` low if asked."""
    kinds = int | np.integer if whole else int | float | np.number
    fits = isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)
    if not (fits and low <= value <= high and not (above and value == low)):
        kind = "a whole number" if whole else "a number"
        raise ConfigError(
            f"{name} is out of its range",
            found=repr(value),
            expected=f"{kind} {'above' if above else 'from'} {low:g} to {high:g}",
        )


def suggestion(name: object, known: tuple[str, ...]) -> str | None:
    """Return "Did you mean …?" for a misspelt name, or None."""
    close = get_close_matches(str(name).lower().replace("_", "-"), known, 1, 0.5) or get_close_matches(
        str(name), known, 1, 0.5
    )
    return f"Did you mean {close[0]!r}?" if close else None
