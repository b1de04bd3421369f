"""Random bytes in the place of images: a data set of any size for questions of cost, held in little memory.

All images are windows of one random stream: image i is the bytes from `STEP` · i on. So n images of D bytes
take `STEP` · n + D bytes of memory and are an ordinary NumPy array still. At the same place two images hold
independent random bytes. What is learnt from them, or selected among them, means nothing.
"""

from __future__ import annotations

import hashlib

import numpy as np

from nmsim.data.dataset import Dataset
from nmsim.rng import stream

#: Raised with every change that changes a byte.
VERSION = 1

#: What such a data set says of its split, and a report of its results.
RANDOM_BYTES = "random bytes"

#: Bytes of the stream from the beginning of an image to that of the next.
STEP = 16


def make_synthetic(n_train: int, n_test: int, shape: tuple[int, int, int], n_classes: int) -> Dataset:
    """Return a data set of random bytes.

    Parameters
    ----------
    n_train, n_test : int
        Images; at least one training image a class.
    shape : tuple of int
        Height, width and channels.
    n_classes : int
        At least 2. Image i is of class i mod n_classes.

    Raises
    ------
    DataError
        Where a class would have no training image.

    Notes
    -----
    The images of a part overlap in memory: a copy of all takes n · D bytes. The hash is that of the
    description, from which the bytes follow.
    """
    description = f"synthetic {VERSION} {n_train} {n_test} {shape} {n_classes}"
    dataset = Dataset(
        "synthetic",
        windows(n_train, shape, "train"),
        _labels(n_train, n_classes),
        windows(n_test, shape, "test"),
        _labels(n_test, n_classes),
        tuple(map(str, range(n_classes))),
        hashlib.sha256(description.encode()).hexdigest(),
        RANDOM_BYTES,
    )
    dataset.validate("dataset.synthetic")
    return dataset


def windows(n: int, shape: tuple[int, int, int], split: str) -> np.ndarray:
    """Return n images of random bytes, uint8 (n, height, width, channels), that overlap; read-only."""
    height, width, channels = shape
    size = height * width * channels
    words = stream(0, "data", "synthetic", split).bit_generator.random_raw(-(-(STEP * (n - 1) + size) // 8))
    content = words.astype("<u8", copy=False).view(np.uint8)
    strides = (STEP, width * channels, channels, 1)
    return np.lib.stride_tricks.as_strided(content, (n, *shape), strides, writeable=False)


def _labels(n: int, n_classes: int) -> np.ndarray:
    labels = np.arange(n, dtype=np.int64) % n_classes
    labels.setflags(write=False)
    return labels
