"""The state of one channel between two calls of a kernel, and the record that kernels fill."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nmsim.dram.commands import BACKGROUND_STATES, N_BANK_COMMANDS, N_COMMANDS, OUTCOMES, PRECHARGED
from nmsim.dram.tables import NEVER, Tables

#: A clock after every other: what waits for nothing that is known.
FAR = np.int64(1 << 60)

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
    DATA_END,  # clock after the last data beat
    LOG_ROWS,  # rows written to the log in this call
    N_SCALARS,
) = range(10)

#: Why a rank takes no requests' commands: bits of `State.blocked`.
REFRESHING, POWERED_DOWN = 1, 2


#: Fields of a queued request: columns of `State.slots`. NEXT and PREVIOUS link the requests of one kind
#: (read, write) and bank in the order of arrival; -1 ends the list.
ROW, COLUMN, ORDER, OUTCOME, NEXT, PREVIOUS = range(6)
SLOT_FIELDS = 8  # a cache line

#: Fields of a bank: columns of `State.banks`. OLDEST_HIT is the oldest request of the served kind to the
#: open row; HEAD and TAIL are the ends of its list of reads, HEAD + 1 and TAIL + 1 of its list of writes; all
#: are slots, or -1.
OPEN_ROW, OLDEST_HIT, HEAD, TAIL = 0, 1, 2, 4
BANK_FIELDS = 8

#: Fields of a rank: columns of `State.ranks`. BACKGROUND is an index into BACKGROUND_STATES, and SINCE the
#: clock at which that began or up to which it is accounted.
OPEN_BANKS, REFRESH_DUE, BLOCKED, BACKGROUND, SINCE, ACT_COUNT, RANK_FIELDS = range(7)


class State(NamedTuple):
    """One channel. B banks, G groups (bank groups of all ranks), R ranks, Q slots of both queues together."""

    scalars: np.ndarray  # (N_SCALARS,)
    bank_next: np.ndarray  # (B, N_BANK_COMMANDS): earliest clock by the rules within the bank
    limit: np.ndarray  # (G * N_BANK_COMMANDS,): earliest clock by all other rules
    last: np.ndarray  # (N_COMMANDS, B): clock of the last command of each kind
    banks: np.ndarray  # (B, BANK_FIELDS)
    # The candidate of each bank: the command that its oldest row hit, or else its oldest request, needs next.
    ready: np.ndarray  # (B,): earliest clock by the bank's own rules; FAR where there is no candidate
    key: np.ndarray  # (B,) uint32: index into `limit`
    order: np.ndarray  # (B,): smaller goes first among those that are ready together
    # Queued requests
    slots: np.ndarray  # (Q, SLOT_FIELDS)
    free: np.ndarray  # (Q,): a stack
    ranks: np.ndarray  # (R, RANK_FIELDS)
    acts: np.ndarray  # (R, ACT_MEMORY): clocks of the last ACTs, a ring
    # Counters
    counts: np.ndarray  # (N_COMMANDS, B): see `nmsim.dram.engine.Activity`
    outcomes: np.ndarray  # (len(OUTCOMES), B)
    background_clk: np.ndarray  # (R, len(BACKGROUND_STATES))


#: Columns of a log, an array of int64 of shape (rows, LOG_FIELDS): the first commands of a call. LOG_BANK is
#: the bank of the channel, for commands to a rank its first; LOG_OUTCOME an index into OUTCOMES or -1;
#: LOG_CLOSED the number of banks that a precharge closes.
LOG_CLK, LOG_COMMAND, LOG_BANK, LOG_ROW, LOG_COLUMN, LOG_OUTCOME, LOG_CLOSED, LOG_FIELDS = range(8)


def new_state(tables: Tables, slots: int, refresh_interval_clk: int) -> State:
    """Return a channel at clock 0: all banks closed, queues empty, refresh staggered over the ranks."""
    banks, ranks = len(tables.group_of_bank), tables.ranks
    groups = ranks * tables.groups_per_rank

    def full(shape: int | tuple[int, ...], value: int) -> np.ndarray:
        return np.full(shape, value, dtype=np.int64)

    scalars = full(N_SCALARS, 0)
    scalars[FREE] = slots
    rank_fields = full((ranks, RANK_FIELDS), 0)
    rank_fields[:, BACKGROUND] = PRECHARGED
    rank_fields[:, REFRESH_DUE] = refresh_interval_clk - np.arange(ranks) * (refresh_interval_clk // ranks)
    return State(
        scalars=scalars,
        bank_next=full((banks, N_BANK_COMMANDS), NEVER),
        limit=full(groups * N_BANK_COMMANDS, NEVER),
        last=full((N_COMMANDS, banks), NEVER),
        banks=full((banks, BANK_FIELDS), -1),
        ready=full(banks, FAR),
        key=np.zeros(banks, dtype=np.uint32),
        order=full(banks, FAR),
        slots=full((slots, SLOT_FIELDS), -1),
        free=np.arange(slots, dtype=np.int64),
        ranks=rank_fields,
        acts=full((ranks, ACT_MEMORY), NEVER),
        counts=full((N_COMMANDS, banks), 0),
        outcomes=full((len(OUTCOMES), banks), 0),
        background_clk=full((ranks, len(BACKGROUND_STATES)), 0),
    )
