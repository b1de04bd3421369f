"""The scheduler and the row visits once more, slowly: to be read, and to test the kernels against.

This is `docs/explanation/scheduler.md` as Python. What a standard allows after the commands that were issued
is in `nmsim.dram.reference_history`, how a row visit goes in `nmsim.dram.reference_visits`; here is what is
decided, and in which order. Clocks at which nothing can change are skipped, otherwise time goes clock by
clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nmsim.dram.controller import ControllerSpec, check_controller
from nmsim.dram.engine import AccessBatch
from nmsim.dram.reference_history import History, Issued
from nmsim.dram.reference_visits import Visits
from nmsim.dram.spec import DramSpec
from nmsim.dram.tables import bus_clocks

NEVER = 1 << 60

COLUMN_COMMANDS = ("RD", "WR", "RDA", "WRA")


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
    is_for_visit: bool = False


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

    def __post_init__(self) -> None:
        check_controller(self.spec, self.controller)
        table, ranks = self.spec.table, self.spec.organization.ranks
        clocks, refresh = self.spec.clocks, self.controller.refresh
        self.interval, self.postponed_clk, self.limit_clk = NEVER, 0, 0
        self.sets = self.spec.refresh_sets
        if refresh != "none":
            by_sets = refresh == "per_bank"
            self.interval = clocks[table.refresh_per_bank_interval if by_sets else table.refresh_interval]
            every_bank_clk = self.interval * (self.sets if by_sets else 1)
            self.postponed_clk = self.controller.refresh_postponed * every_bank_clk
            # The banks must be closed before the limit.
            limit_clk = table.refresh_postponed * every_bank_clk
            self.limit_clk = limit_clk - clocks["nRFCpb" if by_sets else "nRFCab"]
        self.clk, self.sequence, self.mode = 0, 0, "RD"
        self.busy_until_clk = 0  # the last command other than PDE and PDX, or the end of a refresh
        self.last_request_clk = 0  # the last command for a request
        self.queue: dict[str, list[Request]] = {"RD": [], "WR": []}
        self.banks = [Bank() for _ in range(self.spec.banks_per_channel)]
        self.ranks = [Rank(r, self.interval - r * (self.interval // ranks)) for r in range(ranks)]
        self.history = History(self.spec)
        self.visits = Visits(self.history)

    @property
    def issued(self) -> list[Issued]:
        """Return all commands in the order in which they were decided."""
        return self.history.issued

    def open_banks(self, banks: set[int]) -> list[int]:
        """Return those of some banks that have an open row, in order."""
        return [b for b in sorted(banks) if self.banks[b].open_row is not None]

    # The host's requests

    def access(self, batch: AccessBatch, drain: bool = True) -> None:
        """Serve a batch of requests."""
        self._run(batch, NEVER, drain)

    def advance(self, until_clk: int) -> None:
        """Let time pass up to `until_clk`, exclusive."""
        self._run(AccessBatch(*[np.empty(0, dtype=np.int64)] * 5), until_clk, True)

    def share(
        self,
        batch: AccessBatch,
        visits: list[tuple[int, int, int, bool]],
        column_period_clk: int,
        policy: str,
        simultaneous_act: int = 0,
        drain: bool = True,
    ) -> None:
        """Serve a batch of requests beside visits (bank, row, columns, is_write), all to their end.

        `policy` is "per_bank" (banks with visits left serve no requests) or "concurrent" (visits begin where
        no request waits).
        """
        self.visits = Visits(self.history, policy, column_period_clk, simultaneous_act)
        self.visits.add(visits)
        self._run(batch, NEVER, drain)

    def _run(self, batch: AccessBatch, until: int, drain: bool) -> None:
        position = 0
        while self.clk < until:
            position, next_arrival = self._admit(batch, position)
            is_served = position == len(batch.bank) and not (drain and self._queued())
            if until == NEVER and is_served and not self.visits.left(self.clk):
                return
            for rank in self.ranks:
                rank.refreshing |= self._is_urgent(rank)
            candidates = self._of_ranks() + self._of_unused_rows() + self._of_visits() + self._of_requests()
            legal = [c for c in candidates if c.clk <= self.clk]
            if legal:
                self._issue(min(legal, key=lambda c: c.priority))
                continue
            ends = self.visits.end_clk.values()
            changes = [*(c.clk for c in candidates), *self._decisions(), *ends, next_arrival, until]
            self.clk = min(clk for clk in changes if clk > self.clk)

    def _queued(self) -> list[Request]:
        return self.queue["RD"] + self.queue["WR"]

    def _is_idle(self) -> bool:
        return not self._queued() and not self.visits.left(self.clk)

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
        near_memory = self.visits.left(self.clk) if self.visits.policy == "per_bank" else ()
        free = [b for b in of_bank if b not in near_memory and not self._is_held(b)]
        needed = [self._needed(b, of_bank[b]) for b in free]
        return [c for c in needed if c.command != "ACT" or not self._delays_refresh(c.bank)]

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
                auto_clk, clk = (self.history.earliest(c, number) for c in (command + "A", command))
                command += "A" if auto_clk <= max(clk, self.clk) else ""
        else:
            command = "ACT" if bank.open_row is None else "PREpb"
        priority = (3, 0 if hit else 1, request.sequence)
        return Candidate(self.history.earliest(command, number), priority, command, number, request)

    def _of_unused_rows(self) -> list[Candidate]:
        """Return the closing of rows that nobody wants (row policy timeout)."""
        if self.controller.row_policy != "timeout":
            return []
        wanted = {(r.bank, r.row) for r in self.queue[self.mode]}
        candidates = []
        for number, bank in enumerate(self.banks):
            if bank.open_row is None or (number, bank.open_row) in wanted or self._is_held(number):
                continue
            if self._may_visit(number):  # which closes the row for its own reason
                continue
            unused_clk = bank.last_use_clk + self.controller.row_timeout_clk
            clk = max(unused_clk, self.history.earliest("PREpb", number))
            candidates.append(Candidate(clk, (1, number), "PREpb", number))
        return candidates

    def _of_visits(self) -> list[Candidate]:
        """Return the next row visit of each bank where one may begin, or the closing of the row before it."""
        candidates = []
        for number in filter(self._may_visit, self.visits.waiting):
            command, clk = "ACT", self.visits.earliest(number)
            if self.banks[number].open_row is not None:
                command, clk = "PREpb", self.history.earliest("PREpb", number)
            if command == "PREpb" or not self._delays_refresh(number):
                candidates.append(Candidate(clk, (2, number), command, number, is_for_visit=True))
        return candidates

    def _of_ranks(self) -> list[Candidate]:
        """Return what refresh, power-down and self-refresh need next: at most one command for each rank."""
        candidates = []
        for rank in self.ranks:
            not_before, command, bank = 0, "", rank.index * self.spec.banks_per_rank
            banks = self.history.banks_of("PREab", bank)
            wanted = {r.bank for r in self._queued()} | self.visits.left(self.clk)
            is_wanted = not wanted.isdisjoint(banks)
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
            elif self.controller.power_down_idle_clk and self._is_idle():
                command = "PDE"
                not_before = self.busy_until_clk + self.controller.power_down_idle_clk
            if command in ("PREab", "REFab", "REFpb", "SRE"):
                not_before = self.visits.end_of(banks)
            if command:
                clk = max(not_before, self.history.earliest(command, bank))
                candidates.append(Candidate(clk, (0, rank.index), command, bank))
        return candidates

    # What is decided when

    def _is_urgent(self, rank: Rank) -> bool:
        if rank.asleep == "SRE" or rank.refresh_due > self.clk:
            return False
        return self._is_idle() or self._urgent_by_the_clock(rank) > 0

    def _urgent_by_the_clock(self, rank: Rank) -> int:
        """Return how many refreshes of a rank are urgent whether or not requests wait."""
        return max(0, (self.clk - rank.refresh_due - self._postponed_clk()) // self.interval + 1)

    def _postponed_clk(self) -> int:
        """Return how long after it is due a refresh becomes urgent: earlier where visits may hold it up."""
        visit_clk = 2 * self.spec.clocks[self.spec.table.refresh_interval]
        limit_clk = self.limit_clk - (visit_clk if self.visits.left(self.clk) else 0)
        return min(self.postponed_clk, max(0, limit_clk))

    def _self_refresh_clk(self) -> int:
        """Return the clock from which ranks want self-refresh."""
        if not self._is_idle() or not self.controller.self_refresh_idle_clk:
            return NEVER
        return self.last_request_clk + self.controller.self_refresh_idle_clk

    def _decisions(self) -> list[int]:
        """Return the clocks at which a decision may fall that is no command of its own."""
        due = [r.refresh_due for r in self.ranks]
        return [*due, *(clk + self._postponed_clk() for clk in due), self._self_refresh_clk()]

    def _next_set(self, rank: Rank, further: int = 0) -> set[int]:
        """Return the banks of the set that the rank's next REFpb refreshes, or one some REFpb further on."""
        first = rank.index * self.spec.banks_per_rank
        return self.history.banks_of("REFpb", first + (rank.refreshes + further) % self.sets)

    def _is_held(self, bank: int) -> bool:
        """Return whether a bank waits for its refresh, or sleeps."""
        rank = self.ranks[self.history.rank_of(bank)]
        if rank.refreshing and (self.controller.refresh == "all_bank" or bank in self._next_set(rank)):
            return True
        return rank.asleep != ""

    def _delays_refresh(self, bank: int) -> bool:
        """Return whether an ACT now would make an urgent REFpb later than it could be."""
        rank = self.ranks[self.history.rank_of(bank)]
        if not rank.refreshing or self.controller.refresh != "per_bank":
            return False
        banks = self._next_set(rank)
        if self.open_banks(banks):
            return False
        waits = [
            self.spec.latency(row.latency)
            for row in self.spec.table.constraints
            if "ACT" in row.preceding and "REFpb" in row.following
            if self.history.meet(row.level, {bank}, banks)
        ]
        refresh_clk = max(self.clk, self.history.earliest("REFpb", min(banks)))
        return refresh_clk < self.clk + max(waits, default=0)

    def _may_visit(self, bank: int) -> bool:
        """Return whether the next visit of a bank may begin, or the bank be closed for it."""
        if bank not in self.visits.waiting or self._is_held(bank):
            return False
        if self.visits.policy == "concurrent" and any(r.bank == bank for r in self._queued()):
            return False
        rank = self.ranks[self.history.rank_of(bank)]
        urgent = self._urgent_by_the_clock(rank) if self.controller.refresh == "per_bank" else 0
        return all(bank not in self._next_set(rank, i) for i in range(min(urgent, self.sets)))

    # What a command does

    def _issue(self, candidate: Candidate) -> None:
        _, _, command, number, request, is_for_visit = candidate
        rank, bank = self.ranks[self.history.rank_of(number)], self.banks[number]
        row, column, outcome = -1, -1, ""
        self.busy_until_clk = max(self.busy_until_clk, 0 if command in ("PDE", "PDX") else self.clk)
        if request:
            self.last_request_clk = max(self.last_request_clk, self.clk)
        if is_for_visit and command == "ACT":
            end = self.visits.begin(number, self.clk)
            self.busy_until_clk, self.last_request_clk = (
                max(clk, end) for clk in (self.busy_until_clk, self.last_request_clk)
            )
            return
        if command in COLUMN_COMMANDS:
            assert request is not None
            row, column, outcome = request.row, request.column, request.outcome
            oldest = next(r for r in self.queue[self.mode] if r.bank == number)
            bank.overtaken += request is not oldest
            bank.last_use_clk = self.clk
            if command in ("RDA", "WRA"):
                bank.open_row = None
            self.queue[self.mode].remove(request)
            self._choose_mode()
        elif command == "ACT":
            assert request is not None, "a visit's was issued above"
            bank.open_row = row = request.row
            bank.last_use_clk, bank.overtaken = self.clk, 0
            request.outcome = "miss" if request.outcome == "hit" else request.outcome
        elif command == "PREpb":
            assert bank.open_row is not None
            row, bank.open_row = bank.open_row, None
            if request:
                request.outcome = "conflict"
        elif command == "PREab":
            for b in self.history.banks_of(command, number):
                self.banks[b].open_row = None
        elif command in ("REFab", "REFpb"):
            rank.refreshing = False
            rank.refresh_due += self.interval
            rank.refreshes += 1
            # Powering down during a refresh would save nothing: it counts as busy.
            done_clk = self.clk + self.spec.clocks[f"nRFC{command[3:]}"]
            self.busy_until_clk = max(self.busy_until_clk, done_clk)
        elif command in ("PDE", "SRE"):
            rank.asleep = command
        else:
            rank.asleep = ""
            if command == "SRX":
                rank.refresh_due = self.clk + self.interval
        self.history.note(Issued(self.clk, command, number, row, column, False, outcome))

    # Near-memory row visits

    def stream(
        self, visits: list[tuple[int, int, int, bool]], column_period_clk: int, simultaneous_act: int = 0
    ) -> None:
        """Run visits (bank, row, columns, is_write) to their end, alone; queues must be empty."""
        for index, awake in enumerate(self.ranks):
            first = index * self.spec.banks_per_rank
            if awake.asleep:
                clk = self._now("PDX" if awake.asleep == "PDE" else "SRX", first)
                awake.refresh_due = awake.refresh_due if awake.asleep == "PDE" else clk + self.interval
                awake.asleep = ""
            if self.open_banks(self.history.banks_of("PREab", first)):
                self._now("PREab", first)
                for b in self.history.banks_of("PREab", first):
                    self.banks[b].open_row = None
        # The units begin when the host's last command has left the pins.
        end = max([self.clk, *(i.clk for i in self.issued)])
        start = max([self.clk, *(i.clk + bus_clocks(self.spec) for i in self.issued)])
        self.visits = Visits(self.history, "exclusive", column_period_clk, simultaneous_act)
        self.visits.add(visits)
        grace = self.spec.clocks["nRFCab"]
        timely = [-grace] * len(self.ranks)
        while self.visits.waiting:
            act, bank = min((self.visits.earliest(b), b) for b in self.visits.waiting)
            act, rank = max(act, start), self.history.rank_of(bank)
            if act < self.ranks[rank].refresh_due:
                timely[rank] = act
            if act < self.ranks[rank].refresh_due or act < timely[rank] + grace:
                end = max(end, self.visits.begin(bank, act))
            else:
                end = max(end, self._refresh(rank, start))
        for rank in range(len(self.ranks)):
            while self.ranks[rank].refresh_due < end:
                end = max(end, self._refresh(rank, start))
            # No set waits longer for its next REFpb than if the last refresh had been one.
            first = rank * self.spec.banks_per_rank
            refreshed = [i.clk for i in self.issued if (i.command, i.bank) == ("REFab", first)]
            if refreshed and refreshed[-1] >= start:
                due = min(self.ranks[rank].refresh_due, refreshed[-1] + self.interval)
                self.ranks[rank].refresh_due = due
        self.clk = self.busy_until_clk = self.last_request_clk = end

    def _now(self, command: str, bank: int) -> int:
        clk = max(self.clk, self.history.earliest(command, bank))
        self.history.note(Issued(clk, command, bank, -1, -1, False))
        return clk

    def _refresh(self, rank: int, start: int) -> int:
        first = rank * self.spec.banks_per_rank
        clk = max(start, self.ranks[rank].refresh_due, self.history.earliest("REFab", first, True))
        self.history.note(Issued(clk, "REFab", first, -1, -1, True))
        # Where the host refreshes by sets, this takes the place of what is left of the round.
        sets = self.sets if self.controller.refresh == "per_bank" else 1
        done = self.ranks[rank].refreshes % sets
        round_clk = min(sets * self.interval, self.spec.clocks[self.spec.table.refresh_interval])
        self.ranks[rank].refresh_due += round_clk - done * self.interval
        self.ranks[rank].refreshes += sets - done
        self.ranks[rank].refreshing = False
        return clk
