"""The loaded-latency figure: what a memory's latency does as more is asked of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nmsim.report.canvas import FAINT, INK, PAPER, SCHEMES, Plot, drawing, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DASHES = ("-", (0, (4, 1.5)), (0, (1.2, 1.4)), (0, (5, 1.2, 1.2, 1.2)))
_MARKERS = ("o", "s", "^", "D")
#: The latency axis ends at this multiple of the slowest unloaded read; what lies beyond has no number.
_TOP = 30
#: Names of the bounds on the figure.
_BOUNDS = {
    "peak": "peak",
    "streaming": "row hits",
    "one_row": "row hits, 1 bank",
    "many_banks": "new rows",
    "single_bank": "new rows, 1 bank",
}


def loaded_latency(
    points: pd.DataFrame,
    bounds_GBps: Mapping[str, float],
    unloaded_ns: Mapping[str, float],
    title: str,
    ranks: int = 1,
) -> Plot:
    """Return mean and 99th percentile of latency over achieved bandwidth, a line for each kind of traffic.

    Parameters
    ----------
    points : DataFrame
        Columns read_fraction, random_share, rate, achieved_GBps, saturated, and for both kinds
        `<read|write>_<mean|ci95|p99>_ns`; a line without reads shows its writes.
    bounds_GBps : mapping of str to float
        By the names of `nmsim.dram.bounds`; drawn as vertical lines.
    unloaded_ns : mapping of str to float
        Latency of a lone read by row outcome; marked on the latency axis.
    title : str
        Heads the figure.
    ranks : int
        Of several, one alone obeys the bounds; their names then say so.
    """
    one = ", 1 rank" if ranks > 1 else ""
    bounds = {_BOUNDS[n] + (one if n != "peak" else ""): value for n, value in bounds_GBps.items()}
    with drawing():
        figure = new_figure(4.4, 9.6)
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        axes = figure.subplots(1, 2, sharex=True, sharey=True)
        top = _TOP * max(unloaded_ns.values())
        randoms = list(dict.fromkeys(points["random_share"]))
        fractions = list(dict.fromkeys(points["read_fraction"]))
        for ax, statistic in zip(axes, ("mean", "p99"), strict=True):
            for (random, reads), line in points.groupby(["random_share", "read_fraction"], sort=False):
                _line(ax, line, statistic, randoms.index(random), fractions.index(reads), top)
            _furnish(ax, bounds, unloaded_ns, top)
        axes[0].set_ylabel("mean latency, arrival to last beat (ns)")
        axes[1].set_ylabel("99th percentile (ns)")
        _name_unloaded(axes[1], unloaded_ns)
        _legend(figure, randoms, fractions)
    return Plot("loaded_latency", "Latency over bandwidth", figure, points)


def _line(ax: Axes, line: pd.DataFrame, statistic: str, random: int, reads: int, top: float) -> None:
    kind = "read" if line["read_mean_ns"].notna().any() else "write"
    line = line.sort_values("rate")
    colour, mark = _colour(random), _MARKERS[reads % len(_MARKERS)]
    stable = line[~line["saturated"]]
    x, y = stable["achieved_GBps"].to_numpy(), stable[f"{kind}_{statistic}_ns"].to_numpy()
    look = {"color": colour, "ls": _DASHES[reads % len(_DASHES)], "lw": 1.3}
    ax.plot(x, y, marker=mark, ms=3.2, mec=PAPER, mew=0.3, zorder=3, **look)
    if statistic == "mean":
        half = stable[f"{kind}_ci95_ns"].to_numpy()
        ax.fill_between(x, np.maximum(y - half, 1e-3), y + half, color=colour, alpha=0.18, lw=0, zorder=2)
    full = line[line["saturated"]]
    if len(full):  # the wall: where the bandwidth stays, whatever is offered
        wall = full["achieved_GBps"].median()
        if len(x):
            ax.plot([x[-1], wall], [y[-1], top], zorder=2, alpha=0.7, **{**look, "lw": 0.9})
        ax.plot([wall], [top], marker=mark, ms=5, mfc=PAPER, mec=colour, mew=1.1, clip_on=False, zorder=5)


def _colour(index: int) -> str:
    return SCHEMES[(3, 4, 2, 5, 6, 7, 0, 1)[index % 8]][0]


def _furnish(ax: Axes, bounds: Mapping[str, float], unloaded_ns: Mapping[str, float], top: float) -> None:
    ax.set_yscale("log")
    ax.set_ylim(0.75 * min(unloaded_ns.values()), top)
    right = 1.04 * max(bounds.values())
    ax.set_xlim(0, right)
    ticks = [t for p in (1, 10, 100, 1000, 10000) for t in (p, 2 * p, 5 * p)]
    ax.set_yticks([t for t in ticks if ax.get_ylim()[0] <= t <= top])
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.minorticks_off()
    ax.grid(axis="y")
    ax.set_xlabel("achieved bandwidth of one channel (GB/s)")
    for value in bounds.values():
        ax.axvline(value, color=INK, lw=0.7, ls=(0, (1, 2)), zorder=1)
    for value in unloaded_ns.values():
        ax.axhline(value, color=INK, lw=0.6, ls=(0, (1, 2)), zorder=1)
    named: list[tuple[float, str]] = []
    for value, name in sorted((value, name) for name, value in bounds.items()):
        if named and value - named[-1][0] < 0.025 * right:  # two names would lie on each other
            named[-1] = (named[-1][0], f"{named[-1][1]}; {name}")
        else:
            named.append((value, name))
    for value, name in named:
        place = {"ha": "left", "va": "bottom", "rotation": 25, "fontsize": 7, "color": INK}
        ax.annotate(name, (value, top), (0, 7), textcoords="offset points", **place)


def _name_unloaded(ax: Axes, unloaded_ns: Mapping[str, float]) -> None:
    right = ax.get_xlim()[1]
    for outcome, value in unloaded_ns.items():
        place = {"ha": "right", "va": "bottom", "fontsize": 7, "color": INK, "zorder": 2}
        place["bbox"] = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.8}
        text = f"lone {outcome}, {value:.3g} ns"
        ax.annotate(text, (0.995 * right, value), (0, 1), textcoords="offset points", **place)


def _legend(figure: object, randoms: list[float], fractions: list[float]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=_colour(i), lw=2.4, label=f"{v:.0%} random") for i, v in enumerate(randoms)
    ]
    for i, value in enumerate(fractions):
        style = {"ls": _DASHES[i % len(_DASHES)], "marker": _MARKERS[i % len(_MARKERS)], "ms": 4}
        handles.append(Line2D([], [], color=INK, lw=1.2, label=f"{value:.0%} reads", **style))
    handles.append(Line2D([], [], ls="", marker="o", mfc=PAPER, mec=FAINT, ms=5, label="saturated"))
    handles.append(Line2D([], [], color=INK, lw=0.8, ls=(0, (1, 2)), label="bounds"))
    figure.legend(handles=handles, loc="outside lower center", ncols=8, handlelength=2.4, columnspacing=1.2)
