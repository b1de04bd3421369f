"""Does kernel herding choose better images than chance? Accuracies of one network, seed by seed.

    python benchmarks/kernel_herding.py DATA [--validation] [--keep 0.01 0.05 0.1] [--seeds 5] \\
        [--augmentation flip_crop] [--variant features=pca,bandwidths=1]…

DATA is a folder with a data set in a format that nmsim reads. Each seed draws the random subset, the filters
of the herding, the first weights and the order of the images. Differences are paired by seed, and their p
values are those of Student's paired test, two-sided. Printed are rows of Markdown.

With `--validation` a fifth of the training images takes the place of the test images, which nothing touches:
what is chosen by looking at accuracies is to be chosen so.
"""

from __future__ import annotations

import argparse
import time

import numba
import numpy as np
from scipy import stats

from nmsim.data import open_dataset
from nmsim.rng import stream
from nmsim.selection import create
from nmsim.training import Recipe, train

#: Batch and steps by keep ratio: enough steps that more do not help random subsets either.
TRAINING = {0.01: (32, 1200), 0.05: (64, 1500), 0.1: (64, 1800)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data")
    parser.add_argument("--validation", action="store_true")
    parser.add_argument("--keep", type=float, nargs="+", default=[0.01, 0.05, 0.1])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--network", default="cnn-s")
    parser.add_argument("--augmentation", default="none")
    parser.add_argument("--threads", type=int, default=numba.get_num_threads())
    parser.add_argument("--variant", action="append", help="parameters of KernelHerding, NAME=VALUE,…")
    options = parser.parse_args()
    numba.set_num_threads(options.threads)
    data = open_dataset(path=options.data)
    images = data.X_train, data.y_train, data.X_test, data.y_test
    if options.validation:
        images = hold_out(data.X_train, data.y_train)
    X, y, _, z = images
    seeds = range(options.seeds)
    way = {"network": options.network, "augmentation": options.augmentation}

    def accuracies(method: str, keep: float, **parameters: object) -> np.ndarray:
        """Return the accuracy of each seed in %."""
        rows = [selected(method, seed, keep, **parameters) for seed in seeds]
        return np.array([trained(*images, rows[s], keep, s, **way) for s in seeds])

    orders = {}

    def selected(method: str, seed: int, keep: float, **parameters: object) -> np.ndarray:
        if method == "random":
            return create(method, keep, seed).fit(X, y).indices_
        key = (seed, *sorted(parameters.items()))
        if key not in orders:  # one order serves all keep ratios
            orders[key] = create(method, max(options.keep), seed, **parameters).fit(X, y)
        return orders[key].prefix(keep)

    print(f"{data.name}: {len(y):,} images, {len(z):,} to test with, {options.network}, {len(seeds)} seeds")
    print("| kept | random | kernel-herding | accuracy | difference | p |\n|---|---|---|---|---|---|")
    for keep in options.keep:
        base = accuracies("random", keep)
        for variant in options.variant or [""]:
            start = time.perf_counter()
            ours = accuracies("kernel-herding", keep, **parsed(variant))
            differences = ours - base
            p = stats.ttest_rel(ours, base).pvalue
            print(
                f"| {keep:.0%} | {spread(base)} | {variant or 'default'} | {spread(ours)} "
                f"| {differences.mean():+.2f} ± {differences.std(ddof=1):.2f} | {p:.2g} |"
                f" <!-- {time.perf_counter() - start:.0f} s -->",
                flush=True,
            )


def hold_out(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return four fifths of training images and labels to select from, and the rest to validate with."""
    held = stream(0, "benchmark", "validation").permutation(len(y)) < len(y) // 5
    return X[~held], y[~held], X[held], y[held]


def trained(X, y, Z, z, rows, keep: float, seed: int, **way: str) -> float:
    """Return the accuracy in % on Z with labels z after training on these rows of X, `way` as for `train`."""
    batch, steps = TRAINING[min(TRAINING, key=lambda ratio: abs(ratio - keep))]
    result = train(
        X[rows],
        y[rows],
        Z,
        z,
        Recipe(epochs=1, batch_size=batch, min_steps=steps, **way),
        seed=seed,
        n_classes=int(y.max()) + 1,
    )
    return 100 * result.accuracy


def parsed(variant: str) -> dict[str, object]:
    """Return the parameters of "features=pca,bandwidths=0.25+1+4"."""
    parameters: dict[str, object] = {}
    for name, value in (pair.split("=") for pair in variant.split(",") if pair):
        if name == "bandwidths":
            parameters[name] = tuple(float(part) for part in value.split("+"))
        else:
            parameters[name] = int(value) if value.isdigit() else value
    return parameters


def spread(values: np.ndarray) -> str:
    """Return mean ± standard deviation."""
    return f"{values.mean():.2f} ± {values.std(ddof=1):.2f}"


if __name__ == "__main__":
    main()
