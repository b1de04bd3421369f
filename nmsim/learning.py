"""What is selected and learnt, scheme by scheme, whatever board it happens on.

This is the first half of a run; `nmsim.simulation` plays what was learnt on a board, the second half. No part
of the board but the number format of its units has a say here, so boards that differ in anything else share
one selection and one training. `selection_key` and `learning_key` say what each depends on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np

from nmsim import stop
from nmsim.config import RunConfig
from nmsim.data import Dataset
from nmsim.data.dataset import LIMIT_BYTES
from nmsim.errors import ResourceLimitError
from nmsim.schemes import FULL, RANDOM, Scheme
from nmsim.selection.api import checked_fit, create, fit, method_parameters
from nmsim.selection.configured import make_selector
from nmsim.selection.pictures import pictures
from nmsim.selection.selector import Reusable, Selector, follows_training
from nmsim.store import fs
from nmsim.training import NetworkCost, Recipe, TrainResult, count_training, train

#: Told what happens now, and the share of the run that is done (0 to 1) or None.
Progress = Callable[[str, float | None], None]


@dataclass(frozen=True, eq=False)
class Learnt:
    """What a scheme selected and learnt.

    Attributes
    ----------
    selector : Selector or None
        Fitted; it tells a board what selecting took. None where everything is kept.
    rows : ndarray of int64, shape (kept,)
        Training images that were kept; of several selections those of the first.
    accuracies : list of float
        Of the trainings, one for each seed; none where nothing was trained (`training.backend: none`).
    seeds : int
        Trainings, done or counted.
    network : NetworkCost
        What an image and a step of training cost.
    epoch_orders : sequence of ndarray of int64
        The rows that each epoch read, of the first seed's training, which is the one that boards simulate.
    """

    selector: Selector | None
    rows: np.ndarray
    accuracies: list[float]
    seeds: int
    network: NetworkCost
    epoch_orders: Sequence[np.ndarray]


@dataclass(frozen=True, eq=False)
class Trained:
    """What remains of a training: with the first seed all that `Learnt` has, with others the accuracy."""

    accuracy: float | None
    network: NetworkCost
    epoch_orders: Sequence[np.ndarray]
    selector: Selector | None


def selection_key(config: RunConfig, scheme: str) -> dict[str, Any]:
    """Return all that the selection of a scheme depends on, in JSON's types; {} where there is none."""
    method = Scheme.parse(scheme).method
    if method == FULL:
        return {}
    return {
        "dataset": config.dataset.model_dump(mode="json", exclude={"source"}),
        "method": method,
        "keep_ratio": config.selection.keep_ratio,
        "seed": config.seed,
        "parameters": config.selection.parameters(method),
        "format": config.near_memory.format if "number_format" in method_parameters(method) else None,
    }


def learning_key(config: RunConfig, scheme: str) -> dict[str, Any]:
    """Return all that a scheme's selection and training depend on, in JSON's types."""
    return {
        "selection": selection_key(config, scheme),
        "dataset": config.dataset.model_dump(mode="json", exclude={"source"}),
        "training": config.training.model_dump(mode="json", exclude={"source"}),
        "seed": config.seed,
    }


def fitted_selector(config: RunConfig, dataset: Dataset, method: str) -> Selector:
    """Return the selector of a method after its selection; one that follows a training is not started yet."""
    selector = make_selector(config, method)
    if follows_training(selector):
        return selector
    return fit(selector, dataset.X_train, dataset.y_train)


def learn(
    config: RunConfig,
    dataset: Dataset,
    scheme: str,
    selector: Selector | None,
    finished: dict[str, Any] | None = None,
) -> Learnt:
    """Return what the trainings of a scheme come to, on what its selector chose; `full` has none.

    Trainings that are among the `finished` pieces of work are not done again; new ones are added.

    Notes
    -----
    A small batch keeps one thread busy, so the seeds run side by side; they share nothing. `random` draws
    anew for each of them: its spread is that of both.
    """
    finished = {} if finished is None else finished
    seeds, method = training_seeds(config), Scheme.parse(scheme).method
    everything = np.arange(len(dataset.y_train))
    selectors: list[Selector | None] = [selector] * len(seeds)
    if follows_training(selector):
        X, y = dataset.X_train, dataset.y_train
        started = [make_selector(config, method) for _ in seeds]
        selectors = [each.start(X, y) for each in started if follows_training(each)]

    def trained(seed: int, chosen: Selector | None) -> TrainResult:
        if follows_training(chosen):
            every = {"reselect": chosen.reselect, "reselect_every": chosen.reselect_every}
            return _train(config, dataset, everything, None, seed, **every)
        if method == RANDOM:
            own = create(RANDOM, config.selection.keep_ratio, seed)
            return _train(config, dataset, fit(own, dataset.X_train, dataset.y_train).indices_, None, seed)
        rows = everything if chosen is None else chosen.indices_
        return _train(config, dataset, rows, None if chosen is None else chosen.training_images_, seed)

    def once(seed: int, chosen: Selector | None) -> Trained:
        name = f"training {method} {seed}"
        if name not in finished:
            result = trained(seed, chosen)
            accuracy = None if result.model is None else float(result.accuracy)
            first = seed == seeds[0]
            finished[name] = Trained(
                accuracy, result.network, result.epoch_orders if first else (), chosen if first else None
            )
        return finished[name]

    with stop.at_borders(), ThreadPoolExecutor(numba.get_num_threads()) as pool:
        results = list(pool.map(once, seeds, selectors))
    first = results[0]
    rows = everything if first.selector is None else first.selector.indices_
    accuracies = [result.accuracy for result in results if result.accuracy is not None]
    return Learnt(first.selector, rows, accuracies, len(seeds), first.network, first.epoch_orders)


