"""Near-memory row visits: every bank works through its rows by itself (Numba).

A visit opens a row, accesses columns of it one `period` apart, and closes it. Banks run in parallel: what
couples them is the current of activations (tRRD, tFAW) and refresh, not the command bus and not the data bus.
One step of the loop is one visit, whatever its length.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from nmsim.dram.commands import (
    ACT,
    HIT,
    MISS,
    N_COMMANDS,
    N_NEXT,
    PDX,
    RD,
    WR,
    PREab,
    PREpb,
    REFab,
)
from nmsim.dram.rules import (
    apply_rules,
    closed,
    earliest_of_rank,
    helper,
    issue_rank,
    limit_acts,
    note_act,
    opened,
    write_log,
)
from nmsim.dram.state import (
    BLOCKED,
    DATA_END,
    FAR,
    LAST_COMMAND,
    LOG_ROWS,
    NONE,
    NOW,
    ONE,
    OPEN_BANKS,
    POWERED_DOWN,
    REFRESH_DUE,
    ZERO,
)


@njit(cache=True, nogil=True)
def stream(tables, near, state, visits, first, period, start, refresh_interval_clk, log):
    """Run row visits to their end; return nothing, all is in `state`.

    Parameters
    ----------
    tables, near : Tables
        The rules of the host's commands, and those of near-memory commands.
    state : State
        Its queues must be empty.
    visits : Visits
        Sorted by bank, in the order of each bank.
    first : ndarray of int64, shape (banks + 1,)
        Where each bank's visits begin in `visits`.
    period : int
        Clocks from one column access of a bank to its next, at least 1.
    start : int
        No command before this clock.
    refresh_interval_clk : int
    log : ndarray
        Filled visit by visit, not by time.
    """
    scalars = state.scalars
    scalars[LOG_ROWS] = 0
    start = max(start, scalars[NOW])
    for rank in range(near.ranks):
        if state.ranks[rank, BLOCKED] & POWERED_DOWN:
            t = max(start, earliest_of_rank(tables, state, rank, PDX))
            issue_rank(tables, state, rank, PDX, t, log)
        if state.ranks[rank, OPEN_BANKS] > 0:
            t = max(start, earliest_of_rank(tables, state, rank, PREab))
            issue_rank(tables, state, rank, PREab, t, log)
    limit_of_host = state.limit.copy()
    _limit_anew(near, state)
    # The units begin when the host's last command has left the pins.
    end = start
    for before in range(N_COMMANDS):
        for b in range(len(state.banks)):
            end = max(end, state.last[before, b])
            start = max(start, state.last[before, b] + tables.bus_clk)

    banks = len(state.banks)
    position = first[:banks].copy()
    columns_done = first[:banks] * 0  # of each bank's current visit
    longest = max(1, refresh_interval_clk // period)  # a longer visit is interrupted, to be refreshed
    left = first[banks]
    while left > 0:
        bank, act = NONE, FAR
        for b in range(banks):
            if position[b] < first[b + 1]:
                i = near.group_of_bank[b] * N_NEXT + ACT
                t = max(state.bank_next[b, ACT], state.limit[i])
                if t < act:
                    bank, act = b, t
        act = max(act, start)
        rank = np.int64(near.rank_of_bank[bank])
        if act >= state.ranks[rank, REFRESH_DUE]:
            end = max(end, _refresh(near, state, rank, start, refresh_interval_clk, log))
            continue

        # ACT, the columns, PRE.
        visit = position[bank]
        row, command = visits.row[visit], WR if visits.is_write[visit] else RD
        done = columns_done[bank]
        columns = min(visits.columns[visit] - done, longest)
        apply_rules(near, state, ACT, bank, act)
        note_act(near, state, rank, act)
        first_column = max(act, state.bank_next[bank, command])
        last_column = first_column + (columns - 1) * period
        apply_rules(near, state, command, bank, last_column)
        # The unit takes a column straight from the open row, for one period.
        pre = max(state.bank_next[bank, PREpb], last_column + period)
        apply_rules(near, state, PREpb, bank, pre)
        end = max(end, pre)
        scalars[DATA_END] = max(scalars[DATA_END], pre + near.bank[PREpb, ACT])

        state.counts[ACT, bank] += 1
        state.counts[command, bank] += columns
        state.counts[PREpb, bank] += 1
        state.outcomes[MISS, bank] += 1
        state.outcomes[HIT, bank] += columns - 1
        opened(state, rank, act)
        closed(state, rank, ONE, pre)
        if scalars[LOG_ROWS] < len(log):
            write_log(state, log, act, ACT, bank, row, NONE, MISS, ZERO)
            for k in range(columns):
                column = visits.column[visit] + done + k
                outcome = MISS if k == 0 else HIT
                write_log(state, log, first_column + k * period, command, bank, row, column, outcome, ZERO)
            write_log(state, log, pre, PREpb, bank, row, NONE, NONE, ONE)

        columns_done[bank] += columns
        if columns_done[bank] == visits.columns[visit]:
            columns_done[bank] = 0
            position[bank] += 1
            left -= 1

    for rank in range(near.ranks):
        while state.ranks[rank, REFRESH_DUE] < end:
            end = max(end, _refresh(near, state, rank, start, refresh_interval_clk, log))
        limit_acts(tables, state, rank)  # the host's window, which may be narrower
    for i in range(len(limit_of_host)):
        state.limit[i] = max(state.limit[i], limit_of_host[i])
    scalars[NOW] = end
    scalars[LAST_COMMAND] = end


@helper
def _limit_anew(tables, state):
    """Work out from the last commands what must wait for them by these rules."""
    groups = len(state.limit) // N_NEXT
    for i in range(len(state.limit)):
        state.limit[i] = 0
        for before in range(N_COMMANDS):
            for bank in range(len(state.banks)):
                wait = tables.group_next[before * groups + tables.group_of_bank[bank], i]
                state.limit[i] = max(state.limit[i], state.last[before, bank] + wait)
    for rank in range(tables.ranks):
        limit_acts(tables, state, rank)


@helper
def _refresh(near, state, rank, start, refresh_interval_clk, log):
    """Refresh a rank whose banks are closed, as soon as it is due and legal; return the clock."""
    due = max(start, state.ranks[rank, REFRESH_DUE])
    t = max(due, earliest_of_rank(near, state, rank, REFab))
    issue_rank(near, state, rank, REFab, t, log)
    state.ranks[rank, REFRESH_DUE] += refresh_interval_clk
    return t
