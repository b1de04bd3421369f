"""A configuration that runs in seconds."""

from pathlib import Path

BOARDS = Path(__file__).parents[2] / "hw_configs"
SMALL = [
    "dataset.name=digits",
    "selection.de_sne.n_iter=100",
    "training.network=softmax",
    "training.epochs=2",
    "training.min_steps=0",
    "training.seeds=2",
    "trace.rows_per_phase=500",
]
