"""Exemplars from a map: exactly as many distinct points as the budget says, spread like the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nmsim.selection import map_kernels

KINDS = ("grid_uniform", "grid_proportional", "medoid", "entropy")

_MAX_ROUNDS = 30  # of Lloyd's algorithm; it slows down long before it stands still


@dataclass(frozen=True, eq=False)
class Sample:
    """The points chosen, and what it took.

    Attributes
    ----------
    chosen : ndarray of int64, shape (budget,)
        Distinct, ascending.
    centres : int
        Centres that every point was compared with in each round (`medoid`), else 0.
    cells : int
        Counters kept in all rounds together (grids): those of a grid's cells, or one a point if that is less.
    rounds : int
        Passes over the map.
    """

    chosen: np.ndarray
    centres: int
    cells: int
    rounds: int


def sample(Y: np.ndarray, budget: int, kind: str, rng: np.random.Generator) -> Sample:
    """Return `budget` exemplars of the map Y.

    Parameters
    ----------
    Y : ndarray of float32, shape (n, 2)
    budget : int
        1 <= budget <= n.
    kind : str
        `medoid`: k-means with `budget` centres, then the member nearest to each. `grid_uniform`: one exemplar
        a cell of the finest square grid that has at most `budget` occupied cells, then second ones where most
        points are. `grid_proportional`: a grid of about `budget` cells, each with its share by population.
        Within a cell the points nearest to its centre are taken. `entropy`: as `grid_uniform`; the name says
        how the map was chosen, see `occupancy_entropy`.
    rng : numpy.random.Generator
        Draws the first centres of `medoid`.
    """
    Y = np.ascontiguousarray(Y, dtype=np.float32)
    kinds = {"medoid": _medoids, "grid_proportional": _proportional}
    return kinds.get(kind, _uniform)(Y, budget, rng)


def occupancy_entropy(Y: np.ndarray, budget: int) -> float:
    """Return how evenly a map fills a grid of about `budget` cells: -sum s log s of the cells' shares s.

    0 where all points share a cell; at most log(cells), where all cells hold equally many.
    """
    cell, _ = _cells(np.asarray(Y, dtype=np.float32), cells_a_side(budget))
    share = np.unique(cell, return_counts=True)[1] / len(Y)
    return float(-(share * np.log(share)).sum())


def cells_a_side(budget: int) -> int:
    """Return the cells a side of a square grid of about `budget` cells."""
    return max(1, round(np.sqrt(budget)))


def _medoids(Y: np.ndarray, budget: int, rng: np.random.Generator) -> Sample:
    n = len(Y)
    centres = Y[np.sort(rng.choice(n, budget, replace=False))]
    labels, distances = np.full(n, -1, dtype=np.int32), np.empty(n, dtype=np.float32)
    rounds = 0
    while rounds < _MAX_ROUNDS:
        rounds, before = rounds + 1, labels.copy()
        map_kernels.nearest_centres(Y, centres, labels, distances)
        if np.array_equal(labels, before):
            break
        count = np.bincount(labels, minlength=budget)
        total = np.stack([np.bincount(labels, Y[:, axis], budget) for axis in (0, 1)], axis=1)
        full = count > 0  # an empty centre stays where it is
        centres[full] = total[full] / count[full, None]
    first = _first_of_each(labels, distances)
    # Duplicates can leave centres empty: what they lack is taken where the map is covered worst.
    free = np.setdiff1d(np.arange(n), first)
    more = free[np.argsort(-distances[free], kind="stable")[: budget - len(first)]]
    return Sample(np.sort(np.concatenate([first, more])), budget, 0, rounds)


def _uniform(Y: np.ndarray, budget: int, rng: np.random.Generator) -> Sample:
    # Finer grids have more occupied cells; search the side of the last one within the budget by halving.
    low, high, rounds, counters = 1, 2, 1, 1
    ceiling = 4 * len(Y)
    while high < ceiling and _occupied(Y, high) <= budget:
        low, high, rounds, counters = high, 2 * high, rounds + 1, counters + min(high * high, len(Y))
    high = min(high, ceiling)
    while high - low > 1:
        middle = (low + high) // 2
        rounds, counters = rounds + 1, counters + min(middle * middle, len(Y))
        low, high = (middle, high) if _occupied(Y, middle) <= budget else (low, middle)
    cell, from_centre = _cells(Y, low)
    _, cell, population = np.unique(cell, return_inverse=True, return_counts=True)
    quota = np.ones(len(population), dtype=np.int64)
    while (missing := budget - quota.sum()) > 0:
        crowded = np.argsort(-(population - quota) / quota, kind="stable")[:missing]
        quota[crowded[population[crowded] > quota[crowded]]] += 1
    return Sample(_fill(cell, from_centre, quota), 0, counters, rounds)


def _proportional(Y: np.ndarray, budget: int, rng: np.random.Generator) -> Sample:
    side = cells_a_side(budget)
    cell, from_centre = _cells(Y, side)
    _, cell, population = np.unique(cell, return_inverse=True, return_counts=True)
    quota, remainder = np.divmod(population * budget, len(Y))
    quota[np.argsort(-remainder, kind="stable")[: budget - quota.sum()]] += 1
    return Sample(_fill(cell, from_centre, quota), 0, min(side * side, len(Y)), 1)


def _cells(Y: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each point's cell in a side × side grid of squares, and its squared distance to the middle."""
    low = Y.min(axis=0)
    width = float((Y.max(axis=0) - low).max()) / side or 1.0
    position = (Y - low) / width
    place = np.minimum(position.astype(np.int64), side - 1)
    return place[:, 0] * side + place[:, 1], ((position - place - 0.5) ** 2).sum(axis=1)


def _occupied(Y: np.ndarray, side: int) -> int:
    return len(np.unique(_cells(Y, side)[0]))


def _first_of_each(labels: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Return the point of least distance of every label that occurs."""
    order = np.lexsort((distances, labels))
    return order[np.unique(labels[order], return_index=True)[1]]


def _fill(cell: np.ndarray, distance: np.ndarray, quota: np.ndarray) -> np.ndarray:
    """Return the quota[c] points of least distance of every cell c, ascending."""
    order = np.lexsort((distance, cell))
    population = np.bincount(cell, minlength=len(quota))
    rank = np.arange(len(cell)) - np.repeat(np.cumsum(population) - population, population)
    return np.sort(order[rank < quota[cell[order]]])
