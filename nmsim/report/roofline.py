"""Rooflines: operations a second of each phase over operations a byte, below what the board allows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nmsim.report.canvas import FAINT, INK, Plot, drawing, hovered, new_figure, scheme_style
from nmsim.report.run import Run
from nmsim.report.verdict import format_share, main_scheme
from nmsim.units import format_si

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIDES = {"host": "Host: NPU and cores, over the link", "nmc": "Near memory: all units, beside their banks"}
#: Points of one phase this near to each other are named once. This and what follows in widths of a panel.
_NEAR = 0.04
#: Half a mark, and a letter and a line of a point's name; where the name stands, as there is room: below,
#: above, right, left, or farther below.
_MARK, _LETTER, _LINE = 0.016, 0.019, 0.036
_AROUND = np.array([[0, -1], [0, 1], [1, 0], [-1, 0], [1, -1], [-1, -1], [0, -3]])


def roofline(run: Run) -> Plot | None:
    """Return a roofline of the host and one of near memory, a mark for each phase of each scheme.

    The roofs are the peaks of the configuration: below the ridge what the memory's bytes allow, right of it
    what the arithmetic does, without any utilisation. None where the run does not say what its phases did.

    Parameters
    ----------
    run : Run
        The run.

    References
    ----------
    Williams, Waterman, Patterson: Roofline, CACM 52(4), 2009.
    """
    peaks = run.summary.get("peaks")
    data = phase_work(run)
    if not peaks or data.empty:
        return None
    schemes = list(run.schemes["scheme"])
    sides = [side for side in _SIDES if (data["side"] == side).any()]
    with drawing():
        figure = new_figure(3.9, 7.4)
        axes = figure.subplots(1, len(sides), sharey=True, squeeze=False)[0]
        for ax, side in zip(axes, sides, strict=True):
            own = data[data["side"] == side]
            _roof(ax, peaks[side], own)
            ax.set_title(_SIDES[side])
            ax.set_xlabel("operations per byte of DRAM traffic")
        rates = data["operations_per_s"].min(), max(peaks[side]["operations_per_s"] for side in sides)
        axes[0].set_ylim(rates[0] / 3, rates[1] * 2.5)
        for ax, side in zip(axes, sides, strict=True):
            _points(ax, data[data["side"] == side], schemes, peaks[side]["operations_per_s"])
        axes[0].set_ylabel("operations per second")
        shown = [scheme for scheme in schemes if scheme in set(data["scheme"])]
        for scheme in shown:
            axes[0].plot([], [], ls="", ms=5.5, label=scheme, **scheme_style(schemes.index(scheme)))
        figure.legend(loc="outside lower center", ncols=min(4, len(shown)))
    return Plot(
        "roofline", "How near each phase comes to what the board allows", figure, data, _sentence(data)
    )


def phase_work(run: Run) -> pd.DataFrame:
    """Return what each phase did on each side, and which share of its time the side's roof explains.

    Returns
    -------
    DataFrame
        Columns scheme, phase, side (host or nmc), operations, bytes, time_s, operations_per_byte,
        operations_per_s, roof_operations_per_s, bound (memory, NPU, CPU or units); phases without arithmetic
        or without accesses have no place in a roofline, and no row.
    """
    peaks, rows = run.summary.get("peaks") or {}, []
    for scheme, facts in run.summary["schemes"].items():
        for phase, values in facts["phases"].items():
            for side, work in (values.get("work") or {}).items():
                if side not in peaks or not (work["operations"] and work["bytes"] and values["time_ps"]):
                    continue
                least = _least_times_s(work, peaks[side])
                bound = max(least, key=least.__getitem__)
                time_s, operations = values["time_ps"] * 1e-12, work["operations"]
                rates = (operations / work["bytes"], operations / time_s, operations / least[bound])
                rows.append((scheme, phase, side, operations, work["bytes"], time_s, *rates, bound))
    columns = ["scheme", "phase", "side", "operations", "bytes", "time_s", "operations_per_byte"]
    return pd.DataFrame(rows, columns=[*columns, "operations_per_s", "roof_operations_per_s", "bound"])


def _least_times_s(work: Mapping[str, int], peaks: Mapping[str, float]) -> dict[str, float]:
    """Return how long each part of the work takes at its peak: the longest is the roof."""
    times = {"memory": work["bytes"] / peaks["bytes_per_s"]}
    if "cpu_operations" not in work:
        return times | {"units": work["operations"] / peaks["operations_per_s"]}
    on_npu = work["operations"] - work["cpu_operations"]
    times["NPU"] = on_npu / peaks["operations_per_s"]
    return times | {"CPU": work["cpu_operations"] / peaks["cpu_operations_per_s"]}


def _roof(ax: Axes, peaks: Mapping[str, float], own: pd.DataFrame) -> None:
    flat, slope = peaks["operations_per_s"], peaks["bytes_per_s"]
    ridge, x = flat / slope, own["operations_per_byte"]
    low, high = min(x.min(), ridge) / 4, max(x.max(), ridge) * 5
    ax.plot([low, ridge, high], [low * slope, flat, flat], color=INK, lw=1.3, zorder=2)
    text: dict[str, Any]
    text = {"xytext": (-3, 3), "textcoords": "offset points", "fontsize": 7.5, "ha": "right", "va": "bottom"}
    ax.annotate(f"{format_si(slope, 'B/s')}, {format_si(flat, 'op/s')}", (high, flat), **text)
    cores = peaks.get("cpu_operations_per_s")
    if cores:
        ax.plot([cores / slope, high], [cores, cores], color=FAINT, lw=1, ls=(0, (4, 2)), zorder=1)
        ax.annotate(f"cores: {format_si(cores, 'op/s')}", (high, cores), **text)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(low, high)
    ax.minorticks_off()
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.yaxis.set_major_formatter(lambda value, _: format_si(value, "", 1).strip())
    ax.grid()


def _points(ax: Axes, own: pd.DataFrame, schemes: list[str], flat: float) -> None:
    ends = np.log10([ax.get_xlim(), ax.get_ylim()])
    marks = np.log10(own[["operations_per_byte", "operations_per_s"]].to_numpy())
    places = (marks - ends[:, 0]) / (ends[:, 1] - ends[:, 0])  # in the panel, from 0 to 1
    boxes = [np.concatenate([place - _MARK, place + _MARK]) for place in places]
    height = (np.log10(flat) - ends[1, 0]) / (ends[1, 1] - ends[1, 0])
    boxes.append(np.array([0, height - _MARK / 2, 1, height + 1.5 * _LINE]))  # the roof and its name
    named: list[tuple[str, np.ndarray]] = []
    for row, place in zip(own.itertuples(), places, strict=True):
        x, y = row.operations_per_byte, row.operations_per_s
        style = scheme_style(schemes.index(row.scheme))
        (mark,) = ax.plot(x, y, ls="", ms=5.5, zorder=4, **style)
        hovered(mark, f"{row.scheme}, {row.phase}: {format_si(y, 'op/s')}, {x:.3g} operations a byte")
        if any(phase == row.phase and np.abs(other - place).max() < _NEAR for phase, other in named):
            continue
        named.append((row.phase, place))
        label = row.phase.replace("_", " ")
        size = np.array([_LETTER * len(label), _LINE])
        for side in _AROUND:
            middle = place + side * (size / 2 + 1.2 * _MARK)
            box = np.concatenate([middle - size / 2, middle + size / 2])
            if not any((box[:2] < other[2:]).all() and (box[2:] > other[:2]).all() for other in boxes):
                break
        boxes.append(box)
        look: dict[str, Any] = {
            "fontsize": 7,
            "ha": "center",
            "va": "center",
            "transform": ax.transAxes,
            "zorder": 5,
        }
        ax.text(middle[0], middle[1], label, **look)


def _sentence(data: pd.DataFrame) -> str:
    """Return how near the longest phase of either side of the main scheme comes to its roof."""
    scheme = main_scheme(dict.fromkeys(data["scheme"])) or data["scheme"].iloc[0]
    parts = []
    for _, own in data[data["scheme"] == scheme].groupby("side", sort=False):
        row = own.loc[own["time_s"].idxmax()]
        share = format_share(row["operations_per_s"] / row["roof_operations_per_s"])
        side = "near memory" if row["side"] == "nmc" else "on the host"
        parts.append(f"{side} “{row['phase'].replace('_', ' ')}”, to {share} of it ({row['bound']})")
    longest = "; ".join(parts)
    return f"The longest phases of {scheme} and how near each comes to what bounds it at its peak: {longest}."
