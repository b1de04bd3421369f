"""The host's command scheduler: FR-FCFS over open rows, from event to event (Numba).

At every clock at which something can happen, of the commands that the queued requests need next and that
are legal, the scheduler issues one: a column command (a row hit) before others, then the oldest request's.
Nothing is done for clocks at which nothing can happen. `nmsim.dram.reference` is the same scheduler clock by
clock, to be read first.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from nmsim.dram.commands import (
    ACT,
    ACTIVE,
    CONFLICT,
    HIT,
    MISS,
    N_BANK_COMMANDS,
    PDE,
    PDX,
    PRECHARGED,
    RD,
    PREab,
    PREpb,
    REFab,
)
from nmsim.dram.rules import (
    earliest_of_rank,
    helper,
    issue_rank,
    note_act,
    postpone,
    set_background,
    write_log,
)
from nmsim.dram.state import (
    BLOCKED,
    COLUMN,
    DATA_END,
    FAR,
    FREE,
    HEAD,
    LAST_COMMAND,
    LOG_ROWS,
    MODE,
    NEXT,
    NONE,
    NOW,
    OLDEST_HIT,
    ONE,
    OPEN_BANKS,
    OPEN_ROW,
    ORDER,
    OUTCOME,
    POWERED_DOWN,
    PREVIOUS,
    READS,
    REFRESH_DUE,
    REFRESHING,
    ROW,
    SEQUENCE,
    TAIL,
    WRITES,
    ZERO,
)

#: In `State.order`: a column command goes before any other, then the older request; the bank comes along.
_NOT_COLUMN = 1 << 61
_BANK_BITS = 10
_BANK_MASK = (1 << _BANK_BITS) - 1
_LAST = np.int64(1 << 62)


@helper
def _chosen_mode(mode, reads, writes, high, low):
    """Return the kind of request to serve: reads, but writes from the high watermark down to the low one."""
    if mode == 0:
        return 1 if writes >= high or (reads == 0 and writes > 0) else 0
    return 0 if writes == 0 or (reads > 0 and writes <= low) else 1


@helper
def _set_candidate(tables, state, mode, bank, search):
    """Work out anew which command a bank's requests need next; no hit is queued before the slot `search`."""
    row = state.banks[bank, OPEN_ROW]
    hit = search if row >= 0 else -1
    while hit >= 0 and state.slots[hit, ROW] != row:
        hit = state.slots[hit, NEXT]
    state.banks[bank, OLDEST_HIT] = hit
    oldest = state.banks[bank, HEAD + mode]
    if oldest < 0 or state.ranks[tables.rank_of_bank[bank], BLOCKED]:
        state.ready[bank] = FAR
        return
    if hit >= 0:
        command, order = RD + mode, state.slots[hit, ORDER]
    else:
        command, order = ACT if row < 0 else PREpb, state.slots[oldest, ORDER] | _NOT_COLUMN
    state.order[bank] = order
    state.ready[bank] = state.bank_next[bank, command]
    state.key[bank] = tables.group_of_bank[bank] * N_BANK_COMMANDS + command


@helper
def _set_candidates(tables, state, mode, first, last):
    for bank in range(first, last):
        _set_candidate(tables, state, mode, bank, state.banks[bank, HEAD + mode])


@helper
def _has_requests(tables, state, rank):
    for bank in range(rank * tables.banks_per_rank, (rank + 1) * tables.banks_per_rank):
        if state.banks[bank, HEAD] >= 0 or state.banks[bank, HEAD + 1] >= 0:
            return True
    return False


@helper
def _rank_candidate(tables, state, rank, now, idle, power_down_idle_clk):
    """Return (command, clock) of what refresh or power-down needs from a rank next; FAR where nothing."""
    blocked = state.ranks[rank, BLOCKED]
    command, t = NONE, FAR
    if blocked & POWERED_DOWN:
        if blocked & REFRESHING:
            command, t = PDX, state.ranks[rank, REFRESH_DUE]
        elif _has_requests(tables, state, rank):
            command, t = PDX, now
    elif blocked & REFRESHING:
        command, t = PREab if state.ranks[rank, OPEN_BANKS] > 0 else REFab, state.ranks[rank, REFRESH_DUE]
    elif power_down_idle_clk > 0 and idle:
        command, t = PDE, state.scalars[LAST_COMMAND] + power_down_idle_clk
    if command >= 0:
        t = max(now, max(t, earliest_of_rank(tables, state, rank, command)))
    return command, t


