"""Memories whose every timing rule binds, and tools to lay out a few commands by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from nmsim.config.load import read_extended
from nmsim.config.schema import Memory
from nmsim.dram.activity import CommandLog
from nmsim.dram.commands import COMMANDS, RANK_WIDE
from nmsim.system.board import controller_spec, dram_spec

PRESETS = Path(__file__).parents[2] / "hw_configs" / "presets"

#: One preset of each standard.
PRESET_OF = {
    "DDR4": "ddr4-2400",
    "DDR5": "ddr5-4800",
    "HBM2": "hbm2",
    "LPDDR4": "lpddr4-3200",
    "LPDDR5": "lpddr5-6400",
    "LPDDR5X": "lpddr5x-8533",
}


def preset_section(name):
    """Return the `memory` mapping of a preset as it is written, with what it extends."""
    return read_extended(PRESETS / f"memory-{name}.yaml")[0]["memory"]


def memory(name):
    """Return (DramSpec, ControllerSpec) of a preset."""
    section = Memory.model_validate(preset_section(name))
    return dram_spec(section), controller_spec(section)


def two_ranks(spec):
    """Return the memory with two ranks, so that rules between ranks have something to bind."""
    return replace(spec, organization=replace(spec.organization, ranks=2))


def log_of(spec, commands):
    """Return a CommandLog of (clk, command, rank, bankgroup, bank, row[, near_memory]) tuples."""
    rows = [(*c, False) if len(c) == 6 else c for c in commands]
    clk, name, rank, group, bank, row, near = (np.array(v) for v in zip(*rows, strict=True))
    command = np.array([COMMANDS.index(c) for c in name])
    wide = np.isin(command, RANK_WIDE)
    nothing = np.full(len(rows), -1)
    place = (rank, np.where(wide, -1, group), np.where(wide, -1, bank))
    return CommandLog(clk, command, *place, row, nothing, nothing, nothing, near.astype(bool))
