"""Does it learn, repeat itself bit for bit, and refuse what it cannot use?"""

from __future__ import annotations

import os
from pathlib import Path

import numba
import numpy as np
import pytest

from nmsim.data import open_dataset
from nmsim.data.digits import read_digits
from nmsim.data.glyphs import generate
from nmsim.errors import ConfigError, DataError
from nmsim.training import NETWORKS, Recipe, reference, train
from nmsim.training.loop import normalisation
from nmsim.training.optim import SCHEDULES, SGD


@pytest.fixture(scope="module")
def glyphs():
    return (*generate(300), *generate(100, split="test"))


@pytest.mark.parametrize("network", NETWORKS)
def test_eight_images_are_learnt_by_heart(network):
    X, y = generate(8)
    result = train(X, y, X, y, Recipe(network=network, epochs=200, batch_size=8, weight_decay=0.0), seed=3)
    assert result.accuracy == 1.0
    assert result.loss_per_epoch[-1] < 0.05 < result.loss_per_epoch[0]


def test_real_digits_are_told_apart():
    X, y = read_digits()
    X = X.reshape(len(X), 8, 8, 1)
    result = train(X[:1200], y[:1200], X[1200:], y[1200:], Recipe(network="softmax", epochs=20))
    # A linear classifier is known to reach above 90 % on these 8×8 digits; chance is 10 %.
    assert result.accuracy > 0.88


@pytest.mark.data
def test_a_tenth_of_fashion_mnist_gives_what_small_networks_are_known_to():
    folder = Path(os.environ.get("NMSIM_DATA", "")) / "fashion-mnist-resplit"
    if not os.environ.get("NMSIM_DATA") or not folder.is_dir():
        pytest.skip("NMSIM_DATA names no folder with fashion-mnist-resplit")
    data = open_dataset(path=folder)
    rows = np.random.default_rng(0).choice(len(data.y_train), 6_000, replace=False)
    result = train(data.X_train[rows], data.y_train[rows], data.X_test, data.y_test)
    # Linear classifiers reach 84 % with all 60,000 images (Xiao et al., arXiv 1708.07747, table 3: 0.842 for
    # logistic regression); a network of two convolutions must not be worse with a tenth.
    assert result.accuracy > 0.842


def test_equal_seeds_give_equal_bits_and_other_seeds_others(glyphs):
    recipe = Recipe(epochs=2, min_steps=0)
    one, two, other = (train(*glyphs, recipe, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.parameters, two.parameters)
    np.testing.assert_array_equal(one.loss_per_epoch, two.loss_per_epoch)
    assert all(np.array_equal(a, b) for a, b in zip(one.epoch_orders, two.epoch_orders, strict=True))
    assert not np.array_equal(one.parameters, other.parameters)


@pytest.mark.parametrize("network", ["cnn-s", "resnet-8"])
def test_the_number_of_threads_changes_no_bit(glyphs, network):
    threads = numba.get_num_threads()
    results = []
    try:
        for n in range(1, min(4, threads) + 1):
            numba.set_num_threads(n)
            results.append(
                train(
                    *glyphs,
                    Recipe(network=network, epochs=1, batch_size=100, min_steps=0, augmentation="flip_crop"),
                )
            )
    finally:
        numba.set_num_threads(threads)
    for other in results[1:]:
        np.testing.assert_array_equal(results[0].parameters, other.parameters)
        np.testing.assert_array_equal(results[0].model.statistics, other.model.statistics)
        assert results[0].accuracy == other.accuracy
    if threads == 1:
        pytest.skip("this machine offers one thread only")


def test_a_chunk_is_the_same_whoever_computes_it(glyphs, monkeypatch):
    # Even where the machine has one core: a team of three takes turns otherwise than a team of one.
    alone = train(*glyphs, Recipe(epochs=1, batch_size=128, min_steps=0))
    monkeypatch.setattr(numba, "get_num_threads", lambda: 3)
    together = train(*glyphs, Recipe(epochs=1, batch_size=128, min_steps=0))
    np.testing.assert_array_equal(alone.parameters, together.parameters)


def test_every_epoch_reads_every_row_once_in_a_new_order(glyphs):
    orders = train(*glyphs, Recipe(epochs=4, min_steps=0)).epoch_orders
    assert len(orders) == 4
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), np.arange(300))
    assert not np.array_equal(orders[0], orders[1])


