"""Images of any type of number as the bytes that a sensor gives: one rule for files and for arrays."""

from __future__ import annotations

import numpy as np


def as_pixels(X: np.ndarray, highest: float | None = None) -> np.ndarray | None:
    """Return images as uint8, or None where the scale of their numbers cannot be known.

    Parameters
    ----------
    X : ndarray of real numbers
        Whole numbers from 0 to 255 are taken as they are. Floating-point numbers from 0 to 1 are multiplied
        by 255 and rounded; those that reach beyond 1 must be whole.
    highest : float, optional
        The highest number of all floating-point images that are kept on one scale with these; their own
        unless given.
    """
    if X.dtype == np.uint8:
        return X
    low, high = X.min(initial=0), X.max(initial=0)
    if not (low >= 0 and high <= 255):  # nor is a NaN
        return None
    if X.dtype.kind == "f" and (high if highest is None else highest) <= 1:
        return np.rint(X * 255.0).astype(np.uint8)
    pixels = X.astype(np.uint8)
    return pixels if X.dtype.kind != "f" or np.array_equal(pixels, X) else None
