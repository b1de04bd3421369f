"""A sweep that takes a moment: small data, a linear classifier, four boards."""

from pathlib import Path

BOARD = Path(__file__).parents[2] / "hw_configs" / "lpddr4.yaml"

SMALL = """\
config: {board}
set:
  dataset.glyphs: {{n_train: 100, n_test: 20}}
  training: {{network: softmax, epochs: 1, min_steps: 0, seeds: 1}}
  schemes: [full, k-center@nmc]
  selection.keep_ratio: 0.2
  simulation.samples: 100
"""


def write_spec(folder, what, small=SMALL):
    """Write a sweep's file and return its path."""
    path = folder / "spec.yaml"
    path.write_text(small.format(board=BOARD) + what)
    return path
