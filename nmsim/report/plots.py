"""The figures of a run, each with the numbers that it shows.

Every function returns a `Plot`; nothing is written here. Quantities that differ by orders of magnitude
between schemes are shown twice or on a logarithmic axis of dots, never as bars on a logarithmic axis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nmsim.energy.components import COMPONENTS, DDR_COMPONENTS
from nmsim.report.canvas import FAINT, GROUPS, PAPER, Plot, drawing, new_figure, scheme_style
from nmsim.report.frames import PLACE_KEYS, accesses_by_bank
from nmsim.report.run import LAYERS
from nmsim.units import format_energy, format_si, format_time

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SCALES = ((1e15, "J"), (1e12, "mJ"), (1e9, "µJ"), (1e6, "nJ"), (1e3, "pJ"), (1.0, "fJ"))
_BAR = 0.72
#: Banks whose accesses differ by less than this share of their mean need no picture.
EVEN = 0.05


def energy_breakdown(energy: pd.DataFrame) -> Plot:
    """Return stacked bars by component: the whole system above, DDR alone below, absolute and as shares.

    DDR has its own row because in most boards the SoC's static power and arithmetic hide it.

    Parameters
    ----------
    energy : DataFrame
        Columns scheme, phase, component, energy_fJ.
    """
    schemes = list(dict.fromkeys(energy["scheme"]))
    table = energy.pivot_table(index="scheme", columns="component", values="energy_fJ", aggfunc="sum")
    table = table.reindex(index=schemes, columns=list(COMPONENTS)).fillna(0)
    pieces = pd.DataFrame({name: table[list(parts)].sum(axis=1) for name, (parts, *_) in GROUPS.items()})
    ddr = [name for name, (parts, *_) in GROUPS.items() if set(parts) <= set(DDR_COMPONENTS)]
    with drawing():
        figure = new_figure(2.35 + 0.56 * len(schemes))
        axes = figure.subplots(2, 2, sharey=True)
        handles = _breakdown_row(axes[0], pieces, "whole system")
        _breakdown_row(axes[1], pieces[ddr], "all DDR")
        shown = [name for name in pieces if pieces[name].sum() > 0]
        figure.legend([handles[name] for name in shown], shown, loc="outside lower center", ncols=3)
    data = table.rename_axis(columns="component").stack().rename("energy_fJ").astype(np.int64).reset_index()
    return Plot("energy_breakdown", "Energy by component", figure, data)


def _breakdown_row(axes: Sequence[Axes], pieces: pd.DataFrame, title: str) -> dict[str, object]:
    absolute, shares = axes
    totals = pieces.sum(axis=1).to_numpy(dtype=float)
    scale, unit = _scale(totals.max())
    handles = _stack(absolute, pieces / scale)
    _stack(shares, pieces.div(np.where(totals > 0, totals, 1), axis=0) * 100, label_from=8)
    _note_bars(absolute, list(pieces.index), totals, scale, room=1.45)
    absolute.set_title(f"{title[0].upper()}{title[1:]}: energy")
    absolute.set_xlabel(f"energy ({unit})")
    shares.set_xlim(0, 100)
    shares.set_title("and what it consists of")
    shares.set_xlabel("share of the bar beside it (%)")
    _name_rows(absolute, list(pieces.index))
    return handles


def layers(by_layer: pd.DataFrame) -> Plot:
    """Return bars of the three energies that are never mixed, each with its ratio to `full`.

    Parameters
    ----------
    by_layer : DataFrame
        Columns scheme and, for each of `LAYERS`, `<layer>_fJ`.
    """
    schemes = list(by_layer["scheme"])
    with drawing():
        figure = new_figure(0.95 + 0.30 * len(schemes))
        axes = figure.subplots(1, len(LAYERS), sharey=True)
        for ax, (layer, title) in zip(axes, LAYERS.items(), strict=True):
            values = by_layer[f"{layer}_fJ"].to_numpy(dtype=float)
            scale, unit = _scale(values.max())
            colours = [scheme_style(i)["color"] for i in range(len(schemes))]
            ax.barh(np.arange(len(schemes)), values / scale, _BAR, color=colours)
            _note_bars(ax, schemes, values, scale, room=1.75)
            ax.set_title(title[0].upper() + title[1:])
            ax.set_xlabel(f"energy ({unit})")
            ax.grid(axis="x")
        _name_rows(axes[0], schemes)
    data = by_layer.melt("scheme", var_name="layer", value_name="energy_fJ")
    data["layer"] = data["layer"].str.removesuffix("_fJ")
    return Plot("layers", "Three energies against training on everything", figure, data)


def phases(table: pd.DataFrame) -> Plot:
    """Return dots of energy and time by phase, a mark per scheme, on logarithmic axes.

    Parameters
    ----------
    table : DataFrame
        Columns scheme, phase, time_ps, energy_fJ.
    """
    schemes = list(dict.fromkeys(table["scheme"]))
    names = phase_order(table)
    with drawing():
        figure = new_figure(1.25 + max(0.34, 0.07 * len(schemes)) * len(names))
        axes = figure.subplots(1, 2, sharey=True)
        quantities = (("energy_fJ", "energy", format_energy), ("time_ps", "time", format_time))
        for ax, (column, title, say) in zip(axes, quantities, strict=True):
            for index, scheme in enumerate(schemes):
                own = table[(table["scheme"] == scheme) & (table[column] > 0)]
                style = scheme_style(index)
                offset = (index - (len(schemes) - 1) / 2) * 0.62 / max(len(schemes), 1)
                y = own["phase"].map(names.index).to_numpy(dtype=float) + offset
                ax.plot(own[column], y, ls="", ms=5.5, mec=PAPER, mew=0.4, label=scheme, **style)
            for y in range(1, len(names)):
                ax.axhline(y - 0.5, color=FAINT, lw=0.4, alpha=0.5)
            _logarithmic(ax, table[column], say)
            ax.set_title(title.capitalize())
            ax.set_xlabel(f"{title} of the phase, logarithmic")
            ax.grid(axis="x")
        _name_rows(axes[0], [name.replace("_", " ") for name in names])
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(len(schemes), 4))
    data = table[["scheme", "phase", "energy_fJ", "time_ps"]]
    return Plot("phases", "Energy and time by phase", figure, data)


def accuracy_energy(schemes: pd.DataFrame) -> Plot:
    """Return accuracy (mean ± sd over seeds) against system energy; up and to the left is better.

    Parameters
    ----------
    schemes : DataFrame
        `Run.schemes`.
    """
    with drawing():
        figure = new_figure(3.6)
        ax = figure.subplots()
        for index, row in enumerate(schemes.itertuples()):
            label = f"{row.scheme}: {row.accuracy_mean * 100:.1f} %, {format_energy(row.system_energy_fJ)}"
            error = row.accuracy_sd * 100 if row.seeds > 1 else None
            style = scheme_style(index)
            position = (row.system_energy_fJ, row.accuracy_mean * 100)
            ax.errorbar(*position, error, ls="", ms=7, mec=PAPER, mew=0.4, capsize=3, label=label, **style)
        energies = schemes["system_energy_fJ"]
        if energies.max() > 5 * max(energies.min(), 1):
            _logarithmic(ax, energies, format_energy)
            ax.set_xlabel("system energy, logarithmic")
        else:
            ax.xaxis.set_major_formatter(lambda value, _: format_si(value * 1e-15, "J", 3))
            ax.set_xlabel("system energy")
        ax.margins(0.12, 0.15)
        ax.set_ylabel("test accuracy (%), mean ± sd")
        ax.grid()
        figure.legend(loc="outside lower center", ncols=2)
    columns = ["scheme", "system_energy_fJ", "accuracy_mean", "accuracy_sd", "seeds", "kept"]
    return Plot("accuracy_energy", "Accuracy against energy", figure, schemes[columns])


def selection_map(selection: dict[str, np.ndarray], class_limit: int = 12) -> Plot:
    """Return the map that the selection was made in, a panel per class, the selected images marked.

    Parameters
    ----------
    selection : dict
        `embedding` (n, 2), `labels` (n,) and `selected` (m,), as in `Run.selection`.
    class_limit : int
        Panels at most; more classes than that are left out of the drawing, not of the data.
    """
    embedding, labels = np.asarray(selection["embedding"], dtype=float), selection["labels"]
    chosen = np.zeros(len(labels), dtype=bool)
    chosen[selection["selected"]] = True
    classes = list(np.unique(labels))[:class_limit]
    columns = min(5, len(classes))
    rows = -(-len(classes) // columns)
    with drawing():
        figure = new_figure(0.55 + 1.5 * rows)
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for ax, label in zip(axes, classes, strict=False):
            for marked, style in ((False, {"s": 2.5, "color": FAINT}), (True, {"s": 7, "color": "#d55e00"})):
                x, y = embedding[(labels == label) & (chosen == marked)].T
                ax.scatter(x, y, linewidths=0, rasterized=True, **style)
            own = labels == label
            ax.set_title(f"class {label}: {int((own & chosen).sum())} of {int(own.sum())}", fontsize=8)
            ax.set_aspect("equal", adjustable="datalim")
            ax.set_xticks([])
            ax.set_yticks([])
            for spine in ax.spines.values():
                spine.set(visible=True, alpha=0.4)
        for ax in axes[len(classes) :]:
            ax.set_axis_off()
        figure.supxlabel("map coordinates (no unit); orange: selected", fontsize=8.5)
    data = pd.DataFrame({"x": embedding[:, 0], "y": embedding[:, 1], "label": labels, "selected": chosen})
    return Plot("selection_map", "What was selected", figure, data)


def banks(sums: pd.DataFrame) -> Plot | None:
    """Return a heat map of column accesses (RD, WR) by bank; None where they spread evenly (see `EVEN`).

    Parameters
    ----------
    sums : DataFrame
        `trace_sums`.
    """
    table = accesses_by_bank(sums)
    if table.empty:
        return None
    relative = table.div(table.mean(axis=1), axis=0).to_numpy()
    if np.abs(relative - 1).max() < EVEN:
        return None
    with drawing():
        figure = new_figure(1.35 + 0.27 * len(table))
        ax = figure.subplots()
        top = max(2.0, float(relative.max()))
        image = ax.imshow(relative, aspect="auto", cmap="cividis", vmin=0, vmax=top, interpolation="nearest")
        rows = [f"{scheme}, by {source}" for scheme, source in table.index]
        _name_rows(ax, rows)
        ax.set_ylim(len(rows) - 0.5, -0.5)
        edges = np.flatnonzero(np.diff(table.columns.get_level_values("channel"))) + 0.5
        for edge in edges:
            ax.axvline(edge, color=PAPER, lw=2)
        starts = np.concatenate([[0], edges + 0.5]).astype(int)
        channels = [f"channel {table.columns[i][0]}" for i in starts]
        ax.set_xticks(starts, channels, ha="left")
        ax.tick_params(axis="x", length=0)
        ax.set_xlabel("bank, in the order of channel, rank, bank group, bank")
        bar = figure.colorbar(image, ax=ax, pad=0.01, aspect=12)
        bar.set_label("accesses / mean bank's")
        bar.outline.set_visible(False)
        for spine in ax.spines.values():
            spine.set_visible(False)
    data = table.stack(PLACE_KEYS, future_stack=True).rename("column_accesses").reset_index()
    return Plot("banks", "How accesses spread over the banks", figure, data)


def _stack(ax: Axes, pieces: pd.DataFrame, label_from: float | None = None) -> dict[str, object]:
    """Draw a horizontal stacked bar per row; return what stands for each column in a legend."""
    y, left, handles = np.arange(len(pieces)), np.zeros(len(pieces)), {}
    for name in pieces:
        width, colour = pieces[name].to_numpy(dtype=float), GROUPS[name][1]
        handles[name] = ax.barh(y, width, _BAR, left=left, color=colour, edgecolor=PAPER, linewidth=0.4)
        if label_from is not None:
            bright = sum(int(colour[i : i + 2], 16) * w for i, w in ((1, 0.3), (3, 0.59), (5, 0.11))) > 140
            for row in np.flatnonzero(width >= label_from):
                middle = left[row] + width[row] / 2
                tone = "#101012" if bright else "#ffffff"
                ax.text(middle, row, f"{width[row]:.0f}", color=tone, ha="center", va="center", fontsize=7.5)
        left = left + width
    ax.grid(axis="x")
    return handles


def _name_rows(ax: Axes, names: Sequence[str]) -> None:
    ax.set_yticks(np.arange(len(names)), names)
    ax.set_ylim(len(names) - 0.45, -0.55)


def _note_bars(ax: Axes, schemes: list[str], values: np.ndarray, scale: float, room: float) -> None:
    """Write each bar's value and ratio to `full` behind it; the axis is `room` times the longest bar."""
    full = values[schemes.index("full")] if "full" in schemes else 0.0
    for y, (scheme, value) in enumerate(zip(schemes, values, strict=True)):
        text = format_energy(value)
        if full > 0 and scheme != "full":
            text += f" ({format_ratio(value / full)})"
        ax.annotate(text, (value / scale, y), (4, 0), textcoords="offset points", va="center", fontsize=8)
    ax.set_xlim(0, values.max() / scale * room or 1)


