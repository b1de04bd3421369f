"""Training in NumPy and Numba: a batch is cut into chunks, and each chunk is computed by one thread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nmsim.training.layers import RUNNING_SHARE
from nmsim.training.loss import softmax_cross_entropy
from nmsim.training.model import Model
from nmsim.training.network import Chunk
from nmsim.training.optim import SGD
from nmsim.training.planes import CHUNK_IMAGES
from nmsim.training.team import Team


@dataclass(frozen=True, eq=False)
class Task:
    """What any backend needs to train.

    Attributes
    ----------
    model : Model
        With the first weights; a backend may change them in place.
    X, y : ndarray of uint8, shape (n, height, width, channels), and of int64, shape (n,)
    batch_size : int
        Images of the largest batch.
    momentum, weight_decay : float
        See `SGD`.
    """

    model: Model
    X: np.ndarray
    y: np.ndarray
    batch_size: int
    momentum: float
    weight_decay: float


class NumpyTraining:
    """A training under way.

    Attributes
    ----------
    model : Model
        The network as it stands.
    """

    def __init__(self, task: Task):
        self.model, self._task = task.model, task
        self._lanes = min(CHUNK_IMAGES, task.batch_size)
        n_chunks = -(-task.batch_size // self._lanes)
        model = task.model
        self._team = Team(model.network, model.parameters, model.statistics, n_chunks, self._lanes)
        self._optimiser = SGD(model.parameters, task.momentum, task.weight_decay)

    def __enter__(self) -> NumpyTraining:
        self._team.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._team.__exit__(*exception)

    def step(self, batch: np.ndarray, moves: np.ndarray | None, rate: float) -> tuple[float, int]:
        """Take one step, and return the batch's summed loss and its right answers.

        Parameters
        ----------
        batch : ndarray of int64, shape (b,)
            Rows of X, 1 <= b <= batch_size.
        moves : ndarray of int8, shape (b, 3), or None
            How each image is mirrored and shifted, see `augmentation`.
        rate : float
            Learning rate.
        """
        task, model = self._task, self.model
        used = -(-batch.size // self._lanes)
        # Even parts, so that no chunk's statistics rest on a few images where there are more.
        parts = np.array_split(np.arange(batch.size), used)

        def gradient(chunk: Chunk, i: int) -> tuple[float, int]:
            rows = batch[parts[i]]
            chunk.load(task.X, rows, model.mean, model.scale, None if moves is None else moves[parts[i]])
            chunk.forward()
            found = softmax_cross_entropy(chunk.output, task.y[rows], 1.0 / batch.size)
            chunk.backward()
            return found

        loss, right = np.sum(self._team.map(gradient, used), axis=0)
        if model.statistics.size:
            shares = np.array([part.size / batch.size for part in parts], model.statistics.dtype)
            seen = (shares[:, None] * self._team.seen[:used]).sum(axis=0)
            model.statistics[:] += RUNNING_SHARE * (seen - model.statistics)
        self._optimiser.step(self._team.gradients[:used], rate)
        return loss, right
