"""Is a stream of commands legal? A judge that shares nothing with the engine but the standard's table.

The engine keeps, for each bank, the clock from which a command is allowed. Here nothing is kept: each row of
the table is a join. Every command that follows is paired with the last (or fourth last) one before it that
shares its bank, group or rank, and their distance is compared with the row's latency.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from nmsim.dram.activity import CommandLog
from nmsim.dram.commands import ACT, COMMANDS, PDE, PDX, RANK_WIDE, RD, WR, PREab, PREpb, REFab
from nmsim.dram.spec import DramSpec
from nmsim.dram.standard import Constraint
from nmsim.errors import ProtocolViolation


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
    """

    rule: str
    table: str
    clk: int
    earliest_clk: int | None
    command: str
    rank: int
    bankgroup: int
    bank: int

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
    """Checks logs of one channel, one after another.

    Parameters
    ----------
    spec : DramSpec
    """

    def __init__(self, spec: DramSpec):
        self.spec = spec
        self._carried: CommandLog | None = None
        self._refreshes = np.zeros(spec.organization.ranks, dtype=np.int64)
        self._clk = 0

    def violations(self, log: CommandLog, simultaneous_act: int = 0) -> list[Violation]:
        """Return all violations among the commands of `log`, given all logs before it, in the order of time.

        Parameters
        ----------
        log : CommandLog
            Complete from where the last one ended (or from the start), in the order of time.
        simultaneous_act : int
            As `Channel.stream` was given it.
        """
        if len(log) == 0:
            return []
        old = 0 if self._carried is None else len(self._carried)
        whole = log if self._carried is None else CommandLog.concatenate([self._carried, log])
        events = _Events(self.spec, whole)
        found = self._out_of_order(whole, old) + self._wrong_states(events, old)
        for row in self.spec.table.constraints:
            for rule in _readings(row, simultaneous_act):
                found += self._too_early(events, rule, old)
        found += self._late_refreshes(log)
        self._carried = _tail(events, max(simultaneous_act, *(r.window for r in self.spec.table.constraints)))
        self._clk = int(log.clk[-1])
        return sorted(found, key=lambda v: v.clk)

    def check(self, log: CommandLog, simultaneous_act: int = 0) -> None:
        """Raise ProtocolViolation for the first violation in `log`."""
        for violation in self.violations(log, simultaneous_act):
            raise violation.error()

    def _violation(self, log: CommandLog, i: int, rule: str, table: str, earliest: int | None) -> Violation:
        place = (int(getattr(log, name)[i]) for name in ("rank", "bankgroup", "bank"))
        return Violation(rule, table, int(log.clk[i]), earliest, COMMANDS[log.command[i]], *place)

    def _out_of_order(self, log: CommandLog, old: int) -> list[Violation]:
        late = np.flatnonzero(np.diff(log.clk) < 0) + 1
        return [
            self._violation(log, i, "order of time", "a log", int(log.clk[i - 1])) for i in late if i >= old
        ]

    def _too_early(self, events: _Events, rule: _Reading, old: int) -> list[Violation]:
        row, n = rule.row, len(events.log)
        before, after = (
            events.of(row.preceding, rule.preceding_near),
            events.of(row.following, rule.following_near),
        )
        after = after[after >= old]
        keys_before, before = events.keys(before, rule.level, preceding=True)
        keys_after, after = events.keys(after, rule.level, preceding=False)
        if len(before) == 0 or len(after) == 0:
            return []
        order = np.argsort(keys_before * n + before)
        keys_before, before = keys_before[order], before[order]
        # The window-th event before, among those with the same key.
        i = np.searchsorted(keys_before * n + before, keys_after * n + after, side="left") - rule.window
        paired = i >= 0
        paired[paired] &= keys_before[i[paired]] == keys_after[paired]
        earliest = events.log.clk[before[i[paired]]] + self.spec.latency(row.latency)
        # A command to a rank has as many partners as banks: the latest of them counts.
        latest = np.zeros(n, dtype=np.int64)
        np.maximum.at(latest, after[paired], earliest)
        early = np.flatnonzero(events.log.clk < latest)
        return [self._violation(events.log, j, row.name, row.table, int(latest[j])) for j in early]

    def _wrong_states(self, events: _Events, old: int) -> list[Violation]:
        log, found = events.log, []

        def report(which: np.ndarray, rule: str) -> None:
            found.extend(
                self._violation(log, i, rule, self.spec.table.document, None) for i in which if i >= old
            )

        banks, at = events.keys(np.arange(len(log)), "bank", preceding=True)
        order = np.lexsort((at, banks))
        banks, at = banks[order], at[order]
        command = log.command[at]
        open_row = _last_before(
            banks, np.isin(command, (ACT, PREpb, PREab)), np.where(command == ACT, log.row[at], -1)
        )
        is_column = np.isin(command, (RD, WR))
        report(at[(command == ACT) & (open_row >= 0)], "ACT to an open bank")
        report(at[is_column & (open_row < 0)], "column command to a closed bank")
        report(
            at[is_column & (open_row >= 0) & (open_row != log.row[at])],
            "column command to another row than the open one",
        )
        report(np.unique(at[(command == REFab) & (open_row >= 0)]), "REFab with an open bank")

        order = np.lexsort((np.arange(len(log)), log.rank))
        command = log.command[order]
        is_down = (
            _last_before(log.rank[order], np.isin(command, (PDE, PDX)), np.where(command == PDE, 1, -1)) > 0
        )
        report(order[is_down & (command != PDX)], "command in power-down")
        report(order[~is_down & (command == PDX)], "PDX without PDE")
        return found

    def _late_refreshes(self, log: CommandLog) -> list[Violation]:
        """At every refresh, and at the end, at most the allowed number of refreshes is owed."""
        interval, postponed = self.spec.clocks["nREFI"], self.spec.table.refresh_postponed
        found = []
        for rank in range(len(self._refreshes)):
            index = np.flatnonzero((log.rank == rank) & (log.command == REFab))
            number = self._refreshes[rank] + 1 + np.arange(len(index))
            late = log.clk[index] > (number + postponed) * interval
            found += [
                self._violation(log, i, "refresh postponed too often", self.spec.table.refresh_interval, None)
                for i in index[late]
            ]
            self._refreshes[rank] += len(index)
            if log.clk[-1] > (self._refreshes[rank] + 1 + postponed) * interval and not late.any():
                last = len(log) - 1
                found.append(self._violation(log, last, f"refresh of rank {rank} is missing", "tREFI", None))
        return found


