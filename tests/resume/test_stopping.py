"""Does a request to stop end long work at a border, and is nothing of it lost that was finished?"""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner

import nmsim
from nmsim import stop
from nmsim.cli.app import app
from nmsim.config import folder_name
from nmsim.errors import StoreError
from nmsim.store.manifest import is_complete, read_manifest

BOARD = Path(__file__).parents[2] / "hw_configs" / "lpddr4.yaml"
SMALL = ["dataset.glyphs.n_train=200", "dataset.glyphs.n_test=20", "selection.de_sne.n_iter=5"]
SMALL += ["training.network=softmax", "training.epochs=2", "training.min_steps=0", "training.seeds=2"]
SMALL += ["trace.rows_per_phase=100", "simulation.samples=100", "schemes=[full, random, de-sne@nmc]"]


@pytest.fixture(autouse=True)
def ctrl_c():
    """Let SIGINT mean KeyboardInterrupt, whatever runs the tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Return a run that nobody stopped."""
    return nmsim.simulate(nmsim.load_config(BOARD, SMALL), tmp_path_factory.mktemp("whole"), report=False)


def files(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder but the manifest, which knows its own time."""
    found = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    found.pop("manifest.json")
    return found


def interrupted(out: Path, at: str, says: str = "nmsim run --resume", **how: object) -> Path:
    """Return the folder of a run that was stopped when it came to the step that begins so."""
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def tell(message: str, share: float | None) -> None:
        if message.startswith(at):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(stop.Interrupted, match=says):
        nmsim.simulate(nmsim.load_config(BOARD, SMALL), out, tell, report=False, **how)
    (folder,) = out.iterdir()
    return folder


@pytest.fixture(scope="module")
def stopped_once(tmp_path_factory):
    """Return the folder of a run that was stopped when most of it was done."""
    return interrupted(tmp_path_factory.mktemp("stopped"), "full: training")


@pytest.fixture
def stopped(stopped_once, tmp_path):
    """Return a copy of it, to be played with."""
    return Path(shutil.copytree(stopped_once, tmp_path / stopped_once.name))


def test_a_first_request_waits_for_a_border_and_the_last_one_is_the_end_of_the_block():
    reached = []
    with pytest.raises(stop.Interrupted), stop.at_borders():
        stop.check()
        signal.raise_signal(signal.SIGINT)
        reached.append("after")
        with stop.at_borders():
            reached.append("within")
    assert reached == ["after", "within"]
    stop.check()  # and is forgotten then
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_request_is_the_systems_own_and_a_programs_own_handlers_stay():
    with pytest.raises(stop.Interrupted), stop.at_borders():
        signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    own = signal.signal(signal.SIGINT, signal.SIG_IGN)
    with stop.at_borders():
        signal.raise_signal(signal.SIGINT)
        stop.check()
    signal.signal(signal.SIGINT, own)


def test_an_interrupted_run_that_is_resumed_is_the_one_that_nobody_stopped(stopped, undisturbed):
    manifest = read_manifest(stopped, ("interrupted",))
    random = {"selection random", "training random 1", "training random 2"}
    assert set(manifest["kept"]) >= random | {"selection de-sne"}
    assert not (stopped / "summary.json").exists()
    done: list[str] = []
    config = nmsim.load_config(stopped / "config.resolved.yaml")
    run = nmsim.simulate(config, stopped.parent, lambda m, _: done.append(m), report=False, resume=True)
    assert run.path == stopped and files(stopped) == files(undisturbed.path)
    assert not any("selecting" in message for message in done)
    assert run.manifest["status"] == "complete" and "kept" not in run.manifest


def test_an_interrupted_run_is_none_for_those_who_read_runs(stopped):
    assert not is_complete(stopped)
    with pytest.raises(StoreError, match=rf"was interrupted.*nmsim run --resume {stopped}"):
        nmsim.load_run(stopped)


def test_one_that_is_stopped_before_it_has_read_what_was_kept_loses_nothing(stopped):
    before = files(stopped)
    interrupted(stopped.parent, "reading", resume=True)
    assert files(stopped) == before


def test_a_finished_run_is_not_replaced_by_one_that_was_interrupted(undisturbed):
    before = files(undisturbed.path)
    interrupted(undisturbed.path.parent, "reading", says="the finished run .* is as it was")
    assert files(undisturbed.path) == before


def test_resuming_says_what_cannot_be_resumed(stopped):
    def refused(*words: object) -> str:
        result = CliRunner().invoke(app, ["run", "--resume", *map(str, words)])
        assert result.exit_code in (1, 2) and "Traceback" not in result.output
        return result.stderr

    folder = stopped
    assert "this is not a finished run" in refused(folder / "kept")
    assert "--resume" in refused(folder, "--set", "seed=3")
    manifest = json.loads((folder / "manifest.json").read_text())
    for key, message in (
        ("nmsim_version", "another version"),
        ("dataset_sha256", "other data"),
        ("config_sha256", "not the configuration that the run was begun with"),
    ):
        (folder / "manifest.json").write_text(json.dumps({**manifest, key: "0"}))
        assert message in refused(folder)
    text = (folder / "config.resolved.yaml").read_text().replace("seeds: 2", "seeds: 3")
    (folder / "config.resolved.yaml").write_text(text)
    assert "not the configuration that the run was begun with" in refused(folder)
    assert sorted(os.listdir(folder.parent)) == [folder.name]


def test_a_configuration_that_was_edited_is_refused_by_whatever_name_its_folder_goes(stopped):
    file = stopped / "config.resolved.yaml"
    file.write_text(file.read_text().replace("seed: 1\n", "seed: 7\n", 1))
    config = nmsim.load_config(file)
    moved = stopped.rename(stopped.with_name(folder_name(config)))
    result = CliRunner().invoke(app, ["run", "--resume", str(moved)])
    assert result.exit_code == 1 and "not the configuration that the run was begun with" in result.stderr
    with pytest.raises(StoreError, match="interrupted with another configuration"):
        nmsim.simulate(config, moved.parent, report=False, resume=True)


def test_kept_work_that_is_not_what_was_written_is_refused(stopped):
    pieces = sorted((stopped / "kept").iterdir())
    config = nmsim.load_config(stopped / "config.resolved.yaml")
    one, other = (piece.read_bytes() for piece in pieces[:2])
    for contents in ((other, one), (one[:-1], other), (other, other), (None, other)):
        for piece, content in zip(pieces, contents, strict=False):
            piece.unlink(missing_ok=True) if content is None else piece.write_bytes(content)
        with pytest.raises(StoreError, match="what an interrupted run kept is damaged"):
            nmsim.simulate(config, stopped.parent, report=False, resume=True)
