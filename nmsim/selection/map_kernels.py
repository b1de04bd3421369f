"""Forces, descent, costs and centres of maps, compiled; `reference` holds slow readable twins.

Every kernel is parallel over points and every point writes only its own results, so that they are the same
for any number of threads. Inner sums may be reordered for vector units ("reassoc"), which the compiler does
in one fixed way for a given processor. Nothing here divides by zero or meets NaN for finite input.
"""

from __future__ import annotations

import math

import numpy as np
from numba import prange

from nmsim.compiled import njit

VECTOR = {"contract", "reassoc", "nsz", "arcp"}


@njit(fastmath=VECTOR, inline="always")
def _exp_of_minus(x):
    """Return exp(-x) for 0 <= x in float32, to a relative error of 2e-7, in arithmetic that vectorises.

    exp(-x) = 2**k · 2**f with whole k and |f| <= 1/2; 2**f by its Taylor series to the seventh power (the
    next term, (f log 2)**8 / 8!, is below 6e-9); 2**k by setting the exponent's bits. Beyond 87, x counts as
    87.
    """
    power = max(-x, np.float32(-87.0)) * np.float32(1.4426950408889634)
    whole = np.floor(power + np.float32(0.5))
    t = (power - whole) * np.float32(0.6931471805599453)
    series = np.float32(1 / 5040)
    series = series * t + np.float32(1 / 720)
    series = series * t + np.float32(1 / 120)
    series = series * t + np.float32(1 / 24)
    series = series * t + np.float32(1 / 6)
    series = series * t + np.float32(0.5)
    series = series * t + np.float32(1)
    series = series * t + np.float32(1)
    bits = np.int32((np.int32(whole) + np.int32(127)) << np.int32(23))
    return series * bits.view(np.float32)


@njit(parallel=True, cache=True, fastmath=VECTOR)
def map_forces(Y, pairs, starts, indices, P, gaussian, attraction, repulsion, weights):
    """Write the two halves of the gradient of maps that lie side by side in one array.

    Parameters
    ----------
    Y : ndarray of float32, shape (2, n)
        The maps, one row a coordinate.
    pairs : ndarray of int64, shape (m, 3)
        Points in twos: i, standing for i and i+1, and the first and the end of the points of their map. Where
        i+1 is that end, i stands alone. Every point occurs once.
    starts, indices, P : ndarray of int64 (n + 1,), int32 (e,), float32 (e,)
        Joint affinities p_ij, row i at starts[i] … starts[i+1]-1 (compressed sparse rows).
    gaussian : bool
        Map weights w = exp(-d²) where true, else 1/(1 + d²), with d the distance in the map.
    attraction : ndarray of float32, shape (2, n), written
        sum_j p_ij g_ij (y_i - y_j), with g = 1 for the Gaussian kernel and g = w for Student's.
    repulsion : ndarray of float32, shape (2, n), written
        sum_j w_ij g_ij (y_i - y_j).
    weights : ndarray of float32, shape (n,), written
        sum_j w_ij over the other points of i's map.

    Notes
    -----
    With Z = sum_i weights_i over a map the gradient of KL(P‖Q) is 4 (attraction - repulsion / Z).
    Points go in twos, as 1/u and 1/v cost one division together: r = 1/(u v), 1/u = v r, 1/v = u r.
    """
    one = np.float32(1.0)
    for pair in prange(pairs.shape[0]):
        i, first, end = pairs[pair]
        k = min(i + 1, end - 1)  # a point alone is its own partner and is done twice, alike
        xi, yi, xk, yk = Y[0, i], Y[1, i], Y[0, k], Y[1, k]
        si = sk = fi = gi = fk = gk = np.float32(0.0)
        for start, stop in ((first, i), (k + 1, end)):
            xs, ys = Y[0, start:stop], Y[1, start:stop]  # no j is i or k, and no index below 0
            if gaussian:
                for j in range(len(xs)):
                    dx, dy, ex, ey = xi - xs[j], yi - ys[j], xk - xs[j], yk - ys[j]
                    a = _exp_of_minus(dx * dx + dy * dy)
                    b = _exp_of_minus(ex * ex + ey * ey)
                    si += a
                    sk += b
                    fi += a * dx
                    gi += a * dy
                    fk += b * ex
                    gk += b * ey
            else:
                for j in range(len(xs)):
                    dx, dy, ex, ey = xi - xs[j], yi - ys[j], xk - xs[j], yk - ys[j]
                    u = one + dx * dx + dy * dy
                    v = one + ex * ex + ey * ey
                    r = one / (u * v)
                    a = v * r
                    b = u * r
                    si += a
                    sk += b
                    a *= a
                    b *= b
                    fi += a * dx
                    gi += a * dy
                    fk += b * ex
                    gk += b * ey
        if k > i:
            dx, dy = xi - xk, yi - yk
            a = _exp_of_minus(dx * dx + dy * dy) if gaussian else one / (one + dx * dx + dy * dy)
            si += a
            sk += a
            a *= one if gaussian else a
            fi += a * dx
            gi += a * dy
            fk -= a * dx
            gk -= a * dy
        weights[i], repulsion[0, i], repulsion[1, i] = si, fi, gi
        weights[k], repulsion[0, k], repulsion[1, k] = sk, fk, gk
        for point in (i, k):
            attraction[0, point], attraction[1, point] = _pull(Y, point, starts, indices, P, gaussian)


