"""The loss: softmax and cross-entropy in one."""

from __future__ import annotations

import numpy as np

from nmsim.training import kernels
from nmsim.training.layers import Signal


def softmax_cross_entropy(output: Signal, labels: np.ndarray, share: float) -> tuple[float, int]:
    """Return the summed loss -log p[label] of a chunk and its right answers; set the output's gradient.

    Parameters
    ----------
    output : Signal
        The network's output, (classes, 1, 1) for each lane. Its gradient becomes share · (p - one-hot label);
        lanes without a label get 0.
    labels : ndarray of int64, shape (at most lanes,)
        Classes, 0 <= label < classes.
    share : float
        Weight of one image, 1/(images of the batch): the chunks' gradients then add up to the batch's mean.
    """
    dlogits, logits = (
        planes.array.reshape(-1, planes.lanes) for planes in (output.its_gradient, output.values)
    )
    return kernels.cross_entropy(dlogits, logits, labels, share)
