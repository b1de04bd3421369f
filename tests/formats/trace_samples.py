"""Traces for tests: random rows whose energies are the sums of their components."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from nmsim.energy.components import COMPONENTS
from nmsim.trace.schema import trace_table

COMMANDS = ["ACT", "PREpb", "RD", "WR"]
PHASES = ["features", "training"]


def random_table(rows: int, seed: int, scheme: str = "full", start_ps: int = 0) -> pa.Table:
    """Return rows in order of time; every energy has a random share in every component."""
    rng = np.random.default_rng(seed)
    energies = {name: rng.integers(0, 1 << 40, rows) for name in COMPONENTS}
    command = rng.integers(0, len(COMMANDS), rows)
    column = command >= COMMANDS.index("RD")
    return trace_table(
        {
            "t_ps": start_ps + np.cumsum(rng.integers(0, 50, rows)) * 625,
            "dur_ps": np.full(rows, 5000),
            "cmd": (command, COMMANDS),
            "channel": rng.integers(0, 2, rows),
            "rank": 0,
            "bankgroup": 0,
            "bank": rng.integers(0, 8, rows),
            "row": rng.integers(0, 1 << 16, rows),
            "col": np.where(column, rng.integers(0, 64, rows), -1),
            "bytes": np.where(column, 32, 0),
            "source": "host",
            "phase": (np.sort(rng.integers(0, 2, rows)), PHASES),
            "row_outcome": (np.where(column, rng.integers(0, 3, rows), -1), ["hit", "miss", "conflict"]),
            "energy_fJ": sum(energies.values()),
            "scheme": scheme,
            "array": (np.where(column, 0, -1), ["images"]),
            "count": 1,
            **{f"{name}_fJ": values for name, values in energies.items()},
        },
        rows,
    )


def commands_table(
    commands: list[tuple],
    scheme: str = "full",
    channel: int = 0,
    source: str = "host",
    dur_ps: int = 5000,
    phase: str = "training",
) -> pa.Table:
    """Return one row per (t_ps, cmd, bankgroup, bank, row, col) of rank 0, 7 fJ each."""
    t_ps, cmd, bankgroup, bank, row, col = zip(*commands, strict=True)
    return trace_table(
        {
            "t_ps": np.array(t_ps),
            "dur_ps": dur_ps,
            "cmd": np.array(cmd, dtype=object),
            "channel": channel,
            "rank": 0,
            "bankgroup": np.array(bankgroup),
            "bank": np.array(bank),
            "row": np.array(row),
            "col": np.array(col),
            "bytes": np.array([4 if c in ("RD", "WR") else 0 for c in cmd]),
            "source": source,
            "phase": phase,
            "energy_fJ": 7,
            "act_fJ": 7,
            "scheme": scheme,
            "count": 1,
        },
        len(commands),
    )
