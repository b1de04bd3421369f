"""The stages of a point, and what each depends on, so that points share what they have in common.

    selection -> learning -> course -> summary

A point has the first three once for each of its schemes. Stages with equal keys are one and the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import nmsim
from nmsim.config import RunConfig
from nmsim.config.variation import with_values
from nmsim.data import Dataset, load
from nmsim.energy.prices import PriceList
from nmsim.learning import Learnt, fitted_selector, learn, learning_key, selection_key
from nmsim.schemes import Scheme
from nmsim.selection.selector import Selector
from nmsim.simulation import prepare
from nmsim.store.manifest import config_hash
from nmsim.summary import SchemeResult, summarise
from nmsim.system.course import Course, course_key
from nmsim.system.parts import dram_spec, line_contents

#: What makes a configuration small.
_TOY = {
    "dataset.name": "glyphs",
    "dataset.path": None,
    "dataset.glyphs.n_train": 400,
    "dataset.glyphs.n_test": 20,
    "selection.keep_ratio": 0.1,
    "selection.de_sne.n_iter": 3,
    "training.epochs": 1,
    "training.min_steps": 0,
    "training.seeds": 1,
    "simulation.samples": 100,
}


@dataclass(frozen=True, eq=False)
class Stage:
    """A piece of a point's work.

    Attributes
    ----------
    key : str
        Equal for stages with equal results.
    work : callable
        Gives the result, from `config`, `scheme` and the results of `needs`.
    config : RunConfig
    scheme : str
        "" for a whole point.
    needs : tuple of Stage
    """

    key: str
    work: Callable[..., Any]
    config: RunConfig
    scheme: str
    needs: tuple[Stage, ...]

    def all(self) -> Iterator[Stage]:
        """Yield all stages that this one needs, however indirectly, each once, and itself last."""
        seen: set[str] = set()
        for need in self.needs:
            for stage in need.all():
                if stage.key not in seen:
                    seen.add(stage.key)
                    yield stage
        yield self


def point_stages(config: RunConfig, key: str, share: bool = True) -> Stage:
    """Return the last stage of a point, which needs all others.

    Parameters
    ----------
    config : RunConfig
    key : str
        The point's.
    share : bool
        Whether stages are shared with other points; not sharing is for measuring what it gains.
    """
    own = "" if share else key
    courses, learnings = [], []
    for scheme in config.schemes:
        parsed = Scheme.parse(scheme)
        needs: tuple[Stage, ...] = ()
        if not parsed.is_full:
            selection = _key("select", selection_key(config, scheme), own)
            needs = (Stage(selection, _select, config, scheme, ()),)
        learning = learning_key(config, scheme)
        learnt = Stage(_key("learn", learning, own, parsed.method), _learn, config, scheme, needs)
        course = _key("course", {"learning": learning, **course_key(config, scheme)}, own)
        learnings.append(learnt)
        courses.append(Stage(course, _course, config, scheme, (learnt,)))
    return Stage(key, _summary, config, "", (*learnings, *courses))


def _key(kind: str, depends_on: dict[str, Any], *more: str) -> str:
    return f"{kind}-{config_hash({'on': depends_on, 'more': [nmsim.__version__, *more]})[:24]}"


def _select(config: RunConfig, scheme: str) -> Selector:
    return fitted_selector(config, _dataset(config), Scheme.parse(scheme).method)


def _learn(config: RunConfig, scheme: str, selector: Selector | None = None) -> Learnt:
    return learn(config, _dataset(config), scheme, selector)


def _course(config: RunConfig, scheme: str, learnt: Learnt) -> Course:
    dataset = _dataset(config)
    lines = line_contents(config, {"images": dataset.X_train.reshape(len(dataset.X_train), -1)})
    board, selections, epochs = prepare(config, dataset, scheme, learnt, None, lines)
    board.execute(selections, epochs)
    return board.course()


def _summary(config: RunConfig, _: str, *results: Any) -> dict[str, Any]:
    half, prices = len(results) // 2, PriceList(config, dram_spec(config.memory))
    pairs = zip(results[:half], results[half:], strict=True)
    schemes = [SchemeResult.of(learnt, course, prices) for learnt, course in pairs]
    return summarise(config, _dataset(config), schemes, prices, None)


def toys(configs: Iterable[RunConfig], at_most: int = 12) -> Iterator[RunConfig]:
    """Yield small configurations that go through the same kernels as these, each kind once."""
    seen: set[str] = set()
    for config in configs:
        toy = with_values(config, _TOY)
        kernels = toy.model_dump(mode="json", include={"schemes", "training", "selection"})
        kind = config_hash({**kernels, "format": config.near_memory.format})
        if kind not in seen and len(seen) < at_most:
            seen.add(kind)
            yield toy


def warm_up(toy: RunConfig) -> None:
    """Run a small configuration, so that its kernels are compiled and kept on disk."""
    with suppress(Exception):  # what is wrong with it, its point will say
        stage = point_stages(toy, "toy")
        results: dict[str, Any] = {}
        for each in stage.all():
            needs = [results[need.key] for need in each.needs]
            results[each.key] = each.work(each.config, each.scheme, *needs)


def _dataset(config: RunConfig) -> Dataset:
    section = config.dataset
    return _loaded(json.dumps(section.model_dump(mode="json", exclude={"source"}), sort_keys=True))


@lru_cache(maxsize=2)
def _loaded(section: str) -> Dataset:
    from nmsim.config.experiment import DatasetSection

    return load(DatasetSection.model_validate_json(section))
