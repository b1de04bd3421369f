"""Does each layer compute what its formula says, and its exact gradient?"""

from __future__ import annotations

import numpy as np
import pytest

from nmsim.training import kernels, reference
from nmsim.training.augmentation import draw
from nmsim.training.chain import Residual
from nmsim.training.layers import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dense,
    Flatten,
    Layer,
    MaxPool2d,
    ReLU,
)
from nmsim.training.loss import softmax_cross_entropy
from nmsim.training.network import NETWORKS, Chunk, Network

#: Each layer once, with sizes that no tile of four divides, and a Dense layer so that there are logits.
CHAINS: dict[str, tuple[Layer, ...]] = {
    "dense": (Flatten(), Dense(5), Dense(3)),
    "wide dense": (Flatten(), Dense(64), Dense(15), Dense(3)),
    "conv": (Conv2d(5, kernel=3, padding=1), Conv2d(6, kernel=3, padding=0), Flatten(), Dense(3)),
    "strided": (Conv2d(5, kernel=4, padding=1, stride=2), Flatten(), Dense(3)),
    "stride three": (Conv2d(4, kernel=3, padding=1, stride=3), Conv2d(2), Flatten(), Dense(3)),
    "relu": (Conv2d(4), ReLU(), Conv2d(5), Flatten(), Dense(3)),
    "max pool": (Conv2d(4), MaxPool2d(2), Conv2d(3), MaxPool2d(3), Flatten(), Dense(3)),
    "mean pool": (Conv2d(4), AvgPool2d(2), Conv2d(3), Flatten(), Dense(3)),
    "global pool": (Conv2d(4), AvgPool2d(None), Flatten(), Dense(3)),
    "batch norm": (Conv2d(4), BatchNorm2d(), ReLU(), Conv2d(5), BatchNorm2d(), Flatten(), Dense(3)),
    "batch norm of images": (BatchNorm2d(), Conv2d(4), Flatten(), Dense(3)),
    "stride within": (
        Conv2d(4),
        ReLU(),
        Conv2d(5, stride=2),
        MaxPool2d(2),
        Conv2d(4, stride=2),
        Flatten(),
        Dense(3),
    ),
    "residual": (Conv2d(4), Residual((Conv2d(5), ReLU(), Conv2d(4))), Conv2d(3), Flatten(), Dense(3)),
    "residual first": (Residual((Conv2d(3), ReLU(), Conv2d(3))), Flatten(), Dense(3)),
    "residual that projects": (
        Conv2d(4),
        ReLU(),
        Residual((Conv2d(5, stride=2), BatchNorm2d(), ReLU(), Conv2d(5)), (Conv2d(5, 1, 0, 2),)),
        Residual((Conv2d(4, 1, 0), BatchNorm2d()), (Conv2d(4, 1, 0),)),
        Flatten(),
        Dense(3),
    ),
}


class Case:
    """A network in float64 with random images in all lanes but one."""

    def __init__(self, layers: tuple[Layer, ...], n: int = 5, shape: tuple[int, int, int] = (8, 7, 3)):
        rng = np.random.default_rng(1)
        self.network = Network(layers, shape, 3, np.float64)
        self.parameters = rng.normal(0, 0.5, self.network.parameter_count)
        self.x = rng.normal(0, 1, (n, shape[2], *shape[:2]))
        self.labels = rng.integers(0, 3, n)
        self.chunk = Chunk(self.network, self.parameters, self.network.initial_statistics(), n + 1)
        self.chunk.used = n

    def loss(self) -> float:
        """Return the mean loss, and leave the gradient in the chunk."""
        n = len(self.x)
        self.chunk.images.set_values(np.concatenate([self.x, np.ones_like(self.x[:1])]))
        self.chunk.forward()
        self.logits = self.chunk.output.values.values()[:n, :, 0, 0]
        loss, _ = softmax_cross_entropy(self.chunk.output, self.labels, 1 / n)
        self.chunk.backward()
        return loss / n


