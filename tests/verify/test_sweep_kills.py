"""Does a sweep come to the same table whoever is killed, and whoever computes it?"""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
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


@contextmanager
def started_by_hand(folder, protocol="tcp", options=(), worker="-m distributed.cli.dask_worker"):
    """Give the address of a scheduler with two workers, each a process of its own on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"{protocol}://127.0.0.1:{port}"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    place = ["--host", "127.0.0.1", "--no-dashboard", *options]
    scheduler = ["-m", "distributed.cli.dask_scheduler", *place, "--port", str(port), "--protocol", protocol]
    of_worker = [*worker.split(" ", 1), address, *place, "--nthreads", "1", "--no-nanny"]
    running = [
        subprocess.Popen([sys.executable, *words], **quiet) for words in (scheduler, of_worker, of_worker)
    ]
    try:
        yield address
    finally:
        for process in running:
            process.kill()
            process.wait()


def once_it_answers(folder, address, *options):
    """Run a sweep on a cluster, again while that starts; return its exit code and what it said."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        sweep = start(folder, "--scheduler", address, *options)
        _, said = sweep.communicate(timeout=PATIENCE_S)
        starting = "no scheduler answers" in said or "no workers" in said
        if not starting or time.monotonic() > deadline:
            return sweep.returncode, said


def test_a_scheduler_and_workers_started_by_hand_come_to_it_too(undisturbed, tmp_path):
    folder = new(tmp_path / "cluster")
    with started_by_hand(tmp_path) as address:
        code, said = once_it_answers(folder, address)
    assert code == 0, said
    assert (folder / "out" / "points.csv").read_bytes() == undisturbed


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl, for a certificate")
def test_a_cluster_that_asks_for_tls_comes_to_it_with_the_certificate_and_refuses_without(
    undisturbed, tmp_path
):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=nmsim", "-days", "2", "-nodes", "-newkey", "rsa:2048"]
    subprocess.run(
        ["openssl", "req", "-x509", *subject, "-keyout", key, "-out", cert], check=True, capture_output=True
    )
    files = [f"{name}={path}" for name, path in (("ca-file", cert), ("cert", cert), ("key", key))]
    folder = new(tmp_path / "tls")
    with started_by_hand(tmp_path, "tls", [f"--tls-{file}" for file in files]) as address:
        given = ["--tls-ca", str(cert), "--tls-cert", str(cert), "--tls-key", str(key)]
        code, said = once_it_answers(folder, address, *given)
        assert code == 0, said
        without = start(new(tmp_path / "plain"), "--scheduler", address)
        _, refused = without.communicate(timeout=PATIENCE_S)
    assert (folder / "out" / "points.csv").read_bytes() == undisturbed
    assert without.returncode == 1 and "TLS needs a certificate" in refused and "Traceback" not in refused


def test_workers_that_have_another_version_are_refused_before_any_point(tmp_path):
    other = "import nmsim; nmsim.__version__ = '0.0.1'; from distributed.cli.dask_worker import main; main()"
    folder = new(tmp_path / "cluster")
    with started_by_hand(tmp_path, worker=f"-c {other}") as address:
        code, said = once_it_answers(folder, address)
    assert code == 1 and "another version of nmsim (found 0.0.1" in said and "Traceback" not in said
    assert not list((folder / "out").glob("points/*"))


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