def training_seeds(config: RunConfig) -> list[int]:
    """Return the seeds that a configuration trains with."""
    return list(range(config.seed, config.seed + config.training.seeds))


def images_per_epoch(dataset: Dataset, selector: Selector | None) -> int:
    """Return how many images an epoch of training reads."""
    n = len(dataset.y_train)
    return n if selector is None else selector.budget(n)


class Learner:
    """Selections and trainings of a run, each computed once and shared by the schemes that use it.

    Parameters
    ----------
    config : RunConfig
    dataset : Dataset
    tell : callable
    fits : dict, optional
        What runs on the same data share: fits that other keep ratios can go on from. It is added to.
    finished : dict, optional
        Pieces of work by name that need not be done; what is finished is added.
    """

    def __init__(
        self,
        config: RunConfig,
        dataset: Dataset,
        tell: Progress,
        fits: dict[str, Reusable] | None = None,
        finished: dict[str, Any] | None = None,
    ):
        self._config, self._dataset, self._tell = config, dataset, tell
        self._fits = {} if fits is None else fits
        self._finished = {} if finished is None else finished
        self._selectors: dict[str, Selector] = {}
        self._learnt: dict[str, Learnt] = {}

    def select(self, scheme: str) -> Selector | None:
        """Return the selection of a scheme, None where everything is kept."""
        method = Scheme.parse(scheme).method
        if method == FULL:
            return None
        if method not in self._selectors:
            name = f"selection {method}"
            if name not in self._finished:
                self._tell(f"{method}: selecting", 0.1)
                self._finished[name] = self._fitted(scheme, method)
            self._selectors[method] = self._finished[name]
        return self._selectors[method]

    def _fitted(self, scheme: str, method: str) -> Selector:
        """Return a selection, from the fit of another keep ratio where there is one to go on from."""
        facts = {**selection_key(self._config, scheme), "keep_ratio": None}
        key = json.dumps(facts, sort_keys=True)
        if key in self._fits:
            again: Any = self._fits[key].refit(self._config.selection.keep_ratio)
            return checked_fit(again, len(self._dataset.y_train))
        selector = fitted_selector(self._config, self._dataset, method)
        if isinstance(selector, Reusable):
            self._fits[key] = selector
        return selector

    def learn(self, scheme: str, share: float) -> Learnt:
        """Return what a scheme selected and learnt."""
        method = Scheme.parse(scheme).method
        if method not in self._learnt:
            self._tell(f"{scheme}: training with {self._config.training.seeds} seeds", share)
            selector = self.select(scheme)
            self._learnt[method] = learn(self._config, self._dataset, scheme, selector, self._finished)
        return self._learnt[method]

    def by_length(self) -> list[str]:
        """Return the schemes with the shortest epochs of training first; all of them are selected for."""
        selectors = {scheme: self.select(scheme) for scheme in self._config.schemes}
        return sorted(
            self._config.schemes,
            key=lambda scheme: images_per_epoch(self._dataset, selectors[scheme]),
        )

    def write_map(self, path: Path) -> None:
        """Write the map that a selection was made in, for the report: of the first scheme that has one."""
        chosen = [selector for s in self._config.schemes if (selector := self.select(s)) is not None]
        found = next(((each, points) for each in chosen if (points := each.map()) is not None), None)
        if found is not None:
            (selector, embedding), labels = found, self._dataset.y_train
            seen = pictures(self._dataset.X_train, embedding, labels, selector.indices_)
            arrays: dict[str, Any] = {
                "embedding": embedding,
                "labels": labels,
                "selected": selector.indices_,
                **seen,
            }
            fs.write_npz(path, **arrays)


def _train(
    config: RunConfig,
    dataset: Dataset,
    rows: np.ndarray,
    images: np.ndarray | None,
    seed: int,
    **options: Any,
) -> TrainResult:
    """Return a training on these rows, or on what is to stand in their place."""
    recipe = Recipe.of(config.training)
    if recipe.backend == "none":
        return count_training(len(rows), dataset.image_shape, dataset.n_classes, recipe, seed)
    _check_held(len(rows) * dataset.image_bytes)
    return train(
        dataset.X_train[rows] if images is None else images,
        dataset.y_train[rows],
        dataset.X_test,
        dataset.y_test,
        recipe,
        seed,
        n_classes=len(dataset.class_names),
        **options,
    )


def _check_held(n_bytes: int) -> None:
    """Refuse to copy so many bytes of images for a training; a data set may be larger than memory."""
    if n_bytes > LIMIT_BYTES:
        raise ResourceLimitError(
            "a training holds its images in memory",
            found=f"{n_bytes / 2**30:,.1f} GiB",
            expected=f"at most {LIMIT_BYTES >> 30} GiB",
            hint="Set training.backend: none to count its cost alone.",
        )
