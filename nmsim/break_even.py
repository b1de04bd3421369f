"""From which epoch on a selection has paid for itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def break_even(
    before: ArrayLike, saved: ArrayLike, epochs: int, reselect_every: int | None = None
) -> np.ndarray:
    """Return the epochs from which a scheme costs less than `full`, if both train equally many; or infinity.

    Parameters
    ----------
    before : float or ndarray of float
        What a course took that was no training, in any unit, at least 0.
    saved : float or ndarray of float
        What an epoch of training takes less than one of `full`, in the same unit.
    epochs : int
        Of the course's training, at least 1.
    reselect_every : int, optional
        The scheme selects again before every so many epochs, at the mean price of its rounds. Default: once.

    Notes
    -----
    A selection pays for itself in t = price / saved epochs. One of every R epochs must do so within R. The
    k-th then leaves the scheme dearer until epoch k · t, unless it began later, at (k - 1) · R: for the last
    time with the largest k below R / (R - t).
    """
    before, saved = np.asarray(before, float), np.asarray(saved, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        if reselect_every is None:
            return np.where(saved > 0, before / saved, np.inf)
        rounds = -(-epochs // reselect_every)
        once = before / rounds / saved
        last = np.maximum(1.0, np.ceil(reselect_every / (reselect_every - once)) - 1)
        return np.where((saved > 0) & (once < reselect_every), last * once, np.inf)
