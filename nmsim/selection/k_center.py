"""k-center: records such that the farthest other one is as near to them as greedy choice makes it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nmsim.access.work import Step
from nmsim.selection.greedy import ClassPicks, GreedyPerClass, Rows, take


class KCenter(GreedyPerClass):
    """k-center greedy: a random record of each class, then always the farthest from all taken.

    The farthest record is at most twice as far from the taken ones as the best choice of as many could make
    it (T. Gonzalez, Theoretical Computer Science 38, 1985).

    Parameters and attributes: those of `GreedyPerClass`.
    """

    name = "k-center"

    def _choose(self, rows: Rows, budget: int, rng: np.random.Generator) -> np.ndarray:
        return farthest_first(rows, budget, int(rng.integers(len(rows))))

    def _class_steps(self, picks: ClassPicks, buffer_bytes: int, units: int) -> Iterator[Step]:
        # Norms first. A round: |x|² + |c|² - 2 x·c, the smaller of it and what was, the larger of
        # that and the best so far.
        yield self._pass_step(picks, {self._mac: self._values})
        adds = "add_int32" if self._mac == "mac_int8" else "add_fp32"
        yield from self._round_steps(picks, buffer_bytes, units, {adds: 2, "compare": 2})


def farthest_first(rows: Rows, budget: int, first: int) -> np.ndarray:
    """Return `budget` record numbers, int64: `first`, then always the farthest from all before."""
    norms, taken = rows.norms(), np.zeros(len(rows), dtype=bool)
    order = np.empty(budget, dtype=np.int64)
    nearest = np.full(len(rows), np.iinfo(np.int64).max if rows.whole else np.inf)
    nearest = nearest.astype(norms.dtype)
    order[0], taken[first] = first, True
    for t in range(1, budget):
        last = order[t - 1]
        np.minimum(nearest, norms + norms[last] - 2 * rows.dots(last), out=nearest)
        order[t] = take(nearest, taken)
        taken[order[t]] = True
    return order
