"""The rows that one scheme leaves in the trace: single commands as they come, and sums of what is left."""

from __future__ import annotations

import numpy as np

from nmsim.dram.activity import CommandLog
from nmsim.dram.commands import COMMANDS, MOVES_BURST, OF_MEMORY, OUTCOMES, PREab
from nmsim.dram.durations import command_durations
from nmsim.dram.spec import DramSpec
from nmsim.energy.ledger import MAX_TOTAL, Ledger
from nmsim.energy.priced import priced
from nmsim.energy.prices import SOURCES, PriceList
from nmsim.errors import ResourceLimitError
from nmsim.trace.schema import COMPONENT_COLUMNS, trace_table
from nmsim.trace.writer import TraceWriter
from nmsim.units import format_time


class TraceRows:
    """Writes the rows of one scheme.

    Parameters
    ----------
    writer : TraceWriter
    scheme : str
        Name in the trace.
    spec : DramSpec
        The memory: its clock, its banks, how long its commands last.
    prices : PriceList
        What things cost.
    per_phase : int or None
        Commands that each phase shows one by one; None for all of them.
    """

    def __init__(
        self, writer: TraceWriter, scheme: str, spec: DramSpec, prices: PriceList, per_phase: int | None
    ):
        self._writer, self._scheme, self._spec, self._prices = writer, scheme, spec, prices
        self._per_phase = per_phase
        self._shown: dict[str, int] = {}
        self._spans_ps: dict[str, tuple[int, int]] = {}
        durations = command_durations(spec)
        self._durations_ps = np.array([durations.get(name, 1) for name in COMMANDS]) * spec.tCK_ps
        self._command_fJ = {
            source: np.array([prices.command(name, source) for name in COMMANDS]) for source in SOURCES
        }

    def wanted(self, phase: str, at_most: int) -> int:
        """Return how many commands of this phase are shown one by one, of `at_most` that come."""
        if self._per_phase is None:
            return at_most
        return min(at_most, max(0, self._per_phase - self._shown.get(phase, 0)))

    def write_singles(
        self, phase: str, source: str, array: str, channel: int, log: CommandLog
    ) -> np.ndarray | None:
        """Write a row for each logged command.

        Returns
        -------
        ndarray of int64, shape (commands, banks of the channel), or None
            How many commands were written; None for none at all.
        """
        if not len(log):
            return None
        _refuse_late(int(log.clk[-1]) * self._spec.tCK_ps)
        self._shown[phase] = self._shown.get(phase, 0) + len(log)
        command, own, moves = log.command, OF_MEMORY[log.command], MOVES_BURST[log.command]
        # A precharge of all banks costs as much as the banks that it closes.
        count = np.where(command == PREab, log.closed, 1)
        price_fJ = np.where(
            own[:, None], self._command_fJ["dram"][command], self._command_fJ[source][command]
        )
        self._write(
            phase,
            price_fJ * count[:, None],
            t_ps=log.clk * self._spec.tCK_ps,
            dur_ps=self._durations_ps[command],
            cmd=(command, list(COMMANDS)),
            channel=channel,
            rank=log.rank,
            bankgroup=log.bankgroup,
            bank=log.bank,
            row=log.row,
            col=log.column,
            bytes=np.where(moves, self._spec.access_bytes, 0),
            source=(own.astype(np.int16), [source, "dram"]),
            row_outcome=(np.where(moves, log.outcome, -1), list(OUTCOMES)),
            array=(np.where(own | (array == ""), -1, 0), [array]),
            count=count,
        )
        shown = np.zeros((len(COMMANDS), self._spec.banks_per_channel), dtype=np.int64)
        organization = self._spec.organization
        group = log.rank * organization.bankgroups + np.maximum(log.bankgroup, 0)
        np.add.at(shown, (command, group * organization.banks + np.maximum(log.bank, 0)), count)
        return shown

    def span(self, phase: str, start_ps: int, end_ps: int) -> None:
        """Note when a phase, or one piece of it after the other, began and ended."""
        _refuse_late(end_ps)
        self._spans_ps[phase] = (self._spans_ps.get(phase, (start_ps, end_ps))[0], end_ps)

    def write_sums(self, ledger: Ledger) -> None:
        """Write a row for each entry of a ledger, over the span of its phase.

        The span of a phase in pieces (mode_switch: entering, leaving) goes from the first to the last.
        """
        frame, organization = priced(ledger, self._prices), self._spec.organization
        groups, banks = organization.bankgroups, organization.banks
        bank = frame["bank"].to_numpy()
        spans = [self._spans_ps.get(phase, (0, 0)) for phase in frame["phase"]]
        start_ps, end_ps = np.array(spans, dtype=np.int64).reshape(-1, 2).T
        self._write(
            frame["phase"].to_numpy(),
            frame[COMPONENT_COLUMNS].to_numpy(),
            t_ps=start_ps,
            dur_ps=end_ps - start_ps,
            rank=np.where(bank < 0, -1, bank // (groups * banks)),
            bankgroup=np.where(bank < 0, -1, bank // banks % groups),
            bank=np.where(bank < 0, -1, bank % banks),
            array=frame["array"].where(frame["array"] != "", None).to_numpy(),
            **{name: frame[name].to_numpy() for name in ("cmd", "channel", "bytes", "source", "count")},
        )

    def _write(self, phase: str | np.ndarray, energies_fJ: np.ndarray, **columns: object) -> None:
        """Write rows: `energies_fJ` of shape (rows, components), `columns` as `trace_table` takes them."""
        columns |= {"scheme": self._scheme, "phase": phase, "energy_fJ": energies_fJ.sum(axis=1)}
        columns |= dict(zip(COMPONENT_COLUMNS, energies_fJ.T, strict=True))
        self._writer.write(trace_table(columns, len(energies_fJ)))


def _refuse_late(time_ps: int) -> None:
    """Refuse a time that a row of the trace cannot hold."""
    if time_ps > MAX_TOTAL:
        raise ResourceLimitError(
            "the trace counts picoseconds in 64 bits, and what this board does takes longer",
            found=format_time(time_ps),
            expected=f"at most {format_time(MAX_TOTAL)}",
            hint="Set trace.level: off, or lower training.epochs.",
        )
