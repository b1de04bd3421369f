"""NeSSA: facility location on the gradients of an 8-bit copy of the network in training, again and again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nmsim.access.work import ArraySpec, Step, Transfer
from nmsim.machine import Need
from nmsim.rng import stream
from nmsim.selection.defaults import FollowingDefaults
from nmsim.selection.needs import Records, of_similarities
from nmsim.selection.network import NetworkParameters, TrainedNetwork, as_images, loss_gradients
from nmsim.selection.network_facility import closeness, facility_location
from nmsim.selection.network_int8 import CALIBRATION_IMAGES, Int8Copy, check_quantised
from nmsim.selection.random import INDEX_BYTES
from nmsim.selection.selector import Estimator, check_number
from nmsim.training import NETWORKS, Model, train
from nmsim.training.network import LARGE_NETWORKS

FEEDBACK, WEIGHTS, FORWARD, FACILITY, LEARNED = "feedback", "weights", "forward", "facility", "learned"

#: Bytes of a record of the array of 8-bit weights.
_RECORD_BYTES = 1024

#: Bytes of one value of a gradient, of a sum of losses, and of a gain.
_VALUE_BYTES = 4

#: Smallest probability whose loss is told apart from infinity.
_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class ClassRound:
    """What one round did in one class.

    Attributes
    ----------
    group : int
        The class label.
    candidates : ndarray of int64
        The records that were read, ascending: all but those that were learnt before.
    picks : ndarray of int64
        The chosen records, in the order of picking.
    evaluations : int
        Gains computed anew after the first one of every candidate.
    """

    group: int
    candidates: np.ndarray
    picks: np.ndarray
    evaluations: int


@dataclass(frozen=True, eq=False)
class Round:
    """One selection between two epochs.

    Attributes
    ----------
    epoch : int
        It came before this epoch, counted from 0.
    indices : ndarray of int64, shape (budget,)
        The records to train on until the next round, ascending and distinct.
    classes : list of ClassRound
    """

    epoch: int
    indices: np.ndarray
    classes: list[ClassRound]


class NeSSA(FollowingDefaults, Estimator):
    """Reselect during training, by facility location on an 8-bit copy's gradients (NeSSA, HotStorage 2023).

    It follows a training: `start`, then `reselect` before the epochs 0, R, 2R, … `fit` trains a network of
    its own in this way and keeps the subset of the last round.

    Parameters
    ----------
    keep_ratio : float
        Share of the samples to train on at any time, 0 < keep_ratio <= 1.
    reselect_every : int
        R, at least 1.
    drop_share : float
        Share of each class's candidates, those with the lowest losses so far, that are taken as learnt after
        a round and never read again, 0 <= drop_share < 1; as many as the budget always stay.
    network : str
        For `fit` alone: a name in `nmsim.training.NETWORKS`.
    network_epochs : int
        For `fit` alone: epochs, at least 1.
    random_state : int
        Seed of the training in `fit`, 0 <= random_state < 2**63. The rounds themselves draw nothing.

    Attributes
    ----------
    indices_ : ndarray of int64, shape (budget,)
        The records of the last round.
    rounds_ : list of Round
    network_ : TrainedNetwork or None
        What `fit` trained.

    Notes
    -----
    Memory grows as 8 · (records of the largest class)² bytes. Which steps are published and which are choices
    is said in the documentation (`docs/explanation/methods/nessa.md`).
    """

    places = ("host", "nmc")

    def __init__(
        self,
        keep_ratio: float = 0.1,
        *,
        reselect_every: int = 5,
        drop_share: float = 0.1,
        network: str = "cnn-s",
        network_epochs: int = 15,
        random_state: int = 1,
    ):
        self.keep_ratio, self.random_state = keep_ratio, random_state
        self.reselect_every, self.drop_share = reselect_every, drop_share
        self.network, self.network_epochs = network, network_epochs

    def needs(self, records: Records) -> Iterator[Need]:
        """Yield the similarities of a class."""
        yield of_similarities(records, pair_bytes=6)

    def check_parameters(self) -> None:
        """Raise ConfigError for a parameter out of its range."""
        super().check_parameters()
        check_number("reselect_every", self.reselect_every, 1, 100_000, whole=True)
        check_number("drop_share", self.drop_share, 0, 0.999)
        NetworkParameters(self.network, self.network_epochs).check()
        self.check_network(self.network)

    @staticmethod
    def check_network(name: str) -> None:
        """Raise ConfigError for a network that has no 8-bit copy."""
        check_quantised(name, (NETWORKS | LARGE_NETWORKS)[name])

    def start(self, X: np.ndarray, y: np.ndarray) -> NeSSA:
        """Make ready to choose from 8-bit images X, shape (n, height, width[, channels]), and return self.

        Raises
        ------
        DataError
            For data, labels or a keep ratio that cannot be used.
        ConfigError
            For a parameter out of its range.
        """
        y, labels, _, budgets = self.checked(X, y)
        self._images, self._codes, self._n_classes = as_images(X, y)
        self._calibration = np.unique(np.linspace(0, len(X) - 1, CALIBRATION_IMAGES).astype(np.int64))
        self._losses = np.zeros(len(X))
        self._candidates = {int(label): np.flatnonzero(y == label) for label in labels}
        self._budgets = {int(label): int(budget) for label, budget in zip(labels, budgets, strict=True)}
        self.rounds_: list[Round] = []
        self.network_: TrainedNetwork | None = None
        return self

    def reselect(self, epoch: int, model: Model) -> np.ndarray:
        """Return the records to train on from this epoch on, chosen with an 8-bit copy of the model."""
        copy = Int8Copy.of(model, self._images[self._calibration])
        self._copy, self._cost = copy, model.network.cost()
        classes = []
        for label, members in self._candidates.items():
            probabilities, own = copy.probabilities(self._images[members]), self._codes[members]
            self._losses[members] -= np.log(np.maximum(probabilities[np.arange(len(own)), own], _TINY))
            near = closeness(loss_gradients(probabilities, own))
            picks, evaluations = facility_location(near, self._budgets[label])
            classes.append(ClassRound(label, members, members[picks], evaluations))
            self._candidates[label] = self._unlearnt(members, self._budgets[label])
        self.indices_ = np.sort(np.concatenate([found.picks for found in classes]))
        self.rounds_.append(Round(epoch, self.indices_, classes))
        return self.indices_

    def fit(self, X: np.ndarray, y: np.ndarray) -> NeSSA:
        """Train a network on subsets that follow it, and keep the last; see `start` for X, y and errors."""
        self.start(X, y)
        seed = int(stream(self.random_state, "selection", "network", "nessa").integers(1 << 62))
        images, codes = self._images, self._codes
        parameters = NetworkParameters(self.network, self.network_epochs)
        result = train(
            images,
            codes,
            images[:1],  # the accuracy is of no interest here
            codes[:1],
            parameters.recipe,
            seed,
            n_classes=self._n_classes,
            reselect=self.reselect,
            reselect_every=self.reselect_every,
        )
        self.network_ = TrainedNetwork(
            result.trained_model,
            result.network,
            result.epoch_orders,
            np.arange(len(X)),
            parameters.batch_size,
        )
        return self

    def arrays(self) -> list[ArraySpec]:
        """Return the arrays that the rounds touch; "images" is the data set itself."""
        n, row_bytes = len(self._images), self._images[0].nbytes
        return [
            ArraySpec("images", n, row_bytes, per_image=True),
            ArraySpec("int8_weights", -(-self._copy.bytes // _RECORD_BYTES), _RECORD_BYTES),
            ArraySpec("proxies", n, _VALUE_BYTES * self._n_classes, per_image=True),
            ArraySpec("losses", n, _VALUE_BYTES, per_image=True),
            *(self.network_.arrays() if self.network_ else ()),
            ArraySpec("indices", len(self.indices_), INDEX_BYTES),
        ]

    def steps(self, buffer_bytes: int, units: int = 1) -> Iterator[Step]:
        """Return what `fit` did: every round, and the training between them."""
        assert self.network_ is not None, "fit comes first"
        ends = [*(found.epoch for found in self.rounds_[1:]), None]
        for number, (found, end) in enumerate(zip(self.rounds_, ends, strict=True)):
            yield from self.feedback_steps(number)
            yield from self.round_steps(number, buffer_bytes, units)
            yield from self.network_.training_work("network", buffer_bytes, slice(found.epoch, end))

    def feedback_steps(self, number: int) -> Iterator[Step]:
        """Return what the SoC does before round `number`: make the 8-bit copy and write it to the memory.

        The weights as they are lie in its SRAM, or cost what the training's own accesses to them cost.
        """
        cost, weights = self._cost, np.arange(-(-self._copy.bytes // _RECORD_BYTES))
        calibrating = {cost.mac: len(self._calibration) * cost.macs_forward}
        yield Step(FEEDBACK, (Transfer("images", self._calibration),), calibrating)
        quantising = {"mul_fp32": cost.parameters, "compare": cost.parameters}
        yield Step(FEEDBACK, (Transfer("int8_weights", weights, write=True),), quantising)

    def round_steps(self, number: int, buffer_bytes: int, units: int = 1) -> Iterator[Step]:
        """Return the accesses and operations of round `number`, for a buffer and units that share a class.

        The weights are sent to every unit's buffer; what has no room there beside the activations of an image
        is sent again for every image that a unit works on. Every candidate is read once. Gradients stay in
        the buffers during facility location as far as these go; the rest is streamed for every gain.
        """
        found = self.rounds_[number]
        yield from self._weight_steps(found, buffer_bytes, units)
        copy, classes = self._copy, self._n_classes
        for own in found.classes:
            n = len(own.candidates)
            rounded, soft = n * copy.rounded_values, n * classes
            operations = {
                "mac_int8": n * self._cost.macs_forward,
                "mul_fp32": rounded + soft,
                "compare": rounded,
                "exp": soft + n,  # a logarithm costs as an exponential
                "add_fp32": soft + 2 * n,
            }
            moves = (
                Transfer("images", own.candidates),
                Transfer("losses", own.candidates),
                Transfer("losses", own.candidates, write=True),
                Transfer("proxies", own.candidates, write=True),
            )
            yield Step(FORWARD, moves, operations, group=own.group)
        for own in found.classes:
            yield from self._facility_steps(own, buffer_bytes, units)
        for own in found.classes:
            n = len(own.candidates)
            sorting = {"compare": n * max(1, (n - 1).bit_length())}
            yield Step(
                LEARNED,
                operations=sorting,
                gather_bytes_per_unit=-(-_VALUE_BYTES * n // units),
                group=own.group,
            )
        yield Step("indices", (Transfer("indices", np.arange(len(found.indices)), write=True),))

    def _weight_steps(self, found: Round, buffer_bytes: int, units: int) -> Iterator[Step]:
        copy, rows = self._copy, np.arange(-(-self._copy.bytes // _RECORD_BYTES))
        room = max(0, buffer_bytes - copy.activation_bytes) // _RECORD_BYTES
        if room:
            yield Step(WEIGHTS, (Transfer("int8_weights", rows[:room], broadcast=True),))
        if len(rows) > room:
            waves = -(-sum(len(own.candidates) for own in found.classes) // units)
            yield Step(WEIGHTS, (Transfer("int8_weights", rows[room:], broadcast=True),), repeat=waves)

    def _facility_steps(self, own: ClassRound, buffer_bytes: int, units: int) -> Iterator[Step]:
        n, row_bytes = len(own.candidates), _VALUE_BYTES * self._n_classes
        q = max(1, buffer_bytes // row_bytes - 1)
        for start in range(0, n, q):
            tile, rest = own.candidates[start : start + q], own.candidates[start + q :]
            pairs = len(tile) * len(rest) + len(tile) * (len(tile) - 1) // 2
            moves = [Transfer("proxies", tile, broadcast=True)]
            if len(rest):
                moves.append(Transfer("proxies", rest))
            sums = -(-_VALUE_BYTES * len(tile) // units)
            yield Step(
                FACILITY,
                tuple(moves),
                {**self._distances(pairs), "add_fp32": 3 * pairs},
                gather_bytes_per_unit=sums,
                group=own.group,
            )
        # Every gain computed anew, and every pick, sends a gradient to all and meets all candidates.
        sent = own.evaluations + len(own.picks)
        if not sent:
            return
        resident = min(n, units * buffer_bytes // (row_bytes + _VALUE_BYTES))
        if resident:
            yield Step(FACILITY, (Transfer("proxies", own.candidates[:resident]),), group=own.group)
        beyond = own.candidates[resident:]
        yield Step(
            FACILITY,
            (Transfer("proxies", beyond),) if len(beyond) else (),
            {**self._distances(n), "add_fp32": 3 * n, "compare": 2 * n},
            broadcast_bytes=row_bytes,
            gather_bytes_per_unit=_VALUE_BYTES,
            group=own.group,
            repeat=sent,
        )

    def _distances(self, pairs: int) -> dict[str, int]:
        """Return the products of distances; a root costs as a division."""
        return {"mac_fp32": pairs * self._n_classes, "div_fp32": pairs}

    def _unlearnt(self, members: np.ndarray, budget: int) -> np.ndarray:
        """Return the members without the share with the lowest losses so far, the first of equals."""
        dropped = min(int(self.drop_share * len(members)), len(members) - budget)
        order = np.argsort(self._losses[members], kind="stable")
        return np.sort(members[order[dropped:]])
