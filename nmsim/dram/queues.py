"""A request's way through the queues of its bank, and the rows that open and close for it (Numba).

The requests of a bank wait in two lists, reads and writes, oldest first: slots that know the ones before and
behind them. All that is here becomes a part of `scheduler.schedule`, which takes no longer for its being
written apart.
"""

from __future__ import annotations

from nmsim.dram.candidates import BANK_BITS
from nmsim.dram.commands import ACT, CONFLICT, HIT, MISS, RDA
from nmsim.dram.rules import closed, earliest_within, helper, inlined, note_act, opened
from nmsim.dram.state import (
    COLUMN,
    DATA_END,
    HEAD,
    INDEX,
    LAST_USE,
    NEXT,
    ONE,
    OPEN_ROW,
    ORDER,
    OUTCOME,
    OVERTAKEN,
    PREVIOUS,
    QUEUED,
    ROW,
    TAIL,
)
from nmsim.dram.tables import KEY_SHIFT


@inlined
def join(state, batch, i, slot, bank, kind, age):
    """Put request i of a batch into a slot, at the end of its bank's list."""
    banks, slots = state.banks, state.slots
    before = banks[bank, TAIL + kind]
    banks[bank, TAIL + kind] = slot
    banks[bank, QUEUED + kind] += 1
    slots[slot, ROW] = batch.row[i]
    slots[slot, COLUMN] = batch.column[i]
    slots[slot, ORDER] = (age << BANK_BITS) | bank
    slots[slot, OUTCOME] = HIT
    slots[slot, NEXT] = -1
    slots[slot, PREVIOUS] = before
    slots[slot, INDEX] = i
    if before < 0:
        banks[bank, HEAD + kind] = slot
    else:
        slots[before, NEXT] = slot


@inlined
def leave(state, slot, bank, kind):
    """Take a served request out of its bank's list."""
    banks, slots = state.banks, state.slots
    before, behind = slots[slot, PREVIOUS], slots[slot, NEXT]
    if before < 0:
        banks[bank, HEAD + kind] = behind
    else:
        slots[before, NEXT] = behind
        banks[bank, OVERTAKEN] += 1
    if behind < 0:
        banks[bank, TAIL + kind] = before
    else:
        slots[behind, PREVIOUS] = before
    banks[bank, QUEUED + kind] -= 1
    state.outcomes[slots[slot, OUTCOME], bank] += 1


@inlined
def end_data(state, knobs, mode, now):
    """Note and return the clock after the last data beat of a column command at `now`."""
    end = now + (knobs.write_done_clk if mode else knobs.read_done_clk)
    state.scalars[DATA_END] = max(state.scalars[DATA_END], end)
    return end


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


@inlined
def closes_itself(tables, state, mode, bank, rank, behind, now):
    """Close the row with the column command at `now`, if no other request wants it; return whether.

    `behind` is the next request of the list that the served one was in.
    """
    row, other = state.banks[bank, OPEN_ROW], state.banks[bank, HEAD + 1 - mode]
    if _wants_row(state, behind, row) or _wants_row(state, other, row):
        return False
    if not _may_close(tables, state, RDA + mode, bank, now):
        return False
    begins = now + (tables.write_close_clk if mode else tables.read_close_clk)
    closed(state, rank, ONE, max(begins, state.last[ACT, bank] + tables.act_close_clk))
    state.banks[bank, OPEN_ROW] = -1
    return True


@inlined
def activate(tables, state, slot, bank, rank, now, base):
    """Open the row that a request wants; return it."""
    banks, slots = state.banks, state.slots
    if slots[slot, OUTCOME] == HIT:
        slots[slot, OUTCOME] = MISS
    row = slots[slot, ROW]
    banks[bank, OPEN_ROW] = row
    banks[bank, LAST_USE] = now
    banks[bank, OVERTAKEN] = 0
    opened(state, rank, now)
    window_clk = note_act(tables, state, rank, now)
    first = rank * tables.banks_per_rank
    state.windows[first : first + tables.banks_per_rank] = max(window_clk - base, 0) << KEY_SHIFT
    return row


@inlined
def precharge(state, slot, bank, rank, now):
    """Close the row that stands in a request's way; return it."""
    state.slots[slot, OUTCOME] = CONFLICT
    row = state.banks[bank, OPEN_ROW]
    state.banks[bank, OPEN_ROW] = -1
    closed(state, rank, ONE, now)
    return row
