"""Many runs beside each other: methods × keep ratios × networks, the same seeds and random in each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nmsim.config import RunConfig, folder_name
from nmsim.config.variation import with_values
from nmsim.errors import ConfigError
from nmsim.learning import Progress
from nmsim.report.comparison import COLUMNS
from nmsim.report.run import Run, load_run
from nmsim.schemes import FULL, RANDOM, Scheme
from nmsim.selection.api import method_parameters, selector_class
from nmsim.selection.selector import Reusable, follows_training
from nmsim.simulation import simulate
from nmsim.store.manifest import is_complete


@dataclass(frozen=True)
class Plan:
    """What is compared.

    Attributes
    ----------
    schemes : tuple of str
        As in a configuration; `random` and `full` are added where they are missing.
    keep_ratios : tuple of float
    networks : tuple of str
        That are trained on what was selected; methods that select with a network do so with each of them.
    """

    schemes: tuple[str, ...]
    keep_ratios: tuple[float, ...]
    networks: tuple[str, ...]

    def runs(self, config: RunConfig) -> Iterator[tuple[RunConfig, dict[str, Any]]]:
        """Yield each run's configuration, and what its rows have in common.

        `full` does not depend on the ratio, and runs with the first one alone. `random` and methods without a
        network of their own run once for each network that is trained, before those that another selects for.
        """
        chosen = tuple(s for s in self.schemes if Scheme.parse(s).is_selection)
        with_network = tuple(s for s in chosen if selects_with_network(s))
        for trained in self.networks:
            for selected_with in (trained, *(n for n in self.networks if n != trained)):
                own = selected_with == trained
                for ratio in self.keep_ratios:
                    schemes = (RANDOM, *chosen) if own else with_network
                    if own and ratio == self.keep_ratios[0]:
                        schemes = (FULL, *schemes)
                    if schemes:
                        yield (
                            _run_config(config, schemes, ratio, trained, selected_with),
                            {"network": trained, "keep_ratio": ratio, "selected_with": selected_with},
                        )


def compare(config: RunConfig, plan: Plan, out: str | Path, progress: Progress | None = None) -> pd.DataFrame:
    """Return a row for each scheme, ratio and network; runs that stand in `out` already are not repeated.

    Parameters
    ----------
    config : RunConfig
        The board, the data, the training and its seeds.
    plan : Plan
    out : str or Path
        Folder of the runs, one for each ratio and network.
    progress : callable, optional
        Called as `progress(message, share)`.

    Returns
    -------
    DataFrame
        Columns `nmsim.report.comparison.COLUMNS`.

    Raises
    ------
    NmsimError
        See `nmsim.simulation.simulate`.
    """
    if config.training.backend == "none":
        raise ConfigError("a comparison is of accuracies, and training.backend: none trains nothing")
    tell = progress or (lambda message, share: None)
    runs = list(plan.runs(config))
    rows: list[dict[str, Any]] = []
    random: dict[tuple[str, float], list[float]] = {}
    fits: dict[str, Reusable] = {}
    for index, (run_config, common) in enumerate(runs):
        share = index / len(runs)
        tell(f"{common['network']}, {common['keep_ratio']:.3g} kept", share)
        there = Path(out) / folder_name(run_config)
        if is_complete(there):
            run = load_run(there)
        else:

            def tell_on(message: str, _: float | None, share: float = share) -> None:
                tell(message, share)

            run = simulate(run_config, out, tell_on, report=False, fits=fits, resume=True)
        schemes, key = run.summary["schemes"], (common["network"], common["keep_ratio"])
        if RANDOM in schemes:
            random[key] = schemes[RANDOM]["accuracies"]
        rows += _rows(run, common, np.array(random[key]))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def selects_with_network(scheme: str) -> bool:
    """Return whether a scheme's method has a network of its own to select with, not that which is trained."""
    method = Scheme.parse(scheme).method
    if method == FULL:
        return False
    return "network" in method_parameters(method) and not follows_training(selector_class(method))


def _run_config(
    config: RunConfig, schemes: tuple[str, ...], ratio: float, trained: str, selected_with: str
) -> RunConfig:
    methods = {name: dict(given) for name, given in config.selection.methods.items()}
    for scheme in schemes:
        if selects_with_network(scheme):
            method = Scheme.parse(scheme).method
            methods[method] = {**methods.get(method, {}), "network": selected_with}
    values = {
        "name": f"{config.name[:40]}-{trained}-{ratio:g}",
        "schemes": schemes,
        "selection.keep_ratio": ratio,
        "selection.methods": methods,
        "training.network": trained,
        "trace.level": "off",
    }
    return with_values(config, values)


def _rows(run: Run, common: dict[str, Any], random: np.ndarray) -> list[dict[str, Any]]:
    found = []
    for scheme, facts in run.summary["schemes"].items():
        accuracies = np.array(facts["accuracies"])
        row = {"scheme": scheme, **common, "kept": facts["kept"], "seeds": facts["seeds"]}
        row["selected_with"] = common["selected_with"] if selects_with_network(scheme) else ""
        row["keep_ratio"] = 1.0 if scheme == FULL else common["keep_ratio"]
        row |= {"accuracy_mean": facts["accuracy_mean"], "accuracy_sd": facts["accuracy_sd"]}
        row |= _against(accuracies, random, scheme)
        for key in ("ddr_energy_fJ", "system_energy_fJ"):
            row |= {key: facts[key], f"{key}_p05": facts[f"{key}_p05"], f"{key}_p95": facts[f"{key}_p95"]}
        found.append(row)
    return found


def _against(accuracies: np.ndarray, random: np.ndarray, scheme: str) -> dict[str, float]:
    """Return the mean difference to random, seed by seed, the half width of its 95 % interval, and p.

    A paired t test; NaN where there is nothing to test: one seed, or no spread.
    """
    difference = accuracies - random
    gain, nothing = float(difference.mean()), {"gain_ci95": np.nan, "p_value": np.nan}
    if not Scheme.parse(scheme).is_selection:  # full keeps more images
        return {"gain": np.nan, **nothing}
    if len(difference) < 2 or np.ptp(difference) == 0:
        return {"gain": gain, **nothing}
    from scipy.stats import t, ttest_rel

    error = difference.std(ddof=1) / np.sqrt(len(difference))
    half = float(t.ppf(0.975, len(difference) - 1) * error)
    return {"gain": gain, "gain_ci95": half, "p_value": float(ttest_rel(accuracies, random).pvalue)}
