"""Networks as data: presets, the memory of one chunk of images, and what an image costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import DTypeLike

from nmsim.errors import ConfigError, DataError
from nmsim.training import kernels
from nmsim.training.layers import Conv2d, Dense, Flatten, Layer, MaxPool2d, ReLU, Signal
from nmsim.training.planes import Planes, Shape

#: The presets; each is followed by a Dense layer with one unit a class. ReLU stands behind the pooling: there
#: it does the same (both are monotone) on a quarter of the values. cnn-s is made for runs of seconds; cnn-m
#: is sixteen times the work and 3 points better on a tenth of Fashion-MNIST.
NETWORKS: dict[str, tuple[Layer, ...]] = {
    "softmax": (Flatten(),),
    "mlp": (Flatten(), Dense(128), ReLU()),
    "cnn-s": (
        Conv2d(12, kernel=4, padding=1, stride=2),
        MaxPool2d(2),
        ReLU(),
        Conv2d(32, kernel=3, padding=1),
        MaxPool2d(2),
        ReLU(),
        Flatten(),
    ),
    "cnn-m": (
        Conv2d(32, kernel=3, padding=1),
        MaxPool2d(2),
        ReLU(),
        Conv2d(64, kernel=3, padding=1),
        MaxPool2d(2),
        ReLU(),
        Flatten(),
        Dense(128),
        ReLU(),
    ),
}

#: Bytes of one value in each number format that training can be priced in.
FORMAT_BYTES = {"mac_int8": 1, "mac_fp16": 2, "mac_fp32": 4}


@dataclass(frozen=True)
class NetworkCost:
    """What training costs, for hardware to price.

    Attributes
    ----------
    network : str
        Name of the preset.
    mac : str
        Operation kind, one of `FORMAT_BYTES`; it sets the size of a value.
    macs_forward, macs_backward : int
        Multiply-adds of one image. The backward pass computes the gradients of each layer's weights and
        input, each as many products as the forward pass; the images' own gradient is not computed.
    macs_update : int
        Multiply-adds of one optimiser step: three for each parameter.
    parameters : int
        Number of weights and biases.
    weight_bytes, gradient_bytes, momentum_bytes : int
        Bytes of each for the whole network, at the size of a value; momentum_bytes is 0 without momentum.
    activation_bytes : int
        Bytes of one image that are kept from the forward to the backward pass: the inputs of linear layers,
        one bit for each value of a ReLU, the place of each maximum.
    image_bytes : int
        Bytes of one image as it lies in DRAM, 8 bits a value.
    """

    network: str
    mac: str
    macs_forward: int
    macs_backward: int
    macs_update: int
    parameters: int
    weight_bytes: int
    gradient_bytes: int
    momentum_bytes: int
    activation_bytes: int
    image_bytes: int


class Network:
    """A chain of layers for images of one shape.

    Parameters
    ----------
    layers : str or sequence of Layer
        The name of a preset, or all layers, the last of which gives one value a class.
    image_shape : tuple of int
        Height, width, channels of an image.
    n_classes : int
        At least 2.
    dtype : numpy dtype
        float32 to train, float64 to check gradients.

    Attributes
    ----------
    name : str
        The preset's name, or "custom".
    layers : tuple of Layer
    shapes : list of tuple
        The shape before each layer, and at the end that of the output: channels, height, width.
    parameter_count : int

    Raises
    ------
    ConfigError
        Where no preset has the name.
    DataError
        Where the images are too small for the network.
    """

    def __init__(
        self,
        layers: str | Sequence[Layer],
        image_shape: tuple[int, int, int],
        n_classes: int,
        dtype: DTypeLike = np.float32,
    ):
        self.name = layers if isinstance(layers, str) else "custom"
        if isinstance(layers, str):
            if layers not in NETWORKS:
                raise ConfigError(
                    "no network has this name", found=repr(layers), expected=", ".join(NETWORKS)
                )
            layers = (*NETWORKS[layers], Dense(n_classes))
        if any(getattr(layer, "stride", 1) > 1 for layer in layers[1:]):
            raise ValueError("only the first layer may have a stride above 1")
        self.layers, self.dtype, self.n_classes = tuple(layers), np.dtype(dtype), n_classes
        height, width, channels = image_shape
        self.shapes: list[Shape] = [(channels, height, width)]
        try:
            for layer in self.layers:
                self.shapes.append(layer.output_shape(self.shapes[-1]))
        except ValueError as error:
            raise DataError(
                f"the images are too small for the network {self.name}: {error}",
                found=f"{height}×{width}×{channels}",
                hint="Choose training.network: mlp or softmax.",
            ) from None
        counts = [layer.parameter_count(shape) for layer, shape in self.pairs]
        ends = np.cumsum([0, *counts]).tolist()
        self.parameter_slices = [slice(start, end) for start, end in pairwise(ends)]
        self.parameter_count: int = ends[-1]

    @property
    def pairs(self) -> list[tuple[Layer, Shape]]:
        """Return each layer with the shape of its input."""
        return list(zip(self.layers, self.shapes[:-1], strict=True))

    def initial_parameters(self, rng: np.random.Generator) -> np.ndarray:
        """Return weights drawn from a normal distribution with variance 2/fan-in, and biases of 0.

        References
        ----------
        He et al., Delving Deep into Rectifiers, ICCV 2015, eq. 10. The last layer, which no ReLU follows,
        takes 1/fan-in.
        """
        parameters = np.zeros(self.parameter_count, self.dtype)
        for (layer, shape), part in zip(self.pairs, self.parameter_slices, strict=True):
            if fan_in := layer.fan_in(shape):
                outputs = layer.output_shape(shape)[0]
                variance = (1.0 if layer is self.layers[-1] else 2.0) / fan_in
                weights = rng.normal(0.0, variance**0.5, fan_in * outputs)
                parameters[part][: fan_in * outputs] = weights
        return parameters

    def cost(self, mac: str = "mac_fp16", momentum: bool = True) -> NetworkCost:
        """Return what training costs where numbers have the format of the operation `mac`."""
        if mac not in FORMAT_BYTES:
            raise ConfigError(f"training cannot be priced in {mac!r}", expected=", ".join(FORMAT_BYTES))
        macs = [layer.macs(shape) for layer, shape in self.pairs]
        first = next(i for i, n in enumerate(macs) if n)
        element_bytes = FORMAT_BYTES[mac]
        state_bytes = self.parameter_count * element_bytes
        saved_bits = sum(layer.saved_bits(shape, 8 * element_bytes) for layer, shape in self.pairs)
        return NetworkCost(
            network=self.name,
            mac=mac,
            macs_forward=sum(macs),
            macs_backward=2 * sum(macs) - macs[first],
            macs_update=3 * self.parameter_count,
            parameters=self.parameter_count,
            weight_bytes=state_bytes,
            gradient_bytes=state_bytes,
            momentum_bytes=state_bytes if momentum else 0,
            activation_bytes=-(-saved_bits // 8),
            image_bytes=int(np.prod(self.shapes[0])),
        )


class Chunk:
    """The memory of one chunk of images, and all layers bound to it.

    Parameters
    ----------
    network : Network
    parameters : ndarray, shape (parameters,)
        The weights, shared by all chunks; the optimiser changes them in place.
    lanes : int
        Images side by side.
    gradient : ndarray, shape (parameters,), optional
        Where `backward` puts the gradient of the loss; by default a new array.

    Attributes
    ----------
    images : Planes
        What `load` fills.
    embedding : Signal
        The input of the last layer.
    output : Signal
        The network's output, one value a class, and its gradient, which the loss sets.
    """

    def __init__(
        self, network: Network, parameters: np.ndarray, lanes: int, gradient: np.ndarray | None = None
    ):
        self.gradient = np.zeros_like(parameters) if gradient is None else gradient
        borders = [*(layer.border for layer in network.layers), 0]
        stride = getattr(network.layers[0], "stride", 1)
        signal = Signal(Planes(network.shapes[0], lanes, borders[0], stride, network.dtype), None)
        self.images, self._bound = signal.values, []
        for i, layer in enumerate(network.layers):
            part = network.parameter_slices[i]
            self.embedding = signal
            if isinstance(layer, Flatten):
                gradient_view = signal.gradient.flattened() if signal.gradient else None
                out = Signal(signal.values.flattened(), gradient_view)
            else:
                shape, border = network.shapes[i + 1], borders[i + 1]
                values = Planes(shape, lanes, border, dtype=network.dtype)
                # A border must stay zero, and gradients reach into it.
                gradients = Planes(shape, lanes, border, dtype=network.dtype) if border else values
                out = Signal(values, gradients)
            self._bound.append(layer.bind(signal, out, parameters[part], self.gradient[part]))
            signal = out
        self.output = signal

    def load(self, images: np.ndarray, rows: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> None:
        """Fill the first lanes with images `rows`, normalised per channel to (value - mean) · scale."""
        planes = self.images
        kernels.load_images(planes.array, images, rows, planes.border, planes.columns, mean, scale)

    def forward(self) -> None:
        """Compute the outputs of all layers."""
        for layer in self._bound:
            layer.forward()

    def backward(self) -> None:
        """Compute the gradient of all parameters from that of the output, which the loss has set."""
        self.gradient[:] = 0
        for layer in reversed(self._bound):
            layer.backward()
