"""The commands that a channel was given, and what its standard allows after them, row by row of the table.

Part of the slow scheduler, `nmsim.dram.reference`: no table is compiled.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nmsim.dram.commands import COMMANDS, RANK_WIDE
from nmsim.dram.spec import DramSpec

#: Clocks that are kept of each command and bank: as many as the longest window of any table, and of any
#: `simultaneous_act`, looks back.
MEMORY = 64


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
class History:
    """All that was issued: in the order of decisions, near memory's row visits ahead of their clocks."""

    spec: DramSpec
    issued: list[Issued] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clocks: dict[tuple[str, int, bool], deque[int]] = {
            (command, bank, near): deque(maxlen=MEMORY)
            for command in COMMANDS
            for bank in range(self.spec.banks_per_channel)
            for near in (False, True)
        }
        self.waits: dict[tuple[Any, ...], list[tuple[int, int, list[deque[int]]]]] = {}

    def note(self, issued: Issued) -> None:
        """Take in a command."""
        self.issued.append(issued)
        self.clocks[issued.command, issued.bank, issued.near_memory].append(issued.clk)

    def rank_of(self, bank: int) -> int:
        """Return the rank of a bank of the channel."""
        return bank // self.spec.banks_per_rank

    def banks_of(self, command: str, bank: int) -> set[int]:
        """Return the banks that a command touches."""
        if command != "REFpb" and COMMANDS.index(command) not in RANK_WIDE:
            return {bank}
        first, sets = self.rank_of(bank) * self.spec.banks_per_rank, self.spec.refresh_sets
        rank = range(first, first + self.spec.banks_per_rank)
        return {b for b in rank if command != "REFpb" or (sets and (b - bank) % sets == 0)}

    def meet(self, level: str, one: set[int], other: set[int]) -> bool:
        """Return whether two sets of banks have in common what a row of the table is about."""
        if level == "channel":
            return True
        if level == "other_rank":
            return not self.meet("rank", one, other)
        org = self.spec.organization
        size = {"bank": 1, "bankgroup": org.banks, "rank": self.spec.banks_per_rank}[level]
        return not {b // size for b in one}.isdisjoint({b // size for b in other})

    def earliest(self, command: str, bank: int, near: bool = False, simultaneous_act: int = 0) -> int:
        """Return the first clock at which the table allows a command after all that was issued."""
        key = command, bank, near, simultaneous_act
        if key not in self.waits:  # worked out once: which clocks each row looks at does not change
            self.waits[key] = self._waits_for(*key)
        earliest = 0
        for window, latency, clocks in self.waits[key]:
            before = sorted(clk for of_one in clocks for clk in list(of_one)[-window:])
            if len(before) >= window:
                earliest = max(earliest, before[-window] + latency)
        return earliest

    def _waits_for(
        self, command: str, bank: int, near: bool, simultaneous_act: int
    ) -> list[tuple[int, int, list[deque[int]]]]:
        """Return (window, latency, clocks) of each row of the table that a command must obey."""
        rows, touched = [], self.banks_of(command, bank)
        for row in self.spec.table.constraints:
            if command not in row.following:
                continue
            window, level, is_column = row.window, row.level, row.resource == "column"
            # Pins and data bus are the host's alone; with near memory a bank shares its own column path.
            is_hosts = row.resource == "command_bus" or (is_column and level == "other_rank")
            with_near = "bank" if is_column else level
            if near:
                if is_hosts:
                    continue
                level = with_near
                if row.resource == "power" and simultaneous_act:
                    if row.window == 1:
                        continue
                    window = simultaneous_act
            clocks = [
                of_one
                for (before, other, by_near), of_one in self.clocks.items()
                if before in row.preceding
                and not (is_hosts and by_near)
                and self.meet(with_near if by_near else level, self.banks_of(before, other), touched)
            ]
            rows.append((window, self.spec.latency(row.latency), clocks))
        return rows
