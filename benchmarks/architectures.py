"""Does a subset serve networks other than the one it was judged with? Writes a table of accuracies.

    python benchmarks/architectures.py DATA RUNS OUT.csv [--network mlp cnn-m] [--scheme kernel-herding@nmc …]

RUNS holds runs of `nmsim compare` on the data set in DATA: their selections, one for each keep ratio, are
trained with other networks, as their configurations say. `random` draws anew for each seed. What stands in
OUT.csv already is not repeated.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import yaml

from nmsim.data import Dataset, open_dataset
from nmsim.schemes import Scheme
from nmsim.selection import create
from nmsim.training import Recipe, train

#: Fewer steps where a network takes long: so many more are not needed to tell subsets apart.
STEPS = {"cnn-m": 800, "resnet-8": 800}

COLUMNS = ["network", "scheme", "keep_ratio", "seed", "accuracy"]


def main() -> None:
    """Train what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--network", nargs="+", default=["mlp", "cnn-m"])
    parser.add_argument("--scheme", nargs="+", default=["kernel-herding@nmc", "de-sne@nmc"])
    parser.add_argument("--keep", type=float, nargs="+", default=[0.01, 0.05, 0.1])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    dataset = open_dataset(path=options.data)
    done = {tuple(row[:4]) for row in csv.reader(options.out.open())} if options.out.exists() else set()
    with options.out.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if not done:
            writer.writerow(COLUMNS)
        for network in options.network:
            for folder in sorted(options.runs.glob("*/")):
                config = yaml.safe_load((folder / "config.resolved.yaml").read_text())
                keep = config["selection"]["keep_ratio"]
                for scheme in ["random", *options.scheme] if keep in options.keep else ():
                    for seed in range(config["seed"], config["seed"] + options.seeds):
                        key = network, scheme, str(keep), str(seed)
                        if key not in done:
                            accuracy = trained(dataset, folder, config, network, scheme, keep, seed)
                            writer.writerow([*key, accuracy])
                            file.flush()


def trained(
    dataset: Dataset, folder: Path, config: dict, network: str, scheme: str, keep: float, seed: int
) -> float:
    """Return the accuracy of a network on a run's selection."""
    if scheme == "random":
        rows = create("random", keep, seed).fit(dataset.X_train, dataset.y_train).indices_
    else:
        rows = np.load(folder / f"selected_indices.{Scheme.parse(scheme).file_name}.npy")
        rows = rows if dataset.train_rows is None else np.searchsorted(dataset.train_rows, rows)
    section = {k: v for k, v in config["training"].items() if k not in ("seeds", "source", "network")}
    section["min_steps"] = STEPS.get(network, section["min_steps"])
    result = train(
        dataset.X_train[rows],
        dataset.y_train[rows],
        dataset.X_test,
        dataset.y_test,
        Recipe(network=network, **section),
        n_classes=len(dataset.class_names),
        seed=seed,
    )
    return result.accuracy


if __name__ == "__main__":
    main()
