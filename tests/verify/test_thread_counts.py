"""Is a run the same to the last bit, trace included, however many threads and processes there are?"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

BOARD = Path(__file__).parents[2] / "hw_configs" / "lpddr4.yaml"
SETS = [
    "dataset.glyphs={n_train: 600, n_test: 60}", "selection.keep_ratio=0.2", "selection.de_sne.n_iter=40",
    "schemes=[full, random, de-sne@nmc, de-sne@host, kernel-herding@nmc, k-center@nmc, herding@host, "
    "graph-cut@host, facility-location@host, adapsne@host, dq@host, nessa@host]",
    "training.network=cnn-s", "training.epochs=1", "training.min_steps=0", "training.seeds=2",
    "selection.methods={nessa: {network: softmax}, dq: {network: softmax, network_epochs: 1}}",
    "simulation.samples=200", "trace.rows_per_phase=2000",
]  # fmt: skip


def files(folder: Path) -> dict[str, str]:
    """Return the hashes of all files of the one run in a folder; the manifest alone may differ."""
    (run,) = folder.iterdir()
    found = {
        str(p.relative_to(run)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in run.rglob("*")
        if p.is_file()
    }
    del found["manifest.json"]
    return found


def run_with(threads: int, out: Path) -> dict[str, str]:
    command = [sys.executable, "-m", "nmsim", "run", str(BOARD), "--no-report", "--out", str(out)]
    command += [word for setting in SETS for word in ("--set", setting)]
    env = os.environ | {"NUMBA_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    env["OPENBLAS_NUM_THREADS"] = str(threads)
    subprocess.run(command, check=True, capture_output=True, env=env)
    return files(out)


def test_one_two_and_five_threads_write_the_same_bytes(tmp_path, record_property):
    runs = {threads: run_with(threads, tmp_path / str(threads)) for threads in (1, 2, 5)}
    assert runs[1] == runs[2] == runs[5]
    assert any(name.startswith("trace/part-") for name in runs[1])
    measured = f"{len(runs[1])} files of a run of 12 schemes, with 1, 2 and 5 threads"
    record_property("figure", ("threads", measured, "the same SHA-256 each, the trace's included"))
