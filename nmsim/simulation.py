"""One run: configuration -> data -> selection -> training -> board -> trace, summary and report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import numba
import numpy as np

from nmsim.access.work import ArraySpec, Step
from nmsim.config import RunConfig, config_hash, dump_config
from nmsim.data import Dataset, load
from nmsim.energy.data_bits import LineActivity
from nmsim.report.outputs import write_outputs
from nmsim.report.run import Run, load_run
from nmsim.selection.api import create, fit
from nmsim.selection.budget import total_budget
from nmsim.selection.selector import FollowsTraining, Selector, follows_training
from nmsim.store import fs, manifest
from nmsim.store.rundir import RunDir
from nmsim.summary import SchemeResult, energy_table, summarise
from nmsim.system.board import Board, SelectionWork, check_board, line_contents
from nmsim.system.nmc import team_units
from nmsim.system.schemes import make_selector, split_scheme
from nmsim.trace.writer import TraceWriter
from nmsim.training import TrainResult, check_backend, train, training_arrays, training_steps

#: Told what happens now, and the share of the run that is done (0 to 1) or None.
Progress = Callable[[str, float | None], None]


def simulate(config: RunConfig, out: str | Path = "runs", progress: Progress | None = None) -> Run:
    """Return the finished run of a configuration, written to `<out>/<name>-<hash8>/`.

    Parameters
    ----------
    config : RunConfig
        See `nmsim.load_config`.
    out : str or Path
        Folder that run folders are put in. A run of the same name and configuration is replaced.
    progress : callable, optional
        Called as `progress(message, share)` while the run goes on.

    Raises
    ------
    NmsimError
        See `nmsim.errors`; nothing is left behind in `out`.

    Notes
    -----
    Selection and training are computed once for all schemes that share them: `METHOD@nmc` and
    `METHOD@host` have the same indices and the same accuracy, and differ in what the board does.
    """
    tell = progress or (lambda message, share: None)
    started = manifest.now()
    check_board(config)
    check_backend(config.training.backend, config.training.network)
    with RunDir(out, config.name, config_hash(config)) as run:
        tell("reading the data", 0.0)
        dataset = load(config.dataset)
        Board(config, "", [_images(dataset)], dataset.y_train, None)  # refuses a memory that is too small
        lines = line_contents(config, {"images": dataset.X_train.reshape(len(dataset.X_train), -1)})
        algorithms = _Algorithms(config, dataset, tell)
        results: dict[str, SchemeResult] = {}
        writer = None if config.trace.level == "off" else TraceWriter(run.path("trace"))
        with writer or nullcontext(), _BoardThread() as boards:
            # All selections first: their kernels use every core, while a training leaves one to the boards.
            # Then the short trainings, so that their boards run beside the long ones.
            selectors = {scheme: algorithms.select(scheme) for scheme in config.schemes}
            by_length = sorted(config.schemes, key=lambda scheme: algorithms.kept(selectors[scheme]))
            for index, scheme in enumerate(by_length):
                trained = algorithms.train(scheme, 0.2 + 0.6 * index / len(by_length))
                selector = algorithms.select(scheme)
                board, *course = _prepare(config, dataset, scheme, selector, trained, writer, lines)
                boards.execute(board, *course)
                rows = algorithms.rows(selector)
                results[scheme] = SchemeResult(scheme, rows, trained, board)
            tell("simulating the boards", 0.8)
            boards.wait()
        in_order = [results[scheme] for scheme in config.schemes]
        summary = summarise(config, dataset, in_order, writer)
        tell("drawing the report", 0.9)
        fs.write_text(run.path("config.resolved.yaml"), dump_config(config))
        fs.write_json(run.path("summary.json"), summary)
        fs.write_text(run.path("energy.csv"), energy_table(in_order).to_csv(index=False))
        for result in in_order:
            name = f"selected_indices.{result.scheme.replace('@', '-')}.npy"
            fs.write_npy(run.path(name), result.selected)
        algorithms.write_map(run.path("selection.npz"))
        record = manifest.build_manifest(
            config=config.model_dump(mode="json"),
            seeds=[config.seed, *algorithms.training_seeds],
            dataset_sha256=dataset.sha256,
            threads=numba.get_num_threads(),
            started=started,
        )
        write_outputs(run.folder, record)
        final = run.publish(record)
    return load_run(final)


class _Algorithms:
    """Selections and trainings of a run, each computed once and shared by the schemes that use it."""

    def __init__(self, config: RunConfig, dataset: Dataset, tell: Progress):
        self._config, self._dataset, self._tell = config, dataset, tell
        self.training_seeds = list(range(config.seed, config.seed + config.training.seeds))
        self._selectors: dict[str, Selector] = {}
        self._trained: dict[bytes, list[TrainResult]] = {}
        self._followed: dict[str, list[TrainResult]] = {}

    def select(self, scheme: str) -> Selector | None:
        """Return the selection of a scheme, None where everything is kept."""
        if scheme == "full":
            return None
        method, _ = split_scheme(scheme)
        if method not in self._selectors:
            self._tell(f"{method}: selecting", 0.1)
            self._selectors[method] = self._select(method)
        return self._selectors[method]

    def train(self, scheme: str, share: float) -> list[TrainResult]:
        """Return the trainings of a scheme, one for each seed."""
        if follows_training(self.select(scheme)):
            return self._train_followed(split_scheme(scheme)[0], share)
        if scheme == "random":
            return self._train_random(share)
        selector = self.select(scheme)
        rows, images = self.rows(selector), getattr(selector, "training_images_", None)
        key = rows.tobytes() + (b"" if images is None else images.tobytes())
        if key not in self._trained:
            self._tell(f"{scheme}: training with {len(self.training_seeds)} seeds", share)
            # A small batch keeps one thread busy, so the seeds run side by side; they share nothing.
            with ThreadPoolExecutor(numba.get_num_threads()) as pool:
                self._trained[key] = list(pool.map(partial(self._train, rows, images), self.training_seeds))
        return self._trained[key]

    def _train_random(self, share: float) -> list[TrainResult]:
        """Return the trainings of `random`, each on a draw of its own: their spread is that of both."""
        self._tell(f"random: training with {len(self.training_seeds)} seeds", share)
        X, y, keep = self._dataset.X_train, self._dataset.y_train, self._config.selection.keep_ratio

        def draw_and_train(seed: int) -> TrainResult:
            return self._train(fit(create("random", keep, seed), X, y).indices_, None, seed)

        with ThreadPoolExecutor(numba.get_num_threads()) as pool:
            return list(pool.map(draw_and_train, self.training_seeds))

    def _train_followed(self, method: str, share: float) -> list[TrainResult]:
        """Return the trainings of a method that follows them; its selector is then the first one's."""
        if method not in self._followed:
            self._tell(f"{method}: selecting while {len(self.training_seeds)} seeds are trained", share)
            X, y = self._dataset.X_train, self._dataset.y_train
            selectors = [make_selector(self._config, method).start(X, y) for _ in self.training_seeds]

            def follow(selector: FollowsTraining, seed: int) -> TrainResult:
                every = {"reselect": selector.reselect, "reselect_every": selector.reselect_every}
                return self._train(np.arange(len(y)), None, seed, **every)

            with ThreadPoolExecutor(numba.get_num_threads()) as pool:
                self._followed[method] = list(pool.map(follow, selectors, self.training_seeds))
            self._selectors[method] = selectors[0]
        return self._followed[method]

    def kept(self, selector: Selector | None) -> int:
        """Return how many images an epoch of training reads."""
        if follows_training(selector):
            return total_budget(len(self._dataset.y_train), self._config.selection.keep_ratio)
        return len(self.rows(selector))

    def rows(self, selector: Selector | None) -> np.ndarray:
        """Return the training images that a selection keeps."""
        return np.arange(len(self._dataset.y_train)) if selector is None else selector.indices_

    def write_map(self, path: Path) -> None:
        """Write DE-SNE's map of the images, for the report, where there is one."""
        selector = self._selectors.get("de-sne")
        if selector is not None:
            labels, selected = self._dataset.y_train, selector.indices_
            fs.write_npz(path, embedding=selector.embedding_, labels=labels, selected=selected)

    def _select(self, method: str) -> Selector:
        selector = make_selector(self._config, method)
        if follows_training(selector):
            return selector
        return fit(selector, self._dataset.X_train, self._dataset.y_train)

    def _train(
        self, rows: np.ndarray, images: np.ndarray | None, seed: int, **options: object
    ) -> TrainResult:
        """Return a training on these rows, or on what is to stand in their place."""
        data, section = self._dataset, self._config.training
        return train(
            data.X_train[rows] if images is None else images,
            data.y_train[rows],
            data.X_test,
            data.y_test,
            n_classes=len(data.class_names),
            seed=seed,
            **section.model_dump(exclude={"source", "seeds"}),
            **options,
        )


