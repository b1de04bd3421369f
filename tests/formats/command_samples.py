"""A stream laid by hand in which every DRAM command occurs, and what it is in each format."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nmsim.config import load_config
from nmsim.dram.activity import CommandLog
from nmsim.dram.commands import COMMANDS, RANK_WIDE
from nmsim.dram.spec import DramSpec
from nmsim.system.parts import dram_spec

ROOT = Path(__file__).parents[2]

#: Clock, command, bank, row, column of LPDDR4-3200, one rank of eight banks without groups. The distances are
#: far above every minimum; the longest is nXSR after self-refresh. A row is open in the first power-down,
#: none in the second.
LAID = [
    (0, "ACT", 2, 7, -1),
    (1000, "RD", 2, 7, 3),
    (2000, "PREpb", 2, 7, -1),
    (3000, "ACT", 2, 8, -1),
    (4000, "RDA", 2, 8, 4),
    (5000, "ACT", 5, 9, -1),
    (6000, "PDE", -1, -1, -1),
    (7000, "PDX", -1, -1, -1),
    (8000, "WR", 5, 9, 1),
    (9000, "WRA", 5, 9, 0),
    (10000, "REFpb", 0, -1, -1),
    (11000, "ACT", 1, 1, -1),
    (12000, "PREab", -1, -1, -1),
    (13000, "REFab", -1, -1, -1),
    (14000, "PDE", -1, -1, -1),
    (15000, "PDX", -1, -1, -1),
    (16000, "SRE", -1, -1, -1),
    (18000, "SRX", -1, -1, -1),
    (20000, "ACT", 0, 65535, -1),
]
END_CLK = 21000
#: The samples in traces/, by format.
SAMPLES = {
    "csv": "commands.csv",
    "drampower": "commands.drampower.csv",
    "ramulator": "commands.ramulator.csv",
    "perfetto": "commands.perfetto.json",
}


def spec_of(board: str) -> DramSpec:
    """Return the memory of a board."""
    return dram_spec(load_config(ROOT / "hw_configs" / f"{board}.yaml").memory)


def log_of(spec: DramSpec, commands: list[tuple]) -> CommandLog:
    """Return a log of (clk, command, bank of the rank, row, column) of rank 0."""
    clk, name, bank, row, column = (np.array(values) for values in zip(*commands, strict=True))
    command = np.array([COMMANDS.index(n) for n in name])
    group, bank = np.divmod(bank, spec.organization.banks)
    wide = np.isin(command, RANK_WIDE)
    return CommandLog(
        clk=clk,
        command=command,
        rank=np.zeros(len(clk), dtype=np.int64),
        bankgroup=np.where(wide, -1, group),
        bank=np.where(wide, -1, bank),
        row=row,
        column=column,
        outcome=np.full(len(clk), -1),
        closed=np.isin(name, ["PREpb", "PREab"]).astype(np.int64),
        near_memory=np.zeros(len(clk), dtype=bool),
    )
