"""A network that a selection trains, and what its last layer says about every image.

The gradient of an image's loss by the last layer's biases and weights is v = [g; vec(g eᵀ)], with
g = probabilities - one-hot label and e what goes into the layer. It is never written out: the inner product
of two of them is (g·g')(1 + e·e').
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nmsim.access.work import ArraySpec, Step, Transfer
from nmsim.errors import DataError
from nmsim.rng import stream
from nmsim.selection.selector import check_choice, check_number
from nmsim.training import NETWORKS, Model, NetworkCost, Recipe, TrainingSteps, train, training_arrays

#: What the arrays of the selection's network are called, to tell them from those of the final training.
PREFIX = "network_"

#: Images of one step of a forward pass; weights that do not fit the buffer are read once for each step.
_TILE = 64

#: Similarities are whole multiples of this: sums of fewer than 2**29 of them are exact in float64, so that
#: the order of summation changes nothing.
RESOLUTION = 2.0**-24


@dataclass(frozen=True, eq=False)
class LastLayer:
    """The factors of every image's last-layer gradient.

    Attributes
    ----------
    gradients : ndarray of float32, shape (n, classes)
        g: the loss by the logits.
    embeddings : ndarray of float32, shape (n, features)
        e: the input of the last layer.
    """

    gradients: np.ndarray
    embeddings: np.ndarray

    @classmethod
    def of(cls, model: Model, images: np.ndarray, labels: np.ndarray) -> LastLayer:
        """Show images, uint8 (n, height, width, channels), with labels (n,) to a model."""
        embeddings, probabilities = model.last_layer(images)
        return cls(loss_gradients(probabilities, labels), embeddings)

    def __len__(self) -> int:
        return len(self.gradients)

    def of_rows(self, rows: np.ndarray) -> LastLayer:
        """Return the factors of some rows."""
        return LastLayer(self.gradients[rows], self.embeddings[rows])

    @property
    def values(self) -> int:
        """Return the numbers of one image: classes + features."""
        return self.gradients.shape[1] + self.embeddings.shape[1]

    def similarities(self) -> np.ndarray:
        """Return 0.5 + 0.5 · cosine of the gradients v of all pairs, float32 (n, n).

        The cosine with a gradient of zero is 0. Values are rounded to multiples of `RESOLUTION`.
        """
        g, e = self.gradients.astype(np.float64), self.embeddings.astype(np.float64)
        lengths = np.linalg.norm(g, axis=1, keepdims=True)
        g = np.divide(g, lengths, out=np.zeros_like(g), where=lengths > 0)
        e = np.hstack([np.ones((len(e), 1)), e])
        e /= np.linalg.norm(e, axis=1, keepdims=True)
        cosines = (g @ g.T) * (e @ e.T)
        return (np.rint((0.5 + 0.5 * cosines) / RESOLUTION) * RESOLUTION).astype(np.float32)


def loss_gradients(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the gradient of the cross-entropy by the logits, shape (n, classes)."""
    gradients = probabilities.copy()
    gradients[np.arange(len(labels)), labels] -= 1
    return gradients


