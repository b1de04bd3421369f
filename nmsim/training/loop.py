"""The training loop: one seed or several, from images to accuracy and the order in which rows were read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba
import numpy as np

from nmsim.errors import ConfigError, DataError
from nmsim.rng import stream
from nmsim.training import kernels
from nmsim.training.loss import softmax_cross_entropy
from nmsim.training.network import Chunk, Network, NetworkCost
from nmsim.training.optim import SCHEDULES, SGD
from nmsim.training.planes import LANES


@dataclass(frozen=True, eq=False)
class TrainResult:
    """What one training came to.

    Attributes
    ----------
    accuracy : float
        Share of the test images that are classified rightly after the last epoch, 0 to 1.
    loss_per_epoch : ndarray of float64, shape (epochs,)
        Mean cross-entropy of the training images, each as seen in its batch.
    accuracy_per_epoch : ndarray of float64, shape (epochs,)
        Share of the training images classified rightly when they were seen.
    epoch_orders : list of ndarray of int64, shape (n,)
        For each epoch the training rows in the order of reading; batches are consecutive stretches of it.
    network : NetworkCost
        What an image and a step cost.
    parameters : ndarray of float32
        The trained weights and biases.
    seed : int
        The seed that it was trained with.
    """

    accuracy: float
    loss_per_epoch: np.ndarray
    accuracy_per_epoch: np.ndarray
    epoch_orders: list[np.ndarray]
    network: NetworkCost
    parameters: np.ndarray
    seed: int


class _Team:
    """The chunks of a batch, dealt to threads; each chunk's result is its own, whoever computes it."""

    def __init__(self, network: Network, parameters: np.ndarray, n_chunks: int, lanes: int):
        self.gradients = np.zeros((n_chunks, parameters.size), parameters.dtype)
        self.chunks = [Chunk(network, parameters, lanes, gradient) for gradient in self.gradients]
        self.lanes = lanes
        self._size = min(numba.get_num_threads(), n_chunks)

    def __enter__(self) -> _Team:
        self._pool = ThreadPoolExecutor(self._size - 1) if self._size > 1 else None
        return self

    def __exit__(self, *exception: object) -> None:
        if self._pool:
            self._pool.shutdown()

    def map(self, work: Callable[[Chunk, int], object], n: int) -> list:
        """Return work(chunk i, i) for i < n, in this order."""
        results: list = [None] * n

        def share(first: int) -> None:
            for i in range(first, n, self._size):
                results[i] = work(self.chunks[i], i)

        others = [self._pool.submit(share, first) for first in range(1, min(self._size, n))]
        share(0)
        for other in others:
            other.result()
        return results


