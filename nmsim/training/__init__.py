"""The trainer: small networks on a chosen subset, their accuracy, and what training asks of the hardware."""

from nmsim.training.loop import TrainResult, train, train_seeds
from nmsim.training.network import NETWORKS, NetworkCost
from nmsim.training.work import training_arrays, training_steps

__all__ = [
    "NETWORKS",
    "NetworkCost",
    "TrainResult",
    "train",
    "train_seeds",
    "training_arrays",
    "training_steps",
]
