"""Figures of a sweep: energy over what was varied, accuracy over energy, maps of two values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nmsim.report.accuracy import (
    MANY,
    RESULT,
    draw_front,
    draw_results,
    name_axes,
    name_schemes,
    pareto_front,
)
from nmsim.report.axes import energy_scale
from nmsim.report.canvas import INK, PAPER, Plot, drawing, new_figure, scheme_style
from nmsim.report.varied import Varied, plain_numbers, value_text, varied
from nmsim.schemes import Scheme
from nmsim.units import format_energy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Energies that are drawn, with what people call them.
ENERGIES = {"system_energy": "whole system", "ddr_energy": "all DDR"}

#: Panels beside each other at most.
_PANELS = 4

#: How far schemes stand apart at a value that is a name.
_DODGE = 0.09

#: The ratio from which on two energies count as different.
_MATTERS = 1.0005

#: Values of an axis at which a line through the least is drawn, at most.
_LINED = 20

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
    plots += accuracy_over_energy(done, axes)
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
    """Return the energies over one varied value, with a line for each scheme.

    For a few combinations of the other values there is a panel each, with bands; for some more a line style
    each; for many, marks and a line through the least at each value.
    """
    groups = list(table.groupby([a.path for a in others], sort=False)) if others else [((), table)]
    alone = not any(rows.duplicated([axis.path, "scheme"]).any() for _, rows in groups)
    panelled = alone and len(groups) <= _PANELS
    styled = alone and _PANELS < len(groups) <= len(_STYLES)
    schemes = list(dict.fromkeys(table["scheme"]))
    panels = groups if panelled else [((), table)]
    places, ticks = axis.places(table)
    lined = not panelled and not styled and ticks is None and places.nunique() <= _LINED
    with drawing():
        figure = new_figure(2.6 * len(ENERGIES) + 0.9, max(7.4, 2.4 * len(panels)))
        grid = figure.subplots(len(ENERGIES), len(panels), squeeze=False, sharex=True, sharey="row")
        for row, (layer, name) in zip(grid, ENERGIES.items(), strict=True):
            scale, unit = energy_scale(float(table[f"{layer}_fJ"].max()))
            for ax, (key, rows) in zip(row, panels, strict=True):
                for index, scheme in enumerate(schemes):
                    mine = rows[rows["scheme"] == scheme]
                    x, energies = places.loc[mine.index], mine[_ends(layer)] / scale
                    if ticks is not None and not styled:
                        x = x + _DODGE * (index - (len(schemes) - 1) / 2)
                    if panelled and ticks is not None:
                        _bars(ax, x, energies, index)
                    elif panelled:
                        _line(ax, x, energies, index, banded=True)
                    elif styled:
                        combinations = mine.groupby([a.path for a in others], sort=False).indices.values()
                        for part, style in zip(combinations, _STYLES, strict=False):
                            _line(ax, x.iloc[part], energies.iloc[part], index, style)
                    else:
                        _cloud(ax, x, energies, index, lined)
                if layer == next(iter(ENERGIES)) and key:
                    ax.set_title(_combination(others, key))
                axis.mark(ax, places, ticks)
            row[0].set_ylabel(f"{name} ({unit})" + _from_nought(row[0], table[_ends(layer)] / scale))
        for ax in grid[-1]:
            ax.set_xlabel(axis.label)
        name_schemes(grid[0][0], schemes)
        for (key, _), style in zip(groups if styled else (), _STYLES, strict=False):
            grid[0][0].plot([], [], color=INK, lw=1.2, ls=style, label=_combination(others, key))
        if lined:
            grid[0][0].plot([], [], color=INK, lw=1.2, label="the least at each value")
        figure.legend(loc="outside lower center", ncols=3)
    columns = [axis.path, axis.column, *(a.path for a in others), "scheme", *_energy_columns()]
    data = table[list(dict.fromkeys(c for c in columns if c))]
    said = _moves(table, axis, others) + (" Shaded: 5 to 95 % of the boards." if panelled else "")
    return Plot(f"energy_over_{axis.slug}", f"Energy over {axis.path}", figure, data, said)


def _ends(layer: str) -> list[str]:
    return [f"{layer}_fJ{end}" for end in ("", "_p05", "_p95")]


def _combination(others: Sequence[Varied], key: object) -> str:
    """Return the values of a combination, each with the last part of its path."""
    values = key if isinstance(key, tuple | list) else (key,)
    return ", ".join(f"{a.path.split('.')[-1]} {value_text(v)}" for a, v in zip(others, values, strict=True))


def _line(
    ax: Axes, x: pd.Series, energies: pd.DataFrame, index: int, style: object = "-", banded: bool = False
) -> None:
    order = np.argsort(x.to_numpy(float), kind="stable")
    places, (value, low, high) = x.to_numpy(float)[order], energies.to_numpy(float)[order].T
    look = scheme_style(index)
    if banded:
        ax.fill_between(places, low, high, color=look["color"], alpha=0.1, linewidth=0)
    ax.plot(places, value, ls=style, lw=1.2, ms=4.5, **look)


def _bars(ax: Axes, x: pd.Series, energies: pd.DataFrame, index: int) -> None:
    """Draw values that have names: nothing lies between them that a line could show."""
    look = scheme_style(index)
    value, low, high = energies.to_numpy(float).T
    ends = np.clip([value - low, high - value], 0, None)
    ax.errorbar(x, value, ends, ls="", elinewidth=3.5, alpha=0.25, color=look["color"])
    ax.plot(x, value, ls="", ms=5, **look)


def _cloud(ax: Axes, x: pd.Series, energies: pd.DataFrame, index: int, lined: bool) -> None:
    look = scheme_style(index)
    ax.plot(x, energies.iloc[:, 0], ls="", ms=3.5, alpha=0.4, rasterized=len(x) > MANY, **look)
    if lined:
        least = energies.iloc[:, 0].groupby(x).min().sort_index()
        ax.plot(least.index, least, lw=1.2, color=look["color"])


def _from_nought(ax: Axes, energies: pd.DataFrame) -> str:
    """Let the axis begin at 0, or be logarithmic where some schemes would lie flat; return what to add."""
    values, top = energies.iloc[:, 0], float(energies.max(axis=None))
    if values.max() > 30 * values.min() > 0:
        ax.set_yscale("log")
        ax.set_ylim(float(energies.min(axis=None)) / 1.3, top * 1.3)
        plain_numbers(ax.yaxis)
        return ", logarithmic"
    ax.set_ylim(0, 1.04 * top)
    return ""


def accuracy_over_energy(table: pd.DataFrame, axes: Sequence[Varied]) -> list[Plot]:
    """Return accuracy over system energy, all points, and the front of those that no other beats.

    Points at which a scheme comes to the same are one. Nothing where nothing was trained.
    """
    known = table[table["accuracy_mean"].notna()]
    known = known.drop_duplicates(["scheme", "accuracy_mean", "system_energy_fJ"]).reset_index(drop=True)
    if known.empty:
        return []
    schemes = list(dict.fromkeys(table["scheme"]))
    with drawing():
        figure = new_figure(5.1)
        ax = figure.subplots()
        front = draw_front(ax, known)
        name_axes(ax, known, "bars, on the front alone: 5 to 95 % of the boards")
        says = [f"{row.scheme}, point {row.point}" for row in known.itertuples()]
        draw_results(ax, known, schemes, says=says, faded=~front)
        name_schemes(ax, schemes)
        figure.legend(loc="outside lower center", ncols=3)
    data = known[["point", *(a.path for a in axes), *RESULT]].assign(on_front=front)
    names = list(dict.fromkeys(known["scheme"][front]))
    sentence = (
        f"{int(front.sum())} of {len(front)} results are beaten by none in both accuracy and energy: "
        f"those of {', '.join(names)}. Faint marks are beaten."
    )
    return [Plot("accuracy_over_energy", "Accuracy over energy", figure, data, sentence)]


def energy_over_area(table: pd.DataFrame, axes: Sequence[Varied]) -> Plot:
    """Return system energy over the area of all near-memory units, and the front of those that none beats."""
    near = table[table["scheme"].map(lambda scheme: Scheme.parse(scheme).near_memory).astype(bool)]
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
            ax.plot(area, energy / scale, ls="", ms=4.5, alpha=0.45, rasterized=len(mine) > MANY, **look)
            order = np.argsort(area[front])
            ax.step(
                area[front][order],
                energy[front][order] / scale,
                where="post",
                lw=1.1,
                ms=6.5,
                label=f"{scheme}: Pareto front",
                **look,
            )
        ax.set_xscale("log")
        ax.set_yscale("log")
        for each in (ax.xaxis, ax.yaxis):
            plain_numbers(each)
        ax.set_xlabel("area of all near-memory units (mm²)")
        ax.set_ylabel(f"system energy of selection and training ({unit})")
        ax.grid()
        figure.legend(loc="outside lower center", ncols=2)
    data = near[
        ["point", *(a.path for a in axes), "scheme", "units_area_mm2", "die_share", *_energy_columns()]
    ]
    best = near.loc[near["system_energy_fJ"].idxmin()]
    where = ", ".join(f"{a.path} {value_text(best[a.path])}" for a in axes)
    sentence = (
        f"{best['scheme']} takes least, {format_energy(best['system_energy_fJ'])}, with {where} and "
        f"{best['units_area_mm2']:.3g} mm² of units. Faint marks are beaten in both by their own scheme."
    )
    return Plot(
        "energy_over_area",
        "Energy over the area of the units",
        figure,
        data.assign(on_front=fronts),
        sentence,
    )


def matters(energies_fJ: pd.Series) -> bool:
    """Return whether these energies differ by as much as 0.05 %, which three digits could show."""
    return bool(energies_fJ.max() >= _MATTERS * energies_fJ.min())


def maps(table: pd.DataFrame, axes: Sequence[Varied]) -> list[Plot]:
    """Return a map of system energy over two varied values for each scheme that they matter to."""
    found = []
    for scheme in dict.fromkeys(table["scheme"]):
        mine = table[table["scheme"] == scheme]
        if mine.duplicated([a.path for a in axes]).any() or not matters(mine["system_energy_fJ"]):
            continue
        found.append(_map(mine, scheme, *axes))
    return found


def _map(rows: pd.DataFrame, scheme: str, across: Varied, down: Varied) -> Plot:
    if rows[down.path].nunique() > rows[across.path].nunique():
        across, down = down, across
    columns, lines = (axis.in_order(rows) for axis in (across, down))
    scale, unit = energy_scale(float(rows["system_energy_fJ"].max()))
    wide = rows.pivot(index=down.path, columns=across.path, values="system_energy_fJ")
    values = wide.reindex(index=lines, columns=columns).to_numpy(float) / scale
    with drawing():
        figure = new_figure(1.6 + 0.42 * len(lines), max(7.4, 1.8 + 0.72 * len(columns)))
        ax = figure.subplots()
        image = ax.imshow(values, cmap="cividis", aspect="auto")
        middle = (np.nanmin(values) + np.nanmax(values)) / 2
        for (i, j), value in np.ndenumerate(values):
            if np.isfinite(value):
                colour = PAPER if value < middle else INK
                ax.text(j, i, f"{value:.3g}", ha="center", va="center", fontsize=8, color=colour)
        ax.set_xticks(range(len(columns)), [value_text(v) for v in columns])
        ax.set_yticks(range(len(lines)), [value_text(v) for v in lines])
        ax.set_xlabel(across.path)
        ax.set_ylabel(down.path)
        ax.spines[:].set_visible(False)
        figure.colorbar(image, ax=ax, label=f"system energy ({unit})")
    best, worst = rows.loc[rows["system_energy_fJ"].idxmin()], rows.loc[rows["system_energy_fJ"].idxmax()]
    least, most = (
        f"{format_energy(row['system_energy_fJ'])} with "
        + " and ".join(f"{axis.path} {value_text(row[axis.path])}" for axis in (across, down))
        for row in (best, worst)
    )
    data = rows[[across.path, down.path, "scheme", *_energy_columns()]]
    sentence = f"{scheme} takes least, {least}, and most, {most}."
    return Plot(f"map_{Scheme.parse(scheme).file_name}", f"System energy of {scheme}", figure, data, sentence)


def _moves(table: pd.DataFrame, axis: Varied, others: Sequence[Varied]) -> str:
    """Return which scheme's energy the value moves most, all other values being equal."""
    keys = ["scheme", *(a.path for a in others)]
    alike = table.groupby(keys, sort=False)["system_energy_fJ"]
    ratios = (alike.transform("max") / alike.transform("min")).where(alike.transform("size") > 1)
    if ratios.isna().all():
        return f"No two points differ in {axis.path} alone."
    if ratios.max() < _MATTERS:
        return f"{axis.path} by itself changes the energy of no scheme by as much as 0.05 %."
    first = table.loc[ratios.idxmax()]
    mine = table[(table[keys] == first[keys]).all(axis=1)]
    ends = [
        mine.loc[energies]
        for energies in (mine["system_energy_fJ"].idxmin(), mine["system_energy_fJ"].idxmax())
    ]
    low, high = (f"{format_energy(row['system_energy_fJ'])} at {value_text(row[axis.path])}" for row in ends)
    where = f" with {_combination(others, [first[a.path] for a in others])}" if others else ""
    return f"{first['scheme']} differs most: from {low} to {high}{where}."


def _energy_columns() -> list[str]:
    return [column for layer in ENERGIES for column in _ends(layer)]
