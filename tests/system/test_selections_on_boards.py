"""Does every built-in method run where it says it can, and is it priced there?"""

import numpy as np
import pytest
from board_samples import BOARDS

from nmsim.config import load_config
from nmsim.errors import ConfigError
from nmsim.schemes import RANDOM
from nmsim.selection.api import _BUILT_IN, create, method_places
from nmsim.system.board import Board, SelectionWork
from nmsim.system.board_checks import check_board

BUFFER_BYTES, UNITS = 1 << 12, 8
SCHEMES = [(method, place) for method in _BUILT_IN for place in method_places(method)]


@pytest.mark.parametrize(("method", "place"), SCHEMES)
def test_a_selection_is_priced_where_it_runs(method, place):
    config = load_config(BOARDS / "lpddr4.yaml")
    X, y = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 1), dtype=np.uint8), np.arange(60) % 4
    fit = create(method, 0.2, **({"n_iter": 5} if method == "de-sne" else {})).fit(X, y)
    board = Board(config, "scheme", fit.arrays(), y, None)
    board.execute(SelectionWork(place, fit.steps(BUFFER_BYTES, UNITS), 12), [])
    frame = board.frame()
    own = frame[~frame["phase"].isin(["control", "mode_switch", "indices", "training"])]
    assert own["energy_fJ"].sum() > 0
    # what crosses the board passes the pads
    assert (own["phy_fJ"].sum() == 0) == (place == "nmc" or method == "random")


@pytest.mark.parametrize("method", [m for m in _BUILT_IN if m != RANDOM and "nmc" not in method_places(m)])
def test_a_method_that_cannot_run_near_memory_is_refused_there_with_the_reason(method):
    with pytest.raises(ConfigError, match=f"{method} cannot run near memory: .*expected"):
        check_board(load_config(BOARDS / "lpddr4.yaml", [f"schemes=[full, {method}@nmc]"]))
