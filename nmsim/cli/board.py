"""Boards as the command line reads them: the configuration, and whether it can be run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nmsim.config import RunConfig


def load_board(path: Path, overrides: Sequence[str] | None = None) -> RunConfig:
    """Return a configuration that passes `check_board`: whatever a run would refuse before its work.

    Raises
    ------
    ConfigError
        With file and line; `error.others` lists further problems.
    """
    from nmsim.config import load_config

    config = load_config(path, overrides or ())

    from nmsim.system.board_checks import check_board

    check_board(config)
    return config
