"""The state of one channel between two calls of a kernel, and the record that kernels fill."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nmsim.dram.commands import BACKGROUND_STATES, N_COMMANDS, N_NEXT, OUTCOMES, PRECHARGED
from nmsim.dram.lanes import padded
from nmsim.dram.tables import NEVER, Tables

#: A clock after every other: what waits for nothing that is known.
FAR = np.int64(1 << 60)

#: The key of a bank that has no candidate.
NO_CANDIDATE = np.int64(1 << 62)

#: No slot, no bank, no row; and two numbers; all of NumPy for the reason given in `nmsim.dram.commands`.
NONE, ZERO, ONE = np.int64(-1), np.int64(0), np.int64(1)

#: ACTs of a rank that are remembered for the window of activations.
ACT_MEMORY = 64

#: Indices of `State.scalars`.
(
    NOW,  # clock of the last decision
    MODE,  # 0: reads are served, 1: writes
    SEQUENCE,  # number of the next request, counted over the channel's life
    FREE,  # slots on the free stack
    READS,  # queued reads
    WRITES,  # queued writes
    LAST_COMMAND,  # clock of the last command that was not PDE or PDX, or the end of a refresh
    LAST_REQUEST,  # clock of the last command for a request
    DATA_END,  # clock after the last data beat
    LOG_ROWS,  # rows written to the log in this call
    VISITS_LEFT,  # near-memory row visits beside the host that have not begun
    VISITS_END,  # clock of the last PREpb of those that have
    N_SCALARS,
) = range(13)

#: Why a rank, or a bank, takes no requests' commands: bits of BLOCKED. NEAR_MEMORY is a bank's alone.
REFRESHING, POWERED_DOWN, IN_SELF_REFRESH, NEAR_MEMORY = 1, 2, 4, 8


#: Fields of a queued request: columns of `State.slots`. NEXT and PREVIOUS link the requests of one kind
#: (read, write) and bank in the order of arrival; -1 ends the list. ORDER holds the age and the bank (see
#: `nmsim.dram.scheduler`), INDEX the place in the batch of the present call, or -1.
ROW, COLUMN, ORDER, OUTCOME, NEXT, PREVIOUS, INDEX = range(7)
SLOT_FIELDS = 8  # a cache line

#: Fields of a bank: columns of `State.banks`. OLDEST_HIT is the oldest request of the served kind to the
#: open row; HEAD and TAIL are the ends of its list of reads, HEAD + 1 and TAIL + 1 of its list of writes; all
#: are slots, or -1. BANK_BLOCKED holds the bits above, LAST_USE the clock of the last ACT or column command,
#: OVERTAKEN how many column commands since the ACT went before an older request to another row, and QUEUED
#: and QUEUED + 1 the requests in the two lists; VISITS how many near-memory row visits have not begun.
OPEN_ROW, OLDEST_HIT, HEAD, TAIL, QUEUED = 0, 1, 2, 4, 6
BANK_BLOCKED, LAST_USE, OVERTAKEN, VISITS = 8, 9, 10, 11
BANK_FIELDS = 16  # two cache lines

#: Fields of a rank: columns of `State.ranks`. BACKGROUND is an index into BACKGROUND_STATES, SINCE the clock
#: up to which it is accounted. A rank with no open bank is still active until CLOSING, where banks precharge
#: by themselves. REFRESH_SET is the set of banks that the next REFpb refreshes.
OPEN_BANKS, REFRESH_DUE, BLOCKED, BACKGROUND, SINCE, CLOSING, ACT_COUNT, REFRESH_SET, RANK_FIELDS = range(9)


class State(NamedTuple):
    """One channel. B banks, G groups (bank groups of all ranks), R ranks, Q slots of both queues together."""

    scalars: np.ndarray  # (N_SCALARS,)
    bank_next: np.ndarray  # (B, N_NEXT): earliest clock by the rules within the bank
    limit: np.ndarray  # (G * N_NEXT,): earliest clock by all other rules
    last: np.ndarray  # (N_COMMANDS, B): clock of the host's last command of each kind
    near_last: np.ndarray  # (N_COMMANDS, B): of near memory's, which for visits under way is yet to come
    banks: np.ndarray  # (B, BANK_FIELDS)
    # The candidate of each bank, the command that a request of it needs next (see `nmsim.dram.scheduler`):
    # arrays of B, padded to whole vectors.
    keys: np.ndarray  # when it is legal, and its order among those of one clock
    kinds: np.ndarray  # its command
    orders: np.ndarray  # its order alone
    windows: np.ndarray  # the least key that the window of activations leaves to an ACT
    # Queued requests
    slots: np.ndarray  # (Q, SLOT_FIELDS)
    free: np.ndarray  # (Q,): a stack
    cursors: np.ndarray  # (2 B,): room to work in
    ranks: np.ndarray  # (R, RANK_FIELDS)
    acts: np.ndarray  # (R, ACT_MEMORY): clocks of the last ACTs, a ring
    # Counters
    counts: np.ndarray  # (N_COMMANDS, B): see `nmsim.dram.engine.Activity`
    outcomes: np.ndarray  # (len(OUTCOMES), B)
    background_clk: np.ndarray  # (R, len(BACKGROUND_STATES))


#: Columns of a log, an array of int64 of shape (rows, LOG_FIELDS): the first commands of a call. LOG_BANK is
#: the bank of the channel, for commands to a rank its first; LOG_OUTCOME an index into OUTCOMES or -1;
#: LOG_CLOSED the number of banks that a precharge closes; LOG_NEAR is 1 for near memory's commands, else 0.
LOG_CLK, LOG_COMMAND, LOG_BANK, LOG_ROW, LOG_COLUMN, LOG_OUTCOME, LOG_CLOSED, LOG_NEAR, LOG_FIELDS = range(9)


def new_state(tables: Tables, slots: int, refresh_due_clk: np.ndarray) -> State:
    """Return a channel at clock 0: all banks closed, queues empty, each rank's refresh due at its clock."""
    banks, ranks = len(tables.group_of_bank), tables.ranks
    groups = ranks * tables.groups_per_rank

    def full(shape: int | tuple[int, ...], value: int | np.int64) -> np.ndarray:
        return np.full(shape, value, dtype=np.int64)

    scalars = full(N_SCALARS, 0)
    scalars[FREE] = slots
    rank_fields = full((ranks, RANK_FIELDS), 0)
    rank_fields[:, BACKGROUND] = PRECHARGED
    rank_fields[:, REFRESH_DUE] = refresh_due_clk
    bank_fields = full((banks, BANK_FIELDS), -1)
    bank_fields[:, QUEUED:] = 0
    return State(
        scalars=scalars,
        bank_next=full((banks, N_NEXT), NEVER),
        limit=full(groups * N_NEXT, NEVER),
        last=full((N_COMMANDS, banks), NEVER),
        near_last=full((N_COMMANDS, banks), NEVER),
        banks=bank_fields,
        keys=full(padded(banks), NO_CANDIDATE),
        kinds=full(padded(banks), 0),
        orders=full(padded(banks), 0),
        windows=full(padded(banks), 0),
        slots=full((slots, SLOT_FIELDS), -1),
        free=np.arange(slots, dtype=np.int64),
        cursors=full(2 * banks, -1),
        ranks=rank_fields,
        acts=full((ranks, ACT_MEMORY), NEVER),
        counts=full((N_COMMANDS, banks), 0),
        outcomes=full((len(OUTCOMES), banks), 0),
        background_clk=full((ranks, len(BACKGROUND_STATES)), 0),
    )
