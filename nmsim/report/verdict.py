"""What a run's numbers say, in sentences; every word that judges is computed."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nmsim.energy.components import COMPONENTS
from nmsim.report.run import LAYERS, Run
from nmsim.units import format_bytes, format_energy, format_time

#: How two accuracies are told apart: stated in the report beside every comparison that uses it.
RULE = "a difference counts as clear where it is larger than both standard deviations over the seeds together"


def headline(run: Run) -> str:
    """Return what the run's main selection saves of each layer, and what it costs in accuracy."""
    table = run.schemes.set_index("scheme")
    scheme = main_scheme(table)
    if scheme is None:
        return "This run trains on everything only; there is nothing to compare."
    if "full" not in table.index:
        return f"{scheme} is not compared with training on everything, for this run has no scheme “full”."
    row, full = table.loc[scheme], table.loc["full"]
    parts = [_saving(row[f"ratio_{layer}"], title) for layer, title in LAYERS.items()]
    kept = format_share(row["kept"] / full["kept"])
    return (
        f"Against training on everything, {scheme}, which keeps {kept} of the images, takes "
        f"{_listed(parts)}, and is {_accuracy_change(row, full)}."
    )


def findings(run: Run) -> list[str]:
    """Return what else the run shows: against random, near memory against the host, and the break-even."""
    table = run.schemes.set_index("scheme")
    methods: dict[str, list[str]] = {}
    for scheme in table.index:
        method = scheme.partition("@")[0]
        if method not in ("full", "random"):
            methods.setdefault(method, []).append(scheme)
    sentences = []
    for method, schemes in methods.items():
        if "random" in table.index:
            # The side that a method runs on changes its energy, not what it selects: compare the cheapest.
            cheapest = table.loc[schemes, "system_energy_fJ"].idxmin()
            sentences.append(against_random(table, cheapest))
        if {f"{method}@nmc", f"{method}@host"} <= set(schemes):
            sentences.append(_near_against_host(run, table, method))
    scheme = main_scheme(table)
    if scheme is not None and "full" in table.index:
        sentences.append(_break_even(table.loc[scheme]))
        sentences += survival(run, scheme)
    return sentences


def survival(run: Run, scheme: str) -> list[str]:
    """Return whether the sign of a scheme's saving survives what is not known about the board."""
    shares = run.summary["schemes"][scheme].get("saves_share")
    uncertainty = run.summary.get("uncertainty")
    if not shares or not uncertainty:
        return []
    bands = run.bands.set_index(["scheme", "quantity"])
    stated = run.schemes.set_index("scheme").loc[scheme]
    parts, outside = [], []
    for layer, title in LAYERS.items():
        if layer not in shares:
            continue
        low, high = bands.loc[(scheme, f"ratio_{layer}")]
        parts.append(f"×{low:.3g} to ×{high:.3g} of full's {title} energy, {_how_many(shares[layer])}")
        if not low <= stated[f"ratio_{layer}"] <= high:
            outside.append(title)
    open_ = [LAYERS[layer] for layer, share in shares.items() if 0 < share < 1]
    end = (
        f"Whether it saves {_listed(open_)} energy depends on values that are not known."
        if open_
        else "No sign depends on what is not known."
    )
    if outside:
        end += (
            f" With the values as stated the ratio of {_listed(outside)} lies outside its band: some of them "
            "stand at an end of their range, as data sheets' maxima do."
        )
    return [
        f"On {uncertainty['samples']:,} boards with every value somewhere in its range, {scheme} takes (5 to "
        f"95 % of them) {'; '.join(parts)}. {end}"
    ]


def _how_many(share: float) -> str:
    """Return on how many of the drawn boards a scheme takes less than `full`."""
    if share in (0, 1):
        return "less on all of them" if share else "more on all of them"
    # A share that is not all never reads as all.
    percent = min(max(share * 100, 0.1), 99.9)
    return f"less on {percent:.3g} %"


