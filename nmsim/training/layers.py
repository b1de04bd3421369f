"""The layers: what each one computes, what it costs, and how it is bound to the memory of a chunk.

A layer is a frozen description. `bind` gives it the planes that it reads and writes, and returns an object
with `forward` and `backward`. The gradient of a batch is the sum of its chunks' gradients, and chunks are
independent of one another; so batch normalisation takes its statistics from a chunk.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nmsim.training import kernels
from nmsim.training.planes import Planes, Shape
from nmsim.training.tiles import WIDTH


@dataclass
class Signal:
    """The values between two layers, and the gradient of the loss with respect to them.

    The gradient has the geometry of the values; it is None for the images, whose gradient nobody needs. Both
    may be one memory, so that a chunk fits into a core's cache: when a layer writes its input's gradient it
    has no use any more for its input's values, and none ever for its output's.
    """

    values: Planes
    gradient: Planes | None

    @property
    def its_gradient(self) -> Planes:
        """Return the gradient of a signal that is known to have one."""
        assert self.gradient is not None, "only the images have none"
        return self.gradient

    @classmethod
    def of(cls, values: Planes) -> Signal:
        """Return the signal of these values with memory for its gradient."""
        # A border must stay zero, and gradients reach into it.
        return cls(values, values.alike() if values.border else values)

    def flattened(self) -> Signal:
        """Return the same memory as one row of features."""
        return Signal(self.values.flattened(), self.gradient.flattened() if self.gradient else None)


@dataclass(frozen=True, eq=False)
class State:
    """A layer's share of what a training keeps, as flat views.

    Attributes
    ----------
    weights, gradient : ndarray, shape (parameters,)
        The gradient is the chunk's own.
    running : ndarray, shape (statistics,)
        What inference takes; all chunks share it.
    seen : ndarray, shape (statistics,)
        What the chunk's last forward pass of the training saw.
    """

    weights: np.ndarray
    gradient: np.ndarray
    running: np.ndarray
    seen: np.ndarray

    def part(self, parameters: slice, statistics: slice) -> State:
        """Return a layer's share of a chain's."""
        own, kept = (self.weights, self.gradient), (self.running, self.seen)
        return State(*(array[parameters] for array in own), *(array[statistics] for array in kept))


class Bound(Protocol):
    """A layer at work on the memory of one chunk."""

    def forward(self, used: int, training: bool) -> None:
        """Compute the output's values from the input's, of which the first `used` lanes hold images."""

    def backward(self) -> None:
        """Compute the input's gradient from the output's, and add to the gradient of the parameters."""


@dataclass(frozen=True)
class Layer(ABC):
    """A layer without parameters; the base of all others."""

    @property
    def border(self) -> int:
        """Return the border of zeros that the layer reads beyond the image."""
        return 0

    @property
    def stride(self) -> int:
        """Return the distance of the pixels that the layer reads side by side, see `Planes`."""
        return 1

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of the output for an input of `shape`; raise ValueError where there is none."""
        return shape

    def parameter_count(self, shape: Shape) -> int:
        """Return the number of weights and biases."""
        return 0

    def initial_parameters(self, shape: Shape, rng: np.random.Generator) -> np.ndarray:
        """Return the weights and biases that a training begins with."""
        return np.zeros(0)

    def initial_statistics(self, shape: Shape) -> np.ndarray:
        """Return the running statistics that a training begins with: what inference needs besides weights."""
        return np.zeros(0)

    def macs(self, shape: Shape) -> int:
        """Return the multiply-adds of one image's forward pass in training."""
        return 0

    def macs_backward(self, shape: Shape, input_gradient: bool) -> int:
        """Return the multiply-adds of one image's backward pass, with or without its input's gradient."""
        return 0

    def saved_bits(self, shape: Shape, element_bits: int) -> int:
        """Return the bits of one image that the layer keeps from the forward to the backward pass."""
        return 0

    @abstractmethod
    def bind(self, x: Signal, y: Signal, state: State) -> Bound:
        """Return the layer at work on the given memory."""


