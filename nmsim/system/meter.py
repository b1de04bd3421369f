"""Where every access, operation and picosecond of a scheme is counted."""

from __future__ import annotations

import numpy as np

from nmsim.dram.activity import Activity
from nmsim.dram.commands import BACKGROUND_STATES, COMMANDS, MOVES_BURST, OF_MEMORY, OUTCOMES, PREab
from nmsim.dram.spec import DramSpec
from nmsim.energy.ledger import CommandKey, Ledger, WorkKey, refuse_too_many
from nmsim.system.pace import Pace
from nmsim.system.trace_rows import TraceRows


class Meter:
    """Counts one scheme's work, by double entry where there is a trace.

    Every DRAM command is entered in `total`, which the summary is made of. The trace shows some of them one
    by one, at once; all others are entered in a second ledger too, and written as one row per phase, cause,
    bank and command by `close`. So

        total = rows of single commands + the second ledger

    holds for counts as they are entered, and for energies only if prices, rows and sums are all right: the
    trace's energies and the summary's are formed in two ways, and must agree to the femtojoule.

    Parameters
    ----------
    spec : DramSpec
        The memory.
    rows : TraceRows or None
        Its trace; None where none is wanted.

    Attributes
    ----------
    phases : dict of str to list of int
        Start and duration of each phase, in ps.
    pace : Pace
        What set the pace of each phase.
    """

    def __init__(self, spec: DramSpec, rows: TraceRows | None):
        self.clock_ps = spec.tCK_ps
        self._rows, self._ranks = rows, spec.organization.ranks
        self._total, self._unshown = Ledger(spec.access_bytes), Ledger(spec.access_bytes)
        self.phases: dict[str, list[int]] = {}
        self.pace = Pace()
        self._raw: dict[CommandKey, np.ndarray] = {}
        self._raw_background_clk: dict[str, np.ndarray] = {}
        self._simulated, self._all = (np.zeros(len(COMMANDS), dtype=np.int64) for _ in range(2))
        self._outcomes = np.zeros(len(OUTCOMES), dtype=np.int64)

    def log_rows(self, phase: str, at_most: int) -> int:
        """Return how many commands of this phase the trace wants shown one by one, of `at_most` that come."""
        return 0 if self._rows is None else self._rows.wanted(phase, at_most)

    def dram(
        self, phase: str, source: str, array: str, channel: int, activity: Activity, times: int = 1
    ) -> None:
        """Count what a channel did in one call, `times` over."""
        for what in (activity.counts, activity.background_clk):
            refuse_too_many(what, times)
        shown = None
        if self._rows is not None:
            shown = self._rows.write_singles(phase, source, array, channel, activity.log)
        counts = activity.counts * times
        self._simulated += activity.counts.sum(axis=1)
        self._all += counts.sum(axis=1)
        self._outcomes += activity.outcomes.sum(axis=1) * times
        key = CommandKey(phase, source, array, channel)
        if shown is not None:
            self._settle()
            self._enter(key, counts, shown)
        elif key in self._raw:
            self._raw[key] += counts
        else:
            self._raw[key] = counts
        background_clk = activity.background_clk.sum(axis=0) * times
        if phase in self._raw_background_clk:
            self._raw_background_clk[phase] += background_clk
        else:
            self._raw_background_clk[phase] = background_clk

    def work(
        self, phase: str, source: str, kind: str, count: int, moved_bytes: int = 0, array: str = ""
    ) -> None:
        """Count operations, bits, clocks or picoseconds of one kind (a kind of the price list)."""
        key = WorkKey(phase, source, kind, array)
        self._total.add_work(key, count, moved_bytes)
        if self._rows is not None:
            self._unshown.add_work(key, count, moved_bytes)

    def time(self, phase: str, start_ps: int, duration_ps: int) -> None:
        """Add the duration of a phase, or of one piece of it after the other."""
        self._settle()
        if self._rows is not None:
            self._rows.span(phase, start_ps, start_ps + duration_ps)
        self.phases.setdefault(phase, [start_ps, 0])[1] += duration_ps

    def close(self) -> None:
        """Write what the trace has not shown yet."""
        self._settle()
        if self._rows is not None:
            self._rows.write_sums(self._unshown)

    @property
    def total(self) -> Ledger:
        """Return the ledger of everything up to now."""
        self._settle()
        return self._total

    @property
    def outcomes(self) -> dict[str, int]:
        """Return how many requests became row hits, misses and conflicts."""
        return dict(zip(OUTCOMES, self._outcomes.tolist(), strict=True))

    @property
    def simulated_accesses(self) -> int:
        """Return the bursts that were simulated one by one."""
        return int(self._simulated[MOVES_BURST].sum())

    @property
    def all_accesses(self) -> int:
        """Return the bursts, with those that simulated ones stand for."""
        return int(self._all[MOVES_BURST].sum())

    def _settle(self) -> None:
        """Enter what calls were summed up: nearly all of a long run are of a few kinds."""
        for key, counts in self._raw.items():
            self._enter(key, counts, None)
        for phase, clocks in self._raw_background_clk.items():
            for state, clock in zip(BACKGROUND_STATES, clocks.tolist(), strict=True):
                if clock:
                    self.work(phase, "dram", state, clock)
        self._raw, self._raw_background_clk = {}, {}

    def _enter(self, key: CommandKey, counts: np.ndarray, shown: np.ndarray | None) -> None:
        """Enter commands, of which `shown` have rows of their own; those of the memory itself apart."""
        counts = self._by_rank(counts)
        own = np.where(OF_MEMORY[:, None], counts, 0)
        for place, part in (
            (CommandKey(key.phase, "dram", "", key.channel), own),
            (key, counts - own),
        ):
            if part is own and not own.any():
                continue
            self._total.add_commands(place, part)
            if self._rows is not None:
                unshown = part if shown is None else part - np.where(part != 0, shown, 0)
                self._unshown.add_commands(place, unshown)

    def _by_rank(self, counts: np.ndarray) -> np.ndarray:
        """Return the counts with those of PREab, which closes banks of a rank, put under its first bank."""
        counts = counts.copy()
        of_rank = counts[PREab].reshape(self._ranks, -1)
        closed = of_rank.sum(axis=1)
        of_rank[:] = 0
        of_rank[:, 0] = closed
        return counts
