"""What each bank would do next: its candidate command, as one integer key (Numba).

A *key* is the clock at which the command is legal (from bit `KEY_SHIFT` on, relative to `base`), then its
order among the candidates of one clock: column commands before others (bit 31), the older request first
(21 bits), the bank (10 bits). So the least key of all banks is the command to issue.
"""

from __future__ import annotations

import numpy as np

from nmsim.dram.commands import (
    ACT,
    N_NEXT,
    RD,
    PREpb,
)
from nmsim.dram.rules import (
    helper,
    inlined,
)
from nmsim.dram.state import (
    BANK_BLOCKED,
    FAR,
    HEAD,
    NEXT,
    NO_CANDIDATE,
    NONE,
    OLDEST_HIT,
    OPEN_ROW,
    ORDER,
    OVERTAKEN,
    ROW,
)
from nmsim.dram.tables import KEY_SHIFT

BANK_BITS, _AGE_BITS = 10, 21
BANK_MASK = (1 << BANK_BITS) - 1
LAST_AGE = 1 << _AGE_BITS
NOT_COLUMN = 1 << (BANK_BITS + _AGE_BITS)


@inlined
def set_candidate(tables, state, knobs, mode, bank, search, now, base):
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
        command, order = ACT if row < 0 else PREpb, state.slots[oldest, ORDER] | NOT_COLUMN
    when = max(state.bank_next[bank, command], state.limit[tables.group_of_bank[bank] * N_NEXT + command])
    state.keys[bank] = ((max(when, now) - base) << KEY_SHIFT) | order
    state.kinds[bank] = command
    state.orders[bank] = order


@helper
def set_again(tables, state, knobs, mode, bank, now, base):
    set_candidate(tables, state, knobs, mode, bank, state.banks[bank, HEAD + mode], now, base)


@helper
def set_candidates(tables, state, knobs, mode, now, base):
    for bank in range(len(state.banks)):
        set_candidate(tables, state, knobs, mode, bank, state.banks[bank, HEAD + mode], now, base)


@helper
def keep_oldest(tables, state, mode, now, base):
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
        command, order = ACT if row < 0 else PREpb, oldest | NOT_COLUMN
    when = max(state.bank_next[chosen, command], state.limit[tables.group_of_bank[chosen] * N_NEXT + command])
    state.keys[chosen] = ((max(when, now) - base) << KEY_SHIFT) | order
    state.kinds[chosen] = command
    state.orders[chosen] = order


@helper
def renumber(state):
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
        state.slots[slot, ORDER] = (age << BANK_BITS) | (oldest & BANK_MASK)
        age += 1
