"""DE-SNE: a map of each class by stochastic neighbour embedding, and exemplars sampled in the map."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace

import numba
import numpy as np

from nmsim.access.work import ArraySpec, Step
from nmsim.machine import Need
from nmsim.rng import stream
from nmsim.selection import desne_work, embedding, features, sampling, searches
from nmsim.selection.affinities import Affinities, affinities_of, nearest_neighbours
from nmsim.selection.desne_fit import MapFit, Trial
from nmsim.selection.formats import FORMATS
from nmsim.selection.needs import MB, PAIRS_PER_S, Records, of_features
from nmsim.selection.selector import Classes, Reusable, check_choice, check_number

SCOPES = ("per_class", "global")


#: Of `perplexity`: those among which `sampling="entropy"` chooses.
CANDIDATES = (0.25, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True, eq=False)
class _Map:
    """A finished map, whatever is sampled from it; `early`, `late`, `perplexity` as in `Affinities`."""

    trial: Trial
    points: np.ndarray
    perplexity: np.ndarray
    early: np.ndarray
    late: np.ndarray

    @classmethod
    def of(
        cls, target: float, joint: Affinities, points: np.ndarray, divergence: float, meshes: dict[int, int]
    ) -> _Map:
        counts = joint.n_neighbours, joint.search_steps, len(joint.P)
        trial = Trial(target, *counts, meshes, float(divergence))
        return cls(trial, points, joint.perplexity, joint.early, joint.late)


@dataclass(frozen=True, eq=False)
class _Group:
    """The maps of a class, or of all, and the generator as they left it."""

    label: int | None
    members: np.ndarray
    rng: np.random.Generator
    maps: list[_Map]


class DESNE(Reusable):
    """Select a representative subset by DE-SNE, the near-memory sampling method of arXiv 2508.02313.

    Which parts of it are published and which are choices of this project is said in the documentation
    ("DE-SNE: what is known and what is chosen").

    Parameters
    ----------
    keep_ratio : float
        Share of the samples to keep, 0 < keep_ratio <= 1.
    scope : {"per_class", "global"}
        A map for each class, or one for all.
    features : {"raw", "pool", "random_projection", "pca"}
        What distances are measured between; see `features.extract`.
    pool_size : int
        Side of the pooled blocks in pixels, 1 … 64.
    n_features : int
        Components of `random_projection` and `pca`, at least 1.
    number_format : {"int8", "fp16", "fp32"}
        What features are stored in and distances are accumulated in; see `formats.Format`. Affinities and the
        map are float32 always.
    perplexity : float
        Effective number of neighbours, above 1.
    search : {"bisection", "absolute", "fireworks"}
        How a point's width is found; see `searches`. Only `bisection` is sure to reach the perplexity.
    kernel : {"student", "gaussian"}
        t-SNE or symmetric SNE.
    forces : {"auto", "exact", "interpolated"}
        Repulsion of all pairs of points, or from a mesh; `auto` interpolates in maps of
        more than `embedding.CROSSOVER` points.
    n_iter : int
        Iterations of each map, at least 1. 500 come within 1 % of the divergence after 750 on
        a Fashion-MNIST class of 6,000, 300 within 4 %.
    early_exaggeration, exaggeration_share, learning_rate : float
        See `embedding.Descent`.
    sampling : {"medoid", "grid_proportional", "grid_uniform", "entropy"}
        How exemplars are taken from a map; see `sampling.sample`. `entropy` makes a map for each of
        `CANDIDATES` times `perplexity` and samples the one that fills a grid of as many cells as
        exemplars most evenly.
    random_state : int
        Seed, 0 <= random_state < 2**63. One seed gives one result for any number of threads.

    Attributes
    ----------
    indices_ : ndarray of int64, shape (budget,)
        The chosen records, ascending and distinct.
    embedding_ : ndarray of float32, shape (n, 2)
        The map of each record's class; maps of different classes share no coordinates.
    kl_divergence_ : dict of int or None to float
        Divergence of each map, in nats, by class label (None: the one global map).
    perplexity_ : ndarray of float64, shape (n,)
        Perplexity reached at each record, in the map that was sampled.
    maps_ : list of MapFit
        What was done for each class, or for all.
    n_iter_ : int
        Iterations done.

    Notes
    -----
    Neighbours are exact: their time grows as n² of a map, with a small factor. That of the descent grows as
    n_iter · n² with exact forces and as n_iter · n with interpolated ones. Memory grows as n · perplexity.
    """

    places = ("host", "nmc")

    def __init__(
        self,
        keep_ratio: float = 0.1,
        *,
        scope: str = "per_class",
        features: str = "pool",
        pool_size: int = 2,
        n_features: int = 50,
        number_format: str = "int8",
        perplexity: float = 30.0,
        search: str = "bisection",
        kernel: str = "student",
        forces: str = "auto",
        n_iter: int = 500,
        early_exaggeration: float = 4.0,
        exaggeration_share: float = 0.1,
        learning_rate: float = 1.0,
        sampling: str = "medoid",
        random_state: int = 1,
    ):
        self.keep_ratio, self.random_state = keep_ratio, random_state
        self.scope, self.features, self.kernel, self.sampling = scope, features, kernel, sampling
        self.pool_size, self.n_features, self.number_format = pool_size, n_features, number_format
        self.perplexity, self.search, self.forces, self.n_iter = perplexity, search, forces, n_iter
        self.early_exaggeration, self.exaggeration_share = early_exaggeration, exaggeration_share
        self.learning_rate = learning_rate

    def fit(self, X: np.ndarray, y: np.ndarray) -> DESNE:
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
        return self._fit(X, y)

    def _learn(self, X: np.ndarray, classes: Classes) -> None:
        """Make the maps."""
        made = features.extract(
            X, self.features, self.pool_size, self.n_features, self.random_state, self.number_format
        )
        groups: list[tuple[int | None, np.ndarray]]
        if self.scope == "per_class":
            groups = [(int(label), np.flatnonzero(classes.y == label)) for label in classes.labels]
        else:
            groups = [(None, np.arange(len(X), dtype=np.int64))]
        self.n_iter_ = self.n_iter
        rngs = [
            stream(self.random_state, "selection", "de-sne", "all" if g is None else g) for g, _ in groups
        ]
        lists = [self._neighbours(made.codes[members]) for _, members in groups]
        targets = [self._targets(len(members)) for _, members in groups]
        joints = [
            affinities_of(found, target, max(1, int(3 * target)), self.search)
            for found, wanted in zip(lists, targets, strict=True)
            for target in wanted
        ]
        starts = [
            start
            for (_, members), rng, wanted in zip(groups, rngs, targets, strict=True)
            for start in [embedding.start_map(made.codes[members], rng)] * len(wanted)
        ]
        finished = iter(zip(joints, *embedding.embed(joints, starts, self._descent()), strict=True))
        self._groups = [
            _Group(group, members, rng, [_Map.of(target, *next(finished)) for target in wanted])
            for (group, members), rng, wanted in zip(groups, rngs, targets, strict=True)
        ]
        self._facts = desne_work.Facts.of(X, made, self.n_iter, self.kernel)

    def _descent(self) -> embedding.Descent:
        return embedding.Descent(
            self.kernel,
            self.n_iter,
            self.early_exaggeration,
            self.exaggeration_share,
            self.learning_rate,
            self.forces,
        )

    def _choose(self, classes: Classes) -> None:
        """Choose a map of each group where there are several, and sample it."""
        budgets = classes.budgets if self.scope == "per_class" else [classes.budgets.sum()]
        self.embedding_ = np.empty((len(classes.y), 2), dtype=np.float32)
        self.perplexity_ = np.empty(len(classes.y))
        self.maps_ = []
        for group, share in zip(self._groups, map(int, budgets), strict=True):
            maps, members = group.maps, group.members
            if self.sampling == "entropy":
                maps = [
                    replace(m, trial=replace(m.trial, entropy=sampling.occupancy_entropy(m.points, share)))
                    for m in maps
                ]
            best = max(maps, key=lambda m: m.trial.entropy or 0.0)
            self.embedding_[members], self.perplexity_[members] = best.points, best.perplexity
            taken = sampling.sample(best.points, share, self.sampling, deepcopy(group.rng))
            trials = tuple(m.trial for m in maps)
            self.maps_.append(MapFit(group.label, members, best.early, best.late, trials, best.trial, taken))
        self.kl_divergence_ = {fit.group: fit.chosen.kl_divergence for fit in self.maps_}
        self.indices_ = np.sort(np.concatenate([fit.members[fit.sample.chosen] for fit in self.maps_]))

    def _targets(self, n: int) -> tuple[float, ...]:
        """Return the perplexities of the maps that a group of n gets; none above what its number allows."""
        if self.sampling != "entropy":
            return (self.perplexity,)
        ceiling = max(1.0, (n - 1) / 3)
        return tuple(dict.fromkeys(min(ceiling, max(1.0, c * self.perplexity)) for c in CANDIDATES))

    def _neighbours(self, codes: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the lists that serve all maps of a group."""
        return nearest_neighbours(codes, min(len(codes) - 1, int(3 * max(self._targets(len(codes))))))

    def map(self) -> np.ndarray:
        """Return `embedding_`, the map that the records were chosen in."""
        return self.embedding_

    def arrays(self) -> list[ArraySpec]:
        """Return the arrays that the steps touch; "images" is the data set itself."""
        return desne_work.arrays(self._facts, self.maps_)

    def steps(self, buffer_bytes: int, units: int = 1) -> Iterator[Step]:
        """Return the accesses and operations of the last fit; see `desne_work.steps`."""
        return desne_work.steps(self._facts, self.maps_, buffer_bytes, units)

    def needs(self, records: Records) -> Iterator[Need]:
        """Yield the features, and the affinities of all maps."""
        yield of_features(self, records)
        n, group, maps = records.n, self._largest_group(records), self._maps_of_group()
        k = min(group - 1, int(3 * self.perplexity))
        # Lists (index and distance), the joint form of all maps twice, and the sorting of the largest.
        n_bytes = n * k * (12 + 28 * maps) + 80 * group * k
        yield Need(f"affinities of {n:,} images with {k} neighbours", n_bytes, "perplexity")
        yield Need("a tile of inner products", 24 * MB)

    def duration_s(self, records: Records) -> float:
        """Return about how long the search of neighbours and the descents take."""
        n, group = records.n, self._largest_group(records)
        per_iteration = 300 * n if self._descent().interpolates(group) else n * group
        pairs = per_iteration * self.n_iter * self._maps_of_group() + 10 * n * group
        return pairs / PAIRS_PER_S / numba.get_num_threads()

    def _largest_group(self, records: Records) -> int:
        return records.n if self.scope == "global" else records.of_class

    def _maps_of_group(self) -> int:
        return len(CANDIDATES) if self.sampling == "entropy" else 1

    def check_parameters(self) -> None:
        """Raise ConfigError for a parameter out of its range."""
        super().check_parameters()
        check_choice("scope", self.scope, SCOPES)
        check_choice("features", self.features, features.KINDS)
        check_choice("number_format", self.number_format, tuple(FORMATS))
        check_choice("search", self.search, searches.SEARCHES)
        check_choice("kernel", self.kernel, embedding.KERNELS)
        check_choice("forces", self.forces, embedding.FORCES)
        check_choice("sampling", self.sampling, sampling.KINDS)
        check_number("pool_size", self.pool_size, 1, 64, whole=True)
        check_number("n_features", self.n_features, 1, 1 << 20, whole=True)
        check_number("perplexity", self.perplexity, 1, 1 << 20, above=True)
        check_number("n_iter", self.n_iter, 1, 1 << 31, whole=True)
        check_number("early_exaggeration", self.early_exaggeration, 1, 1000)
        check_number("exaggeration_share", self.exaggeration_share, 0, 1)
        check_number("learning_rate", self.learning_rate, 0, 1000, above=True)


class AdapSNE(DESNE):
    """Select as AdapSNE does, as far as it is published (arXiv 2508.16647): fireworks and entropy.

    `DESNE` with `search="fireworks"` and `sampling="entropy"`; `perplexity` is the middle one of the
    candidates. Which parts are choices of this project is said in the documentation of the method.
    """

    def __init__(
        self,
        keep_ratio: float = 0.1,
        *,
        scope: str = "per_class",
        features: str = "pool",
        pool_size: int = 2,
        n_features: int = 50,
        number_format: str = "int8",
        perplexity: float = 30.0,
        kernel: str = "student",
        forces: str = "auto",
        n_iter: int = 500,
        random_state: int = 1,
    ):
        super().__init__(
            keep_ratio,
            scope=scope,
            features=features,
            pool_size=pool_size,
            n_features=n_features,
            number_format=number_format,
            perplexity=perplexity,
            search="fireworks",
            kernel=kernel,
            forces=forces,
            n_iter=n_iter,
            sampling="entropy",
            random_state=random_state,
        )