def as_images(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Return images (n, height, width, channels), labels 0 … c - 1 in the order of y's, and max(c, 2).

    Raises
    ------
    DataError
        Where X is no array of 8-bit images.
    """
    if X.dtype != np.uint8 or X.ndim not in (3, 4):
        raise DataError(
            "a network needs 8-bit images",
            found=f"{X.dtype} of shape {X.shape}",
            expected="uint8 of shape (n, height, width[, channels])",
            hint="Choose a method without a network for other records.",
        )
    kinds, codes = np.unique(y, return_inverse=True)
    return (X[..., None] if X.ndim == 3 else X), codes.reshape(-1).astype(np.int64), max(2, len(kinds))


@dataclass(frozen=True)
class NetworkParameters:
    """How the network of a selection is trained.

    Attributes
    ----------
    network : str
        A name in `NETWORKS`.
    epochs, batch_size : int
    learning_rate : float
    """

    network: str
    epochs: int
    batch_size: int = 64
    learning_rate: float = 0.05

    @property
    def recipe(self) -> Recipe:
        """Return how it is trained: for these epochs, however few steps they are."""
        return Recipe(
            network=self.network,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            min_steps=0,
        )

    def check(self) -> None:
        """Raise ConfigError for what cannot be meant; names are those of the selectors' parameters."""
        check_choice("network", self.network, tuple(NETWORKS))
        check_number("network_epochs", self.epochs, 1, 100_000, whole=True)
        check_number("network_batch_size", self.batch_size, 1, 1 << 20, whole=True)
        check_number("network_learning_rate", self.learning_rate, 0, 1000, above=True)


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A trained network with the facts that its description of work needs.

    Attributes
    ----------
    model : Model
    cost : NetworkCost
    epoch_orders : sequence of ndarray of int64
        Rows of the images that it was trained on, in the order of reading.
    rows : ndarray of int64
        Which records these images are.
    batch_size : int
    """

    model: Model
    cost: NetworkCost
    epoch_orders: Sequence[np.ndarray]
    rows: np.ndarray
    batch_size: int

    @classmethod
    def on(
        cls,
        images: np.ndarray,
        labels: np.ndarray,
        n_classes: int,
        rows: np.ndarray,
        parameters: NetworkParameters,
        random_state: int,
        *names: str | int,
    ) -> TrainedNetwork:
        """Train on the records `rows`; `names` tell apart the trainings of one selection."""
        seed = int(stream(random_state, "selection", "network", *names).integers(1 << 62))
        X, y = images[rows], labels[rows]
        result = train(
            X,
            y,
            X[:1],  # the accuracy is of no interest here
            y[:1],
            parameters.recipe,
            seed,
            n_classes=n_classes,
        )
        return cls(result.trained_model, result.network, result.epoch_orders, rows, parameters.batch_size)

    def arrays(self) -> list[ArraySpec]:
        """Return what the training would need in DRAM if no buffer held any of it."""
        return [
            replace(array, name=PREFIX + array.name)
            for array in training_arrays(self.cost, self.batch_size, 0)
        ]

    def training_work(self, phase: str, buffer_bytes: int, epochs: slice = slice(None)) -> Iterator[Step]:
        """Return the batches of some epochs, as `TrainingSteps` does, under another phase."""
        orders = self.epoch_orders[epochs]
        trained = TrainingSteps(self.cost, orders, self.rows, self.batch_size, buffer_bytes)
        for step in (step for epoch in trained for step in epoch):
            moves = tuple(
                t if t.array == "images" else replace(t, array=PREFIX + t.array) for t in step.transfers
            )
            yield replace(step, phase=phase, transfers=moves)

    def forward_work(
        self, phase: str, rows: np.ndarray, buffer_bytes: int, written: str | None, group: int | None = None
    ) -> Iterator[Step]:
        """Return one forward pass over the records `rows`, whose results go to the array `written`.

        Besides the products: an exponential, a sum and a product for each class.
        """
        classes = self.model.network.n_classes
        room = max(0, buffer_bytes - 2 * _TILE * self.cost.image_bytes)
        spilled = np.arange(-(-max(0, self.cost.weight_bytes - room) // self.arrays()[0].row_bytes))
        for start in range(0, len(rows), _TILE):
            tile = rows[start : start + _TILE]
            moves = [Transfer("images", tile)]
            if len(spilled):
                moves.append(Transfer(PREFIX + "weights", spilled))
            if written:
                moves.append(Transfer(written, tile, write=True))
            soft = len(tile) * classes
            operations = {
                self.cost.mac: len(tile) * self.cost.macs_forward,
                "exp": soft,
                "add_fp32": soft,
                "mul_fp32": soft,
            }
            yield Step(phase, tuple(moves), operations, group=group)


def pair_work(
    phase: str, members: np.ndarray, array: str, row_bytes: int, values: int, buffer_bytes: int, group: int
) -> Iterator[Step]:
    """Return the products of all pairs of records: tiles stay in the buffer, the records after them pass by.

    A pair costs a multiply-accumulate a value, a product and a sum; every row of the matrix is summed up and
    written to "similarities".
    """
    n, q = len(members), max(1, buffer_bytes // row_bytes - 1)
    for start in range(0, n, q):
        tile, rest = members[start : start + q], members[start + q :]
        pairs = len(tile) * len(rest) + len(tile) * (len(tile) + 1) // 2
        moves = [Transfer(array, tile, broadcast=True)]
        if len(rest):
            moves.append(Transfer(array, rest))
        own = np.arange(start, start + len(tile))
        moves.append(Transfer("similarities", own, write=True))
        operations = {"mac_fp32": pairs * values, "mul_fp32": pairs, "add_fp32": pairs + n * len(tile)}
        yield Step(phase, tuple(moves), operations, group=group)


def similarity_array(sizes: Sequence[int]) -> ArraySpec:
    """Return the array that holds the similarities of one class after the other."""
    return ArraySpec("similarities", max(sizes), 4 * max(sizes))
