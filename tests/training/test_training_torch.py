"""Does PyTorch train the same networks from the same weights in the same order, and refuse politely?"""

from __future__ import annotations

import sys

import numpy as np
import pytest

from nmsim.data.glyphs import generate
from nmsim.errors import ConfigError
from nmsim.training import LARGE_NETWORKS, NETWORKS, Recipe, check_backend, train
from nmsim.training.network import Network


@pytest.fixture(scope="module")
def glyphs():
    return (*generate(96), *generate(50, split="test"))


def test_without_pytorch_its_backend_says_what_to_install(glyphs, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "nmsim.training.torch_backend", raising=False)
    with pytest.raises(ConfigError, match=r"nmsim\[torch\]"):
        check_backend("torch")


def test_resnet_18_has_its_known_size():
    # Weights: 3·64·9; stages of 4 convolutions, the first of stages 2 to 4 from half the channels, with a
    # 1×1 convolution beside; normalisation of every convolution; the last layer.
    stages = 4 * 64 * 64 * 9 + sum((c // 2 * 9 + 3 * c * 9 + c // 2) * c for c in (128, 256, 512))
    channels = 64 + 4 * 64 + 5 * (128 + 256 + 512)
    expected = 3 * 64 * 9 + stages + 2 * channels + 513 * 10
    cost = Network("resnet-18", (32, 32, 3), 10).cost()
    assert cost.parameters == expected == 11_173_962


@pytest.mark.parametrize("network", NETWORKS)
def test_both_backends_train_alike(glyphs, network):
    pytest.importorskip("torch")
    # Batches of 32 are one chunk, so that batch normalisation sees the same; rounding grows with the steps.
    options = {"network": network, "epochs": 2, "batch_size": 32, "min_steps": 0, "augmentation": "flip_crop"}
    own = train(*glyphs, Recipe(**options))
    other = train(*glyphs, Recipe(**options, backend="torch"))
    np.testing.assert_allclose(own.loss_per_epoch, other.loss_per_epoch, rtol=2e-3)
    np.testing.assert_allclose(own.parameters, other.parameters, atol=2e-3)
    for mine, theirs in ((own.epoch_orders, other.epoch_orders), (own.epoch_moves, other.epoch_moves)):
        np.testing.assert_array_equal(mine, theirs)
    assert own.network == other.network
    for mine, theirs in zip(own.model.last_layer(glyphs[2]), other.model.last_layer(glyphs[2]), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=0.02 * np.abs(mine).max())


@pytest.mark.parametrize("network", [*NETWORKS, *LARGE_NETWORKS])
def test_parameters_and_statistics_pass_through_pytorch_unchanged(network):
    pytest.importorskip("torch")
    from nmsim.training import torch_backend

    net = Network(network, (32, 32, 3), 10)
    rng = np.random.default_rng(0)
    flat = [rng.random(n, np.float32) for n in (net.parameter_count, net.statistic_count)]
    built = torch_backend.module(net)
    torch_backend.fill(net, built, *flat)
    for before, after in zip(flat, torch_backend.read(net, built), strict=True):
        np.testing.assert_array_equal(before, after)
    assert sum(p.numel() for p in built.parameters()) == net.parameter_count


def test_a_reselection_sees_pytorch_models_too(glyphs):
    pytest.importorskip("torch")
    seen = []

    def reselect(epoch, model):
        seen.append(model.last_layer(glyphs[0])[1].shape)
        return np.arange(epoch, 64)

    result = train(
        *glyphs, Recipe(network="softmax", epochs=2, min_steps=0, backend="torch"), reselect=reselect
    )
    assert seen == [(96, 10)] * 2 and [order.size for order in result.epoch_orders] == [64, 63]
