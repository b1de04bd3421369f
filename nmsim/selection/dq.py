"""Dataset quantization (DQ): bins by graph cut on a network's gradients, and the same share of every bin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nmsim.access.work import ArraySpec, Step, Transfer
from nmsim.machine import Need
from nmsim.rng import stream
from nmsim.selection.budget import apportion, total_budget
from nmsim.selection.needs import Records, of_similarities
from nmsim.selection.network import (
    LastLayer,
    NetworkParameters,
    TrainedNetwork,
    as_images,
    pair_work,
    similarity_array,
)
from nmsim.selection.network_patches import (
    importance_work,
    kept_patches,
    number_kept,
    painted_over,
    patch_importance,
)
from nmsim.selection.random import INDEX_BYTES, INSTRUCTIONS_PER_DRAW
from nmsim.selection.selector import Classes, Reusable, check_choice, check_number

PASSES = ("cached", "released")

NETWORK, FEATURES, SIMILARITIES, BINS, PATCHES = "network", "features", "similarities", "bins", "patches"

KEPT_PATCHES = "kept_patches"


def cut_bins(similarities: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
    """Return disjoint bins, each filled by greedy graph cut from what the bins before it left.

    Parameters
    ----------
    similarities : ndarray of float32, shape (n, n)
        Symmetric, whole multiples of `network.RESOLUTION`.
    sizes : sequence of int
        Of the bins; their sum is at most n.

    Returns
    -------
    list of ndarray of int64
        Each in the order of picking: the next is x with the largest
        sum of s(v, x) over what was left when the bin began - 2 · sum of s(u, x) over the bin so far;
        of equals the one with the lowest number.
    """
    sums = similarities.sum(axis=1, dtype=np.float64)
    left = np.ones(len(sums), bool)
    bins = []
    for size in sizes:
        gains, picks = np.where(left, sums, -np.inf), np.empty(size, np.int64)
        for i in range(size):
            picks[i] = pick = gains.argmax()
            gains -= 2.0 * similarities[pick]
            gains[pick] = -np.inf
            sums -= similarities[pick]
        left[picks] = False
        bins.append(picks)
    return bins


@dataclass(frozen=True, eq=False)
class ClassBins:
    """The bins of one class.

    Attributes
    ----------
    group : int
        The class label.
    members : ndarray of int64
        Its records, ascending.
    bins : list of ndarray of int64
        In numbers of `members`, in the order of picking.
    """

    group: int
    members: np.ndarray
    bins: list[np.ndarray]

    @classmethod
    def of(cls, group: int, members: np.ndarray, similarities: np.ndarray, n_bins: int) -> ClassBins:
        """Cut a class into bins of equal size; the last is what the others leave."""
        bins = cut_bins(similarities, bin_sizes(len(members), n_bins)[:-1])
        return cls(group, members, [*bins, the_rest(len(members), bins)])

    def draw(self, amount: int, rng: np.random.Generator) -> list[np.ndarray]:
        """Return `amount` records, the same share of every bin."""
        shares = apportion(np.array([len(part) for part in self.bins]), amount)
        return [
            self.members[rng.choice(np.sort(part), int(share), replace=False)]
            for part, share in zip(self.bins, shares, strict=True)
        ]

    def cut_work(self, values: int, buffer_bytes: int) -> Iterator[Step]:
        """Return all similarities of a class, of features of `values` numbers, and the picks of its bins."""
        width, picks = 4 * values, np.concatenate([np.empty(0, np.int64), *self.bins[:-1]])
        if len(picks):
            yield from pair_work(
                SIMILARITIES, self.members, "features", width, values, buffer_bytes, self.group
            )
            yield pick_step(picks, len(self.members), self.group)


def bin_sizes(n: int, n_bins: int) -> list[int]:
    """Return the sizes of the bins of n records, which differ by 1 at most."""
    return [len(part) for part in np.array_split(np.arange(n), n_bins)]


def the_rest(n: int, bins: Sequence[np.ndarray]) -> np.ndarray:
    """Return the numbers below n that are in no bin."""
    return np.setdiff1d(np.arange(n), np.concatenate([np.empty(0, np.int64), *bins]))


def pick_step(rows: np.ndarray, n: int, group: int) -> Step:
    """Return picks: a row of similarities, gains and sums of n records, and the search for the next."""
    work = dict.fromkeys(("mac_fp32", "add_fp32", "compare"), n * len(rows))
    return Step(BINS, (Transfer("similarities", rows),), work, group=group)


def draw_step(amount: int) -> Step:
    """Return the drawing of so many records from bins."""
    return Step("sampling", operations={"cpu_instruction": INSTRUCTIONS_PER_DRAW * amount})


def bin_arrays(
    network: TrainedNetwork, bins: Sequence[ClassBins], values: int, budget: int
) -> list[ArraySpec]:
    """Return what a network, features of `values` numbers, the bins of them and the result lie in."""
    sizes = [len(own.members) for own in bins]
    return [
        ArraySpec("images", sum(sizes), network.cost.image_bytes, per_image=True),
        *network.arrays(),
        ArraySpec("features", sum(sizes), 4 * values, per_image=True),
        similarity_array(sizes),
        ArraySpec("indices", budget, INDEX_BYTES),
    ]


class DatasetQuantization(Reusable):
    """Select the same share of bins that graph cut makes of a network's gradients (DQ, arXiv 2308.10524).

    Parameters
    ----------
    keep_ratio : float
        Share of the samples to keep, 0 < keep_ratio <= 1.
    n_bins : int
        Bins of each class, 1 … 1000; 10 as published.
    passes : {"cached", "released"}
        cached: every image goes through the network once and its features are kept. released: what is left of
        the images goes through it again for every bin, and all similarities are formed anew, as the published
        code does; with ten bins 5.4 passes. Both select the same.
    network : str
        A name in `nmsim.training.NETWORKS`: the network whose last layer is looked at.
    network_epochs : int
        Epochs that it is trained for, on all images, at least 1.
    patch_drop : float
        Share of each chosen image's patches that are not kept, 0 <= patch_drop < 1. With 0, the budget is
        keep_ratio of the images. Else it is keep_ratio of the pixels, keep_ratio / (1 - patch_drop) of the
        images, as published with 0.2; the training sees them painted over, and reads the kept patches.
    patch_side : int
        Of a patch, in pixels; it must divide the image's sides.
    random_state : int
        Seed, 0 <= random_state < 2**63.

    Attributes
    ----------
    indices_ : ndarray of int64, shape (budget,)
        The chosen records, ascending and distinct.
    bins_ : list of ClassBins
        One for each class.
    network_ : TrainedNetwork
    training_images_ : ndarray of uint8, shape (budget, height, width, channels), or None
        What the training gets in place of the chosen images, where patches are dropped.

    Notes
    -----
    Memory grows as 4 · (records of the largest class)² bytes. Which steps are published and which are choices
    is said in the documentation (`docs/explanation/methods/dq.md`).
    """

    host_only = "it trains a network and keeps all similarities of a class"
    #: Where the training finds `training_images_`.
    training_array = KEPT_PATCHES

    def __init__(
        self,
        keep_ratio: float = 0.1,
        *,
        n_bins: int = 10,
        passes: str = "cached",
        network: str = "cnn-s",
        network_epochs: int = 10,
        patch_drop: float = 0.0,
        patch_side: int = 4,
        random_state: int = 1,
    ):
        self.keep_ratio, self.random_state = keep_ratio, random_state
        self.patch_drop, self.patch_side = patch_drop, patch_side
        self.n_bins, self.passes = n_bins, passes
        self.network, self.network_epochs = network, network_epochs

    def needs(self, records: Records) -> Iterator[Need]:
        """Yield the similarities of a class."""
        yield of_similarities(records, pair_bytes=28)

    def check_parameters(self) -> None:
        """Raise ConfigError for a parameter out of its range."""
        super().check_parameters()
        check_number("n_bins", self.n_bins, 1, 1000, whole=True)
        check_choice("passes", self.passes, PASSES)
        self._network_parameters().check()
        check_number("patch_drop", self.patch_drop, 0, 0.9)
        check_number("patch_side", self.patch_side, 1, 1024, whole=True)

    def fit(self, X: np.ndarray, y: np.ndarray) -> DatasetQuantization:
        """Select from 8-bit images X, shape (n, height, width[, channels]), with labels y, shape (n,).

        Raises
        ------
        DataError
            For data, labels or a keep ratio that cannot be used.
        ConfigError
            For a parameter out of its range.
        """
        return self._fit(X, y)

    def _learn(self, X: np.ndarray, classes: Classes) -> None:
        """Train the network and fill the bins."""
        self._images, codes, n_classes = as_images(X, classes.y)
        images, everything = self._images, np.arange(len(X))
        self.network_ = TrainedNetwork.on(
            images, codes, n_classes, everything, self._network_parameters(), self.random_state, "dq"
        )
        seen = LastLayer.of(self.network_.model, images, codes) if self.passes == "cached" else None
        self.bins_ = []
        for label in classes.labels:
            members = np.flatnonzero(classes.y == label)
            if seen is not None:
                similarities = seen.of_rows(members).similarities()
                own = ClassBins.of(int(label), members, similarities, self.n_bins)
            else:
                own = ClassBins(int(label), members, self._cut_as_released(images[members], codes[members]))
            self.bins_.append(own)
        self._values = self.network_.model.last_layer(images[:1])[0].shape[1] + n_classes

    def _choose(self, classes: Classes) -> None:
        """Draw from the bins, and drop patches."""
        chosen = []
        for own, budget in zip(self.bins_, classes.budgets, strict=True):
            chosen += own.draw(int(budget), stream(self.random_state, "selection", "dq", own.group))
        self.indices_ = np.sort(np.concatenate(chosen))
        kept = self._images[self.indices_]
        self.training_images_ = self._without_patches(kept) if self.patch_drop else None

    def budget(self, n: int) -> int:
        """Return how many of n images are kept: with fewer patches of each, more of them."""
        check_number("patch_drop", self.patch_drop, 0, 0.9)
        total = total_budget(n, self.keep_ratio)
        if not self.patch_drop:
            return total
        return min(n, total_budget(n, min(1.0, self.keep_ratio / (1 - self.patch_drop))))

    def arrays(self) -> list[ArraySpec]:
        """Return the arrays that the steps touch; "images" is the data set itself."""
        own = bin_arrays(self.network_, self.bins_, self._values, len(self.indices_))
        return [*own, *([self._patch_array()] if self.patch_drop else ())]

    def steps(self, buffer_bytes: int, units: int = 1) -> Iterator[Step]:
        """Return training, passes, similarities, bins and draws, for a buffer that the SoC has.

        The similarities of a class are written to DRAM and read from there row by row as the picks ask for
        them.
        """
        yield from self.network_.training_work(NETWORK, buffer_bytes)
        if self.passes == "cached":
            everything = np.arange(sum(len(c.members) for c in self.bins_))
            yield from self.network_.forward_work(FEATURES, everything, buffer_bytes, "features")
        for own in self.bins_:
            if self.passes == "released":
                yield from self._released_work(own, buffer_bytes)
            else:
                yield from own.cut_work(self._values, buffer_bytes)
        budget = len(self.indices_)
        yield draw_step(budget)
        if self.patch_drop:
            yield from self.network_.forward_work(PATCHES, self.indices_, buffer_bytes, None)
            stored = Transfer(KEPT_PATCHES, np.arange(budget), write=True)
            yield Step(PATCHES, (stored,), importance_work(budget, self._values, self._patches))
        yield Step("indices", (Transfer("indices", np.arange(budget), write=True),))

    def _without_patches(self, images: np.ndarray) -> np.ndarray:
        """Return what the training sees of the chosen images."""
        importance = patch_importance(self.network_.model, images, self.patch_side)
        self._patches, self._channels = importance.shape[1], images.shape[3]
        return painted_over(images, kept_patches(importance, self.patch_drop), self.patch_side)

    def _patch_array(self) -> ArraySpec:
        """Return where the chosen images lie with a bit for each patch, and the bytes of those that stay."""
        stay = number_kept(self._patches, self.patch_drop)
        row_bytes = -(-self._patches // 8) + stay * self.patch_side**2 * self._channels
        return ArraySpec(KEPT_PATCHES, len(self.indices_), row_bytes)

    def _cut_as_released(self, images: np.ndarray, codes: np.ndarray) -> list[np.ndarray]:
        """Return the bins of one class, with the features of what is left computed anew for each."""
        left, bins = np.arange(len(images)), []
        for size in bin_sizes(len(images), self.n_bins)[:-1]:
            seen = LastLayer.of(self.network_.model, images[left], codes[left])
            (picks,) = cut_bins(seen.similarities(), [size])
            bins.append(left[picks])
            left = np.delete(left, picks)
        return [*bins, left]

    def _released_work(self, own: ClassBins, buffer_bytes: int) -> Iterator[Step]:
        """Return a pass over what is left of a class, its similarities and its picks, for every bin."""
        left, width = np.ones(len(own.members), bool), self._values
        for picks in own.bins[:-1]:
            rows, place = own.members[left], np.cumsum(left) - 1
            yield from self.network_.forward_work(FEATURES, rows, buffer_bytes, "features", own.group)
            yield from pair_work(SIMILARITIES, rows, "features", 4 * width, width, buffer_bytes, own.group)
            yield pick_step(place[picks], len(rows), own.group)
            left[picks] = False

    def _network_parameters(self) -> NetworkParameters:
        return NetworkParameters(self.network, self.network_epochs)
