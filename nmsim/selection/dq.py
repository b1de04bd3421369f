"""Dataset quantization (DQ): bins by graph cut on a network's gradients, and the same share of every bin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nmsim.access.work import ArraySpec, Step, Transfer
from nmsim.rng import stream
from nmsim.selection import features
from nmsim.selection.budget import apportion, class_budgets, total_budget
from nmsim.selection.network import (
    LastLayer,
    NetworkParameters,
    TrainedNetwork,
    as_images,
    pair_work,
    similarity_array,
)
from nmsim.selection.random import INDEX_BYTES, INSTRUCTIONS_PER_DRAW
from nmsim.selection.selector import Estimator, check_choice, check_labels, check_number

PASSES = ("cached", "released")

NETWORK, FEATURES, SIMILARITIES, BINS = "network", "features", "similarities", "bins"


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


class DatasetQuantization(Estimator):
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
    random_state : int
        Seed, 0 <= random_state < 2**63.

    Attributes
    ----------
    indices_ : ndarray of int64, shape (budget,)
        The chosen records, ascending and distinct.
    bins_ : list of ClassBins
        One for each class.
    network_ : TrainedNetwork

    Notes
    -----
    Memory grows as 4 · (records of the largest class)² bytes. Which steps are published and which are choices
    is said in the documentation (`docs/explanation/methods/dq.md`).
    """

    host_only = "it trains a network and keeps all similarities of a class"

    def __init__(
        self,
        keep_ratio: float = 0.1,
        *,
        n_bins: int = 10,
        passes: str = "cached",
        network: str = "cnn-s",
        network_epochs: int = 10,
        random_state: int = 0,
    ):
        self.keep_ratio, self.random_state = keep_ratio, random_state
        self.n_bins, self.passes = n_bins, passes
        self.network, self.network_epochs = network, network_epochs

    def check_parameters(self) -> None:
        """Raise ConfigError for a parameter out of its range."""
        check_number("n_bins", self.n_bins, 1, 1000, whole=True)
        check_choice("passes", self.passes, PASSES)
        self._network_parameters().check()
        check_number("random_state", self.random_state, 0, (1 << 63) - 1, whole=True)

    def fit(self, X: np.ndarray, y: np.ndarray) -> DatasetQuantization:
        """Select from 8-bit images X, shape (n, height, width[, channels]), with labels y, shape (n,).

        Raises
        ------
        DataError
            For data, labels or a keep ratio that cannot be used.
        ConfigError
            For a parameter out of its range.
        """
        self.check_parameters()
        features.check_records(X)
        y = check_labels(y, len(X))
        labels, sizes = np.unique(y, return_counts=True)
        budgets = class_budgets(sizes, total_budget(len(X), self.keep_ratio))
        images, codes, n_classes = as_images(X, y)
        everything = np.arange(len(X))
        self.network_ = TrainedNetwork.on(
            images, codes, n_classes, everything, self._network_parameters(), self.random_state, "dq"
        )
        seen = LastLayer.of(self.network_.model, images, codes) if self.passes == "cached" else None
        self.bins_, chosen = [], []
        for label, budget in zip(labels, budgets, strict=True):
            members = np.flatnonzero(y == label)
            sizes = [len(part) for part in np.array_split(members, self.n_bins)]
            if seen is not None:
                bins = cut_bins(seen.of_rows(members).similarities(), sizes[:-1])
            else:
                bins = self._cut_as_released(images[members], codes[members], sizes[:-1])
            bins.append(np.setdiff1d(np.arange(len(members)), np.concatenate([np.empty(0, np.int64), *bins])))
            self.bins_.append(ClassBins(int(label), members, bins))
            rng = stream(self.random_state, "selection", "dq", int(label))
            for part, share in zip(bins, apportion(np.array(sizes), int(budget)), strict=True):
                chosen.append(members[rng.choice(np.sort(part), int(share), replace=False)])
        self.indices_ = np.sort(np.concatenate(chosen))
        self._values = self.network_.model.last_layer(images[:1])[0].shape[1] + n_classes
        return self

    def arrays(self) -> list[ArraySpec]:
        """Return the arrays that the steps touch; "images" is the data set itself."""
        n = sum(len(c.members) for c in self.bins_)
        return [
            ArraySpec("images", n, self.network_.cost.image_bytes, per_image=True),
            *self.network_.arrays(),
            ArraySpec("features", n, 4 * self._values, per_image=True),
            similarity_array([len(c.members) for c in self.bins_]),
            ArraySpec("indices", len(self.indices_), INDEX_BYTES),
        ]

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
            released = self.passes == "released"
            left = np.ones(len(own.members), bool)
            for number, picks in enumerate(own.bins[:-1]):  # the last one is what is left
                rows = own.members[left]
                if released:
                    yield from self.network_.forward_work(FEATURES, rows, buffer_bytes, "features", own.group)
                if released or number == 0:
                    width = self._values
                    yield from pair_work(
                        SIMILARITIES, rows, "features", 4 * width, width, buffer_bytes, own.group
                    )
                # A pick: gains and sums of all records compared, and the search for the next.
                place = np.cumsum(left) - 1 if released else np.arange(len(left))
                pairs = len(picks) * (len(rows) if released else len(left))
                work = dict.fromkeys(("mac_fp32", "add_fp32", "compare"), pairs)
                yield Step(BINS, (Transfer("similarities", place[picks]),), work, group=own.group)
                left[picks] = False
        budget = len(self.indices_)
        yield Step("sampling", operations={"cpu_instruction": INSTRUCTIONS_PER_DRAW * budget})
        yield Step("indices", (Transfer("indices", np.arange(budget), write=True),))

    def _cut_as_released(
        self, images: np.ndarray, codes: np.ndarray, sizes: Sequence[int]
    ) -> list[np.ndarray]:
        """Return the bins of one class, with the features of what is left computed anew for each."""
        left, bins = np.arange(len(images)), []
        for size in sizes:
            seen = LastLayer.of(self.network_.model, images[left], codes[left])
            (picks,) = cut_bins(seen.similarities(), [size])
            bins.append(left[picks])
            left = np.delete(left, picks)
        return bins

    def _network_parameters(self) -> NetworkParameters:
        return NetworkParameters(self.network, self.network_epochs)
