"""Do whole commands withstand failing disks and kill -9, wherever these come?"""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from faults import faults
from test_sweep_kills import processes_of
from typer.testing import CliRunner

import nmsim
from nmsim.cli.app import app
from nmsim.store.manifest import is_complete

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="faults need /proc")]

BOARD = Path(__file__).parents[2] / "hw_configs" / "lpddr4.yaml"
SMALL = ["dataset.glyphs.n_train=200", "dataset.glyphs.n_test=20", "selection.de_sne.n_iter=5"]
SMALL += ["training.network=softmax", "training.epochs=1", "training.min_steps=0", "training.seeds=1"]
SMALL += ["trace.rows_per_phase=100", "simulation.samples=100"]
SETS = [word for setting in SMALL for word in ("--set", setting)]
FEW = ["--set", "schemes=[full, random]"]

#: Operations that fail of each command, spread over all of them; every one where there are fewer.
AT_MOST = 24

#: A shell lets what runs behind its back ignore Ctrl-C.
AS_IN_A_TERMINAL = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from nmsim.cli.app import main
main()
"""


def files(folder: Path) -> dict[str, bytes]:
    """Return all files, hidden ones too; of those that know their time, only that they are there."""
    changing = ("manifest.json", "report.html", "sweep.html", "timing.json")
    return {
        str(p.relative_to(folder)): b"" if p.name in changing else p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file()
    }


def call(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert "Traceback" not in result.output and not isinstance(result.exception, AssertionError)
    return result.exit_code, result.stderr


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return a finished run with a trace."""
    config = nmsim.load_config(BOARD, [*SMALL, "schemes=[full, random]"])
    return nmsim.simulate(config, tmp_path_factory.mktemp("finished"), report=False)


def sweep_file(folder: Path) -> Path:
    fixed = "\n".join(f"  {setting.replace('=', ': ', 1)}" for setting in [*SMALL, "schemes=[full, random]"])
    path = folder / "sweep.yaml"
    path.write_text(f"config: {BOARD}\nset:\n{fixed}\ngrid:\n  link.length: ['20 mm', '40 mm']\n")
    return path


#: What writes how: the words of a command, for a run and a folder to write to.
COMMANDS: dict[str, Callable[[Path, Path], list[object]]] = {
    "run": lambda run, out: ["run", BOARD, "--out", out, "--no-report", *SETS, *FEW],
    "run with a report": lambda run, out: ["run", BOARD, "--out", out, *SETS, *FEW],
    "compare": lambda run, out: ["compare", BOARD, "--out", out, "--keep", "0.1", *SETS],
    "sweep": lambda run, out: ["sweep", sweep_file(run.parent), "--out", out, "--jobs", "1"],
    "trace convert": lambda run, out: ["trace", "convert", run, "--to", "csv", "--out", out / "trace.csv"],
    "select": lambda run, out: ["select", "digits", "--method", "herding", "--out", out / "indices.npy"],
}


