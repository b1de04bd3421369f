"""Facility location on last-layer gradients, by lazy greedy: the subset step of CRAIG."""

from __future__ import annotations

import numpy as np

from nmsim.compiled import njit
from nmsim.selection.greedy_kernels import lazy_facility_location
from nmsim.selection.network import RESOLUTION

#: Gradients p - one-hot of images of one class are differences of two distributions apart: at most sqrt(2).
FARTHEST = np.sqrt(2.0)


def closeness(gradients: np.ndarray) -> np.ndarray:
    """Return sqrt(2) - distance of all pairs of gradients of one class, float32 (n, n), at least 0.

    Rounded to multiples of `network.RESOLUTION`.
    """
    near = np.empty((len(gradients), len(gradients)), np.float32)
    _write_closeness(gradients.astype(np.float64), near)
    return near


@njit(cache=True, nogil=True)
def _write_closeness(g: np.ndarray, near: np.ndarray) -> None:
    """Write `closeness` of gradients g, float64 (n, c), into near, float32 (n, n)."""
    for i in range(len(g)):
        near[i, i] = np.rint(FARTHEST / RESOLUTION) * RESOLUTION
        for j in range(i):
            d2 = 0.0
            for k in range(g.shape[1]):
                d2 += (g[i, k] - g[j, k]) ** 2
            value = np.float32(np.rint(max(FARTHEST - np.sqrt(d2), 0.0) / RESOLUTION) * RESOLUTION)
            near[i, j] = value
            near[j, i] = value


def facility_location(similarities: np.ndarray, budget: int) -> tuple[np.ndarray, int]:
    """Return the picks in their order, and how many gains were computed anew after the first n.

    Each pick has the largest gain in sum over v of max over picked u of s(u, v); of equals the lowest number.

    Parameters
    ----------
    similarities : ndarray of float32, shape (n, n)
        Symmetric, at least 0, whole multiples of `network.RESOLUTION`.
    budget : int
        1 <= budget <= n.

    Notes
    -----
    Lazy greedy, see `greedy_kernels.lazy_facility_location`. Sums are exact: no order changes them.
    """
    n = len(similarities)
    picks, tried = np.empty(budget, np.int64), np.zeros(budget, np.int64)
    gains = similarities.sum(axis=1, dtype=np.float64)
    lazy_facility_location(similarities, budget, gains, np.zeros(n, np.float32), picks, tried)
    return picks, int(tried.sum())
