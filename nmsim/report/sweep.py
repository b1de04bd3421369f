"""Figures and page of a sweep: energy over what was varied, accuracy over energy, maps of two values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nmsim.report.accuracy import pareto_front
from nmsim.report.axes import energy_scale
from nmsim.report.canvas import INK, PAPER, Plot, drawing, new_figure, scheme_style
from nmsim.report.html import page
from nmsim.report.tables import Cell, Table, number
from nmsim.units import format_energy, format_time

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Energies that are drawn, with what people call them.
ENERGIES = {"system_energy": "whole system", "ddr_energy": "all DDR"}

#: Panels beside each other at most.
_PANELS = 4

_SEED = "seed"
#: Of the lines of combinations of the other values; there are lines for as many combinations.
_STYLES = [
    "-",
    (0, (5, 1.5)),
    (0, (1.5, 1.2)),
    (0, (6, 1.5, 1.2, 1.5)),
    (0, (3, 3)),
    (0, (1, 3)),
    (0, (8, 3)),
    (0, (2, 2)),
]


@dataclass(frozen=True)
class Varied:
    """What was varied along an axis.

    Attributes
    ----------
    path : str
        A column of the table, with the values as written.
    column : str
        The column with their numbers; "" where they are names.
    unit : str
        Of the numbers.
    """

    path: str
    column: str = ""
    unit: str = ""

    @property
    def label(self) -> str:
        """Return what stands at an axis."""
        return f"{self.path} ({self.unit})" if self.unit else self.path


def varied(table: pd.DataFrame, paths: Sequence[str]) -> list[Varied]:
    """Return the axes of a sweep's table."""
    found = []
    for path in paths:
        column = next((c for c in table.columns if c.startswith(f"{path} [")), "")
        if column:
            found.append(Varied(path, column, column[len(path) + 2 : -1]))
        elif pd.to_numeric(table[path], errors="coerce").notna().all():
            found.append(Varied(path, path))
        else:
            found.append(Varied(path))
    return found


def figures(table: pd.DataFrame, paths: Sequence[str]) -> list[Plot]:
    """Return the figures of a sweep's finished points.

    Parameters
    ----------
    table : DataFrame
        As `nmsim.sweep.points.table` makes it; rows without a scheme are left out.
    paths : sequence of str
        What was varied, in order.
    """
    done = table[table["status"] == "done"]
    if done.empty:
        return []
    paths = [path for path in paths if path != "scheme"]  # each scheme has a line of its own
    done = done.drop_duplicates([*paths, "seed", "scheme"])  # `full` beside each of them is the same
    axes = varied(done, paths)
    done = over_seeds(done, [a for a in axes if a.path != _SEED])
    axes = [a for a in axes if a.path != _SEED and done[a.path].nunique() > 1]
    plots = [energy_over(done, axis, [a for a in axes if a is not axis]) for axis in axes]
    plots.append(accuracy_over_energy(done, axes))
    if len(axes) == 2:
        plots += maps(done, axes)
    if any(a.path.startswith("near_memory") for a in axes) and done["units_area_mm2"].nunique() > 1:
        plots.append(energy_over_area(done, axes))
    return plots


def over_seeds(table: pd.DataFrame, axes: Sequence[Varied]) -> pd.DataFrame:
    """Return the table with points that differ in their seed alone as one: means, and the widest bands."""
    keys = [a.path for a in axes] + ["scheme"]
    if not table.duplicated(keys).any():
        return table
    how: dict[str, str] = {}
    for column in table.columns.difference(keys):
        numeric = pd.api.types.is_numeric_dtype(table[column])
        how[column] = "first"
        if numeric and column not in ("point", *(a.column for a in axes)):
            how[column] = "min" if column.endswith("_p05") else "max" if column.endswith("_p95") else "mean"
    grouped = table.groupby(keys, sort=False, dropna=False)
    merged = grouped.agg(how).reset_index()
    spread = grouped["accuracy_mean"].std(ddof=1).to_numpy()
    within = merged["accuracy_sd"].to_numpy()
    merged["accuracy_sd"] = np.sqrt(np.nan_to_num(spread) ** 2 + within**2)
    merged["seeds"] = grouped["seeds"].sum().to_numpy()
    return merged[table.columns]