@helper
def _serve_ranks(tables, state, knobs, mode, now, best, bound, idle, log):
    """Do what refresh and power-down want before clock `best`; return (whether anything was done, clock)."""
    chosen, chosen_command, earliest = NONE, NONE, FAR
    for rank in range(tables.ranks):
        command, t = _rank_candidate(tables, state, rank, now, idle, knobs.power_down_idle_clk)
        if t < earliest:
            chosen, chosen_command, earliest = rank, command, t
    # A refresh that is due by the next command of any kind comes first.
    served = False
    for rank in range(tables.ranks):
        due = state.ranks[rank, REFRESH_DUE]
        if due <= min(best, earliest) and due < bound and not state.ranks[rank, BLOCKED] & REFRESHING:
            state.ranks[rank, BLOCKED] |= REFRESHING
            first = rank * tables.banks_per_rank
            _set_candidates(tables, state, mode, first, first + tables.banks_per_rank)
            served = True
    if served:
        return True, now
    if earliest > best or earliest >= bound:
        return False, now
    issue_rank(tables, state, chosen, chosen_command, earliest, log)
    if chosen_command == REFab:
        state.ranks[chosen, REFRESH_DUE] += knobs.refresh_interval_clk
    first = chosen * tables.banks_per_rank
    _set_candidates(tables, state, mode, first, first + tables.banks_per_rank)
    return True, earliest


@helper
def _attention_clk(state, idle, power_down_idle_clk):
    """Return the clock from which refresh or power-down must be looked at."""
    clk = FAR
    for rank in range(len(state.ranks)):
        if state.ranks[rank, BLOCKED] or (idle and power_down_idle_clk > 0):
            return 0
        clk = min(clk, state.ranks[rank, REFRESH_DUE])
    return clk


