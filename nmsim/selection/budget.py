"""How many samples are kept, and how many of each class."""

from __future__ import annotations

import math

import numpy as np

from nmsim.errors import DataError


def total_budget(n: int, keep_ratio: float) -> int:
    """Return the number of samples to keep of n: keep_ratio · n, rounded, halves up.

    Raises
    ------
    DataError
        Where the ratio is not a number in (0, 1] or keeps nothing.
    """
    is_number = isinstance(keep_ratio, int | float | np.number) and not isinstance(keep_ratio, bool)
    if not is_number or not 0 < keep_ratio <= 1:
        raise DataError(
            "the keep ratio is no share of the data",
            found=keep_ratio,
            expected="a number above 0 and at most 1",
        )
    budget = math.floor(keep_ratio * n + 0.5)
    if budget < 1:
        raise DataError(
            "the keep ratio keeps nothing",
            found=f"{keep_ratio:g} of {n} samples",
            hint=f"Keep at least {1 / n:.2g}.",
        )
    return budget


def apportion(sizes: np.ndarray, budget: int) -> np.ndarray:
    """Return shares of `budget` in proportion to sizes, shape (c,), 0 <= budget <= sizes.sum().

    Largest remainder (Hamilton's method): each part gets the whole part of sizes · budget / n, and the rest
    goes to the largest remainders, the first of equals. No share is above its size.
    """
    sizes = np.asarray(sizes, dtype=np.int64)
    kept, remainders = np.divmod(sizes * budget, max(1, sizes.sum()))
    kept[np.argsort(-remainders, kind="stable")[: budget - kept.sum()]] += 1
    return kept


def class_budgets(sizes: np.ndarray, budget: int) -> np.ndarray:
    """Return how many samples each class keeps, shape (c,), with the exact sum `budget`.

    Parameters
    ----------
    sizes : ndarray of int64, shape (c,)
        Samples of each class, each at least 1.
    budget : int
        c <= budget <= sizes.sum().

    Raises
    ------
    DataError
        Where the budget is below one sample a class.

    Notes
    -----
    In proportion (`apportion`); classes left with nothing then take one from the class that keeps most, so
    that every class can be learnt.
    """
    sizes = np.asarray(sizes, dtype=np.int64)
    if budget < len(sizes):
        raise DataError(
            "the budget is below one sample a class",
            found=f"{budget} samples for {len(sizes)} classes",
            expected=f"at least {len(sizes)}",
            hint=f"Raise the keep ratio to {len(sizes) / sizes.sum():.2g} or more.",
        )
    kept = apportion(sizes, budget)
    for empty in np.flatnonzero(kept == 0):
        kept[np.argmax(kept)] -= 1
        kept[empty] = 1
    return kept
