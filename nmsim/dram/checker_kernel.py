"""One pass over a log of commands (Numba): what each must wait for, and what state its bank and rank are in.

The engine works out, when it issues a command, from when on others are allowed. Here it is the other way
round: what came is remembered, and a command looks back at all that the standard says it must wait for.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nmsim.compiled import njit
from nmsim.dram.commands import ACT, N_BANK_COMMANDS, PDE, PDX, RDA, SRE, SRX, WRA, PREpb, REFab, REFpb

#: The longest window of a row, a power of two: commands that are remembered of each place.
DEPTH = 64
#: A clock before every other, and one after; of NumPy for the reason given in `nmsim.dram.commands`.
NEVER, FAR = np.int64(-(1 << 60)), np.int64(1 << 60)

#: What a command breaks that comes in the wrong state. A violation of the i-th is numbered -1 - i; one of a
#: row of the table by the row's number.
STATE_RULES = (
    "order of time",
    "ACT to an open bank",
    "column command to a closed bank",
    "column command to another row than the open one",
    "REFab with an open bank",
    "REFpb with an open bank",
    "SRE with an open bank",
    "command in power-down",
    "command in self-refresh",
    "PDX without PDE",
    "SRX without SRE",
    "refresh postponed too often",
    "REFpb to one set of banks again before the others",
)
(
    BACKWARDS,
    ACT_OPEN,
    COLUMN_CLOSED,
    COLUMN_OTHER_ROW,
    REFAB_OPEN,
    REFPB_OPEN,
    SRE_OPEN,
    IN_POWER_DOWN,
    IN_SELF_REFRESH,
    PDX_AWAKE,
    SRX_AWAKE,
    OVERDUE,
    UNEVEN,
) = -1 - np.arange(len(STATE_RULES))

#: States of a bank beside its open row, and of a rank. UNKNOWN: the log began in the midst of a run.
CLOSED, UNKNOWN = -1, -2
AWAKE, POWERED_DOWN, SELF_REFRESH = 0, 1, 2


class Commands(NamedTuple):
    """A log; arrays of shape (n,). `kind`: command, + N_COMMANDS if from near memory; `place`: see Places."""

    clk: np.ndarray
    command: np.ndarray
    kind: np.ndarray
    place: np.ndarray
    rank: np.ndarray
    row: np.ndarray


class Lists(NamedTuple):
    """Lists of numbers one after another: list i is `items[starts[i] : starts[i + 1]]`."""

    starts: np.ndarray
    items: np.ndarray


class Places(NamedTuple):
    """What commands touch. A place is a bank, or a set of banks that is refreshed together, or a rank.

    Attributes
    ----------
    touched : Lists
        Of level * places + place: the units (banks, groups, ranks, …) of that level that are touched.
    n_places : int
        Places.
    """

    touched: Lists
    n_places: int


class Rules(NamedTuple):
    """The rows of a standard as they are to be read (`nmsim.dram.checker`): arrays of shape (readings,).

    `row` is the number of the row; `unit_level` the level whose units the later command looks at. `binding`
    lists the readings that a command of each kind must obey.
    """

    row: np.ndarray
    latency: np.ndarray
    window: np.ndarray
    memory: np.ndarray
    unit_level: np.ndarray
    binding: Lists


class Memories(NamedTuple):
    """Rings of clocks: of each memory and unit the last commands of the kinds that the memory remembers.

    Attributes
    ----------
    first, depth, level : ndarray, shape (memories,)
        Where the memory's rings begin in `clocks`; clocks of a ring, 1 or DEPTH; level of the units.
    remembering : Lists
        Of each kind of command, the memories that it goes into.
    clocks, taken : ndarray, shape (all clocks,)
        The rings, and at the first place of each how many clocks it has taken.
    """

    first: np.ndarray
    depth: np.ndarray
    level: np.ndarray
    remembering: Lists
    clocks: np.ndarray
    taken: np.ndarray


class Refreshing(NamedTuple):
    """How often to refresh: clocks that a REFab or REFpb is good for, and how much may be owed or in advance.

    `unit_clk` is the interval that the controller refreshes by, one of the first two.
    """

    all_bank_clk: int
    per_bank_clk: int
    unit_clk: int
    postponed_clk: int


class State(NamedTuple):
    """The channel as the commands so far have left it; arrays by bank, rank, or rank and set.

    `paid` is the clock up to which a rank is refreshed; `scalars` the last clock, and the clock after which a
    refresh is overdue.
    """

    open_row: np.ndarray
    mode: np.ndarray
    paid: np.ndarray
    last_refresh: np.ndarray
    asleep_since: np.ndarray
    is_overdue: np.ndarray
    visited: np.ndarray
    scalars: np.ndarray


LAST_CLK, DEADLINE = 0, 1

_helper = njit(cache=True, no_cpython_wrapper=True)


@_helper
def _note(found, n, i, rule, earliest, rank):
    """Note a violation; of a row that a command breaks in two readings, the later clock. Return how many."""
    if n > 0 and found[n - 1, 0] == i and found[n - 1, 1] == rule and found[n - 1, 3] == rank:
        found[n - 1, 2] = max(found[n - 1, 2], earliest)
        return n
    found[n, 0], found[n, 1], found[n, 2], found[n, 3] = i, rule, earliest, rank
    return n + 1


@_helper
def _deadline_of(state, refreshing, rank):
    """Return the clock after which the rank's next refresh is overdue; credit does not stretch the pause."""
    if state.is_overdue[rank] or state.mode[rank] == SELF_REFRESH:
        return FAR
    good_until = min(state.paid[rank], state.last_refresh[rank])
    return good_until + refreshing.unit_clk + refreshing.postponed_clk


