"""The optimiser: stochastic gradient descent with momentum, and its learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from nmsim.training import kernels

#: Share of the steps over which `cosine` first rises; without it large rates diverge on small networks that
#: have no batch normalisation.
WARM_UP = 0.1

#: Longest gradient of a batch. Dense layers on raw pixels (mlp, softmax) diverge at the rate that suits
#: cnn-s; this bounds their steps and hardly touches those of cnn-s (Pascanu, Mikolov and Bengio, ICML 2013,
#: algorithm 1).
CLIP_NORM = 2.0


def _constant(done: float) -> float:
    return 1.0


def _cosine(done: float) -> float:
    return min(1.0, done / WARM_UP) * 0.5 * (1.0 + math.cos(math.pi * done))


#: Factor on the learning rate as a function of the share of the training that is done, 0 < share <= 1.
#: `cosine` is that of Loshchilov and Hutter (ICLR 2017, eq. 5, without restarts) with a linear warm-up.
SCHEDULES: dict[str, Callable[[float], float]] = {"constant": _constant, "cosine": _cosine}


class SGD:
    """v = momentum · v + gradient + weight_decay · w; w = w - rate · v.

    The gradient is that of the batch's mean loss, shortened to `CLIP_NORM` where it is longer.

    Parameters
    ----------
    weights : ndarray, shape (parameters,)
        Changed in place.
    momentum : float
        0 <= momentum < 1.
    weight_decay : float
        L2 penalty on all parameters, at least 0.
    """

    def __init__(self, weights: np.ndarray, momentum: float, weight_decay: float):
        self._weights, self._velocity = weights, np.zeros_like(weights)
        self._options = (momentum, weight_decay, CLIP_NORM)

    def step(self, gradients: np.ndarray, rate: float) -> None:
        """Take one step along the sum of `gradients`, shape (chunks, parameters), added in their order."""
        kernels.sgd_step(self._weights, self._velocity, gradients, rate, *self._options)
