"""Does the number format of the units decide what the selection computes in?"""

import pytest
from board_samples import BOARDS

from nmsim.config import load_config
from nmsim.data import load
from nmsim.learning import Learner


@pytest.mark.parametrize("number_format", ["int8", "fp16", "fp32"])
def test_both_places_select_in_the_number_format_of_the_units(number_format):
    sets = [f"near_memory.format={number_format}", "dataset.glyphs.n_train=60", "dataset.glyphs.n_test=20"]
    config = load_config(
        BOARDS / "lpddr4.yaml", [*sets, "selection.de_sne.n_iter=2", "selection.keep_ratio=0.5"]
    )
    learner = Learner(config, load(config.dataset), lambda message, share: None)
    near, far = learner.select("de-sne@nmc"), learner.select("de-sne@host")
    macs = {kind for step in near.steps(1 << 16) if step.phase == "distances" for kind in step.operations}
    assert near is far
    assert macs == {f"mac_{number_format}", "compare"}
