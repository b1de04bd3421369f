"""A copy of a network in 8-bit whole numbers, as a small unit beside the memory would compute it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numba
import numpy as np

from nmsim.errors import ConfigError
from nmsim.training import Model
from nmsim.training.layers import AvgPool2d, Conv2d, Dense, Flatten, Layer, MaxPool2d, ReLU
from nmsim.training.model import frozen
from nmsim.training.network import Chunk, Network
from nmsim.training.planes import CHUNK_IMAGES, Planes, Shape
from nmsim.training.team import Team

#: Largest code: symmetric, so that a product never needs a correction for an offset.
TOP = 127

#: Images that the ranges of activations are taken from.
CALIBRATION_IMAGES = 256

#: Layers whose codes pass through, or are averaged, with the scale of their input.
_KEEPING = (Flatten, MaxPool2d, AvgPool2d, ReLU)


@dataclass(frozen=True, eq=False)
class Int8Copy:
    """Weights, biases and scales.

    Attributes
    ----------
    network : Network
        In float64, which holds every sum of products of codes exactly, as an int32 accumulator does.
    parameters : ndarray of float64
        Whole numbers: weights from -127 to 127, biases of 32 bits.
    scales : list of float
        Of the images' codes, then of each layer's output: value = scale · code. The last layer's codes are
        not rounded.
    factors : list of float
        What turns a linear layer's sums into the codes of its output; 1 for other layers.
    mean, scale : ndarray
        As of the model.

    Notes
    -----
    One scale a layer for weights (max |w| / 127) and one for activations (their largest magnitude over the
    calibration images / 127), without offsets; rounding to nearest, ties to even, and saturation. Biases have
    the scale of the sums they are added to.
    """

    network: Network
    parameters: np.ndarray
    scales: list[float]
    factors: list[float]
    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, model: Model, images: np.ndarray) -> Int8Copy:
        """Return the copy of a model, calibrated on images, uint8 (n, height, width, channels), n >= 1.

        Raises
        ------
        ConfigError
            For a network with layers that have no int8 form here.
        """
        wide = _float64_of(model)
        peaks = _peaks(wide, images)
        parameters = np.zeros(wide.network.parameter_count)
        scales, factors = [max(peaks[0], 1e-12) / TOP], []
        last = len(wide.network.layers) - 1
        for i, (layer, shape) in enumerate(wide.network.pairs):
            if not isinstance(layer, Conv2d | Dense):
                scales.append(scales[-1])
                factors.append(1.0)
                continue
            part = wide.network.parameter_slices[i]
            weights, codes = wide.parameters[part], parameters[part]
            n_weights = layer.fan_in(shape) * layer.output_shape(shape)[0]
            weight_scale = max(float(np.abs(weights[:n_weights]).max()), 1e-12) / TOP
            sum_scale = scales[-1] * weight_scale
            codes[:n_weights] = np.rint(weights[:n_weights] / weight_scale)
            codes[n_weights:] = np.clip(np.rint(weights[n_weights:] / sum_scale), -(2**31), 2**31 - 1)
            scales.append(1.0 if i == last else max(peaks[i + 1], 1e-12) / TOP)
            factors.append(sum_scale / scales[-1])
        return cls(wide.network, parameters, scales, factors, wide.mean, wide.scale)

    @property
    def bytes(self) -> int:
        """Return what the copy takes: a byte a weight, four a bias, four a scale."""
        biases = sum(shape[0] for shape in self._linear_shapes)
        return self.network.parameter_count + 3 * biases + 4 * len(self.scales)

    @property
    def activation_bytes(self) -> int:
        """Return the bytes of the two largest neighbouring layers of one image."""
        sizes = [int(np.prod(shape)) for shape in self.network.shapes]
        return max(a + b for a, b in pairwise(sizes))

    @property
    def rounded_values(self) -> int:
        """Return how many outputs of linear layers an image has: each is scaled, rounded and bounded."""
        return sum(int(np.prod(shape)) for shape in self._linear_shapes)

    @property
    def _linear_shapes(self) -> list[Shape]:
        """Return the shapes of the outputs of linear layers."""
        pairs = zip(self.network.layers, self.network.shapes[1:], strict=True)
        return [shape for layer, shape in pairs if isinstance(layer, Conv2d | Dense)]

    def probabilities(self, X: np.ndarray) -> np.ndarray:
        """Return the probabilities of the classes, float64 (n, classes), of images as for `of`."""
        found = np.empty((len(X), self.network.n_classes))
        last = len(self.network.layers) - 1

        def rounded(i: int, out: Planes) -> None:
            if self.factors[i] != 1.0:
                out.array *= self.factors[i]
            if i < last:
                np.clip(np.rint(out.array, out=out.array), -TOP, TOP, out=out.array)

        def show(chunk: Chunk, rows: np.ndarray) -> None:
            codes = chunk.images.array
            codes /= self.scales[0]
            np.clip(np.rint(codes, out=codes), -TOP, TOP, out=codes)
            chunk.forward(training=False, after=rounded)
            logits = chunk.output.values.values()[: len(rows), :, 0, 0]
            powers = np.exp(logits - logits.max(axis=1, keepdims=True))
            found[rows] = powers / powers.sum(axis=1, keepdims=True)

        _show(Model(self.network, self.parameters, np.zeros(0), self.mean, self.scale), X, show)
        return found


def check_quantised(name: str, layers: Sequence[Layer]) -> None:
    """Raise ConfigError for a network with a layer that has no int8 form here."""
    for layer in layers:
        if not isinstance(layer, (Conv2d, Dense, *_KEEPING)):
            raise ConfigError(
                f"the network {name} has no int8 form: {type(layer).__name__} is not quantised",
                expected="a network of convolutions, dense layers, pooling and ReLU, such as cnn-s",
            )


def _float64_of(model: Model) -> Model:
    check_quantised(model.network.name, model.network.layers)
    channels, height, width = model.network.shapes[0]
    network = Network(model.network.layers, (height, width, channels), model.network.n_classes, np.float64)
    parameters = model.parameters.astype(np.float64)
    mean, scale = model.mean.astype(np.float64), model.scale.astype(np.float64)
    return Model(network, parameters, np.zeros(0), mean, scale)


def _peaks(model: Model, images: np.ndarray) -> list[float]:
    """Return the largest magnitude of the normalised images and of each layer's output."""
    peaks = np.zeros((len(model.network.layers) + 1, 1))

    def show(chunk: Chunk, rows: np.ndarray) -> None:
        # Lanes without an image hold what was there before, of an image too, or zero.
        peaks[0] = max(peaks[0], np.abs(chunk.images.array).max())

        def see(i: int, out: Planes) -> None:
            peaks[i + 1] = max(peaks[i + 1], np.abs(out.values()[: len(rows)]).max())

        chunk.forward(training=False, after=see)

    _show(model, images, show, threads=1)
    return peaks[:, 0].tolist()


def _show(
    model: Model, X: np.ndarray, use: Callable[[Chunk, np.ndarray], None], threads: int | None = None
) -> None:
    """Load all images into chunks, and hand each chunk with its rows to `use`."""
    X = frozen(X)
    n_chunks = max(1, min(threads or numba.get_num_threads(), -(-len(X) // CHUNK_IMAGES)))

    def part(chunk: Chunk, i: int) -> None:
        for start in range(i * CHUNK_IMAGES, len(X), n_chunks * CHUNK_IMAGES):
            rows = np.arange(start, min(start + CHUNK_IMAGES, len(X)))
            chunk.load(X, rows, model.mean, model.scale)
            use(chunk, rows)

    with Team(model.network, model.parameters, model.statistics, n_chunks, CHUNK_IMAGES) as team:
        team.map(part, n_chunks)
