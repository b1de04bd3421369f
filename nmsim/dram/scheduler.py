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
and so does what arrives, hits are issued in a loop of their own (`_stream_hits`).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from nmsim.dram.commands import (
    ACT,
    CONFLICT,
    HIT,
    MISS,
    N_NEXT,
    PDE,
    PDX,
    RD,
    RDA,
    SRE,
    SRX,
    PREab,
    PREpb,
    REFab,
    REFpb,
)
from nmsim.dram.lanes import least_key
from nmsim.dram.near import begin_visit, may_begin, next_visit, postponed_clk, visits_left
from nmsim.dram.rules import (
    apply_rules,
    block,
    closed,
    delays_refresh,
    earliest_of_bank,
    earliest_of_rank,
    earliest_within,
    helper,
    inlined,
    issue_rank,
    issue_refresh_of_set,
    note_act,
    open_bank_of_set,
    opened,
    postpone,
    write_log,
)
from nmsim.dram.state import (
    BANK_BLOCKED,
    BLOCKED,
    COLUMN,
    DATA_END,
    FAR,
    FREE,
    HEAD,
    IN_SELF_REFRESH,
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
    OPEN_BANKS,
    OPEN_ROW,
    ORDER,
    OUTCOME,
    OVERTAKEN,
    POWERED_DOWN,
    PREVIOUS,
    QUEUED,
    READS,
    REFRESH_DUE,
    REFRESH_SET,
    REFRESHING,
    ROW,
    SEQUENCE,
    TAIL,
    VISITS,
    VISITS_END,
    VISITS_LEFT,
    WRITES,
    ZERO,
)
from nmsim.dram.tables import KEY_SHIFT

_BANK_BITS, _AGE_BITS = 10, 21
_BANK_MASK = (1 << _BANK_BITS) - 1
_LAST_AGE = 1 << _AGE_BITS
_NOT_COLUMN = 1 << (_BANK_BITS + _AGE_BITS)
_ORDER_MASK = (1 << KEY_SHIFT) - 1
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


@inlined
def _set_candidate(tables, state, knobs, mode, bank, search, now, base):
    """Work out anew which command a bank's requests need next; no hit is queued before the slot `search`."""
    row, oldest = state.banks[bank, OPEN_ROW], state.banks[bank, HEAD + mode]
    hit = search if row >= 0 else NONE
    while hit >= 0 and state.slots[hit, ROW] != row:
        hit = state.slots[hit, NEXT]
    state.banks[bank, OLDEST_HIT] = hit
    if oldest < 0 or state.banks[bank, BANK_BLOCKED]:
        state.keys[bank] = NO_CANDIDATE
        return
    if hit >= 0 and hit != oldest and knobs.row_hit_cap and state.banks[bank, OVERTAKEN] >= knobs.row_hit_cap:
        hit = NONE
    if hit >= 0:
        command, order = RD + mode, state.slots[hit, ORDER]
    else:
        command, order = ACT if row < 0 else PREpb, state.slots[oldest, ORDER] | _NOT_COLUMN
    when = max(state.bank_next[bank, command], state.limit[tables.group_of_bank[bank] * N_NEXT + command])
    state.keys[bank] = ((max(when, now) - base) << KEY_SHIFT) | order
    state.kinds[bank] = command
    state.orders[bank] = order


@helper
def _set_again(tables, state, knobs, mode, bank, now, base):
    _set_candidate(tables, state, knobs, mode, bank, state.banks[bank, HEAD + mode], now, base)


@helper
def _set_candidates(tables, state, knobs, mode, now, base):
    for bank in range(len(state.banks)):
        _set_candidate(tables, state, knobs, mode, bank, state.banks[bank, HEAD + mode], now, base)


@helper
def _keep_oldest(tables, state, mode, now, base):
    """Leave only the candidate of the oldest request of the served kind (FCFS)."""
    oldest, chosen = FAR, NONE
    for bank in range(len(state.banks)):
        state.keys[bank] = NO_CANDIDATE
        head = state.banks[bank, HEAD + mode]
        if head >= 0 and state.slots[head, ORDER] < oldest:
            oldest, chosen = state.slots[head, ORDER], bank
    if chosen < 0 or state.banks[chosen, BANK_BLOCKED]:
        return
    head, row = state.banks[chosen, HEAD + mode], state.banks[chosen, OPEN_ROW]
    if state.slots[head, ROW] == row:
        command, order = RD + mode, oldest
    else:
        command, order = ACT if row < 0 else PREpb, oldest | _NOT_COLUMN
    when = max(state.bank_next[chosen, command], state.limit[tables.group_of_bank[chosen] * N_NEXT + command])
    state.keys[chosen] = ((max(when, now) - base) << KEY_SHIFT) | order
    state.kinds[chosen] = command
    state.orders[chosen] = order


