"""A network with its weights: what it says about images, and what its last layer sees of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numba
import numpy as np

from nmsim.training.network import Chunk, Network
from nmsim.training.planes import CHUNK_IMAGES
from nmsim.training.team import Team


@dataclass(frozen=True, eq=False)
class Model:
    """A network, trained or not.

    Attributes
    ----------
    network : Network
    parameters : ndarray of float32, shape (parameters,)
        Weights and biases. While a training runs they change in place: copy what is to be kept. A model with
        other weights is `dataclasses.replace(model, parameters=…)`.
    statistics : ndarray of float32, shape (statistics,)
        Running statistics of batch normalisation, empty where there is none; as with the parameters.
    mean, scale : ndarray of float32, shape (channels,)
        The network sees (value - mean) · scale of each channel.
    """

    network: Network
    parameters: np.ndarray
    statistics: np.ndarray
    mean: np.ndarray
    scale: np.ndarray

    def last_layer(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what goes into the last layer, and the probabilities of the classes that come out.

        Parameters
        ----------
        X : ndarray of uint8, shape (n, height, width, channels)

        Returns
        -------
        embeddings : ndarray of float32, shape (n, features)
        probabilities : ndarray of float32, shape (n, classes)
            Rows sum to 1. The gradient of an image's loss by the logits is probabilities - one-hot label, and
            by the last layer's weights its outer product with the embedding.
        """
        network = self.network
        embeddings = np.empty((len(X), int(np.prod(network.shapes[-2]))), np.float32)
        probabilities = np.empty((len(X), network.n_classes), np.float32)

        def keep(chunk: Chunk, rows: np.ndarray) -> None:
            embeddings[rows] = chunk.embedding.values.values()[: rows.size].reshape(rows.size, -1)
            logits = chunk.output.values.values()[: rows.size, :, 0, 0]
            powers = np.exp(logits - logits.max(axis=1, keepdims=True))
            probabilities[rows] = powers / powers.sum(axis=1, keepdims=True)

        self._see(X, keep)
        return embeddings, probabilities

    def accuracy(self, X: np.ndarray, y: np.ndarray) -> float:
        """Return the share of the images X, as for `last_layer`, to which the model gives their class y."""
        right = np.zeros(len(X), bool)

        def compare(chunk: Chunk, rows: np.ndarray) -> None:
            logits = chunk.output.values.array.reshape(self.network.n_classes, -1)
            right[rows] = logits[:, : rows.size].argmax(axis=0) == y[rows]

        self._see(X, compare)
        return float(right.mean())

    def _see(self, X: np.ndarray, use: Callable[[Chunk, np.ndarray], None]) -> None:
        """Show all images to the network, and hand each chunk with its rows to `use`."""
        X = frozen(X)
        n_chunks = max(1, min(numba.get_num_threads(), -(-len(X) // CHUNK_IMAGES)))

        def part(chunk: Chunk, i: int) -> None:
            for start in range(i * CHUNK_IMAGES, len(X), n_chunks * CHUNK_IMAGES):
                rows = np.arange(start, min(start + CHUNK_IMAGES, len(X)))
                chunk.load(X, rows, self.mean, self.scale)
                chunk.forward(training=False)
                use(chunk, rows)

        with Team(self.network, self.parameters, self.statistics, n_chunks, CHUNK_IMAGES) as team:
            team.map(part, n_chunks)


def frozen(X: np.ndarray) -> np.ndarray:
    """Return a contiguous view that may not be written to: one kind of array, so one compilation."""
    X = np.ascontiguousarray(X)[:]
    X.flags.writeable = False
    return X
