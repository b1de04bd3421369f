"""Row visits of near memory: those that wait, bank by bank, and those under way.

Part of the slow scheduler, `nmsim.dram.reference`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from nmsim.dram.reference_history import History, Issued


class Visit(NamedTuple):
    """Column commands to a row, from a column on, with the row's ACT before and PREpb after them."""

    row: int
    column: int
    columns: int
    command: str


@dataclass
class Visits:
    """The visits of one call of the channel.

    Parameters
    ----------
    history : History
        Where their commands go.
    policy : str
        What the host does meanwhile: "exclusive", "per_bank" or "concurrent".
    column_period_clk : int
        Clocks between column commands of a visit, lengthened to what the standard has within a bank.
    simultaneous_act : int
        ACTs of a rank that fall into one window (nFAW); 0: near memory obeys the standard's rows.
    """

    history: History
    policy: str = "exclusive"
    column_period_clk: int = 0
    simultaneous_act: int = 0
    waiting: dict[int, deque[Visit]] = field(default_factory=dict)
    end_clk: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        spec = self.history.spec
        spacings = [
            spec.latency(row.latency)
            for row in spec.table.constraints
            for command in ("RD", "WR")
            if row.resource == "column" and row.level != "other_rank"
            if command in row.preceding and command in row.following
        ]
        self.period = max(self.column_period_clk, *spacings)
        self.most_columns = max(1, spec.clocks[spec.table.refresh_interval] // self.period)

    def add(self, visits: list[tuple[int, int, int, bool]]) -> None:
        """Append visits (bank, row, columns, is_write), in as many pieces as refresh wants."""
        for bank, row, columns, is_write in visits:
            for column in range(0, columns, self.most_columns):
                piece = min(self.most_columns, columns - column)
                visit = Visit(row, column, piece, "WR" if is_write else "RD")
                self.waiting.setdefault(bank, deque()).append(visit)

    def left(self, clk: int) -> set[int]:
        """Return the banks in which a visit waits or has not come to its PREpb."""
        return {*self.waiting, *(bank for bank, end in self.end_clk.items() if clk < end)}

    def end_of(self, banks: set[int]) -> int:
        """Return the clock of the last PREpb of those visits in some banks that have begun."""
        return max((self.end_clk.get(bank, 0) for bank in banks), default=0)

    def earliest(self, bank: int) -> int:
        """Return the first clock at which near memory's rules allow the ACT of a bank's next visit."""
        return self.history.earliest("ACT", bank, True, self.simultaneous_act)

    def begin(self, bank: int, clk: int) -> int:
        """Fix all commands of a bank's next visit, with its ACT at `clk`; return the clock of its PREpb."""
        row, column, columns, command = self.waiting[bank].popleft()
        if not self.waiting[bank]:
            del self.waiting[bank]
        self._note(clk, "ACT", bank, row)
        first = max(clk, self.history.earliest(command, bank, True))
        for k in range(columns):
            self._note(first + k * self.period, command, bank, row, column + k)
        end = max(first + columns * self.period, self.history.earliest("PREpb", bank, True))
        self._note(end, "PREpb", bank, row)
        self.end_clk[bank] = end
        return end

    def _note(self, clk: int, command: str, bank: int, row: int, column: int = -1) -> None:
        self.history.note(Issued(clk, command, bank, row, column, True))
