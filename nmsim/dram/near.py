"""Near-memory row visits: every bank works through its rows by itself (Numba).

A visit opens a row, accesses columns of it one `period` apart, and closes it. Banks run in parallel: what
couples them is the current of activations (tRRD, tFAW) and refresh, not the command bus and not the data bus.
One step is one visit, whatever its length: of `stream`, which has the channel to itself, or of the host's
scheduler, which asks `next_visit` when one could begin.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nmsim.compiled import njit
from nmsim.dram.commands import (
    ACT,
    HIT,
    MISS,
    N_COMMANDS,
    N_NEXT,
    PDX,
    RD,
    SRX,
    WR,
    PREab,
    PREpb,
    REFab,
)
from nmsim.dram.rules import (
    apply_rules,
    closed,
    delays_refresh,
    earliest_of_group,
    earliest_of_rank,
    earliest_within,
    helper,
    inlined,
    issue_rank,
    limit_acts,
    note_act,
    opened,
    write_log,
)
from nmsim.dram.state import (
    ACT_COUNT,
    ACT_MEMORY,
    BANK_BLOCKED,
    BLOCKED,
    DATA_END,
    FAR,
    HEAD,
    IN_SELF_REFRESH,
    LAST_COMMAND,
    LAST_REQUEST,
    LOG_NEAR,
    LOG_ROWS,
    NEAR_MEMORY,
    NONE,
    NOW,
    ONE,
    OPEN_BANKS,
    OPEN_ROW,
    POWERED_DOWN,
    REFRESH_DUE,
    REFRESH_SET,
    VISITS,
    VISITS_END,
    VISITS_LEFT,
    ZERO,
)


class Visits(NamedTuple):
    """Row visits, sorted by bank, in the order of each bank; and how far they have come.

    Attributes
    ----------
    row, column, columns : ndarray of int64, shape (n,)
        `column` is the first, `columns` how many.
    is_write : ndarray of bool, shape (n,)
    first : ndarray of int64, shape (banks + 1,)
        Where each bank's visits begin.
    position, done : ndarray of int64, shape (banks,)
        Each bank's next visit, and how many of its columns were accessed before it was split.
    period : int
        Clocks from one column access of a bank to its next, at least 1.
    longest : int
        Columns of a visit at most; a longer one is split, so that its bank can be refreshed.
    concurrent : bool
        Beside the host: whether a bank serves both, or near memory alone while it has visits left.
    """

    row: np.ndarray
    column: np.ndarray
    columns: np.ndarray
    is_write: np.ndarray
    first: np.ndarray
    position: np.ndarray
    done: np.ndarray
    period: int
    longest: int
    concurrent: bool


@njit(cache=True, nogil=True)
def stream(tables, near, state, visits, start, refresh_interval_clk, refresh_round_clk, grace_clk, log):
    """Run row visits to their end; return nothing, all is in `state`.

    Parameters
    ----------
    tables, near : Tables
        The rules of the host's commands, and those of near-memory commands.
    state : State
        Its queues must be empty.
    visits : Visits
    start : int
        No command before this clock.
    refresh_interval_clk, refresh_round_clk : int
        Of the controller, and what a REFab is good for.
    grace_clk : int
        A refresh that is due waits for banks that open a row within so many clocks of the last one opened
        before. Without it, banks that began together would be parted by a refresh that falls due between
        their ACTs, and each would wait for the visits of the others, again and again where a visit takes
        about one refresh interval.
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
        elif state.ranks[rank, BLOCKED] & IN_SELF_REFRESH:
            t = max(start, earliest_of_rank(tables, state, rank, SRX))
            issue_rank(tables, state, rank, SRX, t, log)
            state.ranks[rank, REFRESH_DUE] = t + refresh_interval_clk if refresh_interval_clk else FAR
        if state.ranks[rank, OPEN_BANKS] > 0:
            t = max(start, earliest_of_rank(tables, state, rank, PREab))
            issue_rank(tables, state, rank, PREab, t, log)
    limit_of_host = state.limit.copy()
    _limit_anew(near, state)
    # The units begin when the host's last command has left the pins.
    end = start
    for before in range(N_COMMANDS):
        for b in range(len(state.banks)):
            last = max(state.last[before, b], state.near_last[before, b])
            end = max(end, last)
            start = max(start, last + tables.bus_clk)

    banks = len(state.banks)
    timely = np.full(
        near.ranks, -grace_clk, dtype=np.int64
    )  # each rank's last ACT before its refresh was due
    while True:
        bank, act = NONE, FAR
        for b in range(banks):
            if visits.position[b] < visits.first[b + 1]:
                i = near.group_of_bank[b] * N_NEXT + ACT
                t = max(state.bank_next[b, ACT], state.limit[i])
                if t < act:
                    bank, act = b, t
        if bank < 0:
            break
        act = max(act, start)
        rank = np.int64(near.rank_of_bank[bank])
        due = state.ranks[rank, REFRESH_DUE]
        if act < due:
            timely[rank] = act
        elif act >= timely[rank] + grace_clk:
            end = max(end, _refresh(near, state, rank, start, refresh_interval_clk, refresh_round_clk, log))
            continue

        # ACT, the columns, PRE.
        command, columns = _next_part(visits, bank)
        apply_rules(near, state, ACT, bank, act)
        note_act(near, state, rank, act)
        i = near.group_of_bank[bank] * N_NEXT + command
        column_clk = max(act, max(state.bank_next[bank, command], state.limit[i]))
        last_clk = column_clk + (columns - 1) * visits.period
        apply_rules(near, state, command, bank, last_clk)
        # The unit takes a column straight from the open row, for one period.
        pre = max(state.bank_next[bank, PREpb], last_clk + visits.period)
        apply_rules(near, state, PREpb, bank, pre)
        end = max(end, pre)
        scalars[DATA_END] = max(scalars[DATA_END], pre + near.bank[PREpb, ACT])
        _count_visit(state, visits, bank, rank, act, column_clk, pre, log)

    for rank in range(near.ranks):
        while state.ranks[rank, REFRESH_DUE] < end:
            end = max(end, _refresh(near, state, rank, start, refresh_interval_clk, refresh_round_clk, log))
        # No set waits longer for its next REFpb than if the last refresh had been one.
        last = state.near_last[REFab, rank * near.banks_per_rank]
        if last >= start:
            due = min(state.ranks[rank, REFRESH_DUE], last + refresh_interval_clk)
            state.ranks[rank, REFRESH_DUE] = due
    # What the host must wait for now: the spacing of the units' own ACTs was another.
    for i in range(len(limit_of_host)):
        state.limit[i] = limit_of_host[i]
    for before in range(N_COMMANDS):
        for b in range(banks):
            _limit_host(tables, state, before, b, state.near_last[before, b])
    for rank in range(near.ranks):
        limit_acts(tables, state, rank)
    scalars[NOW] = end
    scalars[LAST_COMMAND] = scalars[LAST_REQUEST] = end


