"""What a training asks of the memory and of arithmetic: one step for each mini-batch that was trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from nmsim.access.work import ArraySpec, Step, Transfer
from nmsim.training.network import NetworkCost

#: Record size of the arrays that hold what the SRAM cannot: a whole number of DRAM bursts.
_SPILL_RECORD_BYTES = 1024


def spilled_bytes(cost: NetworkCost, batch_size: int, sram_bytes: int) -> tuple[int, int]:
    """Return the bytes of network state and of activations that do not fit the SRAM, for one batch.

    Notes
    -----
    Weights, gradients and momentum stay in the SRAM first; then the activations of the batch that the
    backward pass needs; a double buffer for the next batch's images comes before both. What does not fit is
    written to DRAM and read back once in every step. (Layer-wise schedules could do better; the rule is ours.)
    """
    left = max(0, sram_bytes - 2 * batch_size * cost.image_bytes)
    state = cost.weight_bytes + cost.gradient_bytes + cost.momentum_bytes
    activations = batch_size * cost.activation_bytes
    state_out = max(0, state - left)
    return state_out, max(0, activations - max(0, left - state))


def training_arrays(cost: NetworkCost, batch_size: int, sram_bytes: int) -> list[ArraySpec]:
    """Return the arrays that a training needs in DRAM besides the images: none where all fits the SRAM."""
    spilled = spilled_bytes(cost, batch_size, sram_bytes)
    return [
        ArraySpec(name, -(-size // _SPILL_RECORD_BYTES), _SPILL_RECORD_BYTES)
        for name, size in zip(("state", "activations"), spilled, strict=True)
        if size
    ]


def training_steps(
    cost: NetworkCost,
    epoch_orders: Sequence[np.ndarray],
    image_rows: np.ndarray,
    batch_size: int,
    sram_bytes: int,
) -> Iterator[list[Step]]:
    """Yield the steps of one epoch after the other, in the order in which the images were really read.

    Parameters
    ----------
    cost : NetworkCost
        Of the network that was trained.
    epoch_orders : sequence of ndarray of int64
        `TrainResult.epoch_orders`: for each epoch, numbers of training rows.
    image_rows : ndarray of int64, shape (n,)
        The record of the array "images" that each training row is.
    batch_size, sram_bytes : int
        Images of a step, and the SRAM that holds state and activations.

    Notes
    -----
    A step reads its images, multiplies forward and backward for each, and updates the weights once. The
    evaluation on test images is not part of a training and is not priced.
    """
    for order in epoch_orders:
        steps = []
        for start in range(0, len(order), batch_size):
            rows = image_rows[order[start : start + batch_size]]
            moves = [Transfer("images", rows)]
            for array in training_arrays(cost, len(rows), sram_bytes):
                every = np.arange(array.rows)
                moves += [Transfer(array.name, every), Transfer(array.name, every, write=True)]
            macs = len(rows) * (cost.macs_forward + cost.macs_backward) + cost.macs_update
            steps.append(Step("training", tuple(moves), {cost.mac: macs}))
        yield steps
