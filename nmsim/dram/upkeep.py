"""What ranks need whether or not anybody asks: refresh, power-down, and rows that nobody uses closed (Numba).

It is looked at from a clock on that is known before, `attention_clk`, so that it costs nothing in between.
"""

from __future__ import annotations

import numpy as np

from nmsim.dram.commands import (
    ACT,
    N_NEXT,
    PDE,
    PDX,
    SRE,
    SRX,
    PREab,
    PREpb,
    REFab,
    REFpb,
)
from nmsim.dram.near import begin_visit, may_begin, next_visit, postponed_clk, visits_left
from nmsim.dram.rules import (
    apply_rules,
    block,
    closed,
    earliest_of_bank,
    earliest_of_rank,
    helper,
    issue_rank,
    issue_refresh_of_set,
    open_bank_of_set,
    write_log,
)
from nmsim.dram.state import (
    BANK_BLOCKED,
    BLOCKED,
    FAR,
    HEAD,
    IN_SELF_REFRESH,
    LAST_COMMAND,
    LAST_REQUEST,
    LAST_USE,
    NONE,
    OLDEST_HIT,
    ONE,
    OPEN_BANKS,
    OPEN_ROW,
    POWERED_DOWN,
    REFRESH_DUE,
    REFRESH_SET,
    REFRESHING,
    VISITS,
    VISITS_LEFT,
    ZERO,
)


@helper
def _has_requests(tables, state, rank):
    """Return whether a request, or a row visit of near memory, waits for the rank."""
    for bank in range(rank * tables.banks_per_rank, (rank + 1) * tables.banks_per_rank):
        if state.banks[bank, HEAD] >= 0 or state.banks[bank, HEAD + 1] >= 0 or state.banks[bank, VISITS] > 0:
            return True
    return False


@helper
def _urgent_clk(state, knobs, rank, now, idle):
    """Return the clock from which a rank's (next) refresh brooks no delay; FAR where that changes nothing."""
    blocked = state.ranks[rank, BLOCKED]
    if blocked & IN_SELF_REFRESH:
        return FAR
    due = state.ranks[rank, REFRESH_DUE]
    urgent = due + postponed_clk(knobs, state, now)
    if blocked & REFRESHING:
        interval = knobs.refresh_interval_clk
        later = (now - urgent) // interval + 1
        if visits_left(state, now) and 0 < later < knobs.refresh_sets:
            return urgent + later * interval
        return FAR
    return max(due, now) if idle else urgent


@helper
def _rank_candidate(tables, state, knobs, rank, now, idle):
    """Return (command, bank, clock) of what refresh, power-down or self-refresh needs from a rank next.

    `bank` is the rank's first where the command is to all of it; the clock is FAR where nothing is needed.
    """
    blocked, first = state.ranks[rank, BLOCKED], rank * tables.banks_per_rank
    command, bank, t = NONE, first, FAR
    sleep_clk = FAR
    if idle and knobs.self_refresh_idle_clk > 0:
        sleep_clk = state.scalars[LAST_REQUEST] + knobs.self_refresh_idle_clk
    if blocked & IN_SELF_REFRESH:
        if not idle and _has_requests(tables, state, rank):
            command, t = SRX, now
    elif blocked & POWERED_DOWN:
        if blocked & REFRESHING or (not idle and _has_requests(tables, state, rank)):
            command, t = PDX, now
        elif sleep_clk < FAR:
            command, t = PDX, sleep_clk
    elif blocked & REFRESHING:
        t = now
        if knobs.refresh_sets == 0:
            command = PREab if state.ranks[rank, OPEN_BANKS] > 0 else REFab
        else:
            bank = open_bank_of_set(tables, state, rank, knobs.refresh_sets)
            command = PREpb
            if bank < 0:
                command, bank = REFpb, first + state.ranks[rank, REFRESH_SET]
    elif idle:
        if knobs.power_down_idle_clk > 0:
            t = max(now, state.scalars[LAST_COMMAND] + knobs.power_down_idle_clk)
            t = max(t, earliest_of_rank(tables, state, rank, PDE))
            if t < sleep_clk:
                return PDE, first, t
        if sleep_clk < FAR:
            command, t = PREab if state.ranks[rank, OPEN_BANKS] > 0 else SRE, sleep_clk
    if command < 0:
        return command, bank, FAR
    t = max(now, t)
    if command == PREpb:
        return command, bank, max(t, earliest_of_bank(tables, state, command, bank))
    if command == REFpb:
        for b in range(bank, first + tables.banks_per_rank, knobs.refresh_sets):
            t = max(t, earliest_of_bank(tables, state, command, b))
        return command, bank, t
    return command, bank, max(t, earliest_of_rank(tables, state, rank, command))


