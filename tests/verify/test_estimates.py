"""Is the memory that a run takes what was estimated before it, within a factor of 1.5?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nmsim.config import load_config
from nmsim.estimate import estimate_run

BOARD = Path(__file__).parents[2] / "hw_configs" / "lpddr4.yaml"
SHORT = ["training.epochs=1", "training.min_steps=0", "training.seeds=1", "selection.de_sne.n_iter=2"]
SOFTMAX, NO_TRACE = "training.network=softmax", "trace.level=off"

#: Runs that differ in what takes the most memory.
RUNS = {
    "nothing much": ["dataset.glyphs.n_train=200", SOFTMAX, "schemes=[full, de-sne@nmc]"],
    "the trace": ["dataset.glyphs.n_train=6000", SOFTMAX, "schemes=[random]", "trace.level=access",
                  "training.epochs=8"],
    "the default": ["training.seeds=3"],
    "affinities": ["dataset.glyphs.n_train=40000", "schemes=[de-sne@nmc]", SOFTMAX, NO_TRACE],
    "tiles": ["dataset.glyphs.n_train=40000", "schemes=[kernel-herding@nmc]", SOFTMAX, NO_TRACE],
    "orders": ["dataset.synthetic={n_train: 300000, height: 32, width: 32}", "training.backend=none",
               "schemes=[full, random]", NO_TRACE],
    "a method that follows": ["dataset.glyphs.n_train=30000", "schemes=[nessa@host]", SOFTMAX, NO_TRACE],
    "similarities": ["dataset.glyphs.n_train=30000", "schemes=[facility-location@host]", SOFTMAX, NO_TRACE],
    "gradients of a network": ["dataset.glyphs.n_train=20000", "schemes=[dq@host]", SOFTMAX, NO_TRACE],
    "batches": ["dataset.glyphs.n_train=500", "schemes=[random]", "training.network=cnn-m", NO_TRACE,
                "training.batch_size=512", "training.seeds=4"],
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def compiled(tmp_path_factory):
    """Compile the kernels beforehand: that takes memory once, in the first run after an installation."""
    run(tmp_path_factory.mktemp("first"), [*SHORT, "dataset.glyphs.n_train=200", NO_TRACE])


def run(out: Path, sets: list[str]) -> Path:
    """Return the folder of a run in a process of its own."""
    command = [sys.executable, "-m", "nmsim", "run", str(BOARD), "--no-report", "--json"]
    words = [*command, "--out", str(out), *(word for s in sets for word in ("--set", s))]
    done = subprocess.run(words, check=True, capture_output=True, text=True, env=os.environ)
    return Path(json.loads(done.stdout)["path"])


@pytest.mark.slow
@pytest.mark.parametrize("largest", RUNS)
def test_the_peak_is_within_a_factor_of_one_and_a_half_of_the_estimate(tmp_path, largest, record_property):
    sets = [*SHORT, *RUNS[largest]]
    folder = run(tmp_path, sets)
    peak = json.loads((folder / "manifest.json").read_text())["peak_memory_bytes"]
    needs = estimate_run(load_config(BOARD, sets), report=False)
    assert peak / 1.5 < needs.memory_bytes < 1.5 * peak
    written = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    assert written / 3 < needs.disk_bytes
    measured = f"{needs.memory_bytes / 1e6:.0f} MB estimated, {peak / 1e6:.0f} MB at the peak"
    record_property("figure", (f"memory: {largest}", measured, f"ratio {needs.memory_bytes / peak:.2f}"))
