"""One small run that all smoke tests look at."""

import pytest
from smoke_samples import BOARDS, SMALL

import nmsim


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """Return a finished run of the LPDDR4 board on scikit-learn's digits."""
    config = nmsim.load_config(BOARDS / "lpddr4.yaml", SMALL)
    return nmsim.simulate(config, out=tmp_path_factory.mktemp("runs"))