@dataclass(frozen=True)
class _Reading:
    """How a row of the table is read for host and near-memory commands; None stands for both."""

    row: Constraint
    level: str
    window: int
    preceding_near: bool | None
    following_near: bool | None


def _readings(row: Constraint, simultaneous_act: int) -> list[_Reading]:
    """Return the readings of a row: near-memory commands do not share the pins of the channel."""
    if row.resource == "command_bus":
        return [_Reading(row, row.level, row.window, False, None)]
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


class _Events:
    """A log with what its commands touch at each level."""

    def __init__(self, spec: DramSpec, log: CommandLog):
        self.spec, self.log = spec, log
        self._is_wide = np.isin(log.command, RANK_WIDE)

    def of(self, commands: tuple[str, ...], near: bool | None) -> np.ndarray:
        """Return the positions of commands of these kinds; `near` None: of host and near memory."""
        which = np.isin(self.log.command, [COMMANDS.index(c) for c in commands])
        if near is not None:
            which &= self.log.near_memory == near
        return np.flatnonzero(which)

    def keys(self, at: np.ndarray, level: str, preceding: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return (key, position): one pair for each bank, group, … at `level` that a command touches."""
        org, log = self.spec.organization, self.log
        if level == "channel":
            return np.zeros(len(at), dtype=np.int64), at
        if level == "rank" or (level == "other_rank" and not preceding):
            return log.rank[at], at
        if level == "other_rank":
            parts = [(np.full(len(at), r), at) for r in range(org.ranks)]
            keys, positions = (np.concatenate(p) for p in zip(*parts, strict=True))
            others = keys != log.rank[positions]
            return keys[others], positions[others]
        per_rank = org.bankgroups if level == "bankgroup" else self.spec.banks_per_rank
        one, wide = at[~self._is_wide[at]], at[self._is_wide[at]]
        within = (
            log.bankgroup[one] if level == "bankgroup" else log.bankgroup[one] * org.banks + log.bank[one]
        )
        keys_of_wide = (log.rank[wide, None] * per_rank + np.arange(per_rank)).ravel()
        keys = np.concatenate([log.rank[one] * per_rank + within, keys_of_wide])
        return keys, np.concatenate([one, np.repeat(wide, per_rank)])


def _last_before(key: np.ndarray, marks: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return the value at the last mark before each place with the same key (sorted), or -1."""
    position = np.arange(len(key))
    last = np.maximum.accumulate(np.where(marks, position, -1))
    last = np.concatenate([[-1], last[:-1]]).astype(np.int64)
    known = last >= 0
    known[known] &= key[last[known]] == key[known]
    return np.where(known, value[np.maximum(last, 0)], -1)


def _tail(events: _Events, depth: int) -> CommandLog:
    """Return what later commands can be paired with: the last `depth` of each command and bank."""
    log = events.log
    rank_banks = log.rank * events.spec.banks_per_rank
    bank = (
        rank_banks + np.maximum(log.bankgroup, 0) * events.spec.organization.banks + np.maximum(log.bank, 0)
    )
    kind = (bank * len(COMMANDS) + log.command) * 2 + log.near_memory
    order = np.lexsort((np.arange(len(log)), kind))
    from_end = np.arange(len(log))[::-1]
    ends = np.concatenate([kind[order][1:] != kind[order][:-1], [True]])
    end_of = np.minimum.accumulate(np.where(ends, np.arange(len(log)), len(log))[::-1])[::-1]
    keep = np.sort(order[end_of - (len(log) - 1 - from_end) < depth])
    return CommandLog(*(getattr(log, f.name)[keep] for f in fields(CommandLog)))
