"""Sums over blocks of pixels, compiled."""

from __future__ import annotations

import numpy as np

from nmsim.compiled import njit


@njit(cache=True)
def pool_sums(images, size, channels, sums):
    """Write the sums over blocks of size × size pixels of every image.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, height, width · channels), contiguous
    size : int
        At least 1. Blocks at the right and lower edge repeat the last pixel.
    channels : int
    sums : ndarray of int32, shape (n, ceil(height / size), ceil(width / size) · channels), written
    """
    height, row = images.shape[1:]
    column = np.empty(row, dtype=np.int32)
    for image in range(len(images)):
        for down in range(sums.shape[1]):
            column[:] = 0
            for line in range(down * size, (down + 1) * size):
                pixels = images[image, min(line, height - 1)]
                for k in range(row):
                    column[k] += pixels[k]
            for k in range(sums.shape[2]):
                across, channel = divmod(k, channels)
                total = np.int32(0)
                for x in range(across * size, (across + 1) * size):
                    total += column[min(x * channels, row - channels) + channel]
                sums[image, down, k] = total