def energy_over(table: pd.DataFrame, axis: Varied, others: Sequence[Varied]) -> Plot:
    """Return the energies over one varied value: a line for each scheme, with its band."""
    schemes = list(dict.fromkeys(table["scheme"]))
    groups = list(table.groupby([a.path for a in others], sort=False)) if others else [((), table)]
    lines = len(groups) <= len(_STYLES) and all(
        not g.duplicated([axis.path, "scheme"]).any() for _, g in groups
    )
    panels = groups if lines and len(groups) <= _PANELS else [((), table)]
    places, ticks = _places(table, axis)
    with drawing():
        figure = new_figure(2.6 * len(ENERGIES) + 0.9, max(5.2, 3.3 * len(panels) + 0.4))
        grid = figure.subplots(len(ENERGIES), len(panels), squeeze=False, sharex=True, sharey="row")
        for row, (layer, name) in zip(grid, ENERGIES.items(), strict=True):
            scale, unit = energy_scale(float(table[f"{layer}_fJ"].max()))
            for ax, (key, rows) in zip(row, panels, strict=True):
                for index, scheme in enumerate(schemes):
                    mine = rows[rows["scheme"] == scheme]
                    parts = (
                        [mine]
                        if len(panels) > 1 or not others
                        else [g for _, g in mine.groupby([a.path for a in others], sort=False)]
                    )
                    for part, style in zip(parts if lines else [mine], _STYLES, strict=False):
                        look = style if lines else ""
                        banded = lines and len(parts) == 1  # those of several lines would hide each other
                        _line(ax, part, places, layer, scale, index, scheme, look, banded)
                if layer == next(iter(ENERGIES)) and key:
                    said = zip(others, key if isinstance(key, tuple) else (key,), strict=True)
                    ax.set_title(", ".join(f"{a.path.split('.')[-1]} {_say(v)}" for a, v in said))
                _scale_of(ax, axis, places, ticks)
            top = table[[f"{layer}_fJ", f"{layer}_fJ_p95"]].max().max()
            row[0].set_ylim(0, 1.04 * float(top) / scale)
            row[0].set_ylabel(f"{name} ({unit})")
        for ax in grid[-1]:
            ax.set_xlabel(axis.label)
        handles, labels = grid[0][0].get_legend_handles_labels()
        unique = dict(zip(labels, handles, strict=True))
        figure.legend(unique.values(), unique.keys(), loc="outside lower center", ncols=3)
    columns = [axis.path, axis.column, *(a.path for a in others), "scheme", *_energy_columns()]
    data = table[list(dict.fromkeys(c for c in columns if c))]
    return Plot(f"energy_over_{_slug(axis)}", f"Energy over {axis.path}", figure, data, _moves(table, axis))


def _line(
    ax: Axes,
    rows: pd.DataFrame,
    places: pd.Series,
    layer: str,
    scale: float,
    index: int,
    scheme: str,
    style: object,
    banded: bool,
) -> None:
    x = places.loc[rows.index].to_numpy(dtype=float)
    order = np.argsort(x, kind="stable")
    value, low, high = (
        rows[f"{layer}_fJ{end}"].to_numpy(dtype=float)[order] / scale for end in ("", "_p05", "_p95")
    )
    look = scheme_style(index)
    if banded:
        ax.fill_between(x[order], low, high, color=look["color"], alpha=0.1, linewidth=0)
    ax.plot(x[order], value, ls=style, lw=1.2, ms=4.5, mec=PAPER, mew=0.4, label=scheme, **look)


def accuracy_over_energy(table: pd.DataFrame, axes: Sequence[Varied]) -> Plot:
    """Return accuracy over system energy, all points, the front of those that no other beats, and spreads."""
    known = table[table["accuracy_mean"].notna()]
    schemes = list(dict.fromkeys(known["scheme"]))
    energy, accuracy = known["system_energy_fJ"].to_numpy(float), known["accuracy_mean"].to_numpy(float)
    front = pareto_front(energy, accuracy)
    scale, unit = energy_scale(float(energy.max(initial=1.0)))
    with drawing():
        figure = new_figure(4.9)
        ax = figure.subplots()
        for index, scheme in enumerate(schemes):
            mine = (known["scheme"] == scheme).to_numpy()
            look = scheme_style(index)
            for chosen, alpha, size in ((mine & ~front, 0.45, 4), (mine & front, 1.0, 7)):
                if chosen.any():
                    rows = known[chosen]
                    ends = [rows[f"system_energy_fJ_{end}"].to_numpy(float) / scale for end in ("p05", "p95")]
                    x = energy[chosen] / scale
                    on_front = alpha == 1.0
                    ax.errorbar(
                        x, 100 * accuracy[chosen], 100 * rows["accuracy_sd"].fillna(0).to_numpy(float),
                        np.clip([x - ends[0], ends[1] - x], 0, None) if on_front else None,
                        ls="", ms=size, mec=INK if on_front else PAPER, mew=0.8 if on_front else 0.3,
                        elinewidth=0.6, capsize=1.5, alpha=alpha, **look,
                    )  # fmt: skip
            ax.plot([], [], ls="", ms=5.5, label=scheme, **look)
        order = np.argsort(energy[front])
        ax.step(
            energy[front][order] / scale,
            100 * accuracy[front][order],
            where="post",
            color=INK,
            lw=0.9,
            zorder=1,
            label="Pareto front",
        )
        ax.set_xscale("log")
        _plain_numbers(ax.xaxis)
        ax.set_xlabel(f"system energy of selection and training ({unit}); bars on the front: 5 to 95 % band")
        ax.set_ylabel("test accuracy (%), mean ± sd over seeds")
        ax.grid()
        figure.legend(loc="outside lower center", ncols=3)
    data = known[
        [
            "point",
            *(a.path for a in axes),
            "scheme",
            "accuracy_mean",
            "accuracy_sd",
            "seeds",
            "system_energy_fJ",
            "system_energy_fJ_p05",
            "system_energy_fJ_p95",
        ]
    ]
    data = data.assign(on_front=front)
    names = list(dict.fromkeys(known["scheme"][front]))
    sentence = (
        f"{int(front.sum())} of {len(front)} results are beaten by none in both accuracy and energy: "
        f"those of {', '.join(names)}."
    )
    return Plot("accuracy_over_energy", "Accuracy over energy", figure, data, sentence)