@pytest.mark.parametrize("how", [errno.ENOSPC, errno.EIO], ids=["full", "broken"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_failing_operation_ends_a_command_with_a_line_and_no_part_of_a_file(
    finished, tmp_path, command, how, record_property
):
    with faults(tmp_path / "out") as told:
        assert call(*COMMANDS[command](finished.path, tmp_path / "out"))[0] == 0
    whole, operations = files(tmp_path / "out"), len(told.done)
    numbers = sorted(set(np.linspace(1, operations, min(operations, AT_MOST)).astype(int).tolist()))
    for number in numbers:
        out = tmp_path / f"out-{number}"
        with faults(out, number, code=how, short=number % 2 == 0) as told:
            code, line = call(*COMMANDS[command](finished.path, out))
        found = files(out) if out.exists() else {}
        assert not [name for name in found if name.startswith(".") or "/." in name], (told.done[-1], line)
        if command == "sweep" and code:  # its table and figures show the points that were finished
            found = {name: held for name, held in found.items() if name.startswith("points/")}
        assert found.items() <= whole.items(), f"{told.done[number - 1]}: {line}"
        assert code == 1 or found == whole, f"{told.done[number - 1]}: {code} {line}"
        if code:
            assert os.strerror(how) in line and str(out) in line, line
        for folder in out.glob("*/"):
            assert folder.name in ("plots", "points") or is_complete(folder)
        shutil.rmtree(out, ignore_errors=True)
    what = f"`nmsim {command}`, {os.strerror(how).lower()}"
    measured = f"{len(numbers)} of {operations} file operations failed, one at a time"
    record_property("figure", (what, measured, "no part of a file, no litter, one line each"))


@pytest.mark.parametrize("command", ["run", "sweep"])
def test_kill_9_at_any_time_leaves_nothing_half_visible_and_the_next_one_finishes(
    finished, tmp_path, command, record_property
):
    def words(out: Path) -> list[str]:
        return [sys.executable, "-m", "nmsim", *map(str, COMMANDS[command](finished.path, out))]

    began = time.monotonic()
    subprocess.run(words(tmp_path / "whole"), check=True, capture_output=True)
    takes_s, whole = time.monotonic() - began, files(tmp_path / "whole")
    drawn, killed = random.Random(1), 0
    for _ in range(20):
        process = subprocess.Popen(
            words(tmp_path / "out"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            process.wait(drawn.uniform(0.3, 1.0) * takes_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            killed += process.wait() == -signal.SIGKILL
        found = files(tmp_path / "out") if (tmp_path / "out").exists() else {}
        visible = {n: held for n, held in found.items() if not n.startswith(".") and "/." not in n}
        assert visible.items() <= whole.items()
        if command == "run":
            assert not visible or visible == whole
        if visible == whole:
            shutil.rmtree(tmp_path / "out")
    subprocess.run(words(tmp_path / "out"), check=True, capture_output=True)
    assert files(tmp_path / "out") == whole
    assert killed >= 10
    figure = f"{killed} processes killed at random times", "nothing half visible, finished by the next"
    record_property("figure", (f"`kill -9` of `nmsim {command}`", *figure))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_any_time_leaves_a_run_that_resumes_to_the_same_bits(tmp_path, number, record_property):
    long = [*SETS, "--set", "dataset.glyphs.n_train=1500", "--set", "training.seeds=3", "--set",
            "training.epochs=4", "--set", "selection.de_sne.n_iter=200"]  # fmt: skip
    command = [sys.executable, "-c", AS_IN_A_TERMINAL, "run", str(BOARD), "--no-report", *long, "--out"]

    def start(out: Path) -> tuple[subprocess.Popen, float]:
        """Return a run whose folder is being filled, and since when."""
        process = subprocess.Popen([*command, str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        while process.poll() is None and not (out.exists() and any(out.iterdir())):
            time.sleep(0.01)
        return process, time.monotonic()

    process, began = start(tmp_path / "whole")
    assert process.communicate()[1] is not None and process.returncode == 0
    takes_s = time.monotonic() - began
    (whole,) = (tmp_path / "whole").iterdir()
    drawn, resumed, kept = random.Random(2), 0, 0
    for turn in range(6):
        out = tmp_path / f"out-{turn}"
        process, _ = start(out)
        time.sleep(drawn.uniform(0.1, 0.8) * takes_s)
        process.send_signal(number)
        _, line = process.communicate(timeout=300)
        found = [folder for folder in out.iterdir() if not folder.name.startswith(".")]
        if found and is_complete(found[0]):  # the signal came when all was done
            assert files(found[0]) == files(whole)
            continue
        (folder,) = found
        assert process.returncode == 130 and b"nmsim run --resume" in line, line
        kept += len(json.loads((folder / "manifest.json").read_text())["kept"])
        again = [sys.executable, "-m", "nmsim", "run", "--resume", str(folder), "--no-report"]
        subprocess.run(again, check=True, capture_output=True)
        assert files(folder) == files(whole)
        resumed += 1
    assert resumed >= 3
    figure = f"{resumed} runs stopped at random times, {kept} pieces of work kept", "resumed to the same bits"
    record_property("figure", (f"{number.name} to `nmsim run`", *figure))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_sweep_ends_with_its_workers_in_one_line_and_goes_on(tmp_path, number, record_property):
    program = tmp_path / "program.py"  # in a file, which dask's workers can import anew
    program.write_text(AS_IN_A_TERMINAL.replace("\nmain()", "\nif __name__ == '__main__':\n    main()"))
    words = [sys.executable, program, *COMMANDS["sweep"](tmp_path / "run", tmp_path / "out")[:-1], "2"]
    sweep = subprocess.Popen(
        list(map(str, words)), start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    while sweep.poll() is None and not list(tmp_path.glob("out/points/*/summary.json")):
        time.sleep(0.02)
    # A terminal tells the whole group of Ctrl-C; a service manager tells the parent alone.
    (os.killpg if number == signal.SIGINT else os.kill)(sweep.pid, number)
    _, said = sweep.communicate(timeout=300)
    assert sweep.returncode in (0, 130) and b"Traceback" not in said, said
    deadline = time.monotonic() + 60
    while processes_of(sweep.pid) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not processes_of(sweep.pid)
    subprocess.run(list(map(str, words)), check=True, capture_output=True)
    assert len(list(tmp_path.glob("out/points/*/summary.json"))) == 2
    figure = "the sweep and its two workers end", "one line, no process left, finished by the next"
    record_property("figure", (f"{number.name} to `nmsim sweep --jobs 2`", *figure))
