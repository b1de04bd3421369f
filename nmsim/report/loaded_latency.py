"""The loaded-latency figure: what a memory's latency does as more is asked of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nmsim.report.canvas import FAINT, INK, PAPER, SCHEMES, Plot, drawing, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
        _legend(figure, [f"{v:.0%} random" for v in randoms], [f"{v:.0%} reads" for v in fractions])
    says = _most_bandwidth(points, bounds_GBps["peak"], unloaded_ns)
    return Plot("loaded_latency", "Latency over bandwidth", figure, points, says)


def _most_bandwidth(points: pd.DataFrame, peak_GBps: float, unloaded_ns: Mapping[str, float]) -> str:
    """Return the most bandwidth that is reached before the memory saturates, and the latency there."""
    stable = points[~points["saturated"]]
    if stable.empty:
        return "Every rate that was tried is more than the memory can do."
    best = stable.loc[stable["achieved_GBps"].idxmax()]
    kind = "write" if pd.isna(best["read_mean_ns"]) else "read"
    mean, lone = best[f"{kind}_mean_ns"], min(unloaded_ns.values())
    return (
        f"Before it saturates the memory reaches {best['achieved_GBps']:.3g} of {peak_GBps:.3g} GB/s (with "
        f"{best['read_fraction']:.0%} reads, {best['random_share']:.0%} random); a {kind} then takes "
        f"{mean:.3g} ns on average, {mean / lone:.2g} times a lone read of an open row."
    )


def shared_latency(
    points: pd.DataFrame, unloaded_ns: Mapping[str, float], peak_GBps: float, title: str
) -> Plot:
    """Return what a host sees beside near memory: latency, and what near memory gets, over its bandwidth.

    Parameters
    ----------
    points : DataFrame
        As for `loaded_latency`, with host_policy, busy, near_banks, near_GBps and host_waits; a policy is
        a row of panels. Where the host waits, its columns are empty.
    unloaded_ns : mapping of str to float
        As for `loaded_latency`.
    peak_GBps : float
        Of the channel.
    title : str
        Heads the figure.
    """
    policies, busy = (list(dict.fromkeys(points[column])) for column in ("host_policy", "busy"))
    loads = points[~points["host_waits"]]
    randoms = list(dict.fromkeys(loads["random_share"]))
    with drawing():
        figure = new_figure(0.8 + 3.1 * len(policies), 10.4)
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        axes = figure.subplots(len(policies), 3, sharex=True, sharey="col", squeeze=False)
        top = _TOP * max(unloaded_ns.values())
        for row, policy in zip(axes, policies, strict=True):
            here = loads[loads["host_policy"] == policy]
            for (kind, random, _), line in here.groupby(
                ["busy", "random_share", "read_fraction"], sort=False
            ):
                look = busy.index(kind), randoms.index(random)
                for ax, statistic in zip(row, ("mean", "p99"), strict=False):
                    _line(ax, line, statistic, *look, top)
                line = line[~line["saturated"] & (line["near_banks"] > 0)].sort_values("rate")
                style = {"color": _colour(look[0]), "ls": _DASHES[look[1] % len(_DASHES)], "lw": 1.3}
                mark = {"marker": _MARKERS[look[1] % len(_MARKERS)], "ms": 3.2, "mec": PAPER, "mew": 0.3}
                row[2].plot(line["achieved_GBps"], line["near_GBps"], **style, **mark)
            for ax in row[:2]:
                _furnish(ax, {"peak": peak_GBps}, unloaded_ns, top)
            right = row[0].get_xlim()[1]
            row[2].grid(axis="y")
            row[2].set_ylim(0, 1.08 * points["near_GBps"].max())
            row[2].set_xlabel("achieved bandwidth of the host (GB/s)")
            waits = points[points["host_waits"] & (points["host_policy"] == policy)]
            for kind, value in zip(waits["busy"], waits["near_GBps"], strict=True):
                colour = _colour(busy.index(kind))
                row[2].axhline(value, color=colour, lw=1.3, ls=(0, (1, 2)))
                place: dict[str, Any] = {"ha": "right", "va": "top", "fontsize": 8, "color": colour}
                row[2].annotate(
                    "the host waits", (0.98 * right, value), (0, -2), textcoords="offset points", **place
                )
            for ax, what in zip(
                row, ("mean latency (ns)", "99th percentile (ns)", "near memory (GB/s)"), strict=True
            ):
                ax.set_ylabel(what)
            row[0].set_title(policy, pad=16)
        _legend(figure, [f"{kind} of the banks busy" for kind in busy], [f"{v:.0%} random" for v in randoms])
    return Plot("shared_latency", "Latency beside near memory", figure, points, _slowest_host(loads, points))


def _slowest_host(loads: pd.DataFrame, points: pd.DataFrame) -> str:
    """Return how much busy units slow the host down at the lowest rate, by policy; or that it waits."""
    parts = []
    for policy, own in points.groupby("host_policy", sort=False):
        here = loads[(loads["host_policy"] == policy) & (loads["rate"] == loads["rate"].min())]
        here = here[~here["saturated"]].sort_values("near_banks", kind="stable")
        idle, busy = here[here["near_banks"] == 0], here[here["near_banks"] > 0]
        if own.loc[own["near_banks"] > 0, "host_waits"].all():
            parts.append(f"{policy}: it waits until they are done")
        elif len(idle) and len(busy):
            last = busy.iloc[-1]
            ratio = last["read_mean_ns"] / idle["read_mean_ns"].iloc[0]
            parts.append(f"{policy}: ×{ratio:.2f} with {last['busy']} of the banks busy")
    return (
        f"Mean latency of the host's reads at its lowest rate, beside near-memory units: {'; '.join(parts)}."
    )


def _line(ax: Axes, line: pd.DataFrame, statistic: str, random: int, reads: int, top: float) -> None:
    kind = "read" if line["read_mean_ns"].notna().any() else "write"
    line = line.sort_values("rate")
    colour, mark = _colour(random), _MARKERS[reads % len(_MARKERS)]
    stable = line[~line["saturated"]]
    x, y = stable["achieved_GBps"].to_numpy(), stable[f"{kind}_{statistic}_ns"].to_numpy()
    look: dict[str, Any] = {"color": colour, "ls": _DASHES[reads % len(_DASHES)], "lw": 1.3}
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
        place: dict[str, Any] = {"ha": "left", "va": "bottom", "rotation": 25, "fontsize": 7, "color": INK}
        ax.annotate(name, (value, top), (0, 7), textcoords="offset points", **place)


def _name_unloaded(ax: Axes, unloaded_ns: Mapping[str, float]) -> None:
    right = ax.get_xlim()[1]
    for outcome, value in unloaded_ns.items():
        place: dict[str, Any] = {"ha": "right", "va": "bottom", "fontsize": 7, "color": INK, "zorder": 2}
        place["bbox"] = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.8}
        text = f"lone {outcome}, {value:.3g} ns"
        ax.annotate(text, (0.995 * right, value), (0, 1), textcoords="offset points", **place)


def _legend(figure: Figure, colours: list[str], dashes: list[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=_colour(i), lw=2.4, label=name) for i, name in enumerate(colours)]
    for i, name in enumerate(dashes):
        style: dict[str, Any]
        style = {"ls": _DASHES[i % len(_DASHES)], "marker": _MARKERS[i % len(_MARKERS)], "ms": 4}
        handles.append(Line2D([], [], color=INK, lw=1.2, label=name, **style))
    handles.append(Line2D([], [], ls="", marker="o", mfc=PAPER, mec=FAINT, ms=5, label="saturated"))
    handles.append(Line2D([], [], color=INK, lw=0.8, ls=(0, (1, 2)), label="bounds"))
    figure.legend(handles=handles, loc="outside lower center", ncols=8, handlelength=2.4, columnspacing=1.2)
