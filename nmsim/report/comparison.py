"""Tables and figures of a comparison: accuracy over the share kept and over energy, and degradation."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nmsim.report.canvas import PAPER, Plot, drawing, new_figure, scheme_style
from nmsim.units import format_energy, format_si

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
            order = rows["scheme"].map(lambda scheme: scheme != "random").argsort(kind="stable")
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
    return [
        _lines(
            own, "keep_ratio", "accuracy_ratio", "Accuracy over the share kept", "share of images kept (%)"
        ),
        _lines(
            own,
            "system_energy_fJ",
            "accuracy_energy",
            "Accuracy over the energy of selection and training",
            "system energy of selection and training, with 5 to 95 % band",
        ),
    ]


def _lines(table: pd.DataFrame, x: str, name: str, title: str, label: str) -> Plot:
    networks = list(dict.fromkeys(table["network"]))
    table = table.sort_values("keep_ratio", kind="stable")
    schemes = list(dict.fromkeys(table["scheme"]))
    scale = 100.0 if x == "keep_ratio" else 1e-15
    with drawing():
        figure = new_figure(3.6 + 0.16 * len(schemes), 3.9 * max(2, len(networks)))
        axes = figure.subplots(1, len(networks), squeeze=False, sharey=False)[0]
        for ax, network in zip(axes, networks, strict=True):
            for index, scheme in enumerate(schemes):
                rows = table[(table["network"] == network) & (table["scheme"] == scheme)].sort_values(
                    "keep_ratio"
                )
                if rows.empty:
                    continue
                values = rows[x].to_numpy(dtype=float) * scale
                spread = 100 * np.where(rows["seeds"] > 1, rows["accuracy_sd"], 0.0)
                across = None
                if x != "keep_ratio":
                    low, high = (rows[f"{x}_{end}"].to_numpy(dtype=float) * scale for end in ("p05", "p95"))
                    across = np.clip([values - low, high - values], 0, None)
                drawn = ax.errorbar(
                    values,
                    100 * rows["accuracy_mean"],
                    spread,
                    across,
                    lw=1.1,
                    ls="-" if len(rows) > 1 else "",
                    ms=5.5,
                    mec=PAPER,
                    mew=0.4,
                    capsize=2,
                    elinewidth=0.7,
                    label=scheme,
                    **scheme_style(index),
                )
                for bar in (*drawn.lines[1], *drawn.lines[2]):  # bands of many schemes lie over each other
                    bar.set_alpha(0.45)
            ax.set_xscale("log")
            ax.xaxis.set_major_formatter(
                lambda value, _: f"{value:.3g}" if x == "keep_ratio" else format_si(value, "J", 1)
            )
            ax.set_title(network)
            ax.set_xlabel(label, fontsize=8)
            ax.grid()
        axes[0].set_ylabel("test accuracy (%), mean ± sd over seeds")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
    columns = ["network", "scheme", "keep_ratio", "accuracy_mean", "accuracy_sd", "seeds", "system_energy_fJ"]
    columns += ["system_energy_fJ_p05", "system_energy_fJ_p95"]
    return Plot(name, title, figure, table[columns])
