"""Where every access, operation and picosecond of a scheme is counted, and its trace rows are made."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from nmsim.dram.activity import Activity, CommandLog
from nmsim.dram.commands import (
    BACKGROUND_STATES,
    COMMANDS,
    OUTCOMES,
    PDE,
    PDX,
    RD,
    RDA,
    SRE,
    SRX,
    WR,
    WRA,
    PREab,
    REFab,
    REFpb,
)
from nmsim.energy.components import COMPONENTS
from nmsim.energy.ledger import MAX_TOTAL, CommandKey, Ledger, WorkKey, refuse_too_many
from nmsim.energy.priced import priced
from nmsim.energy.prices import SOURCES, PriceList
from nmsim.errors import ResourceLimitError
from nmsim.system.pace import Pace
from nmsim.trace.schema import COMPONENT_COLUMNS, trace_table
from nmsim.trace.writer import TraceWriter
from nmsim.units import format_time

#: Commands that the memory causes by itself, whoever works meanwhile.
_OWN = [REFpb, REFab, PDE, PDX, SRE, SRX]

#: Commands that move a burst.
_COLUMN = [RD, WR, RDA, WRA]


class Meter:
    """Counts one scheme's work and writes its trace.

    Every DRAM command goes into `total`. Those that the trace shows one by one are written as rows at once;
    all others are summed up and written as one row per phase, cause, bank and command by `close`. So the
    trace's energies and the summary's are formed in two ways, and must agree to the femtojoule.

    Parameters
    ----------
    scheme : str
        Name in the trace.
    prices : PriceList
        What things cost.
    clock_ps : int
        tCK.
    durations_clk : mapping of str to int
        How long each DRAM command lasts, for the trace's `dur_ps`.
    bank_shape : tuple of int
        Ranks, bank groups, banks of a group.
    writer : TraceWriter or None
        None where no trace is wanted.
    rows_per_phase : int or None
        Commands that each phase shows one by one; None for all of them.
    """

    def __init__(
        self,
        scheme: str,
        prices: PriceList,
        clock_ps: int,
        access_bytes: int,
        durations_clk: Mapping[str, int],
        bank_shape: tuple[int, int, int],
        writer: TraceWriter | None,
        rows_per_phase: int | None,
    ):
        self.scheme, self._prices, self.clock_ps, self._access_bytes = scheme, prices, clock_ps, access_bytes
        self._total, self._rest = Ledger(access_bytes), Ledger(access_bytes)
        self._ledgers = (self._total,) if writer is None else (self._total, self._rest)
        self.phases: dict[str, list[int]] = {}
        self._ends_ps: dict[str, int] = {}
        self.pace = Pace()
        self._raw: dict[CommandKey, np.ndarray] = {}
        self._raw_background_clk: dict[str, np.ndarray] = {}
        banks = math.prod(bank_shape)
        self._simulated = np.zeros((len(COMMANDS), banks), dtype=np.int64)
        self._all = np.zeros((len(COMMANDS), banks), dtype=np.int64)
        self._outcomes = np.zeros((len(OUTCOMES), banks), dtype=np.int64)
        self.stopped = False
        self._bank_shape, self._writer, self._rows_per_phase = bank_shape, writer, rows_per_phase
        self._shown: dict[str, int] = {}
        self._durations_ps = np.array([durations_clk.get(c, 1) for c in COMMANDS]) * clock_ps
        self._price_tables = {
            source: np.array([prices.command(name, source) for name in COMMANDS]) for source in SOURCES
        }

    def log_rows(self, phase: str, at_most: int) -> int:
        """Return how many commands of this phase the trace wants shown one by one, of `at_most` that come."""
        if self._writer is None:
            return 0
        if self._rows_per_phase is None:
            return at_most
        return min(at_most, max(0, self._rows_per_phase - self._shown.get(phase, 0)))

    def dram(
        self, phase: str, source: str, array: str, channel: int, activity: Activity, times: int = 1
    ) -> None:
        """Count what a channel did in one call, `times` over."""
        if self.stopped:
            raise InterruptedError("the board was stopped")
        for what in (activity.counts, activity.background_clk):
            refuse_too_many(what, times)
        shown = self._show(phase, source, array, channel, activity.log)
        counts = activity.counts * times
        background_clk = activity.background_clk.sum(axis=0) * times
        self._simulated += activity.counts
        self._all += counts
        self._outcomes += activity.outcomes * times
        key = CommandKey(phase, source, array, channel)
        if shown is not None:
            self._settle()
            self._count(key, counts, shown)
        elif key in self._raw:
            self._raw[key] += counts
        else:
            self._raw[key] = counts
        if phase in self._raw_background_clk:
            self._raw_background_clk[phase] += background_clk
        else:
            self._raw_background_clk[phase] = background_clk

    @property
    def total(self) -> Ledger:
        """Return the ledger of everything up to now."""
        self._settle()
        return self._total

    @property
    def outcomes(self) -> dict[str, int]:
        """Return how many requests became row hits, misses and conflicts."""
        return dict(zip(OUTCOMES, self._outcomes.sum(axis=1).tolist(), strict=True))

    @property
    def simulated_accesses(self) -> int:
        """Return the bursts that were simulated one by one."""
        return int(self._simulated[_COLUMN].sum())

    @property
    def all_accesses(self) -> int:
        """Return the bursts, with those that simulated ones stand for."""
        return int(self._all[_COLUMN].sum())

    def _settle(self) -> None:
        """Enter what calls were summed up: nearly all of a long run are of a few kinds."""
        for key, counts in self._raw.items():
            self._count(key, counts, None)
        for phase, clocks in self._raw_background_clk.items():
            for state, clock in zip(BACKGROUND_STATES, clocks.tolist(), strict=True):
                if clock:
                    self.work(phase, "dram", state, clock)
        self._raw, self._raw_background_clk = {}, {}

    def _count(self, key: CommandKey, counts: np.ndarray, shown: np.ndarray | None) -> None:
        """Enter commands, of which `shown` have rows of their own; those of the memory itself apart."""
        counts = self._by_rank(counts)
        own = np.zeros_like(counts)
        own[_OWN] = counts[_OWN]
        counts[_OWN] = 0
        for place, part in ((CommandKey(key.phase, "dram", "", key.channel), own), (key, counts)):
            if part is own and not own.any():
                continue
            self._total.add_commands(place, part)
            if self._writer is not None:
                hidden = part if shown is None else part - np.where(part != 0, shown, 0)
                self._rest.add_commands(place, hidden)

    def work(
        self, phase: str, source: str, kind: str, count: int, moved_bytes: int = 0, array: str = ""
    ) -> None:
        """Count operations, bits, clocks or picoseconds of one kind (a kind of the price list)."""
        for ledger in self._ledgers:
            ledger.add_work(WorkKey(phase, source, kind, array), count, moved_bytes)

    def time(self, phase: str, start_ps: int, duration_ps: int) -> None:
        """Add the duration of a phase, or of one piece of it after the other."""
        self._settle()
        if self._writer is not None:
            _refuse_late(start_ps + duration_ps)
        self.phases.setdefault(phase, [start_ps, 0])[1] += duration_ps
        self._ends_ps[phase] = start_ps + duration_ps

    def close(self) -> None:
        """Write the aggregated rows."""
        self._settle()
        if self._writer is None:
            return
        frame = priced(self._rest, self._prices)
        frame = frame[(frame["count"] != 0) | (frame["bytes"] != 0)]
        _, groups, banks = self._bank_shape
        bank = frame["bank"].to_numpy()
        # A sum over a phase in pieces (mode_switch: entering, leaving) spans from the first to the last.
        spans = [
            (self.phases[p][0], self._ends_ps[p] - self.phases[p][0]) if p in self.phases else (0, 0)
            for p in frame["phase"]
        ]
        kept = ("cmd", "channel", "bytes", "source", "phase", "count", "energy_fJ", *COMPONENT_COLUMNS)
        columns = {name: frame[name].to_numpy() for name in kept}
        self._writer.write(
            trace_table(
                {
                    **columns,
                    "t_ps": np.array([s[0] for s in spans], dtype=np.int64),
                    "dur_ps": np.array([s[1] for s in spans], dtype=np.int64),
                    "rank": np.where(bank < 0, -1, bank // (groups * banks)),
                    "bankgroup": np.where(bank < 0, -1, bank // banks % groups),
                    "bank": np.where(bank < 0, -1, bank % banks),
                    "array": frame["array"].where(frame["array"] != "", None).to_numpy(),
                    "scheme": self.scheme,
                },
                len(frame),
            )
        )

    def _by_rank(self, counts: np.ndarray) -> np.ndarray:
        """Return the counts with those of PREab, which closes banks of a rank, put under its first bank."""
        counts = counts.copy()
        if not counts[PREab].any():
            return counts
        ranks, groups, banks = self._bank_shape
        of_rank = counts[PREab].reshape(ranks, groups * banks)
        closed = of_rank.sum(axis=1)
        of_rank[:] = 0
        of_rank[:, 0] = closed
        return counts

    def _show(self, phase: str, source: str, array: str, channel: int, log: CommandLog) -> np.ndarray | None:
        """Write the logged commands as trace rows; return how many of each command and bank, or None."""
        rows = len(log)
        if rows == 0 or self._writer is None:
            return None
        _refuse_late(int(log.clk[-1]) * self.clock_ps)
        ranks, groups, banks = self._bank_shape
        shown = np.zeros((len(COMMANDS), ranks * groups * banks), dtype=np.int64)
        self._shown[phase] = self._shown.get(phase, 0) + rows
        command = log.command
        # A precharge of all banks costs as much as the banks that it closes.
        count = np.where(command == PREab, log.closed, 1)
        flat = (log.rank * groups + np.maximum(log.bankgroup, 0)) * banks + np.maximum(log.bank, 0)
        np.add.at(shown, (command, flat), count)
        own = np.isin(command, _OWN)
        prices = np.where(
            own[:, None], self._price_tables["dram"][command], self._price_tables[source][command]
        )
        energies = prices * count[:, None]
        column_command = np.isin(command, (RD, WR, RDA, WRA))
        self._writer.write(
            trace_table(
                {
                    "t_ps": log.clk * self.clock_ps,
                    "dur_ps": self._durations_ps[command],
                    "cmd": (command, list(COMMANDS)),
                    "channel": channel,
                    "rank": log.rank,
                    "bankgroup": log.bankgroup,
                    "bank": log.bank,
                    "row": log.row,
                    "col": log.column,
                    "bytes": np.where(column_command, self._access_bytes, 0),
                    "source": (own.astype(np.int16), [source, "dram"]),
                    "phase": phase,
                    "row_outcome": (np.where(column_command, log.outcome, -1), list(OUTCOMES)),
                    "energy_fJ": energies.sum(axis=1),
                    "scheme": self.scheme,
                    "array": (np.where(own | (array == ""), -1, 0), [array]),
                    "count": count,
                    **{f"{name}_fJ": energies[:, i] for i, name in enumerate(COMPONENTS)},
                },
                rows,
            )
        )
        return shown


def _refuse_late(time_ps: int) -> None:
    """Refuse a time that a row of the trace cannot hold."""
    if time_ps > MAX_TOTAL:
        raise ResourceLimitError(
            "the trace counts picoseconds in 64 bits, and what this board does takes longer",
            found=format_time(time_ps),
            expected=f"at most {format_time(MAX_TOTAL)}",
            hint="Set trace.level: off, or lower training.epochs.",
        )
