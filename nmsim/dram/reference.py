"""The scheduler and the row visits once more, slowly: to be read, and to test the kernels against.

Nothing is cached and no table is compiled: what is legal is worked out from the history of commands, row by
row of the standard. Clocks at which nothing can change are skipped, otherwise time goes clock by clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from nmsim.dram.commands import COMMANDS, RANK_WIDE
from nmsim.dram.controller import ControllerSpec
from nmsim.dram.engine import AccessBatch
from nmsim.dram.spec import DramSpec
from nmsim.dram.tables import bus_clocks

NEVER = 1 << 60


class Issued(NamedTuple):
    """A command that was issued; `bank` of the channel, for commands to a rank its first."""

    clk: int
    command: str
    bank: int
    row: int
    column: int
    near_memory: bool


@dataclass
class Request:
    """A queued request."""

    sequence: int
    bank: int
    row: int
    column: int
    is_write: bool


@dataclass
class Rank:
    """What the controller knows of a rank."""

    refresh_due: int
    refreshing: bool = False
    powered_down: bool = False


@dataclass
class ReferenceChannel:
    """A channel with the behaviour of `nmsim.dram.engine.Channel`; `issued` is all that it did.

    Parameters
    ----------
    spec : DramSpec
    controller : ControllerSpec
    """

    spec: DramSpec
    controller: ControllerSpec
    issued: list[Issued] = field(default_factory=list)

    def __post_init__(self) -> None:
        interval, ranks = self.spec.clocks["nREFI"], self.spec.organization.ranks
        self.clk, self.sequence, self.mode, self.last_command_clk = 0, 0, "RD", 0
        self.queue: dict[str, list[Request]] = {"RD": [], "WR": []}
        self.open_row: dict[int, int] = {}
        self.ranks = [Rank(interval - r * (interval // ranks)) for r in range(ranks)]

    # What is where

    def rank_of(self, bank: int) -> int:
        """Return the rank of a bank of the channel."""
        return bank // self.spec.banks_per_rank

    def banks_of(self, command: str, bank: int) -> set[int]:
        """Return the banks that a command touches."""
        if COMMANDS.index(command) not in RANK_WIDE:
            return {bank}
        first = self.rank_of(bank) * self.spec.banks_per_rank
        return set(range(first, first + self.spec.banks_per_rank))

    def share(self, level: str, one: set[int], other: set[int]) -> bool:
        """Return whether two sets of banks share what a row of the table is about."""
        ranks = {self.rank_of(b) for b in one}, {self.rank_of(b) for b in other}
        groups = (
            {b // self.spec.organization.banks for b in one},
            {b // self.spec.organization.banks for b in other},
        )
        return {
            "bank": bool(one & other),
            "bankgroup": bool(groups[0] & groups[1]),
            "rank": bool(ranks[0] & ranks[1]),
            "channel": True,
            "other_rank": not ranks[0] & ranks[1],
        }[level]

    # What is legal

    def earliest(self, command: str, bank: int, near: bool = False, simultaneous_act: int = 0) -> int:
        """Return the first clock at which the table allows a command after all that was issued."""
        earliest, touched = 0, self.banks_of(command, bank)
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
            before = sorted(
                i.clk
                for i in self.issued
                if i.command in row.preceding
                and self.share("bank" if row.resource == "column" and i.near_memory else level,
                               self.banks_of(i.command, i.bank), touched)
                and not (row.resource == "command_bus" and i.near_memory)
            )  # fmt: skip
            if len(before) >= window:
                earliest = max(earliest, before[-window] + self.spec.latency(row.latency))
        return earliest

    # The host's requests

    def access(self, batch: AccessBatch, drain: bool = True) -> None:
        """Serve a batch of requests."""
        self._run(batch, NEVER, drain)

    def advance(self, until_clk: int) -> None:
        """Let time pass up to `until_clk`, exclusive."""
        self._run(AccessBatch(*[np.empty(0, dtype=np.int64)] * 5), until_clk, True)

    def _run(self, batch: AccessBatch, until: int, drain: bool) -> None:
        position = 0
        while True:
            position, next_arrival = self._admit(batch, position)
            if position == len(batch.bank) and not drain:
                return
            if not any(self.queue.values()) and position == len(batch.bank) and until == NEVER:
                return
            for rank in self.ranks:
                rank.refreshing |= rank.refresh_due <= self.clk
            candidates = self._rank_candidates() + self._bank_candidates()
            legal = [c for c in candidates if c[0] <= self.clk]
            if legal:
                _, _, command, bank = min(legal, key=lambda c: c[1])
                self._issue(command, bank)
                continue
            changes = [c[0] for c in candidates] + [r.refresh_due for r in self.ranks if not r.refreshing]
            following = min([*changes, next_arrival, until])
            self.clk = following
            if following == until:
                return

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
            self.queue[kind].append(Request(self.sequence, bank, row, column, kind == "WR"))
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

    def _bank_candidates(self) -> list[tuple[int, tuple, str, int]]:
        """Return (clock, priority, command, bank) of what each bank's requests need next."""
        candidates = []
        for bank in range(self.spec.banks_per_channel):
            rank = self.ranks[self.rank_of(bank)]
            waiting = [r for r in self.queue[self.mode] if r.bank == bank]
            if not waiting or rank.refreshing or rank.powered_down:
                continue
            hits = [r for r in waiting if r.row == self.open_row.get(bank)]
            if hits:
                command, oldest = self.mode, hits[0]
            else:
                command, oldest = "PREpb" if bank in self.open_row else "ACT", waiting[0]
            priority = (1, not hits, oldest.sequence)
            candidates.append((self.earliest(command, bank), priority, command, bank))
        return candidates

    def _rank_candidates(self) -> list[tuple[int, tuple, str, int]]:
        """Return (clock, priority, command, bank) of what refresh and power-down need next."""
        candidates = []
        idle = not any(self.queue.values())
        for index, rank in enumerate(self.ranks):
            first = index * self.spec.banks_per_rank
            banks = self.banks_of("REFab", first)
            command, clk = None, 0
            if rank.powered_down:
                wanted = any(r.bank in banks for q in self.queue.values() for r in q)
                command = "PDX" if rank.refreshing or wanted else None
            elif rank.refreshing:
                command = "PREab" if banks & set(self.open_row) else "REFab"
            elif idle and self.controller.power_down_idle_clk:
                command, clk = "PDE", self.last_command_clk + self.controller.power_down_idle_clk
            if command:
                clk = max(clk, self.earliest(command, first))
                candidates.append((clk, (0, index), command, first))
        return candidates

    def _issue(self, command: str, bank: int) -> None:
        rank, row, column = self.ranks[self.rank_of(bank)], -1, -1
        if command in ("RD", "WR"):
            queue = self.queue[command]
            request = next(r for r in queue if r.bank == bank and r.row == self.open_row[bank])
            queue.remove(request)
            row, column = request.row, request.column
        elif command == "ACT":
            row = next(r.row for r in self.queue[self.mode] if r.bank == bank)
            self.open_row[bank] = row
        elif command == "PREpb":
            row = self.open_row.pop(bank)
        elif command == "PREab":
            for b in self.banks_of(command, bank):
                self.open_row.pop(b, None)
        elif command == "REFab":
            rank.refreshing = False
            rank.refresh_due += self.spec.clocks["nREFI"]
        else:
            rank.powered_down = command == "PDE"
        if command not in ("PDE", "PDX"):
            # Powering down during a refresh would save nothing: it counts as busy.
            busy = self.spec.clocks["nRFCab"] if command == "REFab" else 0
            self.last_command_clk = self.clk + busy
        self.issued.append(Issued(self.clk, command, bank, row, column, False))
        self._choose_mode()

    # Near-memory row visits

    def stream(
        self, visits: list[tuple[int, int, int, bool]], column_period_clk: int, simultaneous_act: int = 0
    ) -> None:
        """Run visits (bank, row, columns, is_write) to their end; queues must be empty."""
        for index, rank in enumerate(self.ranks):
            first = index * self.spec.banks_per_rank
            if rank.powered_down:
                self._now("PDX", first)
                rank.powered_down = False
            if self.banks_of("PREab", first) & set(self.open_row):
                self._now("PREab", first)
                self.open_row = {b: r for b, r in self.open_row.items() if self.rank_of(b) != index}
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
            self.issued.append(Issued(act, "ACT", bank, row, -1, True))
            first = max(act, self.earliest(command, bank, True))
            for k in range(now):
                self.issued.append(Issued(first + k * period, command, bank, row, done + k, True))
            pre = max(self.earliest("PREpb", bank, True), first + now * period)
            self.issued.append(Issued(pre, "PREpb", bank, row, -1, True))
            end = max(end, pre)
            left[bank][0][1] += now
            if left[bank][0][1] == columns:
                left[bank].pop(0)
                if not left[bank]:
                    del left[bank]
        for rank in range(len(self.ranks)):
            while self.ranks[rank].refresh_due < end:
                end = max(end, self._refresh(rank, start))
        self.clk = self.last_command_clk = end

    def _now(self, command: str, bank: int) -> None:
        clk = max(self.clk, self.earliest(command, bank))
        self.issued.append(Issued(clk, command, bank, -1, -1, False))

    def _refresh(self, rank: int, start: int) -> int:
        first = rank * self.spec.banks_per_rank
        clk = max(start, self.ranks[rank].refresh_due, self.earliest("REFab", first, True))
        self.issued.append(Issued(clk, "REFab", first, -1, -1, True))
        self.ranks[rank].refresh_due += self.spec.clocks["nREFI"]
        self.ranks[rank].refreshing = False
        return clk
