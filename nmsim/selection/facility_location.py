"""Facility location: records such that every other one of the class has one of them near."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nmsim.access.work import ArraySpec, Step, Transfer
from nmsim.errors import ResourceLimitError
from nmsim.machine import Need
from nmsim.selection import greedy_kernels
from nmsim.selection.graph_cut import reciprocal_lengths
from nmsim.selection.greedy import ClassPicks, GreedyPerClass, Rows
from nmsim.selection.needs import Records, of_similarities

#: The similarities of a class may take this much memory: classes of up to 23,170 records.
MAX_BYTES = 1 << 31

_TILE_BYTES = 1 << 26


class FacilityLocation(GreedyPerClass):
    """Facility location: greedily, the sum over a class of the likeness to the nearest taken record.

    f(S) = sum over i of the largest s(i, j), j in S, with s = 1/2 + 1/2 cos of the features. Greedy choice
    reaches at least 1 - 1/e of the best f (G. Nemhauser, L. Wolsey, M. Fisher, Mathematical Programming 14,
    1978).

    Notes
    -----
    The parameters and attributes are those of `GreedyPerClass`. All similarities of one class are kept, as
    float32: n² · 4 bytes, 144 MB for 6,000 records.
    """

    name = "facility-location"
    side_by_side = False
    places = ("host",)
    host_only = "every gain needs a record's similarities with its whole class, which no unit holds"

    def __init__(
        self,
        keep_ratio: float = 0.1,
        *,
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

    def needs(self, records: Records) -> Iterator[Need]:
        """Yield the features and the similarities of a class."""
        yield from super().needs(records)
        yield of_similarities(records, pair_bytes=12)

    def arrays(self) -> list[ArraySpec]:
        """Return the arrays that the steps touch; the similarities of one class make room for the next."""
        largest = max(len(picks.members) for picks in self._picks)
        return [*super().arrays(), ArraySpec("similarities", largest, 4 * largest)]

    def _choose(self, rows: Rows, budget: int, rng: np.random.Generator) -> np.ndarray:
        similarity = cosine_similarity(rows)
        gains, covered = np.empty(len(rows)), np.zeros(len(rows), dtype=np.float32)
        order, tried = np.empty(budget, dtype=np.int64), np.zeros(budget, dtype=np.int64)
        greedy_kernels.first_gains(similarity, covered, gains)
        greedy_kernels.lazy_facility_location(similarity, budget, gains, covered, order, tried)
        self._tried.append(int(tried.sum()))
        return order

    def fit(self, X: np.ndarray, y: np.ndarray) -> FacilityLocation:
        """Select from X, shape (n, …), with labels y, shape (n,), and return self; see `GreedyPerClass.fit`.

        Raises
        ------
        ResourceLimitError
            Where the similarities of a class would take more than 2 GiB.
        """
        self._tried: list[int] = []
        super().fit(X, y)
        return self

    def _class_steps(self, picks: ClassPicks, buffer_bytes: int, units: int) -> Iterator[Step]:
        """Form the similarities in tiles of records that the buffer holds, then work gains out, row by row.

        Rows are 4 · n bytes; which of them a gain needs changes neither bytes nor operations, so that all are
        read as the first one is. What each record has nearest stays in the buffer; the heap is counted as a
        comparison for each of its levels. A cosine's halves and lengths are a product and a
        multiply-accumulate.
        """
        n, own = len(picks.members), np.arange(len(picks.members), dtype=np.int64)
        tile_rows = max(1, buffer_bytes // self._row_bytes - 1)
        yield self._pass_step(picks, {self._mac: self._values, "div_fp32": 2})
        for start in range(0, n, tile_rows):
            tile, stop = picks.members[start : start + tile_rows], min(n, start + tile_rows)
            others = np.concatenate([picks.members[:start], picks.members[stop:]])
            moves = [Transfer(self._source, tile)]
            moves += [Transfer(self._source, others)] if len(others) else []
            moves.append(Transfer("similarities", own[start:stop], write=True))
            pairs = len(tile) * n
            work = {"mul_fp32": pairs, "mac_fp32": pairs}
            work[self._mac] = work.get(self._mac, 0) + pairs * self._values
            yield Step(self.name, tuple(moves), work, group=picks.group)
        gain = {"add_fp32": 2 * n, "compare": n}
        first = {kind: n * count for kind, count in gain.items()}
        yield Step(self.name, (Transfer("similarities", own),), first, group=picks.group)
        row, tried = (Transfer("similarities", own[:1]),), self._tried[self._picks.index(picks)]
        if tried:
            again = gain | {"compare": n + n.bit_length()}
            yield Step(self.name, row, again, group=picks.group, repeat=tried)
        taken = {"compare": n + n.bit_length()}
        yield Step(self.name, row, taken, group=picks.group, repeat=len(picks.order))


def cosine_similarity(rows: Rows) -> np.ndarray:
    """Return 1/2 + 1/2 cos of all pairs, float32 (n, n).

    Raises
    ------
    ResourceLimitError
        Above `MAX_BYTES`.
    """
    n = len(rows)
    if 4 * n * n > MAX_BYTES:
        raise ResourceLimitError(
            "the similarities of a class are too many to be kept",
            found=f"{n:,} records of one class, {4 * n * n / 2**30:.1f} GiB",
            expected=f"at most {int((MAX_BYTES / 4) ** 0.5):,} records",
            hint="Take a method whose memory is linear: k-center, herding or graph-cut.",
        )
    unit = rows.codes * reciprocal_lengths(rows)[:, None]
    similarity = np.empty((n, n), dtype=np.float32)
    step = max(1, _TILE_BYTES // (8 * n))
    for start in range(0, n, step):
        cosines = unit[start : start + step] @ unit.T
        similarity[start : start + step] = np.clip(0.5 + 0.5 * cosines, 0.0, 1.0)
    return similarity
