"""Accuracy against energy: what is bought with what, seed by seed, and the schemes that none beats."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from nmsim.report.axes import logarithmic
from nmsim.report.canvas import INK, PAPER, Plot, drawing, hovered, new_figure, scheme_style
from nmsim.report.run import Run
from nmsim.units import format_energy, format_si

#: Width over which the seeds of a scheme are spread beside its mean, as a share of the axis.
_FAN = 0.012


def pareto_front(cost: Sequence[float], gain: Sequence[float]) -> np.ndarray:
    """Return which points no other beats: bool, True where none has at least the gain at no more cost.

    Of equal points all stand on the front or none. A gain that is not known (NaN) stands on none.
    """
    c, g = np.asarray(cost, dtype=float), np.asarray(gain, dtype=float)
    front = np.zeros(len(c), dtype=bool)
    order = np.lexsort((-g, c))
    best = previous = -1
    for i in order:
        equal = previous >= 0 and front[previous] and c[i] == c[previous] and g[i] == g[previous]
        if equal or (g[i] > (g[best] if best >= 0 else -np.inf)):
            front[i], best = True, i
        previous = i
    return front


def accuracy_energy(run: Run) -> Plot:
    """Return accuracy against system energy: means with sd, seeds, bands, and the front; up left is better.

    Parameters
    ----------
    run : Run
        The run.
    """
    schemes = run.schemes
    bands = run.bands[run.bands["quantity"] == "system_energy_fJ"].set_index("scheme")
    x, y = schemes["system_energy_fJ"].to_numpy(dtype=float), schemes["accuracy_mean"].to_numpy() * 100
    front = pareto_front(x, y)
    wide = x.max() > 5 * max(x.min(), 1)
    with drawing():
        figure = new_figure(3.9)
        ax = figure.subplots()
        order = np.flatnonzero(front)[np.argsort(x[front])]
        ax.step(x[order], y[order], where="post", color=INK, lw=0.9, ls=(0, (4, 2)), zorder=1)
        ax.plot([], [], color=INK, lw=0.9, ls=(0, (4, 2)), label="beaten by none")
        for index, row in enumerate(schemes.itertuples()):
            label = f"{row.scheme}: {row.accuracy_mean * 100:.1f} %, {format_energy(row.system_energy_fJ)}"
            style = scheme_style(index)
            across = None
            if row.scheme in bands.index:
                # With the values as stated the energy may lie outside its band: some stand at a range's end.
                ends = bands.loc[row.scheme, ["p05", "p95"]].to_numpy(dtype=float) - x[index]
                across = np.clip(ends * (-1, 1), 0, None)[:, None]
            error = row.accuracy_sd * 100 if row.seeds > 1 else None
            ax.errorbar(
                x[index],
                y[index],
                error,
                across,
                ls="",
                capsize=3,
                elinewidth=0.9,
                color=style["color"],
                zorder=2,
            )
            seeds = np.array(run.summary["schemes"][row.scheme].get("accuracies") or [], dtype=float) * 100
            if len(seeds) > 1:
                fan = np.linspace(-_FAN, _FAN, len(seeds))
                beside = (
                    x[index] * 10 ** (fan * np.log10(x.max() / x.min())) if wide else x[index] + fan * x.max()
                )
                ax.plot(
                    beside,
                    seeds,
                    ls="",
                    marker="o",
                    ms=2.4,
                    mec="none",
                    color=style["color"],
                    alpha=0.75,
                    zorder=3,
                )
            (mark,) = ax.plot(
                x[index], y[index], ls="", ms=7, mec=PAPER, mew=0.5, label=label, zorder=4, **style
            )
            hovered(mark, label)
        if wide:
            logarithmic(
                ax, pd.concat([schemes["system_energy_fJ"], bands["p05"], bands["p95"]]), format_energy
            )
        else:
            ax.xaxis.set_major_formatter(lambda value, _: format_si(value * 1e-15, "J", 3))
        label = "system energy" + (", logarithmic" if wide else "")
        ax.set_xlabel(label + ("; bands: 5 to 95 % of the boards" if len(bands) else ""))
        ax.margins(0.12, 0.15)
        ax.set_ylabel("test accuracy (%), mean ± sd; dots: seeds")
        ax.grid()
        figure.legend(loc="outside lower center", ncols=2)
    columns = ["scheme", "system_energy_fJ", "accuracy_mean", "accuracy_sd", "seeds", "kept"]
    data = schemes[columns].assign(on_front=front)
    ends = bands.reindex(data["scheme"])[["p05", "p95"]].add_prefix("system_energy_fJ_")
    return Plot(
        "accuracy_energy",
        "Accuracy against energy",
        figure,
        pd.concat([data, ends.reset_index(drop=True)], axis=1),
        _front_sentence(schemes["scheme"], front),
    )


def _front_sentence(schemes: Sequence[str], front: np.ndarray) -> str:
    names = ", ".join(np.asarray(schemes)[front])
    return f"By their means, these are not beaten in accuracy and energy at once: {names}."