def train(
    X_train: np.ndarray,
    y_train: np.ndarray,
    X_test: np.ndarray,
    y_test: np.ndarray,
    *,
    network: str = "cnn-s",
    epochs: int = 8,
    batch_size: int = 64,
    learning_rate: float = 0.05,
    momentum: float = 0.9,
    weight_decay: float = 5e-4,
    schedule: str = "cosine",
    min_steps: int = 300,
    seed: int = 0,
    n_classes: int | None = None,
    mac: str = "mac_fp16",
) -> TrainResult:
    """Return a network's accuracy on the test images after training on the training images.

    Parameters
    ----------
    X_train, X_test : ndarray of uint8, shape (n, height, width, channels)
        Images. They are normalised by the mean and the standard deviation of each channel of X_train.
    y_train, y_test : ndarray of integers, shape (n,)
        Classes, 0 <= y < n_classes.
    network : str
        A name in `NETWORKS`.
    epochs : int
        Passes over the training images, at least 1.
    batch_size : int
        Images of one step, at least 1; the last batch of an epoch holds what is left.
    learning_rate, momentum, weight_decay, schedule
        See `SGD`.
    min_steps : int
        Where `epochs` are fewer steps than this, whole epochs are added until they are as many; 0 gives every
        training set the same number of epochs, as in the published comparisons. Those train for 200 epochs;
        8 epochs of a small subset end before it has learnt. cnn-s on 1,200 of 12,000 images, mean of 4 seeds,
        with min_steps = 0 (152 steps), 300 and 600: glyphs 36.7, 53.3 and 54.4 %, Fashion-MNIST 80.6, 81.6
        and 81.8 %, CIFAR-10 44.5, 43.3 and 42.8 %.
    seed : int
        Draws the first weights and the order of the images.
    n_classes : int, optional
        Default: the largest label of both sets, and 1.
    mac : str
        Number format that the hardware is priced in; the arithmetic here is float32.

    Raises
    ------
    DataError
        Where shapes disagree, there is no image, or a label is out of range.
    ConfigError
        Where the network or the schedule is unknown, or the training diverged.

    Notes
    -----
    Equal seeds give equal bits for any number of threads: a batch is cut into chunks of 32 images, each chunk
    is computed by one thread, and the gradients are added in the order of the chunks.
    """
    if schedule not in SCHEDULES:
        raise ConfigError(f"no schedule has the name {schedule!r}", expected=", ".join(SCHEDULES))
    y_train, y_test = (np.ascontiguousarray(y, np.int64) for y in (y_train, y_test))
    if n_classes is None:
        n_classes = max(2, int(max(y_train.max(initial=0), y_test.max(initial=0))) + 1)
    _check("training", X_train, y_train, n_classes)
    _check("test", X_test, y_test, n_classes)
    if X_train.shape[1:] != X_test.shape[1:]:
        raise DataError(
            "the test images have another shape than the training images",
            found="×".join(map(str, X_test.shape[1:])),
            expected="×".join(map(str, X_train.shape[1:])),
        )
    # One kind of array for the kernels, whether or not the caller's may be written to: one compilation.
    X_train, X_test = (np.ascontiguousarray(X)[:] for X in (X_train, X_test))
    X_train.flags.writeable = X_test.flags.writeable = False
    net = Network(network, X_train.shape[1:], n_classes)
    n = len(X_train)
    steps_per_epoch = -(-n // batch_size)
    epochs = max(epochs, -(-min_steps // steps_per_epoch))
    mean, scale = normalisation(X_train)
    parameters = net.initial_parameters(stream(seed, "training", "weights"))
    shuffle = stream(seed, "training", "order")
    optimiser = SGD(parameters, learning_rate, momentum, weight_decay, schedule, epochs * steps_per_epoch)
    orders = [shuffle.permutation(n) for _ in range(epochs)]
    history = np.zeros((epochs, 2))
    largest = min(batch_size, n)
    lanes = min(LANES, largest)
    with _Team(net, parameters, -(-largest // lanes), lanes) as team:
        for epoch, order in enumerate(orders):
            for start in range(0, n, batch_size):
                batch = order[start : start + batch_size]
                used = -(-batch.size // lanes)

                def gradient(chunk: Chunk, i: int, batch: np.ndarray = batch) -> tuple[float, int]:
                    rows = batch[i * lanes : (i + 1) * lanes]
                    chunk.load(X_train, rows, mean, scale)
                    chunk.forward()
                    found = softmax_cross_entropy(chunk.output, y_train[rows], 1.0 / batch.size)
                    chunk.backward()
                    return found

                history[epoch] += np.sum(team.map(gradient, used), axis=0)
                optimiser.step(team.gradients[:used])
            if not np.isfinite(history[epoch, 0]):
                raise ConfigError(
                    "the training diverged: its loss is not a number any more",
                    found=f"training.learning_rate {learning_rate:g}, epoch {epoch + 1}",
                    hint="Lower training.learning_rate.",
                )
        accuracy = _accuracy(team, X_test, y_test, mean, scale)
    return TrainResult(
        accuracy=accuracy,
        loss_per_epoch=history[:, 0] / n,
        accuracy_per_epoch=history[:, 1] / n,
        epoch_orders=orders,
        network=net.cost(mac, momentum=momentum > 0),
        parameters=parameters,
        seed=seed,
    )


def train_seeds(*data: np.ndarray, seeds: Sequence[int], **options: object) -> list[TrainResult]:
    """Return one training for each seed; all other arguments are those of `train`."""
    return [train(*data, seed=seed, **options) for seed in seeds]


def normalisation(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and 1/standard deviation of each channel, float32; a constant channel has the scale 1."""
    share = kernels.count_values(images) / (images.size // images.shape[-1])
    values = np.arange(256)
    mean = share @ values
    variance = share @ values**2 - mean**2
    deviation = np.sqrt(np.where(variance > 1e-9, variance, 1.0))
    return mean.astype(np.float32), (1.0 / deviation).astype(np.float32)


def _accuracy(team: _Team, X: np.ndarray, y: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> float:
    def right_answers(chunk: Chunk, i: int) -> int:
        right = 0
        for start in range(i * team.lanes, len(X), len(team.chunks) * team.lanes):
            rows = np.arange(start, min(start + team.lanes, len(X)))
            chunk.load(X, rows, mean, scale)
            chunk.forward()
            right += softmax_cross_entropy(chunk.output, y[rows], 0.0)[1]
        return right

    return sum(team.map(right_answers, len(team.chunks))) / len(X)


def _check(which: str, X: np.ndarray, y: np.ndarray, n_classes: int) -> None:
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
