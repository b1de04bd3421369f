"""The layers: what each one computes, what it costs, and how it is bound to the memory of a chunk.

A layer is a frozen description. `bind` gives it the planes that it reads and writes, and returns an object
with `forward()` and `backward()`. Batch normalisation is left out on purpose: without it the gradient of a
batch is the sum over its images, so chunks of a batch are independent of one another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nmsim.training import kernels
from nmsim.training.planes import Planes, Shape


@dataclass
class Signal:
    """The values between two layers, and the gradient of the loss with respect to them.

    The gradient has the geometry of the values; it is None for the images, whose gradient nobody needs. Both
    may be one memory, so that a chunk fits into a core's cache: when a layer writes its input's gradient it
    has no use any more for its input's values, and none ever for its output's.
    """

    values: Planes
    gradient: Planes | None


class Bound(Protocol):
    """A layer at work on the memory of one chunk."""

    def forward(self) -> None:
        """Compute the output's values from the input's."""

    def backward(self) -> None:
        """Compute the input's gradient from the output's, and add to the gradient of the parameters."""


@dataclass(frozen=True)
class Layer:
    """A layer without parameters; the base of all others.

    Attributes
    ----------
    border, stride : int
        What the layer wants of the planes that it reads, see `Planes`.
    """

    @property
    def border(self) -> int:
        """Return the border of zeros that the layer reads beyond the image."""
        return 0

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of the output for an input of `shape`; raise ValueError where there is none."""
        return shape

    def fan_in(self, shape: Shape) -> int:
        """Return the products that are summed into one output value; 0 for a layer without parameters."""
        return 0

    def parameter_count(self, shape: Shape) -> int:
        """Return the number of weights and biases."""
        return (self.fan_in(shape) + 1) * self.output_shape(shape)[0] if self.fan_in(shape) else 0

    def macs(self, shape: Shape) -> int:
        """Return the multiply-adds of one image's forward pass: fan-in times output values."""
        return self.fan_in(shape) * int(np.prod(self.output_shape(shape)))

    def saved_bits(self, shape: Shape, element_bits: int) -> int:
        """Return the bits of one image that the layer keeps from the forward to the backward pass."""
        return 0

    def bind(self, x: Signal, y: Signal, weights: np.ndarray, gradient: np.ndarray) -> Bound:
        """Return the layer at work on the given memory; `weights` and `gradient` are flat views."""
        raise NotImplementedError