@dataclass(frozen=True)
class _Linear(Layer):
    """A layer of weights [inputs, outputs], then of biases where it has them."""

    #: Factor of the variance of the first weights.
    gain = 2.0
    bias = True

    @abstractmethod
    def fan_in(self, shape: Shape) -> int:
        """Return the products that are summed into one output value."""

    def parameter_count(self, shape: Shape) -> int:
        return (self.fan_in(shape) + self.bias) * self.output_shape(shape)[0]

    def initial_parameters(self, shape: Shape, rng: np.random.Generator) -> np.ndarray:
        """Return weights drawn from a normal distribution with variance gain/fan-in, and biases of 0.

        References
        ----------
        He et al., Delving Deep into Rectifiers, ICCV 2015, eq. 10: the gain is 2 before a ReLU. The last
        layer, which no ReLU follows, takes 1.
        """
        fan_in, outputs = self.fan_in(shape), self.output_shape(shape)[0]
        weights = rng.normal(0.0, (self.gain / fan_in) ** 0.5, fan_in * outputs)
        return np.concatenate([weights, np.zeros(outputs * self.bias)])

    def macs(self, shape: Shape) -> int:
        return self.fan_in(shape) * int(np.prod(self.output_shape(shape)))

    def macs_backward(self, shape: Shape, input_gradient: bool) -> int:
        # The gradients of the weights and of the input, each as many products as the forward pass.
        return (1 + input_gradient) * self.macs(shape)

    def saved_bits(self, shape: Shape, element_bits: int) -> int:
        return int(np.prod(shape)) * element_bits


@dataclass(frozen=True)
class Conv2d(_Linear):
    """A convolution with stride s and padding d.

    y[o, i, j] = bias[o] + sum over p, q, c of w[p, q, c, o] · x[c, s·i + p - d, s·j + q - d]

    Parameters
    ----------
    channels : int
        Output channels.
    kernel, padding : int
        Side of the square kernel, and zeros around the image.
    stride : int
        Above 1 only where the layer before it is not a convolution: that one stores whole rows of pixels.
    bias : bool
        Whether there are biases.
    """

    channels: int
    kernel: int = 3
    padding: int = 1
    stride: int = 1
    bias: bool = True

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

    def bind(self, x: Signal, y: Signal, state: State) -> Bound:
        return _BoundLinear(x, y, state, self.kernel, self.stride, self.padding)


@dataclass(frozen=True)
class Dense(_Linear):
    """A fully connected layer on flat values: a convolution of one pixel with a kernel of one."""

    units: int
    gain: float = 2.0

    def output_shape(self, shape: Shape) -> Shape:
        if shape[1:] != (1, 1):
            raise ValueError("a Dense layer needs a Flatten layer before it")
        return self.units, 1, 1

    def fan_in(self, shape: Shape) -> int:
        return shape[0]

    def bind(self, x: Signal, y: Signal, state: State) -> Bound:
        return _BoundLinear(x, y, state, kernel=1, stride=1, padding=0)


class _BoundLinear:
    """A convolution at work: tables of where every row of memory begins, and the kernels that add them up."""

    def __init__(self, x: Signal, y: Signal, state: State, kernel: int, stride: int, padding: int):
        if y.values.stride > 1:
            raise ValueError("a convolution with a stride cannot read the output of a convolution directly")
        self._x, self._y, self._state = x, y, state
        outputs, height, width = y.values.shape
        channels, rows, tap = np.arange(x.values.shape[0]), np.arange(height), np.arange(kernel)
        self._length = width * x.values.lanes
        border = y.values.border
        self._y_at = y.values.starts(np.arange(outputs), rows[:, None] + border, np.full(1, border))
        # Axes: output row, kernel row, kernel column, channel. Another layer may want a wider border.
        tap += x.values.border - padding
        at = x.values.starts(channels, stride * rows[:, None, None, None] + tap[:, None, None], tap[:, None])
        self._x_at = at.reshape(height, -1)
        self._dx_at = at.reshape(height, kernel**2, channels.size)
        self._dense = kernel == height == width == 1 and outputs % WIDTH == 0
        lanes, terms = (np.arange(n, dtype=np.uint64) * np.uint64(outputs) for n in (x.values.lanes, at.size))
        self._across = np.zeros(self._length * outputs, x.values.array.dtype), terms, lanes

    def forward(self, used: int, training: bool) -> None:
        kernels.linear_forward(
            self._y.values.flat,
            self._y_at,
            self._x.values.flat,
            self._x_at,
            self._state.weights,
            self._length,
        )

    def backward(self) -> None:
        dy, x, state = self._y.its_gradient.flat, self._x, self._state
        common = dy, self._y_at, x.values.flat, self._x_at, state.gradient
        if self._dense:
            kernels.dense_backward(*common, *self._across)
        else:
            kernels.linear_backward(*common, self._length)
        if x.gradient is not None:
            kernels.linear_backward_input(
                x.gradient.flat, self._dx_at, dy, self._y_at, state.weights, self._length
            )


