"""The scheduler and the row visits once more, slowly: to be read, and to test the kernels against.

This is `docs/explanation/scheduler.md` as Python. No table is compiled: what is legal is worked out row by
row of the standard from the commands that were issued. Clocks at which nothing can change are skipped,
otherwise time goes clock by clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from nmsim.dram.commands import COMMANDS, RANK_WIDE
from nmsim.dram.controller import ControllerSpec, check_controller
from nmsim.dram.engine import AccessBatch
from nmsim.dram.spec import DramSpec
from nmsim.dram.tables import bus_clocks

NEVER = 1 << 60

#: Clocks that are kept of each command and bank: as many as the longest window of any table, and of any
#: `simultaneous_act`, looks back.
MEMORY = 64

COLUMN_COMMANDS = ("RD", "WR", "RDA", "WRA")


class Issued(NamedTuple):
    """A command that was issued; `bank` of the channel: for commands to a rank or a set of banks its first.

    `outcome` is that of the request that a column command serves.
    """

    clk: int
    command: str
    bank: int
    row: int
    column: int
    near_memory: bool
    outcome: str = ""


@dataclass
class Request:
    """A queued request, and what had to be done for it so far: nothing (hit), ACT (miss), PRE (conflict)."""

    sequence: int
    bank: int
    row: int
    column: int
    outcome: str = "hit"


class Candidate(NamedTuple):
    """A command that could come next, the first clock at which it may, and whose it is."""

    clk: int
    priority: tuple[int, ...]
    command: str
    bank: int
    request: Request | None = None


@dataclass
class Bank:
    """What the controller knows of a bank; `overtaken`: by column commands since its ACT."""

    open_row: int | None = None
    last_use_clk: int = 0
    overtaken: int = 0


@dataclass
class Rank:
    """What the controller knows of a rank; `refreshing`: one is urgent; `asleep`: "PDE", "SRE" or ""."""

    index: int
    refresh_due: int
    refreshes: int = 0
    refreshing: bool = False
    asleep: str = ""


@dataclass
class ReferenceChannel:
    """A channel with the behaviour of `nmsim.dram.engine.Channel`; `issued` is all that it did.

    Parameters
    ----------
    spec : DramSpec
    controller : ControllerSpec

    Raises
    ------
    ConfigError
        Where the memory does not allow what the controller asks for.
    """

    spec: DramSpec
    controller: ControllerSpec
    issued: list[Issued] = field(default_factory=list)

    def __post_init__(self) -> None:
        check_controller(self.spec, self.controller)
        table, ranks = self.spec.table, self.spec.organization.ranks
        clocks, refresh = self.spec.clocks, self.controller.refresh
        self.interval, self.postponed_clk, self.sets = NEVER, 0, self.spec.refresh_sets
        if refresh != "none":
            by_sets = refresh == "per_bank"
            self.interval = clocks[table.refresh_per_bank_interval if by_sets else table.refresh_interval]
            every_bank_clk = self.interval * (self.sets if by_sets else 1)
            limit = table.refresh_postponed * every_bank_clk - clocks["nRFCpb" if by_sets else "nRFCab"]
            self.postponed_clk = min(self.controller.refresh_postponed * every_bank_clk, max(0, limit))
        self.clk, self.sequence, self.mode = 0, 0, "RD"
        self.busy_until_clk = 0  # the last command other than PDE and PDX, or the end of a refresh
        self.last_request_clk = 0  # the last command for a request
        self.queue: dict[str, list[Request]] = {"RD": [], "WR": []}
        self.banks = [Bank() for _ in range(self.spec.banks_per_channel)]
        self.ranks = [Rank(r, self.interval - r * (self.interval // ranks)) for r in range(ranks)]
        self.history: dict[tuple[str, int, bool], deque[int]] = {
            (command, bank, near): deque(maxlen=MEMORY)
            for command in COMMANDS
            for bank in range(len(self.banks))
            for near in (False, True)
        }
        self.waits: dict[tuple, list[tuple[int, int, list[deque[int]]]]] = {}

    # What is where

    def rank_of(self, bank: int) -> int:
        """Return the rank of a bank of the channel."""
        return bank // self.spec.banks_per_rank

    def banks_of(self, command: str, bank: int) -> set[int]:
        """Return the banks that a command touches."""
        if command != "REFpb" and COMMANDS.index(command) not in RANK_WIDE:
            return {bank}
        first = self.rank_of(bank) * self.spec.banks_per_rank
        rank = range(first, first + self.spec.banks_per_rank)
        return {b for b in rank if command != "REFpb" or (self.sets and (b - bank) % self.sets == 0)}

    def open_banks(self, banks: set[int]) -> list[int]:
        """Return those of some banks that have an open row, in order."""
        return [b for b in sorted(banks) if self.banks[b].open_row is not None]

    def share(self, level: str, one: set[int], other: set[int]) -> bool:
        """Return whether two sets of banks share what a row of the table is about."""
        if level == "channel":
            return True
        if level == "other_rank":
            return not self.share("rank", one, other)
        org = self.spec.organization
        size = {"bank": 1, "bankgroup": org.banks, "rank": self.spec.banks_per_rank}[level]
        return not {b // size for b in one}.isdisjoint({b // size for b in other})

    # What is legal

    def earliest(self, command: str, bank: int, near: bool = False, simultaneous_act: int = 0) -> int:
        """Return the first clock at which the table allows a command after all that was issued."""
        key = command, bank, near, simultaneous_act
        if key not in self.waits:  # worked out once: which histories each row looks at does not change
            self.waits[key] = self._waits_for(*key)
        earliest = 0
        for window, latency, histories in self.waits[key]:
            before = sorted(clk for history in histories for clk in list(history)[-window:])
            if len(before) >= window:
                earliest = max(earliest, before[-window] + latency)
        return earliest

    def _waits_for(
        self, command: str, bank: int, near: bool, simultaneous_act: int
    ) -> list[tuple[int, int, list[deque[int]]]]:
        """Return (window, latency, histories) of each row of the table that a command must obey."""
        rows, touched = [], self.banks_of(command, bank)
        for row in self.spec.table.constraints:
            if command not in row.following:
                continue
            window, level = row.window, row.level
            if near:
                if row.resource == "command_bus":
                    continue
                if row.resource == "column":
                    level = "bank"
                if row.resource == "power" and simultaneous_act:
                    if row.window == 1:
                        continue
                    window = simultaneous_act
            histories = [
                history
                for (before, other, by_near), history in self.history.items()
                if before in row.preceding
                and not (row.resource == "command_bus" and by_near)
                and self.share("bank" if row.resource == "column" and by_near else level,
                               self.banks_of(before, other), touched)
            ]  # fmt: skip
            rows.append((window, self.spec.latency(row.latency), histories))
        return rows

    def _log(self, issued: Issued) -> None:
        self.issued.append(issued)
        self.history[issued.command, issued.bank, issued.near_memory].append(issued.clk)

    # The host's requests

    def access(self, batch: AccessBatch, drain: bool = True) -> None:
        """Serve a batch of requests."""
        self._run(batch, NEVER, drain)

    def advance(self, until_clk: int) -> None:
        """Let time pass up to `until_clk`, exclusive."""
        self._run(AccessBatch(*[np.empty(0, dtype=np.int64)] * 5), until_clk, True)

    def _run(self, batch: AccessBatch, until: int, drain: bool) -> None:
        position = 0
        while self.clk < until:
            position, next_arrival = self._admit(batch, position)
            if position == len(batch.bank) and (not drain or (until == NEVER and not self._queued())):
                return
            for rank in self.ranks:
                rank.refreshing |= self._is_urgent(rank)
            candidates = self._of_ranks() + self._of_unused_rows() + self._of_requests()
            legal = [c for c in candidates if c.clk <= self.clk]
            if legal:
                self._issue(min(legal, key=lambda c: c.priority))
                continue
            changes = [*(c.clk for c in candidates), *self._decisions(), next_arrival, until]
            self.clk = min(clk for clk in changes if clk > self.clk)

    def _queued(self) -> list[Request]:
        return self.queue["RD"] + self.queue["WR"]

    def _admit(self, batch: AccessBatch, position: int) -> tuple[int, int]:
        """Put what has arrived into the queues; return the position in the batch and the next arrival."""
        room = {"RD": self.controller.read_queue, "WR": self.controller.write_queue}
        while position < len(batch.bank):
            kind = "WR" if batch.is_write[position] else "RD"
            if len(self.queue[kind]) >= room[kind]:
                break
            if len(batch.arrival_clk) and batch.arrival_clk[position] > self.clk:
                return position, int(batch.arrival_clk[position])
            bank, row, column = (int(a[position]) for a in batch[:3])
            self.queue[kind].append(Request(self.sequence, bank, row, column))
            self.sequence += 1
            position += 1
            self._choose_mode()
        return position, NEVER

    def _choose_mode(self) -> None:
        reads, writes = len(self.queue["RD"]), len(self.queue["WR"])
        if self.mode == "RD":
            if writes >= self.controller.write_high_watermark or (writes and not reads):
                self.mode = "WR"
        elif writes == 0 or (reads and writes <= self.controller.write_low_watermark):
            self.mode = "RD"

    # What could come next

    def _of_requests(self) -> list[Candidate]:
        """Return what the requests of the served kind need next: one command for each of their banks."""
        waiting = self.queue[self.mode]
        if self.controller.scheduler == "FCFS":
            waiting = waiting[:1]
        of_bank: dict[int, list[Request]] = {}
        for request in waiting:
            of_bank.setdefault(request.bank, []).append(request)
        needed = [self._needed(b, of_bank[b]) for b in of_bank if not self._is_held(b)]
        return [c for c in needed if c.command != "ACT" or not self._delays_refresh(c.bank)]

    def _delays_refresh(self, bank: int) -> bool:
        """Return whether an ACT now would make an urgent REFpb later than it could be."""
        rank = self.ranks[self.rank_of(bank)]
        if not rank.refreshing or self.controller.refresh != "per_bank":
            return False
        banks = self._next_set(rank)
        if self.open_banks(banks):
            return False
        waits = [
            self.spec.latency(row.latency)
            for row in self.spec.table.constraints
            if "ACT" in row.preceding and "REFpb" in row.following and self.share(row.level, {bank}, banks)
        ]
        return max(self.clk, self.earliest("REFpb", min(banks))) < self.clk + max(waits, default=0)

    def _needed(self, number: int, waiting: list[Request]) -> Candidate:
        bank, oldest = self.banks[number], waiting[0]
        hit = next((r for r in waiting if r.row == bank.open_row), None)
        if hit is not oldest and 0 < self.controller.row_hit_cap <= bank.overtaken:
            hit = None
        request = hit or oldest
        if hit:
            same_row = [r for r in self._queued() if (r.bank, r.row) == (hit.bank, hit.row)]
            command = self.mode
            if self.controller.row_policy == "closed" and len(same_row) == 1:
                auto_clk, clk = (self.earliest(c, number) for c in (command + "A", command))
                command += "A" if auto_clk <= max(clk, self.clk) else ""
        else:
            command = "ACT" if bank.open_row is None else "PREpb"
        priority = (2, 0 if hit else 1, request.sequence)
        return Candidate(self.earliest(command, number), priority, command, number, request)

    def _of_unused_rows(self) -> list[Candidate]:
        """Return the closing of rows that nobody wants (row policy timeout)."""
        if self.controller.row_policy != "timeout":
            return []
        wanted = {(r.bank, r.row) for r in self.queue[self.mode]}
        candidates = []
        for number, bank in enumerate(self.banks):
            if bank.open_row is None or (number, bank.open_row) in wanted or self._is_held(number):
                continue
            clk = max(bank.last_use_clk + self.controller.row_timeout_clk, self.earliest("PREpb", number))
            candidates.append(Candidate(clk, (1, number), "PREpb", number))
        return candidates

    def _of_ranks(self) -> list[Candidate]:
        """Return what refresh, power-down and self-refresh need next: at most one command for each rank."""
        candidates = []
        for rank in self.ranks:
            not_before, command, bank = 0, "", rank.index * self.spec.banks_per_rank
            banks = self.banks_of("PREab", bank)
            is_wanted = any(r.bank in banks for r in self._queued())
            wants_self_refresh = self._self_refresh_clk() <= self.clk
            if rank.asleep == "SRE":
                command = "SRX" if is_wanted else ""
            elif rank.asleep == "PDE":
                command = "PDX" if is_wanted or rank.refreshing or wants_self_refresh else ""
            elif rank.refreshing and self.controller.refresh == "all_bank":
                command = "PREab" if self.open_banks(banks) else "REFab"
            elif rank.refreshing:
                banks = self._next_set(rank)
                command = "PREpb" if self.open_banks(banks) else "REFpb"
                bank = min(self.open_banks(banks) or banks)
            elif wants_self_refresh:
                command = "PREab" if self.open_banks(banks) else "SRE"
            elif self.controller.power_down_idle_clk and not self._queued():
                command = "PDE"
                not_before = self.busy_until_clk + self.controller.power_down_idle_clk
            if command:
                clk = max(not_before, self.earliest(command, bank))
                candidates.append(Candidate(clk, (0, rank.index), command, bank))
        return candidates

    # What is decided when

    def _is_urgent(self, rank: Rank) -> bool:
        if rank.asleep == "SRE" or rank.refresh_due > self.clk:
            return False
        return not self._queued() or rank.refresh_due + self.postponed_clk <= self.clk

    def _self_refresh_clk(self) -> int:
        """Return the clock from which ranks want self-refresh."""
        if self._queued() or not self.controller.self_refresh_idle_clk:
            return NEVER
        return self.last_request_clk + self.controller.self_refresh_idle_clk

    def _decisions(self) -> list[int]:
        """Return the clocks at which a decision may fall that is no command of its own."""
        due = [r.refresh_due for r in self.ranks]
        return [*due, *(clk + self.postponed_clk for clk in due), self._self_refresh_clk()]

    def _next_set(self, rank: Rank) -> set[int]:
        """Return the banks of the set that the rank's next REFpb refreshes."""
        first = rank.index * self.spec.banks_per_rank
        return self.banks_of("REFpb", first + rank.refreshes % self.sets)

    def _is_held(self, bank: int) -> bool:
        """Return whether a bank waits for its refresh, or sleeps."""
        rank = self.ranks[self.rank_of(bank)]
        if rank.refreshing and (self.controller.refresh == "all_bank" or bank in self._next_set(rank)):
            return True
        return rank.asleep != ""

    # What a command does

    def _issue(self, candidate: Candidate) -> None:
        _, _, command, number, request = candidate
        rank, bank, row, column, outcome = self.ranks[self.rank_of(number)], self.banks[number], -1, -1, ""
        self.busy_until_clk = max(self.busy_until_clk, 0 if command in ("PDE", "PDX") else self.clk)
        if request:
            self.last_request_clk = self.clk
        if command in COLUMN_COMMANDS:
            row, column, outcome = request.row, request.column, request.outcome
            oldest = next(r for r in self.queue[self.mode] if r.bank == number)
            bank.overtaken += request is not oldest
            bank.last_use_clk = self.clk
            if command in ("RDA", "WRA"):
                bank.open_row = None
            self.queue[self.mode].remove(request)
            self._choose_mode()
        elif command == "ACT":
            bank.open_row = row = request.row
            bank.last_use_clk, bank.overtaken = self.clk, 0
            request.outcome = "miss" if request.outcome == "hit" else request.outcome
        elif command == "PREpb":
            bank.open_row, row = None, bank.open_row
            if request:
                request.outcome = "conflict"
        elif command == "PREab":
            for b in self.banks_of(command, number):
                self.banks[b].open_row = None
        elif command in ("REFab", "REFpb"):
            rank.refreshing = False
            rank.refresh_due += self.interval
            rank.refreshes += 1
            # Powering down during a refresh would save nothing: it counts as busy.
            self.busy_until_clk = self.clk + self.spec.clocks[f"nRFC{command[3:]}"]
        elif command in ("PDE", "SRE"):
            rank.asleep = command
        else:
            rank.asleep = ""
            if command == "SRX":
                rank.refresh_due = self.clk + self.interval
        self._log(Issued(self.clk, command, number, row, column, False, outcome))

    # Near-memory row visits

    def stream(
        self, visits: list[tuple[int, int, int, bool]], column_period_clk: int, simultaneous_act: int = 0
    ) -> None:
        """Run visits (bank, row, columns, is_write) to their end; queues must be empty."""
        for index, rank in enumerate(self.ranks):
            first = index * self.spec.banks_per_rank
            if rank.asleep:
                clk = self._now("PDX" if rank.asleep == "PDE" else "SRX", first)
                rank.refresh_due = rank.refresh_due if rank.asleep == "PDE" else clk + self.interval
                rank.asleep = ""
            if self.open_banks(self.banks_of("PREab", first)):
                self._now("PREab", first)
                for b in self.banks_of("PREab", first):
                    self.banks[b].open_row = None
        # The units begin when the host's last command has left the pins.
        end = max([self.clk, *(i.clk for i in self.issued)])
        start = max([self.clk, *(i.clk + bus_clocks(self.spec) for i in self.issued)])
        period = max(column_period_clk, self.spec.clocks["nCCD"])
        longest = max(1, self.spec.clocks["nREFI"] // period)
        left: dict[int, list[list]] = {}
        for bank, row, columns, is_write in visits:
            left.setdefault(bank, []).append([row, 0, columns, "WR" if is_write else "RD"])
        while left:
            act, bank = min((self.earliest("ACT", b, True, simultaneous_act), b) for b in left)
            act, rank = max(act, start), self.rank_of(bank)
            if act >= self.ranks[rank].refresh_due:
                end = max(end, self._refresh(rank, start))
                continue
            row, done, columns, command = left[bank][0]
            now = min(columns - done, longest)
            self._log(Issued(act, "ACT", bank, row, -1, True))
            first = max(act, self.earliest(command, bank, True))
            for k in range(now):
                self._log(Issued(first + k * period, command, bank, row, done + k, True))
            pre = max(self.earliest("PREpb", bank, True), first + now * period)
            self._log(Issued(pre, "PREpb", bank, row, -1, True))
            end = max(end, pre)
            left[bank][0][1] += now
            if left[bank][0][1] == columns:
                left[bank].pop(0)
                if not left[bank]:
                    del left[bank]
        for rank in range(len(self.ranks)):
            while self.ranks[rank].refresh_due < end:
                end = max(end, self._refresh(rank, start))
        self.clk = self.busy_until_clk = self.last_request_clk = end

    def _now(self, command: str, bank: int) -> int:
        clk = max(self.clk, self.earliest(command, bank))
        self._log(Issued(clk, command, bank, -1, -1, False))
        return clk

    def _refresh(self, rank: int, start: int) -> int:
        first = rank * self.spec.banks_per_rank
        clk = max(start, self.ranks[rank].refresh_due, self.earliest("REFab", first, True))
        self._log(Issued(clk, "REFab", first, -1, -1, True))
        self.ranks[rank].refresh_due += self.interval
        self.ranks[rank].refreshing = False
        return clk
