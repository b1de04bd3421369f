"""Boards as the command line reads them: the configuration, and whether it can be run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nmsim.cli.output import note

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
    _note_a_clock_by_itself(config)
    return config


def _note_a_clock_by_itself(config: RunConfig) -> None:
    """Say so where tCK was set apart from the clock counts, which are those of another period then."""
    timing = config.memory.timing
    period, counts = (config.origin(f"memory.timing.{name}") for name in ("tCK", "nREFI"))
    if period.file != counts.file and "nREFI" in timing.clocks:
        refresh_us = timing.clocks["nREFI"] * timing.tCK.value / 1e6
        where = period.file if period.line is None else f"{period.file}:{period.line}"
        note(
            f"{where}: tCK is {timing.tCK.value:g} ps now, and the clock counts are still those of "
            f"{Path(counts.file).name}: all times in clocks change with it, and a refresh comes each "
            f"{refresh_us:.4g} µs. For another speed give its counts too, or take its preset."
        )
