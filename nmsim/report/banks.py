"""Where accesses go: a heat map of the banks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nmsim.report.axes import name_rows
from nmsim.report.canvas import PAPER, Plot, drawing, new_figure
from nmsim.report.frames import PLACE_KEYS, accesses_by_bank
from nmsim.units import format_si

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: The colours reach at least this far from the mean, so that noise does not look like a pattern.
_LEAST_SPREAD = 0.25
#: Banks that can be numbered one by one, and channels that can be named and not just numbered.
_NUMBERED, _NAMED = 40, 6


def banks(sums: pd.DataFrame) -> Plot | None:
    """Return a heat map of column accesses (RD, WR) by bank; None where no bank is accessed.

    Parameters
    ----------
    sums : DataFrame
        `trace_sums`.
    """
    table = accesses_by_bank(sums)
    if table.empty:
        return None
    means = table.mean(axis=1)
    relative = table.div(means, axis=0).to_numpy()
    with drawing():
        figure = new_figure(1.35 + 0.27 * len(table))
        ax = figure.subplots()
        spread = max(_LEAST_SPREAD, float(np.abs(relative - 1).max()))
        image = ax.imshow(
            relative,
            aspect="auto",
            cmap="cividis",
            interpolation="nearest",
            vmin=max(0.0, 1 - spread),
            vmax=1 + spread,
        )
        rows = [
            f"{scheme}, by {source}: {format_si(mean, '').strip()} a bank"
            for (scheme, source), mean in zip(table.index, means, strict=True)
        ]
        name_rows(ax, rows)
        ax.set_ylim(len(rows) - 0.5, -0.5)
        edges = np.flatnonzero(np.diff(table.columns.get_level_values("channel"))) + 0.5
        for edge in edges:
            ax.axvline(edge, color=PAPER, lw=2)
        starts = np.concatenate([[0], edges + 0.5]).astype(int)
        _name_banks(ax, table.columns, starts)
        numbered = " (numbered)" if len(starts) > _NAMED else ""
        ax.set_xlabel(f"bank, in the order of channel{numbered}, rank, bank group, bank")
        bar = figure.colorbar(image, ax=ax, pad=0.01, aspect=12)
        bar.set_label("accesses / mean bank's")
        bar.outline.set_visible(False)
        for spine in ax.spines.values():
            spine.set_visible(False)
    data = table.stack(PLACE_KEYS, future_stack=True).rename("column_accesses").reset_index()
    worst = int(relative.max(axis=1).argmax())
    scheme, source = table.index[worst]
    says = (
        f"The busiest bank has {relative.max():.2f} times the accesses of the mean bank ({scheme}, by "
        f"{source}); the idlest of all has {relative.min():.2f} times its mean."
    )
    return Plot("banks", "How accesses spread over the banks", figure, data, says)


def _name_banks(ax: Axes, places: Sequence[tuple[int, int, int, int]], starts: np.ndarray) -> None:
    """Number the banks where there is room, and name the channels at the first bank of each."""
    named = {int(start): f"channel {places[start][0]}" for start in starts}
    if len(places) > _NUMBERED:
        if len(named) > _NAMED:
            named = {start: text.removeprefix("channel ") for start, text in named.items()}
        ax.set_xticks(list(named), list(named.values()), ha="left")
    else:
        several = len({group for _, _, group, _ in places}) > 1
        numbers = [f"{group}.{bank}" if several else f"{bank}" for _, _, group, bank in places]
        ax.set_xticks(
            range(len(places)), [f"{n}\n{named.get(i, '')}" for i, n in enumerate(numbers)], fontsize=7.5
        )
    ax.tick_params(axis="x", length=0)