class _BoundElementwise:
    """A layer on pixels: its input has no border, and becomes the gradient by the input in place."""

    def __init__(self, x: Signal, y: Signal):
        self._x, self._y = x, y
        self._y_geometry = (y.values.border, y.values.inner_columns)

    def _output(self) -> tuple[np.ndarray, int, np.ndarray]:
        return (self._y.values.array, *self._y_geometry)

    def _output_gradient(self) -> tuple[np.ndarray, int, np.ndarray]:
        return (self._y.its_gradient.array, *self._y_geometry)

    def _input_to_become_gradient(self) -> np.ndarray:
        gradient, values = self._x.its_gradient.array, self._x.values.array
        if gradient is not values:
            gradient[:] = values
        return gradient


@dataclass(frozen=True)
class BatchNorm2d(Layer):
    """y = γ[c] · (x - mean[c]) / sqrt(variance[c] + ε) + β[c] for each channel c.

    In training, mean and variance are those of a chunk, at most 32 images: the normalisation of a batch of 64
    is that of two of 32 ("ghost batch normalisation", Hoffer, Hubara and Soudry, NeurIPS 2017, algorithm 1).
    In inference they are running means of what the chunks saw, see `RUNNING_SHARE`.

    The forward pass takes three multiply-adds a value (two sums, one scaling), the backward pass four (two
    sums, and the gradient from dy and x, whose factors are the channel's).

    References
    ----------
    Ioffe and Szegedy, Batch Normalization, ICML 2015, algorithm 1.
    """

    #: ε.
    floor: float = 1e-5

    def parameter_count(self, shape: Shape) -> int:
        return 2 * shape[0]

    def initial_parameters(self, shape: Shape, rng: np.random.Generator) -> np.ndarray:
        return np.repeat([1.0, 0.0], shape[0])

    def initial_statistics(self, shape: Shape) -> np.ndarray:
        return np.repeat([0.0, 1.0], shape[0])

    def macs(self, shape: Shape) -> int:
        return 3 * int(np.prod(shape))

    def macs_backward(self, shape: Shape, input_gradient: bool) -> int:
        return (4 if input_gradient else 2) * int(np.prod(shape))

    def saved_bits(self, shape: Shape, element_bits: int) -> int:
        return int(np.prod(shape)) * element_bits

    def bind(self, x: Signal, y: Signal, state: State) -> Bound:
        return _BoundBatchNorm(x, y, state, self.floor)


#: Share of the newest batch in the running statistics of a batch normalisation.
RUNNING_SHARE = 0.1


class _BoundBatchNorm(_BoundElementwise):
    def __init__(self, x: Signal, y: Signal, state: State, floor: float):
        super().__init__(x, y)
        channels = x.values.shape[0]
        self._gamma, self._beta = state.weights.reshape(2, channels)
        self._d_gamma, self._d_beta = state.gradient.reshape(2, channels)
        self._running, self._seen = (a.reshape(2, channels) for a in (state.running, state.seen))
        self._sums, self._floor, self._used = np.zeros((2, channels)), floor, 0

    def forward(self, used: int, training: bool) -> None:
        x = self._x.values.array
        if training:
            self._used = used
            kernels.batch_moments(self._seen, x, used)
        mean, variance = self._seen if training else self._running
        factor = self._gamma / np.sqrt(variance + self._floor, dtype=x.dtype)
        kernels.scale_channels(*self._output(), x, factor, self._beta - factor * mean)

    def backward(self) -> None:
        x = self._x.values
        mean, variance = self._seen
        deviation = np.sqrt(variance + self._floor, dtype=x.array.dtype)
        kernels.batch_sums(self._sums, x.array, *self._output_gradient(), mean)
        total, product = self._sums[0], self._sums[1] / deviation
        self._d_beta += total
        self._d_gamma += product
        if self._x.gradient is None:
            return
        # dx = γ/σ · (dy - mean of dy - (x - mean)/σ · mean of dy·(x - mean)/σ)
        values = self._used * x.shape[1] * x.shape[2]
        of_dy = self._gamma / deviation
        of_x = -of_dy * product / (values * deviation)
        constant = -of_dy * total / values - of_x * mean
        kernels.batch_norm_backward(
            self._input_to_become_gradient(),
            *self._output_gradient(),
            self._used,
            *(factor.astype(x.array.dtype) for factor in (of_dy, of_x, constant)),
        )


