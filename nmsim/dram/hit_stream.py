"""Row hits in a row: where all that is queued goes to one or two open rows, a loop of their own (Numba)."""

from __future__ import annotations

import numpy as np

from nmsim.dram.candidates import BANK_BITS, LAST_AGE
from nmsim.dram.commands import (
    HIT,
    N_NEXT,
    RD,
)
from nmsim.dram.rules import (
    apply_rules,
    helper,
)
from nmsim.dram.state import (
    COLUMN,
    FAR,
    HEAD,
    INDEX,
    LAST_USE,
    NEXT,
    NONE,
    OLDEST_HIT,
    OPEN_ROW,
    ORDER,
    OUTCOME,
    PREVIOUS,
    QUEUED,
    ROW,
    TAIL,
    ZERO,
)


@helper
def stream_hits(tables, state, batch, mode, bank, other, i, age, least, other_clk, end_clk):
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
        if i + admitted < n and age + admitted < LAST_AGE:
            to = batch.bank[i + admitted]
            its_row = row if to == bank else (other_row if to == other else NONE)
        if its_row < 0 or batch.row[i + admitted] != its_row or batch.is_write[i + admitted] != (mode == 1):
            freed = slot
            break
        tail = banks[to, TAIL + mode]
        slots[slot, ROW] = batch.row[i + admitted]
        slots[slot, COLUMN] = batch.column[i + admitted]
        slots[slot, ORDER] = ((age + admitted) << BANK_BITS) | to
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
def note_hits(tables, state, command, bank, hits, last_clk):
    """Note column commands to one bank, the last at clock `last_clk`."""
    state.banks[bank, LAST_USE] = last_clk
    state.counts[command, bank] += hits
    apply_rules(tables, state, command, bank, last_clk)
