"""Does a model show what its last layer sees, and can the subset follow the training?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nmsim.data.glyphs import generate
from nmsim.errors import ConfigError, DataError
from nmsim.training import NETWORKS, Model, Recipe, reference, train


@pytest.fixture(scope="module")
def glyphs():
    return (*generate(100), *generate(50, split="test"))


@pytest.mark.parametrize("network", NETWORKS)
def test_the_last_layer_takes_the_embeddings_to_the_probabilities(glyphs, network):
    model = train(*glyphs, Recipe(network=network, epochs=1, min_steps=0)).model
    embeddings, probabilities = model.last_layer(glyphs[2])
    last = model.network.parameter_slices[-1]
    weights = model.parameters[last].reshape(embeddings.shape[1] + 1, 10)
    logits = embeddings @ weights[:-1] + weights[-1]
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(probabilities, powers / powers.sum(axis=1, keepdims=True), atol=1e-5)


def test_an_accuracy_is_the_share_of_the_most_probable_classes(glyphs):
    *_, X_test, y_test = glyphs
    result = train(*glyphs, Recipe(epochs=3, min_steps=0))
    _, probabilities = result.model.last_layer(X_test)
    assert result.accuracy == np.mean(probabilities.argmax(axis=1) == y_test)
    assert 0 < result.accuracy < 1


def test_embedding_and_probabilities_make_the_gradient_of_the_last_layer(glyphs):
    X, y, *_ = glyphs
    model = train(*glyphs, Recipe(epochs=1, min_steps=0)).model
    embeddings, probabilities = model.last_layer(X)
    by_logits = probabilities - np.eye(10)[y]
    expected = np.concatenate([(embeddings.T @ by_logits).ravel(), by_logits.sum(axis=0)]) / len(X)
    images = reference.normalised(X, model.mean, model.scale)
    _, gradient = reference.network_gradient(model.network, model.parameters, images, y)
    np.testing.assert_allclose(gradient[model.network.parameter_slices[-1]], expected, atol=1e-5)


def test_a_model_takes_other_weights(glyphs):
    model = train(*glyphs, Recipe(epochs=1, min_steps=0)).model
    blank = replace(model, parameters=np.zeros_like(model.parameters))
    np.testing.assert_allclose(blank.last_layer(glyphs[2])[1], 0.1, rtol=1e-6)


def test_reselecting_all_rows_is_plain_training(glyphs):
    plain = train(*glyphs, Recipe(epochs=3, min_steps=0))
    everything = train(*glyphs, Recipe(epochs=3, min_steps=0), reselect=lambda epoch, model: np.arange(100))
    np.testing.assert_array_equal(plain.parameters, everything.parameters)


def test_a_subset_changes_every_r_epochs_and_is_recorded_in_rows_of_all_images(glyphs):
    told: list[tuple[int, np.ndarray]] = []

    def reselect(epoch: int, model: Model) -> np.ndarray:
        told.append((epoch, model.parameters.copy()))
        return np.arange(epoch, epoch + 20)

    result = train(*glyphs, Recipe(epochs=5, min_steps=0), reselect=reselect, reselect_every=2)
    assert [epoch for epoch, _ in told] == [0, 2, 4]
    assert not np.array_equal(told[0][1], told[1][1])
    for epoch, order in enumerate(result.epoch_orders):
        first = epoch // 2 * 2
        np.testing.assert_array_equal(np.sort(order), np.arange(first, first + 20))


def test_a_fixed_reselection_trains_as_its_images_alone_do(glyphs):
    # Only the normalisation differs, by all images or by the chosen; so let it be the same.
    X, y, X_test, y_test = glyphs
    rows = np.arange(0, 100, 2)
    X = np.repeat(X[::2], 2, axis=0)
    y = np.repeat(y[::2], 2)
    alone = train(X[rows], y[rows], X_test, y_test, Recipe(epochs=3, min_steps=10))
    chosen = train(X, y, X_test, y_test, Recipe(epochs=3, min_steps=10), reselect=lambda epoch, model: rows)
    np.testing.assert_array_equal(alone.parameters, chosen.parameters)
    for one, other in zip(alone.epoch_orders, chosen.epoch_orders, strict=True):
        np.testing.assert_array_equal(rows[one], other)


def test_a_reselection_every_zero_epochs_is_refused(glyphs):
    with pytest.raises(ConfigError, match="at least 1"):
        train(*glyphs, reselect=lambda epoch, model: np.arange(100), reselect_every=0)


@pytest.mark.parametrize("rows", [[], [0, 0], [-1], [100], [0.5], [[1]]])
def test_a_reselection_that_is_no_subset_is_refused(glyphs, rows):
    with pytest.raises(DataError, match="reselection"):
        train(*glyphs, Recipe(epochs=1, min_steps=0), reselect=lambda epoch, model: np.array(rows))
