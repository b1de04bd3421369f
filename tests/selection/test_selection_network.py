"""Do the parts that the methods with a network share compute what they say? Bins, picks, gradients, int8."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from nmsim.data.glyphs import generate
from nmsim.errors import ConfigError, DataError
from nmsim.selection import network_reference as reference
from nmsim.selection.dq import cut_bins
from nmsim.selection.network import LastLayer, NetworkParameters, TrainedNetwork, as_images, loss_gradients
from nmsim.selection.network_facility import closeness, facility_location
from nmsim.selection.network_int8 import Int8Copy
from nmsim.training.layers import AvgPool2d, Conv2d, Dense, Flatten, MaxPool2d, ReLU
from nmsim.training.model import Model
from nmsim.training.network import Network


def seen(n=40, classes=4, width=6, seed=0):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(classes), n).astype(np.float32)
    g = loss_gradients(probabilities, np.zeros(n, int))
    return LastLayer(g, rng.normal(size=(n, width)).astype(np.float32))


@pytest.fixture(scope="module")
def trained():
    X, y = generate(400)
    return TrainedNetwork.on(X, y, 10, np.arange(400), NetworkParameters("cnn-s", 6), 1, "test"), X, y


def test_similarities_are_the_cosines_of_the_gradients_written_out():
    found = seen()
    v = reference.written_out(found)
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    # float32 rounds to 2^-24, the factors were float32 before
    np.testing.assert_allclose(found.similarities(), 0.5 + 0.5 * v @ v.T, atol=2e-7)


def test_the_written_out_gradient_is_that_of_the_loss_by_the_last_layer(trained):
    network, X, y = trained
    model, (image, label) = network.model, (X[:1], y[:1])
    last = model.network.parameter_slices[-1]
    classes, h, rng = 10, 1e-2, np.random.default_rng(0)
    v = reference.written_out(LastLayer.of(model, image, label))[0]
    width = len(v) // classes - 1

    def loss(at, by):
        parameters = model.parameters.copy()
        parameters[last][at] += by
        return -np.log(replace(model, parameters=parameters).last_layer(image)[1][0, label[0]])

    for j, c in zip(rng.integers(0, width, 8), rng.integers(0, classes, 8), strict=True):
        at = j * classes + c  # weights lie as [input, class], then the biases
        slope = (loss(at, h) - loss(at, -h)) / (2 * h)
        assert slope == pytest.approx(v[classes + c * width + j], abs=2e-3)
    slope = (loss(width * classes + 3, h) - loss(width * classes + 3, -h)) / (2 * h)
    assert slope == pytest.approx(v[3], abs=2e-3)


@pytest.mark.parametrize("seed", range(3))
def test_bins_are_those_of_the_definition_and_share_no_record(seed):
    s = seen(24, seed=seed).similarities()
    bins = cut_bins(s, [6, 5, 5])
    assert [b.tolist() for b in bins] == reference.cut_bins(s, [6, 5, 5])
    assert len(np.unique(np.concatenate(bins))) == 16


def test_gains_of_the_cut_fall_within_a_bin():
    s = seen(30).similarities()
    (picks,) = cut_bins(s, [12])
    values = [reference.cut(s, range(30), picks[:i]) for i in range(13)]
    assert (np.diff(values, 2) <= 0).all()


@pytest.mark.parametrize("seed", range(3))
def test_lazy_greedy_picks_what_plain_greedy_picks(seed):
    near = closeness(seen(40, seed=seed).gradients)
    picks, evaluations = facility_location(near, 9)
    assert picks.tolist() == reference.facility_location(near, 9)
    assert 0 < evaluations < 9 * 40
    values = [reference.coverage(near, picks[:i]) for i in range(10)]
    assert (np.diff(values) >= 0).all() and (np.diff(values, 2) <= 0).all()


def test_greedy_covers_what_nemhauser_wolsey_and_fisher_proved():
    near = closeness(seen(11, seed=5).gradients)
    best = max(reference.coverage(near, taken) for taken in combinations(range(11), 3))
    assert reference.coverage(near, facility_location(near, 3)[0]) >= (1 - 1 / np.e) * best


def test_duplicates_are_equally_close_and_picked_last():
    g = np.repeat(seen(5).gradients, 2, axis=0)
    picks, _ = facility_location(closeness(g), 10)
    assert sorted(picks[:5] // 2) == list(range(5)) and sorted(picks) == list(range(10))


LAYERS = (Conv2d(5), AvgPool2d(), ReLU(), Conv2d(6), MaxPool2d(), Flatten(), Dense(7), ReLU(), Dense(3))


@pytest.mark.parametrize("layers", ["cnn-s", "mlp", LAYERS])
def test_the_8_bit_copy_computes_in_whole_numbers_what_its_twin_computes(layers):
    rng = np.random.default_rng(2)
    X = rng.integers(0, 256, (70, 12, 12, 2), dtype=np.uint8)
    network = Network(layers, (12, 12, 2), 3)
    model = Model(
        network, network.initial_parameters(rng), np.zeros(0), np.full(2, 100.0), np.full(2, 1 / 60)
    )
    copy = Int8Copy.of(model, X[:40])
    logits = reference.int8_logits(copy, X)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(copy.probabilities(X), powers / powers.sum(axis=1, keepdims=True), rtol=1e-12)
    assert (copy.parameters == np.rint(copy.parameters)).all()


def test_the_8_bit_copy_says_nearly_what_the_network_says(trained):
    network, X, _ = trained
    exact = network.model.last_layer(X)[1]
    rough = Int8Copy.of(network.model, X[::4]).probabilities(X)
    assert (exact.argmax(axis=1) == rough.argmax(axis=1)).mean() > 0.95
    assert 0 < np.abs(exact - rough).mean() < 0.02


def test_a_copy_takes_a_byte_a_weight_and_four_a_bias(trained):
    network, X, _ = trained
    copy = Int8Copy.of(network.model, X)
    # cnn-s on 32·32·3: weights 4·4·3·12, 3·3·12·32 and 512·10, biases, and scales of the images and 8 layers
    assert copy.bytes == 576 + 3456 + 5120 + 4 * (12 + 32 + 10) + 4 * 9


def test_records_that_are_no_images_are_refused():
    for X in (np.zeros((4, 9), np.uint8), np.zeros((4, 3, 3), np.float32)):
        with pytest.raises(DataError, match="8-bit images"):
            as_images(X, np.zeros(4, int))


def test_network_parameters_that_cannot_be_meant_are_refused():
    with pytest.raises(ConfigError, match="unknown network"):
        NetworkParameters("cnn-xl", 3).check()
    with pytest.raises(ConfigError, match="network_epochs"):
        NetworkParameters("cnn-s", 0).check()
