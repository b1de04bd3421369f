"""Slow readable twins of the greedy selections: every quantity from its definition, with whole matrices.

Each takes the features of one class, shape (n, d), and returns what is taken, in order, the lowest number of
equals first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np


def k_center(features: np.ndarray, budget: int, first: int) -> list[int]:
    """Return `first`, then again and again the record farthest from all that are taken."""
    X = features.astype(np.float64)
    d2 = ((X[:, None, :] - X[None, :, :]) ** 2).sum(axis=2)
    taken = [first]
    while len(taken) < budget:
        taken.append(_best(d2[:, taken].min(axis=1), taken))
    return taken


def herding(features: np.ndarray, budget: int) -> list[int]:
    """Return the records whose sum follows the mean's multiples: the nearest to what is missing."""
    X = features.astype(np.float64)
    mean = X.mean(axis=0)
    taken: list[int] = []
    while len(taken) < budget:
        missing = (len(taken) + 1) * mean - X[taken].sum(axis=0)
        taken.append(_best(-((X - missing) ** 2).sum(axis=1), taken))
    return taken


def cosine_similarity(features: np.ndarray) -> np.ndarray:
    """Return 1/2 + 1/2 cos of all pairs, float64 (n, n); the cosine with a record of zeros is 0."""
    X = features.astype(np.float64)
    lengths = np.linalg.norm(X, axis=1, keepdims=True)
    unit = np.divide(X, lengths, out=np.zeros_like(X), where=lengths > 0)
    return 0.5 + 0.5 * unit @ unit.T


def graph_cut(similarity: np.ndarray, redundancy: float, taken: Sequence[int]) -> float:
    """Return the similarity of all to the taken, less `redundancy` times that among the taken."""
    of_taken = similarity[:, list(taken)]
    return of_taken.sum() - redundancy * of_taken[list(taken)].sum()


def facility_location(similarity: np.ndarray, taken: Sequence[int]) -> float:
    """Return the sum over all records of the similarity to the nearest taken one."""
    return similarity[:, list(taken)].max(axis=1, initial=0).sum()


def greedy(value: Callable[[Sequence[int]], float], n: int, budget: int) -> list[int]:
    """Return what plain greedy takes to raise `value(taken)` of a list of numbers below n."""
    taken: list[int] = []
    while len(taken) < budget:
        values = np.array([value([*taken, x]) if x not in taken else -np.inf for x in range(n)])
        taken.append(int(values.argmax()))
    return taken


def _best(scores: np.ndarray, taken: list[int]) -> int:
    scores = scores.copy()
    scores[taken] = -np.inf
    return int(scores.argmax())
