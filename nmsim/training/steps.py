"""What a training asks of the hardware: one step of work for each mini-batch, in the order that really ran."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from nmsim.access.work import ArraySpec, Step, Transfer
from nmsim.training.network import NetworkCost

#: The phase of every step.
TRAINING = "training"

#: Bytes of a record of the arrays that spill: a usual cache line.
RECORD_BYTES = 64

#: What one step does with the part of each array that is in DRAM, in order; true for a write. The forward
#: pass reads the weights and writes the activations; the backward pass reads both and writes the gradients; the
#: update reads gradients and momentum and writes momentum and weights.
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


def training_arrays(cost: NetworkCost, n_rows: int, batch_size: int, sram_bytes: int) -> list[ArraySpec]:
    """Return the arrays that `training_steps` reads and writes.

    Parameters
    ----------
    cost : NetworkCost
        `TrainResult.network`.
    n_rows : int
        Images of the whole data set, at least 1: a subset lies where the data set put it.
    batch_size : int
        Images of the largest batch.
    sram_bytes : int
        See `training_steps`.

    Returns
    -------
    list of ArraySpec
        "images" with one record an image; then those of "weights", "gradients", "momentum" and
        "activations" that do not fit the SRAM.
    """
    return [
        ArraySpec("images", n_rows, cost.image_bytes),
        *(
            ArraySpec(name, records, RECORD_BYTES)
            for name, records in spilled_records(cost, batch_size, sram_bytes).items()
        ),
    ]


def training_steps(
    cost: NetworkCost,
    epoch_orders: Sequence[np.ndarray],
    image_rows: np.ndarray,
    batch_size: int,
    sram_bytes: int,
) -> Iterator[Step]:
    """Yield the work of each mini-batch.

    Parameters
    ----------
    cost : NetworkCost
        `TrainResult.network`.
    epoch_orders : sequence of int64 arrays
        `TrainResult.epoch_orders` or a part of it; the steps of one epoch are `training_steps(cost, [order], …)`.
    image_rows : ndarray of int64, shape (n,)
        The data set's row of each training row.
    batch_size : int
        As it was trained with; the last batch of an epoch holds what is left.
    sram_bytes : int
        Buffer that the host has for training, at least 0.

    Notes
    -----
    *Operations*: batch · (macs_forward + macs_backward) + macs_update of the kind `cost.mac`. Element-wise work
    (ReLU, pooling, softmax) is not counted; in cnn-s it is about 1 % of the operations.

    *Spill*: see `spilled_records`. The spilled part of the weights is read twice and written once a step, that
    of the other arrays written once and read once.

    *Labels*, a byte an image, stay with the host, which also knows where each image lies: read one by one from
    DRAM they would open as many rows as the images do.

    *Evaluation* on the test images is not part of the work: it measures the result, and a board in the field
    would not do it.
    """
    spills: dict[int, tuple[Transfer, ...]] = {}
    for order in epoch_orders:
        rows = np.asarray(image_rows, np.int64)[order]
        for start in range(0, rows.size, batch_size):
            batch = rows[start : start + batch_size]
            if batch.size not in spills:
                spills[batch.size] = _spill(cost, batch.size, sram_bytes)
            macs = batch.size * (cost.macs_forward + cost.macs_backward) + cost.macs_update
            yield Step(
                phase=TRAINING,
                transfers=(Transfer("images", batch), *spills[batch.size]),
                operations={cost.mac: macs},
            )


def spilled_records(cost: NetworkCost, batch_size: int, sram_bytes: int) -> dict[str, int]:
    """Return the records of 64 bytes, by array, that do not fit the SRAM; arrays that fit are left out.

    The SRAM is given to weights, gradients, momentum and the activations of one batch, in this order: what is
    used most often comes first. Activations are what the backward pass needs of the forward pass
    (`NetworkCost.activation_bytes`). Values that live within one layer only, such as a convolution's output
    before its pooling, are produced and consumed image by image and take no room here.
    """
    sizes = {
        "weights": cost.weight_bytes,
        "gradients": cost.gradient_bytes,
        "momentum": cost.momentum_bytes,
        "activations": cost.activation_bytes * batch_size,
    }
    left, spilled = sram_bytes, {}
    for name, size_bytes in sizes.items():
        excess = max(0, size_bytes - left)
        left = max(0, left - size_bytes)
        if excess:
            spilled[name] = -(-excess // RECORD_BYTES)
    return spilled


def _spill(cost: NetworkCost, batch_size: int, sram_bytes: int) -> tuple[Transfer, ...]:
    records = {name: np.arange(n) for name, n in spilled_records(cost, batch_size, sram_bytes).items()}
    return tuple(Transfer(name, records[name], write) for name, write in _PASSES if name in records)
