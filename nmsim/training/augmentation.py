"""Augmentation: how each image is mirrored and shifted each time that it is seen."""

from __future__ import annotations

import numpy as np

#: Pixels by which `flip_crop` shifts an image at most, in each direction: crops of the image's own size from
#: the image in a border of 4 (He et al., CVPR 2016, section 4.2).
MARGIN = 4

AUGMENTATIONS = ("none", "flip", "flip_crop")


def draw(augmentation: str, n: int, rng: np.random.Generator) -> np.ndarray | None:
    """Return the moves of n images: int8 of shape (n, 3), flip (0 or 1), down, right; None for "none".

    A flip is as likely as none; shifts are drawn evenly from -MARGIN to MARGIN, and are 0 without cropping.
    What lies beyond the image is the mean of the training images.
    """
    if augmentation == "none":
        return None
    moves = np.zeros((n, 3), np.int8)
    moves[:, 0] = rng.integers(0, 2, n)
    if augmentation == "flip_crop":
        moves[:, 1:] = rng.integers(-MARGIN, MARGIN + 1, (n, 2))
    return moves
