"""DQAS: bins of dataset quantization, and amounts of each class that an active-learning loop finds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nmsim.access.work import ArraySpec, Step, Transfer
from nmsim.machine import Need
from nmsim.rng import stream
from nmsim.selection.budget import apportion
from nmsim.selection.dq import FEATURES, NETWORK, ClassBins, bin_arrays, draw_step
from nmsim.selection.needs import Records, of_similarities
from nmsim.selection.network import (
    LastLayer,
    NetworkParameters,
    TrainedNetwork,
    as_images,
)
from nmsim.selection.network_patches import (
    importance_work,
    kept_patches,
    painted_over,
    patch_grid,
    patch_importance,
)
from nmsim.selection.selector import Classes, Reusable, check_number

ACTIVE, SCORES = "active_training", "error_reduction"


def amounts(weights: np.ndarray, sizes: np.ndarray, budget: int) -> np.ndarray:
    """Return how many of each class are taken: one at least, no more than there are, else as the weights say.

    Parameters
    ----------
    weights : ndarray of float64, shape (c,)
        At least 0. Where they are all 0, those of `sizes` are taken.
    sizes : ndarray of int64, shape (c,)
        Records of each class, at least 1.
    budget : int
        c <= budget <= sizes.sum().
    """
    taken, weights = np.ones(len(sizes), np.int64), np.asarray(weights, np.float64)
    while left := budget - int(taken.sum()):
        open_ = taken < sizes
        share = np.where(open_, weights, 0.0)
        if not share.any():
            share = np.where(open_, sizes, 0.0)
        parts = np.rint(share / share.max() * 2**20).astype(np.int64)
        taken = np.minimum(taken + apportion(parts, left), sizes)
    return taken


def expected_reductions(seen: LastLayer) -> np.ndarray:
    """Return by how much a step along an image's gradient lowers the mean loss of all, float64 (n,).

    To first order and for the last layer alone: the inner product of its gradient v = [g; vec(g eᵀ)] with
    the mean of v, for a step of length one.
    """
    g = seen.gradients.astype(np.float64)
    e = np.hstack([np.ones((len(g), 1)), seen.embeddings])
    return np.einsum("nc,ne,ce->n", g, e, g.T @ e / len(g), optimize=True)


@dataclass(frozen=True, eq=False)
class ActiveRound:
    """One turn of the loop: a network trained on what was chosen, and what it made of the others.

    Attributes
    ----------
    network : TrainedNetwork
    pool : ndarray of int64
        Records that were not chosen before, ascending.
    added : ndarray of int64
        Those that were chosen now.
    """

    network: TrainedNetwork
    pool: np.ndarray
    added: np.ndarray


class ActiveQuantization(Reusable):
    """Select from bins as DQ does, with amounts found by active learning (DQAS, arXiv 2407.07268).

    Parameters
    ----------
    keep_ratio : float
        Share of the samples to keep, 0 < keep_ratio <= 1.
    n_bins : int
        Bins of each class, 1 … 1000.
    initial_share : float
        Share of the budget that is drawn before the loop, 0 < initial_share <= 1.
    n_rounds : int
        Turns of the loop, at least 1; each adds an equal part of what is missing.
    patch_drop : float
        Share of an image's patches that features are made without, 0 <= patch_drop < 1.
    patch_side : int
        Of a patch, in pixels; it must divide the image's sides.
    network : str
        A name in `nmsim.training.NETWORKS`: for the features and in the loop.
    network_epochs : int
        Epochs of each training, at least 1.
    random_state : int
        Seed, 0 <= random_state < 2**63.

    Attributes
    ----------
    indices_ : ndarray of int64, shape (budget,)
        The chosen records, ascending and distinct.
    bins_ : list of ClassBins
    initial_ : ndarray of int64
        What was drawn before the loop.
    rounds_ : list of ActiveRound

    Notes
    -----
    Memory grows as 4 · (records of the largest class)² bytes. Which steps are published and which are choices
    is said in the documentation (`docs/explanation/methods/dqas.md`).
    """

    host_only = "it trains networks and keeps all similarities of a class"

    def __init__(
        self,
        keep_ratio: float = 0.1,
        *,
        n_bins: int = 10,
        initial_share: float = 0.5,
        n_rounds: int = 3,
        patch_drop: float = 0.2,
        patch_side: int = 4,
        network: str = "cnn-s",
        network_epochs: int = 10,
        random_state: int = 1,
    ):
        self.keep_ratio, self.random_state = keep_ratio, random_state
        self.n_bins, self.initial_share, self.n_rounds = n_bins, initial_share, n_rounds
        self.patch_drop, self.patch_side = patch_drop, patch_side
        self.network, self.network_epochs = network, network_epochs

    def needs(self, records: Records) -> Iterator[Need]:
        """Yield the similarities of a class."""
        yield of_similarities(records, pair_bytes=28)

    def check_parameters(self) -> None:
        """Raise ConfigError for a parameter out of its range."""
        super().check_parameters()
        check_number("n_bins", self.n_bins, 1, 1000, whole=True)
        check_number("initial_share", self.initial_share, 0, 1, above=True)
        check_number("n_rounds", self.n_rounds, 1, 1000, whole=True)
        check_number("patch_drop", self.patch_drop, 0, 0.9)
        check_number("patch_side", self.patch_side, 1, 1024, whole=True)
        NetworkParameters(self.network, self.network_epochs).check()

    def fit(self, X: np.ndarray, y: np.ndarray) -> ActiveQuantization:
        """Select from 8-bit images X, shape (n, height, width[, channels]), with labels y, shape (n,).

        Raises
        ------
        DataError
            For data, labels or a keep ratio that cannot be used.
        ConfigError
            For a parameter out of its range, or a network without feature maps where patches are dropped.
        """
        return self._fit(X, y)

    def _learn(self, X: np.ndarray, classes: Classes) -> None:
        """Train the first network, drop patches and fill the bins."""
        images, self._codes, self._n_classes = as_images(X, classes.y)
        everything = np.arange(len(X))
        self.network_ = self._trained(images, everything)
        if self.patch_drop:
            kept = kept_patches(
                patch_importance(self.network_.model, images, self.patch_side), self.patch_drop
            )
            images = painted_over(images, kept, self.patch_side)
        self._images = images
        self._cut(LastLayer.of(self.network_.model, images, self._codes), classes.y, classes.labels)
        self._values = self._n_classes + self.network_.model.last_layer(images[:1])[0].shape[1]
        self._patches = int(np.prod(patch_grid(images.shape[1:3], self.patch_side))) if self.patch_drop else 0

    def _choose(self, classes: Classes) -> None:
        """Draw the first records, and let the loop add the others."""
        images, codes, budget = self._images, self._codes, int(classes.budgets.sum())
        first = max(len(classes.labels), round(self.initial_share * budget))
        self.initial_ = self._draw(first, classes.sizes)
        chosen, self.rounds_ = np.zeros(len(images), bool), []
        chosen[self.initial_] = True
        for number in range(self.n_rounds):
            missing = budget - int(chosen.sum())
            if not missing:
                break
            trained = self._trained(images, np.flatnonzero(chosen), number)
            pool = np.flatnonzero(~chosen)
            gains = expected_reductions(LastLayer.of(trained.model, images[pool], codes[pool]))
            added = self._best(pool, gains, -(-missing // (self.n_rounds - number)))
            chosen[added] = True
            self.rounds_.append(ActiveRound(trained, pool, added))
        self.indices_ = np.flatnonzero(chosen)

    def _trained(self, images: np.ndarray, rows: np.ndarray, *number: int) -> TrainedNetwork:
        """Return a network that was trained on these rows; `number` is that of the turn of the loop."""
        parameters = NetworkParameters(self.network, self.network_epochs)
        given = self._codes, self._n_classes, rows, parameters, self.random_state
        return TrainedNetwork.on(images, *given, "dqas", *number)

    def arrays(self) -> list[ArraySpec]:
        """Return the arrays that the steps touch; "images" is the data set itself."""
        own = bin_arrays(self.network_, self.bins_, self._values, len(self.indices_))
        if not self._patches:
            return own
        return [*own, ArraySpec("patches", len(self._codes), -(-self._patches // 8), per_image=True)]

    def steps(self, buffer_bytes: int, units: int = 1) -> Iterator[Step]:
        """Return the first training, features, bins and draws, then the turns of the loop."""
        n, cost = len(self._codes), self.network_.cost
        everything = np.arange(n)
        yield from self.network_.training_work(NETWORK, buffer_bytes)
        yield from self.network_.forward_work(FEATURES, everything, buffer_bytes, "features")
        if self._patches:
            # And the mean colour, and the network once more on the image, which is in the buffer still.
            work = importance_work(n, self._values, self._patches)
            work |= {"add_int32": n * cost.image_bytes, cost.mac: n * cost.macs_forward}
            yield Step(FEATURES, (Transfer("patches", everything, write=True),), work)
        for own in self.bins_:
            yield from own.cut_work(self._values, buffer_bytes)
        yield draw_step(len(self.initial_))
        for turn in self.rounds_:
            yield from turn.network.training_work(ACTIVE, buffer_bytes)
            yield from turn.network.forward_work(SCORES, turn.pool, buffer_bytes, "features")
            # The mean of the gradients, each one's product with it, and the search for the largest.
            gradient = self.network_.model.network.n_classes * (self._values + 1)
            work = {"mac_fp32": 2 * len(turn.pool) * gradient, "compare": len(turn.pool) * 20}
            moves = [Transfer("features", turn.pool)]
            if self._patches:
                moves.append(Transfer("patches", turn.pool))
                work["add_int32"] = len(turn.pool) * cost.image_bytes
            yield Step(SCORES, tuple(moves), work)
        yield Step("indices", (Transfer("indices", np.arange(len(self.indices_)), write=True),))

    def _cut(self, seen: LastLayer, y: np.ndarray, labels: np.ndarray) -> None:
        """Cut every class into bins, and note how far its images lie apart."""
        self.bins_, self.spread_, self._bin_of = [], np.empty(len(labels)), np.empty(len(y), np.int64)
        for number, label in enumerate(labels):
            members = np.flatnonzero(y == label)
            similarities = seen.of_rows(members).similarities()
            self.spread_[number] = 1.0 - similarities.mean(dtype=np.float64)
            self.bins_.append(ClassBins.of(int(label), members, similarities, self.n_bins))
            for i, part in enumerate(self.bins_[-1].bins):
                self._bin_of[members[part]] = i

    def _draw(self, budget: int, sizes: np.ndarray) -> np.ndarray:
        """Return the first records: of each class as its spread asks for, the same share of each bin."""
        chosen = []
        for own, amount in zip(self.bins_, amounts(self.spread_ * sizes, sizes, budget), strict=True):
            rng = stream(self.random_state, "selection", "dqas", own.group)
            chosen += own.draw(int(amount), rng)
        return np.sort(np.concatenate(chosen))

    def _best(self, pool: np.ndarray, gains: np.ndarray, amount: int) -> np.ndarray:
        """Return the records with the largest gains, the same share of each number of bin, of all classes."""
        of_pool, added = self._bin_of[pool], []
        shares = apportion(np.bincount(of_pool, minlength=self.n_bins), amount)
        for number, share in enumerate(shares):
            here = np.flatnonzero(of_pool == number)
            added.append(pool[here[np.argsort(-gains[here], kind="stable")[:share]]])
        return np.concatenate(added)
