"""Boards for tests of the configuration: small files that extend the board that comes with nmsim."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

BOARDS = Path(__file__).parents[2] / "hw_configs"
LPDDR4 = BOARDS / "lpddr4.yaml"


@pytest.fixture
def board(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a board: the default one with `text` over it."""

    def write(text: str = "", name: str = "board.yaml", extends: object = LPDDR4) -> Path:
        path = tmp_path / name
        path.write_text(f"extends: {extends}\n{text}")
        return path

    return write
