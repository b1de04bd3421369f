"""Every selection method on real images. Writes docs/results/selection.md and its figure.

    python benchmarks/selection_results.py DATA [--runs runs/results] [--out docs/results]

DATA holds a folder whose name begins with fashion-mnist, and one with cifar-10, in formats that nmsim reads.
Runs that stand in the folder of runs already are read, not repeated: what was interrupted goes on where it
was. All of it takes some two hours of one processor.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from architectures import STEPS
from scipy.stats import ttest_rel

import nmsim
from nmsim.comparison import Plan, compare
from nmsim.config import RunConfig
from nmsim.data import load
from nmsim.report.comparison import figures, markdown
from nmsim.schemes import Scheme

ROOT = Path(__file__).parents[1]
DATA_SETS = {"fashion-mnist": "Fashion-MNIST", "cifar-10": "CIFAR-10"}
RATIOS = (0.01, 0.05, 0.1, 0.2, 0.3)

HEAD = """# Selection methods, compared

Written by `make results NMSIM_DATA=…` (`benchmarks/selection_results.py`), which needs the images and some
two hours of one processor.

Each method chooses once, and the network is trained on its choice with {seeds} seeds, which draw the first
weights and the order of the images; `random` draws anew for each seed, evenly over the classes. Accuracies
are of the test images, in %, mean ± standard deviation. "Against random" is the mean difference, seed by
seed, with the half width of its 95 % interval, and p is of Student's paired test, two-sided. An interval so
says what another training would change, not what the same method with another seed would choose. `dq`, `dqas`
and `nessa` select with the network that is trained. There are {tests} comparisons in these tables: of as many
without any difference one in twenty would have p < 0.05.

Energies are those of selection and training on the default board (LPDDR4, near-memory units at the banks),
with the band from 5 to 95 % over boards with every value in its range; of each stretch of the training one
epoch is simulated. Small subsets are trained for as many steps as large ones here, for they need them: the
training on 1 % costs nearly what that on 30 % does, so that a selection saves less energy than with equal
epochs, and several cost more than training on everything.
"""

#: What a reader of a data set's tables should know.
NOTES = {
    "fashion-mnist": "The images are a new stratified split of all 70,000: not comparable with published "
    "figures.",
    "cifar-10": "To choose from are two of the five training batches. Augmented images are learnt slowly: "
    "longer trainings lift every scheme ([kernel herding](../explanation/methods/kernel-herding.md"
    "#what-it-gains) has random at 50.05 % for 5 % kept), and what 20 and 30 % can reach is bounded by the "
    "steps rather than by the images.",
}

ARCHITECTURES = """## The same choices, other networks

The selections above, which know no network or were made with cnn-s (`dq`, `dqas`), train other networks:
{seeds} seeds, cnn-m for {steps} steps. Difference to random in points ± half width of its 95 % interval; in
the column cnn-s that of the {main} seeds above. `dq` and `dqas` lose with a strange network what is less than
in the column cnn-s.
"""


def main() -> None:
    """Run what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "results")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results")
    options = parser.parse_args()
    tables, others, configs = {}, {}, {}
    for name in DATA_SETS:
        folder = next(iter(sorted(options.data.glob(f"{name}*"))), None)
        if folder is None:
            parser.error(f"{options.data} holds no folder whose name begins with {name}")
        runs = options.runs / name
        configs[name] = config = nmsim.load_config(
            ROOT / "hw_configs" / "results" / f"{name}.yaml", [f"dataset.path={folder.absolute()}"]
        )
        plan = Plan(config.schemes, RATIOS, (config.training.network,))
        tables[name] = compare(config, plan, runs, lambda message, _, name=name: print(f"{name}: {message}"))
        others[name] = other_networks(folder, runs)
    options.out.mkdir(parents=True, exist_ok=True)
    plot = picture(tables)
    (options.out / "selection.png").write_bytes(plot.png())
    page = options.out / "selection.md"
    page.write_text("\n".join(parts(tables, others, configs)), encoding="utf-8")
    print(page)


def other_networks(data: Path, runs: Path) -> pd.DataFrame:
    """Return the accuracies of other networks on the runs' selections, a row for each training."""
    table = runs / "architectures.csv"
    script = [sys.executable, str(ROOT / "benchmarks" / "architectures.py"), str(data), str(runs), str(table)]
    own, with_network = ["kernel-herding@nmc", "de-sne@nmc"], ["dq@host", "dqas@host"]
    subprocess.run([*script, "--network", "mlp", "--scheme", *own, *with_network], check=True)
    subprocess.run([*script, "--network", "cnn-m", "--scheme", *own], check=True)
    subprocess.run([*script, "--network", "cnn-m", "--scheme", *with_network, "--keep", "0.05"], check=True)
    return pd.read_csv(table)


