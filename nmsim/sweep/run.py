"""A sweep from its file to its table; what is finished is not done again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

import nmsim
from nmsim._version import git_revision
from nmsim.errors import ConfigError, NmsimError
from nmsim.learning import Progress
from nmsim.store import fs
from nmsim.store.reading import read_json
from nmsim.sweep.local import Engine
from nmsim.sweep.points import PAGE, TABLE, TIMING, Folder, Point, message, table
from nmsim.sweep.spec import Drafts, Spec, duration, label
from nmsim.sweep.stages import point_stages
from nmsim.system.board_checks import check_board
from nmsim.training import check_backend

#: Gives the engine when points are left to be run, from their configurations, and closes it.
EngineOf = Callable[[Sequence[Point]], AbstractContextManager[Engine]]


@dataclass
class Sweep:
    """What a sweep came to.

    Attributes
    ----------
    points : list of Point
    summaries, errors : dict
        By the points' hashes.
    reused : int
        Points that were finished before.
    """

    points: list[Point] = field(default_factory=list)
    summaries: dict[str, dict[str, Any]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    reused: int = 0

    def table(self) -> pd.DataFrame:
        """Return the table of all points."""
        return table(self.points, self.summaries, self.errors)


def planned(spec: Spec, overrides: Sequence[str] = ()) -> list[Point]:
    """Return the points of a grid, or those drawn; values that cannot be together make a failed point."""
    drafts = Drafts(spec, overrides)
    drafts.check()
    return [make_point(drafts, values) for values in spec.values()]


def make_point(drafts: Drafts, values: dict[str, Any]) -> Point:
    """Return the point of these values."""
    try:
        config = drafts.complete(values)
        check_board(config)
        check_backend(config.training.backend)
    except ConfigError as error:
        return Point(values, None, message(error))
    return Point(values, config)


class Runner(ExitStack):
    """Runs points and keeps them in the sweep's folder; leaving the block closes the engine.

    Parameters
    ----------
    out : Path or str
    engine_of : callable
        Opens the engine when the first points are left to be run, and not before.
    tell : callable, optional
        See `nmsim.learning.Progress`.
    say : callable, optional
        Told what a user should know meanwhile.
    share : bool
        See `nmsim.sweep.stages.point_stages`.
    """

    def __init__(
        self,
        out: Path | str,
        engine_of: EngineOf,
        tell: Progress | None = None,
        say: Callable[[str], None] | None = None,
        share: bool = True,
    ):
        super().__init__()
        self.folder, self._engine_of, self._share = Folder(out), engine_of, share
        self._tell, self._say = tell or (lambda message, share: None), say or (lambda text: None)
        self._engine: Engine | None = None
        self.sweep = Sweep()

    def run(self, points: Sequence[Point], of: int) -> None:
        """Run those of these points that are not finished; `of` is how many the whole sweep has.

        Raises
        ------
        NmsimError
            Where no point can be run any more. The finished ones stay.
        """
        sweep = self.sweep
        known = {point.key for point in sweep.points}
        left: dict[str, Point] = {}
        for point in points:
            if point.key in known:
                continue
            known.add(point.key)
            sweep.points.append(point)
            if point.error is not None:
                sweep.errors[point.key] = point.error
                self.folder.write_error(point, point.error)
            elif (summary := self.folder.summary(point)) is not None:
                sweep.summaries[point.key] = summary
                sweep.reused += 1
            else:
                left[point.key] = point
        if left:
            if self._engine is None:
                self._engine = self.enter_context(self._engine_of(list(left.values())))
            self._run(self._engine, left, of)

    def _run(self, engine: Engine, left: dict[str, Point], of: int) -> None:
        sweep, started, first, said = self.sweep, time.monotonic(), 0.0, False
        stages = [
            point_stages(point.config, key, self._share)
            for key, point in left.items()
            if point.config is not None  # one without was refused, and is not among those left
        ]
        # Points that learn the same come one after another: what they share is held no longer than need be.
        stages.sort(key=lambda stage: [need.key for need in stage.needs if need.key.startswith("learn")])
        for done, (stage, result) in enumerate(engine.run(stages), start=1):
            point = left[stage.key]
            try:
                if isinstance(result, Exception):
                    sweep.errors[point.key] = message(result)
                    self.folder.write_error(point, sweep.errors[point.key])
                else:
                    self.folder.write(point, result)
                    sweep.summaries[point.key] = result
            except NmsimError as error:
                kept = f"Finished points, {len(sweep.summaries)} by now, are kept in {self.folder.path}"
                error.hint = " ".join(filter(None, [error.hint, kept + "; run the same again to go on."]))
                raise
            taken = time.monotonic() - started
            finished = len(sweep.summaries) + len(sweep.errors)
            self._tell(f"{finished} of {of} points", finished / of)
            first = taken if done == 1 else first
            # The first point does much that others share.
            if not said and taken > 10 and max(2, len(left) // 20) <= done < len(left):
                said = True
                rest = (taken - first) / (done - 1) * (len(left) - done)
                self._say(
                    f"{done} of the {len(left)} points left took {duration(taken)}; at this rate the others "
                    f"take about {duration(rest)}"
                )

        fs.write_json(self.folder.path / TIMING, {"points": len(left), "seconds": time.monotonic() - started})

    def write(self, spec: Spec) -> tuple[Path, Path] | None:
        """Write table, figures and page of what is finished; return the table's and the page's path.

        Returns
        -------
        tuple of Path or None
            None where nothing is finished.
        """
        if not self.sweep.summaries:
            return None
        frame, folder = self.sweep.table(), self.folder.path
        table, page = folder / TABLE, folder / PAGE
        fs.write_text(table, frame.to_csv(index=False, lineterminator="\n"))
        with fs.staged_file(table.with_suffix(".parquet")) as file:
            frame.to_parquet(file, index=False)
        from nmsim.report.sweep import figures
        from nmsim.report.sweep_page import page_of

        paths = [axis.path for axis in spec.axes]
        plots = figures(frame, paths)
        for plot in plots:
            plot.save(folder / "plots")
        fs.write_text(page, page_of(frame, about(spec, self.sweep), paths, plots))
        return table, page


def measured_s(folder: Path) -> float | None:
    """Return what a point took when points were last run in a sweep's folder; None where none was."""
    try:
        timing = read_json(folder / TIMING)
        return float(timing["seconds"]) / float(timing["points"])
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
        return None


def about(spec: Spec, sweep: Sweep) -> dict[str, str]:
    """Return facts about a sweep for its page."""
    said = {"name": spec.name, "file": str(spec.file), "board": spec.board.name, "kind": spec.kind}
    said |= {f"varied: {axis.path}": axis.described for axis in spec.axes}
    said |= {f"set: {override.path}": label(override.value) for override in spec.fixed}
    some = next(iter(sweep.summaries.values()))
    data, training = some["dataset"], some["training"]
    said["data"] = f"{data['name']}, {data['n_train']:,} training images"
    said["trained"] = f"{training['network']}, {training['epochs']} epochs or more"
    said["nmsim"] = nmsim.__version__ + (f", {revision}" if (revision := git_revision()) else "")
    return said
