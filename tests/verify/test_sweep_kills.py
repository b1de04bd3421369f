"""Does a sweep come to the same table whoever is killed, and whoever computes it?"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

BOARD = Path(__file__).parents[2] / "hw_configs" / "lpddr4.yaml"
SPEC = """\
config: {board}
set:
  dataset.glyphs: {{n_train: 300, n_test: 60}}
  training: {{network: softmax, epochs: 2, min_steps: 0, seeds: 2}}
  schemes: [full, random, k-center@nmc]
  simulation.samples: 200
grid:
  selection.keep_ratio: [0.1, 0.2, 0.3]
  near_memory.buffer: [1 KiB, 4 KiB, 16 KiB]
  link.length: [20 mm, 60 mm]
"""
PATIENCE_S = 600


def start(folder, *options):
    """Return a sweep that has begun, in a session of its own."""
    command = [
        sys.executable,
        "-m",
        "nmsim",
        "sweep",
        str(folder / "spec.yaml"),
        "--out",
        str(folder / "out"),
    ]
    return subprocess.Popen([*command, *options], start_new_session=True, stderr=subprocess.PIPE, text=True)


def finish(folder, *options):
    """Run a sweep to its end and return its table's bytes."""
    sweep = start(folder, *options)
    _, said = sweep.communicate(timeout=PATIENCE_S)
    assert sweep.returncode == 0, said
    return (folder / "out" / "points.csv").read_bytes()


def new(folder):
    folder.mkdir(exist_ok=True)
    (folder / "spec.yaml").write_text(SPEC.format(board=BOARD))
    return folder


def processes_of(session):
    """Return the numbers of all live processes of a session."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, of = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(of) == session and state != "Z":
            found.append(int(stat.parent.name))
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return finish(new(tmp_path_factory.mktemp("undisturbed")), "--jobs", "1")


def test_two_workers_come_to_the_table_of_one_process(undisturbed, tmp_path):
    assert finish(new(tmp_path / "two"), "--jobs", "2") == undisturbed


def test_a_scheduler_and_workers_started_by_hand_come_to_it_too(undisturbed, tmp_path):
    port = 20_000 + os.getpid() % 20_000
    address = f"tcp://127.0.0.1:{port}"
    dask = (
        [sys.executable, "-m", "distributed.cli.dask_scheduler"],
        [sys.executable, "-m", "distributed.cli.dask_worker"],
    )
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    place = ["--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0"]
    running = [subprocess.Popen([*dask[0], *place, "--port", str(port), "--no-dashboard"], **quiet)]
    try:
        for _ in range(2):
            options = ["--host", "127.0.0.1", "--nthreads", "1", "--no-dashboard", "--no-nanny"]
            running.append(subprocess.Popen([*dask[1], address, *options], **quiet))
        deadline = time.monotonic() + PATIENCE_S
        while True:
            sweep = start(new(tmp_path / "cluster"), "--scheduler", address)
            _, said = sweep.communicate(timeout=PATIENCE_S)
            if sweep.returncode == 0 or time.monotonic() > deadline:
                break
            assert "no scheduler answers" in said or "no workers" in said, said  # they are still starting
        assert (tmp_path / "cluster" / "out" / "points.csv").read_bytes() == undisturbed
    finally:
        for process in running:
            process.kill()
            process.wait()


@pytest.mark.parametrize("seed", range(3))
def test_a_sweep_whose_parent_is_killed_leaves_no_process_and_goes_on(undisturbed, tmp_path, seed):
    rng, folder = random.Random(seed), new(tmp_path / "killed")
    for _ in range(2):
        sweep = start(folder, "--jobs", "2")
        wait_for_points(sweep, folder, rng.randint(0, 6))
        os.kill(sweep.pid, signal.SIGKILL)
        sweep.wait()
        deadline = time.monotonic() + 60
        while processes_of(sweep.pid) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert not processes_of(sweep.pid), "children outlive their parent"
    assert finish(folder, "--jobs", "2") == undisturbed


@pytest.mark.parametrize("seed", range(2))
def test_a_sweep_whose_workers_are_killed_tries_their_points_again(undisturbed, tmp_path, seed):
    rng, folder = random.Random(seed), new(tmp_path / "workers")
    sweep = start(folder, "--jobs", "2")
    wait_for_points(sweep, folder, rng.randint(0, 4))
    # Of the children only workers use this much memory: the others track resources.
    workers = [pid for pid in processes_of(sweep.pid) if pid != sweep.pid and resident_MB(pid) > 80]
    if workers and sweep.poll() is None:
        os.kill(rng.choice(workers), signal.SIGKILL)
    _, said = sweep.communicate(timeout=PATIENCE_S)
    assert sweep.returncode == 0, said
    assert (folder / "out" / "points.csv").read_bytes() == undisturbed


def wait_for_points(sweep, folder, number):
    """Return when so many points are finished, or the sweep is."""
    while sweep.poll() is None and len(list((folder / "out").glob("points/*/summary.json"))) < number:
        time.sleep(0.02)


def resident_MB(pid):
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
