"""What the axes of several figures have in common: named rows, values beside bars, scales with units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nmsim.report.canvas import GROUPS, PAPER, hovered, tone_on_group
from nmsim.schemes import FULL
from nmsim.units import format_energy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Height of a bar, in rows.
BAR = 0.72
_SCALES = ((1e15, "J"), (1e12, "mJ"), (1e9, "µJ"), (1e6, "nJ"), (1e3, "pJ"), (1.0, "fJ"))


def energy_scale(largest_fJ: float) -> tuple[float, str]:
    """Return the femtojoules of the unit that suits an axis up to `largest_fJ`, and its name."""
    return next(((factor, unit) for factor, unit in _SCALES if largest_fJ >= factor), _SCALES[-1])


def format_ratio(ratio: float) -> str:
    """Return a ratio to `full` for people: "×0.123", "×1.40", "×0.0041"."""
    return f"×{ratio:.2f}" if ratio >= 1 else f"×{ratio:.3f}" if ratio >= 0.01 else f"×{ratio:.2g}"


def name_rows(ax: Axes, names: Sequence[str]) -> None:
    """Name the rows 0, 1, … of an axis, the first on top."""
    ax.set_yticks(np.arange(len(names)), names)
    ax.set_ylim(len(names) - 0.45, -0.55)


def by_group(energy: pd.DataFrame, index: Sequence[str] | str) -> pd.DataFrame:
    """Return energies in fJ, a row for each value of `index` in order, a column for each of `GROUPS`.

    `energy` has the columns of `index`, component and energy_fJ.
    """
    keys = [index] if isinstance(index, str) else list(index)
    group_of = {component: name for name, (parts, *_) in GROUPS.items() for component in parts}
    groups = energy["component"].map(group_of)
    table = energy.assign(group=groups).groupby([*keys, "group"], sort=False)["energy_fJ"].sum()
    order = list(dict.fromkeys(energy[keys].itertuples(index=False, name=None)))
    wide = table.unstack("group", fill_value=0).reindex(columns=list(GROUPS), fill_value=0)
    return wide.loc[order if len(keys) > 1 else [key for (key,) in order]]


def stack(
    ax: Axes, pieces: pd.DataFrame, energies_fJ: pd.DataFrame, label_from: float | None = None
) -> dict[str, Any]:
    """Draw a horizontal bar of pieces for each row; return what stands for each column in a legend.

    Parameters
    ----------
    ax : Axes
    pieces : DataFrame
        Lengths, a column for each of `GROUPS` that is drawn.
    energies_fJ : DataFrame of the same shape
        What each piece says to a pointer.
    label_from : float, optional
        Pieces at least this long have their length written into them.
    """
    y, left = np.arange(len(pieces)), np.zeros(len(pieces))
    handles: dict[str, Any] = {}
    for name in pieces:
        width, colour = pieces[name].to_numpy(dtype=float), GROUPS[name][1]
        drawn = np.flatnonzero(width)
        handles[name] = bars = ax.barh(
            y[drawn], width[drawn], BAR, left=left[drawn], color=colour, edgecolor=PAPER, linewidth=0.4
        )
        for row, bar in zip(drawn.tolist(), bars, strict=True):
            hovered(
                bar, f"{_row_name(pieces.index[row])}: {name}, {format_energy(energies_fJ[name].iloc[row])}"
            )
        if label_from is not None:
            tone = tone_on_group(name)
            for row in np.flatnonzero(width >= label_from).tolist():
                middle = left[row] + width[row] / 2
                ax.text(middle, row, f"{width[row]:.0f}", color=tone, ha="center", va="center", fontsize=7.5)
        left = left + width
    ax.grid(axis="x")
    return handles


def _row_name(key: object) -> str:
    return ", ".join(key) if isinstance(key, tuple) else str(key)


def note_bars(ax: Axes, schemes: Sequence[str], values_fJ: np.ndarray, scale: float, room: float) -> None:
    """Write each bar's energy and ratio to `full` behind it; the axis is `room` times the longest bar."""
    full = values_fJ[list(schemes).index(FULL)] if FULL in schemes else 0.0
    for y, (scheme, value) in enumerate(zip(schemes, values_fJ, strict=True)):
        text = format_energy(value)
        if full > 0 and scheme != FULL:
            text += f" ({format_ratio(value / full)})"
        ax.annotate(text, (value / scale, y), (4, 0), textcoords="offset points", va="center", fontsize=8)
    ax.set_xlim(0, values_fJ.max() / scale * room or 1)


def logarithmic(ax: Axes, values: pd.Series, say: Callable[[float], str]) -> None:
    """Make the horizontal axis logarithmic, its ticks named in units, with room at both ends."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    positive = values[values > 0]
    low, high = (positive.min() / 1.8, positive.max() * 1.8) if len(positive) else (1, 10)
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 200 * low else (1,), numticks=7))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: round_number(say(value))))


def round_number(text: str) -> str:
    """Return "1.00 mJ" as "1 mJ"."""
    number, unit = text.split(" ")
    return f"{float(number):g} {unit}"