@helper
def _renumber(state):
    """Count the ages of the queued requests from 0 again; return the next age."""
    # The lists of all banks are in order of age: take the oldest head until none is left.
    for bank in range(len(state.banks)):
        for kind in range(2):
            state.cursors[2 * bank + kind] = state.banks[bank, HEAD + kind]
    age = np.int64(0)
    while True:
        oldest, chosen = FAR, NONE
        for i in range(len(state.cursors)):
            slot = state.cursors[i]
            if slot >= 0 and state.slots[slot, ORDER] < oldest:
                oldest, chosen = state.slots[slot, ORDER], i
        if chosen < 0:
            return age
        slot = state.cursors[chosen]
        state.cursors[chosen] = state.slots[slot, NEXT]
        state.slots[slot, ORDER] = (age << _BANK_BITS) | (oldest & _BANK_MASK)
        age += 1


@helper
def _wants_row(state, slot, row):
    """Return whether a request from this slot on in its list wants the row."""
    while slot >= 0:
        if state.slots[slot, ROW] == row:
            return True
        slot = state.slots[slot, NEXT]
    return False


@helper
def _may_close(tables, state, command, bank, now):
    """Return whether the bank's rules allow auto-precharge where they allow the column command without."""
    return earliest_within(tables, state, command, bank) <= now


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
def _serve_ranks(tables, state, knobs, near, visits, now, best, bound, idle, log):
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
def _attention_clk(tables, state, knobs, near, visits, now, idle):
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


@helper
def _stream_hits(tables, state, batch, mode, bank, other, i, age, least, other_clk, end_clk):
    """Issue row hits of one bank, or of two by turns, and admit the requests that follow; return how many.

    All that is queued must be of the served kind and for these two banks, and the queue full unless `i`, the
    next request to come in, is the batch's end. `least` is the clock at which the oldest request of `bank`, a
    hit, is legal, and `other_clk` that of the other bank's candidate. Only clocks before `end_clk` count.

    Returns
    -------
    issued, others_issued, admitted : int
        Hits of `bank`, of the other bank, and requests that came in.
    last_clk, others_last_clk : int
        Of the last command to each bank; -1 where there was none.
    freed : int
        The slot that the last request left, where none took it; else -1.
    """
    slots, banks = state.slots, state.banks
    n, command = len(batch.bank), RD + mode
    row, other_row = banks[bank, OPEN_ROW], banks[other, OPEN_ROW]
    groups = len(state.limit) // N_NEXT
    first, second = np.int64(tables.group_of_bank[bank]), np.int64(tables.group_of_bank[other])
    from_first, from_second = command * groups + first, command * groups + second
    to_first, to_second = first * N_NEXT + command, second * N_NEXT + command
    in_bank = tables.bank_next[command, command]
    own = max(in_bank, tables.group_next[from_first, to_first])
    others_own = max(in_bank, tables.group_next[from_second, to_second])
    to_other = tables.group_next[from_first, to_second]
    from_other = tables.group_next[from_second, to_first]
    # The other bank takes part where its oldest request is a hit too; else its candidate ends the stream.
    its_hit = banks[other, OLDEST_HIT]
    both = other != bank and its_hit >= 0 and its_hit == banks[other, HEAD + mode]
    clk, theirs = least, other_clk
    if not both:
        end_clk, theirs, other_row = min(end_clk, other_clk), FAR, NONE
    issued, others_issued, admitted, last, others_last, freed = ZERO, ZERO, ZERO, NONE, NONE, NONE
    while True:
        mine = clk < theirs
        if clk == theirs:
            mine = slots[banks[bank, HEAD + mode], ORDER] < slots[banks[other, HEAD + mode], ORDER]
        at = bank if mine else other
        t = clk if mine else theirs
        slot = banks[at, HEAD + mode]
        if t >= end_clk:
            break
        # The request leaves its queue, and the next one takes its slot.
        following = slots[slot, NEXT]
        banks[at, HEAD + mode] = following
        if following >= 0:
            slots[following, PREVIOUS] = -1
        else:
            banks[at, TAIL + mode] = -1
        banks[at, QUEUED + mode] -= 1
        state.outcomes[slots[slot, OUTCOME], at] += 1
        if mine:
            issued += 1
            last, clk, theirs = t, t + own, max(theirs, t + to_other)
        else:
            others_issued += 1
            others_last, theirs, clk = t, t + others_own, max(clk, t + from_other)
        to, its_row = NONE, NONE
        if i + admitted < n and age + admitted < _LAST_AGE:
            to = batch.bank[i + admitted]
            its_row = row if to == bank else (other_row if to == other else NONE)
        if its_row < 0 or batch.row[i + admitted] != its_row or batch.is_write[i + admitted] != (mode == 1):
            freed = slot
            break
        tail = banks[to, TAIL + mode]
        slots[slot, ROW] = batch.row[i + admitted]
        slots[slot, COLUMN] = batch.column[i + admitted]
        slots[slot, ORDER] = ((age + admitted) << _BANK_BITS) | to
        slots[slot, OUTCOME] = HIT
        slots[slot, NEXT] = -1
        slots[slot, PREVIOUS] = tail
        slots[slot, INDEX] = i + admitted
        if tail < 0:
            banks[to, HEAD + mode] = slot
        else:
            slots[tail, NEXT] = slot
        banks[to, TAIL + mode] = slot
        banks[to, QUEUED + mode] += 1
        admitted += 1
        head = banks[at, HEAD + mode]
        if head < 0 or slots[head, ROW] != (row if mine else other_row):  # its candidate is another command
            break
        # After the batch's end others may follow; for a request of the other kind there is room.
        if i + admitted == n or batch.is_write[i + admitted] != (mode == 1):
            break
    return issued, others_issued, admitted, last, others_last, freed


