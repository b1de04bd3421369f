"""What accesses found in the row buffers: hits, misses and conflicts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nmsim.report.axes import BAR, name_rows
from nmsim.report.canvas import PAPER, Plot, drawing, hovered, new_figure
from nmsim.report.verdict import format_share

#: Outcome -> (what it is, colour on white as `canvas` knows it, hatch): told apart in grey too.
_LOOK = {
    "row_hits": ("hit: the row is open", "#56b4e9", ""),
    "row_misses": ("miss: no row is open", "#e69f00", "///"),
    "row_conflicts": ("conflict: another row is open", "#d55e00", "\\\\\\"),
}


def row_outcomes(schemes: pd.DataFrame) -> Plot | None:
    """Return a bar for each scheme of the shares of column accesses by outcome; None without any access.

    Parameters
    ----------
    schemes : DataFrame
        `Run.schemes`.
    """
    counts = schemes.set_index("scheme")[list(_LOOK)]
    totals = counts.sum(axis=1)
    counts, totals = counts[totals > 0], totals[totals > 0]
    if counts.empty:
        return None
    shares = counts.div(totals, axis=0) * 100
    y = np.arange(len(shares))
    with drawing():
        figure = new_figure(1.1 + 0.3 * len(shares))
        ax = figure.subplots()
        left = np.zeros(len(shares))
        for outcome, (label, colour, hatch) in _LOOK.items():
            width = shares[outcome].to_numpy()
            bars = ax.barh(
                y, width, BAR, left=left, color=colour, hatch=hatch, edgecolor=PAPER, lw=0.4, label=label
            )
            for bar, scheme in zip(bars, shares.index, strict=True):
                share, count = format_share(shares.loc[scheme, outcome] / 100), counts.loc[scheme, outcome]
                hovered(bar, f"{scheme}: {outcome.removeprefix('row_')}, {count:,} ({share})")
            left = left + width
        for place, (scheme, total) in enumerate(totals.items()):
            text = f"{shares.loc[scheme, 'row_hits']:.1f} % hits of {total:,}"
            ax.annotate(
                text,
                (100, place),
                (5, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                annotation_clip=False,
            )
        name_rows(ax, list(shares.index))
        ax.set_xlim(0, 100)
        ax.set_xlabel("share of the column accesses (%)")
        ax.grid(axis="x")
        figure.legend(loc="outside lower center", ncols=3)
    data = counts.reset_index()
    best, worst = shares["row_hits"].idxmax(), shares["row_hits"].idxmin()
    hits = {scheme: format_share(shares.loc[scheme, "row_hits"] / 100) for scheme in (best, worst)}
    says = (
        f"Of the accesses of {best} {hits[best]} find their row open, the most of all schemes; of those of "
        f"{worst} {hits[worst]}, the fewest."
    )
    if shares["row_hits"].max() - shares["row_hits"].min() < 0.05:
        says = f"In every scheme {hits[best]} of the accesses find their row open."
    return Plot("row_outcomes", "Row hits, misses and conflicts", figure, data, says)
