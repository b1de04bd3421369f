"""The state of one channel between two calls of a kernel, and the record that kernels fill."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nmsim.dram.commands import BACKGROUND_STATES, N_BANK_COMMANDS, N_COMMANDS, OUTCOMES, PRECHARGED
from nmsim.dram.tables import NEVER, Tables

#: A clock after every other: what waits for nothing that is known.
FAR = 1 << 60

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
    LAST_COMMAND,  # clock of the last command that was not PDE or PDX
    DATA_END,  # clock after the last data beat
    LOG_ROWS,  # rows written to the log in this call
    N_SCALARS,
) = range(10)

#: Why a rank takes no requests' commands: bits of `State.blocked`.
REFRESHING, POWERED_DOWN = 1, 2


#: Fields of a queued request: columns of `State.slots`. NEXT and PREVIOUS link the requests of one kind (read,
#: write) and bank in the order of arrival; -1 ends the list.
ROW, COLUMN, ORDER, OUTCOME, NEXT, PREVIOUS = range(6)
SLOT_FIELDS = 8  # a cache line


class State(NamedTuple):
    """One channel. B banks, G groups (bank groups of all ranks), R ranks, Q slots of both queues together."""

    scalars: np.ndarray  # (N_SCALARS,)
    bank_next: np.ndarray  # (B, N_BANK_COMMANDS): earliest clock by the rules within the bank
    limit: np.ndarray  # (G * N_BANK_COMMANDS,): earliest clock by all other rules
    last: np.ndarray  # (N_COMMANDS, B): clock of the last command of each kind
    open_row: np.ndarray  # (B,): -1 where closed
    # The candidate of each bank: the command that its oldest row hit, or else its oldest request, needs next.
    ready: np.ndarray  # (B,): earliest clock by the bank's own rules; FAR where there is no candidate
    key: np.ndarray  # (B,) uint32: index into `limit`
    order: np.ndarray  # (B,): smaller goes first among those that are ready together
    # Queued requests
    slots: np.ndarray  # (Q, SLOT_FIELDS)
    free: np.ndarray  # (Q,): a stack
    head: np.ndarray  # (2, B): oldest request of each kind, -1 where none
    tail: np.ndarray  # (2, B)
    hit: np.ndarray  # (B,): oldest request of the served kind to the open row, -1 where none
    # Ranks
    acts: np.ndarray  # (R, ACT_MEMORY): clocks of the last ACTs, a ring
    act_count: np.ndarray  # (R,)
    open_banks: np.ndarray  # (R,)
    refresh_due: np.ndarray  # (R,)
    blocked: np.ndarray  # (R,): bits REFRESHING, POWERED_DOWN
    background: np.ndarray  # (R,): index into BACKGROUND_STATES
    since: np.ndarray  # (R,): clock at which that began, or was last accounted
    # Counters
    counts: np.ndarray  # (N_COMMANDS, B): see `nmsim.dram.engine.Activity`
    outcomes: np.ndarray  # (len(OUTCOMES), B)
    background_clk: np.ndarray  # (R, len(BACKGROUND_STATES))


class Log(NamedTuple):
    """The first commands of a call, in the order of time; arrays of int64, shape (rows,).

    `closed` is the number of banks that a PREpb or PREab closes, `outcome` an index into OUTCOMES or -1.
    """

    clk: np.ndarray
    command: np.ndarray
    bank: np.ndarray  # of the channel; the first bank of the rank for commands to a rank
    row: np.ndarray
    column: np.ndarray
    outcome: np.ndarray
    closed: np.ndarray


def new_log(rows: int) -> Log:
    """Return an empty log for at most `rows` commands."""
    return Log(*(np.empty(rows, dtype=np.int64) for _ in Log._fields))


def new_state(tables: Tables, slots: int, refresh_interval_clk: int) -> State:
    """Return a channel at clock 0: all banks closed, queues empty, refresh staggered over the ranks."""
    banks, ranks = len(tables.group_of_bank), tables.ranks
    groups = ranks * tables.groups_per_rank

    def full(shape: int | tuple[int, ...], value: int) -> np.ndarray:
        return np.full(shape, value, dtype=np.int64)

    scalars = full(N_SCALARS, 0)
    scalars[FREE] = slots
    first_due = refresh_interval_clk - np.arange(ranks, dtype=np.int64) * (refresh_interval_clk // ranks)
    return State(
        scalars=scalars,
        bank_next=full((banks, N_BANK_COMMANDS), NEVER),
        limit=full(groups * N_BANK_COMMANDS, NEVER),
        last=full((N_COMMANDS, banks), NEVER),
        open_row=full(banks, -1),
        ready=full(banks, FAR),
        key=np.zeros(banks, dtype=np.uint32),
        order=full(banks, FAR),
        slots=full((slots, SLOT_FIELDS), -1),
        free=np.arange(slots, dtype=np.int64),
        head=full((2, banks), -1),
        tail=full((2, banks), -1),
        hit=full(banks, -1),
        acts=full((ranks, ACT_MEMORY), NEVER),
        act_count=full(ranks, 0),
        open_banks=full(ranks, 0),
        refresh_due=first_due,
        blocked=full(ranks, 0),
        background=full(ranks, PRECHARGED),
        since=full(ranks, 0),
        counts=full((N_COMMANDS, banks), 0),
        outcomes=full((len(OUTCOMES), banks), 0),
        background_clk=full((ranks, len(BACKGROUND_STATES)), 0),
    )