@helper
def _note_hits(tables, state, command, bank, hits, last_clk):
    """Note column commands to one bank, the last at clock `last_clk`."""
    state.banks[bank, LAST_USE] = last_clk
    state.counts[command, bank] += hits
    apply_rules(tables, state, command, bank, last_clk)


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
    request_bank, request_row, request_column = batch.bank, batch.row, batch.column
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
    _set_candidates(tables, state, knobs, mode, now, base)
    # What the last command makes all banks wait for is worked into their keys when the least is looked for.
    wait_row = np.int64(0)
    issued_key, held = -NO_CANDIDATE, False
    sharing = scalars[VISITS_LEFT] > 0
    attention = _attention_clk(tables, state, knobs, near, visits, now, reads + writes == 0 and not sharing)

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
            if age == _LAST_AGE:
                age = _renumber(state)
                _set_candidates(tables, state, knobs, mode, now, base)
            free_slots -= 1
            slot = free[free_slots] & _SLOT_MASK
            before = banks[bank, TAIL + kind]
            banks[bank, TAIL + kind] = slot
            banks[bank, QUEUED + kind] += 1
            slots[slot, ROW] = request_row[i]
            slots[slot, COLUMN] = request_column[i]
            slots[slot, ORDER] = (age << _BANK_BITS) | bank
            slots[slot, OUTCOME] = HIT
            slots[slot, NEXT] = -1
            slots[slot, PREVIOUS] = before
            slots[slot, INDEX] = i
            if before < 0:
                banks[bank, HEAD + kind] = slot
            else:
                slots[before, NEXT] = slot
            age += 1
            i += 1
            reads += 1 - kind
            writes += kind
            if kind == mode and banks[bank, OLDEST_HIT] < 0:
                _set_candidate(tables, state, knobs, mode, bank, slot, now, base)
            new_mode = _chosen_mode(mode, reads, writes, knobs.high, knobs.low)
            if new_mode != mode:
                mode = new_mode
                _set_candidates(tables, state, knobs, mode, now, base)
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
            _keep_oldest(tables, state, mode, now, base)
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
            served, now = _serve_ranks(tables, state, knobs, near, visits, now, clk, bound, idle, log)
            last_command, last_request = scalars[LAST_COMMAND], scalars[LAST_REQUEST]
            attention = _attention_clk(tables, state, knobs, near, visits, now, idle)
            if served or clk - base >= _SPAN:
                base, issued_key = now, -NO_CANDIDATE
                windows[:] = 0
                _set_candidates(tables, state, knobs, mode, now, base)
            if served:
                held = False
                continue
        if clk >= bound:
            now = bound
            if now == until:
                break
            base, issued_key = now, -NO_CANDIDATE
            windows[:] = 0
            _set_candidates(tables, state, knobs, mode, now, base)
            continue
        if best == NO_CANDIDATE:
            break

        bank = best & _BANK_MASK
        is_column = best & _NOT_COLUMN == 0
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
                issued, others_issued, admitted, clk, others_clk, freed = _stream_hits(
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
                    end = now + (knobs.write_done_clk if mode else knobs.read_done_clk)
                    scalars[DATA_END] = max(scalars[DATA_END], end)
                    if issued > 0:
                        _note_hits(tables, state, command, bank, issued, clk)
                    if others_issued > 0:
                        _note_hits(tables, state, command, other, others_issued, others_clk)
                    _set_again(tables, state, knobs, mode, bank, now, base)
                    _set_again(tables, state, knobs, mode, other, now, base)
                    attention = 0 if reads + writes == 0 else attention
                    continue
            if before < 0:
                banks[bank, HEAD + mode] = search
            else:
                slots[before, NEXT] = search
                banks[bank, OVERTAKEN] += 1
            if search < 0:
                banks[bank, TAIL + mode] = before
            else:
                slots[search, PREVIOUS] = before
            banks[bank, QUEUED + mode] -= 1
            free[free_slots] = slot
            free_slots += 1
            reads -= 1 - mode
            writes -= mode
            state.outcomes[slots[slot, OUTCOME], bank] += 1
            banks[bank, LAST_USE] = now
            end = now + (knobs.write_done_clk if mode else knobs.read_done_clk)
            scalars[DATA_END] = max(scalars[DATA_END], end)
            if recording and slots[slot, INDEX] >= 0:
                done_clk[slots[slot, INDEX]] = end
            closing = ZERO
            if knobs.closed:
                row, other = banks[bank, OPEN_ROW], banks[bank, HEAD + 1 - mode]
                wanted = _wants_row(state, search, row) or _wants_row(state, other, row)
                if not wanted and _may_close(tables, state, RDA + mode, bank, now):
                    closing = ONE
                    command += RDA - RD
                    begins = now + (tables.write_close_clk if mode else tables.read_close_clk)
                    begins = max(begins, state.last[ACT, bank] + tables.act_close_clk)
                    closed(state, np.int64(rank_of_bank[bank]), ONE, begins)
                    banks[bank, OPEN_ROW] = -1
            if logging:
                row, column, outcome = slots[slot, ROW], slots[slot, COLUMN], slots[slot, OUTCOME]
                write_log(state, log, now, command, bank, row, column, outcome, closing)
        else:
            rank = np.int64(rank_of_bank[bank])
            slot = banks[bank, HEAD + mode] & _SLOT_MASK
            if banks[bank, OPEN_ROW] < 0:
                command = ACT
                if slots[slot, OUTCOME] == HIT:
                    slots[slot, OUTCOME] = MISS
                row = slots[slot, ROW]
                banks[bank, OPEN_ROW] = row
                banks[bank, LAST_USE] = now
                banks[bank, OVERTAKEN] = 0
                search = slot
                opened(state, rank, now)
                window_clk = note_act(tables, state, rank, now)
                first = rank * tables.banks_per_rank
                window_key = max(window_clk - base, 0) << KEY_SHIFT
                windows[first : first + tables.banks_per_rank] = window_key
            else:
                command = PREpb
                slots[slot, OUTCOME] = CONFLICT
                row = banks[bank, OPEN_ROW]
                banks[bank, OPEN_ROW] = -1
                closed(state, rank, ONE, now)
            if logging:
                closing = ONE if command == PREpb else ZERO
                write_log(state, log, now, command, bank, row, NONE, slots[slot, OUTCOME], closing)
        state.counts[command, bank] += 1
        state.last[command, bank] = now
        rules = command * groups + group
        postpone(bank_next, limit, bank_rules, group_rules, command, bank, rules, now)
        issued_key, wait_row = (now - base) << KEY_SHIFT, rules
        _set_candidate(tables, state, knobs, mode, bank, search, now, base)
        if held:  # what was put off for a refresh may have its time now
            held = False
            _set_candidates(tables, state, knobs, mode, now, base)
        if knobs.row_timeout_clk > 0:
            attention = min(attention, now + knobs.row_timeout_clk)
        if command >= RD:
            new_mode = _chosen_mode(mode, reads, writes, knobs.high, knobs.low)
            if new_mode != mode:
                mode = new_mode
                _set_candidates(tables, state, knobs, mode, now, base)
                if knobs.row_timeout_clk > 0:
                    attention = 0
            if reads + writes == 0 or (sharing and banks[bank, HEAD] < 0 and banks[bank, HEAD + 1] < 0):
                attention = 0

    scalars[NOW], scalars[MODE], scalars[SEQUENCE], scalars[FREE] = now, mode, age, free_slots
    scalars[READS], scalars[WRITES] = reads, writes
    scalars[LAST_COMMAND], scalars[LAST_REQUEST] = last_command, last_request
