"""The host's command scheduler, from event to event (Numba).

At every clock at which something can happen, of the commands that the queued requests need next and that
are legal, the scheduler issues one. Nothing is done for clocks at which nothing can happen.
docs/explanation/scheduler.md says what it does; `nmsim.dram.reference` is the same in slow, readable Python.

How it is fast
--------------
Each bank has one candidate: the command that its oldest row hit, or else its oldest request, needs next. Its
*key* is one integer: the clock at which it is legal (from bit `KEY_SHIFT` on, relative to `base`), then its
order among the candidates of one clock: column commands before others (bit 31), the older request first
(21 bits), the bank. So the least key of all banks is the command to issue. A command raises the keys of all
banks by what the standard's table says (`Tables.waits`), in the same pass that looks for the least.

Refresh, power-down and the closing of unused rows are looked at from a clock on that is known before
(`attention`), so that they cost nothing in between. Where all that is queued goes to one or two open rows,
and so does what arrives, hits are issued in a loop of their own (`stream_hits`). What a command does to
queues and rows is in `nmsim.dram.queues`, and becomes a part of this loop.
"""

from __future__ import annotations

import numpy as np

from nmsim.compiled import njit
from nmsim.dram.candidates import (
    BANK_MASK,
    LAST_AGE,
    NOT_COLUMN,
    keep_oldest,
    renumber,
    set_again,
    set_candidate,
    set_candidates,
)
from nmsim.dram.commands import (
    ACT,
    N_NEXT,
    RD,
    RDA,
    PREpb,
)
from nmsim.dram.hit_stream import note_hits, stream_hits
from nmsim.dram.lanes import least_key
from nmsim.dram.near import visits_left
from nmsim.dram.queues import activate, closes_itself, end_data, join, leave, precharge
from nmsim.dram.rules import delays_refresh, inlined, postpone, write_log
from nmsim.dram.state import (
    BANK_BLOCKED,
    COLUMN,
    FAR,
    FREE,
    HEAD,
    INDEX,
    LAST_COMMAND,
    LAST_REQUEST,
    LAST_USE,
    LOG_ROWS,
    MODE,
    NEXT,
    NO_CANDIDATE,
    NONE,
    NOW,
    OLDEST_HIT,
    ONE,
    OPEN_ROW,
    OUTCOME,
    PREVIOUS,
    QUEUED,
    READS,
    ROW,
    SEQUENCE,
    VISITS_END,
    VISITS_LEFT,
    WRITES,
    ZERO,
)
from nmsim.dram.tables import KEY_SHIFT
from nmsim.dram.upkeep import attention_clk, serve_ranks

#: No slot has a higher number. Numba looks for negative indices unless it sees that there are none.
_SLOT_MASK = (1 << 16) - 1
#: Clocks that keys count from one base.
_SPAN = 1 << 29
#: Queued requests, all to one row or two, from which on their hits are streamed.
_STREAM = 8


@inlined
def _chosen_mode(mode, reads, writes, high, low):
    """Return the kind of request to serve: reads, but writes from the high watermark down to the low one."""
    if mode == 0:
        return 1 if writes >= high or (reads == 0 and writes > 0) else 0
    return 0 if writes == 0 or (reads > 0 and writes <= low) else 1


