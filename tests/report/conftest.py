from __future__ import annotations

from pathlib import Path

import pytest
from made_up_run import make_run


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A run of four schemes."""
    return make_run(tmp_path / "lpddr4-abababab", images=500)