@pytest.mark.parametrize("name", CHAINS)
def test_a_gradient_is_the_slope_of_the_loss(name):
    case = Case(CHAINS[name])
    case.loss()
    gradient = case.chunk.gradient.copy()
    step = 1e-6
    for p in np.random.default_rng(0).choice(gradient.size, 40, replace=False):
        # Central difference: its error is step² times a third derivative, and rounding 1e-16 / step.
        at = case.parameters[p]
        case.parameters[p] = at + step
        above = case.loss()
        case.parameters[p] = at - step
        below = case.loss()
        case.parameters[p] = at
        assert gradient[p] == pytest.approx((above - below) / (2 * step), rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("n", [5, 31])
@pytest.mark.parametrize("name", [*CHAINS, *NETWORKS])
def test_the_kernels_agree_with_their_slow_twin(name, n):
    # A lane stays empty: with 32 lanes whole tiles of registers are used, with 6 their remainders.
    layers = CHAINS.get(name) or (*NETWORKS[name], Dense(3))
    case = Case(layers, n, shape=(17, 16, 3))
    case.loss()
    outputs, gradient = reference.network_gradient(case.network, case.parameters, case.x, case.labels)
    np.testing.assert_allclose(case.logits, outputs, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(case.chunk.gradient, gradient, rtol=1e-9, atol=1e-12)


def test_the_input_gradient_agrees_with_the_slope_too():
    # A convolution behind a convolution: the first layer's weights see the second's gradient by its input.
    case = Case((Conv2d(4, kernel=5, padding=2), Conv2d(4), Flatten(), Dense(3)))
    case.loss()
    direction = np.random.default_rng(2).normal(0, 1, case.parameters.size)
    slope = direction @ case.chunk.gradient
    case.parameters += 1e-6 * direction
    above = case.loss()
    case.parameters -= 2e-6 * direction
    assert slope == pytest.approx((above - case.loss()) / 2e-6, rel=1e-5)


@pytest.mark.parametrize("name", ["max pool", "batch norm", "residual that projects"])
def test_an_empty_lane_changes_no_gradient(name):
    case = Case(CHAINS[name])
    case.loss()
    with_ones = case.chunk.gradient.copy()
    case.chunk.images.set_values(np.concatenate([case.x, 1e6 * np.ones_like(case.x[:1])]))
    case.chunk.forward()
    softmax_cross_entropy(case.chunk.output, case.labels, 1 / len(case.x))
    case.chunk.backward()
    np.testing.assert_array_equal(case.chunk.gradient, with_ones)


def test_equal_pixels_send_their_gradient_to_the_first():
    network = Network((MaxPool2d(2), Flatten(), Dense(2)), (2, 2, 1), 2, np.float64)
    chunk = Chunk(network, np.ones(network.parameter_count), np.zeros(0), 1)
    chunk.images.set_values(np.full((1, 1, 2, 2), 7.0))
    chunk.forward()
    # Every output is 1 · 7 + 1, so each class has p = 1/2; the loss is -log(1/2).
    loss, _ = softmax_cross_entropy(chunk.output, np.array([1]), 1.0)
    assert loss == pytest.approx(np.log(2))
    x = np.full((1, 1, 2, 2), 7.0)
    np.testing.assert_array_equal(
        reference.max_pool_gradient(np.ones((1, 1, 1, 1)), x, 2), [[[[1, 0], [0, 0]]]]
    )
    dx, taken = np.zeros((1, 2, 2, 1)), np.zeros((1, 1, 1, 1), np.int32)
    first = np.zeros(1, np.int64)
    kernels.max_pool_forward(np.zeros((1, 1, 1, 1)), 0, first, taken, np.full((1, 2, 2, 1), 7.0), 2)
    kernels.max_pool_backward(dx, taken, np.ones((1, 1, 1, 1)), 0, first, 2)
    np.testing.assert_array_equal(dx[0, :, :, 0], [[1, 0], [0, 0]])


def test_the_loss_agrees_with_its_twin_even_for_huge_logits():
    logits = np.random.default_rng(3).normal(0, 300, (7, 4))
    labels = np.array([0, 3, 1, 2, 2, 0, 1])
    losses, gradients = reference.cross_entropy(logits / 100, labels)
    d = np.empty((4, 7))
    loss, right = kernels.cross_entropy(d, np.ascontiguousarray(logits.T / 100), labels, 1.0)
    assert loss == pytest.approx(losses.sum())
    assert right == (logits.argmax(axis=1) == labels).sum()
    np.testing.assert_allclose(d.T, gradients, atol=1e-12)
    huge, _ = kernels.cross_entropy(d, np.ascontiguousarray(1e4 * logits.T), labels, 1.0)
    assert np.isfinite(huge)


def test_the_optimiser_agrees_with_its_twin():
    rng = np.random.default_rng(4)
    weights, velocity, gradients = rng.normal(size=9), rng.normal(size=9), rng.normal(size=(3, 9))
    for clip_norm in (0.1, 1e9):
        expected = reference.sgd_step(weights, velocity, gradients, 0.1, 0.9, 0.01, clip_norm)
        w, v = weights.copy(), velocity.copy()
        kernels.sgd_step(w, v, gradients.copy(), 0.1, 0.9, 0.01, clip_norm)
        np.testing.assert_allclose([w, v], expected, rtol=1e-12)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_images_are_loaded_as_their_twin_normalises_them(stride):
    images = np.random.default_rng(5).integers(0, 256, (4, 7, 6, 2), np.uint8)
    mean, scale = np.array([100.0, 50.0]), np.array([0.5, 0.25])
    network = Network((Conv2d(3, 3, 1, stride), Flatten(), Dense(2)), (7, 6, 2), 2, np.float64)
    chunk = Chunk(network, np.zeros(network.parameter_count), np.zeros(0), 4)
    chunk.load(images, np.array([2, 0, 3]), mean, scale)
    expected = reference.normalised(images[[2, 0, 3]], mean, scale)
    np.testing.assert_array_equal(chunk.images.values()[:3], expected)
    np.testing.assert_array_equal(kernels.count_values(images), reference.count_values(images))


@pytest.mark.parametrize("augmentation", ["flip", "flip_crop"])
def test_images_are_mirrored_and_shifted_as_by_their_twin(augmentation):
    images = np.random.default_rng(6).integers(0, 256, (30, 7, 6, 2), np.uint8)
    mean, scale = np.array([100.0, 50.0]), np.array([0.5, 0.25])
    network = Network((Conv2d(3, 3, 1, 2), Flatten(), Dense(2)), (7, 6, 2), 2, np.float64)
    chunk = Chunk(network, np.zeros(network.parameter_count), np.zeros(0), 30)
    moves = draw(augmentation, 30, np.random.default_rng(7))
    chunk.load(images, np.arange(30), mean, scale, moves)
    expected = reference.moved(reference.normalised(images, mean, scale), moves)
    np.testing.assert_array_equal(chunk.images.values(), expected)
    assert set(moves[:, 0]) == {0, 1} and len(set(moves[:, 1])) == (1 if augmentation == "flip" else 9)


def test_a_flip_reverses_the_columns_and_a_crop_drops_the_edge():
    image = np.arange(1.0, 7).reshape(1, 1, 2, 3)
    np.testing.assert_array_equal(reference.moved(image, np.array([[1, 0, 0]]))[0, 0], [[3, 2, 1], [6, 5, 4]])
    np.testing.assert_array_equal(
        reference.moved(image, np.array([[0, 1, -1]]))[0, 0], [[0, 4, 5], [0, 0, 0]]
    )


def test_batch_norm_gives_every_channel_its_mean_and_deviation_in_training():
    case = Case((BatchNorm2d(), Flatten(), Dense(3)))
    case.parameters[:6] = [1.0, 2.0, 3.0, -1.0, 0.0, 5.0]
    case.chunk.images.set_values(np.concatenate([case.x, 1e6 * np.ones_like(case.x[:1])]))
    case.chunk.forward()
    out = case.chunk.embedding.values.array.reshape(3, -1, 6)[..., :5]
    np.testing.assert_allclose(out.mean(axis=(1, 2)), [-1.0, 0.0, 5.0], atol=1e-12)
    # ε = 1e-5 beside a variance near 1.
    np.testing.assert_allclose(out.std(axis=(1, 2)), [1.0, 2.0, 3.0], rtol=1e-5)


def test_batch_norm_takes_its_running_statistics_in_inference():
    case = Case((BatchNorm2d(), Flatten(), Dense(3)))
    statistics = np.array([1.0, 2.0, 3.0, 4.0, 9.0, 16.0])
    case.parameters[:6] = [1.0, 1.0, 1.0, 0.5, 0.5, 0.5]
    chunk = Chunk(case.network, case.parameters, statistics, 5)
    chunk.images.set_values(case.x)
    chunk.forward(training=False)
    mean, variance = statistics.reshape(2, 3, 1, 1)
    expected = (case.x - mean) / np.sqrt(variance + 1e-5) + 0.5
    np.testing.assert_allclose(chunk.embedding.values.values().reshape(expected.shape), expected, rtol=1e-12)


def test_a_strided_convolution_cannot_follow_another_directly():
    network = Network((Conv2d(3), Conv2d(3, stride=2), Flatten(), Dense(2)), (8, 8, 1), 2)
    with pytest.raises(ValueError, match="stride"):
        Chunk(network, np.zeros(network.parameter_count, np.float32), np.zeros(0, np.float32), 4)
