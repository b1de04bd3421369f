"""The page of a sweep: what is best, every figure, what failed, and what was varied."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from nmsim.report.canvas import Plot
from nmsim.report.html import page
from nmsim.report.sweep import matters
from nmsim.report.tables import Cell, Table, accuracy, number
from nmsim.report.varied import value_text
from nmsim.schemes import FULL, RANDOM
from nmsim.units import format_energy, format_time

#: Said of a value that makes no difference to a scheme.
ANY = "any"


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
        headline=headline(done, paths),
        best=best_points(done, paths),
        failed=[
            (row["point"], ", ".join(f"{p} {row[p]}" for p in [*paths, "scheme"] if row[p]), row["error"])
            for _, row in failed.iterrows()
        ],
        points=table["point"].nunique(),
        plots=plots,
        facts=list(about.items()),
    )


def headline(done: pd.DataFrame, paths: Sequence[str]) -> str:
    """Return one sentence about what saves most, and with which of the varied values."""
    chosen = done[~done["scheme"].isin([FULL, RANDOM])]
    if chosen.empty:
        return f"{done['point'].nunique()} points."
    best = chosen.loc[chosen["system_energy_fJ"].idxmin()]
    text = f"Of the schemes that look at the images, {best['scheme']} takes the least energy, "
    text += format_energy(best["system_energy_fJ"])
    places = zip(paths, _places(done, best, paths), strict=True)
    where = ", ".join(f"{path} {place}" for path, place in places if place != ANY)
    text += f", with {where} (point {best['point']})" if where else f" (point {best['point']})"
    ratio = best["ratio_to_full_system_energy"]
    if pd.notna(ratio):
        text += f", {ratio:.3g} times what training on everything takes there"
    return text + "."


def best_points(done: pd.DataFrame, paths: Sequence[str]) -> Table:
    """Return the point of least system energy of each scheme, as a table."""
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
                *map(Cell, _places(done, row, paths)),
                number(row["system_energy_fJ"], format_energy, band),
                number(row["ratio_to_full_system_energy"], "{:.3g}".format),
                number(row["ddr_energy_fJ"], format_energy),
                accuracy(row),
                number(row["time_ps"], format_time),
            ]
        )
    return Table("The best point of each scheme", head, rows)


def _places(done: pd.DataFrame, row: pd.Series, paths: Sequence[str]) -> list[str]:
    """Return a result's value of each path; `ANY` where it alone makes no difference."""
    mine = done[done["scheme"] == row["scheme"]]
    texts, own = mine[list(paths)].astype(str), row[list(paths)].astype(str)
    said = []
    for path in paths:
        alike = mine[(texts.drop(columns=path) == own.drop(path)).all(axis=1)]
        same = len(alike) > 1 and not matters(alike["system_energy_fJ"])
        said.append(ANY if same else value_text(row[path]))
    return said
