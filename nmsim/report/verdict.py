"""What a run's numbers say, in sentences; every word that judges is computed."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from nmsim.access.phases import TRAINING
from nmsim.data.synthetic import RANDOM_BYTES
from nmsim.energy.layers import LAYERS
from nmsim.report.run import Run
from nmsim.schemes import FULL, PLACES, RANDOM, Scheme
from nmsim.units import format_bytes, format_energy, format_time

#: How two accuracies are told apart: stated in the report beside every comparison that uses it.
RULE = "a difference counts as clear where it is larger than both standard deviations over the seeds together"


def headline(run: Run) -> str:
    """Return what the run's main selection saves of each layer, and what it costs in accuracy."""
    table = run.schemes.set_index("scheme")
    scheme = main_scheme(table.index)
    if scheme is None:
        return "This run trains on everything only; there is nothing to compare."
    if FULL not in table.index:
        return f"{scheme} is not compared with training on everything, for this run has no scheme “full”."
    row, full = table.loc[scheme], table.loc[FULL]
    parts = [_saving(row[f"ratio_{layer}"], title) for layer, title in LAYERS.items()]
    kept = format_share(row["kept"] / full["kept"])
    return (
        f"Against training on everything, {scheme}, which keeps {kept} of the images, takes "
        f"{_listed(parts)}{_accuracy_change(row, full)}."
    )


def findings(run: Run) -> list[str]:
    """Return what else the run shows: against random, near memory against the host, and the break-even."""
    table = run.schemes.set_index("scheme")
    methods: dict[str, list[str]] = {}
    sentences = []
    if run.summary.get("dataset", {}).get("split") == RANDOM_BYTES:
        sentences.append(
            "The images are random bytes: what is selected among them, and learnt from them, means nothing; "
            "what it costs does."
        )
    for scheme in table.index:
        parsed = Scheme.parse(scheme)
        if parsed.is_selection:
            methods.setdefault(parsed.method, []).append(scheme)
    for method, schemes in methods.items():
        if RANDOM in table.index:
            # The side that a method runs on changes its energy, not what it selects: compare the cheapest.
            cheapest = table.loc[schemes, "system_energy_fJ"].idxmin()
            sentences.append(against_random(table, cheapest))
        if {str(Scheme(method).at(place)) for place in PLACES} <= set(schemes):
            sentences.append(_near_against_host(run, table, method))
    scheme = main_scheme(table.index)
    if scheme is not None and FULL in table.index:
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
    return f"less on {format_boards(share)}"


def format_boards(share: float) -> str:
    """Return which share of the drawn boards it is; one that is not all never reads as all, or as none."""
    if share in (0, 1):
        return "all" if share else "none"
    return f"{min(max(share * 100, 0.1), 99.9):.3g} %"


def against_random(table: pd.DataFrame, scheme: str) -> str:
    """Return whether a selection beats a random subset of the same size, random winning included."""
    row, random = table.loc[scheme], table.loc[RANDOM]
    gain = (row["accuracy_mean"] - random["accuracy_mean"]) * 100
    dearer = row["system_energy_fJ"] > random["system_energy_fJ"]
    price = f"{row['system_energy_fJ'] / max(random['system_energy_fJ'], 1):.2f} times random's system energy"
    if pd.isna(gain):
        return f"{scheme} takes {price}; which is more accurate is not known, for nothing was trained."
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


def main_scheme(schemes: Iterable[str]) -> str | None:
    """Return the scheme that the headline is about: near memory before host, a selection before random."""
    chosen = [scheme for scheme in schemes if not Scheme.parse(scheme).is_full]
    return min(chosen, key=lambda scheme: _rank(Scheme.parse(scheme)), default=None)


def _rank(scheme: Scheme) -> int:
    if scheme.near_memory:
        return 0 if scheme.method == "de-sne" else 1
    return 2 if scheme.is_selection else 3


def _near_against_host(run: Run, table: pd.DataFrame, method: str) -> str:
    schemes = [str(Scheme(method).at(place)) for place in ("nmc", "host")]
    near, host = (_selection(run, scheme) for scheme in schemes)
    crossing = [format_bytes(table.loc[scheme, "pcb_bytes_before_training"]) for scheme in schemes]
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
    own = run.phases[(run.phases["scheme"] == scheme) & (run.phases["phase"] != TRAINING)]
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
    if pd.isna(gain):
        return "; nothing was trained, so that no accuracy is known"
    means = " against ".join(format_accuracy(r) for r in (row, full))
    return f", and is {_points(gain)} ({means})"


def _points(gain: float) -> str:
    if abs(gain) < 0.05:
        return "as accurate to 0.1 points"
    return f"{abs(gain):.1f} points {'more' if gain > 0 else 'less'} accurate"


def format_accuracy(row: pd.Series) -> str:
    """Return "89.4 ± 0.6 %", the mean alone from a single seed, or a dash where nothing was trained."""
    if pd.isna(row["accuracy_mean"]):
        return "–"
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
