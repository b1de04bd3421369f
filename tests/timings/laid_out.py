"""The memories of the presets, and tools to lay out a few commands by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from nmsim.config.load import read_extended
from nmsim.config.memory import Memory
from nmsim.dram.activity import CommandLog
from nmsim.dram.commands import COMMANDS, RANK_WIDE
from nmsim.system.parts import controller_spec, dram_spec

PRESETS = Path(__file__).parents[2] / "hw_configs" / "presets"

#: All presets.
NAMES = sorted(file.stem.removeprefix("memory-") for file in PRESETS.glob("memory-*.yaml"))


def preset_section(name):
    """Return the `memory` mapping of a preset as it is written, with what it extends."""
    return read_extended(PRESETS / f"memory-{name}.yaml")[0]["memory"]


def _is_derived(name):
    """Return whether a preset is written as what differs from another."""
    return "\nextends:" in (PRESETS / f"memory-{name}.yaml").read_text()


#: One preset of each standard: the first, and rather one that stands by itself.
PRESET_OF = {
    preset_section(name)["standard"]: name
    for name in sorted(NAMES, key=lambda name: (_is_derived(name), name), reverse=True)
}


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


def touched(spec, command, place):
    """Return the banks (rank, number in the rank) that a command to (rank, bankgroup, bank) touches."""
    rank, group, bank = place
    number, banks = group * spec.organization.banks + bank, range(spec.banks_per_rank)
    if COMMANDS.index(command) in RANK_WIDE:
        return {(rank, b) for b in banks}
    if command == "REFpb":
        return {(rank, b) for b in banks if b % spec.refresh_sets == number % spec.refresh_sets}
    return {(rank, number)}


def share(spec, level, one, other):
    """Return whether two sets of banks share what a row of that level is about."""
    groups = [{(r, b // spec.organization.banks) for r, b in banks} for banks in (one, other)]
    ranks = [{r for r, _ in banks} for banks in (one, other)]
    return {
        "bank": bool(one & other),
        "bankgroup": bool(groups[0] & groups[1]),
        "rank": bool(ranks[0] & ranks[1]),
        "channel": True,
        "other_rank": not ranks[0] & ranks[1],
    }[level]
