"""One run: configuration -> data -> selection -> training -> board -> trace, summary and report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Any

import numba
import numpy as np

from nmsim import stop
from nmsim.access.work import ArraySpec, Step
from nmsim.config import RunConfig, config_hash, dump_config
from nmsim.data import Dataset, load
from nmsim.energy.data_bits import LineActivity
from nmsim.energy.prices import PriceList
from nmsim.errors import ConfigError
from nmsim.learning import Learner, Learnt, Progress, training_seeds
from nmsim.report.outputs import write_outputs
from nmsim.report.run import Run, load_run
from nmsim.schemes import Scheme
from nmsim.selection.selector import Reusable
from nmsim.store import fs, manifest
from nmsim.store.kept import read_kept, write_kept
from nmsim.store.rundir import RunDir
from nmsim.summary import SchemeResult, energy_table, summarise
from nmsim.system.board import Board, SelectionWork
from nmsim.system.board_checks import check_board
from nmsim.system.nmc import team_units
from nmsim.system.parts import dram_spec, layout, line_contents
from nmsim.trace.writer import TraceWriter
from nmsim.training import NetworkCost, TrainingSteps, check_backend, training_arrays
from nmsim.training.network import Network

#: How often a request to stop is looked for while boards are simulated.
_PAUSE_S = 0.2


def simulate(
    config: RunConfig,
    out: str | Path = "runs",
    progress: Progress | None = None,
    report: bool = True,
    fits: dict[str, Reusable] | None = None,
    resume: bool = False,
) -> Run:
    """Return the finished run of a configuration, written to `<out>/<name>-<hash8>/`.

    Parameters
    ----------
    config : RunConfig
        See `nmsim.load_config`.
    out : str or Path
        Folder that run folders are put in. A run of the same name and configuration is replaced.
    progress : callable, optional
        Called as `progress(message, share)` while the run goes on.
    report : bool
        Whether figures and `report.html` are made, which takes seconds; `nmsim report` makes them later.
    fits : dict, optional
        Handed from run to run, it lets those that differ in the keep ratio share what does not depend on it.
    resume : bool
        Whether to go on from what an interrupted run of this name and configuration kept, if there is one.

    Raises
    ------
    NmsimError
        See `nmsim.errors`; nothing is left behind in `out`.
    Interrupted
        Where SIGINT or SIGTERM came (in the main thread): a KeyboardInterrupt. What was selected and trained
        by then is kept in the run's folder, whose manifest says `interrupted`; unless a finished run stands
        there, which stays.

    Notes
    -----
    Selection and training are computed once for all schemes that share them: `METHOD@nmc` and
    `METHOD@host` have the same indices and the same accuracy, and differ in what the board does.
    """

    def tell(message: str, share: float | None) -> None:
        stop.check()
        if progress is not None:
            progress(message, share)

    started = manifest.now()
    if not isinstance(config, RunConfig):
        raise ConfigError(
            "a run needs a configuration",
            found=type(config).__name__,
            hint='Load one: nmsim.load_config("lpddr4"), or your own file.',
        )
    if not isinstance(out, str | PathLike):
        raise ConfigError("a run needs a folder to go to", found=repr(out)[:80], expected='out="runs"')
    check_board(config)
    check_backend(config.training.backend)
    with stop.at_borders(), RunDir(out, config.name, config_hash(config)) as run:
        work = _Work(config, started, {} if fits is None else fits)
        try:
            record = _fill(run, work, tell, report, resume)
        except KeyboardInterrupt as request:
            raise _keep(run, work) from request
        final = run.publish(record)
    return load_run(final)


class _Work:
    """What a run has come to so far: its data, once they are read, and its finished pieces by name."""

    def __init__(self, config: RunConfig, started: datetime, fits: dict[str, Reusable]):
        self.config, self.started, self.fits = config, started, fits
        self.dataset: Dataset | None = None
        self.finished: dict[str, Any] = {}

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """Return what a run reads again when it is resumed."""
        names = ("X_train", "y_train", "X_test", "y_test")
        return {} if self.dataset is None else {name: getattr(self.dataset, name) for name in names}

    def manifest(self, status: str) -> dict[str, Any]:
        """Return the run's manifest."""
        return manifest.build_manifest(
            config=self.config.model_dump(mode="json"),
            seeds=[self.config.seed, *training_seeds(self.config)],
            dataset_sha256="" if self.dataset is None else self.dataset.sha256,
            threads=numba.get_num_threads(),
            started=self.started,
            status=status,
        )


def _keep(run: RunDir, work: _Work) -> stop.Interrupted:
    """Publish the finished pieces of an interrupted run, where no finished run stands; return what to say."""
    if manifest.is_complete(run.final):
        return stop.Interrupted(f"interrupted; the finished run {run.final} is as it was")
    if not work.finished and (run.final / manifest.MANIFEST).exists():  # it may have kept something
        return stop.Interrupted(f"interrupted; to finish it: nmsim run --resume {run.final}")
    kept = write_kept(run, work.finished, work.arrays)
    fs.write_text(run.path(manifest.RESOLVED_CONFIG), dump_config(work.config))
    run.publish({**work.manifest(manifest.INTERRUPTED), **kept})
    return stop.Interrupted(f"interrupted; to finish it: nmsim run --resume {run.final}")


