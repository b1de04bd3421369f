"""Layers one after the other, and the residual block: a chain beside a short cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nmsim.training import kernels
from nmsim.training.layers import Bound, Flatten, Layer, Signal, State
from nmsim.training.planes import Planes, Shape


class Chain:
    """Layers one after the other, for inputs of one shape.

    Attributes
    ----------
    layers : tuple of Layer
    shapes : list of tuple
        The shape before each layer, and at the end that of the output: channels, height, width.
    parameter_slices, statistic_slices : list of slice
        Where the parameters and the running statistics of each layer lie in those of the chain.
    parameter_count, statistic_count : int

    Raises
    ------
    ValueError
        Where a layer does not fit behind the one before it.
    """

    def __init__(self, layers: Sequence[Layer], shape: Shape):
        self.layers, self.shapes = tuple(layers), [shape]
        for layer in self.layers:
            self.shapes.append(layer.output_shape(self.shapes[-1]))
        self.parameter_slices = _slices([layer.parameter_count(s) for layer, s in self.pairs])
        self.statistic_slices = _slices([layer.initial_statistics(s).size for layer, s in self.pairs])
        self.parameter_count = sum(part.stop - part.start for part in self.parameter_slices)
        self.statistic_count = sum(part.stop - part.start for part in self.statistic_slices)

    @property
    def pairs(self) -> list[tuple[Layer, Shape]]:
        """Return each layer with the shape of its input."""
        return list(zip(self.layers, self.shapes[:-1], strict=True))

    def initial_parameters(self, rng: np.random.Generator) -> np.ndarray:
        """Return the parameters that a training begins with, drawn layer by layer."""
        return np.concatenate(
            [np.zeros(0), *(layer.initial_parameters(shape, rng) for layer, shape in self.pairs)]
        )

    def initial_statistics(self) -> np.ndarray:
        """Return the running statistics that a training begins with."""
        return np.concatenate(
            [np.zeros(0), *(layer.initial_statistics(shape) for layer, shape in self.pairs)]
        )

    def macs_backward(self, input_gradient: bool) -> int:
        """Return the multiply-adds of one image's backward pass, down to the first layer with weights."""
        total, needed = 0, input_gradient
        for layer, shape in self.pairs:
            total += layer.macs_backward(shape, needed)
            needed = needed or layer.parameter_count(shape) > 0
        return total

    def bind(self, x: Signal, state: State, y: Signal | None = None) -> tuple[list[Bound], list[Signal]]:
        """Return all layers at work between x and y, and the signals before and behind each of them."""
        signals, bound = [x], []
        parts = zip(self.parameter_slices, self.statistic_slices, strict=True)
        for i, part in enumerate(parts):
            before, last = signals[-1], i == len(self.layers) - 1
            if isinstance(self.layers[i], Flatten):
                signals.append(before.flattened())
            elif last and y is not None:
                signals.append(y)
            else:
                border, stride = (0, 1) if last else (self.layers[i + 1].border, self.layers[i + 1].stride)
                lanes, dtype = x.values.lanes, x.values.array.dtype
                signals.append(Signal.of(Planes(self.shapes[i + 1], lanes, border, stride, dtype)))
            bound.append(self.layers[i].bind(before, signals[-1], state.part(*part)))
        return bound, signals


def _slices(sizes: Sequence[int]) -> list[slice]:
    return [slice(start, end) for start, end in pairwise(np.cumsum([0, *sizes]).tolist())]


@dataclass(frozen=True)
class Residual(Layer):
    """y = body(x) + shortcut(x), where an empty shortcut is x itself.

    Both begin with a convolution of the same stride, which keeps x for the backward pass once for both.

    References
    ----------
    He et al., Deep Residual Learning for Image Recognition, CVPR 2016, eqs. 1 and 2.
    """

    body: tuple[Layer, ...]
    shortcut: tuple[Layer, ...] = ()

    @property
    def border(self) -> int:
        return max(layers[0].border for layers in (self.body, self.shortcut) if layers)

    @property
    def stride(self) -> int:
        return self.body[0].stride

    def chains(self, shape: Shape) -> tuple[Chain, Chain]:
        """Return the body and the shortcut for an input of `shape`."""
        return Chain(self.body, shape), Chain(self.shortcut, shape)

    def output_shape(self, shape: Shape) -> Shape:
        body, shortcut = (chain.shapes[-1] for chain in self.chains(shape))
        if body != shortcut:
            raise ValueError(f"body and shortcut of a block give different shapes, {body} and {shortcut}")
        return body

    def parameter_count(self, shape: Shape) -> int:
        return sum(chain.parameter_count for chain in self.chains(shape))

    def initial_parameters(self, shape: Shape, rng: np.random.Generator) -> np.ndarray:
        return np.concatenate([chain.initial_parameters(rng) for chain in self.chains(shape)])

    def initial_statistics(self, shape: Shape) -> np.ndarray:
        return np.concatenate([chain.initial_statistics() for chain in self.chains(shape)])

    def macs(self, shape: Shape) -> int:
        return sum(layer.macs(s) for chain in self.chains(shape) for layer, s in chain.pairs)

    def macs_backward(self, shape: Shape, input_gradient: bool) -> int:
        return sum(chain.macs_backward(input_gradient) for chain in self.chains(shape))

    def saved_bits(self, shape: Shape, element_bits: int) -> int:
        body, shortcut = (chain.pairs for chain in self.chains(shape))
        return sum(layer.saved_bits(s, element_bits) for layer, s in (*body, *shortcut[1:]))

    def bind(self, x: Signal, y: Signal, state: State) -> Bound:
        return _BoundResidual(self.chains(x.values.shape), x, y, state)


class _BoundResidual:
    """Body and shortcut at work; the body writes the block's output, the shortcut is added to it."""

    def __init__(self, chains: tuple[Chain, Chain], x: Signal, y: Signal, state: State):
        body, shortcut = chains
        ends = body.parameter_count, body.statistic_count
        first, second = (state.part(*map(slice, ends)), state.part(*(slice(end, None) for end in ends)))
        self._x, self._y, self._summand = x, y, x
        self._shortcut: Sequence[Bound] = ()
        # Two layers read x, so each needs memory of its own for the gradient by it.
        own = x.values.alike() if shortcut.layers and x.gradient else x.gradient
        self._inner = Signal(x.values, own)
        self._body, _ = body.bind(self._inner, first, y)
        if shortcut.layers:
            self._summand = Signal(y.values.alike(), y.gradient)
            self._shortcut, _ = shortcut.bind(x, second, self._summand)

    def forward(self, used: int, training: bool) -> None:
        for layer in (*self._body, *self._shortcut):
            layer.forward(used, training)
        _add(self._y.values, self._summand.values)

    def backward(self) -> None:
        # The body first: where x and its gradient are one memory, the shortcut overwrites x.
        for layers in (self._body, self._shortcut):
            for layer in reversed(layers):
                layer.backward()
        if self._x.gradient is not None:
            added = self._inner if self._shortcut else self._y
            _add(self._x.gradient, added.its_gradient)


def _add(out: Planes, x: Planes) -> None:
    kernels.add_inside(
        out.array, out.border, out.inner_columns, x.array, x.border, x.inner_columns, out.shape[1]
    )