@pytest.mark.parametrize(
    ("n", "batch_size", "min_steps", "epochs"),
    # Steps an epoch: ceil(n / batch_size); epochs: at least 2, and enough for min_steps.
    [(300, 64, 0, 2), (300, 64, 10, 2), (300, 64, 11, 3), (20, 64, 7, 7), (300, 1000, 3, 3), (3, 2, 5, 3)],
)
def test_whole_epochs_are_added_until_there_are_enough_steps(glyphs, n, batch_size, min_steps, epochs):
    X, y, X_test, y_test = glyphs
    result = train(X[:n], y[:n], X_test, y_test, Recipe(epochs=2, batch_size=batch_size, min_steps=min_steps))
    assert len(result.epoch_orders) == len(result.loss_per_epoch) == epochs


def test_augmentation_is_recorded_and_changes_no_order(glyphs):
    plain = train(*glyphs, Recipe(epochs=2, min_steps=0))
    recipe = Recipe(epochs=2, min_steps=0, augmentation="flip_crop")
    moved, again = train(*glyphs, recipe), train(*glyphs, recipe)
    assert plain.epoch_moves == [None, None]
    for epoch in range(2):
        np.testing.assert_array_equal(plain.epoch_orders[epoch], moved.epoch_orders[epoch])
        np.testing.assert_array_equal(moved.epoch_moves[epoch], again.epoch_moves[epoch])
        assert moved.epoch_moves[epoch].shape == (300, 3)
    np.testing.assert_array_equal(moved.parameters, again.parameters)
    assert not np.array_equal(plain.parameters, moved.parameters)
    assert not np.array_equal(*moved.epoch_moves)


def test_running_statistics_approach_those_of_the_training_images(glyphs):
    # The first layer's weights do not change at a rate of almost 0, so its output has fixed statistics; after
    # 75 batches the initial values weigh 0.9^75, below 0.1 %. Every batch holds all 32 images.
    X, y, X_test, y_test = (array[:, 8:24, 8:24] if array.ndim > 1 else array for array in glyphs)
    options = {"network": "resnet-8", "batch_size": 32, "min_steps": 75, "learning_rate": 1e-12}
    model = train(X[:32], y[:32], X_test, y_test, Recipe(**options)).model
    w = model.parameters[model.network.parameter_slices[0]]
    images = reference.normalised(X[:32], model.mean, model.scale)
    seen = reference.conv2d(images, w[:-16].reshape(3, 3, 3, 16), w[-16:], 1, 1)
    mean, variance = model.statistics[:32].reshape(2, 16)
    np.testing.assert_allclose(mean, seen.mean(axis=(0, 2, 3)), atol=2e-3)
    np.testing.assert_allclose(variance, seen.var(axis=(0, 2, 3)), rtol=2e-3)


def test_a_small_subset_trains_sensibly():
    X, y = generate(120)
    result = train(X, y, X, y, Recipe(epochs=8), n_classes=10)
    assert result.loss_per_epoch[-1] < 0.5 * result.loss_per_epoch[0]
    assert result.accuracy > 0.8


def test_the_result_does_not_depend_on_whether_images_may_be_written(glyphs):
    frozen = [array.copy() for array in glyphs]
    for array in frozen:
        array.flags.writeable = False
    one, two = train(*glyphs, Recipe(epochs=1, min_steps=0)), train(*frozen, Recipe(epochs=1, min_steps=0))
    np.testing.assert_array_equal(one.parameters, two.parameters)