@helper
def _unused_row(tables, state, knobs, visits, now):
    """Return (bank, clock) of the row that is closed next because nobody uses it; FAR where there is none."""
    chosen, earliest = NONE, FAR
    for bank in range(len(state.banks)):
        if (
            state.banks[bank, OPEN_ROW] < 0
            or state.banks[bank, OLDEST_HIT] >= 0
            or state.banks[bank, BANK_BLOCKED]
            or may_begin(tables, visits, state, knobs, bank, now)
        ):
            continue
        t = max(state.bank_next[bank, PREpb], state.limit[tables.group_of_bank[bank] * N_NEXT + PREpb])
        t = max(now, max(t, state.banks[bank, LAST_USE] + knobs.row_timeout_clk))
        if t < earliest:
            chosen, earliest = bank, t
    return chosen, earliest


@helper
def _close(tables, state, bank, t):
    """Close the row of a bank by PREpb, on nobody's request."""
    state.banks[bank, OPEN_ROW] = -1
    state.banks[bank, OLDEST_HIT] = -1
    rank = np.int64(tables.rank_of_bank[bank])
    closed(state, rank, ONE, t)
    state.counts[PREpb, bank] += 1
    state.scalars[LAST_COMMAND] = max(state.scalars[LAST_COMMAND], t)
    apply_rules(tables, state, PREpb, bank, t)


@helper
def _begin_refresh(tables, state, knobs, rank):
    """Make the banks that a rank's next refresh is for wait for it."""
    if knobs.refresh_sets == 0:
        block(tables, state, rank, REFRESHING, True)
        return
    state.ranks[rank, BLOCKED] |= REFRESHING
    first = rank * tables.banks_per_rank
    refreshed = range(
        first + state.ranks[rank, REFRESH_SET], first + tables.banks_per_rank, knobs.refresh_sets
    )
    for bank in refreshed:
        state.banks[bank, BANK_BLOCKED] |= REFRESHING


@helper
def serve_ranks(tables, state, knobs, near, visits, now, best, bound, idle, log):
    """Do what ranks need before clock `best`; return (whether anything was done, clock)."""
    chosen, command, bank, earliest = NONE, NONE, NONE, FAR
    for rank in range(tables.ranks):
        its_command, its_bank, t = _rank_candidate(tables, state, knobs, rank, now, idle)
        if t < earliest:
            chosen, command, bank, earliest = rank, its_command, its_bank, t
    if knobs.row_timeout_clk > 0:
        unused, t = _unused_row(tables, state, knobs, visits, now)
        if t < earliest:
            chosen, command, bank, earliest = np.int64(tables.rank_of_bank[unused]), PREpb, unused, t
    if state.scalars[VISITS_LEFT] > 0:
        visited, t = next_visit(tables, near, visits, state, knobs, now)
        if t < earliest:
            command, bank, earliest = PREpb if state.banks[visited, OPEN_ROW] >= 0 else ACT, visited, t
    # A refresh that is urgent by the next command of any kind comes first.
    urgent, its_rank = FAR, NONE
    for rank in range(tables.ranks):
        t = _urgent_clk(state, knobs, rank, now, idle)
        if t < urgent:
            urgent, its_rank = t, rank
    if urgent <= min(best, earliest) and urgent < bound:
        _begin_refresh(tables, state, knobs, its_rank)
        return True, max(now, urgent)
    if earliest > best or earliest >= bound:
        return False, now
    if command == PREpb:
        write_log(state, log, earliest, PREpb, bank, state.banks[bank, OPEN_ROW], NONE, NONE, ONE)
        _close(tables, state, bank, earliest)
    elif command == ACT:
        begin_visit(tables, near, visits, state, bank, earliest, log)
    elif command == REFpb:
        sets = knobs.refresh_sets
        issue_refresh_of_set(tables, state, chosen, state.ranks[chosen, REFRESH_SET], sets, earliest, log)
        state.ranks[chosen, REFRESH_SET] = (state.ranks[chosen, REFRESH_SET] + 1) % sets
        state.ranks[chosen, REFRESH_DUE] += knobs.refresh_interval_clk
    else:
        issue_rank(tables, state, chosen, command, earliest, log)
        if command == REFab:
            state.ranks[chosen, REFRESH_DUE] += knobs.refresh_interval_clk
        elif command == SRX and knobs.refresh_interval_clk > 0:
            state.ranks[chosen, REFRESH_DUE] = earliest + knobs.refresh_interval_clk
    return True, earliest


@helper
def attention_clk(tables, state, knobs, near, visits, now, idle):
    """Return the clock from which refresh, power-down, unused rows and row visits must be looked at."""
    clk = FAR
    if state.scalars[VISITS_LEFT] > 0:
        clk = next_visit(tables, near, visits, state, knobs, now)[1]
    for rank in range(len(state.ranks)):
        blocked = state.ranks[rank, BLOCKED]
        if idle or blocked & REFRESHING or (blocked and _has_requests(tables, state, rank)):
            return ZERO
        if not blocked & IN_SELF_REFRESH:
            clk = min(clk, state.ranks[rank, REFRESH_DUE] + postponed_clk(knobs, state, now))
    if knobs.row_timeout_clk > 0:
        clk = min(clk, now + knobs.row_timeout_clk)
        for bank in range(len(state.banks)):
            if state.banks[bank, OPEN_ROW] >= 0 and state.banks[bank, OLDEST_HIT] < 0:
                clk = min(clk, state.banks[bank, LAST_USE] + knobs.row_timeout_clk)
    return clk