def energy_over_area(table: pd.DataFrame, axes: Sequence[Varied]) -> Plot:
    """Return system energy over the area of all near-memory units, and the front of those that none beats."""
    near = table[table["scheme"].str.endswith("@nmc")]
    schemes = list(dict.fromkeys(near["scheme"]))
    scale, unit = energy_scale(float(near["system_energy_fJ"].max()))
    fronts = pd.Series(False, index=near.index)
    with drawing():
        figure = new_figure(4.6)
        ax = figure.subplots()
        for scheme in schemes:
            mine = near[near["scheme"] == scheme]
            look = scheme_style(list(dict.fromkeys(table["scheme"])).index(scheme))
            area, energy = mine["units_area_mm2"].to_numpy(float), mine["system_energy_fJ"].to_numpy(float)
            front = pareto_front(area, -energy)
            fronts[mine.index] = front
            ax.plot(area, energy / scale, ls="", ms=4.5, alpha=0.45, mec=PAPER, mew=0.3, **look)
            order = np.argsort(area[front])
            ax.plot(
                area[front][order],
                energy[front][order] / scale,
                ls="-",
                lw=1.1,
                ms=6.5,
                mec=INK,
                mew=0.8,
                label=f"{scheme}: Pareto front",
                **look,
            )
        ax.set_xscale("log")
        ax.set_yscale("log")
        for each in (ax.xaxis, ax.yaxis):
            _plain_numbers(each)
        ax.set_xlabel("area of all near-memory units (mm²)")
        ax.set_ylabel(f"system energy of selection and training ({unit})")
        ax.grid()
        figure.legend(loc="outside lower center", ncols=2)
    data = near[
        ["point", *(a.path for a in axes), "scheme", "units_area_mm2", "die_share", *_energy_columns()]
    ]
    best = near.loc[near["system_energy_fJ"].idxmin()]
    where = ", ".join(f"{a.path} {_say(best[a.path])}" for a in axes)
    sentence = (
        f"{best['scheme']} takes least, {format_energy(best['system_energy_fJ'])}, with {where} and "
        f"{best['units_area_mm2']:.3g} mm² of units."
    )
    return Plot(
        "energy_over_area",
        "Energy over the area of the units",
        figure,
        data.assign(on_front=fronts),
        sentence,
    )


def maps(table: pd.DataFrame, axes: Sequence[Varied]) -> list[Plot]:
    """Return a map of system energy over two varied values for each scheme that they matter to."""
    found = []
    for scheme in dict.fromkeys(table["scheme"]):
        mine = table[table["scheme"] == scheme]
        if mine.duplicated([a.path for a in axes]).any() or mine["system_energy_fJ"].nunique() < 2:
            continue
        found.append(_map(mine, scheme, *axes))
    return found


