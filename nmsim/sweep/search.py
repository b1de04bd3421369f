"""A search for boards and methods that take little energy and reach a high accuracy, with Optuna."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nmsim.errors import ConfigError, suggestion
from nmsim.schemes import Scheme
from nmsim.store import fs
from nmsim.sweep.points import Point
from nmsim.sweep.run import Runner, make_point
from nmsim.sweep.spec import SCHEME, Axis, Choices, Drafts, Search, Spec

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.distributions import BaseDistribution

#: The study's record in the sweep's folder, which Optuna's own tools read.
JOURNAL = "search.journal"


def search(spec: Spec, runner: Runner, overrides: Sequence[str] = ()) -> None:
    """Run the trials of a search.

    Notes
    -----
    A search is a function of its seed and of what its points come to. So an interrupted one is gone through
    again from its start, with the finished points taken from the folder: it asks for the same points in the
    same order, however often it was interrupted and however many processes it has. For the same reason
    trials are asked for in groups of a fixed size, `at_once`, and a group is told before the next is asked.

    Raises
    ------
    ConfigError
        Where it is not said which scheme counts, or Optuna is not installed.
    """
    asked = spec.search
    assert asked is not None
    drafts = Drafts(spec, overrides)
    drafts.check()
    study = _study(spec, asked, runner)
    distributions = {axis.path: _distribution(axis) for axis in spec.axes}
    for first in range(0, asked.trials, asked.at_once):
        trials = [study.ask(distributions) for _ in range(min(asked.at_once, asked.trials - first))]
        points = [make_point(drafts, _values(trial, spec.axes)) for trial in trials]
        schemes = [_scheme(spec, asked, point) for point in points]
        runner.run(points, asked.trials)
        for trial, point, scheme in zip(trials, points, schemes, strict=True):
            _tell(study, trial, runner.sweep.summaries.get(point.key), scheme, asked)


def largest(spec: Spec, overrides: Sequence[str] = ()) -> Point:
    """Return the point with the last value of every axis, to estimate what others need at most.

    Raises
    ------
    ConfigError
        Where it is not said which scheme counts.
    """
    point = make_point(Drafts(spec, overrides), {axis.path: axis.samples[-1] for axis in spec.axes})
    if spec.search is not None and point.config is not None:
        _scheme(spec, spec.search, point)  # better now than in the midst of the search
    return point


def _study(spec: Spec, asked: Search, runner: Runner) -> Study:
    try:
        import optuna
    except ImportError:
        raise ConfigError(
            "a search needs Optuna", file=spec.file, hint="Install it with: pip install 'nmsim[search]'"
        ) from None
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    journal = runner.folder.path / JOURNAL
    for old in (journal, journal.with_name(f"{JOURNAL}.lock")):
        fs.remove(old)
    samplers = {"tpe": optuna.samplers.TPESampler, "nsga2": optuna.samplers.NSGAIISampler}
    return optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(journal))),
        study_name=spec.name,
        sampler=samplers[asked.sampler](seed=asked.seed),
        directions=["minimize", "maximize"],
    )


def _distribution(axis: Axis) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(axis, Choices):
        return CategoricalDistribution(range(len(axis.values)))
    if axis.whole:
        return IntDistribution(int(axis.low), int(axis.high), log=axis.log)
    return FloatDistribution(axis.low, axis.high, log=axis.log)


def _values(trial: Trial, axes: Sequence[Axis]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for axis in axes:
        number = trial.params[axis.path]
        if isinstance(axis, Choices):
            values[axis.path] = axis.values[number]
        else:
            values[axis.path] = axis.written(number if axis.whole else float(f"{number:.6g}"))
    return values


def _scheme(spec: Spec, asked: Search, point: Point) -> str:
    """Return the scheme whose energy and accuracy count."""
    found = asked.scheme or point.values.get(SCHEME)
    schemes = point.config.schemes if point.config else ()
    chosen = [scheme for scheme in schemes if Scheme.parse(scheme).is_selection]
    if found is None and len(chosen) == 1:
        return chosen[0]
    if found is None or (schemes and found not in schemes):
        raise ConfigError(
            "search.scheme: which scheme's energy and accuracy count?",
            file=spec.file,
            line=asked.scheme_line,
            found=found,
            expected=", ".join(schemes),
            hint=None if found is None else suggestion(found, schemes),
        )
    return str(found)


def _tell(study: Study, trial: Trial, summary: dict[str, Any] | None, scheme: str, asked: Search) -> None:
    from optuna.trial import TrialState

    facts = {} if summary is None else summary["schemes"][scheme]
    if facts.get("accuracy_mean") is None:
        study.tell(trial, state=TrialState.FAIL)
    else:
        study.tell(trial, [facts[f"{asked.energy}_fJ"] * 1e-15, facts["accuracy_mean"]])