@helper
def visits_left(state, now):
    """Return whether a row visit beside the host has not come to its PREpb."""
    return state.scalars[VISITS_LEFT] > 0 or now < state.scalars[VISITS_END]


@helper
def postponed_clk(knobs, state, now):
    """Return how long after its due clock a refresh is urgent."""
    return knobs.shared_postponed_clk if visits_left(state, now) else knobs.postponed_clk


@helper
def next_visit(tables, near, visits, state, knobs, now):
    """Return (bank, clock) of the row visit beside the host, or of its PREpb, that comes next; FAR for none.

    Commands of the host only ever delay it, but for one that leaves a bank without requests.
    """
    chosen, earliest = NONE, FAR
    group, limit = NONE, ZERO
    for bank in range(len(state.banks)):
        if not may_begin(tables, visits, state, knobs, bank, now):
            continue
        if state.banks[bank, OPEN_ROW] >= 0:
            t = state.limit[tables.group_of_bank[bank] * N_NEXT + PREpb]
            t = max(t, state.bank_next[bank, PREpb])
        else:
            if near.group_of_bank[bank] != group:
                group = np.int64(near.group_of_bank[bank])
                rank = np.int64(near.rank_of_bank[bank])
                limit = earliest_of_group(near, state, ACT, group)
                oldest = (state.ranks[rank, ACT_COUNT] - near.window_acts) % ACT_MEMORY
                limit = max(limit, state.acts[rank, oldest] + near.window_clk)
            t = max(limit, earliest_within(near, state, ACT, bank))
            sets = knobs.refresh_sets
            if sets > 0 and delays_refresh(tables, state, sets, bank, max(t, now)):
                continue
        t = max(t, now)
        if t < earliest:
            chosen, earliest = np.int64(bank), t
    return chosen, earliest


@helper
def may_begin(tables, visits, state, knobs, bank, now):
    """Return whether the host lets a row visit of the bank begin, once the bank's row is closed."""
    if state.banks[bank, VISITS] == 0 or state.banks[bank, BANK_BLOCKED] & ~NEAR_MEMORY:
        return False
    if knobs.refresh_sets > 0:
        # Not even where a later refresh of the bank is urgent, though others have to be done before.
        rank = np.int64(tables.rank_of_bank[bank])
        later = (bank - rank * tables.banks_per_rank - state.ranks[rank, REFRESH_SET]) % knobs.refresh_sets
        due = state.ranks[rank, REFRESH_DUE] + later * knobs.refresh_interval_clk
        if due + postponed_clk(knobs, state, now) <= now:
            return False
    return not visits.concurrent or (state.banks[bank, HEAD] < 0 and state.banks[bank, HEAD + 1] < 0)


