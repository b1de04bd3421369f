"""One small run that all smoke tests look at."""

from pathlib import Path

import pytest

import nmsim

BOARDS = Path(__file__).parents[2] / "hw_configs"
SMALL = [
    "dataset.name=digits",
    "selection.de_sne.n_iter=100",
    "training.network=softmax",
    "training.epochs=2",
    "training.seeds=2",
    "trace.rows_per_phase=500",
]


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """Return a finished run of the LPDDR4 board on scikit-learn's digits."""
    config = nmsim.load_config(BOARDS / "lpddr4.yaml", SMALL)
    return nmsim.simulate(config, out=tmp_path_factory.mktemp("runs"))