def _fill(run: RunDir, work: _Work, tell: Progress, report: bool, resume: bool) -> dict[str, Any]:
    """Do all of a run's work and write its outputs; return its manifest."""
    config = work.config
    tell("reading the data", 0.0)
    dataset = work.dataset = load(config.dataset)
    if resume:
        work.finished |= read_kept(run.final, work.manifest(manifest.INTERRUPTED), work.arrays)
    _check_room(config, dataset)
    lines = line_contents(config, {"images": dataset.X_train})
    learner = Learner(config, dataset, tell, work.fits, work.finished)
    started_boards: dict[str, tuple[Learnt, Board]] = {}
    writer = None if config.trace.level == "off" else TraceWriter(run.path("trace"))
    with writer or nullcontext(), _BoardThread() as boards:
        # All selections first: their kernels use every core, while a training leaves one to the boards.
        # Then the short trainings, so that their boards run beside the long ones.
        for index, scheme in enumerate(by_length := learner.by_length()):
            learnt = learner.learn(scheme, 0.2 + 0.6 * index / len(by_length))
            board, selections, epochs = prepare(config, dataset, scheme, learnt, writer, lines)
            boards.execute(board, selections, epochs)
            started_boards[scheme] = (learnt, board)
        tell("simulating the boards", 0.8)
        boards.wait()
    prices = PriceList(config, dram_spec(config.memory))
    in_order = [
        SchemeResult.of(learnt, board.course(), prices)
        for learnt, board in (started_boards[scheme] for scheme in config.schemes)
    ]
    summary = summarise(config, dataset, in_order, prices, writer)
    fs.write_text(run.path(manifest.RESOLVED_CONFIG), dump_config(config))
    fs.write_json(run.path("summary.json"), summary)
    fs.write_text(run.path("energy.csv"), energy_table(in_order).to_csv(index=False))
    for result in in_order:
        name = f"selected_indices.{Scheme.parse(result.scheme).file_name}.npy"
        fs.write_npy(run.path(name), dataset.rows_as_given(result.learnt.rows))
    learner.write_map(run.path("selection.npz"))
    stop.check()
    record = work.manifest(manifest.COMPLETE)
    if report:
        tell("drawing the report", 0.9)
        write_outputs(run.folder, record)
    return record


class _BoardThread:
    """Executes boards one after the other while the next selection and training are computed.

    One thread, in the order of the schemes: the trace comes out the same every time.
    """

    def __enter__(self) -> _BoardThread:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="nmsim-board")
        self._started: list[tuple[Board, Future[None]]] = []
        return self

    def execute(
        self, board: Board, selections: Mapping[int, SelectionWork], epochs: Sequence[list[Step]]
    ) -> None:
        """Execute a board when those before it are done."""
        self._started.append((board, self._pool.submit(board.execute, selections, epochs)))

    def wait(self) -> None:
        """Return when all boards are done; raise what the first failing one raised."""
        for _, future in self._started:
            while not wait([future], timeout=_PAUSE_S).done:
                stop.check()
            future.result()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            for board, _future in self._started:
                board.stop()
        self._pool.shutdown(cancel_futures=True)


def prepare(
    config: RunConfig,
    dataset: Dataset,
    scheme: str,
    learnt: Learnt,
    writer: TraceWriter | None = None,
    lines: Mapping[str, LineActivity] | None = None,
) -> tuple[Board, dict[int, SelectionWork], Sequence[list[Step]]]:
    """Return a scheme's board and what it is to execute; of the trainings the first seed's is simulated."""
    place = Scheme.parse(scheme).side
    selector, batch = learnt.selector, config.training.batch_size
    sram_bytes = int(config.soc.sram.value)
    arrays = {a.name: a for a in _arrays(config, dataset, learnt.network)}
    n = len(dataset.y_train)
    rows, selections, read = np.arange(n), {}, "images"
    if selector is not None:
        buffer = config.near_memory.buffer if place == "nmc" else config.soc.sram
        given = (int(buffer.value), team_units(config) if place == "nmc" else 1)
        arrays |= {a.name: a for a in selector.arrays()}
        selections = {
            turn.epoch: SelectionWork(place, turn.steps, len(selector.indices_), turn.before)
            for turn in selector.turns(*given)
        }
        rows, read = selector.training_reads(n)
    board = Board(config, scheme, list(arrays.values()), dataset.y_train, writer, lines)
    epochs = TrainingSteps(learnt.network, learnt.epoch_orders, rows, batch, sram_bytes, read)
    return board, selections, epochs


def _arrays(config: RunConfig, dataset: Dataset, network: NetworkCost) -> list[ArraySpec]:
    """Return what lies in DRAM whatever is selected: images, and what of the training exceeds the SRAM."""
    images = ArraySpec("images", len(dataset.y_train), dataset.image_bytes, per_image=True)
    return [images, *training_arrays(network, config.training.batch_size, int(config.soc.sram.value))]


def _check_room(config: RunConfig, dataset: Dataset) -> None:
    """Refuse a memory that is too small, as far as it is known before anything is selected."""
    training = config.training
    network = Network(training.network, dataset.image_shape, dataset.n_classes)
    arrays = _arrays(config, dataset, network.cost(momentum=training.momentum > 0))
    layout(config, arrays, dataset.y_train)
