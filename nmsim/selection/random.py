"""The baseline that is hard to beat: the same share of every class, drawn at random."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nmsim.access.work import ArraySpec, Step, Transfer
from nmsim.machine import Need
from nmsim.rng import stream
from nmsim.selection.needs import Records
from nmsim.selection.selector import Estimator

INDEX_BYTES = 4

#: Instructions of one draw without replacement: a generator step, a bounded multiply, a swap of two indices
#: and the loop around them. An estimate, and a small one beside anything that touches an image.
INSTRUCTIONS_PER_DRAW = 20


class RandomPerClass(Estimator):
    """Select at random within each class.

    Parameters
    ----------
    keep_ratio : float
        Share of the samples to keep, 0 < keep_ratio <= 1.
    random_state : int
        Seed, 0 <= random_state < 2**63.

    Attributes
    ----------
    indices_ : ndarray of int64, shape (budget,)
        The chosen records, ascending and distinct.
    """

    host_only = "it reads no image, so that nothing is won beside them"

    def __init__(self, keep_ratio: float = 0.1, *, random_state: int = 1):
        self.keep_ratio, self.random_state = keep_ratio, random_state

    def fit(self, X: np.ndarray, y: np.ndarray) -> RandomPerClass:
        """Select from X, shape (n, …), with labels y, shape (n,), and return self; X is only counted.

        Raises
        ------
        DataError
            For data, labels or a keep ratio that cannot be used.
        ConfigError
            For a seed out of its range.
        """
        y, labels, _, budgets = self.checked(X, y)
        chosen = [
            stream(self.random_state, "selection", "random", int(label)).choice(
                np.flatnonzero(y == label), int(share), replace=False
            )
            for label, share in zip(labels, budgets, strict=True)
        ]
        self.indices_ = np.sort(np.concatenate(chosen))
        return self

    def needs(self, records: Records) -> Iterator[Need]:
        """Yield nothing: what is held is next to nothing."""
        return iter(())

    def duration_s(self, records: Records) -> float:
        """Return no time."""
        return 0.0

    def arrays(self) -> list[ArraySpec]:
        """Return the one array that is written: the chosen indices."""
        return [ArraySpec("indices", len(self.indices_), INDEX_BYTES)]

    def steps(self, buffer_bytes: int, units: int = 1) -> Iterator[Step]:
        """Return the draws, and the writing of the result; no record is read."""
        budget = len(self.indices_)
        yield Step("sampling", operations={"cpu_instruction": INSTRUCTIONS_PER_DRAW * budget})
        rows = np.arange(budget, dtype=np.int64)
        yield Step("indices", (Transfer("indices", rows, write=True),))