@njit(parallel=True, cache=True, fastmath=VECTOR)
def map_attraction(Y, points, starts, indices, P, gaussian, attraction):
    """Write the attraction alone, for the `points` (int64, shape (m,)); the rest as in `map_forces`."""
    for place in prange(points.shape[0]):
        point = points[place]
        attraction[0, point], attraction[1, point] = _pull(Y, point, starts, indices, P, gaussian)


@njit(fastmath=VECTOR, inline="always")
def _pull(Y, point, starts, indices, P, gaussian):
    """Return the attraction of one point, as in `map_forces`."""
    x, y = Y[0, point], Y[1, point]
    others, p = indices[starts[point] : starts[point + 1]], P[starts[point] : starts[point + 1]]
    f = g = np.float32(0.0)
    for edge in range(len(p)):
        other = np.uint32(others[edge])  # unsigned: no look whether it counts from the end
        dx, dy = x - Y[0, other], y - Y[1, other]
        pull = p[edge] if gaussian else p[edge] / (np.float32(1.0) + dx * dx + dy * dy)
        f += pull * dx
        g += pull * dy
    return f, g


@njit(cache=True)
def descend(Y, velocity, gains, attraction, repulsion, firsts, Z, rates, exaggeration, momentum):
    """Move the points of all maps by one step of gradient descent with momentum and gains.

    Parameters
    ----------
    Y, velocity, gains : ndarray of float32, shape (2, n), updated
    attraction, repulsion : ndarray of float32, shape (2, n)
        From `map_forces`.
    firsts, Z, rates : ndarray of int64 and float32, shape (m,)
        Of each map: its first point, its sum of weights, its learning rate.
    exaggeration, momentum : float32

    Notes
    -----
    A coordinate's gain grows by 0.2 where the gradient still points against the velocity, else shrinks
    to 0.8 of itself, never below 0.01.
    """
    for m in range(len(firsts)):
        end = firsts[m + 1] if m + 1 < len(firsts) else Y.shape[1]
        for axis in range(2):
            for i in range(firsts[m], end):
                pull = exaggeration * attraction[axis, i]
                gradient = np.float32(4.0) * (pull - repulsion[axis, i] / Z[m])
                gain = gains[axis, i]
                against = (velocity[axis, i] > 0) != (gradient > 0)
                gain = gain + np.float32(0.2) if against else gain * np.float32(0.8)
                gain = max(gain, np.float32(0.01))
                gains[axis, i] = gain
                velocity[axis, i] = momentum * velocity[axis, i] - rates[m] * gain * gradient
                Y[axis, i] += velocity[axis, i]


@njit(parallel=True, cache=True)
def map_costs(Y, starts, indices, P, gaussian, costs):
    """Write sum_j p_ij (log p_ij - log w_ij) and sum_j p_ij of every point i, float64 (2, n).

    KL(P‖Q) of a map is the sum of the first over its points plus log Z times the sum of the second; p_ij = 0
    counts nothing. The rest as in `map_forces`.
    """
    for i in prange(Y.shape[1]):
        cost = share = 0.0
        for edge in range(starts[i], starts[i + 1]):
            p = np.float64(P[edge])
            if p > 0.0:
                dx = np.float64(Y[0, i] - Y[0, indices[edge]])
                dy = np.float64(Y[1, i] - Y[1, indices[edge]])
                d2 = dx * dx + dy * dy
                cost += p * (math.log(p) + (d2 if gaussian else math.log1p(d2)))
                share += p
        costs[0, i], costs[1, i] = cost, share


@njit(parallel=True, cache=True)
def nearest_centres(Y, centres, labels, distances):
    """Write the number of the nearest centre of every point, the lowest of equals, and its squared distance.

    Parameters
    ----------
    Y : ndarray of float32, shape (n, 2)
    centres : ndarray of float32, shape (k, 2)
    labels : ndarray of int32, shape (n,), written
    distances : ndarray of float32, shape (n,), written
    """
    for i in prange(Y.shape[0]):
        best, label = np.float32(np.inf), 0
        for c in range(centres.shape[0]):
            dx, dy = Y[i, 0] - centres[c, 0], Y[i, 1] - centres[c, 1]
            d2 = dx * dx + dy * dy
            if d2 < best:
                best, label = d2, c
        labels[i], distances[i] = label, best