def against_random(table: pd.DataFrame, scheme: str) -> str:
    """Return whether a selection beats a random subset of the same size, random winning included."""
    row, random = table.loc[scheme], table.loc["random"]
    gain = (row["accuracy_mean"] - random["accuracy_mean"]) * 100
    dearer = row["system_energy_fJ"] > random["system_energy_fJ"]
    price = f"{row['system_energy_fJ'] / max(random['system_energy_fJ'], 1):.2f} times random's system energy"
    if row["kept"] != random["kept"]:
        return f"{scheme} and random keep different numbers of images and are not compared."
    if min(row["seeds"], random["seeds"]) < 2:
        return (
            f"{scheme} against random: {_points(gain)}, from a single seed: whether that is more than chance "
            f"cannot be said; it takes {price}."
        )
    if abs(gain) <= (row["accuracy_sd"] + random["accuracy_sd"]) * 100:
        verdict = "so random is the better choice here" if dearer else "so it is the cheaper choice here"
        return (
            f"No clear difference in accuracy between {scheme} and random ({gain:+.1f} points, within the "
            f"spread over the seeds); {scheme} takes {price}, {verdict}."
        )
    if gain > 0:
        cost = "at the price of" if dearer else "and takes only"
        return f"{scheme} beats random by {gain:.1f} points of accuracy, {cost} {price}."
    end = "and is cheaper too" if dearer else f"though {scheme} takes {price}"
    return f"Random wins: it is {-gain:.1f} points more accurate than {scheme}, {end}."


def main_scheme(table: pd.DataFrame) -> str | None:
    """Return the scheme that the headline is about: near memory before host, a selection before random."""
    schemes = [s for s in table.index if s != "full"]
    rank = {"de-sne@nmc": 0, "random": 3, "random@host": 3}
    ordered = sorted(schemes, key=lambda s: rank.get(s, 1 if s.endswith("@nmc") else 2))
    return ordered[0] if ordered else None


def figure_sentences(
    run: Run, selection: dict[str, np.ndarray] | None, bank_spread: float | None
) -> dict[str, str]:
    """Return a sentence for each figure, by the figure's name.

    Parameters
    ----------
    run : Run
        The run.
    selection : dict or None
        `Run.selection()`.
    bank_spread : float or None
        Accesses of the busiest bank over its mean bank's, the largest of all rows; None without a trace.
    """
    table = run.schemes.set_index("scheme")
    scheme = main_scheme(table) or table.index[0]
    sentences = {
        "energy_breakdown": _largest_component(run, scheme),
        "layers": "“Dataset DDR” is what reading the images takes, “all DDR” adds every other access, "
        "standby and refresh, “whole system” adds the SoC and the near-memory units. "
        + _layer_trend(table.loc[scheme], scheme),
        "phases": _phase_share(run, scheme),
        "accuracy_energy": _best_at_least_energy(table),
    }
    decisive = _most_decisive(run, scheme)
    if decisive:
        sentences["tornado"] = decisive
    if selection is not None:
        sentences["selection_map"] = _quotas(selection)
    if bank_spread is not None:
        sentences["banks"] = f"The busiest bank has {bank_spread:.2f} times the accesses of the mean bank."
    return sentences


def _most_decisive(run: Run, scheme: str) -> str:
    """Return which value moves each layer's ratio to `full` most when it alone goes through its range."""
    layers = (run.summary.get("uncertainty") or {}).get("tornado", {}).get(scheme) or {}
    parts = [
        f"{LAYERS[layer]}: {bars[0]['factor']} (×{min(ends):.3g} to ×{max(ends):.3g})"
        for layer, bars in layers.items()
        if bars and (ends := (bars[0]["at_low"], bars[0]["at_high"]))
    ]
    return f"What moves the ratio of {scheme} most by itself: {'; '.join(parts)}." if parts else ""


def _largest_component(run: Run, scheme: str) -> str:
    own = run.energy[run.energy["scheme"] == scheme].groupby("component")["energy_fJ"].sum()
    if own.sum() == 0:
        return f"{scheme} takes no energy."
    name = str(own.idxmax())
    share = format_share(own.max() / own.sum())
    return (
        f"The largest single component of {scheme} is {COMPONENTS[name][0]}: {share} of "
        f"{format_energy(own.sum())}."
    )


def _layer_trend(row: pd.Series, scheme: str) -> str:
    ratios = {title: row[f"ratio_{layer}"] for layer, title in LAYERS.items()}
    if any(pd.isna(value) for value in ratios.values()):
        return ""
    best, worst = min(ratios, key=ratios.get), max(ratios, key=ratios.get)
    return (
        f"{scheme} takes ×{ratios[best]:.3g} of what full takes in {best}, its best of the three, and "
        f"×{ratios[worst]:.3g} in {worst}, its worst."
    )


