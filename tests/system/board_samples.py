"""Small pieces of work for a board with 400 images of 4 classes."""

from pathlib import Path

import numpy as np

from nmsim.access.work import Step, Transfer
from nmsim.energy.components import COMPONENTS

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


def energies(board):
    """Return the whole energy by component, in fJ."""
    frame = board.frame()
    return {name: int(frame[f"{name}_fJ"].sum()) for name in COMPONENTS}
