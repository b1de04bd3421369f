"""What a rank's background is, worked out from its commands alone."""

import numpy as np

from nmsim.dram.commands import (
    ACTIVE,
    POWER_DOWN_ACTIVE,
    POWER_DOWN_PRECHARGED,
    PRECHARGED,
    SELF_REFRESH,
)

SLEEP = ("PDE", "PDX", "SRE", "SRX")


def background_clk(spec, issued, start, end):
    """Return clocks (ranks, states) from `start` to `end`, as `Activity.background_clk`."""
    clocks = np.zeros((spec.organization.ranks, 5), dtype=np.int64)
    for rank in range(spec.organization.ranks):
        mine = [i for i in issued if i.bank // spec.banks_per_rank == rank]
        changes = sorted([*_changes(spec, mine), (end, "end", None)], key=lambda c: c[0])
        open_banks, state, at = set(), PRECHARGED, start
        for clk, what, bank in changes:
            now = min(max(clk, at), end)
            clocks[rank, state] += now - at
            at = now
            if what == "opens":
                open_banks.add(bank)
            elif what == "closes":
                open_banks -= {bank} if bank is not None else set(open_banks)
            awake = ACTIVE if open_banks else PRECHARGED
            if what == "SRE":
                state = SELF_REFRESH
            elif what == "PDE":
                state = POWER_DOWN_ACTIVE if open_banks else POWER_DOWN_PRECHARGED
            elif what in ("PDX", "SRX") or state in (ACTIVE, PRECHARGED):
                state = awake
    return clocks


def _changes(spec, issued):
    """Return (clk, "opens", "closes" or command, bank or None); auto-precharges where they begin."""
    recovery = {
        command + "A": max(
            spec.latency(row.latency)
            for row in spec.table.constraints
            if row.level == "bank" and command in row.preceding and "PREpb" in row.following
        )
        for command in ("RD", "WR")
    }
    act_clk, changes = {}, []
    for clk, command, bank, *_ in issued:
        if command == "ACT":
            act_clk[bank] = clk
            changes.append((clk, "opens", bank))
        elif command in ("PREpb", "PREab"):
            changes.append((clk, "closes", bank if command == "PREpb" else None))
        elif command in recovery:
            begins = max(clk + recovery[command], act_clk[bank] + spec.clocks["nRAS"])
            changes.append((begins, "closes", bank))
        elif command in SLEEP:
            changes.append((clk, command, None))
    return changes
