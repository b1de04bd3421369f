"""How the trainer lays values out in memory: the images of a chunk side by side, innermost."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

#: Channels, height and width of one image's values; a flat layer is (features, 1, 1).
Shape = tuple[int, int, int]

#: Images side by side: enough to amortise the start of a loop; a usual batch of 64 still feeds two threads.
CHUNK_IMAGES = 32


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
        self.shape, self.lanes, self.border, self.stride = shape, lanes, border, stride
        channels, height, width = (shape[0], shape[1] + 2 * border, shape[2] + 2 * border)
        per_phase = -(-width // stride)
        self.array = _aligned_zeros((channels, height, per_phase * stride, lanes), dtype)
        column = np.arange(width)
        self.columns = column % stride * per_phase + column // stride

    def alike(self) -> Planes:
        """Return new planes of the same geometry."""
        return Planes(self.shape, self.lanes, self.border, self.stride, self.array.dtype)

    @property
    def inner_columns(self) -> np.ndarray:
        """Return where each column inside the border is stored."""
        return self.columns[self.border : self.border + self.shape[2]]

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
        if self.border or self.stride > 1:
            raise ValueError("planes with a border or a stride are not flat")
        view = object.__new__(Planes)
        view.shape, view.lanes = (int(np.prod(self.shape)), 1, 1), self.lanes
        view.border, view.stride = 0, 1
        view.array = self.array.reshape(*view.shape, self.lanes)
        view.columns = np.zeros(1, np.int64)
        return view

    def set_values(self, values: np.ndarray) -> None:
        """Set the inside of the border to values of shape (lanes, channels, height, width)."""
        b, (_, height, _) = self.border, self.shape
        self.array[:, b : b + height, self.inner_columns] = values.transpose(1, 2, 3, 0)

    def values(self) -> np.ndarray:
        """Return a copy of the values inside the border, shape (lanes, channels, height, width)."""
        b, (_, height, _) = self.border, self.shape
        return self.array[:, b : b + height, self.inner_columns].transpose(3, 0, 1, 2).copy()


def _aligned_zeros(shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """Return zeros that begin with a cache line, so that a vector of 64 bytes never lies across two."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)
