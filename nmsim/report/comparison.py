"""Tables and figures of a comparison: accuracy over the share kept and over energy, and degradation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nmsim.report.accuracy import RESULT, draw_front, draw_results, name_axes, name_schemes
from nmsim.report.axes import logarithmic
from nmsim.report.canvas import Plot, drawing, new_figure, scheme_line, scheme_style
from nmsim.schemes import RANDOM
from nmsim.units import format_energy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Column -> meaning.
COLUMNS = {
    "scheme": "as in a configuration",
    "network": "that was trained on the selection",
    "selected_with": "network that selected; empty where the method has none",
    "keep_ratio": "share of the images that is kept; 1 for full",
    "kept": "images",
    "seeds": "trainings",
    "accuracy_mean": "test accuracy, share of 1",
    "accuracy_sd": "its standard deviation over the seeds",
    "gain": "difference to random, mean over the seeds",
    "gain_ci95": "half width of its 95 % confidence interval (paired t)",
    "p_value": "of the paired t test against random, two-sided",
    "ddr_energy_fJ": "of selection and training",
    "ddr_energy_fJ_p05": "lower end of its band",
    "ddr_energy_fJ_p95": "upper end of its band",
    "system_energy_fJ": "of selection and training",
    "system_energy_fJ_p05": "lower end of its band",
    "system_energy_fJ_p95": "upper end of its band",
}


def markdown(table: pd.DataFrame) -> str:
    """Return the whole comparison as tables in Markdown, random first in each, nothing left out."""
    parts = []
    for network, of_network in table.groupby("network", sort=False):
        parts.append(f"### Trained: {network}\n")
        head = ["kept", "scheme", "accuracy", "against random", "p", "system energy"]
        parts.append("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
        for ratio, rows in of_network.groupby("keep_ratio", sort=True):
            order = rows["scheme"].map(lambda scheme: scheme != RANDOM).argsort(kind="stable")
            for _, row in rows.iloc[order].iterrows():
                parts.append("| " + " | ".join(_cells(row, float(ratio))) + " |")
        parts.append("")
    worse = degradation(table)
    if len(worse):
        parts.append("### Selected with one network, trained with another\n")
        parts.append(
            "| scheme | kept | selected with | loss against selecting with the one that is trained |"
        )
        parts.append("|---|---|---|---|")
        parts += [
            f"| {row.scheme} | {row.keep_ratio:.3g} | {row.selected_with} | {100 * row.loss:+.2f} points |"
            for row in worse.itertuples()
        ]
        parts.append("")
    return "\n".join(parts)


def _cells(row: pd.Series, ratio: float) -> list[str]:
    scheme = row["scheme"] + (f" ({row['selected_with']})" if row["selected_with"] else "")
    accuracy = f"{100 * row['accuracy_mean']:.2f}"
    accuracy += f" ± {100 * row['accuracy_sd']:.2f}" if row["seeds"] > 1 else ""
    gain = "–" if pd.isna(row["gain"]) else f"{100 * row['gain']:+.2f}"
    gain += "" if pd.isna(row["gain_ci95"]) else f" ± {100 * row['gain_ci95']:.2f}"
    p = "–" if pd.isna(row["p_value"]) else "< 0.001" if row["p_value"] < 1e-3 else f"{row['p_value']:.3f}"
    ends = (format_energy(row[f"system_energy_fJ_{end}"]) for end in ("p05", "p95"))
    energy = f"{format_energy(row['system_energy_fJ'])} ({' to '.join(ends)})"
    return [f"{100 * ratio:.3g} %", f"`{scheme}`", accuracy, gain, p, energy]


def degradation(table: pd.DataFrame) -> pd.DataFrame:
    """Return what is lost where another network selected than is trained.

    Columns scheme, keep_ratio, selected_with, loss (share of 1, mean over the trained networks). Methods that
    select without a network have no such loss, and no row.
    """
    chosen = table[table["selected_with"] != ""]
    same = chosen[chosen["selected_with"] == chosen["network"]]
    keys = ["scheme", "keep_ratio", "network"]
    best = same.set_index(keys)["accuracy_mean"]
    other = chosen[chosen["selected_with"] != chosen["network"]].copy()
    if other.empty:
        return pd.DataFrame(columns=["scheme", "keep_ratio", "selected_with", "loss"])
    other["loss"] = best.loc[list(map(tuple, other[keys].to_numpy()))].to_numpy() - other["accuracy_mean"]
    grouped = other.groupby(["scheme", "keep_ratio", "selected_with"], sort=False)["loss"].mean()
    return grouped.reset_index()


def figures(table: pd.DataFrame) -> list[Plot]:
    """Return accuracy over the share kept, and accuracy over system energy, a panel for each network."""
    own = table[(table["selected_with"] == "") | (table["selected_with"] == table["network"])]
    # Colours in the order in which schemes were asked for, `full` first.
    schemes = list(dict.fromkeys(own["scheme"]))
    own = own.sort_values("keep_ratio", kind="stable").reset_index(drop=True)
    return [_over_share(own, schemes), _over_energy(own, schemes)]


def _over_share(table: pd.DataFrame, schemes: Sequence[str]) -> Plot:
    with drawing():
        figure, panels = _panels(table, schemes)
        for ax, rows in panels:
            for index, scheme in enumerate(schemes):
                own = rows[rows["scheme"] == scheme]
                spread = 100 * np.where(own["seeds"] > 1, own["accuracy_sd"].fillna(0), 0.0)
                look = {"ls": scheme_line(index), "lw": 1.1, "ms": 5.5, **scheme_style(index)}
                share, reached = 100 * own["keep_ratio"], 100 * own["accuracy_mean"]
                drawn = ax.errorbar(share, reached, spread, capsize=2, elinewidth=0.7, **look)
                for bar in (*drawn.lines[1], *drawn.lines[2]):  # those of many schemes lie over each other
                    bar.set_alpha(0.45)
            logarithmic(ax, 100 * rows["keep_ratio"], "{:g} %".format)
            ax.set_xlabel("share of the images that is kept, logarithmic")
            ax.set_ylabel("test accuracy (%), mean ± sd over seeds")
            ax.grid()
        figure.legend(loc="outside lower center", ncols=3)
    columns = ["network", "scheme", "keep_ratio", "accuracy_mean", "accuracy_sd", "seeds", "gain"]
    data = table[[c for c in columns if c in table]]
    return Plot("accuracy_ratio", "Accuracy over the share kept", figure, data, _gains(table))


def _over_energy(table: pd.DataFrame, schemes: Sequence[str]) -> Plot:
    fronts = pd.Series(False, index=table.index)
    said: list[str] = []
    with drawing():
        figure, panels = _panels(table, schemes)
        for ax, rows in panels:
            front = draw_front(ax, rows, None if said else "beaten by none")
            fronts[rows.index] = front
            name_axes(ax, rows)
            names = [f"{row.scheme}, {100 * row.keep_ratio:.3g} % kept" for row in rows.itertuples()]
            draw_results(ax, rows, schemes, says=names, joined=True)
            best = dict.fromkeys(rows["scheme"][front])
            said.append(f"{rows['network'].iloc[0]}: {', '.join(best)}")
        figure.legend(loc="outside lower center", ncols=3)
    title = "Accuracy over the energy of selection and training"
    sentence = f"By their means, shares of these are not beaten in both at once: {'; '.join(said)}."
    data = table[["network", "keep_ratio", *RESULT]].assign(on_front=fronts)
    return Plot("accuracy_energy", title, figure, data, sentence)


def _panels(table: pd.DataFrame, schemes: Sequence[str]) -> tuple[Figure, list[tuple[Axes, pd.DataFrame]]]:
    """Return a figure with a panel for each network, and the rows of each; the first names the schemes."""
    networks = list(dict.fromkeys(table["network"]))
    figure = new_figure(3.9 + 0.06 * len(schemes), max(7.4, 3.9 * len(networks)))
    panels = figure.subplots(1, len(networks), squeeze=False)[0]
    for ax, network in zip(panels, networks, strict=True):
        ax.set_title(network)
    name_schemes(panels[0], schemes)
    return figure, [(ax, table[table["network"] == n]) for ax, n in zip(panels, networks, strict=True)]


def _gains(table: pd.DataFrame) -> str:
    """Return how many selections are better than chance, and which by most."""
    known = table[table["gain"].notna()] if "gain" in table else table[:0]
    if known.empty:
        return ""
    sure = known[known["gain"] > known["gain_ci95"]]
    said = f"{len(sure)} of {len(known)} selections are better than random by more than the seeds leave open"
    best = known.loc[known["gain"].idxmax()]
    gained = f"{100 * best['gain']:+.2f} points with {100 * best['keep_ratio']:.3g} % kept"
    return f"{said}; {best['scheme']} gains most, {gained}."
