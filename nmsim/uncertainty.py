"""What a run's energies, ratios and times would be on other boards that could be this one as well.

What a board did is counts, and energies are counts times prices (`nmsim.energy.ledger`): for a thousand
boards with other values within their ranges, the same formulas give a thousand price lists at once, and no
board is simulated again. Where a value changes how fast something is, the time of each phase follows from
what set its pace (`nmsim.system.pace`), and with it what grows with time: background, refreshes, leakage and
static power.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nmsim.access.phases import TRAINING
from nmsim.break_even import break_even
from nmsim.config.schema import RunConfig
from nmsim.config.variation import Factor, drawn, factors, latin_hypercube, one_at_a_time
from nmsim.dram.commands import BACKGROUND_STATES
from nmsim.energy.components import COMPONENTS
from nmsim.energy.layers import DATASET_ARRAYS, IS_DDR, LAYERS
from nmsim.energy.prices import PriceList
from nmsim.schemes import FULL
from nmsim.system.course import Course
from nmsim.system.pace import Speeds
from nmsim.system.parts import dram_spec

#: The ends of the band that is stated beside each value, in percent of the samples.
BAND = {"p05": 5.0, "p95": 95.0}

#: Factors that a tornado shows.
TORNADO_BARS = 12

_GROW_WITH_TIME = {"STATIC", "LEAKAGE", "REFab", "REFpb", *BACKGROUND_STATES}


class Variants:
    """Prices and speeds of many boards, one for each row of `shares`.

    Parameters
    ----------
    config : RunConfig
        The board as it is stated.
    unknown : sequence of Factor
        What is not known exactly.
    shares : ndarray of float64, shape (samples, factors)
        How far each factor has gone through its range; NaN where it keeps its stated value.
    """

    def __init__(self, config: RunConfig, unknown: Sequence[Factor], shares: np.ndarray):
        other = drawn(config, unknown, shares)
        self.samples = len(shares)
        self.prices: PriceList = PriceList(other, dram_spec(config.memory))
        stated, now = Speeds.on(config).of, Speeds.on(other).of
        self.slower = {name: stated[name] / now[name] for name in stated}


@dataclass(frozen=True)
class Outcome:
    """What one scheme takes on many boards; arrays end with shape (samples,).

    Attributes
    ----------
    phases : tuple of str
    energy_fJ : ndarray, shape (phases, components, samples)
    dataset_fJ : ndarray, shape (phases, samples)
        Of it, what moving the data set's own arrays takes.
    time_ps : ndarray, shape (phases, samples)
    epochs : int
        Of the training.
    reselect_every : int or None
        Epochs between two selections, where there are several.
    """

    phases: tuple[str, ...]
    energy_fJ: np.ndarray
    dataset_fJ: np.ndarray
    time_ps: np.ndarray
    epochs: int
    reselect_every: int | None

    def layers(self, training_only: bool = False) -> dict[str, np.ndarray]:
        """Return the three energies, shape (samples,), of everything or of the training alone."""
        of = [i for i, phase in enumerate(self.phases) if phase == TRAINING or not training_only]
        energy = self.energy_fJ[of].sum(axis=0)
        three = (self.dataset_fJ[of].sum(axis=0), energy[IS_DDR].sum(axis=0), energy.sum(axis=0))
        return dict(zip(LAYERS, three, strict=True))


def outcome(course: Course, epochs: int, variants: Variants, reselect_every: int | None = None) -> Outcome:
    """Return what a course takes in each of the variants of its board."""
    samples = variants.samples
    index = {phase: i for i, phase in enumerate(course.phases)}
    time_ps = np.empty((len(index), samples))
    for phase, (_, duration_ps) in course.phases.items():
        time_ps[index[phase]] = np.maximum(0.0, duration_ps + course.pace.extra_ps(phase, variants.slower))
    stated_ps = np.array([max(1, duration) for _, duration in course.phases.values()])
    longer = time_ps / stated_ps[:, None]
    energy = np.zeros((len(index), len(COMPONENTS), samples))
    dataset = np.zeros((len(index), samples))
    for (phase, source, array, name), count in course.ledger.counts().items():
        price = variants.prices.of(name, source)
        taken = price.reshape(len(COMPONENTS), -1) * float(count)
        if name in _GROW_WITH_TIME:
            taken = taken * longer[index[phase]]
        energy[index[phase]] += taken
        if array in DATASET_ARRAYS:
            dataset[index[phase]] += taken[IS_DDR].sum(axis=0)
    return Outcome(tuple(index), energy, dataset, time_ps, epochs, reselect_every)


def bands(
    config: RunConfig, courses: Mapping[str, Course], epochs: Mapping[str, tuple[int, int | None]]
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Return the bands of every energy, time and ratio of each scheme, and what decides on the ratios.

    Parameters
    ----------
    config : RunConfig
        `simulation.samples` says how many boards are drawn, `seed` which.
    courses : mapping of str to Course
        Scheme -> what it did.
    epochs : mapping of str to (int, int or None)
        Scheme -> training epochs, and those between two selections where there are several.

    Returns
    -------
    schemes : dict
        Scheme -> keys of the summary that end with `_p05` and `_p95`, and `saves_share`: the share of the
        boards on which the scheme takes less than `full`, by layer.
    uncertainty : dict
        How it was done, and the tornado: scheme -> layer -> the factors that move the ratio to `full` most
        when they go through their range alone, each with the ratio at its low and its high end.
    """
    unknown = factors(config)
    points = latin_hypercube(config.simulation.samples, len(unknown), config.seed)
    many = Variants(config, unknown, points)

    def outcomes(variants: Variants) -> dict[str, Outcome]:
        return {s: outcome(course, epochs[s][0], variants, epochs[s][1]) for s, course in courses.items()}

    drawn_of = outcomes(many)
    found = {scheme: _scheme_bands(scheme, drawn_of) for scheme in courses}
    single = Variants(config, unknown, one_at_a_time(len(unknown)))
    single_of = outcomes(single)
    tornado = {
        scheme: {layer: _tornado(unknown, ratio) for layer, ratio in _ratios(scheme, single_of).items()}
        for scheme in courses
        if scheme != FULL and FULL in courses
    }
    return found, {
        "samples": len(points),
        "seed": config.seed,
        "factors": [factor.name for factor in unknown],
        "band_percent": list(BAND.values()),
        "tornado": tornado,
    }


