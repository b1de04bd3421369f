"""What decides on the verdict: the values that move a ratio to `full` most, each through its range."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from nmsim.energy.layers import LAYERS
from nmsim.report.canvas import FAINT, INK, SCHEMES, Plot, drawing, hovered, new_figure
from nmsim.report.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Bars of a panel.
BARS = 8

#: A value's low and high end: blue and vermilion tell them apart for everyone, and the hatch in grey.
_ENDS = (
    ("at_low", "value at its low end", SCHEMES[3][0], ""),
    ("at_high", "at its high end", SCHEMES[2][0], "///"),
)


def tornado(run: Run, scheme: str) -> Plot | None:
    """Return bars of a scheme's ratio to `full` while one value alone goes through its range.

    A panel for each of `LAYERS`, the most decisive values on top, with a star where the range is assumed.
    None where the run drew no boards or has no `full`.
    """
    layers = (run.summary.get("uncertainty") or {}).get("tornado", {}).get(scheme)
    if not layers or not any(layers.values()):
        return None
    stated = run.schemes.set_index("scheme").loc[scheme]
    shown = {layer: bars[:BARS] for layer, bars in layers.items() if bars}
    assumed = set(run.summary.get("assumed", []))
    with drawing():
        figure = new_figure(0.75 + sum(0.5 + 0.21 * len(bars) for bars in shown.values()))
        heights = [2.4 + len(bars) for bars in shown.values()]
        axes = figure.subplots(len(shown), 1, height_ratios=heights, squeeze=False)[:, 0]
        for ax, (layer, bars) in zip(axes, shown.items(), strict=True):
            _panel(ax, bars, stated[f"ratio_{layer}"], assumed)
            ax.set_title(f"{LAYERS[layer][0].upper()}{LAYERS[layer][1:]} energy")
        axes[-1].set_xlabel(
            f"energy of {scheme} / energy of full (logarithmic); 1: no saving\n* its range is assumed"
        )
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
    rows = [
        {"layer": layer, **bar, "assumed": bar["factor"] in assumed}
        for layer, bars in layers.items()
        for bar in bars
    ]
    data = pd.DataFrame(rows).rename(columns={"at_low": "ratio_at_low", "at_high": "ratio_at_high"})
    data.insert(0, "scheme", scheme)
    return Plot("tornado", "What decides on the saving", figure, data, _most_decisive(scheme, shown))


def _most_decisive(scheme: str, shown: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Return which value moves each layer's ratio to `full` most when it alone goes through its range."""
    parts = []
    for layer, (first, *_) in shown.items():
        low, high = sorted((first["at_low"], first["at_high"]))
        parts.append(f"{LAYERS[layer]}: {first['factor']} (×{low:.3g} to ×{high:.3g})")
    return f"What moves the ratio of {scheme} most by itself: {'; '.join(parts)}."


def _panel(ax: Axes, bars: Sequence[Mapping[str, Any]], stated: float, assumed: Collection[str]) -> None:
    for place, bar in enumerate(bars):
        for end, label, colour, hatch in _ENDS:
            left, right = sorted((stated, bar[end]))
            (drawn,) = ax.barh(
                place,
                right - left,
                0.7,
                left=left,
                color=colour,
                hatch=hatch,
                edgecolor="#fefefe",
                linewidth=0.3,
                label=label if place == 0 else None,
            )
            hovered(drawn, f"{bar['factor']}, {label}: ×{bar[end]:.3g}")
    values = [bar[end] for bar in bars for end, *_ in _ENDS] + [stated]
    ax.set_xscale("log")
    low, high = min(values), max(values)
    room = max((high / low) ** 0.06, 1.01)
    ax.set_xlim(low / room, high * room)
    _plain_ticks(ax)
    ax.axvline(stated, color=INK, lw=0.8)
    if ax.get_xlim()[0] < 1 < ax.get_xlim()[1]:
        ax.axvline(1, color=FAINT, lw=1.2, ls=(0, (4, 2)))
    names = [bar["factor"] + (" *" if bar["factor"] in assumed else "") for bar in bars]
    ax.set_yticks(range(len(bars)), names, fontsize=8)
    ax.set_ylim(len(bars) - 0.4, -0.6)
    ax.grid(axis="x")


def _plain_ticks(ax: Axes) -> None:
    """Give the logarithmic axis a few ticks with plain numbers, also where it spans less than a decade."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

    ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
