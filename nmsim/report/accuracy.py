"""Accuracy against energy: what is bought with what, and what no other result beats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nmsim.report.axes import logarithmic
from nmsim.report.canvas import INK, Plot, drawing, hovered, new_figure, scheme_line, scheme_style
from nmsim.report.run import Run
from nmsim.units import format_energy, format_si

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Columns of a result that `draw_results` shows.
RESULT = (
    "scheme",
    "accuracy_mean",
    "accuracy_sd",
    "seeds",
    "system_energy_fJ",
    "system_energy_fJ_p05",
    "system_energy_fJ_p95",
)

#: Marks that say something to a pointer, at most: more are drawn as dots of a picture, or a page gets heavy.
MANY = 400

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


def draw_results(
    ax: Axes,
    results: pd.DataFrame,
    schemes: Sequence[str],
    *,
    says: Sequence[str] | None = None,
    faded: np.ndarray | None = None,
    joined: bool = False,
) -> None:
    """Draw a mark for each result, with the spread of its accuracy and the band of its energy.

    Parameters
    ----------
    ax : Axes
        Energy in fJ from left to right, accuracy in % upwards.
    results : DataFrame
        Columns `RESULT`; without the ends of bands none are drawn.
    schemes : sequence of str
        In the order that gives them their looks.
    says : sequence of str, optional
        What each mark says to a pointer.
    faded : ndarray of bool, optional
        Results that stand back: light, small and without spread and band.
    joined : bool
        Whether the results of a scheme are joined by a line, in their order.
    """
    faded = np.zeros(len(results), dtype=bool) if faded is None else faded
    for index, scheme in enumerate(schemes):
        mine = (results["scheme"] == scheme).to_numpy()
        style = scheme_style(index)
        if joined:
            own = results[mine]
            line = {"color": style["color"], "lw": 1.1, "ls": scheme_line(index), "zorder": 2}
            ax.plot(own["system_energy_fJ"], 100 * own["accuracy_mean"], **line)
        _draw_spreads(ax, results[mine & ~faded], str(style["color"]))
        silent = mine & faded if faded.sum() > MANY else np.zeros_like(mine)
        if silent.any():
            own = results[silent]
            look: dict[str, Any] = {**style, "ls": "", "ms": 5, "alpha": 0.5, "zorder": 3, "rasterized": True}
            ax.plot(own["system_energy_fJ"], 100 * own["accuracy_mean"], **look)
        for place in np.flatnonzero(mine & ~silent).tolist():
            row, back = results.iloc[place], faded[place]
            x, y = row["system_energy_fJ"], 100 * row["accuracy_mean"]
            look = {"ms": 5, "alpha": 0.5, "zorder": 3} if back else {"ms": 6.5, "zorder": 4}
            (mark,) = ax.plot(x, y, ls="", **{**style, **look})
            said = f"{scheme}: {y:.1f} %, {format_energy(x)}" if says is None else says[place]
            hovered(mark, said)


def _draw_spreads(ax: Axes, own: pd.DataFrame, colour: str) -> None:
    x, y = own["system_energy_fJ"].to_numpy(float), 100 * own["accuracy_mean"].to_numpy(float)
    sd = np.where(own["seeds"] > 1, 100 * own["accuracy_sd"].fillna(0).to_numpy(float), 0.0)
    across = None
    if "system_energy_fJ_p05" in own:
        # With the values as stated the energy may lie outside its band: some stand at a range's end.
        low, high = (own[f"system_energy_fJ_{end}"].fillna(own["system_energy_fJ"]) for end in ("p05", "p95"))
        across = np.clip([x - low.to_numpy(float), high.to_numpy(float) - x], 0, None)
    look: dict[str, Any] = {
        "ls": "",
        "color": colour,
        "elinewidth": 0.8,
        "capsize": 2,
        "alpha": 0.7,
        "zorder": 2,
    }
    ax.errorbar(x, y, sd if sd.any() else None, across, **look)


def draw_front(ax: Axes, results: pd.DataFrame, label: str | None = "beaten by none") -> np.ndarray:
    """Draw the front of the results that no other beats; return which these are."""
    front = pareto_front(results["system_energy_fJ"], results["accuracy_mean"])
    order = results[front].sort_values("system_energy_fJ")
    look: dict[str, Any] = {
        "color": INK,
        "lw": 0.9,
        "ls": (0, (4, 2)),
        "zorder": 1,
        "label": label,
    }
    ax.step(order["system_energy_fJ"], 100 * order["accuracy_mean"], where="post", **look)
    return front


def name_axes(ax: Axes, results: pd.DataFrame, bands: str = "bars: 5 to 95 % of the boards") -> None:
    """Name both axes, with units; that of energy is logarithmic where results lie far apart."""
    drawn = [c for c in RESULT if c.startswith("system_energy_fJ") and c in results]
    energies = pd.concat([results[c] for c in drawn]).dropna()
    wide = results["system_energy_fJ"].max() > 5 * max(results["system_energy_fJ"].min(), 1)
    if wide:
        logarithmic(ax, energies, format_energy)
    else:
        ax.xaxis.set_major_formatter(lambda value, _: format_si(value * 1e-15, "J", 3))
    said = "system energy of selection and training" + (", logarithmic" if wide else "")
    ax.set_xlabel(f"{said}\n{bands}" if len(drawn) > 1 else said)
    ax.set_ylabel("test accuracy (%)" + (", mean ± sd over seeds" if (results["seeds"] > 1).any() else ""))
    ax.margins(0.12, 0.15)
    ax.grid()


def name_schemes(ax: Axes, schemes: Sequence[str], says: Sequence[str] | None = None) -> None:
    """Give a legend an entry for each scheme, or what is said of it."""
    for index, label in enumerate(says or schemes):
        ax.plot([], [], ls="", ms=6, label=label, **scheme_style(index))


def unbeaten(names: Sequence[str]) -> str:
    """Return the sentence that names the results on a front."""
    return f"By their means, these are not beaten in accuracy and energy at once: {', '.join(names)}."


def accuracy_energy(run: Run) -> Plot:
    """Return accuracy against system energy: means with sd, seeds, bands, and the front; up left is better.

    Parameters
    ----------
    run : Run
        The run.
    """
    data = with_bands(run)
    schemes = list(data["scheme"])
    says = [
        f"{row.scheme}: {row.accuracy_mean * 100:.1f} %, {format_energy(row.system_energy_fJ)}"
        for row in data.itertuples()
    ]
    with drawing():
        figure = new_figure(4.1)
        ax = figure.subplots()
        front = draw_front(ax, data)
        name_axes(ax, data, "bars: 5 to 95 % of the boards; dots: seeds")
        draw_results(ax, data, schemes, says=says)
        for index, scheme in enumerate(schemes):
            _draw_seeds(ax, run, scheme, str(scheme_style(index)["color"]))
        name_schemes(ax, schemes, says)
        figure.legend(loc="outside lower center", ncols=2)
    columns = [*RESULT[:1], "system_energy_fJ", *RESULT[1:4], "kept", *RESULT[5:]]
    data = data[[c for c in columns if c in data]].assign(on_front=front)
    said = unbeaten(data["scheme"][front])
    return Plot("accuracy_energy", "Accuracy against energy", figure, data, said)


def with_bands(run: Run) -> pd.DataFrame:
    """Return `Run.schemes` with the bands of the system's energy beside it, where the run has any."""
    bands = run.bands[run.bands["quantity"] == "system_energy_fJ"].set_index("scheme")
    if bands.empty:
        return run.schemes
    ends = bands.reindex(run.schemes["scheme"])[["p05", "p95"]].add_prefix("system_energy_fJ_")
    return pd.concat([run.schemes, ends.reset_index(drop=True)], axis=1)


def _draw_seeds(ax: Axes, run: Run, scheme: str, colour: str) -> None:
    """Draw the accuracy of each seed as a dot, beside each other about the scheme's energy."""
    facts = run.summary["schemes"][scheme]
    seeds = 100 * np.array(facts.get("accuracies") or [], dtype=float)
    if len(seeds) < 2:
        return
    (low, high), fan = ax.get_xlim(), np.linspace(-_FAN, _FAN, len(seeds))
    middle = facts["system_energy_fJ"]
    beside = middle * (high / low) ** fan if ax.get_xscale() == "log" else middle + fan * (high - low)
    ax.plot(beside, seeds, ls="", marker="o", ms=2.4, mec="none", color=colour, alpha=0.75, zorder=3)