@dataclass(frozen=True)
class Conv2d(Layer):
    """A convolution with stride s and padding d.

    y[o, i, j] = bias[o] + sum over p, q, c of w[p, q, c, o] · x[c, s·i + p - d, s·j + q - d]

    Parameters
    ----------
    channels : int
        Output channels.
    kernel, padding : int
        Side of the square kernel, and zeros around the image.
    stride : int
        Above 1 in the first layer of a network only, where the loader stores the columns to suit it.
    """

    channels: int
    kernel: int = 3
    padding: int = 1
    stride: int = 1

    @property
    def border(self) -> int:
        return self.padding

    def output_shape(self, shape: Shape) -> Shape:
        height, width = ((side + 2 * self.padding - self.kernel) // self.stride + 1 for side in shape[1:])
        if min(height, width) < 1:
            raise ValueError(
                f"a {self.kernel}×{self.kernel} kernel does not fit into {shape[1]}×{shape[2]} pixels"
            )
        return self.channels, height, width

    def fan_in(self, shape: Shape) -> int:
        return self.kernel**2 * shape[0]

    def saved_bits(self, shape: Shape, element_bits: int) -> int:
        return int(np.prod(shape)) * element_bits

    def bind(self, x: Signal, y: Signal, weights: np.ndarray, gradient: np.ndarray) -> Bound:
        return _Linear(x, y, weights, gradient, self.kernel, self.stride)


@dataclass(frozen=True)
class Dense(Layer):
    """A fully connected layer on flat values: a convolution of one pixel with a kernel of one."""

    units: int

    def output_shape(self, shape: Shape) -> Shape:
        if shape[1:] != (1, 1):
            raise ValueError("a Dense layer needs a Flatten layer before it")
        return self.units, 1, 1

    def fan_in(self, shape: Shape) -> int:
        return shape[0]

    def saved_bits(self, shape: Shape, element_bits: int) -> int:
        return shape[0] * element_bits

    def bind(self, x: Signal, y: Signal, weights: np.ndarray, gradient: np.ndarray) -> Bound:
        return _Linear(x, y, weights, gradient, kernel=1, stride=1)


class _Linear:
    """A convolution at work: tables of where every row of memory begins, and the kernels that add them up."""

    def __init__(
        self, x: Signal, y: Signal, weights: np.ndarray, gradient: np.ndarray, kernel: int, stride: int
    ):
        self._x, self._y, self._weights, self._gradient = x, y, weights, gradient
        outputs, height, width = y.values.shape
        channels, rows, tap = np.arange(x.values.shape[0]), np.arange(height), np.arange(kernel)
        self._length = width * x.values.lanes
        border = y.values.border
        self._y_at = y.values.starts(np.arange(outputs), rows[:, None] + border, np.full(1, border))
        # Axes: output row, kernel row, kernel column, channel.
        at = x.values.starts(channels, stride * rows[:, None, None, None] + tap[:, None, None], tap[:, None])
        self._x_at = at.reshape(height, -1)
        self._dx_at = at.reshape(height, kernel**2, channels.size)

    def forward(self) -> None:
        kernels.linear_forward(
            self._y.values.flat, self._y_at, self._x.values.flat, self._x_at, self._weights, self._length
        )

    def backward(self) -> None:
        dy = self._y.gradient.flat
        kernels.linear_backward(dy, self._y_at, self._x.values.flat, self._x_at, self._gradient, self._length)
        if self._x.gradient is not None:
            kernels.linear_backward_input(
                self._x.gradient.flat, self._dx_at, dy, self._y_at, self._weights, self._length
            )


@dataclass(frozen=True)
class ReLU(Layer):
    """The positive part: y = max(x, 0). It saves one bit a value: whether it was positive."""

    def saved_bits(self, shape: Shape, element_bits: int) -> int:
        return int(np.prod(shape))

    def bind(self, x: Signal, y: Signal, weights: np.ndarray, gradient: np.ndarray) -> Bound:
        return _ReLU(x, y)


class _ReLU:
    def __init__(self, x: Signal, y: Signal):
        self._x, self._y = x, y
        self._geometry = (y.values.border, x.values.border, *x.values.shape[1:])

    def forward(self) -> None:
        kernels.relu_forward(self._y.values.array, self._x.values.array, *self._geometry)

    def backward(self) -> None:
        kernels.relu_backward(
            self._x.gradient.array, self._y.gradient.array, self._x.values.array, *self._geometry
        )


@dataclass(frozen=True)
class _Pool(Layer):
    window: int = 2

    def output_shape(self, shape: Shape) -> Shape:
        if min(shape[1:]) < self.window:
            raise ValueError(f"a window of {self.window} does not fit into {shape[1]}×{shape[2]} pixels")
        return shape[0], shape[1] // self.window, shape[2] // self.window


@dataclass(frozen=True)
class MaxPool2d(_Pool):
    """The largest of each window; rows and columns beyond the last whole window are dropped.

    It saves, for each output value, the place in the window that it came from: 2 bits where the window is 2.
    """

    def saved_bits(self, shape: Shape, element_bits: int) -> int:
        return int(np.prod(self.output_shape(shape))) * (self.window**2 - 1).bit_length()

    def bind(self, x: Signal, y: Signal, weights: np.ndarray, gradient: np.ndarray) -> Bound:
        return _MaxPool(x, y, self.window)


class _MaxPool:
    def __init__(self, x: Signal, y: Signal, window: int):
        self._x, self._y = x, y
        self._taken = np.zeros((*y.values.shape, y.values.lanes), np.int32)
        self._geometry = (y.values.border, x.values.border, window)

    def forward(self) -> None:
        kernels.max_pool_forward(self._y.values.array, self._taken, self._x.values.array, *self._geometry)

    def backward(self) -> None:
        kernels.max_pool_backward(
            self._x.gradient.array, self._taken, self._y.gradient.array, *self._geometry
        )


@dataclass(frozen=True)
class AvgPool2d(_Pool):
    """The mean of each window; rows and columns beyond the last whole window are dropped."""

    def bind(self, x: Signal, y: Signal, weights: np.ndarray, gradient: np.ndarray) -> Bound:
        return _AvgPool(x, y, self.window)


class _AvgPool:
    def __init__(self, x: Signal, y: Signal, window: int):
        self._x, self._y = x, y
        self._geometry = (y.values.border, x.values.border, *y.values.shape[1:], window)

    def forward(self) -> None:
        kernels.mean_pool_forward(self._y.values.array, self._x.values.array, *self._geometry)

    def backward(self) -> None:
        kernels.mean_pool_backward(self._x.gradient.array, self._y.gradient.array, *self._geometry)


@dataclass(frozen=True)
class Flatten(Layer):
    """The same values as one row of features; nothing moves."""

    def output_shape(self, shape: Shape) -> Shape:
        return int(np.prod(shape)), 1, 1

    def bind(self, x: Signal, y: Signal, weights: np.ndarray, gradient: np.ndarray) -> Bound:
        return _Flatten()


class _Flatten:
    def forward(self) -> None:
        """Do nothing: the output is a view of the input."""

    def backward(self) -> None:
        """Do nothing: the output is a view of the input."""
