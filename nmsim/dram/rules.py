"""What every kernel does to a channel's state when a command is issued (Numba)."""

from __future__ import annotations

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
from nmsim.dram.state import ACT_MEMORY, LAST_COMMAND, LOG_ROWS, POWERED_DOWN, REFRESHING


@njit(cache=True)
def postpone(bank_next, limit, bank_rules, group_rules, t):
    """Note what must wait for a command at clock `t`, in its own bank and in all groups."""
    for i in range(len(bank_next)):
        bank_next[i] = max(bank_next[i], t + bank_rules[i])
    for i in range(len(limit)):
        limit[i] = max(limit[i], t + group_rules[i])


@njit(cache=True)
def apply_rules(tables, state, command, bank, t):
    """Note that `command` was issued to `bank` at clock `t`."""
    groups = len(state.limit) // N_BANK_COMMANDS
    rules = tables.group_next[command * groups + tables.group_of_bank[bank]]
    postpone(state.bank_next[bank], state.limit, tables.bank_next[command], rules, t)
    state.last[command, bank] = t


@njit(cache=True)
def note_act(tables, state, rank, t):
    """Note an ACT for the window of activations."""
    state.acts[rank, state.act_count[rank] % ACT_MEMORY] = t
    state.act_count[rank] += 1
    limit_acts(tables, state, rank)


@njit(cache=True)
def limit_acts(tables, state, rank):
    """Keep the next ACT of a rank out of the window that its last ACTs fill."""
    earliest = state.acts[rank, (state.act_count[rank] - tables.window_acts) % ACT_MEMORY] + tables.window_clk
    for group in range(rank * tables.groups_per_rank, (rank + 1) * tables.groups_per_rank):
        i = group * N_BANK_COMMANDS + ACT
        state.limit[i] = max(state.limit[i], earliest)


@njit(cache=True)
def set_background(state, rank, new, t):
    """Account the rank's background up to clock `t`, and go on with another state."""
    state.background_clk[rank, state.background[rank]] += t - state.since[rank]
    state.since[rank] = t
    state.background[rank] = new


@njit(cache=True)
def write_log(state, log, t, command, bank, row, column, outcome, closed):
    """Append a command to the log while there is room."""
    n = state.scalars[LOG_ROWS]
    if n < len(log.clk):
        log.clk[n] = t
        log.command[n] = command
        log.bank[n] = bank
        log.row[n] = row
        log.column[n] = column
        log.outcome[n] = outcome
        log.closed[n] = closed
        state.scalars[LOG_ROWS] = n + 1


@njit(cache=True)
def earliest_of_rank(tables, state, rank, command):
    """Return the earliest clock of a command to a whole rank, from the last commands to all banks."""
    t = state.last[command, 0] * 0
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


@njit(cache=True)
def issue_rank(tables, state, rank, command, t, log):
    """Issue a command to a whole rank: the bookkeeping that does not concern the queues."""
    first = rank * tables.banks_per_rank
    if command == PREab:
        write_log(state, log, t, PREab, first, -1, -1, -1, state.open_banks[rank])
        for bank in range(first, first + tables.banks_per_rank):
            if state.open_row[bank] >= 0:
                state.open_row[bank] = -1
                state.counts[PREab, bank] += 1
            state.hit[bank] = -1
        state.open_banks[rank] = 0
        set_background(state, rank, PRECHARGED, t)
    else:
        write_log(state, log, t, command, first, -1, -1, -1, 0)
        state.counts[command, first] += 1
    is_open = state.open_banks[rank] > 0
    if command == PDE:
        set_background(state, rank, POWER_DOWN_ACTIVE if is_open else POWER_DOWN_PRECHARGED, t)
        state.blocked[rank] |= POWERED_DOWN
    elif command == PDX:
        set_background(state, rank, ACTIVE if is_open else PRECHARGED, t)
        state.blocked[rank] &= ~POWERED_DOWN
    elif command == REFab:
        state.blocked[rank] &= ~REFRESHING
    for bank in range(first, first + tables.banks_per_rank):
        apply_rules(tables, state, command, bank, t)
    if command != PDE and command != PDX:
        state.scalars[LAST_COMMAND] = t
