"""Who is near whom: nearest neighbours, affinities of one perplexity, and their symmetric joint form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nmsim import stop
from nmsim.selection import neighbour_kernels, searches

#: Largest difference between the perplexity asked for and reached: equal to three decimals.
PERPLEXITY_TOLERANCE = 5e-4
_TILE_VALUES = 1 << 22  # inner products held at a time (16 or 32 MB)


@dataclass(frozen=True, eq=False)
class Affinities:
    """Joint affinities of n points as compressed sparse rows, and how they came about.

    Attributes
    ----------
    starts : ndarray of int64, shape (n + 1,)
        Row i is at starts[i] … starts[i+1]-1 of the next two.
    indices : ndarray of int32, shape (e,)
    P : ndarray of float32, shape (e,)
        Symmetric, sum 1.
    perplexity : ndarray of float64, shape (n,)
        Reached by each point's search.
    n_neighbours : int
        Neighbours of each point before symmetrisation; 0 for a single point.
    search_steps : int
        Values of beta tried, over all points.
    early, late : ndarray of int64, shape (n,)
        Candidates that entered a point's list of nearest neighbours before and after its own turn.
    """

    starts: np.ndarray
    indices: np.ndarray
    P: np.ndarray
    perplexity: np.ndarray
    n_neighbours: int
    search_steps: int
    early: np.ndarray
    late: np.ndarray

    def dense(self) -> np.ndarray:
        """Return P as a float64 matrix (n, n)."""
        n = len(self.starts) - 1
        matrix = np.zeros((n, n))
        matrix[np.repeat(np.arange(n), np.diff(self.starts)), self.indices] = self.P
        return matrix


def joint_affinities(
    codes: np.ndarray, perplexity: float, n_neighbours: int | None = None, search: str = "bisection"
) -> Affinities:
    """Return the symmetric affinities of points by their features.

    Parameters
    ----------
    codes : ndarray of int8, float16 or float32, shape (n, d)
        The type says in which arithmetic distances are formed; see `formats.Format`.
    perplexity : float
        Above 1; at most a third of the neighbours can be asked for, and more is lowered to that, but never
        below 1. Where m neighbours of a point are equally nearest (exact duplicates, say), its perplexity
        cannot be below m.
    n_neighbours : int, optional
        Neighbours of each point that get an affinity; 3 · perplexity unless told, and never more than the
        other points there are.
    search : str
        One of `searches.SEARCHES`. Only `bisection` is sure to reach the perplexity.

    Notes
    -----
    p_ij = (p(j|i) + p(i|j)) / 2n (L. van der Maaten, G. Hinton, JMLR 9, 2008, section 3.1).
    """
    k = min(len(codes) - 1, n_neighbours or int(3 * perplexity))
    return affinities_of(nearest_neighbours(codes, k), perplexity, k, search)


def affinities_of(
    lists: tuple[np.ndarray, ...], perplexity: float, k: int, search: str = "bisection"
) -> Affinities:
    """Return the symmetric affinities of points by the first k of their nearest neighbours.

    `lists` is what `nearest_neighbours` gives, for k neighbours or more; the rest as in `joint_affinities`.
    """
    neighbours, distances, early, late = lists
    n, k = len(neighbours), min(k, neighbours.shape[1])
    if k == 0:
        return Affinities(np.zeros(n + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32),
                          np.ones(n), 0, 0, early, late)  # fmt: skip
    neighbours, distances = neighbours[:, :k], np.ascontiguousarray(distances[:, :k])
    target = max(1.0, min(perplexity, k / 3))
    p = np.empty((n, k), dtype=np.float32)
    achieved, steps = np.empty(n), np.empty(n, dtype=np.int32)
    tolerance = 0.5 * PERPLEXITY_TOLERANCE / target
    kind = searches.SEARCHES.index(search)
    searches.search_affinities(distances, target, tolerance, kind, p, achieved, steps)
    starts, indices, P = _symmetrised(neighbours, p)
    return Affinities(starts, indices, P, achieved, k, int(steps.sum(dtype=np.int64)), early, late)


def nearest_neighbours(codes: np.ndarray, k: int) -> tuple[np.ndarray, ...]:
    """Return neighbours (n, k) int32, squared distances (n, k) float64, and the counts `early`, `late` (n,).

    In the arithmetic of the codes' type (see `formats.Format`). Inner products come from the BLAS library,
    tile by tile. Those of whole numbers are taken in the narrowest type in which they are exact; in float32
    they only rule out what is too far whatever the rounding. So neither the library nor the number of threads
    can change a distance. k may be 0.
    """
    n = len(codes)
    indices, distances = np.empty((n, k), dtype=np.int32), np.empty((n, k))
    early, late = np.zeros((2, n), dtype=np.int64)
    if k == 0:
        return indices, distances, early, late
    if codes.dtype == np.float16:
        X = np.ascontiguousarray(codes, dtype=np.float32)
        columns = np.zeros(
            (X.shape[1], -(-n // neighbour_kernels.BLOCK) * neighbour_kernels.BLOCK), dtype=np.float32
        )
        columns[:, :n] = X.T
        neighbour_kernels.nearest_half_neighbours(X, columns, indices, distances, early, late)
        return indices, distances, early, late
    floating = codes.dtype.kind == "f"
    X = np.ascontiguousarray(codes, dtype=np.float32) if floating else _exact_float(codes)
    norms = screening_norms(X) if floating else _squared_norms(X)
    tile = min(n, max(1, _TILE_VALUES // n))
    scratch = np.empty((tile, n), dtype=X.dtype)
    for first in range(0, n, tile):
        stop.check()
        rows = slice(first, min(first + tile, n))
        with np.errstate(over="ignore", invalid="ignore"):
            dots = np.matmul(X[rows], X.T, out=scratch[: rows.stop - first])
        out = indices[rows], distances[rows], early[rows], late[rows]
        if floating:
            neighbour_kernels.nearest_screened_neighbours(dots, norms, X, first, *out)
        else:
            neighbour_kernels.nearest_neighbours(dots, norms, first, *out)
    return indices, distances, early, late


def screening_norms(X: np.ndarray) -> np.ndarray:
    """Return numbers h (n,) in float32 with h_i + h_j - x_i·x_j no more than half the distance in float32.

    X is float32 (n, d). Half the squared norms, lowered by the share 4 (d + 8) u, u = 2^-24; NaN where they
    are beyond float32.

    With s = |x_i|² + |x_j|², an inner product in any order is wrong by at most d u |x_i||x_j| <= d u s / 2,
    which counts twice in a distance D <= 2 s. In D itself d differences, products and sums are rounded, which
    makes (d + 2) u D (N. J. Higham, *Accuracy and Stability of Numerical Algorithms*, 2002, section 3.1, to
    first order). The two sums that form the bound add 4 u s. Together less than (3 d + 8) u s; what is taken
    off covers the higher orders as well while d u < 1/8.
    """
    half = 0.5 * _squared_norms(X) * (1 - 4 * (X.shape[1] + 8) * 2.0**-24)
    return np.where(half > np.finfo(np.float32).max, np.nan, half).astype(np.float32)


def _squared_norms(X: np.ndarray) -> np.ndarray:
    """Return the squared norms in float64, a block of points at a time."""
    blocks = [(X[i : i + 1024].astype(np.float64) ** 2).sum(axis=1) for i in range(0, len(X), 1024)]
    return np.concatenate(blocks)


def _exact_float(codes: np.ndarray) -> np.ndarray:
    """Return whole numbers in the narrowest float type whose inner products are exact, by a bound on them.

    Inner products of int8 are exact in float64 for any length that `formats.Format` lets through.
    """
    peak = int(np.abs(codes.astype(np.int32)).max(initial=0))
    return codes.astype(np.float32 if codes.shape[1] * peak * peak <= 2**24 else np.float64)


def _symmetrised(neighbours: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n, k = p.shape
    points = np.repeat(np.arange(n, dtype=np.int64), k)
    others = neighbours.ravel().astype(np.int64)
    cell = np.concatenate([points * n + others, others * n + points])
    order = np.argsort(cell, kind="stable")
    cell = cell[order]
    value = np.concatenate([p.ravel(), p.ravel()])[order] / np.float32(2 * n)
    first = np.flatnonzero(np.r_[True, cell[1:] != cell[:-1]])
    row, column = np.divmod(cell[first], n)
    starts = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=n))]).astype(np.int64)
    return starts, column.astype(np.int32), np.add.reduceat(value, first)
