"""The loops of the greedy selections that are worth compiling; `greedy_reference` holds slow twins.

Every point's result is its own and is summed in one fixed order, so that any number of threads gives the
same. Inner products with one record are too short to be shared out: they leave Python's lock, and classes
run side by side.
"""

from __future__ import annotations

import heapq

import numpy as np
from numba import prange

from nmsim.compiled import njit

_VECTOR = {"contract", "reassoc", "nsz"}


@njit(nogil=True, cache=True)
def whole_dots(codes, one, out):
    """Write the inner products of all records with one of them, exact.

    Parameters
    ----------
    codes : ndarray of int8, shape (n, d)
    one : int
        The record's number.
    out : ndarray of int64, shape (n,), written
    """
    for row in range(codes.shape[0]):
        total = np.int32(0)  # d · 2**14 fits for every d whose distances fit into 32 bits
        for v in range(codes.shape[1]):
            total = np.int32(total + np.int32(codes[row, v]) * np.int32(codes[one, v]))
        out[row] = total


@njit(nogil=True, cache=True, fastmath=_VECTOR)
def float_dots(codes, one, out):
    """Write the inner products of all records, float32 (n, d), with one of them to float32 (n,)."""
    for row in range(codes.shape[0]):
        total = np.float32(0.0)
        for v in range(codes.shape[1]):
            total += codes[row, v] * codes[one, v]
        out[row] = total


@njit(cache=True, fastmath=_VECTOR)
def _gain(row, covered):
    total = 0.0
    for j in range(len(row)):
        total += max(np.float32(0.0), row[j] - covered[j])
    return total


@njit(parallel=True, cache=True)
def first_gains(similarity, covered, out):
    """Write every record's gain while nothing is taken; see `lazy_facility_location`."""
    for x in prange(len(similarity)):
        out[x] = _gain(similarity[x], covered)


@njit(cache=True)
def lazy_facility_location(similarity, budget, gains, covered, order, tried):
    """Take records that raise the sum over all records of the similarity to the nearest taken one most.

    A gain only falls as more is taken, so that one worked out earlier bounds it: the record with the largest
    bound is worked out anew, and is taken where it stays in front (M. Minoux, 1978). The rounding of sums of
    smaller terms in the same order is no larger either, so this is the plain greedy, ties and all.

    Parameters
    ----------
    similarity : ndarray of float32, shape (n, n)
        Symmetric, at least 0.
    budget : int
        1 <= budget <= n.
    gains : ndarray of float64, shape (n,)
        Of every record, nothing taken.
    covered : ndarray of float32, shape (n,), written
        Zeros; then the similarity to the nearest taken record.
    order : ndarray of int64, shape (budget,), written
        What is taken, in order; of equal gains the lowest number first.
    tried : ndarray of int64, shape (budget,), written
        Gains worked out anew before each was taken.
    """
    n = len(similarity)
    heap = [(-gains[x], x) for x in range(n)]
    heapq.heapify(heap)
    fresh = np.zeros(n, dtype=np.int64)
    for t in range(budget):
        while fresh[heap[0][1]] != t:
            x = heap[0][1]
            fresh[x] = t
            tried[t] += 1
            heapq.heapreplace(heap, (-_gain(similarity[x], covered), x))
        x = heapq.heappop(heap)[1]
        order[t] = x
        for j in range(n):
            covered[j] = max(covered[j], similarity[x, j])
