"""A board with two arrays, and small pieces of work for it."""

from pathlib import Path

import numpy as np
import pytest

from nmsim.access.work import ArraySpec, Step, Transfer
from nmsim.config import load_config
from nmsim.system.board import Board, SelectionWork
from nmsim.trace.writer import TraceWriter

BOARDS = Path(__file__).parents[2] / "hw_configs"
N, CLASSES, RECORD_BYTES = 400, 4, 3072
GROUPS = np.arange(N) % CLASSES


def epoch(rows, batch=40, macs=0):
    """Return the steps of one training epoch that reads `rows` in batches."""
    batches = [rows[i : i + batch] for i in range(0, len(rows), batch)]
    return [Step("training", (Transfer("images", b),), {"mac_fp16": macs}) for b in batches]


def one_pass(phase="scan", repeat=1, operations=None):
    """Return one step per class that streams its images once."""
    return [
        Step(
            phase,
            (Transfer("images", np.flatnonzero(g == GROUPS)),),
            operations or {},
            group=g,
            repeat=repeat,
        )
        for g in range(CLASSES)
    ]


@pytest.fixture
def execute(tmp_path):
    """Return a function that executes a scheme on a board and gives the board and its trace writer."""

    def run(selection=None, epochs=(), board="lpddr4", place="nmc", **overrides):
        sets = [f"{key.replace('__', '.')}={value}" for key, value in overrides.items()]
        config = load_config(BOARDS / f"{board}.yaml", sets)
        arrays = [ArraySpec("images", N, RECORD_BYTES), ArraySpec("indices", 40, 4)]
        folder = tmp_path / f"trace-{len(list(tmp_path.iterdir()))}"
        with TraceWriter(folder) as writer:
            machine = Board(config, "scheme", arrays, GROUPS, writer)
            work = None if selection is None else SelectionWork(place, selection, 40)
            machine.execute(work, epochs)
        return machine, writer

    return run


def energies(board):
    """Return the whole energy by component, in fJ."""
    frame = board.meter.frame()
    return {c.removesuffix("_fJ"): int(frame[c].sum()) for c in frame.columns if c.endswith("_fJ")}
