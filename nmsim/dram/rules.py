"""What every kernel does to a channel's state when a command is issued (Numba)."""

from __future__ import annotations

import numpy as np

from nmsim.compiled import njit
from nmsim.dram.commands import (
    ACT,
    ACTIVE,
    N_COMMANDS,
    N_NEXT,
    PDE,
    PDX,
    POWER_DOWN_ACTIVE,
    POWER_DOWN_PRECHARGED,
    PRECHARGED,
    SELF_REFRESH,
    SRE,
    SRX,
    PREab,
    REFab,
    REFpb,
)
from nmsim.dram.lanes import raise_all
from nmsim.dram.state import (
    ACT_COUNT,
    ACT_MEMORY,
    BACKGROUND,
    BANK_BLOCKED,
    BLOCKED,
    CLOSING,
    IN_SELF_REFRESH,
    LAST_COMMAND,
    LOG_BANK,
    LOG_CLK,
    LOG_CLOSED,
    LOG_COLUMN,
    LOG_COMMAND,
    LOG_NEAR,
    LOG_OUTCOME,
    LOG_ROW,
    LOG_ROWS,
    NONE,
    OLDEST_HIT,
    OPEN_BANKS,
    OPEN_ROW,
    POWERED_DOWN,
    REFRESH_SET,
    REFRESHING,
    SINCE,
    ZERO,
)

#: For functions that only kernels call: without the wrapper for Python they compile in half the time.
helper = njit(cache=True, no_cpython_wrapper=True, _nrt=False)
#: For those that are called with every command: an array is handed over as five numbers, which takes longer
#: than the work.
inlined = njit(cache=True, no_cpython_wrapper=True, _nrt=False, forceinline=True)


@inlined
def postpone(bank_next, limit, bank_rules, group_rules, command, bank, rules, t):
    """Note what must wait for a command at clock `t`: in its bank, and by the row `rules` in all groups."""
    # Element by element: a view of a row would be an object of its own, which costs more than the work.
    for i in range(N_NEXT):
        bank_next[bank, i] = max(bank_next[bank, i], t + bank_rules[command, i])
    raise_all(limit, t, group_rules, rules)


