"""Is a recipe what a configuration says, and refused where no training could follow it?"""

from __future__ import annotations

from typing import get_args

import pytest

from nmsim.config.experiment import Training
from nmsim.errors import ConfigError
from nmsim.training import LARGE_NETWORKS, NETWORKS, Recipe
from nmsim.training.recipe import BACKENDS


def test_a_recipe_and_a_configuration_have_the_same_defaults_and_the_same_choices():
    assert Recipe.of(Training()) == Recipe()
    assert set(get_args(Training.model_fields["network"].annotation)) == {*NETWORKS, *LARGE_NETWORKS}
    assert get_args(Training.model_fields["backend"].annotation) == BACKENDS


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ({"network": "resnet-18"}, r"too large for training\.backend: numpy.*backend: torch"),
        ({"backend": "nunpy"}, r"no backend.*numpy, torch, none.*Did you mean numpy"),
        ({"schedule": "linear"}, "constant, cosine"),
        ({"augmentation": "rotate"}, "none, flip, flip_crop"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"min_steps": -1}, "min_steps must be at least 0"),
    ],
)
def test_what_cannot_be_followed_is_refused(what, says):
    with pytest.raises(ConfigError, match=says):
        Recipe(**what)


@pytest.mark.parametrize("network", LARGE_NETWORKS)
def test_a_large_network_is_trained_by_pytorch_or_counted(network):
    assert Recipe(network=network, backend="torch").network == network
    assert Recipe(network=network, backend="none").network == network