@dataclass(frozen=True)
class ReLU(Layer):
    """The positive part: y = max(x, 0). It saves one bit a value: whether it was positive."""

    def saved_bits(self, shape: Shape, element_bits: int) -> int:
        return int(np.prod(shape))

    def bind(self, x: Signal, y: Signal, state: State) -> Bound:
        return _BoundReLU(x, y)


class _BoundReLU(_BoundElementwise):
    def forward(self, used: int, training: bool) -> None:
        kernels.relu_forward(*self._output(), self._x.values.array)

    def backward(self) -> None:
        kernels.relu_backward(self._input_to_become_gradient(), *self._output_gradient())


@dataclass(frozen=True)
class MaxPool2d(Layer):
    """The largest of each window; rows and columns beyond the last whole window are dropped.

    It saves, for each output value, the place in the window that it came from: 2 bits where the window is 2.
    """

    window: int = 2

    def output_shape(self, shape: Shape) -> Shape:
        return _pooled(shape, self.window, self.window)

    def saved_bits(self, shape: Shape, element_bits: int) -> int:
        return int(np.prod(self.output_shape(shape))) * (self.window**2 - 1).bit_length()

    def bind(self, x: Signal, y: Signal, state: State) -> Bound:
        return _BoundMaxPool(x, y, self.window)


class _BoundMaxPool(_BoundElementwise):
    def __init__(self, x: Signal, y: Signal, window: int):
        super().__init__(x, y)
        self._taken = np.zeros((*y.values.shape, y.values.lanes), np.int32)
        self._window = window

    def forward(self, used: int, training: bool) -> None:
        kernels.max_pool_forward(*self._output(), self._taken, self._x.values.array, self._window)

    def backward(self) -> None:
        dx = self._x.its_gradient.array
        kernels.max_pool_backward(dx, self._taken, *self._output_gradient(), self._window)


@dataclass(frozen=True)
class AvgPool2d(Layer):
    """The mean of each window; rows and columns beyond the last whole window are dropped.

    Without a window it is global: the mean of each channel.
    """

    window: int | None = 2

    def sides(self, shape: Shape) -> tuple[int, int]:
        """Return the rows and columns of a window."""
        return (self.window, self.window) if self.window else shape[1:]

    def output_shape(self, shape: Shape) -> Shape:
        return _pooled(shape, *self.sides(shape))

    def bind(self, x: Signal, y: Signal, state: State) -> Bound:
        return _BoundAvgPool(x, y, self.sides(x.values.shape))


class _BoundAvgPool(_BoundElementwise):
    def __init__(self, x: Signal, y: Signal, sides: tuple[int, int]):
        super().__init__(x, y)
        self._windows = (y.values.shape[1], *sides)

    def forward(self, used: int, training: bool) -> None:
        kernels.mean_pool_forward(*self._output(), self._x.values.array, *self._windows)

    def backward(self) -> None:
        kernels.mean_pool_backward(self._x.its_gradient.array, *self._output_gradient(), *self._windows)


def _pooled(shape: Shape, rows: int, columns: int) -> Shape:
    if shape[1] < rows or shape[2] < columns:
        raise ValueError(f"a window of {rows}×{columns} does not fit into {shape[1]}×{shape[2]} pixels")
    return shape[0], shape[1] // rows, shape[2] // columns


@dataclass(frozen=True)
class Flatten(Layer):
    """The same values as one row of features; nothing moves."""

    def output_shape(self, shape: Shape) -> Shape:
        return int(np.prod(shape)), 1, 1

    def bind(self, x: Signal, y: Signal, state: State) -> Bound:
        return _BoundFlatten()


class _BoundFlatten:
    def forward(self, used: int, training: bool) -> None:
        """Do nothing: the output is a view of the input."""

    def backward(self) -> None:
        """Do nothing: the output is a view of the input."""