@helper
def apply_rules(tables, state, command, bank, t):
    """Note that `command` was issued to `bank` at clock `t`."""
    rules = command * (len(state.limit) // N_NEXT) + tables.group_of_bank[bank]
    postpone(state.bank_next, state.limit, tables.bank_next, tables.group_next, command, bank, rules, t)
    if tables.near_memory:
        state.near_last[command, bank] = t
    else:
        state.last[command, bank] = t


@inlined
def note_act(tables, state, rank, t):
    """Note an ACT for the window of activations; return the clock from which the window allows the next."""
    state.acts[rank, state.ranks[rank, ACT_COUNT] % ACT_MEMORY] = t
    state.ranks[rank, ACT_COUNT] += 1
    return limit_acts(tables, state, rank)


@inlined
def limit_acts(tables, state, rank):
    """Keep the next ACT of a rank out of the window of tFAW that its last fill; return its earliest clock."""
    earliest = (
        state.acts[rank, (state.ranks[rank, ACT_COUNT] - tables.window_acts) % ACT_MEMORY] + tables.window_clk
    )
    for group in range(rank * tables.groups_per_rank, (rank + 1) * tables.groups_per_rank):
        i = group * N_NEXT + ACT
        state.limit[i] = max(state.limit[i], earliest)
    return earliest


@njit(cache=True, _nrt=False)
def account(state, rank, t):
    """Account a rank's background up to clock `t`, at least the clock up to which it is accounted."""
    ranks, clocks = state.ranks, state.background_clk
    since, background = ranks[rank, SINCE], ranks[rank, BACKGROUND]
    if background == ACTIVE and ranks[rank, OPEN_BANKS] == 0:
        closed = min(t, max(since, ranks[rank, CLOSING]))
        clocks[rank, ACTIVE] += closed - since
        clocks[rank, PRECHARGED] += t - closed
        if t >= ranks[rank, CLOSING]:
            ranks[rank, BACKGROUND] = PRECHARGED
    else:
        clocks[rank, background] += t - since
    ranks[rank, SINCE] = t


@inlined
def opened(state, rank, t):
    """Count a bank of the rank as open from clock `t` on."""
    if state.ranks[rank, OPEN_BANKS] == 0:
        account(state, rank, t)
        state.ranks[rank, BACKGROUND] = ACTIVE
    state.ranks[rank, OPEN_BANKS] += 1


@inlined
def closed(state, rank, banks, t):
    """Count `banks` of the rank as closed; the last of them begins to precharge at clock `t`."""
    state.ranks[rank, OPEN_BANKS] -= banks
    state.ranks[rank, CLOSING] = max(state.ranks[rank, CLOSING], t)


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
        entry[LOG_NEAR] = 0
        state.scalars[LOG_ROWS] = n + 1


@helper
def earliest_of_rank(tables, state, rank, command):
    """Return the earliest clock of a command to a whole rank, from the last commands to all banks."""
    t = np.int64(0)
    first = rank * tables.banks_per_rank
    for before in range(N_COMMANDS):
        own, near_own = tables.bank[before, command], tables.near_bank[before, command]
        for bank in range(state.last.shape[1]):
            wait = tables.rank_wait[before, tables.group_of_bank[bank], rank, command]
            near_wait = tables.near_rank_wait[before, tables.group_of_bank[bank], rank, command]
            if first <= bank < first + tables.banks_per_rank:
                wait, near_wait = max(wait, own), max(near_wait, near_own)
            t = max(t, max(state.last[before, bank] + wait, state.near_last[before, bank] + near_wait))
    return t


@helper
def earliest_of_bank(tables, state, command, bank):
    """Return the earliest clock of a command to one bank, from the last commands to all banks."""
    group = tables.group_of_bank[bank]
    return max(
        earliest_of_group(tables, state, command, group), earliest_within(tables, state, command, bank)
    )


@helper
def earliest_within(tables, state, command, bank):
    """Return the earliest clock of a command by the rules within its bank."""
    t = np.int64(0)
    for before in range(N_COMMANDS):
        t = max(t, state.last[before, bank] + tables.bank[before, command])
        t = max(t, state.near_last[before, bank] + tables.near_bank[before, command])
    return t


@helper
def earliest_of_group(tables, state, command, group):
    """Return the earliest clock of a command to a bank group by the rules between banks."""
    t = np.int64(0)
    for before in range(N_COMMANDS):
        for bank in range(state.last.shape[1]):
            of_bank = tables.group_of_bank[bank]
            t = max(t, state.last[before, bank] + tables.group[before, of_bank, group, command])
            t = max(t, state.near_last[before, bank] + tables.near_group[before, of_bank, group, command])
    return t


@helper
def open_bank_of_set(tables, state, rank, sets):
    """Return the first bank with an open row of the rank's set that is refreshed next, or -1."""
    first = rank * tables.banks_per_rank
    for bank in range(first + state.ranks[rank, REFRESH_SET], first + tables.banks_per_rank, sets):
        if state.banks[bank, OPEN_ROW] >= 0:
            return bank
    return NONE


@helper
def delays_refresh(tables, state, sets, bank, clk):
    """Return whether a bank's command at clock `clk` is an ACT that would make an urgent REFpb later."""
    rank = np.int64(tables.rank_of_bank[bank])
    if state.banks[bank, OPEN_ROW] >= 0 or not state.ranks[rank, BLOCKED] & REFRESHING:
        return False
    if open_bank_of_set(tables, state, rank, sets) >= 0:
        return False
    earliest, wait = clk, ZERO
    first = rank * tables.banks_per_rank
    refreshed = range(first + state.ranks[rank, REFRESH_SET], first + tables.banks_per_rank, sets)
    for b in refreshed:
        earliest = max(earliest, earliest_of_bank(tables, state, REFpb, b))
        wait = max(wait, tables.group[ACT, tables.group_of_bank[bank], tables.group_of_bank[b], REFpb])
    return earliest < clk + wait


@helper
def block(tables, state, rank, bit, on):
    """Set or clear a reason why a rank, and with it its banks, takes no requests' commands."""
    first = rank * tables.banks_per_rank
    if on:
        state.ranks[rank, BLOCKED] |= bit
    else:
        state.ranks[rank, BLOCKED] &= ~bit
    for bank in range(first, first + tables.banks_per_rank):
        if on:
            state.banks[bank, BANK_BLOCKED] |= bit
        else:
            state.banks[bank, BANK_BLOCKED] &= ~bit


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
        closed(state, rank, state.ranks[rank, OPEN_BANKS], t)
    else:
        write_log(state, log, t, command, first, NONE, NONE, NONE, ZERO)
        state.counts[command, first] += 1
    account(state, rank, t)
    is_active = state.ranks[rank, BACKGROUND] == ACTIVE
    if command == PDE:
        state.ranks[rank, BACKGROUND] = POWER_DOWN_ACTIVE if is_active else POWER_DOWN_PRECHARGED
        block(tables, state, rank, POWERED_DOWN, True)
    elif command == SRE:
        state.ranks[rank, BACKGROUND] = SELF_REFRESH
        block(tables, state, rank, IN_SELF_REFRESH, True)
    elif command in (PDX, SRX):
        is_open = state.ranks[rank, OPEN_BANKS] > 0
        state.ranks[rank, BACKGROUND] = ACTIVE if is_open else PRECHARGED
        block(tables, state, rank, POWERED_DOWN if command == PDX else IN_SELF_REFRESH, False)
    elif command == REFab:
        block(tables, state, rank, REFRESHING, False)
    for bank in range(first, first + tables.banks_per_rank):
        apply_rules(tables, state, command, bank, t)
    if command == REFab:
        t += tables.bank[REFab, ACT]  # powering down during a refresh would save nothing
    if command != PDE and command != PDX:
        state.scalars[LAST_COMMAND] = max(state.scalars[LAST_COMMAND], t)


@helper
def issue_refresh_of_set(tables, state, rank, refresh_set, sets, t, log):
    """Issue REFpb to the banks of a rank whose number modulo `sets` is `refresh_set`."""
    first = rank * tables.banks_per_rank
    write_log(state, log, t, REFpb, first + refresh_set, NONE, NONE, NONE, ZERO)
    state.counts[REFpb, first + refresh_set] += 1
    state.ranks[rank, BLOCKED] &= ~REFRESHING
    for bank in range(first + refresh_set, first + tables.banks_per_rank, sets):
        state.banks[bank, BANK_BLOCKED] &= ~REFRESHING
        apply_rules(tables, state, REFpb, bank, t)
    busy_clk = t + tables.bank[REFpb, ACT]
    state.scalars[LAST_COMMAND] = max(state.scalars[LAST_COMMAND], busy_clk)