@_helper
def _set_deadline(state, refreshing):
    earliest = FAR
    for rank in range(len(state.paid)):
        earliest = min(earliest, _deadline_of(state, refreshing, rank))
    state.scalars[DEADLINE] = earliest


@_helper
def _refreshed(state, refreshing, rank, t, clocks):
    """Pay for `clocks`; at most the number that may be postponed counts in advance."""
    state.paid[rank] = min(state.paid[rank] + clocks, t + refreshing.postponed_clk)
    state.last_refresh[rank] = t
    state.is_overdue[rank] = False
    state.is_overdue[rank] = t > _deadline_of(state, refreshing, rank)
    _set_deadline(state, refreshing)


@_helper
def _wrong_mode(mode, command, rank):
    """Return the rule that the command breaks in its rank's mode, or 0; go to the mode that it leads to.

    A rank that sleeps ignores what it must not get.
    """
    before = mode[rank]
    if before == POWERED_DOWN and command != PDX:
        return IN_POWER_DOWN
    if before == SELF_REFRESH and command != SRX:
        return IN_SELF_REFRESH
    if before == AWAKE and command == PDX:
        return PDX_AWAKE
    if before == AWAKE and command == SRX:
        return SRX_AWAKE
    mode[rank] = POWERED_DOWN if command == PDE else SELF_REFRESH if command == SRE else AWAKE
    return np.int64(0)


@_helper
def _wrong_row(open_row, command, bank, row):
    """Return the rule that a command to a bank breaks in its state, or 0; open or close the bank."""
    before, broken = open_row[bank], np.int64(0)
    if command == ACT:
        open_row[bank] = row
        return ACT_OPEN if before >= 0 else broken
    if command == PREpb:
        open_row[bank] = CLOSED
        return broken
    if before == CLOSED:
        broken = COLUMN_CLOSED
    elif before >= 0 and before != row:
        broken = COLUMN_OTHER_ROW
    if command in (RDA, WRA):
        open_row[bank] = CLOSED
    elif before == UNKNOWN:
        open_row[bank] = row
    return broken


@_helper
def _wrong_rows(open_row, command, banks):
    """Return the rule that a command to several banks breaks in their states, or 0; close the banks."""
    broken = np.int64(0)
    for bank in banks:
        if open_row[bank] >= 0:
            if command == REFab:
                broken = REFAB_OPEN
            elif command == REFpb:
                broken = REFPB_OPEN
            elif command == SRE:
                broken = SRE_OPEN
        if command != PDE and command != PDX and command != SRX:
            open_row[bank] = CLOSED
    return broken


