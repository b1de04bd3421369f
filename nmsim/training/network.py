"""Networks as data: presets, the memory of one chunk of images, and what an image costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from nmsim.energy.arithmetic import ARITHMETIC
from nmsim.errors import ConfigError, DataError
from nmsim.training import kernels
from nmsim.training.chain import Chain, Residual
from nmsim.training.layers import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dense,
    Flatten,
    Layer,
    MaxPool2d,
    ReLU,
    Signal,
    State,
)
from nmsim.training.planes import Planes


def _block(channels: int, stride: int = 1, tiny: bool = False) -> tuple[Layer, ...]:
    """Return a residual block of two 3×3 convolutions; where shapes change, a 1×1 convolution goes beside.

    In MLPerf Tiny's form convolutions have biases, and that beside the block has no normalisation.
    """
    body = (
        Conv2d(channels, stride=stride, bias=tiny),
        BatchNorm2d(),
        ReLU(),
        Conv2d(channels, bias=tiny),
        BatchNorm2d(),
    )
    beside = Conv2d(channels, kernel=1, padding=0, stride=stride, bias=tiny)
    shortcut = () if stride == 1 else (beside,) if tiny else (beside, BatchNorm2d())
    return Residual(body, shortcut), ReLU()


#: The presets; each is followed by a Dense layer with one unit a class. ReLU stands behind the pooling: there
#: it does the same (both are monotone) on a quarter of the values. cnn-s is made for runs of seconds; cnn-m
#: is sixteen times the work and 3 points better on a tenth of Fashion-MNIST. resnet-8 is the residual network
#: for 32×32 pixels of He et al. (CVPR 2016, section 4.2) with one block a stage, in the form of MLPerf Tiny
#: (Banbury et al., arXiv 2106.07597): convolutions with biases, 1×1 convolutions without normalisation beside
#: the blocks that change the shape. Their reference model pads an even side by one pixel at its end where the
#: stride is 2, this one at both ends and leaves the last unread; costs and shapes are the same.
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
    "resnet-8": (
        Conv2d(16),
        BatchNorm2d(),
        ReLU(),
        *_block(16, tiny=True),
        *_block(32, stride=2, tiny=True),
        *_block(64, stride=2, tiny=True),
        AvgPool2d(None),
        Flatten(),
    ),
}

#: Presets for the torch backend alone. resnet-18 has the blocks of He et al. (CVPR 2016, table 1), and for
#: images of 32×32 pixels begins with a 3×3 convolution of stride 1 and no pooling, a usual form.
LARGE_NETWORKS: dict[str, tuple[Layer, ...]] = {
    "resnet-18": (
        Conv2d(64, bias=False),
        BatchNorm2d(),
        ReLU(),
        *(2 * _block(64)),
        *(_block(128, stride=2) + _block(128)),
        *(_block(256, stride=2) + _block(256)),
        *(_block(512, stride=2) + _block(512)),
        AvgPool2d(None),
        Flatten(),
    ),
}

#: The operation that training is priced in: half precision, as accelerators train.
MAC = "mac_fp16"
_VALUE_BYTES = ARITHMETIC[MAC].operand_bytes


@dataclass(frozen=True)
class NetworkCost:
    """What training costs, for hardware to price.

    Attributes
    ----------
    network : str
        Name of the preset.
    mac : str
        Operation kind: `MAC`; it sets the size of a value.
    macs_forward, macs_backward : int
        Multiply-adds of one image. The backward pass computes the gradients of each layer's weights and
        input, each as many products as the forward pass; the images' own gradient is not computed. Batch
        normalisation adds three a value, and four in the backward pass.
    macs_update : int
        Multiply-adds of one optimiser step: three for each parameter, and one for each running statistic.
    parameters : int
        Number of weights and biases, and of the factors and shifts of batch normalisation.
    weight_bytes, gradient_bytes, momentum_bytes : int
        Bytes of each for the whole network, at the size of a value; momentum_bytes is 0 without momentum.
        The weights are with the running statistics, which have neither gradient nor momentum.
    activation_bytes : int
        Bytes of one image that are kept from the forward to the backward pass: the inputs of linear layers
        and of batch normalisation, one bit for each value of a ReLU, the place of each maximum.
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