@helper
def begin_visit(tables, near, visits, state, bank, act, log):
    """Do a whole row visit beside the host, from its ACT on."""
    scalars, rank = state.scalars, np.int64(tables.rank_of_bank[bank])
    command, columns = _next_part(visits, bank)
    _note(tables, state, ACT, bank, act)
    note_act(tables, state, rank, act)
    column_clk = earliest_of_group(near, state, command, near.group_of_bank[bank])
    column_clk = max(act, max(column_clk, earliest_within(near, state, command, bank)))
    last_clk = column_clk + (columns - 1) * visits.period
    _note(tables, state, command, bank, last_clk)
    pre = max(last_clk + visits.period, earliest_within(near, state, PREpb, bank))
    _note(tables, state, PREpb, bank, pre)
    for clock in (LAST_COMMAND, LAST_REQUEST, VISITS_END):
        scalars[clock] = max(scalars[clock], pre)
    scalars[DATA_END] = max(scalars[DATA_END], pre + near.bank[PREpb, ACT])
    _count_visit(state, visits, bank, rank, act, column_clk, pre, log)
    if visits.done[bank] == 0:
        scalars[VISITS_LEFT] -= 1
        state.banks[bank, VISITS] -= 1
        if state.banks[bank, VISITS] == 0:
            state.banks[bank, BANK_BLOCKED] &= ~NEAR_MEMORY


@helper
def _note(tables, state, command, bank, t):
    """Note what the host must wait for after a command of near memory."""
    state.near_last[command, bank] = t
    for after in range(N_NEXT):
        state.bank_next[bank, after] = max(state.bank_next[bank, after], t + tables.near_bank[command, after])
    _limit_host(tables, state, command, bank, t)


@helper
def _limit_host(tables, state, command, bank, t):
    """Keep the host's commands to other banks apart from a near-memory command at clock `t`."""
    group = tables.group_of_bank[bank]
    for after in range(N_NEXT):
        for other in range(tables.near_group.shape[1]):
            i = other * N_NEXT + after
            state.limit[i] = max(state.limit[i], t + tables.near_group[command, group, other, after])


@inlined
def _next_part(visits, bank):
    """Return (command, columns) of what a bank does next: a visit, or a part of a longer one."""
    visit = visits.position[bank]
    columns = min(visits.columns[visit] - visits.done[bank], visits.longest)
    return WR if visits.is_write[visit] else RD, columns


@inlined
def _count_visit(state, visits, bank, rank, act, column_clk, pre, log):
    """Count and log a visit, or a part of one, and go on to the next."""
    command, columns = _next_part(visits, bank)
    visit, done = visits.position[bank], visits.done[bank]
    row, logged = visits.row[visit], state.scalars[LOG_ROWS]
    state.counts[ACT, bank] += 1
    state.counts[command, bank] += columns
    state.counts[PREpb, bank] += 1
    state.outcomes[MISS, bank] += 1
    state.outcomes[HIT, bank] += columns - 1
    opened(state, rank, act)
    closed(state, rank, ONE, pre)
    if logged < len(log):
        write_log(state, log, act, ACT, bank, row, NONE, MISS, ZERO)
        for k in range(columns):
            column, clk = visits.column[visit] + done + k, column_clk + k * visits.period
            write_log(state, log, clk, command, bank, row, column, MISS if k == 0 else HIT, ZERO)
        write_log(state, log, pre, PREpb, bank, row, NONE, NONE, ONE)
        _mark(state, log, logged)
    visits.done[bank] += columns
    if visits.done[bank] == visits.columns[visit]:
        visits.done[bank] = 0
        visits.position[bank] += 1


@helper
def _mark(state, log, first):
    """Mark the rows of the log from `first` on as near memory's."""
    for i in range(first, state.scalars[LOG_ROWS]):
        log[i, LOG_NEAR] = 1


@helper
def _limit_anew(tables, state):
    """Work out from the last commands what must wait for them by these rules."""
    groups = len(state.limit) // N_NEXT
    for i in range(len(state.limit)):
        state.limit[i] = 0
        for before in range(N_COMMANDS):
            for bank in range(len(state.banks)):
                wait = tables.group_next[before * groups + tables.group_of_bank[bank], i]
                last = max(state.last[before, bank], state.near_last[before, bank])
                state.limit[i] = max(state.limit[i], last + wait)
    for rank in range(tables.ranks):
        limit_acts(tables, state, rank)


@helper
def _refresh(near, state, rank, start, refresh_interval_clk, refresh_round_clk, log):
    """Refresh a rank whose banks are closed, as soon as it is due and legal; return the clock."""
    due = max(start, state.ranks[rank, REFRESH_DUE])
    t = max(due, earliest_of_rank(near, state, rank, REFab))
    logged = state.scalars[LOG_ROWS]
    issue_rank(near, state, rank, REFab, t, log)
    _mark(state, log, logged)
    # Where the host refreshes by sets, it takes the place of what is left of the round.
    state.ranks[rank, REFRESH_DUE] += (
        refresh_round_clk - state.ranks[rank, REFRESH_SET] * refresh_interval_clk
    )
    state.ranks[rank, REFRESH_SET] = 0
    return t
