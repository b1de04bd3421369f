"""Where every access, operation and picosecond of a scheme is counted, and its trace rows are made."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from nmsim.dram.commands import COMMANDS, OUTCOMES
from nmsim.dram.engine import Activity
from nmsim.energy.components import COMPONENTS
from nmsim.energy.ledger import CommandKey, Ledger, WorkKey
from nmsim.energy.prices import PriceList
from nmsim.trace.schema import COMPONENT_COLUMNS, trace_table
from nmsim.trace.writer import TraceWriter

#: Rows that the engine may log in one call where every access is wanted.
_LOG_AT_ONCE = 1 << 22


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
        durations_clk: Mapping[str, int],
        bank_shape: tuple[int, int, int],
        writer: TraceWriter | None,
        rows_per_phase: int | None,
    ):
        self.scheme, self.prices, self.clock_ps = scheme, prices, clock_ps
        self.total, self._rest = Ledger(), Ledger()
        self.outcomes = dict.fromkeys(OUTCOMES, 0)
        self.phases: dict[str, list[int]] = {}
        self.simulated_accesses = self.all_accesses = 0
        self._bank_shape, self._writer, self._rows_per_phase = bank_shape, writer, rows_per_phase
        self._shown: dict[str, int] = {}
        self._durations_ps = np.array([durations_clk.get(c, 1) for c in COMMANDS]) * clock_ps
        self._code = {name: i for i, name in enumerate(COMMANDS)}
        self._price_tables = {
            source: np.array([prices.command(name, source) for name in COMMANDS])
            for source in ("host", "nmc", "dram")
        }

    def log_rows(self, phase: str) -> int:
        """Return how many more commands of this phase the trace shows one by one."""
        if self._writer is None:
            return 0
        if self._rows_per_phase is None:
            return _LOG_AT_ONCE
        return max(0, self._rows_per_phase - self._shown.get(phase, 0))

    def dram(
        self, phase: str, source: str, array: str, channel: int, activity: Activity, times: int = 1
    ) -> None:
        """Count what a channel did in one call, `times` over."""
        shown = self._show(phase, source, array, channel, activity)
        refreshes = np.zeros_like(activity.counts)
        for command in ("REFab", "REFpb"):
            if command in self._code:
                refreshes[self._code[command]] = activity.counts[self._code[command]]
        for counts, key in (
            (activity.counts - refreshes, CommandKey(phase, source, array, channel)),
            (refreshes, CommandKey(phase, "dram", "", channel)),
        ):
            if counts.any():
                of_key = shown * (refreshes > 0) if key.source == "dram" else shown * (refreshes == 0)
                self.total.add_commands(key, counts, times)
                self._rest.add_commands(key, counts * times - of_key)
        for state, clocks in activity.background_clk.items():
            self.work(phase, "dram", state, clocks * times)
        accesses = activity.accesses
        self.simulated_accesses += accesses
        self.all_accesses += accesses * times
        for name in OUTCOMES:
            self.outcomes[name] += activity.outcomes[name] * times

    def work(self, phase: str, source: str, kind: str, count: int, moved_bytes: int = 0) -> None:
        """Count operations, bits, clocks or picoseconds of one kind (a kind of the price list)."""
        for ledger in (self.total, self._rest):
            ledger.add_work(WorkKey(phase, source, kind), count, moved_bytes)

    def time(self, phase: str, start_ps: int, duration_ps: int) -> None:
        """Add the duration of (a piece of) a phase."""
        self.phases.setdefault(phase, [start_ps, 0])[1] += duration_ps

    def close(self) -> None:
        """Write the aggregated rows."""
        if self._writer is None:
            return
        frame = self._rest.frame(self.prices)
        frame = frame[(frame["count"] != 0) | (frame["bytes"] != 0)]
        ranks, groups, banks = self._bank_shape
        bank = frame["bank"].to_numpy()
        spans = [self.phases.get(p, (0, 0)) for p in frame["phase"]]
        columns = {name: frame[name].to_numpy() for name in ("cmd", "channel", "bytes", "source", "phase", "count")}
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
                    **{name: frame[name].to_numpy() for name in COMPONENT_COLUMNS},
                    "energy_fJ": frame[COMPONENT_COLUMNS].sum(axis=1).to_numpy(),
                },
                len(frame),
            )
        )

    def frame(self) -> pd.DataFrame:
        """Return the whole ledger, priced (see `Ledger.frame`)."""
        return self.total.frame(self.prices)

    def _show(self, phase: str, source: str, array: str, channel: int, activity: Activity) -> np.ndarray:
        """Write the logged commands as trace rows; return how many of each command and bank these were."""
        log = activity.log
        rows = 0 if log is None or self._writer is None else min(len(log["clk"]), self.log_rows(phase))
        shown = np.zeros_like(activity.counts)
        if rows == 0:
            return shown
        log = {name: column[:rows] for name, column in log.items()}
        self._shown[phase] = self._shown.get(phase, 0) + rows
        command = log["cmd"].astype(np.int64)
        ranks, groups, banks = self._bank_shape
        flat = (log["rank"] * groups + log["bankgroup"]) * banks + log["bank"]
        np.add.at(shown, (command, flat), 1)
        refresh = np.isin(command, [self._code[c] for c in ("REFab", "REFpb") if c in self._code])
        energies = np.where(
            refresh[:, None], self._price_tables["dram"][command], self._price_tables[source][command]
        )
        self._writer.write(
            trace_table(
                {
                    "t_ps": log["clk"] * self.clock_ps,
                    "dur_ps": self._durations_ps[command],
                    "cmd": (command, list(COMMANDS)),
                    "channel": channel,
                    "rank": log["rank"],
                    "bankgroup": log["bankgroup"],
                    "bank": log["bank"],
                    "row": log["row"],
                    "col": log["col"],
                    "bytes": np.array([self.prices.command_bytes[c] for c in COMMANDS])[command],
                    "source": (refresh.astype(np.int16), [source, "dram"]),
                    "phase": phase,
                    "row_outcome": (log["outcome"], list(OUTCOMES)),
                    "energy_fJ": energies.sum(axis=1),
                    "scheme": self.scheme,
                    "array": (np.where(refresh | (array == ""), -1, 0), [array]),
                    "count": 1,
                    **{f"{name}_fJ": energies[:, i] for i, name in enumerate(COMPONENTS)},
                },
                rows,
            )
        )
        return shown