class _BoardThread:
    """Executes boards one after the other while the next selection and training are computed.

    One thread, in the order of the schemes: the trace comes out the same every time.
    """

    def __enter__(self) -> _BoardThread:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="nmsim-board")
        self._started: list[tuple[Board, Future]] = []
        return self

    def execute(
        self, board: Board, selections: Mapping[int, SelectionWork], epochs: Iterable[list[Step]]
    ) -> None:
        """Execute a board when those before it are done."""
        self._started.append((board, self._pool.submit(board.execute, selections, epochs)))

    def wait(self) -> None:
        """Return when all boards are done; raise what the first failing one raised."""
        for _, future in self._started:
            future.result()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            for board, _ in self._started:
                board.stop()
        self._pool.shutdown(cancel_futures=True)


def _prepare(
    config: RunConfig,
    dataset: Dataset,
    scheme: str,
    selector: Selector | None,
    trained: list[TrainResult],
    writer: TraceWriter | None,
    lines: Mapping[str, LineActivity],
) -> tuple[Board, dict[int, SelectionWork], Iterable[list[Step]]]:
    """Return a scheme's board and what it is to execute; of the trainings the first seed's is simulated."""
    images = _images(dataset)
    _, place = split_scheme(scheme)
    first, batch = trained[0], config.training.batch_size
    sram_bytes = int(config.soc.sram.value)
    arrays = {a.name: a for a in (images, *training_arrays(first.network, batch, sram_bytes))}
    rows, selections, read = np.arange(images.rows), {}, "images"
    if selector is not None:
        buffer = config.near_memory.buffer if place == "nmc" else config.soc.sram
        given = (int(buffer.value), team_units(config) if place == "nmc" else 1)
        arrays |= {a.name: a for a in selector.arrays()}
        kept = len(selector.indices_)
        if follows_training(selector):  # its training reads rows of the whole data set
            selections = {
                found.epoch: SelectionWork(
                    place, selector.round_steps(i, *given), kept, selector.feedback_steps(i)
                )
                for i, found in enumerate(selector.rounds_)
            }
        else:
            rows, selections = selector.indices_, {0: SelectionWork(place, selector.steps(*given), kept)}
            if getattr(selector, "training_images_", None) is not None:
                rows, read = np.arange(kept), selector.training_array
    board = Board(config, scheme, list(arrays.values()), dataset.y_train, writer, lines)
    epochs = training_steps(first.network, first.epoch_orders, rows, batch, sram_bytes, read)
    return board, selections, epochs


def _images(dataset: Dataset) -> ArraySpec:
    return ArraySpec("images", len(dataset.y_train), dataset.image_bytes, per_image=True)
