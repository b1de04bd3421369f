"""A trace in bins of time: energy by component and command, accesses by bank, row outcomes; in one pass."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nmsim.dram.commands import COLUMN_COMMANDS, OUTCOMES
from nmsim.energy.components import COMPONENTS
from nmsim.trace.exporters.window import Window, is_single, nothing_in, rows_of
from nmsim.trace.reader import Trace
from nmsim.trace.schema import COMPONENT_COLUMNS

_Key = TypeVar("_Key", bound=Hashable)

#: Where an access goes: what names a bank.
PLACE = ("channel", "rank", "bankgroup", "bank")


@dataclass
class Bins:
    """One scheme over time.

    Attributes
    ----------
    edges_ps : ndarray of float64, shape (bins + 1,)
        Where the bins begin and end.
    components_fJ : ndarray of float64, shape (bins, components)
        Energy by component, in the order of `COMPONENTS`.
    commands_fJ : dict of str to ndarray of float64, shape (bins,)
        Energy by command, or kind of work.
    accesses : dict of (channel, rank, bank group, bank) to ndarray of float64, shape (bins,)
        Column accesses of each bank.
    outcomes : ndarray of float64, shape (bins, 3)
        Column accesses that stand one by one in the trace, by what they found in the row buffer.
    aggregated_fJ : float
        Energy of aggregated rows, which is spread evenly over their durations.
    """

    edges_ps: np.ndarray
    components_fJ: np.ndarray
    outcomes: np.ndarray
    commands_fJ: dict[str, np.ndarray] = field(default_factory=dict)
    accesses: dict[tuple[int, ...], np.ndarray] = field(default_factory=dict)
    aggregated_fJ: float = 0.0

    @classmethod
    def between(cls, start_ps: float, end_ps: float, bins: int) -> Bins:
        """Return empty bins of equal width."""
        edges = np.linspace(start_ps, max(end_ps, start_ps + 1), bins + 1)
        return cls(edges, np.zeros((bins, len(COMPONENTS))), np.zeros((bins, len(OUTCOMES))))

    @property
    def width_ps(self) -> float:
        """Return the duration of a bin."""
        return float(self.edges_ps[1] - self.edges_ps[0])


def bin_trace(trace: Trace, bins: int, window: Window | None = None) -> dict[str, Bins]:
    """Return a trace over time, scheme by scheme, in two passes and constant memory.

    Parameters
    ----------
    trace : Trace
    bins : int
        Of each scheme, at least 1; they are as wide as the scheme, or the window, is long.
    window : Window, optional
        Only what happens in it. Of aggregated rows, which stand for many commands, the share that an even
        spread over their duration gives it.

    Raises
    ------
    TraceFormatError
        Where there is nothing in the window.
    """
    window = window or Window()
    chosen = replace(window, from_ps=None, to_ps=None)
    spans = _spans(trace, chosen, window)
    if not spans:
        raise nothing_in(trace, window)
    found = {scheme: Bins.between(start, end, bins) for scheme, (start, end) in spans.items()}
    columns = ["scheme", "phase", "cmd", "t_ps", "dur_ps", *PLACE, "row", "count", "row_outcome"]
    for batch in rows_of(trace, chosen, [*columns, *COMPONENT_COLUMNS]):
        schemes = _texts(batch, "scheme")
        for scheme in pc.unique(schemes).to_pylist():
            if scheme in found:
                _add(found[scheme], batch.filter(pc.equal(schemes, scheme)))
    return found


def _spans(trace: Trace, chosen: Window, window: Window) -> dict[str, tuple[float, float]]:
    """Return when each scheme begins and ends within the window; those that are not in it are left out."""
    spans: dict[str, tuple[int, int]] = {}
    for batch in rows_of(trace, chosen, ["scheme", "phase", "channel", "t_ps", "dur_ps"]):
        ends = pc.add(batch.column("t_ps"), batch.column("dur_ps"))
        table = pa.table({"scheme": _texts(batch, "scheme"), "start": batch.column("t_ps"), "end": ends})
        for group in table.group_by("scheme").aggregate([("start", "min"), ("end", "max")]).to_pylist():
            start, end = spans.get(group["scheme"], (group["start_min"], group["end_max"]))
            spans[group["scheme"]] = min(start, group["start_min"]), max(end, group["end_max"])
    low: float = -np.inf if window.from_ps is None else window.from_ps
    high: float = np.inf if window.to_ps is None else window.to_ps
    cut = {scheme: (max(start, low), min(end, high)) for scheme, (start, end) in spans.items()}
    return {scheme: (start, end) for scheme, (start, end) in cut.items() if end >= start}


def _add(bins: Bins, batch: pa.RecordBatch) -> None:
    single = is_single(batch)
    n, edges = len(bins.outcomes), bins.edges_ps
    singles = batch.filter(single)
    at = (singles.column("t_ps").to_numpy() - edges[0]) / bins.width_ps
    # What starts as a scheme ends, in no time, belongs to its last bin.
    place = np.where(singles.column("t_ps").to_numpy() == edges[-1], n - 1, np.floor(at)).astype(np.int64)
    inside = (place >= 0) & (place < n)
    _count(bins, singles.filter(pa.array(inside)), place[inside])
    for row in batch.filter(pc.invert(single)).to_pylist():
        start, end = row["t_ps"], row["t_ps"] + row["dur_ps"]
        shares = np.clip(np.minimum(edges[1:], end) - np.maximum(edges[:-1], start), 0, None)
        if end > start:
            shares = shares / (end - start)
        else:
            shares = np.histogram([start], edges)[0].astype(float)
        _spread(bins, row, shares)


def _count(bins: Bins, rows: pa.RecordBatch, place: np.ndarray) -> None:
    """Add rows that are one command each, in the bins where they start."""
    n = len(bins.outcomes)
    energies = np.stack([rows.column(name).to_numpy() for name in COMPONENT_COLUMNS]).astype(float)
    for index, energy in enumerate(energies):
        bins.components_fJ[:, index] += np.bincount(place, energy, n)
    total, commands = energies.sum(axis=0), _texts(rows, "cmd").dictionary_encode()
    for code, command in enumerate(commands.dictionary.to_pylist()):
        here = commands.indices.to_numpy() == code
        _into(bins.commands_fJ, command, n)[:] += np.bincount(place[here], total[here], n)
    outcomes = pc.index_in(_texts(rows, "row_outcome"), pa.array(OUTCOMES))
    for index in range(len(OUTCOMES)):
        here = pc.fill_null(pc.equal(outcomes, index), False).to_numpy(zero_copy_only=False)
        bins.outcomes[:, index] += np.bincount(place[here], minlength=n)
    accesses = pc.is_in(_texts(rows, "cmd"), pa.array(COLUMN_COMMANDS)).to_numpy(zero_copy_only=False)
    banks = np.stack([rows.column(name).to_numpy() for name in PLACE], axis=1)[accesses]
    names, owner = np.unique(banks, axis=0, return_inverse=True)
    cell = owner.reshape(-1) * n + place[accesses]
    counts = np.bincount(cell, minlength=len(names) * n).reshape(-1, n)
    for name, count in zip(names.tolist(), counts, strict=True):
        _into(bins.accesses, tuple(name), n)[:] += count


def _spread(bins: Bins, row: dict[str, Any], shares: np.ndarray) -> None:
    """Add an aggregated row, spread over the bins by `shares`."""
    n = len(shares)
    energies = np.array([row[name] for name in COMPONENT_COLUMNS], dtype=float)
    bins.components_fJ += shares[:, None] * energies
    bins.aggregated_fJ += float(energies.sum() * shares.sum())
    _into(bins.commands_fJ, row["cmd"], n)[:] += shares * energies.sum()
    if row["cmd"] in COLUMN_COMMANDS and row["bank"] >= 0:
        _into(bins.accesses, tuple(row[name] for name in PLACE), n)[:] += shares * row["count"]


def _into(table: dict[_Key, np.ndarray], key: _Key, n: int) -> np.ndarray:
    """Return the bins under a key, new ones where there are none yet."""
    return table.setdefault(key, np.zeros(n))


def _texts(batch: pa.RecordBatch, name: str) -> pa.Array:
    """Return a text column as plain text, empty where there is none."""
    return pc.fill_null(batch.column(name).cast(pa.string()), "")
