"""The small trainer: networks, the training loop, and what a training asks of the hardware."""

from nmsim.training.loop import TrainResult, train
from nmsim.training.network import NetworkCost
from nmsim.training.work import training_arrays, training_steps

__all__ = ["NetworkCost", "TrainResult", "train", "training_arrays", "training_steps"]
