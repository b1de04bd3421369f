"""Is a stream of commands legal? A judge that shares nothing with the engine but the standard's table.

The engine keeps, for each bank, the clock from which a command is allowed. Here every row of the table is
read anew for each command: which were the last commands (or the fourth last, …) before it that the row names
and that share its bank, group or rank, and is the distance long enough? Beside the rows stand the rules about
states (`STATE_RULES`): rows open and closed, power-down, self-refresh, and refreshes that are owed.

Choices where the standards leave room, or where nmsim's commands stand for several of theirs:

- PREpb and PREab to closed banks are legal and do nothing, but later commands keep their distance to them.
- Nothing but PDX may come in power-down, nothing but SRX in self-refresh.
- At most `Standard.refresh_postponed` refreshes are owed at a time, as many count in advance, and two that
  follow each other are never further apart than one more interval than that. Where the controller refreshes
  per bank, as many REFpb as there are sets stand for one refresh, and the interval is theirs. What is owed
  does not grow in self-refresh; after it, time is counted anew.
- REFpb goes to every set once before it goes to one again; REFab and self-refresh begin a new round.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nmsim.dram.activity import CommandLog
from nmsim.dram.checker_kernel import (
    AWAKE,
    BACKWARDS,
    CLOSED,
    DEADLINE,
    DEPTH,
    NEVER,
    OVERDUE,
    SELF_REFRESH,
    STATE_RULES,
    UNKNOWN,
    Commands,
    Lists,
    Memories,
    Places,
    Refreshing,
    Rules,
    State,
    judge,
)
from nmsim.dram.commands import COMMANDS, N_COMMANDS, RANK_WIDE, REFpb
from nmsim.dram.spec import DramSpec
from nmsim.dram.standard import LEVELS, Constraint
from nmsim.errors import ProtocolViolation

#: Violations that the kernel hands over at a time.
_FOUND = 4096
_IS_RANK_WIDE = np.isin(np.arange(N_COMMANDS), RANK_WIDE)


@dataclass(frozen=True)
class Violation:
    """A command that came too early, or in the wrong state.

    Attributes
    ----------
    rule, table : str
        The row's name, and where it stands in the standard.
    clk : int
        When the command came.
    earliest_clk : int or None
        When the rule would have allowed it; None where no waiting helps.
    command : str
    rank, bankgroup, bank : int
        Where to; -1 for the bank of a command to a rank.
    index : int
        Its position in the log; -1 for what is missing at the end.
    """

    rule: str
    table: str
    clk: int
    earliest_clk: int | None
    command: str
    rank: int
    bankgroup: int
    bank: int
    index: int = field(default=-1, compare=False)

    def error(self) -> ProtocolViolation:
        """Return this as an exception."""
        where = f"rank {self.rank}, bank group {self.bankgroup}, bank {self.bank}"
        legal = "never in this state" if self.earliest_clk is None else f"clock {self.earliest_clk}"
        return ProtocolViolation(
            f"{self.command} to {where} breaks {self.rule} ({self.table})",
            found=f"clock {self.clk}",
            expected=legal if self.earliest_clk is None else f"{legal} or later",
        )


class Checker:
    """Checks logs of one channel, one after another, in constant memory.

    Parameters
    ----------
    spec : DramSpec
    refresh : {"all_bank", "per_bank", "none"}
        By what the controller refreshes, which is the unit that refreshes are owed in. "none": it never does,
        and no refresh is missed.
    from_start : bool
        False: the first log begins in the midst of a run. What open rows, modes and debts it finds is not
        known, and nothing that they could explain is a violation.
    """

    def __init__(self, spec: DramSpec, refresh: str = "all_bank", from_start: bool = True):
        self.spec = spec
        self._places, self._refreshing = _places(spec), _refreshing(spec, refresh)
        self._memories, self._memory_of = _memories(spec, _readings(spec, 0))
        self._rules: dict[int, Rules] = {}
        self._state, self._knows_clk = _new_state(spec, self._refreshing, from_start), from_start
        self._found = np.empty((_FOUND, 4), dtype=np.int64)

    @property
    def rules(self) -> int:
        """Return the number of rules that are checked: rows of the table, and those about states."""
        return len(self.spec.table.constraints) + len(STATE_RULES)

    def violations(self, log: CommandLog, simultaneous_act: int = 0) -> list[Violation]:
        """Return all violations among the commands of `log`, given all logs before it, in their order.

        Parameters
        ----------
        log : CommandLog
            Complete from where the last one ended (or from the start), in the order of time.
        simultaneous_act : int
            As `Channel.stream` was given it.

        Raises
        ------
        ValueError
            Where a command names a rank or bank that the memory has not, or the standard has no REFpb.
        """
        if len(log) == 0:
            return []
        commands = self._commands(log)
        if not self._knows_clk:
            self._begin(int(log.clk[0]))
        rules = self._rules_for(simultaneous_act)
        violations, at = [], 0
        while at < len(log):
            at, n = judge(
                at, commands, self._places, rules, self._memories, self._refreshing, self._state, self._found
            )
            violations += [self._violation(log, *found) for found in self._found[:n].tolist()]
        return violations

    def check(self, log: CommandLog, simultaneous_act: int = 0) -> None:
        """Raise ProtocolViolation for the first violation in `log`."""
        for violation in self.violations(log, simultaneous_act):
            raise violation.error()

    def end(self, clk: int) -> list[Violation]:
        """Return the refreshes that are owed too long at clock `clk`, up to which nothing more comes."""
        state, refreshing = self._state, self._refreshing
        good_until = (
            np.minimum(state.paid, state.last_refresh) + refreshing.unit_clk + refreshing.postponed_clk
        )
        late = (clk > good_until) & ~state.is_overdue & (state.mode != SELF_REFRESH)
        return [
            Violation(STATE_RULES[-1 - OVERDUE], self.spec.table.document, clk, None, "END", rank, -1, -1)
            for rank in np.flatnonzero(late).tolist()
        ]

    def _begin(self, clk: int) -> None:
        """Take a log from the midst of a run for one that owes nothing at its first clock."""
        self._knows_clk = True
        self._state.paid[:] = self._state.last_refresh[:] = clk
        self._state.scalars[DEADLINE] = clk + self._refreshing.unit_clk + self._refreshing.postponed_clk

    def _commands(self, log: CommandLog) -> Commands:
        """Return the log as the kernel wants it."""
        org, sets = self.spec.organization, self.spec.refresh_sets
        wide, refreshes_set = _IS_RANK_WIDE[log.command], log.command == REFpb
        group, bank = np.where(wide, 0, log.bankgroup), np.where(wide, 0, log.bank)
        for name, values, end in (
            ("rank", log.rank, org.ranks), ("bank group", group, org.bankgroups), ("bank", bank, org.banks)
        ):  # fmt: skip
            if values.min() < 0 or values.max() >= end:
                raise ValueError(f"{name} out of range: {values.min()}..{values.max()}, allowed 0..{end - 1}")
        if refreshes_set.any() and not sets:
            raise ValueError(f"{self.spec.standard} has no REFpb")
        in_rank = group * org.banks + bank
        place = log.rank * self.spec.banks_per_rank + in_rank
        if refreshes_set.any():
            of_set = self.spec.banks_per_channel + log.rank * sets + in_rank % sets
            place = np.where(refreshes_set, of_set, place)
        place = np.where(wide, self.spec.banks_per_channel + org.ranks * sets + log.rank, place)
        kind = log.command + N_COMMANDS * log.near_memory
        return Commands(log.clk, log.command, kind, place, log.rank, log.row)

    def _rules_for(self, simultaneous_act: int) -> Rules:
        """Return the rows as the kernel reads them."""
        if simultaneous_act not in self._rules:
            readings = _readings(self.spec, simultaneous_act)
            binding = [
                [
                    i
                    for i, r in enumerate(readings)
                    if r.binds(COMMANDS[kind % N_COMMANDS], kind >= N_COMMANDS)
                ]
                for kind in range(2 * N_COMMANDS)
            ]
            self._rules[simultaneous_act] = Rules(
                row=np.array([self.spec.table.constraints.index(r.row) for r in readings]),
                latency=np.array([self.spec.latency(r.row.latency) for r in readings]),
                window=np.array([r.window for r in readings]),
                memory=np.array([self._memory_of[r.memory] for r in readings]),
                unit_level=np.array([LEVELS.index(r.own_level) for r in readings]),
                binding=_lists(binding),
            )
        return self._rules[simultaneous_act]

    def _violation(self, log: CommandLog, i: int, rule: int, earliest: int, rank: int) -> Violation:
        if rule >= 0:
            row = self.spec.table.constraints[rule]
            name, table = row.name, row.table
        else:
            name, table = STATE_RULES[-1 - rule], self.spec.table.document
        if rule == BACKWARDS:
            table = "a log"
        elif rule == OVERDUE and rank != log.rank[i]:
            name = f"{name} (rank {rank})"
        clk = None if earliest == NEVER else earliest
        rank, bankgroup, bank = (int(place[i]) for place in (log.rank, log.bankgroup, log.bank))
        return Violation(
            name, table, int(log.clk[i]), clk, COMMANDS[log.command[i]], rank, bankgroup, bank, i
        )


@dataclass(frozen=True)
class _Reading:
    """How a row of the table is read for host and near-memory commands; None stands for both."""

    row: Constraint
    level: str
    window: int
    preceding_near: bool | None
    following_near: bool | None

    @property
    def own_level(self) -> str:
        """Return the level at which the later command looks for what the earlier ones left."""
        return "rank" if self.level == "other_rank" else self.level

    @property
    def memory(self) -> tuple[frozenset[str], bool | None, str, bool]:
        """Return what tells the memory apart that this reading needs: whose clocks, where, and how many."""
        return frozenset(self.row.preceding), self.preceding_near, self.level, self.row.window > 1

    def binds(self, command: str, near: bool) -> bool:
        """Return whether commands of this kind must obey."""
        return command in self.row.following and self.following_near in (None, near)


def _readings(spec: DramSpec, simultaneous_act: int) -> list[_Reading]:
    return [reading for row in spec.table.constraints for reading in _readings_of(row, simultaneous_act)]


def _readings_of(row: Constraint, simultaneous_act: int) -> list[_Reading]:
    """Return the readings of a row: near-memory commands do not share the pins of the channel."""
    if row.resource == "command_bus":
        return [_Reading(row, row.level, row.window, False, False)]
    if row.resource == "column":
        host = _Reading(row, row.level, row.window, False, False)
        if row.level == "other_rank":
            return [host]
        return [
            host,
            _Reading(row, "bank", row.window, True, None),
            _Reading(row, "bank", row.window, False, True),
        ]
    if row.resource == "power" and simultaneous_act:
        host = _Reading(row, row.level, row.window, None, False)
        return [host, _Reading(row, row.level, simultaneous_act, None, True)] if row.window > 1 else [host]
    return [_Reading(row, row.level, row.window, None, None)]


def _lists(lists: Iterable[Sequence[int]]) -> Lists:
    lists = list(lists)
    starts = np.cumsum([0, *(len(one) for one in lists)])
    return Lists(starts, np.array([item for one in lists for item in one], dtype=np.int64))


def _places(spec: DramSpec) -> Places:
    """Return the units that each place touches, level by level in the order of `LEVELS`."""
    org, sets, per_rank = spec.organization, spec.refresh_sets, spec.banks_per_rank
    ranks = range(org.ranks)
    places = [[bank] for bank in range(spec.banks_per_channel)]
    places += [[r * per_rank + b for b in range(s, per_rank, sets)] for r in ranks for s in range(sets)]
    places += [list(range(r * per_rank, (r + 1) * per_rank)) for r in ranks]

    def units(level: str, banks: list[int]) -> list[int]:
        rank = banks[0] // per_rank
        return {
            "bank": banks,
            "bankgroup": sorted({bank // org.banks for bank in banks}),
            "rank": [rank],
            "channel": [0],
            "other_rank": [r for r in ranks if r != rank],
        }[level]

    return Places(_lists(units(level, banks) for level in LEVELS for banks in places), len(places))


def _memories(spec: DramSpec, readings: list[_Reading]) -> tuple[Memories, dict[tuple[Any, ...], int]]:
    """Return empty memories, one for all readings that need the same; and which is which."""
    numbers = {key: i for i, key in enumerate(dict.fromkeys(reading.memory for reading in readings))}
    org = spec.organization
    groups = org.ranks * org.bankgroups
    units = dict(zip(LEVELS, (spec.banks_per_channel, groups, org.ranks, 1, org.ranks), strict=True))
    depth = [DEPTH if deep else 1 for *_, deep in numbers]
    sizes = [d * units[level] for d, (_, _, level, _) in zip(depth, numbers, strict=True)]
    remembering = [
        [i for (names, near, *_), i in numbers.items()
         if COMMANDS[kind % N_COMMANDS] in names and near in (None, kind >= N_COMMANDS)]
        for kind in range(2 * N_COMMANDS)
    ]  # fmt: skip
    memories = Memories(
        first=np.cumsum([0, *sizes[:-1]]),
        depth=np.array(depth),
        level=np.array([LEVELS.index(level) for _, _, level, _ in numbers]),
        remembering=_lists(remembering),
        clocks=np.full(sum(sizes), NEVER),
        taken=np.zeros(sum(sizes), dtype=np.int64),
    )
    return memories, numbers


def _refreshing(spec: DramSpec, refresh: str) -> Refreshing:
    table, clocks = spec.table, spec.clocks
    all_bank = clocks[table.refresh_interval]
    per_bank = clocks[table.refresh_per_bank_interval] if spec.refresh_sets else 0
    if refresh == "per_bank":
        return Refreshing(
            all_bank, per_bank, per_bank, table.refresh_postponed * spec.refresh_sets * per_bank
        )
    return Refreshing(
        all_bank, per_bank, all_bank, table.refresh_postponed * all_bank if refresh != "none" else -int(NEVER)
    )


def _new_state(spec: DramSpec, refreshing: Refreshing, from_start: bool) -> State:
    ranks = spec.organization.ranks

    def of_ranks(value: int | np.int64) -> np.ndarray:
        return np.full(ranks, value, dtype=np.int64)

    row, mode = (CLOSED, AWAKE) if from_start else (UNKNOWN, UNKNOWN)
    deadline = refreshing.unit_clk + refreshing.postponed_clk
    return State(
        open_row=np.full(spec.banks_per_channel, row, dtype=np.int64),
        mode=of_ranks(mode),
        paid=of_ranks(0),
        last_refresh=of_ranks(0),
        asleep_since=of_ranks(NEVER),
        is_overdue=np.zeros(ranks, dtype=np.bool_),
        visited=np.zeros((ranks, max(1, spec.refresh_sets)), dtype=np.bool_),
        scalars=np.array([0 if from_start else NEVER, deadline], dtype=np.int64),
    )
