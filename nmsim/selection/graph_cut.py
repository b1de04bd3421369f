"""Graph cut: records that are like their whole class and unlike each other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nmsim.access.work import Step
from nmsim.selection.greedy import ClassPicks, GreedyPerClass, Rows, take
from nmsim.selection.selector import check_number


class GraphCut(GreedyPerClass):
    """Graph cut: greedily, the likeness of a class to the taken records less their likeness to each other.

    f(S) = sum of s(i, j) over all i of the class and j in S, less `redundancy` times that over i and j in S,
    with s = 1/2 + 1/2 cos of the features.

    Parameters
    ----------
    redundancy : float
        From 0 to 100. Up to 1/2 no record lowers f, and greedy choice then reaches at least 1 - 1/e of the
        best. 1 gives the gains that dataset quantization (arXiv 2308.10524) and DeepCore use.

    Notes
    -----
    The other parameters, and the attributes, are those of `GreedyPerClass`. Cosines are between features
    whose origin is the mean where they are principal components, and mid-grey otherwise. Sums of
    similarities are kept in float64 here, and priced as in float32.
    """

    name = "graph-cut"

    def __init__(
        self,
        keep_ratio: float = 0.1,
        *,
        redundancy: float = 1.0,
        features: str = "pca",
        pool_size: int = 2,
        n_features: int = 50,
        number_format: str = "int8",
        random_state: int = 1,
    ):
        super().__init__(
            keep_ratio,
            features=features,
            pool_size=pool_size,
            n_features=n_features,
            number_format=number_format,
            random_state=random_state,
        )
        self.redundancy = redundancy

    def check_parameters(self) -> None:
        """Raise ConfigError for a parameter out of its range."""
        super().check_parameters()
        check_number("redundancy", self.redundancy, 0, 100)

    def _choose(self, rows: Rows, budget: int, rng: np.random.Generator) -> np.ndarray:
        return cut(rows, budget, self.redundancy)

    def _class_steps(self, picks: ClassPicks, buffer_bytes: int, units: int) -> Iterator[Step]:
        # A pass sums the records up at unit length (norm, root, reciprocal, products); the next forms each
        # one's product with that sum. A round: the cosine, its halves, the sum with the taken, the score.
        lengths = {self._mac: self._values, "div_fp32": 2}
        floats = {"mac_fp32": self._values + lengths.pop("mac_fp32", 0)}
        yield self._pass_step(picks, lengths | floats, exchanged_bytes=4 * self._values)
        yield self._pass_step(picks, {"mac_fp32": self._values + 1})
        per_record = {"mul_fp32": 2, "add_fp32": 2, "mac_fp32": 1, "compare": 1}
        yield from self._round_steps(picks, buffer_bytes, units, per_record)


def reciprocal_lengths(rows: Rows) -> np.ndarray:
    """Return 1 / |x| of every record, float64 (n,); 0 for a record of zeros, whose cosines are then 0."""
    lengths = np.sqrt(rows.norms().astype(np.float64))
    return np.divide(1.0, lengths, out=np.zeros(len(rows)), where=lengths > 0)


def cut(rows: Rows, budget: int, redundancy: float) -> np.ndarray:
    """Return `budget` record numbers, int64, in the order of largest gain."""
    inverse, taken = reciprocal_lengths(rows), np.zeros(len(rows), dtype=bool)
    # The cosines of a record with all others sum to its product with the sum of all at unit length.
    whole = 0.5 * len(rows) + 0.5 * inverse * rows.products(inverse @ rows.codes)
    with_itself, with_taken = 0.5 + 0.5 * (inverse > 0), np.zeros(len(rows))
    order = np.empty(budget, dtype=np.int64)
    for t in range(budget):
        order[t] = take(whole - redundancy * (2.0 * with_taken + with_itself), taken)
        taken[order[t]] = True
        if t + 1 < budget:
            with_taken += 0.5 + 0.5 * inverse * inverse[order[t]] * rows.dots(order[t])
    return order