@_helper
def _wrong_refresh(state, refreshing, command, rank, of_set, t):
    """Return UNEVEN or 0; account refreshes (of one set of banks: `of_set`) and self-refresh."""
    broken = np.int64(0)
    if command == REFab:
        state.visited[rank, :] = False
        _refreshed(state, refreshing, rank, t, refreshing.all_bank_clk)
    elif command == REFpb:
        if state.visited[rank, of_set]:
            broken = UNEVEN
            state.visited[rank, :] = False
        state.visited[rank, of_set] = True
        if state.visited[rank].all():
            state.visited[rank, :] = False
        _refreshed(state, refreshing, rank, t, refreshing.per_bank_clk)
    elif command == SRE:
        state.asleep_since[rank] = t
        _set_deadline(state, refreshing)
    elif command == SRX:
        # The device refreshed itself; what was owed before, in whole refreshes, is owed still.
        owed = max(np.int64(0), state.asleep_since[rank] - state.paid[rank]) // refreshing.unit_clk
        state.paid[rank] = t - owed * refreshing.unit_clk
        state.last_refresh[rank], state.asleep_since[rank] = t, NEVER
        state.visited[rank, :] = False
        _set_deadline(state, refreshing)
    return broken


@njit(cache=True)
def judge(start, log, places, rules, memories, refreshing, state, found):
    """Judge commands from `start` on.

    Parameters
    ----------
    start : int
    log : Commands
    places : Places
    rules : Rules
    memories : Memories
    refreshing : Refreshing
    state : State
    found : ndarray of int64, shape (m, 4)
        Filled with violations: index of the command, rule, earliest legal clock, rank.

    Returns
    -------
    next : int
        The command to go on with: there are more where `found` is full.
    n : int
        Violations found.
    """
    n, open_row, mode = 0, state.open_row, state.mode
    # What one command can break at most.
    room = len(rules.latency) + len(mode) + 4
    for i in range(start, len(log.clk)):
        if n + room > len(found):
            return i, n
        t, command, kind = log.clk[i], log.command[i], log.kind[i]
        place, rank = log.place[i], log.rank[i]
        if t < state.scalars[LAST_CLK]:
            n = _note(found, n, i, BACKWARDS, state.scalars[LAST_CLK], rank)
        else:
            state.scalars[LAST_CLK] = t
        if t > state.scalars[DEADLINE]:
            for r in range(len(state.paid)):
                if t > _deadline_of(state, refreshing, r):
                    n = _note(found, n, i, OVERDUE, NEVER, r)
                    state.is_overdue[r] = True
            _set_deadline(state, refreshing)

        for k in range(rules.binding.starts[kind], rules.binding.starts[kind + 1]):
            rule = rules.binding.items[k]
            memory, units = rules.memory[rule], rules.unit_level[rule] * places.n_places + place
            first, depth, back = memories.first[memory], memories.depth[memory], rules.window[rule]
            last = NEVER
            for j in range(places.touched.starts[units], places.touched.starts[units + 1]):
                ring = first + places.touched.items[j] * depth
                last = max(last, memories.clocks[ring + ((memories.taken[ring] - back) & (depth - 1))])
            if t < last + rules.latency[rule]:
                n = _note(found, n, i, rules.row[rule], last + rules.latency[rule], rank)

        if mode[rank] != AWAKE or command >= N_BANK_COMMANDS:
            broken = _wrong_mode(mode, command, rank)
            if broken != 0:
                n = _note(found, n, i, broken, NEVER, rank)
        if place < len(open_row):
            broken = _wrong_row(open_row, command, place, log.row[i])
        else:
            banks = places.touched.items[places.touched.starts[place] : places.touched.starts[place + 1]]
            broken = _wrong_rows(open_row, command, banks)
        if broken != 0:
            n = _note(found, n, i, broken, NEVER, rank)
        if command in (REFab, REFpb, SRE, SRX):
            of_set = place - len(open_row) - rank * state.visited.shape[1]
            broken = _wrong_refresh(state, refreshing, command, rank, of_set, t)
            if broken != 0:
                n = _note(found, n, i, broken, NEVER, rank)

        for k in range(memories.remembering.starts[kind], memories.remembering.starts[kind + 1]):
            memory = memories.remembering.items[k]
            first, depth = memories.first[memory], memories.depth[memory]
            units = memories.level[memory] * places.n_places + place
            for j in range(places.touched.starts[units], places.touched.starts[units + 1]):
                ring = first + places.touched.items[j] * depth
                memories.clocks[ring + (memories.taken[ring] & (depth - 1))] = t
                memories.taken[ring] += 1
    return len(log.clk), n
