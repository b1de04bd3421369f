"""A training that is only counted: the orders of the images, and what they cost. Nothing is learnt."""

from __future__ import annotations

import math

import numpy as np

from nmsim.rng import stream
from nmsim.training.epochs import ByEpoch
from nmsim.training.loop import TrainResult
from nmsim.training.network import Network
from nmsim.training.recipe import Recipe


class DrawnOrders(ByEpoch[np.ndarray]):
    """The orders in which a training reads its images, each drawn when it is asked for, and none kept.

    Parameters
    ----------
    rows, epochs : int
        Images of an epoch, and epochs.
    seed : int
        Of the training.
    """

    def __init__(self, rows: int, epochs: int, seed: int):
        self._rows, self._epochs, self._seed = rows, epochs, seed
        self._rewind()

    def _rewind(self) -> None:
        self._drawn, self._shuffle = 0, stream(self._seed, "training", "order")

    def __len__(self) -> int:
        return self._epochs

    def of_epoch(self, epoch: int) -> np.ndarray:
        """Return the order of an epoch, int64 of shape (rows,)."""
        if not 0 <= epoch < self._epochs:
            raise IndexError(f"there are {self._epochs} epochs")
        if epoch < self._drawn:
            self._rewind()
        while True:
            order = self._shuffle.permutation(self._rows)
            self._drawn += 1
            if self._drawn > epoch:
                return order


def count_training(
    rows: int, image_shape: tuple[int, int, int], n_classes: int, recipe: Recipe, seed: int
) -> TrainResult:
    """Return what `train` would of so many images, as far as it is known without training.

    Parameters
    ----------
    rows : int
        Training images.
    image_shape : tuple of int
        Height, width and channels.
    n_classes : int
    recipe : Recipe
        Its network, epochs, steps, batches and momentum count.
    seed : int
        Of the orders.

    Returns
    -------
    TrainResult
        Orders and costs are those of `train`; the accuracy is NaN, and there is no model.
    """
    epochs = recipe.epochs_for(rows)
    unknown = np.broadcast_to(math.nan, epochs)  # one number, however many epochs there are
    return TrainResult(
        accuracy=math.nan,
        loss_per_epoch=unknown,
        accuracy_per_epoch=unknown,
        epoch_orders=DrawnOrders(rows, epochs, seed),
        epoch_moves=None,
        network=Network(recipe.network, image_shape, n_classes).cost(momentum=recipe.momentum > 0),
        parameters=np.empty(0, np.float32),
        model=None,
        seed=seed,
    )