def _scheme_bands(scheme: str, outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    own = outcomes[scheme]
    components = own.energy_fJ.sum(axis=0)
    values: dict[str, Any] = {
        "energy_fJ": {**dict(zip(COMPONENTS, components, strict=True)), "total": components.sum(axis=0)},
        **{f"{layer}_fJ": energy for layer, energy in own.layers().items()},
        "time_ps": own.time_ps.sum(axis=0),
        "ratio_to_full": _ratios(scheme, outcomes) or None,
        "break_even_epochs": _break_even(scheme, outcomes) or None,
    }
    found = _ends(values)
    shares = {layer: float((ratio < 1).mean()) for layer, ratio in _ratios(scheme, outcomes).items()}
    found["saves_share"] = shares or None
    found["phases"] = {
        phase: _ends({"time_ps": own.time_ps[i], "energy_fJ": own.energy_fJ[i].sum(axis=0)})
        for i, phase in enumerate(own.phases)
    }
    return found


def _ends(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ends of the band of each value: energies and times in whole fJ and ps."""

    def percentile(value: Any, percent: float, exact: bool) -> Any:
        if isinstance(value, dict):
            return {key: percentile(inner, percent, exact) for key, inner in value.items()}
        if value is None:
            return None
        found = float(np.percentile(value, percent, method="nearest"))
        return None if not np.isfinite(found) else round(found) if exact else found

    return {
        f"{key}_{end}": percentile(value, percent, key.endswith(("_fJ", "_ps")))
        for key, value in values.items()
        for end, percent in BAND.items()
    }


def _ratios(scheme: str, outcomes: Mapping[str, Outcome]) -> dict[str, np.ndarray]:
    """Return the ratio to `full` on each board, by layer, where there is a `full` that takes any energy."""
    if FULL not in outcomes:
        return {}
    mine, full = outcomes[scheme].layers(), outcomes[FULL].layers()
    return {layer: mine[layer] / full[layer] for layer in LAYERS if (full[layer] > 0).all()}


def _break_even(scheme: str, outcomes: Mapping[str, Outcome]) -> dict[str, np.ndarray]:
    """Return the epochs from which the scheme costs less than `full` on each board; infinite where never."""
    if scheme == FULL or FULL not in outcomes:
        return {}
    own, full = outcomes[scheme], outcomes[FULL]
    epoch, full_epoch, whole = own.layers(True), full.layers(True), own.layers()
    found = {}
    for layer in LAYERS:
        saved = full_epoch[layer] / full.epochs - epoch[layer] / own.epochs
        before = whole[layer] - epoch[layer]
        found[layer] = break_even(before, saved, own.epochs, own.reselect_every)
    return found


def _tornado(unknown: Sequence[Factor], ratio: np.ndarray) -> list[dict[str, Any]]:
    low, high = ratio[0::2], ratio[1::2]
    order = np.argsort(-np.abs(np.log(high / low)), kind="stable")[:TORNADO_BARS]
    return [
        {"factor": unknown[i].name, "at_low": float(low[i]), "at_high": float(high[i])}
        for i in order
        if low[i] != high[i]
    ]
