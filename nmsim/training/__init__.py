"""The trainer: small networks on a chosen subset, their accuracy, and what training asks of the hardware."""

from nmsim.training.counted import count_training
from nmsim.training.loop import Reselect, TrainResult, check_backend, train
from nmsim.training.model import Model
from nmsim.training.network import LARGE_NETWORKS, NETWORKS, NetworkCost
from nmsim.training.recipe import Recipe
from nmsim.training.work import TrainingSteps, training_arrays

__all__ = [
    "LARGE_NETWORKS",
    "NETWORKS",
    "Model",
    "NetworkCost",
    "Recipe",
    "Reselect",
    "TrainResult",
    "TrainingSteps",
    "check_backend",
    "count_training",
    "train",
    "training_arrays",
]
