"""What a run came to: the numbers of `summary.json` and `energy.csv`, from ledgers and trainings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nmsim.access.phases import TRAINING
from nmsim.break_even import break_even
from nmsim.config import RunConfig, config_hash
from nmsim.config.schema import quantities
from nmsim.data import Dataset
from nmsim.dram.commands import BACKGROUND_STATES
from nmsim.energy.components import COMPONENTS
from nmsim.energy.layers import LAYERS, in_layers
from nmsim.energy.placement import PLACEMENTS
from nmsim.energy.priced import priced
from nmsim.energy.prices import PriceList
from nmsim.energy.rails import rail_shares
from nmsim.energy.values import Number
from nmsim.errors import NmsimError
from nmsim.learning import Learnt
from nmsim.schemes import FULL
from nmsim.system.course import Counts, Course
from nmsim.system.parts import dram_spec
from nmsim.system.peaks import arithmetic, peaks
from nmsim.system.unit_facts import unit_facts
from nmsim.trace.schema import COMPONENT_COLUMNS
from nmsim.trace.writer import TraceWriter
from nmsim.uncertainty import bands

_DEVICE = np.array([side == "dram" for _, side in COMPONENTS.values()])


@dataclass(frozen=True, eq=False)
class SchemeResult:
    """What one scheme came to.

    Attributes
    ----------
    learnt : Learnt
        What it selected and learnt.
    course : Course
        What it did on the board.
    priced : DataFrame
        Its ledger with energies; see `nmsim.energy.priced.priced`.
    """

    learnt: Learnt
    course: Course
    priced: pd.DataFrame

    @classmethod
    def of(cls, learnt: Learnt, course: Course, prices: PriceList) -> SchemeResult:
        """Return the result whose course is paid at these prices."""
        return cls(learnt, course, priced(course.ledger, prices))

    @property
    def scheme(self) -> str:
        """Return its name."""
        return self.course.scheme


def energy_table(results: Sequence[SchemeResult]) -> pd.DataFrame:
    """Return scheme, phase, component and energy_fJ: one row for each that is not 0."""
    tables = []
    for result in results:
        sums = result.priced.groupby("phase", sort=False)[COMPONENT_COLUMNS].sum()
        long = sums.rename(columns=lambda c: c.removesuffix("_fJ")).stack().rename("energy_fJ").reset_index()
        long.columns = ["phase", "component", "energy_fJ"]
        long.insert(0, "scheme", result.scheme)
        tables.append(long[long["energy_fJ"] != 0])
    return pd.concat(tables, ignore_index=True)


def summarise(
    config: RunConfig,
    dataset: Dataset,
    results: Sequence[SchemeResult],
    prices: PriceList,
    writer: TraceWriter | None,
) -> dict[str, Any]:
    """Return the content of `summary.json`.

    Parameters
    ----------
    config : RunConfig
    dataset : Dataset
    results : sequence of SchemeResult
        In the order of the configuration's schemes.
    prices : PriceList
        Those of the results.
    writer : TraceWriter or None
        That of their trace, if there is one.

    Raises
    ------
    NmsimError
        Where the trace's energies do not sum to the ledger's: that would be a defect of nmsim.
    """
    schemes = _schemes(config, results, prices)
    uncertainty = _add_bands(config, results, schemes)
    _check_conservation(schemes, writer)
    return {
        "name": config.name,
        "hash": config_hash(config),
        "seed": config.seed,
        "keep_ratio": config.selection.keep_ratio,
        "dataset": {
            "name": dataset.name,
            "n_train": len(dataset.y_train),
            "n_test": len(dataset.y_test),
            "shape": list(dataset.X_train.shape[1:]),
            "classes": len(dataset.class_names),
            "split": dataset.split,
            "sha256": dataset.sha256,
        },
        **_board(config, prices),
        "training": config.training.model_dump(include={"network", "backend", "epochs", "batch_size"}),
        "trace": {
            "level": config.trace.level,
            "rows": 0 if writer is None else writer.rows,
            "rows_per_phase": config.trace.rows_per_phase,
        },
        "uncertainty": uncertainty,
        "assumed": [path for path, quantity in quantities(config).items() if quantity.assumed],
        "schemes": schemes,
    }


def _board(config: RunConfig, prices: PriceList) -> dict[str, Any]:
    """Return what the board is, and what its two sides could do at most."""
    spec, near = dram_spec(config.memory), config.near_memory
    channels = spec.organization.channels
    return {
        "board": {
            "memory": config.memory.standard,
            "channels": channels,
            "placement": near.placement,
            "data_placement": near.data_placement,
            "units": PLACEMENTS[near.placement].count(spec.organization).total * channels,
            "link_length_mm": config.link.length.value,
        },
        "near_memory": unit_facts(config, spec, prices),
        "peaks": peaks(config, spec),
    }


def _schemes(config: RunConfig, results: Sequence[SchemeResult], prices: PriceList) -> dict[str, Any]:
    """Return the facts of each scheme, and how they compare with those of `full`."""
    spec = dram_spec(config.memory)
    shares = rail_shares(spec, config.memory.refresh_background)
    schemes = {
        result.scheme: _scheme(result, prices) | _inside_the_dram(result.course, prices, shares, spec.rails)
        for result in results
    }
    training = {r.scheme: _layers(r.priced[r.priced["phase"] == TRAINING]) for r in results}
    for scheme, facts in schemes.items():
        facts |= _against_full(scheme, schemes, training)
    return schemes


def _add_bands(config: RunConfig, results: Sequence[SchemeResult], schemes: dict[str, Any]) -> dict[str, Any]:
    """Put the band of every value beside it; return what decides on the bands."""
    courses = {result.scheme: result.course for result in results}
    epochs = {scheme: (facts["epochs"], facts["reselect_every"]) for scheme, facts in schemes.items()}
    band, uncertainty = bands(config, courses, epochs)
    for scheme, facts in schemes.items():
        for phase, ends in band[scheme].pop("phases").items():
            facts["phases"][phase] |= ends
        facts |= band[scheme]
    return uncertainty


def _scheme(result: SchemeResult, prices: PriceList) -> dict[str, Any]:
    course, learnt, frame = result.course, result.learnt, result.priced
    energies = {name: int(frame[f"{name}_fJ"].sum()) for name in COMPONENTS}
    accuracies = learnt.accuracies
    before = [phase for phase in course.phases if phase != TRAINING]
    by_phase = frame.groupby("phase")["energy_fJ"].sum()
    epochs = course.epoch_energies_fJ(prices)
    counts = course.ledger.counts()
    pcb_bytes = {phase: course.ledger.bytes_of("host", [phase]) for phase in course.phases}
    layers = _layers(frame)
    return {
        "accuracy_mean": float(np.mean(accuracies)) if accuracies else None,
        "accuracy_sd": float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else 0.0,
        "accuracies": accuracies,
        "seeds": learnt.seeds,
        "kept": len(learnt.rows),
        "epochs": len(learnt.epoch_orders),
        "reselect_every": None if learnt.selector is None else learnt.selector.reselect_every,
        "energy_fJ": {**energies, "total": sum(energies.values())},
        **{f"{layer}_fJ": layers[layer] for layer in LAYERS},
        "time_ps": sum(duration for _, duration in course.phases.values()),
        "pcb_bytes": sum(pcb_bytes.values()),
        "pcb_bytes_before_training": sum(pcb_bytes[phase] for phase in before),
        "phases": {
            phase: {
                "time_ps": duration,
                "energy_fJ": int(by_phase.get(phase, 0)),
                "pcb_bytes": pcb_bytes[phase],
                "work": _work(course, counts, phase),
            }
            for phase, (_, duration) in course.phases.items()
        },
        "row_hits": course.outcomes["hit"],
        "row_misses": course.outcomes["miss"],
        "row_conflicts": course.outcomes["conflict"],
        "accesses": course.accesses,
        "simulated_share": course.simulated_accesses / course.accesses if course.accesses else 1.0,
        "energy_per_epoch_fJ": {
            "first": epochs[0],
            "min": min(epochs),
            "max": max(epochs),
            "simulated": len(epochs),
            "of": len(learnt.epoch_orders),
        },
    }


def _work(course: Course, counts: Counts, phase: str) -> dict[str, dict[str, int]]:
    """Return the arithmetic operations of a phase and the bytes that it moved, by who did it."""
    work = arithmetic(counts, phase)
    return {
        side: operations | {"bytes": course.ledger.bytes_of(side, [phase])}
        for side, operations in work.items()
    }


def _inside_the_dram(
    course: Course, prices: PriceList, shares: Mapping[str, Mapping[str, Number]], rail_names: Iterable[str]
) -> dict[str, dict[str, int]]:
    """Return what the DRAM devices took by supply rail, standby by state, and refreshes by command.

    The exchange between near-memory units, which takes the on-die buses too, is not given to a rail.
    """
    rails: dict[str, Any] = dict.fromkeys(rail_names, 0.0)
    states: dict[str, int] = {}
    refreshes: dict[str, int] = {}
    for (_, source, _, name), count in course.ledger.counts().items():
        if name not in shares:
            continue
        price = prices.of(name, source)
        for rail, share in shares[name].items():
            rails[rail] += share * float(price[_DEVICE].sum()) * count
        taken = round(float(price.sum()) * count)
        if name in BACKGROUND_STATES:
            states[name] = states.get(name, 0) + taken
        elif name in ("REFab", "REFpb"):
            refreshes[name] = refreshes.get(name, 0) + taken
    rounded = {rail: round(energy) for rail, energy in rails.items()}
    return {"dram_rails_fJ": rounded, "background_states_fJ": states, "refresh_commands_fJ": refreshes}


def _layers(frame: pd.DataFrame) -> dict[str, int]:
    return {layer: int(energy) for layer, energy in in_layers(frame).sum().items()}


def _against_full(
    scheme: str, schemes: dict[str, Any], training: dict[str, dict[str, int]]
) -> dict[str, Any]:
    """Return the ratios to `full`, and the epochs from which the scheme costs less than it."""
    if FULL not in schemes:
        return {"ratio_to_full": None, "break_even_epochs": None}
    own, full = schemes[scheme], schemes[FULL]
    ratios, epochs = {}, {}
    for layer in LAYERS:
        mine, whole = own[f"{layer}_fJ"], full[f"{layer}_fJ"]
        ratios[layer] = mine / whole if whole else None
        epoch, full_epoch = (training[s][layer] / schemes[s]["epochs"] for s in (scheme, FULL))
        before = mine - training[scheme][layer]
        found = float(break_even(before, full_epoch - epoch, own["epochs"], own["reselect_every"]))
        epochs[layer] = found if np.isfinite(found) else None
    return {"ratio_to_full": ratios, "break_even_epochs": None if scheme == FULL else epochs}


def _check_conservation(schemes: dict[str, Any], writer: TraceWriter | None) -> None:
    """Hold accesses, components and phases of each scheme to one total, with difference 0."""
    for scheme, facts in schemes.items():
        components, phases = facts["energy_fJ"], facts["phases"]
        total = components["total"]
        sums = {
            "whole system": facts["system_energy_fJ"],
            "components": sum(energy for name, energy in components.items() if name != "total"),
            "phases": sum(phase["energy_fJ"] for phase in phases.values()),
        }
        stated = dict.fromkeys(sums, total)
        if writer is not None:
            accesses, of_phases = writer.energy_fJ.get(scheme, {}), writer.phase_energy_fJ.get(scheme, {})
            sums |= {f"accesses, {name}": accesses.get(name, 0) for name in components}
            stated |= {f"accesses, {name}": energy for name, energy in components.items()}
            sums |= {f"accesses, {phase}": of_phases.get(phase, 0) for phase in phases}
            stated |= {f"accesses, {phase}": facts["energy_fJ"] for phase, facts in phases.items()}
        wrong = next((name for name, energy in stated.items() if sums[name] != energy), None)
        if wrong is not None:
            raise NmsimError(
                f"the energies of {scheme} do not sum to its ledger",
                found=f"{wrong} {sums[wrong]} fJ",
                expected=f"{stated[wrong]} fJ",
                hint="This is a defect of nmsim: please report it with the configuration.",
            )