def parts(
    tables: dict[str, pd.DataFrame], others: dict[str, pd.DataFrame], configs: dict[str, RunConfig]
) -> Iterator[str]:
    """Yield the parts of the page."""
    training = next(iter(configs.values())).training
    tests = sum(
        len(table.dropna(subset="p_value").drop_duplicates(["accuracy_mean", "keep_ratio"]))
        for table in tables.values()
    )
    yield HEAD.format(seeds=training.seeds, tests=tests)
    yield "![Accuracy over the energy of selection and training](selection.png)\n"
    yield "Marks of a scheme from below: 1, 5, 10, 20 and 30 % kept; bars: sd, band of the energy.\n"
    for name, title in DATA_SETS.items():
        yield f"## {title}\n"
        yield f"{about(configs[name])} {NOTES[name]}\n"
        yield overview(tables[name])
        whole = markdown(tables[name]).replace("### Trained", "### All figures, trained")
        yield whole
    seeds = int(next(iter(others.values())).groupby(["network", "scheme", "keep_ratio"]).size().max())
    yield ARCHITECTURES.format(seeds=seeds, steps=STEPS["cnn-m"], main=training.seeds)
    yield from architectures(tables, others)


def about(config: RunConfig) -> str:
    """Return what the data and the training are."""
    dataset, given = load(config.dataset), config.training
    n, shape = len(dataset.y_train), "×".join(map(str, dataset.X_train.shape[1:]))
    steps = f"at least {given.epochs} epochs and {given.min_steps:,} steps of {given.batch_size} images"
    augmented = {"none": "no augmentation", "flip_crop": "mirrored and shifted at random"}
    return (
        f"{n:,} images of {shape} bytes to choose from, {len(dataset.y_test):,} to test with. "
        f"{given.network}, {steps}, learning rate {given.learning_rate:g} ({given.schedule}), "
        f"momentum {given.momentum:g}, weight decay {given.weight_decay:g}, "
        f"{augmented[given.augmentation]}; the same for every scheme."
    ).replace("×1 bytes", " bytes")


def overview(table: pd.DataFrame) -> str:
    """Return the differences to random by scheme and share kept; bold where p < 0.05 for the better."""
    table = table.assign(method=[Scheme.parse(scheme).method for scheme in table["scheme"]])
    kept = table[~table["scheme"].isin(["full"])].drop_duplicates(["method", "keep_ratio"])
    ratios = sorted(kept["keep_ratio"].unique())
    lines = ["| method | " + " | ".join(f"{ratio:.0%}" for ratio in ratios) + " |"]
    lines.append("|---" * (1 + len(ratios)) + "|")
    for method, rows in kept.groupby("method", sort=False):
        cells = []
        for ratio in ratios:
            row = rows[rows["keep_ratio"] == ratio].iloc[0]
            if method == "random":
                cells.append(f"{100 * row['accuracy_mean']:.2f} ± {100 * row['accuracy_sd']:.2f}")
                continue
            gain = f"{100 * row['gain']:+.2f} ± {100 * row['gain_ci95']:.2f}"
            cells.append(f"**{gain}**" if row["gain"] > 0 and row["p_value"] < 0.05 else gain)
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    full = table[table["scheme"] == "full"].iloc[0]
    lines.append("")
    lines.append(
        "Random's accuracy, then differences to it in points ± half width of the 95 % interval, bold where "
        "the method is better and p < 0.05. Trained on everything: "
        f"{100 * full['accuracy_mean']:.2f} ± {100 * full['accuracy_sd']:.2f}.\n"
    )
    return "\n".join(lines)


def architectures(tables: dict[str, pd.DataFrame], others: dict[str, pd.DataFrame]) -> Iterator[str]:
    """Yield a table of differences to random by network."""
    networks = list(dict.fromkeys(network for found in others.values() for network in found["network"]))
    yield "| data | kept | scheme | cnn-s | " + " | ".join(networks) + " |"
    yield "|---" * (4 + len(networks)) + "|"
    for name, title in DATA_SETS.items():
        found, table = others[name], tables[name].set_index(["scheme", "keep_ratio"])
        of = {
            key: rows.sort_values("seed")["accuracy"].to_numpy()
            for key, rows in found.groupby(["network", "scheme", "keep_ratio"])
        }
        for ratio in sorted(found["keep_ratio"].unique()):
            for scheme in [s for s in found["scheme"].unique() if s != "random"]:
                row = table.loc[(scheme, ratio)]
                cells = [f"{100 * row['gain']:+.2f} ± {100 * row['gain_ci95']:.2f}"]
                for network in networks:
                    ours, random = (of.get((network, s, ratio)) for s in (scheme, "random"))
                    measured = ours is not None and len(ours) == len(random)
                    cells.append(difference(ours, random) if measured else "not measured")
                yield f"| {title} | {ratio:.0%} | `{scheme}` | " + " | ".join(cells) + " |"
    yield ""


def difference(ours: np.ndarray, random: np.ndarray) -> str:
    """Return the mean difference in points, and the half width of its 95 % interval."""
    interval = ttest_rel(ours, random).confidence_interval()
    return f"{100 * (ours - random).mean():+.2f} ± {50 * (interval.high - interval.low):.2f}"


def picture(tables: dict[str, pd.DataFrame]):
    """Return accuracy over energy, a panel for each data set."""
    named = [
        table.assign(network=f"{DATA_SETS[name]}, {table['network'].iloc[0]}")
        for name, table in tables.items()
    ]
    return figures(pd.concat([t.assign(selected_with="") for t in named], ignore_index=True))[1]


if __name__ == "__main__":
    main()