def test_brightness_and_contrast_of_the_whole_set_do_not_matter(glyphs):
    # Normalisation takes (a·X + b) to the same values as X; a and b are chosen to stay exact in 8 bits.
    X, y, X_test, y_test = glyphs
    low, low_test = X // 4, X_test // 4
    one = train(low, y, low_test, y_test, Recipe(epochs=2, min_steps=0))
    two = train(low * 3 + 20, y, low_test * 3 + 20, y_test, Recipe(epochs=2, min_steps=0))
    np.testing.assert_allclose(one.loss_per_epoch, two.loss_per_epoch, rtol=1e-3)


def test_normalised_training_images_have_mean_zero_and_deviation_one():
    X = np.random.default_rng(0).integers(0, 200, (50, 6, 6, 2), np.uint8)
    X[..., 1] = 9
    mean, scale = normalisation(X)
    values = (X - mean) * scale
    assert values[..., 0].mean() == pytest.approx(0, abs=1e-5)
    assert values[..., 0].std() == pytest.approx(1, rel=1e-5)
    assert (values[..., 1] == 0).all()


def test_the_cosine_schedule_rises_then_falls_to_zero():
    factor = SCHEDULES["cosine"]
    rates = [factor(share) for share in np.linspace(0.001, 1, 1000)]
    top = int(np.argmax(rates))
    # Warm-up over the first tenth, where the cosine still stands at cos²(π/20) = 0.9755.
    assert top == 99 and rates[top] == pytest.approx(np.cos(np.pi / 20) ** 2, rel=1e-6)
    assert all(np.diff(rates[:top]) > 0) and all(np.diff(rates[top:]) < 0)
    assert rates[-1] == pytest.approx(0, abs=1e-12)


def test_momentum_on_a_constant_gradient_follows_the_geometric_series():
    # v_t = g (1 - m^t)/(1 - m), so after T steps w = -rate · g · sum over t of (1 - m^t)/(1 - m).
    weights = np.zeros(1)
    optimiser = SGD(weights, 0.5, 0.0)
    for _ in range(4):
        optimiser.step(np.array([[1.0], [0.5]]), 0.1)
    expected = -0.1 * 1.5 * sum((1 - 0.5**t) / 0.5 for t in range(1, 5))
    assert weights[0] == pytest.approx(expected)


@pytest.mark.parametrize(("label", "which"), [(10, "training"), (-1, "training"), (10, "test"), (-1, "test")])
def test_a_label_out_of_range_is_refused_with_its_row(glyphs, label, which):
    X, y, X_test, y_test = (array.copy() for array in glyphs)
    (y if which == "training" else y_test)[7] = label
    with pytest.raises(DataError, match=f"{which} label.*{label} at row 7.*0 to 9"):
        train(X, y, X_test, y_test, n_classes=10)


def test_arrays_that_do_not_fit_together_are_refused(glyphs):
    X, y, X_test, y_test = glyphs
    with pytest.raises(DataError, match="one label"):
        train(X[:5], y[:4], X_test, y_test)
    with pytest.raises(DataError, match="one label"):
        train(X[:0], y[:0], X_test, y_test)
    with pytest.raises(DataError, match=r"30×32×3.*32×32×3"):
        train(X, y, X_test[:, :30], y_test)
    with pytest.raises(DataError, match="uint8"):
        train(X.astype(float), y, X_test, y_test)


def test_unknown_names_and_images_too_small_are_refused(glyphs):
    with pytest.raises(ConfigError, match="softmax, mlp, cnn-s"):
        train(*glyphs, Recipe(network="cnn-xl"))
    X, y, X_test, y_test = glyphs
    with pytest.raises(DataError, match=r"too small.*cnn-s.*5×5×3"):
        train(X[:, :5, :5], y, X_test[:, :5, :5], y_test)


def test_a_training_that_diverges_says_so(glyphs):
    with pytest.raises(ConfigError, match=r"diverged.*learning_rate"):
        train(*glyphs, Recipe(learning_rate=1e30, epochs=3))