class Network(Chain):
    """A chain of layers for images of one shape, which ends in one value a class.

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
        self.dtype, self.n_classes = np.dtype(dtype), n_classes
        if isinstance(layers, str):
            presets = NETWORKS | LARGE_NETWORKS
            if layers not in presets:
                raise ConfigError("no network has this name", found=repr(layers), expected=", ".join(presets))
            layers = (*presets[layers], Dense(n_classes, gain=1.0))
        height, width, channels = image_shape
        try:
            super().__init__(layers, (channels, height, width))
        except ValueError as error:
            raise DataError(
                f"the images are too small for the network {self.name}: {error}",
                found=f"{height}×{width}×{channels}",
                hint="Choose training.network: mlp or softmax.",
            ) from None

    def initial_parameters(self, rng: np.random.Generator) -> np.ndarray:
        """Return the parameters that a training begins with, drawn layer by layer."""
        return super().initial_parameters(rng).astype(self.dtype)

    def initial_statistics(self) -> np.ndarray:
        """Return the running statistics that a training begins with."""
        return super().initial_statistics().astype(self.dtype)

    def cost(self, *, momentum: bool = True) -> NetworkCost:
        """Return what training costs."""
        state_bytes = self.parameter_count * _VALUE_BYTES
        saved_bits = sum(layer.saved_bits(shape, 8 * _VALUE_BYTES) for layer, shape in self.pairs)
        return NetworkCost(
            network=self.name,
            mac=MAC,
            macs_forward=sum(layer.macs(shape) for layer, shape in self.pairs),
            macs_backward=self.macs_backward(input_gradient=False),
            macs_update=3 * self.parameter_count + self.statistic_count,
            parameters=self.parameter_count,
            weight_bytes=state_bytes + self.statistic_count * _VALUE_BYTES,
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
    parameters, statistics : ndarray, shapes (parameters,) and (statistics,)
        The weights and the running statistics, shared by all chunks; the optimiser changes them in place.
    lanes : int
        Images side by side.
    gradient : ndarray, shape (parameters,), optional
        Where `backward` puts the gradient of the loss; by default a new array.
    seen : ndarray, shape (statistics,), optional
        Where `forward` puts the statistics that it saw; by default a new array.

    Attributes
    ----------
    images : Planes
        What `load` fills.
    used : int
        How many lanes hold images, from the first.
    embedding : Signal
        The input of the last layer.
    output : Signal
        The network's output, one value a class, and its gradient, which the loss sets.
    """

    def __init__(
        self,
        network: Network,
        parameters: np.ndarray,
        statistics: np.ndarray,
        lanes: int,
        gradient: np.ndarray | None = None,
        seen: np.ndarray | None = None,
    ):
        self.gradient = np.zeros_like(parameters) if gradient is None else gradient
        seen = np.zeros_like(statistics) if seen is None else seen
        first = network.layers[0]
        self.images = Planes(network.shapes[0], lanes, first.border, first.stride, network.dtype)
        self.used = lanes
        state = State(parameters, self.gradient, statistics, seen)
        self._bound, signals = network.bind(Signal(self.images, None), state)
        self.embedding, self.output = signals[-2:]
        self._outputs = [signal.values for signal in signals[1:]]

    def load(
        self,
        images: np.ndarray,
        rows: np.ndarray,
        mean: np.ndarray,
        scale: np.ndarray,
        moves: np.ndarray | None = None,
    ) -> None:
        """Fill the first lanes with images `rows`, normalised per channel to (value - mean) · scale.

        `moves`, int8 of shape (rows, 3), are those of `kernels.load_moved_images`.
        """
        planes, self.used = self.images, rows.size
        if moves is None:
            kernels.load_images(planes.array, images, rows, planes.border, planes.columns, mean, scale)
        else:
            kernels.load_moved_images(
                planes.array, images, rows, moves, planes.border, planes.columns, mean, scale
            )

    def forward(self, training: bool = True, after: Callable[[int, Planes], None] | None = None) -> None:
        """Compute the outputs of all layers; `after` is given each one's number and values, to see or change.

        Values of the border are zero and must stay so.
        """
        for i, layer in enumerate(self._bound):
            layer.forward(self.used, training)
            if after is not None:
                after(i, self._outputs[i])

    def backward(self) -> None:
        """Compute the gradient of all parameters from that of the output, which the loss has set."""
        self.gradient[:] = 0
        for layer in reversed(self._bound):
            layer.backward()