def _phase_share(run: Run, scheme: str) -> str:
    own = run.phases[run.phases["scheme"] == scheme].set_index("phase")
    if not own["energy_fJ"].sum() or not own["time_ps"].sum():
        return f"{scheme} has no phases that take energy."
    training = own[own.index == "training"]
    energy = format_share(training["energy_fJ"].sum() / own["energy_fJ"].sum())
    time = format_share(training["time_ps"].sum() / own["time_ps"].sum())
    return f"Training takes {energy} of the energy and {time} of the time of {scheme}."


def _best_at_least_energy(table: pd.DataFrame) -> str:
    """Return which schemes no other scheme beats in both accuracy and energy."""
    front = [
        name
        for name, row in table.iterrows()
        if not (
            (table["accuracy_mean"] >= row["accuracy_mean"])
            & (table["system_energy_fJ"] <= row["system_energy_fJ"])
            & (
                (table["accuracy_mean"] > row["accuracy_mean"])
                | (table["system_energy_fJ"] < row["system_energy_fJ"])
            )
        ).any()
    ]
    return f"By their means, these are not beaten in accuracy and energy at once: {', '.join(front)}."


def _quotas(selection: dict[str, np.ndarray]) -> str:
    classes, sizes = np.unique(selection["labels"], return_counts=True)
    chosen = selection["labels"][selection["selected"]]
    shares = np.array([(chosen == label).sum() for label in classes]) / sizes
    return (
        f"Each panel is one class in the map that the selection was made in; {format_share(shares.min())} "
        f"(least) to {format_share(shares.max())} (most) of a class are selected."
    )


def _near_against_host(run: Run, table: pd.DataFrame, method: str) -> str:
    near, host = (_selection(run, f"{method}@{side}") for side in ("nmc", "host"))
    crossing = [
        format_bytes(table.loc[f"{method}@{side}", "pcb_bytes_before_training"]) for side in ("nmc", "host")
    ]
    ratio = (
        "" if not host["energy_fJ"] else f" (×{near['energy_fJ'] / host['energy_fJ']:.3g} the host's energy)"
    )
    return (
        f"The selection of {method} takes {format_energy(near['energy_fJ'])} and "
        f"{format_time(near['time_ps'])} near memory{ratio}, {format_energy(host['energy_fJ'])} and "
        f"{format_time(host['time_ps'])} on the host; "
        f"before training, {crossing[0]} cross the board near memory and {crossing[1]} from the host."
    )


def _selection(run: Run, scheme: str) -> pd.Series:
    own = run.phases[(run.phases["scheme"] == scheme) & (run.phases["phase"] != "training")]
    return own[["energy_fJ", "time_ps"]].sum()


def _break_even(row: pd.Series) -> str:
    parts = []
    for layer, title in LAYERS.items():
        epochs = row[f"break_even_{layer}_epochs"]
        parts.append(f"{'never' if pd.isna(epochs) else f'{epochs:.1f}'} ({title})")
    return (
        f"If both train equally many epochs, {row.name} costs less than training on everything from this "
        f"many on: {_listed(parts)}."
    )


def _saving(ratio: float, title: str) -> str:
    if pd.isna(ratio):
        return f"an unknown part of the {title} energy"
    if ratio <= 1:
        return f"{format_share(1 - ratio)} less {title} energy"
    return f"{format_share(ratio - 1)} more {title} energy"


def _accuracy_change(row: pd.Series, full: pd.Series) -> str:
    gain = (row["accuracy_mean"] - full["accuracy_mean"]) * 100
    means = " against ".join(format_accuracy(r) for r in (row, full))
    return f"{_points(gain)} ({means})"


def _points(gain: float) -> str:
    if abs(gain) < 0.05:
        return "as accurate to 0.1 points"
    return f"{abs(gain):.1f} points {'more' if gain > 0 else 'less'} accurate"


def format_accuracy(row: pd.Series) -> str:
    """Return "89.4 ± 0.6 %", or the mean alone from a single seed."""
    if row["seeds"] < 2:
        return f"{row['accuracy_mean'] * 100:.1f} %"
    return f"{row['accuracy_mean'] * 100:.1f} ± {row['accuracy_sd'] * 100:.1f} %"


def format_share(share: float) -> str:
    """Return a share of 1 as a percentage for people: "12.5 %"."""
    percent = share * 100
    return (
        f"{percent:.2g} %" if percent < 1 else f"{percent:.1f} %" if percent < 1000 else f"{percent:,.0f} %"
    )


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
