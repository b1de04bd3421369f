"""The course of a scheme on a board: what happened there as counts and times, before anything has a price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nmsim.energy.ledger import Ledger
from nmsim.energy.prices import PriceList
from nmsim.system.pace import Pace

#: How often each command or kind of work was seen, by (phase, source, array, name); see `Ledger.counts`.
Counts = Mapping[tuple[str, str, str, str], int]


@dataclass(frozen=True)
class Epoch:
    """One simulated epoch of the training.

    Attributes
    ----------
    counts : Counts
        All that it did, `times` over, but for static power.
    time_ps : int
        Of one of its repeats.
    times : int
        Epochs that it stands for.
    """

    counts: Counts
    time_ps: int
    times: int


@dataclass(frozen=True, eq=False)
class Course:
    """What one scheme did on a board.

    Attributes
    ----------
    scheme : str
    ledger : Ledger
        Everything that was counted.
    phases : mapping of str to (int, int)
        Start and duration of each phase in ps, in order.
    pace : Pace
        What set the pace of each phase.
    outcomes : mapping of str to int
        Column accesses by what they found in the row buffer.
    accesses, simulated_accesses : int
        Bursts read and written, and those of them that were simulated one by one.
    epochs : tuple of Epoch
    """

    scheme: str
    ledger: Ledger
    phases: Mapping[str, tuple[int, int]]
    pace: Pace
    outcomes: Mapping[str, int]
    accesses: int
    simulated_accesses: int
    epochs: tuple[Epoch, ...]

    def epoch_energies_fJ(self, prices: PriceList) -> list[int]:
        """Return the energy of each simulated epoch, static power included."""
        static_fJ_per_ps = float(prices.work("STATIC", "soc").sum())
        return [
            round(priced_fJ(epoch.counts, prices) / epoch.times + static_fJ_per_ps * epoch.time_ps)
            for epoch in self.epochs
        ]


def priced_fJ(counts: Counts, prices: PriceList) -> float:
    """Return the energy of all these commands and pieces of work together."""
    return sum(float(prices.of(name, source).sum()) * count for (_, source, _, name), count in counts.items())