def format_ratio(ratio: float) -> str:
    """Return a ratio to `full` for people: "×0.123", "×1.40", "×0.0041"."""
    return f"×{ratio:.2f}" if ratio >= 1 else f"×{ratio:.3f}" if ratio >= 0.01 else f"×{ratio:.2g}"


def phase_order(table: pd.DataFrame) -> list[str]:
    """Return all phases of a table in an order that keeps each scheme's, as far as they agree."""
    order: list[str] = []
    for names in sorted(
        (list(g) for _, g in table.groupby("scheme", sort=False)["phase"]), key=len, reverse=True
    ):
        place = 0
        for name in dict.fromkeys(names):
            if name in order:
                place = order.index(name) + 1
            else:
                order.insert(place, name)
                place += 1
    return order


def _scale(largest: float) -> tuple[float, str]:
    return next(((factor, unit) for factor, unit in _SCALES if largest >= factor), _SCALES[-1])


def _logarithmic(ax: Axes, values: pd.Series, say: Callable[[float], str]) -> None:
    """Make the horizontal axis logarithmic, its ticks named in units, with room at both ends."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    positive = values[values > 0]
    low, high = (positive.min() / 1.8, positive.max() * 1.8) if len(positive) else (1, 10)
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 200 * low else (1,), numticks=7))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _round_number(say(value))))


def _round_number(text: str) -> str:
    """Return "1.00 mJ" as "1 mJ"."""
    number, unit = text.split(" ")
    return f"{float(number):g} {unit}"
