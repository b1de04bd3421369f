"""Nearest neighbours in each number format, compiled; `reference` holds slow readable twins.

Every kernel is parallel over points and every point writes only its own results, so that they are the same
for any number of threads. Distances are summed in the order that `formats.Format` gives.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from nmsim.compiled import njit

#: Points that are compared side by side.
BLOCK = 128


@njit(parallel=True, cache=True)
def nearest_neighbours(dots, norms, first, indices, distances, early, late):
    """Write the k nearest neighbours of a tile of points.

    Parameters
    ----------
    dots : ndarray of float32 or float64, shape (q, n)
        Inner products of points first … first+q-1 with all n points; exact integers.
    norms : ndarray of float64, shape (n,)
        Squared norms of all points, exact integers.
    first : int
        Number of the tile's first point.
    indices : ndarray of int32, shape (q, k), written
        The neighbours, nearest first, equal distances by number; 1 <= k < n.
    distances : ndarray of float64, shape (q, k), written
        Their squared distances.
    early, late : ndarray of int64, shape (q,), written
        How many points, offered in order of their numbers, entered the list of the k nearest so far: among
        those before the point itself, and among those after it.
    """
    n = dots.shape[1]
    for row in prange(dots.shape[0]):
        own = first + row
        distance = np.empty(BLOCK)
        filled, entered, before = 0, 0, 0
        for start in range(0, n, BLOCK):
            size = min(BLOCK, n - start)
            for lane in range(size):
                distance[lane] = norms[own] + norms[start + lane] - 2.0 * dots[row, start + lane]
            filled, entered, before = _offer(
                distance, size, start, own, indices[row], distances[row], filled, entered, before
            )
        early[row] = before
        late[row] = entered - before


@njit(inline="always")
def _offer(distance, size, start, own, indices, distances, filled, entered, before):
    """Offer a block of points, numbered from `start`, to a list; return its length and how many entered.

    `before` is how many had entered when the turn of the point `own` came. Most blocks bring nothing that
    is near enough: counting that takes no branches.
    """
    bound = distances[-1] if filled == len(distances) else np.inf
    near = 0
    for lane in range(size):
        near += distance[lane] < bound
    if near > 0:
        for lane in range(size):
            j = start + lane
            if j == own:
                before = entered
            elif filled < len(distances) or distance[lane] < distances[-1]:
                entered += 1
                filled = _enter(indices, distances, filled, j, np.float64(distance[lane]))
    elif start <= own < start + size:
        before = entered
    return filled, entered, before


@njit(inline="always")
def _enter(indices, distances, filled, j, d2):
    """Put j into an ordered list behind what is as near, dropping the last if full; return its length."""
    filled = min(filled + 1, len(distances))
    place = filled - 1
    while place > 0 and distances[place - 1] > d2:
        distances[place] = distances[place - 1]
        indices[place] = indices[place - 1]
        place -= 1
    distances[place] = d2
    indices[place] = j
    return filled


@njit(inline="always")
def _to_half(x):
    """Return a finite float32 below 65,520 rounded to the nearest float16, ties to even, as a float32.

    Normal numbers lose 13 bits of their significand; where float16 has no normal numbers, below 2**-14, the
    sum with 3/4, whose last bit is worth 2**-24 as float16's is there, does the rounding.
    """
    bits = np.float32(x).view(np.int32)
    normal = np.int32((bits + np.int32(0xFFF) + ((bits >> np.int32(13)) & np.int32(1))) & np.int32(-0x2000))
    small = (x + np.float32(0.75)) - np.float32(0.75)
    return small if abs(x) < np.float32(2.0**-14) else normal.view(np.float32)


@njit(parallel=True, cache=True)
def nearest_screened_neighbours(dots, norms, X, first, indices, distances, early, late):
    """Write the k nearest neighbours of a tile of points by distances in float32.

    Parameters
    ----------
    dots : ndarray of float32, shape (q, n)
        Inner products of points first … first+q-1 with all n points, summed in any order.
    norms : ndarray of float32, shape (n,)
        Half the squared norms of all points, lowered so far that norms[i] + norms[j] - dots[i, j] is no more
        than half the distance in float32 (see `affinities.screening_norms`).
    X : ndarray of float32, shape (n, d)
        All points.
    first, indices, distances, early, late
        As in `nearest_neighbours`.

    Notes
    -----
    Most points are too far by the lower bound alone. Of the others the distance is formed in the order of
    summing of `formats.Format`, so that inner products decide nothing, nor does the library they come from.
    A bound that cannot be formed is NaN, and rules nothing out.
    """
    n, k, half = len(X), indices.shape[1], np.float32(0.5)
    for row in prange(dots.shape[0]):
        own = first + row
        lower = np.empty(BLOCK, dtype=np.float32)
        sums = np.empty(16, dtype=np.float32)
        nearest, found = distances[row], indices[row]
        filled, entered, before = 0, 0, 0
        for start in range(0, n, BLOCK):
            size = min(BLOCK, n - start)
            bound = half * np.float32(nearest[-1]) if filled == k else np.float32(np.inf)
            near = 0
            for lane in range(size):
                lower[lane] = (norms[own] + norms[start + lane]) - dots[row, start + lane]
                near += not (lower[lane] >= bound)
            if start <= own < start + size:
                near += 1
            if near > 0:
                for lane in range(size):
                    j = start + lane
                    if j == own:
                        before = entered
                    elif filled < k or not (lower[lane] >= half * np.float32(nearest[-1])):
                        d2 = _distance(X[own], X[j], sums)
                        if filled < k or d2 < nearest[-1]:
                            entered += 1
                            filled = _enter(found, nearest, filled, j, np.float64(d2))
        early[row] = before
        late[row] = entered - before


@njit(inline="always")
def _distance(x, y, sums):
    """Return the squared distance of two points in float32: 16 partial sums, added in halves."""
    d = len(x)
    sums[:] = np.float32(0.0)
    for start in range(0, d - d % 16, 16):
        for lane in range(16):
            difference = x[start + lane] - y[start + lane]
            sums[lane] += difference * difference
    for value in range(d - d % 16, d):
        difference = x[value] - y[value]
        sums[value % 16] += difference * difference
    width = 8
    while width > 0:
        for lane in range(width):
            sums[lane] += sums[lane + width]
        width //= 2
    return sums[0]


@njit(parallel=True, cache=True)
def nearest_half_neighbours(X, columns, indices, distances, early, late):
    """Write the k nearest neighbours of all points by distances in float16.

    Parameters
    ----------
    X : ndarray of float32, shape (n, d)
        All points; values of float16.
    columns : ndarray of float32, shape (d, m)
        X transposed and filled up with zeros to a multiple of `BLOCK` points.
    indices, distances, early, late
        As in `nearest_neighbours`.

    Notes
    -----
    Differences, products and sums are rounded to float16, in the order of summing of `formats.Format`: 16
    partial sums, added in halves. A block of points is compared side by side, so that every step fills the
    vector units.
    """
    n, d = X.shape
    for own in prange(n):
        sums = np.empty((16, BLOCK), dtype=np.float32)
        filled, entered, before = 0, 0, 0
        for start in range(0, n, BLOCK):
            sums[:] = np.float32(0.0)
            for value in range(d):
                _add_squares(X[own, value], columns[value, start : start + BLOCK], sums[value % 16])
            width = 8
            while width > 0:
                for lane in range(width):
                    _add(sums[lane], sums[lane + width])
                width //= 2
            size = min(BLOCK, n - start)
            filled, entered, before = _offer(
                sums[0], size, start, own, indices[own], distances[own], filled, entered, before
            )
        early[own] = before
        late[own] = entered - before


@njit(inline="always")
def _add_squares(x, others, sums):
    """Add (x - others)² for all points of a block."""
    for lane in range(BLOCK):
        difference = _to_half(x - others[lane])
        sums[lane] = _to_half(sums[lane] + _to_half(difference * difference))


@njit(inline="always")
def _add(sums, more):
    for lane in range(BLOCK):
        sums[lane] = _to_half(sums[lane] + more[lane])
