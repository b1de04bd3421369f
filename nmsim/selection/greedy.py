"""What the selections that take one record after the other have in common, and how they run on hardware."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar

import numba
import numpy as np

from nmsim.access.work import ArraySpec, Step, Transfer
from nmsim.machine import Need
from nmsim.rng import stream
from nmsim.selection import features, greedy_kernels
from nmsim.selection.formats import FORMATS
from nmsim.selection.needs import Records, of_features
from nmsim.selection.selector import Estimator, check_choice, check_number

INDEX_BYTES = 4
SCORE_BYTES = 8


@dataclass(frozen=True, eq=False)
class ClassPicks:
    """What was taken of one class.

    Attributes
    ----------
    group : int
        The class label.
    members : ndarray of int64, shape (n,)
        Record numbers, ascending.
    order : ndarray of int64, shape (budget,)
        What was taken, in order, in numbers of `members`.
    """

    group: int
    members: np.ndarray
    order: np.ndarray


class Rows:
    """Features of one class, whose inner products are formed a row at a time: memory stays linear in n.

    Parameters
    ----------
    codes : ndarray of int8, float16 or float32, shape (n, d)
        int8 is multiplied and summed exactly, the others in float32.
    """

    def __init__(self, codes: np.ndarray):
        self.whole = codes.dtype == np.int8
        self.codes = np.ascontiguousarray(codes if self.whole else codes.astype(np.float32))
        self._kernel = greedy_kernels.whole_dots if self.whole else greedy_kernels.float_dots

    def __len__(self) -> int:
        return len(self.codes)

    def dots(self, one: int) -> np.ndarray:
        """Return the inner products of all records with one, int64 or float64 (n,)."""
        out = np.empty(len(self), dtype=np.int64 if self.whole else np.float32)
        self._kernel(self.codes, one, out)
        return out if self.whole else out.astype(np.float64)

    def norms(self) -> np.ndarray:
        """Return the squared lengths, int64 or float64 (n,)."""
        wide = np.int64 if self.whole else np.float64
        return np.einsum("nd,nd->n", self.codes, self.codes, dtype=wide)

    def total(self) -> np.ndarray:
        """Return the sum of all records, int64 or float64 (d,)."""
        return self.codes.sum(axis=0, dtype=np.int64 if self.whole else np.float64)

    def products(self, vector: np.ndarray) -> np.ndarray:
        """Return the inner products of all records with a vector (d,), in the vector's type."""
        step = max(1, (1 << 22) // self.codes.shape[1])
        parts = [self.codes[i : i + step].astype(vector.dtype) @ vector for i in range(0, len(self), step)]
        return np.concatenate(parts)


def take(scores: np.ndarray, taken: np.ndarray) -> int:
    """Return the number of the largest score among the records not taken, the lowest of equals."""
    lowest = np.iinfo(np.int64).min if scores.dtype == np.int64 else -np.inf
    return int(np.where(taken, lowest, scores).argmax())


class GreedyPerClass(Estimator):
    """Base of the selections that take one record of a class after the other.

    Parameters
    ----------
    keep_ratio : float
        Share of the samples to keep, 0 < keep_ratio <= 1.
    features : {"raw", "pool", "random_projection", "pca"}
        What records are compared by; see `features.extract`.
    pool_size : int
        Side of the pooled blocks in pixels, 1 … 64.
    n_features : int
        Components of `random_projection` and `pca`, at least 1.
    number_format : {"int8", "fp16", "fp32"}
        What features are stored in; see `formats.Format`. int8 is compared exactly; fp16 and fp32 are both
        multiplied and summed in float32.
    random_state : int
        Seed, 0 <= random_state < 2**63.

    Attributes
    ----------
    indices_ : ndarray of int64, shape (budget,)
        The chosen records, ascending and distinct.
    order_ : dict of int to ndarray of int64
        By class label, the chosen records in the order in which they were taken. A smaller budget of a class
        takes the first of these.
    """

    places: ClassVar[tuple[str, ...]] = ("host", "nmc")
    #: Its name as a method, and what its own phase is called.
    name: ClassVar[str]
    #: Whether classes are chosen from at the same time: not where one takes all threads or much memory.
    side_by_side: ClassVar[bool] = True

    def __init__(
        self,
        keep_ratio: float = 0.1,
        *,
        features: str = "pool",
        pool_size: int = 2,
        n_features: int = 50,
        number_format: str = "int8",
        random_state: int = 1,
    ):
        self.keep_ratio, self.random_state = keep_ratio, random_state
        self.features, self.pool_size, self.n_features = features, pool_size, n_features
        self.number_format = number_format

    @abstractmethod
    def _choose(self, rows: Rows, budget: int, rng: np.random.Generator) -> np.ndarray:
        """Return the numbers of `budget` records of a class, in the order in which they are taken."""

    @abstractmethod
    def _class_steps(self, picks: ClassPicks, buffer_bytes: int, units: int) -> Iterator[Step]:
        """Return what choosing from one class took, its features being there."""

    def needs(self, records: Records) -> Iterator[Need]:
        """Yield the features."""
        yield of_features(self, records)

    def check_parameters(self) -> None:
        """Raise ConfigError for a parameter out of its range."""
        super().check_parameters()
        check_choice("features", self.features, features.KINDS)
        check_choice("number_format", self.number_format, tuple(FORMATS))
        check_number("pool_size", self.pool_size, 1, 64, whole=True)
        check_number("n_features", self.n_features, 1, 1 << 20, whole=True)

    def fit(self, X: np.ndarray, y: np.ndarray) -> GreedyPerClass:
        """Select from X and return self.

        Parameters
        ----------
        X : ndarray of uint8 or other real numbers, shape (n, …)
            Images (n, height, width[, channels]) or flat records.
        y : ndarray of integers, shape (n,)
            Class labels.

        Raises
        ------
        DataError
            For data, labels or a keep ratio that cannot be used.
        ConfigError
            For a parameter out of its range.
        """
        y, labels, _, budgets = self.checked(X, y)
        made = features.extract(
            X, self.features, self.pool_size, self.n_features, self.random_state, self.number_format
        )

        def choose(label: int, budget: int) -> ClassPicks:
            members = np.flatnonzero(y == label)
            rng = stream(self.random_state, "selection", self.name, label)
            return ClassPicks(label, members, self._choose(Rows(made.codes[members]), budget, rng))

        each = labels.tolist(), budgets.tolist()
        if self.side_by_side:
            with ThreadPoolExecutor(numba.get_num_threads()) as pool:
                self._picks = list(pool.map(choose, *each))
        else:
            self._picks = list(map(choose, *each))
        self.order_ = {picks.group: picks.members[picks.order] for picks in self._picks}
        self.indices_ = np.sort(np.concatenate(list(self.order_.values())))
        self._source = "features" if made.stored else "images"
        self._image_bytes, self._row_bytes, self._values = X[0].nbytes, made.row_bytes, made.codes.shape[1]
        self._making, self._learning = made.operations, made.fits
        self._mac = "mac_int8" if made.codes.dtype == np.int8 else "mac_fp32"
        return self

    def arrays(self) -> list[ArraySpec]:
        """Return the arrays that the steps touch; "images" is the data set itself."""
        n = sum(len(picks.members) for picks in self._picks)
        specs = [ArraySpec("images", n, self._image_bytes, per_image=True)]
        if self._source == "features":
            specs.append(ArraySpec("features", n, self._row_bytes, per_image=True))
        return [*specs, ArraySpec("indices", len(self.indices_), INDEX_BYTES)]

    def steps(self, buffer_bytes: int, units: int = 1) -> Iterator[Step]:
        """Return what `fit` did: the phase "features", the method's own (its name), and "indices".

        Parameters
        ----------
        buffer_bytes : int
            SRAM of a unit (or of the host). Records that fit stay in it with their scores; the others are
            streamed anew whenever one is taken.
        units : int
            Near memory: units that share the work on one class, at least 1.
        """
        for picks in self._picks:
            yield from self._feature_steps(picks)
        for picks in self._picks:
            yield from self._class_steps(picks, buffer_bytes, units)
        rows = np.arange(len(self.indices_), dtype=np.int64)
        yield Step("indices", (Transfer("indices", rows, write=True),))

    def _feature_steps(self, picks: ClassPicks) -> Iterator[Step]:
        """Read every image once, and as often before as the features need to learn; write the features."""
        n, images = len(picks.members), Transfer("images", picks.members)
        for learn in self._learning:
            yield Step(
                "features",
                (images,),
                {kind: n * count for kind, count in learn.operations.items()},
                broadcast_bytes=learn.exchanged_bytes,
                gather_bytes_per_unit=learn.exchanged_bytes,
                group=picks.group,
                repeat=learn.passes,
            )
        if self._source == "features":
            work = {kind: n * count for kind, count in self._making.items()}
            moves = (images, Transfer("features", picks.members, write=True))
            yield Step("features", moves, work, group=picks.group)

    def _pass_step(self, picks: ClassPicks, per_record: dict[str, int], exchanged_bytes: int = 0) -> Step:
        """Return a pass over the features of a class, which may sum something up and send it back to all."""
        return Step(
            self.name,
            (Transfer(self._source, picks.members),),
            {kind: len(picks.members) * count for kind, count in per_record.items()},
            broadcast_bytes=exchanged_bytes,
            gather_bytes_per_unit=exchanged_bytes,
            group=picks.group,
        )

    def _round_steps(
        self, picks: ClassPicks, buffer_bytes: int, units: int, per_record: dict[str, int]
    ) -> Iterator[Step]:
        """Return the choice of the first record, and a round for every other.

        Each unit offers its best, a score and a number, and who holds the winner sends its features to all;
        each then forms its records' inner products with them and brings their scores up to date. After the
        last there is nothing to bring up to date.

        Parameters
        ----------
        picks, buffer_bytes, units
            See `steps`.
        per_record : dict of str to int
            Operations of one record in one round, besides its inner product.
        """
        n, budget = len(picks.members), len(picks.order)
        offers = SCORE_BYTES + INDEX_BYTES
        yield Step(self.name, operations={"compare": n}, gather_bytes_per_unit=offers, group=picks.group)
        if budget == 1:
            return
        resident = min(n, buffer_bytes * units // (self._row_bytes + SCORE_BYTES))
        beyond = picks.members[resident:]
        work = {kind: n * count for kind, count in per_record.items()}
        work[self._mac] = work.get(self._mac, 0) + n * self._values
        yield Step(
            self.name,
            (Transfer(self._source, beyond),) if len(beyond) else (),
            work,
            broadcast_bytes=self._row_bytes,
            gather_bytes_per_unit=offers + -(-self._row_bytes // units),
            group=picks.group,
            repeat=budget - 1,
        )
