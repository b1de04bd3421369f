"""Are patches weighed by what the network sees in them, and images painted over where nothing is lost?"""

from dataclasses import replace

import numpy as np
import pytest

from nmsim.data.glyphs import generate
from nmsim.errors import ConfigError, DataError
from nmsim.selection.dqas import amounts, expected_reductions
from nmsim.selection.network import LastLayer, NetworkParameters, TrainedNetwork
from nmsim.selection.network_patches import kept_patches, painted_over, patch_importance
from nmsim.selection.network_reference import written_out


@pytest.fixture(scope="module")
def trained():
    X, y = generate(200)
    return TrainedNetwork.on(X, y, 10, np.arange(200), NetworkParameters("cnn-s", 4), 1, "test"), X, y


def test_importance_sums_to_the_winning_logit_where_weights_are_alike_in_a_map(trained):
    # With one weight a map, Grad-CAM's mean gradient is that weight: over all places its sum is the logit.
    network, X, _ = trained
    model = network.model
    last = model.network.parameter_slices[-1]
    weights = np.repeat(np.random.default_rng(0).normal(size=(32, 1, 10)), 16, axis=1)
    parameters = model.parameters.copy()
    parameters[last] = np.concatenate([weights.ravel(), np.zeros(10)])
    flat = replace(model, parameters=parameters)
    logits = flat.last_layer(X)[0] @ weights.reshape(-1, 10)
    # Patches of 8 pixels are the 4 × 4 places of the maps themselves: nothing is interpolated.
    np.testing.assert_allclose(
        patch_importance(flat, X, 8).sum(axis=1), logits.max(axis=1), rtol=1e-3, atol=1e-3
    )


def test_a_finer_grid_keeps_the_order_of_size_and_the_place(trained):
    network, X, _ = trained
    coarse, fine = (patch_importance(network.model, X, side) for side in (8, 4))
    assert coarse.shape == (200, 16) and fine.shape == (200, 64)
    # Each quarter of a place lies 1/4 towards its neighbours: the four average to it inside the image.
    blocks = fine.reshape(200, 4, 2, 4, 2).mean(axis=(2, 4))
    inner, exact = blocks[:, 1:3, 1:3], coarse.reshape(200, 4, 4)
    smooth = 0.125 * exact[:, :, :-2] + 0.75 * exact[:, :, 1:-1] + 0.125 * exact[:, :, 2:]
    smooth = 0.125 * smooth[:, :-2] + 0.75 * smooth[:, 1:-1] + 0.125 * smooth[:, 2:]
    np.testing.assert_allclose(inner, smooth, rtol=1e-9, atol=1e-12)


def test_the_least_patches_go_and_the_whole_share_stays():
    importance = np.random.default_rng(0).normal(size=(9, 64))
    kept = kept_patches(importance, 0.2)
    assert (kept.sum(axis=1) == 51).all()  # int(0.8 · 64)
    low = np.where(kept, np.inf, importance).min(axis=1) <= np.where(kept, importance, np.inf).min(axis=1)
    assert low.all()


def test_painting_keeps_what_is_kept_and_takes_its_mean_for_the_rest():
    rng = np.random.default_rng(1)
    X = rng.integers(0, 256, (5, 8, 12, 3), dtype=np.uint8)
    kept = rng.random((5, 6)) < 0.6
    kept[:, 0] = True
    painted = painted_over(X, kept, 4)
    for image, new, mask in zip(X, painted, kept, strict=True):
        inside = np.kron(mask.reshape(2, 3), np.ones((4, 4))).astype(bool)
        assert np.array_equal(new[inside], image[inside])
        assert (new[~inside] == np.rint(image[inside].mean(axis=0)).astype(np.uint8)).all()


def test_patches_that_do_not_tile_and_networks_without_maps_are_refused(trained):
    network, X, y = trained
    with pytest.raises(DataError, match=r"5 × 5 patches in 32 × 32"):
        patch_importance(network.model, X, 5)
    mlp = TrainedNetwork.on(X, y, 10, np.arange(50), NetworkParameters("mlp", 1), 1, "test")
    with pytest.raises(ConfigError, match=r"mlp.*feature maps"):
        patch_importance(mlp.model, X, 4)


def test_an_expected_reduction_is_the_slope_of_the_mean_loss(trained):
    network, X, y = trained
    seen = LastLayer.of(network.model, X, y)
    v = written_out(seen)
    # A step of length one along x's gradient lowers the mean loss, to first order, by v_x · mean v.
    np.testing.assert_allclose(expected_reductions(seen), v @ v.mean(axis=0), rtol=1e-9, atol=1e-12)


def test_amounts_follow_the_weights_within_what_there_is():
    sizes = np.array([5, 50, 50])
    assert amounts(np.array([8.0, 1.0, 1.0]), sizes, 25).tolist() == [5, 10, 10]
    assert amounts(np.zeros(3), sizes, 21).sum() == 21
    for budget in range(3, 106):
        taken = amounts(np.array([0.3, 0.0, 0.7]), sizes, budget)
        assert taken.sum() == budget and (taken >= 1).all() and (taken <= sizes).all()
