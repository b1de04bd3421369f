"""The page of a sweep: what is best, every figure, what failed, and what was varied."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from nmsim.report.canvas import Plot
from nmsim.report.html import page
from nmsim.report.sweep import value_text
from nmsim.report.tables import Cell, Table, accuracy, number
from nmsim.units import format_energy, format_time


def page_of(table: pd.DataFrame, about: dict[str, str], paths: Sequence[str], plots: Sequence[Plot]) -> str:
    """Return a sweep's page as HTML.

    Parameters
    ----------
    table : DataFrame
    about : dict of str to str
        Facts about the sweep: its name under `name`, others as they are shown.
    paths : sequence of str
    plots : sequence of Plot
    """
    done, failed = table[table["status"] == "done"], table[table["status"] == "failed"]
    paths = [path for path in paths if path != "scheme"]
    return page(
        "sweep.html.j2",
        title=f"nmsim sweep {about['name']}",
        headline=headline(done),
        best=_best(done, paths),
        failed=[
            (row["point"], ", ".join(f"{p} {row[p]}" for p in [*paths, "scheme"] if row[p]), row["error"])
            for _, row in failed.iterrows()
        ],
        points=table["point"].nunique(),
        plots=plots,
        facts=list(about.items()),
    )


def headline(done: pd.DataFrame) -> str:
    """Return one sentence about what saves most."""
    chosen = done[~done["scheme"].isin(["full", "random"])]
    if chosen.empty:
        return f"{done['point'].nunique()} points."
    best = chosen.loc[chosen["system_energy_fJ"].idxmin()]
    text = f"Of the schemes that look at the images, {best['scheme']} takes the least energy, "
    text += f"{format_energy(best['system_energy_fJ'])} in point {best['point']}"
    ratio = best["ratio_to_full_system_energy"]
    if pd.notna(ratio):
        text += f", {ratio:.3g} times what training on everything takes there"
    return text + "."


def _best(done: pd.DataFrame, paths: Sequence[str]) -> Table:
    head = [
        "scheme",
        "point with the least energy",
        *paths,
        "system energy",
        "to full",
        "all DDR",
        "accuracy",
        "time",
    ]
    rows = []
    for scheme in dict.fromkeys(done["scheme"]):
        mine = done[done["scheme"] == scheme]
        row = mine.loc[mine["system_energy_fJ"].idxmin()]
        band = f"{format_energy(row['system_energy_fJ_p05'])} to {format_energy(row['system_energy_fJ_p95'])}"
        rows.append(
            [
                Cell(scheme),
                Cell(row["point"]),
                *(Cell(value_text(row[path])) for path in paths),
                number(row["system_energy_fJ"], format_energy, band),
                number(row["ratio_to_full_system_energy"], "{:.3g}".format),
                number(row["ddr_energy_fJ"], format_energy),
                accuracy(row),
                number(row["time_ps"], format_time),
            ]
        )
    return Table("The best point of each scheme", head, rows)