def _map(rows: pd.DataFrame, scheme: str, across: Varied, down: Varied) -> Plot:
    if rows[down.path].nunique() > rows[across.path].nunique():
        across, down = down, across
    columns, lines = (_in_order(rows, axis) for axis in (across, down))
    scale, unit = energy_scale(float(rows["system_energy_fJ"].max()))
    wide = rows.pivot(index=down.path, columns=across.path, values="system_energy_fJ")
    values = wide.reindex(index=lines, columns=columns).to_numpy(float) / scale
    with drawing():
        figure = new_figure(1.6 + 0.42 * len(lines), max(4.6, 1.8 + 0.72 * len(columns)))
        ax = figure.subplots()
        image = ax.imshow(values, cmap="cividis", aspect="auto")
        middle = (np.nanmin(values) + np.nanmax(values)) / 2
        for (i, j), value in np.ndenumerate(values):
            if np.isfinite(value):
                colour = PAPER if value < middle else INK
                ax.text(j, i, f"{value:.3g}", ha="center", va="center", fontsize=8, color=colour)
        ax.set_xticks(range(len(columns)), [_say(v) for v in columns])
        ax.set_yticks(range(len(lines)), [_say(v) for v in lines])
        ax.set_xlabel(across.path)
        ax.set_ylabel(down.path)
        ax.spines[:].set_visible(False)
        figure.colorbar(image, ax=ax, label=f"system energy ({unit})")
    best, worst = rows.loc[rows["system_energy_fJ"].idxmin()], rows.loc[rows["system_energy_fJ"].idxmax()]
    least, most = (
        f"{format_energy(row['system_energy_fJ'])} with "
        + " and ".join(f"{axis.path} {_say(row[axis.path])}" for axis in (across, down))
        for row in (best, worst)
    )
    data = rows[[across.path, down.path, "scheme", *_energy_columns()]]
    sentence = f"{scheme} takes least, {least}, and most, {most}."
    return Plot(f"map_{scheme.replace('@', '-')}", f"System energy of {scheme}", figure, data, sentence)


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
                *(Cell(_say(row[path])) for path in paths),
                number(row["system_energy_fJ"], format_energy, band),
                number(row["ratio_to_full_system_energy"], "{:.3g}".format),
                number(row["ddr_energy_fJ"], format_energy),
                number(row["accuracy_mean"], "{:.2%}".format, f"± {row['accuracy_sd']:.2%}"),
                number(row["time_ps"], format_time),
            ]
        )
    return Table("The best point of each scheme", head, rows)


def _moves(table: pd.DataFrame, axis: Varied) -> str:
    """Return which scheme's energy the value moves most."""
    ratios = table.groupby("scheme", sort=False)["system_energy_fJ"].agg(lambda e: e.max() / e.min())
    scheme = ratios.idxmax()
    mine = table[table["scheme"] == scheme]
    low, high = mine.loc[mine["system_energy_fJ"].idxmin()], mine.loc[mine["system_energy_fJ"].idxmax()]
    if ratios.max() < 1.0005:
        return f"{axis.path} changes the energy of no scheme by as much as 0.05 %."
    return (
        f"{scheme} differs most: {format_energy(low['system_energy_fJ'])} at {_say(low[axis.path])} and "
        f"{format_energy(high['system_energy_fJ'])} at {_say(high[axis.path])}."
    )


def _places(table: pd.DataFrame, axis: Varied) -> tuple[pd.Series, list[str] | None]:
    """Return where each row stands on the axis, and the names of the places where they are names."""
    if axis.column:
        return pd.to_numeric(table[axis.column]), None
    names = _in_order(table, axis)
    return table[axis.path].map({name: i for i, name in enumerate(names)}), [_say(n) for n in names]


def _in_order(table: pd.DataFrame, axis: Varied) -> list[object]:
    if axis.column:
        values = table.drop_duplicates(axis.path)
        return list(values.loc[pd.to_numeric(values[axis.column]).sort_values().index, axis.path])
    return list(dict.fromkeys(table[axis.path]))


def _scale_of(ax: Axes, axis: Varied, places: pd.Series, ticks: list[str] | None) -> None:
    ax.grid(axis="y")
    if ticks is not None:
        ax.set_xticks(range(len(ticks)), ticks, rotation=20 if max(map(len, ticks)) > 9 else 0)
        ax.set_xlim(-0.4, len(ticks) - 0.6)
        return
    values = np.unique(places.to_numpy(dtype=float))
    if values[0] > 0 and values[-1] / values[0] >= 8:
        ax.set_xscale("log", base=2 if axis.unit == "B" else 10)
    if len(values) <= 10:
        texts = [_size(v) if axis.unit == "B" else f"{v:g}" for v in values]
        ax.set_xticks(values, texts, rotation=35 if len(values) > 6 else 0)
        ax.xaxis.set_minor_locator(_no_ticks())
    else:
        _plain_numbers(ax.xaxis)


def _no_ticks() -> object:
    from matplotlib.ticker import NullLocator

    return NullLocator()


def _plain_numbers(axis: object) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_major_formatter(lambda value, _: f"{value:g}")
    if isinstance(axis.get_major_locator(), LogLocator):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_minor_formatter(NullFormatter())


def _size(value: float) -> str:
    for unit, factor in (("Mi", 2**20), ("Ki", 2**10)):
        if value >= factor:
            return f"{value / factor:g} {unit}"
    return f"{value:g}"


def _say(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _slug(axis: Varied) -> str:
    return axis.path.replace(".", "_")


def _energy_columns() -> list[str]:
    return [f"{layer}_fJ{end}" for layer in ENERGIES for end in ("", "_p05", "_p95")]
