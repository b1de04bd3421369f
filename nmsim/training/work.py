"""What a training asks of the hardware: one step for each mini-batch, in the order that really ran."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nmsim.access.phases import TRAINING
from nmsim.access.work import ArraySpec, Step, Transfer
from nmsim.training.epochs import ByEpoch
from nmsim.training.network import NetworkCost

#: Bytes of a record of the arrays that spill: a whole number of DRAM bursts.
RECORD_BYTES = 1024

#: What one step does with the part of each array that lies in DRAM, in order; true for a write. The forward
#: pass reads the weights and writes the activations; the backward pass reads both and writes the gradients;
#: the update reads gradients and momentum and writes momentum and weights.
_PASSES = (
    ("weights", False),
    ("activations", True),
    ("weights", False),
    ("activations", False),
    ("gradients", True),
    ("gradients", False),
    ("momentum", False),
    ("momentum", True),
    ("weights", True),
)


def training_arrays(cost: NetworkCost, batch_size: int, sram_bytes: int) -> list[ArraySpec]:
    """Return the arrays that a training needs in DRAM besides "images": none where all fits the SRAM.

    Parameters
    ----------
    cost : NetworkCost
        `TrainResult.network`.
    batch_size : int
        Images of the largest batch, at least 1.
    sram_bytes : int
        Buffer that the host has for training, at least 0.

    Returns
    -------
    list of ArraySpec
        Of "weights", "gradients", "momentum" and "activations" the parts that do not fit, in records of 1024
        bytes.

    Notes
    -----
    The SRAM is given to a double buffer for the images of a batch, then to weights, gradients, momentum, and
    last to the activations that the backward pass needs (`NetworkCost.activation_bytes`). Values that live
    within one layer only, such as a convolution's output before its pooling, are produced and consumed image
    by image and take no room here. The order is a choice: what a step uses most often comes first.
    """
    sizes = {
        "weights": cost.weight_bytes,
        "gradients": cost.gradient_bytes,
        "momentum": cost.momentum_bytes,
        "activations": cost.activation_bytes * batch_size,
    }
    left, arrays = max(0, sram_bytes - 2 * batch_size * cost.image_bytes), []
    for name, size_bytes in sizes.items():
        if size_bytes > left:
            arrays.append(ArraySpec(name, -(-(size_bytes - left) // RECORD_BYTES), RECORD_BYTES))
        left = max(0, left - size_bytes)
    return arrays


class TrainingSteps(ByEpoch[list[Step]]):
    """The work of a training: for each epoch the steps of its mini-batches, made when they are asked for.

    Parameters
    ----------
    cost : NetworkCost
        `TrainResult.network`.
    epoch_orders : sequence of int64 arrays
        `TrainResult.epoch_orders`: training rows in the order of reading.
    image_rows : ndarray of int64, shape (n,)
        The record of the array that each training row is: a subset lies where its data set lies.
    batch_size : int
        As it was trained with; the last batch of an epoch holds what is left.
    sram_bytes : int
        Buffer that the host has for training, at least 0.
    array : str
        What holds the images.

    Notes
    -----
    A step reads its images and does batch · (macs_forward + macs_backward) + macs_update operations of the
    kind `cost.mac`. Element-wise work (ReLU, pooling, softmax) is not counted, about 1 % of the operations of
    cnn-s; nor are the labels, one byte an image.

    What does not fit the SRAM, see `training_arrays`, moves in every step: weights are read twice and written
    once, gradients, momentum and activations written once and read once.

    Evaluation on the test images is not part of the work: it measures the result, and a board in the field
    would not do it.
    """

    def __init__(
        self,
        cost: NetworkCost,
        epoch_orders: Sequence[np.ndarray],
        image_rows: np.ndarray,
        batch_size: int,
        sram_bytes: int,
        array: str = "images",
    ):
        self._cost, self._orders, self._batch_size = cost, epoch_orders, batch_size
        self._rows, self._sram_bytes = np.asarray(image_rows, np.int64), sram_bytes
        self._array = array
        self._spills: dict[int, tuple[Transfer, ...]] = {}

    def __len__(self) -> int:
        return len(self._orders)

    def of_epoch(self, epoch: int) -> list[Step]:
        """Return the steps of an epoch."""
        rows = self._rows[self._orders[epoch]]
        return [self._step(rows[at : at + self._batch_size]) for at in range(0, rows.size, self._batch_size)]

    def _step(self, batch: np.ndarray) -> Step:
        cost = self._cost
        if batch.size not in self._spills:
            self._spills[batch.size] = _spill(training_arrays(cost, batch.size, self._sram_bytes))
        return Step(
            phase=TRAINING,
            transfers=(Transfer(self._array, batch), *self._spills[batch.size]),
            operations={cost.mac: batch.size * (cost.macs_forward + cost.macs_backward) + cost.macs_update},
        )


def _spill(arrays: list[ArraySpec]) -> tuple[Transfer, ...]:
    rows = {array.name: np.arange(array.rows) for array in arrays}
    return tuple(Transfer(name, rows[name], write) for name, write in _PASSES if name in rows)