@njit(cache=True)
def schedule(tables, state, knobs, batch, until, drain, log, done_clk):
    """Serve a batch of requests; return nothing, all is in `state`.

    Parameters
    ----------
    tables : Tables
    state : State
    knobs : Knobs
        What `nmsim.dram.engine` makes of a `ControllerSpec`.
    batch : AccessBatch
        Requests in the order of arrival. `arrival_clk` of length 0: all have arrived.
    until : int
        Only clocks below are decided.
    drain : bool
        True: nothing follows, so go on until the queues are empty. False: stop where the next decision could
        depend on a request that follows.
    log : Log
    done_clk : ndarray of int64, shape (n,) or (0,)
        Filled with the clock after each request's last data beat where it has length n.
    """
    scalars = state.scalars
    now, mode, sequence, free_slots = scalars[NOW], scalars[MODE], scalars[SEQUENCE], scalars[FREE]
    reads, writes, last_command = scalars[READS], scalars[WRITES], scalars[LAST_COMMAND]
    first_sequence = sequence
    scalars[LOG_ROWS] = 0
    n, i = len(batch.bank), 0
    request_bank, request_row, request_column = batch.bank, batch.row, batch.column
    is_write, arrival_clk = batch.is_write, batch.arrival_clk
    timed = len(arrival_clk) > 0
    logging, recording = len(log) > 0, len(done_clk) > 0
    ready, key, order, limit, bank_next = state.ready, state.key, state.order, state.limit, state.bank_next
    banks, slots, free = state.banks, state.slots, state.free
    group_of_bank, rank_of_bank = tables.group_of_bank, tables.rank_of_bank
    bank_rules, group_rules = tables.bank_next, tables.group_next
    n_banks, groups = len(ready), len(limit) // N_BANK_COMMANDS
    attention = _attention_clk(state, reads + writes == 0, knobs.power_down_idle_clk)
    when = np.empty(n_banks, dtype=np.int64)

    while True:
        # Admit, in order, what has arrived and fits into its queue.
        waiting = FAR
        while i < n:
            kind = 1 if is_write[i] else 0
            if (writes >= knobs.write_queue) if kind else (reads >= knobs.read_queue):
                break
            if timed and arrival_clk[i] > now:
                waiting = arrival_clk[i]
                break
            if reads + writes == 0:
                attention = 0
            bank = request_bank[i]
            free_slots -= 1
            slot = free[free_slots]
            before = banks[bank, TAIL + kind]
            banks[bank, TAIL + kind] = slot
            request = slots[slot]
            request[ROW] = request_row[i]
            request[COLUMN] = request_column[i]
            request[ORDER] = (sequence << _BANK_BITS) | bank
            request[OUTCOME] = HIT
            request[NEXT] = -1
            request[PREVIOUS] = before
            if before < 0:
                banks[bank, HEAD + kind] = slot
            else:
                slots[before, NEXT] = slot
            sequence += 1
            i += 1
            reads += 1 - kind
            writes += kind
            if kind == mode and banks[bank, OLDEST_HIT] < 0:
                _set_candidate(tables, state, mode, bank, slot)
            new_mode = _chosen_mode(mode, reads, writes, knobs.high, knobs.low)
            if new_mode != mode:
                mode = new_mode
                _set_candidates(tables, state, mode, ZERO, n_banks)
        if i == n and not drain:
            break
        bound = min(waiting, until)

        # The earliest candidate of all banks; among equals, a column command, then the oldest.
        best = FAR
        for b in range(n_banks):
            t = max(ready[b], limit[key[b]])
            when[b] = t
            best = min(best, t)
        best = max(best, now)

        if best >= attention:
            idle = reads + writes == 0
            if idle and i == n and until == FAR:
                break
            scalars[LAST_COMMAND] = last_command
            served, now = _serve_ranks(tables, state, knobs, mode, now, best, bound, idle, log)
            last_command = scalars[LAST_COMMAND]
            attention = _attention_clk(state, idle, knobs.power_down_idle_clk)
            if served:
                continue
        if best >= bound:
            now = bound
            if until <= waiting:
                break
            continue
        if best == FAR:
            break

        first = _LAST
        for b in range(n_banks):
            if when[b] <= best:
                first = min(first, order[b])
        bank = first & _BANK_MASK
        now = best
        last_command = now
        group = group_of_bank[bank]

        search = NONE
        if first < _NOT_COLUMN:
            # RD or WR: the request leaves its queue.
            command = RD + mode
            slot = banks[bank, OLDEST_HIT]
            request = slots[slot]
            before, search = request[PREVIOUS], request[NEXT]
            if before < 0:
                banks[bank, HEAD + mode] = search
            else:
                slots[before, NEXT] = search
            if search < 0:
                banks[bank, TAIL + mode] = before
            else:
                slots[search, PREVIOUS] = before
            free[free_slots] = slot
            free_slots += 1
            reads -= 1 - mode
            writes -= mode
            state.outcomes[request[OUTCOME], bank] += 1
            end = now + (knobs.write_done_clk if mode else knobs.read_done_clk)
            scalars[DATA_END] = max(scalars[DATA_END], end)
            if recording and (request[ORDER] >> _BANK_BITS) >= first_sequence:
                done_clk[(request[ORDER] >> _BANK_BITS) - first_sequence] = end
            if logging:
                write_log(
                    state, log, now, command, bank, request[ROW], request[COLUMN], request[OUTCOME], ZERO
                )
        else:
            rank = np.int64(rank_of_bank[bank])
            slot = banks[bank, HEAD + mode]
            request = slots[slot]
            if banks[bank, OPEN_ROW] < 0:
                command = ACT
                if request[OUTCOME] == HIT:
                    request[OUTCOME] = MISS
                row = request[ROW]
                banks[bank, OPEN_ROW] = row
                search = slot
                state.ranks[rank, OPEN_BANKS] += 1
                if state.ranks[rank, OPEN_BANKS] == 1:
                    set_background(state, rank, ACTIVE, now)
                note_act(tables, state, rank, now)
            else:
                command = PREpb
                request[OUTCOME] = CONFLICT
                row = banks[bank, OPEN_ROW]
                banks[bank, OPEN_ROW] = -1
                state.ranks[rank, OPEN_BANKS] -= 1
                if state.ranks[rank, OPEN_BANKS] == 0:
                    set_background(state, rank, PRECHARGED, now)
            if logging:
                write_log(
                    state,
                    log,
                    now,
                    command,
                    bank,
                    row,
                    NONE,
                    request[OUTCOME],
                    ONE if command == PREpb else ZERO,
                )
        state.counts[command, bank] += 1
        state.last[command, bank] = now
        postpone(bank_next[bank], limit, bank_rules[command], group_rules[command * groups + group], now)
        _set_candidate(tables, state, mode, bank, search)
        if command >= RD:
            new_mode = _chosen_mode(mode, reads, writes, knobs.high, knobs.low)
            if new_mode != mode:
                mode = new_mode
                _set_candidates(tables, state, mode, ZERO, n_banks)
            if reads + writes == 0:
                attention = 0

    scalars[NOW], scalars[MODE], scalars[SEQUENCE], scalars[FREE] = now, mode, sequence, free_slots
    scalars[READS], scalars[WRITES], scalars[LAST_COMMAND] = reads, writes, last_command
