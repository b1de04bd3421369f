"""Linear herding: records whose running mean follows the mean of their class."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nmsim.access.work import Step
from nmsim.selection.greedy import ClassPicks, GreedyPerClass, Rows, take


class Herding(GreedyPerClass):
    """Herding (M. Welling, ICML 2009): the record of each class nearest to what its sum lacks.

    After i records, that is (i + 1) · mean - their sum. The nearest record not taken is taken.

    Parameters and attributes: those of `GreedyPerClass`.
    """

    name = "herding"

    def _choose(self, rows: Rows, budget: int, rng: np.random.Generator) -> np.ndarray:
        return follow_mean(rows, budget)

    def _class_steps(self, picks: ClassPicks, buffer_bytes: int, units: int) -> Iterator[Step]:
        # A pass sums the class up; the next forms each record's product with that sum, and its norm. A round:
        # the sum of products, the multiple of the mean, and the score, each a sum of 64 bits or a product of
        # 32, which are priced as two whole additions, or as one in floating point.
        whole = self._mac == "mac_int8"
        adds, words = ("add_int32", 2) if whole else ("add_fp32", 1)
        yield self._pass_step(picks, {adds: self._values}, exchanged_bytes=4 * self._values)
        yield self._pass_step(
            picks,
            {"mac_fp32": self._values, self._mac: self._values} if whole else {self._mac: 2 * self._values},
        )
        yield from self._round_steps(
            picks, buffer_bytes, units, {adds: 3 * words, "mul_fp32": 1, "compare": 1}
        )


def follow_mean(rows: Rows, budget: int) -> np.ndarray:
    """Return `budget` record numbers, int64, in the order of herding.

    The nearest x to w = (i + 1) · mean - sum has the largest 2 w·x - |x|². That is taken n-fold: with int8
    features it is a whole number, and exact.
    """
    n, taken = len(rows), np.zeros(len(rows), dtype=bool)
    total = rows.total()
    with_total = rows.products(total)
    with_taken, norms = np.zeros_like(with_total), rows.norms()
    order = np.empty(budget, dtype=np.int64)
    for t in range(budget):
        order[t] = take(2 * ((t + 1) * with_total - n * with_taken) - n * norms, taken)
        taken[order[t]] = True
        if t + 1 < budget:
            with_taken += rows.dots(order[t])
    return order
