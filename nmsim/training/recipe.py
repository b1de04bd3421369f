"""How a network is trained: what a configuration's section `training` says, but for its seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from nmsim.config.experiment import Training
from nmsim.errors import ConfigError, suggestion
from nmsim.training.augmentation import AUGMENTATIONS
from nmsim.training.network import LARGE_NETWORKS, NETWORKS
from nmsim.training.optim import SCHEDULES

#: What trains: NumPy and Numba, or PyTorch; or nothing, see `counted`.
BACKENDS = ("numpy", "torch", "none")


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; the defaults are those of a configuration.

    Attributes
    ----------
    network : str
        A name in `NETWORKS` or, with the backends torch and none, in `LARGE_NETWORKS`.
    backend : str
        "numpy", or "torch" where PyTorch is installed: on a GPU where there is one. Equal seeds give equal
        orders of the images in both. "none": what a training costs is counted, see `count_training`.
    augmentation : str
        "none", "flip" or "flip_crop", see `augmentation.draw`. It changes nothing that is priced.
    epochs : int
        Passes over the training images, at least 1.
    min_steps : int
        Where `epochs` are fewer steps than this, whole epochs are added until they are as many; 0 gives every
        training set the same number of epochs, as in the published comparisons. Those train for 200 epochs;
        8 epochs of a small subset end before it has learnt. cnn-s on 1,200 of 12,000 images in batches of 64,
        mean of 4 seeds, with min_steps = 0 (152 steps), 300 and 600: glyphs 36.7, 53.3 and 54.4 %,
        Fashion-MNIST 80.6, 81.6 and 81.8 %, CIFAR-10 44.5, 43.3 and 42.8 %.
    batch_size : int
        Images of one step, at least 1; the last batch of an epoch holds what is left.
    learning_rate : float
        The largest rate, above 0.
    schedule : str
        A name in `SCHEDULES`: how the rate rises and falls.
    momentum, weight_decay : float
        See `SGD`.

    Raises
    ------
    ConfigError
        Where a name is unknown, a count is too small, a rate is out of its range, or the backend does not
        train the network.
    """

    network: str = "cnn-s"
    backend: str = "numpy"
    augmentation: str = "none"
    epochs: int = 5
    min_steps: int = 400
    batch_size: int = 32
    learning_rate: float = 0.05
    schedule: str = "cosine"
    momentum: float = 0.9
    weight_decay: float = 5e-4

    def __post_init__(self) -> None:
        _known("network", self.network, (*NETWORKS, *LARGE_NETWORKS))
        _known("backend", self.backend, BACKENDS)
        _known("augmentation", self.augmentation, AUGMENTATIONS)
        _known("schedule", self.schedule, SCHEDULES)
        for name, least in (("epochs", 1), ("batch_size", 1), ("min_steps", 0), ("weight_decay", 0)):
            if not getattr(self, name) >= least:
                raise ConfigError(f"{name} must be at least {least}", found=getattr(self, name))
        if not 0 < self.learning_rate < math.inf:
            raise ConfigError("learning_rate must be above 0", found=self.learning_rate)
        if not 0 <= self.momentum < 1:
            raise ConfigError("momentum must be at least 0 and below 1", found=self.momentum)
        if self.backend == "numpy" and self.network in LARGE_NETWORKS:
            raise ConfigError(
                f"{self.network} is too large for training.backend: numpy",
                expected=", ".join(NETWORKS),
                hint="Choose training.backend: torch.",
            )

    @classmethod
    def of(cls, section: Training) -> Recipe:
        """Return the recipe of a configuration's section."""
        return cls(**section.model_dump(exclude={"source", "seeds"}))

    def epochs_for(self, rows: int) -> int:
        """Return how many epochs so many images, at least 1, are trained for; see `min_steps`."""
        return max(self.epochs, -(-self.min_steps // -(-rows // self.batch_size)))


def _known(what: str, name: str, names: Iterable[str]) -> None:
    if name not in names:
        known = tuple(names)
        expected, hint = ", ".join(known), suggestion(name, known)
        raise ConfigError(f"no {what} has the name {name!r}", expected=expected, hint=hint)
