"""How the trainer lays values out in memory: the images of a chunk side by side, innermost."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

#: Channels, height and width of one image's values; a flat layer is (features, 1, 1).
Shape = tuple[int, int, int]

#: Images side by side: enough to amortise the start of a loop; a usual batch of 64 still feeds two threads.
LANES = 32


class Planes:
    """The values of one layer for a chunk of images.

    Parameters
    ----------
    shape : tuple of int
        Channels, height, width of one image.
    lanes : int
        Images side by side, at least 1.
    border : int
        Rows and columns of zeros around each image, for the convolution that reads it.
    stride : int
        Stride of the convolution that reads it. Columns are stored in the order 0, s, 2s, …, 1, s + 1, …, so
        that the pixels under one tap of the kernel lie side by side for any stride.
    dtype : numpy dtype
        float32 to train, float64 to check gradients.

    Attributes
    ----------
    array : ndarray, shape (channels, height + 2·border, stored width, lanes)
    flat : ndarray
        The same memory in one dimension.
    columns : int64 ndarray, shape (width + 2·border,)
        Where each column is stored.
    """

    def __init__(
        self, shape: Shape, lanes: int, border: int = 0, stride: int = 1, dtype: DTypeLike = np.float32
    ):
        self.shape, self.lanes, self.border = shape, lanes, border
        channels, height, width = (shape[0], shape[1] + 2 * border, shape[2] + 2 * border)
        per_phase = -(-width // stride)
        self.array = np.zeros((channels, height, per_phase * stride, lanes), dtype)
        column = np.arange(width)
        self.columns = column % stride * per_phase + column // stride

    @property
    def flat(self) -> np.ndarray:
        """Return the memory in one dimension, as a view."""
        return self.array.reshape(-1)

    def starts(self, channel: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """Return where in `flat` the lanes of these pixels begin, as uint64; the border counts as pixels."""
        _, height, width, lanes = self.array.shape
        place = (channel * height + row) * width + self.columns[column]
        return np.ascontiguousarray(place * lanes).astype(np.uint64)

    def flattened(self) -> Planes:
        """Return the same memory as (features, 1, 1), features in the order channel, row, column."""
        if self.border:
            raise ValueError("planes with a border are not flat")
        view = object.__new__(Planes)
        view.shape, view.lanes, view.border = (int(np.prod(self.shape)), 1, 1), self.lanes, 0
        view.array = self.array.reshape(*view.shape, self.lanes)
        view.columns = np.zeros(1, np.int64)
        return view

    def set_values(self, values: np.ndarray) -> None:
        """Set the inside of the border to values of shape (lanes, channels, height, width)."""
        b, (_, height, _) = self.border, self.shape
        inside = self.columns[b : self.columns.size - b]
        self.array[:, b : b + height, inside] = values.transpose(1, 2, 3, 0)

    def values(self) -> np.ndarray:
        """Return a copy of the values inside the border, shape (lanes, channels, height, width)."""
        b, (_, height, _) = self.border, self.shape
        inside = self.columns[b : self.columns.size - b]
        return self.array[:, b : b + height, inside].transpose(3, 0, 1, 2).copy()
