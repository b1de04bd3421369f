"""What every kernel does to a channel's state when a command is issued (Numba)."""

from __future__ import annotations

import numpy as np
from numba import njit

from nmsim.dram.commands import (
    ACT,
    ACTIVE,
    N_BANK_COMMANDS,
    N_COMMANDS,
    PDE,
    PDX,
    POWER_DOWN_ACTIVE,
    POWER_DOWN_PRECHARGED,
    PRECHARGED,
    PREab,
    REFab,
)
from nmsim.dram.state import (
    ACT_COUNT,
    ACT_MEMORY,
    BACKGROUND,
    BLOCKED,
    LAST_COMMAND,
    LOG_BANK,
    LOG_CLK,
    LOG_CLOSED,
    LOG_COLUMN,
    LOG_COMMAND,
    LOG_OUTCOME,
    LOG_ROW,
    LOG_ROWS,
    NONE,
    OLDEST_HIT,
    OPEN_BANKS,
    OPEN_ROW,
    POWERED_DOWN,
    REFRESHING,
    SINCE,
    ZERO,
)

#: For functions that only kernels call: without the wrapper for Python they compile in half the time.
helper = njit(cache=True, no_cpython_wrapper=True)


@helper
def postpone(bank_next, limit, bank_rules, group_rules, t):
    """Note what must wait for a command at clock `t`, in its own bank and in all groups."""
    for i in range(len(bank_next)):
        bank_next[i] = max(bank_next[i], t + bank_rules[i])
    for i in range(len(limit)):
        limit[i] = max(limit[i], t + group_rules[i])


@helper
def apply_rules(tables, state, command, bank, t):
    """Note that `command` was issued to `bank` at clock `t`."""
    groups = len(state.limit) // N_BANK_COMMANDS
    rules = tables.group_next[command * groups + tables.group_of_bank[bank]]
    postpone(state.bank_next[bank], state.limit, tables.bank_next[command], rules, t)
    state.last[command, bank] = t


@helper
def note_act(tables, state, rank, t):
    """Note an ACT for the window of activations."""
    state.acts[rank, state.ranks[rank, ACT_COUNT] % ACT_MEMORY] = t
    state.ranks[rank, ACT_COUNT] += 1
    limit_acts(tables, state, rank)


@helper
def limit_acts(tables, state, rank):
    """Keep the next ACT of a rank out of the window that its last ACTs fill."""
    earliest = (
        state.acts[rank, (state.ranks[rank, ACT_COUNT] - tables.window_acts) % ACT_MEMORY] + tables.window_clk
    )
    for group in range(rank * tables.groups_per_rank, (rank + 1) * tables.groups_per_rank):
        i = group * N_BANK_COMMANDS + ACT
        state.limit[i] = max(state.limit[i], earliest)


@helper
def set_background(state, rank, new, t):
    """Account the rank's background up to clock `t`, and go on with another state."""
    state.background_clk[rank, state.ranks[rank, BACKGROUND]] += t - state.ranks[rank, SINCE]
    state.ranks[rank, SINCE] = t
    state.ranks[rank, BACKGROUND] = new


@helper
def write_log(state, log, t, command, bank, row, column, outcome, closed):
    """Append a command to the log while there is room."""
    n = state.scalars[LOG_ROWS]
    if n < len(log):
        entry = log[n]
        entry[LOG_CLK] = t
        entry[LOG_COMMAND] = command
        entry[LOG_BANK] = bank
        entry[LOG_ROW] = row
        entry[LOG_COLUMN] = column
        entry[LOG_OUTCOME] = outcome
        entry[LOG_CLOSED] = closed
        state.scalars[LOG_ROWS] = n + 1


@helper
def earliest_of_rank(tables, state, rank, command):
    """Return the earliest clock of a command to a whole rank, from the last commands to all banks."""
    t = np.int64(0)
    first_bank, first_group = rank * tables.banks_per_rank, rank * tables.groups_per_rank
    for before in range(N_COMMANDS):
        for bank in range(state.last.shape[1]):
            from_group = tables.group_of_bank[bank]
            wait = tables.group[before, from_group, first_group, command]
            for group in range(first_group, first_group + tables.groups_per_rank):
                wait = max(wait, tables.group[before, from_group, group, command])
            if first_bank <= bank < first_bank + tables.banks_per_rank:
                wait = max(wait, tables.bank[before, command])
            t = max(t, state.last[before, bank] + wait)
    return t


@helper
def issue_rank(tables, state, rank, command, t, log):
    """Issue a command to a whole rank: the bookkeeping that does not concern the queues."""
    first = rank * tables.banks_per_rank
    if command == PREab:
        write_log(state, log, t, PREab, first, NONE, NONE, NONE, state.ranks[rank, OPEN_BANKS])
        for bank in range(first, first + tables.banks_per_rank):
            if state.banks[bank, OPEN_ROW] >= 0:
                state.banks[bank, OPEN_ROW] = -1
                state.counts[PREab, bank] += 1
            state.banks[bank, OLDEST_HIT] = -1
        state.ranks[rank, OPEN_BANKS] = 0
        set_background(state, rank, PRECHARGED, t)
    else:
        write_log(state, log, t, command, first, NONE, NONE, NONE, ZERO)
        state.counts[command, first] += 1
    is_open = state.ranks[rank, OPEN_BANKS] > 0
    if command == PDE:
        set_background(state, rank, POWER_DOWN_ACTIVE if is_open else POWER_DOWN_PRECHARGED, t)
        state.ranks[rank, BLOCKED] |= POWERED_DOWN
    elif command == PDX:
        set_background(state, rank, ACTIVE if is_open else PRECHARGED, t)
        state.ranks[rank, BLOCKED] &= ~POWERED_DOWN
    elif command == REFab:
        state.ranks[rank, BLOCKED] &= ~REFRESHING
    for bank in range(first, first + tables.banks_per_rank):
        apply_rules(tables, state, command, bank, t)
    if command == REFab:
        t += tables.bank[REFab, ACT]  # powering down during a refresh would save nothing
    if command != PDE and command != PDX:
        state.scalars[LAST_COMMAND] = t
