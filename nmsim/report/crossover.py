"""The crossover figure: distances near memory against the host, over queries, records and values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from nmsim.report.canvas import FAINT, SCHEMES, Plot, drawing, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NEAR, _HOST = SCHEMES[2], SCHEMES[3]
_AXES = {
    "queries": "queries in a unit's buffer, q",
    "records": "records of a class, n",
    "values": "values of a record, D",
}
_ROWS = {
    "total_J": "whole board (J)",
    "ddr_J": "DRAM and link (J)",
    "time_s": "time (s)",
}


def crossover(points: pd.DataFrame, title: str, crossings: dict[str, int | None]) -> Plot:
    """Return energy and time of the distances of one class, lines for the formula, marks for the simulation.

    Parameters
    ----------
    points : DataFrame
        As `nmsim.system.crossover.sweep` returns it.
    title : str
        Heads the figure.
    crossings : dict of str to int or None
        Queries from which near memory costs no more, by the names total_J, ddr_J and time_s.
    """
    with drawing():
        figure = new_figure(6.6, 9.6)
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        axes = figure.subplots(len(_ROWS), len(_AXES), sharex="col", sharey="row")
        for row, (name, label) in zip(axes, _ROWS.items(), strict=True):
            for ax, over in zip(row, _AXES, strict=True):
                _panel(ax, points[points["over"] == over], over, name)
            row[0].set_ylabel(label)
            if crossings[name] is not None:
                row[0].axvline(crossings[name], color=FAINT, linewidth=0.8, linestyle=(0, (4, 2)))
        for ax, text in zip(axes[-1], _AXES.values(), strict=True):
            ax.set_xlabel(text)
        axes[0][0].legend(loc="upper right")
    title = "Distances near memory and on the host"
    return Plot("crossover", title, figure, points, _crossings(crossings))


def _crossings(crossings: dict[str, int | None]) -> str:
    names = {"total_J": "energy of the board", "ddr_J": "energy of DRAM and link", "time_s": "time"}
    parts = [
        f"{name} {'for no buffer' if crossings[key] is None else f'from {crossings[key]:,} queries on'}"
        for key, name in names.items()
    ]
    return f"Near memory takes no more than the host in: {'; '.join(parts)}."


def _panel(ax: Axes, points: pd.DataFrame, over: str, name: str) -> None:
    for place, label, (colour, _, marker) in (("nmc", "near memory", _NEAR), ("host", "host", _HOST)):
        mine = points[points["place"] == place]
        # The queries of the other place do not matter to the host: it stands over those of the units.
        x = points[points["place"] == "nmc"][over].to_numpy()
        ax.plot(x, mine[f"formula_{name}"].to_numpy(), color=colour, linewidth=1.1, label=label)
        if f"simulated_{name}" in mine:
            ax.plot(x, mine[f"simulated_{name}"].to_numpy(), marker, color=colour, markersize=4)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.yaxis.set_minor_formatter(lambda value, _: "")
    ax.grid(True, axis="y")
