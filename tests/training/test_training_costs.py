"""Does the description of a training say what it costs, by closed forms?"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from nmsim.data.glyphs import generate
from nmsim.training import NetworkCost, Recipe, TrainingSteps, count_training, train, training_arrays
from nmsim.training.chain import Residual
from nmsim.training.layers import AvgPool2d, BatchNorm2d, Conv2d, Dense, Flatten, ReLU
from nmsim.training.network import Network

AMPLE = 1 << 30


def orders(n: int, epochs: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.permutation(n) for _ in range(epochs)]


def moved_bytes(cost: NetworkCost, batch: int, sram_bytes: int, n: int = 100) -> Counter:
    """Return the bytes by array of one epoch."""
    record = {a.name: a.row_bytes for a in training_arrays(cost, batch, sram_bytes)}
    record["images"] = cost.image_bytes
    moved = Counter()
    for epoch in TrainingSteps(cost, orders(n, 1), np.arange(n), batch, sram_bytes):
        for step in epoch:
            for transfer in step.transfers:
                moved[transfer.array] += transfer.rows.size * record[transfer.array]
    return moved


def test_cnn_s_has_the_macs_parameters_and_bytes_of_its_shapes():
    cost = Network("cnn-s", (32, 32, 3), 10).cost()
    # 32×32×3 -> 4×4 kernel, stride 2, padding 1: 16×16×12 -> pool 8×8×12 -> 3×3: 8×8×32 -> pool 4×4×32 -> 10
    first, second, last = 16 * 16 * 12 * (4 * 4 * 3), 8 * 8 * 32 * (3 * 3 * 12), 4 * 4 * 32 * 10
    assert cost.macs_forward == first + second + last == 373_760
    # Gradients of weights and of inputs, each as many; none by the images.
    assert cost.macs_backward == first + 2 * (second + last)
    assert cost.parameters == 12 * (48 + 1) + 32 * (108 + 1) + 10 * (512 + 1) == 9_206
    assert cost.weight_bytes == cost.gradient_bytes == cost.momentum_bytes == 2 * 9_206
    # Inputs of linear layers at 2 bytes; places of maxima, 2 bits each; one bit a value of each ReLU.
    inputs = 2 * (32 * 32 * 3 + 8 * 8 * 12 + 4 * 4 * 32)
    pooled = 8 * 8 * 12 + 4 * 4 * 32
    assert cost.activation_bytes == inputs + pooled * 3 // 8
    assert cost.image_bytes == 3_072


@pytest.mark.parametrize(
    ("name", "macs", "parameters"),
    # softmax: one product for each pixel and class. mlp: 128 hidden units.
    [("softmax", 784 * 10, 785 * 10), ("mlp", 784 * 128 + 128 * 10, 785 * 128 + 129 * 10)],
)
def test_dense_networks_have_the_macs_of_their_matrices(name, macs, parameters):
    cost = Network(name, (28, 28, 1), 10).cost()
    assert (cost.macs_forward, cost.parameters) == (macs, parameters)
    assert cost.macs_backward == 2 * macs - 784 * (10 if name == "softmax" else 128)
    assert cost.weight_bytes == 2 * parameters


def test_resnet_8_has_the_macs_parameters_and_bytes_of_its_layers():
    cost = Network("resnet-8", (32, 32, 3), 10).cost()
    # Three stages: 32×32×16, 16×16×32, 8×8×64. A row: pixels of the output, channels in and out, kernel.
    convolutions = [
        (1024, 3, 16, 9),
        (1024, 16, 16, 9), (1024, 16, 16, 9),
        (256, 16, 32, 9), (256, 32, 32, 9), (256, 16, 32, 1),
        (64, 32, 64, 9), (64, 64, 64, 9), (64, 32, 64, 1),
    ]  # fmt: skip
    linear = sum(pixels * i * o * k for pixels, i, o, k in convolutions) + 64 * 10
    assert linear == 12_501_632
    # Batch normalisation behind all but the two 1×1 convolutions.
    normalised = 3 * 1024 * 16 + 2 * 256 * 32 + 2 * 64 * 64
    assert cost.macs_forward == linear + 3 * normalised
    assert cost.macs_backward == 2 * linear - 1024 * 3 * 16 * 9 + 4 * normalised
    channels = 3 * 16 + 2 * 32 + 2 * 64
    weights = sum((i * k + 1) * o for _, i, o, k in convolutions) + 65 * 10
    assert cost.parameters == weights + 2 * channels == 78_186
    # With the running means and variances it is 78,666, the size of the model of MLPerf Tiny.
    assert cost.weight_bytes == 2 * (78_186 + 2 * channels) == 2 * 78_666
    assert cost.gradient_bytes == cost.momentum_bytes == 2 * 78_186
    assert cost.macs_update == 3 * 78_186 + 2 * channels
    # Kept: inputs of convolutions (of a block once for both ways), of normalisations and of the last layer at
    # 2 bytes; a bit for each value of the seven ReLUs.
    inputs = 32 * 32 * 3 + 3 * 1024 * 16 + 2 * 256 * 32 + 64 * 64
    rectified = 3 * 1024 * 16 + 2 * 256 * 32 + 2 * 64 * 64
    assert cost.activation_bytes == 2 * (inputs + normalised + 64) + rectified // 8


def test_a_block_costs_its_body_and_its_shortcut_and_keeps_their_input_once():
    body, shortcut = (Conv2d(6, stride=2), BatchNorm2d(), ReLU(), Conv2d(6)), (Conv2d(6, 1, 0, 2),)
    network = Network((Conv2d(4), ReLU(), Residual(body, shortcut), Flatten(), Dense(2)), (8, 8, 3), 2)
    cost = network.cost()
    block = 16 * 6 * 36 + 16 * 6 * 54 + 16 * 6 * 4
    others = 64 * 4 * 27 + 96 * 2
    assert cost.macs_forward == others + block + 3 * 96
    assert cost.macs_backward == 2 * (others + block) - 64 * 4 * 27 + 4 * 96
    kept = 2 * (8 * 8 * 3 + 8 * 8 * 4 + 96 + 96 + 96)
    assert cost.activation_bytes == kept + (8 * 8 * 4 + 96) // 8


def test_pooling_of_all_pixels_costs_no_macs_and_keeps_nothing():
    pooled = Network((Conv2d(4), AvgPool2d(None), Flatten(), Dense(2)), (8, 6, 1), 2).cost()
    assert pooled.macs_forward == 8 * 6 * 4 * 9 + 4 * 2
    assert pooled.activation_bytes == 2 * (8 * 6 + 4)


def test_running_statistics_move_with_the_weights():
    cost = Network("resnet-8", (32, 32, 3), 10).cost()
    size = {a.name: a.rows for a in training_arrays(cost, 32, 0)}
    assert size["weights"] == -(-2 * 78_666 // 1024)
    assert size["gradients"] == size["momentum"] == -(-2 * 78_186 // 1024)


def test_training_without_momentum_keeps_none():
    assert Network("softmax", (4, 4, 1), 2).cost(momentum=False).momentum_bytes == 0


def test_every_row_of_the_subset_is_read_once_an_epoch_in_the_trained_order():
    cost = Network("softmax", (4, 4, 1), 2).cost()
    rows = np.sort(np.random.default_rng(1).choice(5_000, 130, replace=False))
    ran = orders(130, 3)
    epochs = list(TrainingSteps(cost, ran, rows, 64, AMPLE))
    assert len(epochs) == 3
    for order, steps in zip(ran, epochs, strict=True):
        assert [len(step.transfers[0].rows) for step in steps] == [64, 64, 2]
        read = np.concatenate([step.transfers[0].rows for step in steps])
        np.testing.assert_array_equal(read, rows[order])
        np.testing.assert_array_equal(np.sort(read), rows)


def test_the_operations_of_an_epoch_are_images_and_updates():
    cost = Network("cnn-s", (32, 32, 3), 10).cost()
    (steps,) = TrainingSteps(cost, orders(130, 1), np.arange(130), 64, AMPLE)
    total = sum(step.operations["mac_fp16"] for step in steps)
    assert total == 130 * (cost.macs_forward + cost.macs_backward) + 3 * 3 * cost.parameters
    assert all(set(step.operations) == {"mac_fp16"} and step.phase == "training" for step in steps)


def test_nothing_but_images_moves_where_all_fits():
    cost = Network("cnn-s", (32, 32, 3), 10).cost()
    assert training_arrays(cost, 64, AMPLE) == []
    assert moved_bytes(cost, 64, AMPLE) == {"images": 100 * 3_072}


def test_without_any_sram_everything_moves():
    cost = Network("cnn-s", (32, 32, 3), 10).cost()
    names = [a.name for a in training_arrays(cost, 64, 0)]
    assert names == ["weights", "gradients", "momentum", "activations"]
    # Whole records make the bounds: weights move three times in each of two steps, gradients twice.
    moved = moved_bytes(cost, 64, 0)
    for name, size, times in (("weights", cost.weight_bytes, 3), ("gradients", cost.gradient_bytes, 2)):
        assert 2 * times * size <= moved[name] < 2 * times * (size + 1024)
    assert (
        2 * 100 * cost.activation_bytes <= moved["activations"] < 2 * (100 * cost.activation_bytes + 2 * 1024)
    )


def test_more_sram_never_moves_more():
    cost = Network("cnn-s", (32, 32, 3), 10).cost()
    totals = [sum(moved_bytes(cost, 64, kib << 10).values()) for kib in range(0, 1200, 40)]
    assert totals == sorted(totals, reverse=True)
    assert totals[0] > totals[-1] == 100 * 3_072


def test_spilled_transfers_name_the_records_of_their_arrays():
    cost = replace(Network("cnn-s", (32, 32, 3), 10).cost(), weight_bytes=10_000)
    arrays = {a.name: a.rows for a in training_arrays(cost, 64, 410_000)}
    # 410,000 bytes less two batches of 64 · 3,072 leave 16,784: the weights fit and 6,784 of the gradients.
    assert arrays["gradients"] == -(-(18_412 - 6_784) // 1024)
    assert "weights" not in arrays
    for step in TrainingSteps(cost, orders(100, 1), np.arange(100), 64, 410_000)[0]:
        for transfer in step.transfers[1:]:
            assert transfer.rows.size and transfer.rows.max() < arrays[transfer.array]


@pytest.mark.parametrize("min_steps", [0, 11])
def test_a_training_that_is_only_counted_has_the_orders_and_the_costs_of_a_real_one(min_steps):
    X, y = generate(50)
    options = {"network": "softmax", "epochs": 3, "batch_size": 16, "min_steps": min_steps}
    recipe = Recipe(**options)
    real = train(X, y, X, y, recipe, seed=4, n_classes=10)
    counted = count_training(50, X.shape[1:], 10, recipe, seed=4)
    assert counted.network == real.network and np.isnan(counted.accuracy)
    for epoch in (*range(len(real.epoch_orders)), 1):  # and again from the beginning
        assert np.array_equal(counted.epoch_orders[epoch], real.epoch_orders[epoch])
    assert len(list(counted.epoch_orders)) == len(real.epoch_orders)
