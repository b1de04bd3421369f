"""The training loop: from images to accuracy and the order in which rows were read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nmsim import stop
from nmsim.errors import ConfigError, DataError
from nmsim.rng import stream
from nmsim.training import kernels
from nmsim.training.augmentation import draw
from nmsim.training.model import Model, frozen
from nmsim.training.network import Network, NetworkCost
from nmsim.training.numpy_backend import NumpyTraining, Task
from nmsim.training.optim import SCHEDULES
from nmsim.training.recipe import Recipe

if TYPE_CHECKING:
    from nmsim.training.torch_backend import TorchTraining

#: Told the epoch, from 0, and the model as it stands, returns the rows of X_train to train on from here.
Reselect = Callable[[int, Model], np.ndarray]


@dataclass(frozen=True, eq=False)
class TrainResult:
    """What one training came to.

    Attributes
    ----------
    accuracy : float
        Share of the test images that are classified rightly after the last epoch, 0 to 1; NaN where nothing
        was trained.
    loss_per_epoch : ndarray of float64, shape (epochs,)
        Mean cross-entropy of the training images, each as seen in its batch.
    accuracy_per_epoch : ndarray of float64, shape (epochs,)
        Share of the training images classified rightly when they were seen.
    epoch_orders : sequence of ndarray of int64, shape (n,)
        For each epoch the training rows in the order of reading; batches are consecutive stretches of it.
        They are rows of X_train, also where a reselection leaves only some of them.
    epoch_moves : list of ndarray of int8, shape (n, 3), or None
        For each epoch how each image of that order was mirrored and shifted, see `augmentation.draw`. None
        for all where nothing was trained.
    network : NetworkCost
        What an image and a step cost.
    parameters : ndarray of float32
        The trained weights and biases.
    model : Model or None
        The trained network; None where nothing was trained.
    seed : int
        The seed that it was trained with.
    """

    accuracy: float
    loss_per_epoch: np.ndarray
    accuracy_per_epoch: np.ndarray
    epoch_orders: Sequence[np.ndarray]
    epoch_moves: list[np.ndarray | None] | None
    network: NetworkCost
    parameters: np.ndarray
    model: Model | None
    seed: int

    @property
    def trained_model(self) -> Model:
        """Return the model of a training that was not only counted."""
        assert self.model is not None, "nothing was trained"
        return self.model


def train(
    X_train: np.ndarray,
    y_train: np.ndarray,
    X_test: np.ndarray,
    y_test: np.ndarray,
    recipe: Recipe = Recipe(),  # noqa: B008 - frozen
    seed: int = 1,
    *,
    n_classes: int | None = None,
    reselect: Reselect | None = None,
    reselect_every: int = 1,
) -> TrainResult:
    """Return a network's accuracy on the test images after training on the training images.

    Parameters
    ----------
    X_train, X_test : ndarray of uint8, shape (n, height, width, channels)
        Images. They are normalised by the mean and the standard deviation of each channel of X_train.
    y_train, y_test : ndarray of integers, shape (n,)
        Classes, 0 <= y < n_classes.
    recipe : Recipe
        The network, and how it is trained.
    seed : int
        Draws the first weights and the order of the images.
    n_classes : int, optional
        Default: the largest label of both sets, and 1.
    reselect : callable, optional
        Chooses the rows to train on, of all of X_train, before the epochs 0, R, 2R, …; see `Reselect`. The
        first choice decides how many epochs `min_steps` asks for; the learning rate follows the epochs.
        Default: all rows in every epoch.
    reselect_every : int
        R, at least 1.

    Returns
    -------
    TrainResult

    Raises
    ------
    DataError
        Where shapes, types or labels do not fit, the images are too small, or `reselect` returned rows that
        are not distinct rows of X_train.
    ConfigError
        Where the backend is missing or trains nothing, or the training diverged.

    Notes
    -----
    Equal seeds give equal bits for any number of threads: a batch is cut into chunks of 32 images, each chunk
    is computed by one thread, and the gradients are added in the order of the chunks. Batch normalisation
    takes its statistics from a chunk too.
    """
    check_backend(recipe.backend)
    if recipe.backend == "none":
        raise ConfigError("the backend none trains nothing", hint="count_training counts what it would cost.")
    if reselect_every < 1:
        raise ConfigError(
            "a subset is chosen every R epochs", found=f"R = {reselect_every}", expected="at least 1"
        )
    y_train, y_test = (np.ascontiguousarray(y, np.int64) for y in (y_train, y_test))
    if n_classes is None:
        n_classes = max(2, int(max(y_train.max(initial=0), y_test.max(initial=0))) + 1)
    _check(X_train, y_train, X_test, y_test, n_classes)
    X_train = frozen(X_train)
    network = Network(recipe.network, X_train.shape[1:], n_classes)
    first = network.initial_parameters(stream(seed, "training", "weights")), network.initial_statistics()
    model = Model(network, *first, *normalisation(X_train))
    shuffle, draws = stream(seed, "training", "order"), stream(seed, "training", "augmentation")
    largest = min(recipe.batch_size, len(X_train))
    task = Task(model, X_train, y_train, largest, recipe.momentum, recipe.weight_decay)
    rows, epochs = np.arange(len(X_train)), recipe.epochs
    orders: list[np.ndarray] = []
    moves: list[np.ndarray | None] = []
    seen: list[np.ndarray] = []
    with _backend(recipe.backend)(task) as work:
        while (epoch := len(orders)) < epochs:
            if reselect and epoch % reselect_every == 0:
                rows = _subset(reselect(epoch, work.model), len(X_train))
            if not epoch:
                epochs = recipe.epochs_for(rows.size)
            orders.append(rows[shuffle.permutation(rows.size)])
            moves.append(draw(recipe.augmentation, rows.size, draws))
            seen.append(_train_epoch(work, recipe, orders[-1], moves[-1], epoch, epochs))
        accuracy = work.model.accuracy(X_test, y_test)
    loss_per_epoch, accuracy_per_epoch = np.transpose(seen)
    return TrainResult(
        accuracy=accuracy,
        loss_per_epoch=loss_per_epoch,
        accuracy_per_epoch=accuracy_per_epoch,
        epoch_orders=orders,
        epoch_moves=moves,
        network=network.cost(momentum=recipe.momentum > 0),
        parameters=work.model.parameters,
        model=work.model,
        seed=seed,
    )


def _train_epoch(
    work: NumpyTraining | TorchTraining,
    recipe: Recipe,
    order: np.ndarray,
    moves: np.ndarray | None,
    epoch: int,
    epochs: int,
) -> np.ndarray:
    """Train on every image of an order once; return the mean loss and the share of right answers."""
    size, sums = recipe.batch_size, np.zeros(2)
    steps = -(-order.size // size)
    for step in range(steps):
        stop.check()
        part = slice(step * size, (step + 1) * size)
        done = (epoch * steps + step + 0.5) / (epochs * steps)
        rate = recipe.learning_rate * SCHEDULES[recipe.schedule](done)
        sums += work.step(order[part], None if moves is None else moves[part], rate)
    if not np.isfinite(sums[0]):
        raise ConfigError(
            "the training diverged: its loss is not a number any more",
            found=f"training.learning_rate {recipe.learning_rate:g}, epoch {epoch + 1}",
            hint="Lower training.learning_rate.",
        )
    return sums / order.size


def normalisation(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and 1/standard deviation of each channel, float32; a constant channel has the scale 1."""
    share = kernels.count_values(images) / (images.size // images.shape[-1])
    values = np.arange(256)
    mean = share @ values
    variance = share @ values**2 - mean**2
    deviation = np.sqrt(np.where(variance > 1e-9, variance, 1.0))
    return mean.astype(np.float32), (1.0 / deviation).astype(np.float32)


def check_backend(backend: str) -> None:
    """Refuse a backend that is not installed.

    Raises
    ------
    ConfigError
        With what to install or to choose.
    """
    if backend != "none":
        _backend(backend)


def _backend(name: str) -> Callable[[Task], NumpyTraining | TorchTraining]:
    if name == "numpy":
        return NumpyTraining
    # Not above: PyTorch is optional, and takes seconds to import.
    from nmsim.training import torch_backend

    return torch_backend.TorchTraining


def _subset(rows: np.ndarray, n: int) -> np.ndarray:
    """Return what `reselect` gave as int64, or say what is wrong with it."""
    rows = np.asarray(rows)
    if rows.ndim != 1 or not rows.size or rows.dtype.kind not in "iu":
        raise DataError(
            "a reselection did not return row numbers",
            found=f"{rows.dtype}, shape {rows.shape}",
            expected="integers of shape (k,), k at least 1",
        )
    if rows.min() < 0 or rows.max() >= n or np.unique(rows).size < rows.size:
        raise DataError(
            "a reselection returned a row twice, or one that does not exist",
            found=f"{rows.size} rows from {rows.min()} to {rows.max()}",
            expected=f"distinct rows from 0 to {n - 1}",
        )
    return rows.astype(np.int64)


def _check(
    X_train: np.ndarray, y_train: np.ndarray, X_test: np.ndarray, y_test: np.ndarray, n_classes: int
) -> None:
    """Refuse images and labels that do not fit together."""
    _check_part("training", X_train, y_train, n_classes)
    _check_part("test", X_test, y_test, n_classes)
    if X_train.shape[1:] != X_test.shape[1:]:
        raise DataError(
            "the test images have another shape than the training images",
            found="×".join(map(str, X_test.shape[1:])),
            expected="×".join(map(str, X_train.shape[1:])),
        )


def _check_part(which: str, X: np.ndarray, y: np.ndarray, n_classes: int) -> None:
    if X.ndim != 4 or X.dtype != np.uint8:
        raise DataError(
            f"the {which} images are not an array of bytes",
            found=f"{X.dtype}, {X.ndim} dimensions",
            expected="uint8 of shape (n, height, width, channels)",
        )
    if not len(X) or len(X) != len(y):
        raise DataError(f"every {which} image needs one label", found=f"{len(X)} images, {len(y)} labels")
    wrong = np.flatnonzero((y < 0) | (y >= n_classes))
    if wrong.size:
        raise DataError(
            f"a {which} label is out of range",
            found=f"{y[wrong[0]]} at row {wrong[0]}",
            expected=f"0 to {n_classes - 1}",
        )
