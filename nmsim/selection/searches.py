"""Searches for the width of each point's neighbourhood: the beta at which it has a given perplexity.

All three try values of beta and see the logarithm of the perplexity there. `reference` holds slow twins.
"""

from __future__ import annotations

import math

import numpy as np
from numba import prange

from nmsim.compiled import njit

#: By name, as the kernel numbers them.
SEARCHES = ("bisection", "absolute", "fireworks")

#: Values of beta after which a search by halving gives up; doubles cannot be halved more often to any effect.
MAX_STEPS = 100
#: The fireworks: sparks of an explosion, explosions at most, and what a better spark, or none, does to the
#: amplitude, which begins as FIRST_AMPLITUDE in units of log beta.
SPARKS, MAX_EXPLOSIONS = 10, 100
AMPLIFIED, REDUCED, FIRST_AMPLITUDE = 1.2, 0.5, 2.0


@njit(parallel=True, cache=True)
def search_affinities(distances, perplexity, tolerance, search, affinities, achieved, steps):
    """Write each point's conditional affinities p(j|i) of a given perplexity.

    Parameters
    ----------
    distances : ndarray of float64, shape (n, k)
        Squared distances to the neighbours, ascending.
    perplexity : float
        1 <= perplexity <= k.
    tolerance : float
        Difference in the logarithm of the perplexity at which a search stops.
    search : int
        Place in `SEARCHES`.
    affinities : ndarray of float32, shape (n, k), written
        Rows sum to 1.
    achieved : ndarray of float64, shape (n,), written
        The perplexity reached.
    steps : ndarray of int32, shape (n,), written
        Values of beta tried.

    Notes
    -----
    H(beta) = log S + beta E falls monotonically, with S = sum exp(-beta d) and E = sum d exp(-beta d) / S, as
    dH/dbeta = -beta Var(d). Where m neighbours are equally nearest, H tends to log m from above: a target at
    or below m gives the limit, equal affinities for those m.
    """
    target = math.log(perplexity)
    k = distances.shape[1]
    for i in prange(distances.shape[0]):
        base = distances[i, 0]
        ties, mean = 0, 0.0
        for j in range(k):
            mean += (distances[i, j] - base) / k
            if distances[i, j] == base:
                ties += 1
        steps[i] = 0
        if math.log(ties) >= target - tolerance:
            for j in range(k):
                affinities[i, j] = 1.0 / ties if j < ties else 0.0
            achieved[i] = ties
            continue
        if search == 0:
            beta, tried = _bisect(distances[i], target, tolerance, 1.0 / mean)
        elif search == 1:
            beta, tried = _halve_by_absolute_error(distances[i], target, tolerance, 1.0 / mean)
        else:
            beta, tried = _explode(distances[i], target, tolerance, 1.0 / mean, i)
        entropy, total = _entropy(distances[i], beta)
        for j in range(k):
            affinities[i, j] = math.exp(-beta * (distances[i, j] - base)) / total
        achieved[i], steps[i] = math.exp(entropy), tried


@njit(inline="always")
def _entropy(distances, beta):
    """Return the logarithm of the perplexity, and the sum of the weights."""
    total, moment = 0.0, 0.0
    for j in range(len(distances)):
        d = distances[j] - distances[0]
        weight = math.exp(-beta * d)
        total += weight
        moment += d * weight
    return math.log(total) + beta * moment / total, total


@njit(cache=True)
def _bisect(distances, target, tolerance, beta):
    """Return beta, and how many were tried: the error's sign says on which side the answer lies."""
    low, high, tried = 0.0, np.inf, beta
    for step in range(MAX_STEPS):
        tried = beta
        error = _entropy(distances, beta)[0] - target
        if abs(error) <= tolerance:
            return beta, step + 1
        if error > 0:
            low = beta
            beta = 2.0 * beta if high == np.inf else 0.5 * (low + high)
        else:
            high = beta
            beta = 0.5 * (low + high)
    return tried, MAX_STEPS


@njit(cache=True)
def _halve_by_absolute_error(distances, target, tolerance, beta):
    """Return the best beta met, and how many were tried: halving that sees |error| alone.

    From the start it doubles while |error| falls, or halves while it falls, so that the answer lies between
    the neighbours of the best. Then it halves that interval, each time to the half whose end has the smaller
    |error|, as if |error| were monotone there. It is V-shaped, and the answer may lie in the other half.
    """
    error, steps = abs(_entropy(distances, beta)[0] - target), 1
    for factor in (2.0, 0.5):
        while error > tolerance and steps < MAX_STEPS:
            further = abs(_entropy(distances, factor * beta)[0] - target)
            steps += 1
            if further >= error:
                break
            beta, error = factor * beta, further
    best, least = beta, error
    low, high = 0.5 * beta, 2.0 * beta
    at_low = abs(_entropy(distances, low)[0] - target)
    at_high = abs(_entropy(distances, high)[0] - target)
    steps += 2
    while least > tolerance and steps < MAX_STEPS:
        middle = 0.5 * (low + high)
        error = abs(_entropy(distances, middle)[0] - target)
        steps += 1
        if error < least:
            best, least = middle, error
        if at_low < at_high:
            high, at_high = middle, error
        else:
            low, at_low = middle, error
    return best, steps


@njit(cache=True)
def _explode(distances, target, tolerance, beta, seed):
    """Return the best beta met, and how many were tried: one firework whose best spark is the next one.

    The bare bones fireworks algorithm (J. Li, Y. Tan, Applied Soft Computing 62, 2018) on |error| over
    log beta. Its sparks are drawn evenly within the amplitude, from a stream of the point's own number.
    """
    place, amplitude = math.log(beta), FIRST_AMPLITUDE
    least, steps = abs(_entropy(distances, beta)[0] - target), 1
    for _ in range(MAX_EXPLOSIONS):
        if least <= tolerance:
            break
        centre, before = place, least
        for _ in range(SPARKS):
            spark = centre + amplitude * (2.0 * _uniform(seed, steps) - 1.0)
            error = abs(_entropy(distances, math.exp(spark))[0] - target)
            steps += 1
            if error < least:
                place, least = spark, error
        amplitude *= AMPLIFIED if least < before else REDUCED
    return math.exp(place), steps


@njit(inline="always")
def _uniform(stream, count):
    """Return number `count` of a stream, in 0 … 1: SplitMix64 (G. Steele et al., OOPSLA 2014)."""
    z = np.uint64(stream) * np.uint64(0xD1342543DE82EF95) + np.uint64(count) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return np.float64(z >> np.uint64(11)) * 2.0**-53
