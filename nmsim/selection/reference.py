"""Slow readable twins of the kernels, in NumPy: what the kernels are tested against."""

from __future__ import annotations

import numpy as np


def squared_distances(X: np.ndarray) -> np.ndarray:
    """Return all squared distances, float64 (n, n), of records (n, d) in the arithmetic of their type.

    Whole numbers: exact. float16 and float32: every difference, product and sum rounded to that type, in 16
    partial sums that are then added in halves.
    """
    if X.dtype.kind != "f":
        X = X.astype(np.int64)
        return ((X[:, None, :] - X[None, :, :]) ** 2).sum(axis=2).astype(np.float64)
    sums = np.zeros((len(X), len(X), 16), dtype=X.dtype)
    for value, column in enumerate(X.T):
        difference = column[:, None] - column[None, :]
        sums[:, :, value % 16] += difference * difference
    while sums.shape[2] > 1:
        half = sums.shape[2] // 2
        sums = sums[:, :, :half] + sums[:, :, half:]
    return sums[:, :, 0].astype(np.float64)


def nearest_neighbours(X: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers and squared distances, both (n, k), of each record's k nearest others.

    Nearest first, equal distances by number. X has shape (n, d).
    """
    d2 = squared_distances(X)
    np.fill_diagonal(d2, np.inf)
    order = np.argsort(d2, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(d2, order, axis=1)


def list_entries(d2: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return how often a point entered each list of the k nearest so far, before and after its own place.

    d2 has shape (n, n); the points are offered in order of their numbers.
    """
    early, late = np.zeros((2, len(d2)), dtype=np.int64)
    for i, row in enumerate(d2):
        kept: list[float] = []
        for j, d in enumerate(row):
            if j == i or (len(kept) == k and d >= kept[-1]):
                continue
            kept = sorted([*kept, d])[:k]
            (early if j < i else late)[i] += 1
    return early, late


def perplexity_of(p: np.ndarray) -> np.ndarray:
    """Return exp(-sum p log p) of each row of p, shape (n, k), with 0 log 0 = 0."""
    logs = np.log(p, where=p > 0, out=np.zeros_like(p, dtype=np.float64))
    return np.exp(-(p * logs).sum(axis=1))


def search_affinities(distances: np.ndarray, perplexity: float, tolerance: float) -> np.ndarray:
    """Return p(j|i), shape (n, k), with the given perplexity in each row, by bisection of log beta."""
    shifted = distances - distances[:, :1]
    rows = []
    for d in shifted:
        if np.count_nonzero(d == 0) >= perplexity * np.exp(-tolerance):
            rows.append((d == 0) / np.count_nonzero(d == 0))
            continue
        low, high = np.log(1e-12 / d.max()), np.log(1e12 / d[d > 0].min())
        for _ in range(200):
            middle = 0.5 * (low + high)
            p = np.exp(-np.exp(middle) * d)
            p /= p.sum()
            if perplexity_of(p[None])[0] > perplexity:
                low = middle
            else:
                high = middle
        rows.append(p)
    return np.array(rows)


def log_perplexity(d: np.ndarray, beta: float) -> float:
    """Return the logarithm of the perplexity of exp(-beta d) / sum."""
    weights = np.exp(-beta * (d - d[0]))
    return float(np.log(weights.sum()) + beta * ((d - d[0]) * weights).sum() / weights.sum())


def halve_by_absolute_error(d: np.ndarray, perplexity: float, tolerance: float) -> tuple[float, int]:
    """Return beta and the values tried by the search on the absolute error, for one point's distances."""
    tried: dict[float, float] = {}

    def error(beta: float) -> float:
        return tried.setdefault(beta, abs(log_perplexity(d, beta) - np.log(perplexity)))

    beta = float(1 / (d - d[0]).mean())
    steps, error_now = 1, error(beta)
    for factor in (2.0, 0.5):
        while error_now > tolerance:
            steps += 1
            if error(factor * beta) >= error_now:
                break
            beta, error_now = factor * beta, error(factor * beta)
    low, high, steps = beta / 2, beta * 2, steps + 2
    error(low), error(high)
    while min(tried.values()) > tolerance and steps < 100:
        middle = (low + high) / 2
        steps, _ = steps + 1, error(middle)
        low, high = (low, middle) if error(low) < error(high) else (middle, high)
    return min(tried, key=lambda beta: tried[beta]), steps


def explode(d: np.ndarray, perplexity: float, tolerance: float, stream: int) -> tuple[float, int]:
    """Return beta and the values tried by the fireworks, for one point's distances; whole-number draws."""

    def uniform(count: int) -> float:
        z = (stream * 0xD1342543DE82EF95 + count * 0x9E3779B97F4A7C15) % 2**64
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
        return ((z ^ (z >> 31)) >> 11) / 2**53

    def error(place: float) -> float:
        return abs(log_perplexity(d, np.exp(place)) - np.log(perplexity))

    place, amplitude, steps = -np.log((d - d[0]).mean()), 2.0, 1
    for _ in range(100):
        if error(place) <= tolerance:
            break
        sparks = [place + amplitude * (2 * uniform(steps + spark) - 1) for spark in range(10)]
        best, steps = min(sparks, key=error), steps + 10
        place, amplitude = (best, amplitude * 1.2) if error(best) < error(place) else (place, amplitude * 0.5)
    return float(np.exp(place)), steps


def map_weights(Y: np.ndarray, gaussian: bool) -> np.ndarray:
    """Return w_ij of a map Y of shape (n, 2), zero on the diagonal."""
    d2 = ((Y[:, None, :] - Y[None, :, :]) ** 2).sum(axis=2)
    w = np.exp(-d2) if gaussian else 1.0 / (1.0 + d2)
    np.fill_diagonal(w, 0.0)
    return w


def kl_divergence(P: np.ndarray, Y: np.ndarray, gaussian: bool) -> float:
    """Return KL(P‖Q) of dense P, shape (n, n), and a map Y, shape (n, 2)."""
    w = map_weights(Y, gaussian)
    Q = w / w.sum()
    there = P > 0
    return float((P[there] * np.log(P[there] / Q[there])).sum())


def gradient(P: np.ndarray, Y: np.ndarray, gaussian: bool) -> np.ndarray:
    """Return dKL/dY, shape (n, 2): 4 sum_j (p_ij - q_ij) g_ij (y_i - y_j), g as in `map_forces`."""
    w = map_weights(Y, gaussian)
    pull = (P - w / w.sum()) * (1.0 if gaussian else w)
    return 4.0 * (pull.sum(axis=1)[:, None] * Y - pull @ Y)


def nearest_centres(Y: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the number of the nearest centre of every point, the lowest of equals."""
    return ((Y[:, None, :] - centres[None, :, :]) ** 2).sum(axis=2).argmin(axis=1)