@njit(_nrt=False, inline="always")  # compiled as a part of `nmsim.dram.calls.serve`
def schedule(tables, state, knobs, near, visits, batch, until, drain, log, done_clk):
    """Serve a batch of requests; return nothing, all is in `state`.

    Parameters
    ----------
    tables : Tables
    state : State
    knobs : Knobs
        What `nmsim.dram.engine` makes of a `ControllerSpec`.
    near : Tables
        The rules of near-memory commands.
    visits : Visits
        Row visits of near memory beside the host, of which `state` says how many are left: all are done.
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
    now, mode, age, free_slots = scalars[NOW], scalars[MODE] & 1, scalars[SEQUENCE], scalars[FREE]
    reads, writes, last_command = scalars[READS], scalars[WRITES], scalars[LAST_COMMAND]
    last_request = scalars[LAST_REQUEST]
    scalars[LOG_ROWS] = 0
    n, i = len(batch.bank), 0
    request_bank = batch.bank
    is_write, arrival_clk = batch.is_write, batch.arrival_clk
    timed = len(arrival_clk) > 0
    logging, recording = len(log) > 0, len(done_clk) > 0
    streaming = not (timed or logging or recording or knobs.fcfs or knobs.closed or knobs.row_timeout_clk)
    last_bank = other = ZERO
    keys, kinds, orders, windows = state.keys, state.kinds, state.orders, state.windows
    limit, bank_next, banks, slots, free = state.limit, state.bank_next, state.banks, state.slots, state.free
    group_of_bank, rank_of_bank = tables.group_of_bank, tables.rank_of_bank
    bank_rules, group_rules, waits = tables.bank_next, tables.group_next, tables.waits
    groups = len(limit) // N_NEXT
    for slot in range(len(slots)):
        slots[slot, INDEX] = -1

    base = now
    windows[:] = 0
    set_candidates(tables, state, knobs, mode, now, base)
    # What the last command makes all banks wait for is worked into their keys when the least is looked for.
    wait_row = np.int64(0)
    issued_key, held = -NO_CANDIDATE, False
    sharing = scalars[VISITS_LEFT] > 0
    attention = attention_clk(tables, state, knobs, near, visits, now, reads + writes == 0 and not sharing)

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
            bank = request_bank[i]
            if reads + writes == 0 or banks[bank, BANK_BLOCKED]:
                attention = 0
            if age == LAST_AGE:
                age = renumber(state)
                set_candidates(tables, state, knobs, mode, now, base)
            free_slots -= 1
            slot = free[free_slots] & _SLOT_MASK
            join(state, batch, i, slot, bank, kind, age)
            age += 1
            i += 1
            reads += 1 - kind
            writes += kind
            if kind == mode and banks[bank, OLDEST_HIT] < 0:
                set_candidate(tables, state, knobs, mode, bank, slot, now, base)
            new_mode = _chosen_mode(mode, reads, writes, knobs.high, knobs.low)
            if new_mode != mode:
                mode = new_mode
                set_candidates(tables, state, knobs, mode, now, base)
                if knobs.row_timeout_clk > 0:
                    attention = 0
        bound = min(waiting, until)
        if sharing:
            if not visits_left(state, now):
                sharing = False
                attention = 0
            elif scalars[VISITS_LEFT] == 0:
                bound = min(bound, scalars[VISITS_END])
        if i == n and not drain and not sharing:
            break
        if knobs.fcfs:
            keep_oldest(tables, state, mode, now, base)
            if held:
                keys[:] = NO_CANDIDATE
                held = False

        # Work the last command's waits into all keys, and take the least.
        best = least_key(keys, kinds, orders, windows, waits, wait_row, RD + mode, issued_key)
        clk = FAR if best == NO_CANDIDATE else base + (best >> KEY_SHIFT)

        if clk >= attention or clk - base >= _SPAN:
            idle = reads + writes == 0 and not sharing
            if idle and i == n and until == FAR:
                break
            scalars[LAST_COMMAND], scalars[LAST_REQUEST] = last_command, last_request
            served, now = serve_ranks(tables, state, knobs, near, visits, now, clk, bound, idle, log)
            last_command, last_request = scalars[LAST_COMMAND], scalars[LAST_REQUEST]
            attention = attention_clk(tables, state, knobs, near, visits, now, idle)
            if served or clk - base >= _SPAN:
                base, issued_key = now, -NO_CANDIDATE
                windows[:] = 0
                set_candidates(tables, state, knobs, mode, now, base)
            if served:
                held = False
                continue
        if clk >= bound:
            now = bound
            if now == until:
                break
            base, issued_key = now, -NO_CANDIDATE
            windows[:] = 0
            set_candidates(tables, state, knobs, mode, now, base)
            continue
        if best == NO_CANDIDATE:
            break

        bank = best & BANK_MASK
        is_column = best & NOT_COLUMN == 0
        if (
            knobs.refresh_sets
            and not is_column
            and delays_refresh(tables, state, knobs.refresh_sets, bank, clk)
        ):
            keys[bank] = NO_CANDIDATE
            held = True
            continue

        now = clk
        last_command, last_request = max(last_command, now), max(last_request, now)
        group = group_of_bank[bank]
        search = NONE
        if is_column:
            # A column command: the request leaves its queue.
            command = RD + mode
            slot = banks[bank, OLDEST_HIT] & _SLOT_MASK
            before, search = slots[slot, PREVIOUS], slots[slot, NEXT]
            if bank != last_bank:
                other, last_bank = last_bank, bank
            here = banks[bank, QUEUED + mode] + (banks[other, QUEUED + mode] if other != bank else 0)
            alone = streaming and before < 0 and here == reads + writes and here >= _STREAM
            if alone and not (held or sharing):
                other_clk = FAR if keys[other] == NO_CANDIDATE else base + (keys[other] >> KEY_SHIFT)
                issued, others_issued, admitted, clk, others_clk, freed = stream_hits(
                    tables, state, batch, mode, bank, other, i, age, now, other_clk, min(attention, bound)
                )
                if issued + others_issued > 0:
                    if freed >= 0:
                        free[free_slots] = freed
                        free_slots += 1
                    i += admitted
                    age += admitted
                    left = issued + others_issued - admitted
                    reads -= left * (1 - mode)
                    writes -= left * mode
                    now = max(clk, others_clk)
                    last_command, last_request = max(last_command, now), max(last_request, now)
                    end_data(state, knobs, mode, now)
                    if issued > 0:
                        note_hits(tables, state, command, bank, issued, clk)
                    if others_issued > 0:
                        note_hits(tables, state, command, other, others_issued, others_clk)
                    set_again(tables, state, knobs, mode, bank, now, base)
                    set_again(tables, state, knobs, mode, other, now, base)
                    attention = 0 if reads + writes == 0 else attention
                    continue
            leave(state, slot, bank, mode)
            free[free_slots] = slot
            free_slots += 1
            reads -= 1 - mode
            writes -= mode
            banks[bank, LAST_USE] = now
            end = end_data(state, knobs, mode, now)
            if recording and slots[slot, INDEX] >= 0:
                done_clk[slots[slot, INDEX]] = end
            closing = ZERO
            if knobs.closed and closes_itself(
                tables, state, mode, bank, np.int64(rank_of_bank[bank]), search, now
            ):
                closing = ONE
                command += RDA - RD
            if logging:
                row, column, outcome = slots[slot, ROW], slots[slot, COLUMN], slots[slot, OUTCOME]
                write_log(state, log, now, command, bank, row, column, outcome, closing)
        else:
            rank = np.int64(rank_of_bank[bank])
            slot = banks[bank, HEAD + mode] & _SLOT_MASK
            if banks[bank, OPEN_ROW] < 0:
                command, search = ACT, slot
                row = activate(tables, state, slot, bank, rank, now, base)
            else:
                command = PREpb
                row = precharge(state, slot, bank, rank, now)
            if logging:
                closing = ONE if command == PREpb else ZERO
                write_log(state, log, now, command, bank, row, NONE, slots[slot, OUTCOME], closing)
        state.counts[command, bank] += 1
        state.last[command, bank] = now
        rules = command * groups + group
        postpone(bank_next, limit, bank_rules, group_rules, command, bank, rules, now)
        issued_key, wait_row = (now - base) << KEY_SHIFT, rules
        set_candidate(tables, state, knobs, mode, bank, search, now, base)
        if held:  # what was put off for a refresh may have its time now
            held = False
            set_candidates(tables, state, knobs, mode, now, base)
        if knobs.row_timeout_clk > 0:
            attention = min(attention, now + knobs.row_timeout_clk)
        if command >= RD:
            new_mode = _chosen_mode(mode, reads, writes, knobs.high, knobs.low)
            if new_mode != mode:
                mode = new_mode
                set_candidates(tables, state, knobs, mode, now, base)
                if knobs.row_timeout_clk > 0:
                    attention = 0
            if reads + writes == 0 or (sharing and banks[bank, HEAD] < 0 and banks[bank, HEAD + 1] < 0):
                attention = 0

    scalars[NOW], scalars[MODE], scalars[SEQUENCE], scalars[FREE] = now, mode, age, free_slots
    scalars[READS], scalars[WRITES] = reads, writes
    scalars[LAST_COMMAND], scalars[LAST_REQUEST] = last_command, last_request
