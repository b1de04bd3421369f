"""The tables of a report: what each scheme reached and took, with bands."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import pandas as pd

from nmsim.energy.components import COMPONENTS
from nmsim.energy.layers import LAYERS
from nmsim.report import verdict
from nmsim.report.axes import format_ratio
from nmsim.report.canvas import Plot
from nmsim.report.plots import phase_order
from nmsim.report.run import Run
from nmsim.schemes import FULL
from nmsim.units import format_bytes, format_energy, format_time

NONE = "–"
#: Rows of a figure's data that a page shows; longer ones are in the CSV file alone.
SHOWN_ROWS = 60


class Cell(NamedTuple):
    """What stands in a table: a text, smaller text below it, and the number that rows are sorted by."""

    text: str
    note: str = ""
    value: float | None = None


class Table(NamedTuple):
    """A table for people; the first cell of a row is its head, the first `texts` columns are texts."""

    title: str
    head: list[str]
    rows: list[list[Cell]]
    texts: int = 1


def number(value: float, say: Callable[[float], str], note: str = "") -> Cell:
    """Return a cell that shows a number as `say` says it, `NONE` for NaN."""
    return Cell(NONE) if pd.isna(value) else Cell(say(value), note, float(value))


def accuracy(row: pd.Series) -> Cell:
    """Return a scheme's accuracy, with how many trainings it is of."""
    seeds = f"{row['seeds']} seeds" if row["seeds"] > 1 else "1 seed"
    return number(row["accuracy_mean"], lambda _: verdict.format_accuracy(row), seeds)


def band_of(run: Run, scheme: str, quantity: str, say: Callable[[float], str]) -> str:
    """Return "1.2 to 3.4", between which 90 % of the boards lie; empty where it is not known."""
    found = run.bands[(run.bands["scheme"] == scheme) & (run.bands["quantity"] == quantity)]
    if found.empty:
        return ""
    low, high = (NONE if pd.isna(end) else say(end) for end in found.iloc[0][["p05", "p95"]])
    return f"{low} to {high}"


def schemes_table(run: Run) -> Table:
    """Return what each scheme reached and took."""
    head = ["scheme", "images kept", "epochs", "accuracy", "system energy", "time"]
    head += ["over the board", "of it before training", "row hits"]
    rows = []
    for _, row in run.schemes.iterrows():
        scheme = row["scheme"]
        accesses = row["row_hits"] + row["row_misses"] + row["row_conflicts"]
        rows.append(
            [
                Cell(scheme),
                number(row["kept"], "{:,.0f}".format),
                number(row["epochs"], "{:.0f}".format),
                accuracy(row),
                number(
                    row["system_energy_fJ"],
                    format_energy,
                    band_of(run, scheme, "system_energy_fJ", format_energy),
                ),
                number(row["time_ps"], format_time, band_of(run, scheme, "time_ps", format_time)),
                number(row["pcb_bytes"], format_bytes),
                number(row["pcb_bytes_before_training"], format_bytes),
                number(row["row_hits"] / accesses if accesses else float("nan"), verdict.format_share),
            ]
        )
    return Table("What each scheme reached and took", head, rows)


def layer_tables(run: Run) -> list[Table]:
    """Return a table for each of the three energies: with ratio to `full`, break-even, and whether it saves.

    Below each value stands the band in which 90 % of the boards lie that could be this one, where known.
    """
    tables = []
    for layer, title in LAYERS.items():
        rows = []
        for _, row in run.schemes.iterrows():
            scheme = row["scheme"]
            energy = band_of(run, scheme, f"{layer}_fJ", format_energy)
            cells = [Cell(scheme), number(row[f"{layer}_fJ"], format_energy, energy)]
            ratio, epochs = row[f"ratio_{layer}"], row[f"break_even_{layer}_epochs"]
            if pd.isna(ratio) or scheme == FULL:
                rows.append([*cells, *[Cell(NONE)] * 3])
                continue
            cells.append(number(ratio, format_ratio, band_of(run, scheme, f"ratio_{layer}", format_ratio)))
            often = band_of(run, scheme, f"break_even_{layer}_epochs", "{:.1f}".format)
            never = pd.isna(epochs)
            cells.append(Cell("never" if never else f"{epochs:.1f}", often, None if never else epochs))
            share = (run.summary["schemes"][scheme].get("saves_share") or {}).get(layer)
            cells.append(Cell(NONE) if share is None else number(share, verdict.format_boards))
            rows.append(cells)
        head = ["scheme", "energy", "to full", "break-even (epochs)", "boards on which it saves"]
        tables.append(Table(f"{title[0].upper()}{title[1:]} energy", head, rows))
    return tables


def phases_table(run: Run) -> Table:
    """Return energy, time and bytes over the board of every phase and scheme."""
    schemes = list(run.schemes["scheme"])
    cells = run.phases.set_index(["phase", "scheme"])
    rows = []
    for phase in phase_order(run.phases):
        row = [Cell(phase.replace("_", " "))]
        for scheme in schemes:
            if (phase, scheme) not in cells.index:
                row.append(Cell(NONE))
                continue
            values = cells.loc[(phase, scheme)]
            parts = [format_time(values["time_ps"])]
            parts += [format_bytes(values["pcb_bytes"])] if values["pcb_bytes"] else []
            row.append(number(values["energy_fJ"], format_energy, " · ".join(parts)))
        rows.append(row)
    return Table("Phases: energy, time, bytes over the board", ["phase", *schemes], rows)


def components_table(run: Run) -> Table:
    """Return energy by component and scheme."""
    wide = run.energy.pivot_table(index="component", columns="scheme", values="energy_fJ", aggfunc="sum")
    schemes = [scheme for scheme in run.schemes["scheme"] if scheme in wide]
    rows = [
        [Cell(meaning), *(number(value, format_energy) for value in wide.loc[name, schemes].fillna(0))]
        for name, (meaning, _) in COMPONENTS.items()
        if name in wide.index and wide.loc[name].fillna(0).any()
    ]
    return Table("Energy by component", ["component", *schemes], rows)


def data_table(plot: Plot) -> Table | None:
    """Return the numbers of a figure; None where they are too many for a page."""
    if len(plot.data) > SHOWN_ROWS:
        return None
    rows = [[_plain(value) for value in row] for row in plot.data.itertuples(index=False, name=None)]
    texts = next((i for i, cell in enumerate(rows[0]) if cell.value is not None), 1) if rows else 1
    return Table(f"Numbers of “{plot.title}”", [str(name) for name in plot.data.columns], rows, texts)


def _plain(value: Any) -> Cell:
    if isinstance(value, str | bool):
        return Cell(str(value))
    return number(value, lambda n: f"{n:,}" if float(n).is_integer() else f"{n:.6g}")


def names(rows: Iterable[tuple[str, Any]]) -> list[tuple[str, str]]:
    """Return names and values for people: "n train", "12000"."""
    return [(name.replace("_", " "), _text(value)) for name, value in rows]


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(_text(inner) for inner in value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return NONE if value is None else str(value)
