"""What does selection save on boards that people have? Writes docs/results/boards.md.

    python benchmarks/boards.py [--images 50000] [--runs runs] [--out docs/results/boards.md]

Runs each board on as many generated images as CIFAR-10 has, of the same size (32 × 32 × 3 bytes), and puts
the energies with their bands into one table. A run that stands in the folder already is read, not repeated.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nmsim
from nmsim.config import config_hash
from nmsim.energy.layers import LAYERS
from nmsim.report.run import Run, load_run
from nmsim.report.verdict import format_accuracy
from nmsim.units import format_energy, format_time

ROOT = Path(__file__).parents[1]
BOARDS = ("jetson_nano", "orin_nano", "rk3588")
SCHEMES = ("full", "random", "de-sne@nmc", "de-sne@host", "kernel-herding@nmc")

HEAD = """# What selection saves on boards that people have

Written by `python benchmarks/boards.py`. {images:,} generated images (glyphs) of 32 × 32 × 3 bytes in ten
classes, as many and as large as CIFAR-10's; {keep:.0%} kept; {network}, {epochs} epochs. In brackets the
band from 5 to 95 % over {samples:,} boards with every value somewhere in its range
([how](../explanation/uncertainty.md)). "Saves" is the share of these boards on which the scheme takes less
whole-system energy than `full`.

None of these boards has near-memory units: those of the LPDDR4 board are put beside their banks.
"""


def main() -> None:
    """Run what is missing, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "boards.md")
    arguments = parser.parse_args()
    runs = {board: run_of(board, arguments.images, arguments.runs) for board in BOARDS}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(page(runs), encoding="utf-8")
    print(arguments.out)


def run_of(board: str, images: int, folder: Path) -> Run:
    """Return the run of a board, from the folder where it stands there already."""
    sets = [f"dataset.glyphs.n_train={images}", f"dataset.glyphs.n_test={images // 5}"]
    config = nmsim.load_config(
        ROOT / "hw_configs" / f"{board}.yaml", [*sets, f"schemes=[{', '.join(SCHEMES)}]"]
    )
    there = folder / f"{config.name}-{config_hash(config)[:8]}"
    if (there / "manifest.json").exists():
        return load_run(there)
    print(f"{board}: running")
    return nmsim.simulate(config, out=folder)


def page(runs: dict[str, Run]) -> str:
    """Return the page."""
    summary = next(iter(runs.values())).summary
    text = HEAD.format(
        images=summary["dataset"]["n_train"],
        keep=summary["keep_ratio"],
        samples=summary["uncertainty"]["samples"],
        **{key: summary["training"][key] for key in ("network", "epochs")},
    )
    head = ["board", "scheme", "accuracy", *(f"{title} energy" for title in LAYERS.values())]
    head += ["system, to `full`", "saves", "time"]
    lines = ["", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for board, run in runs.items():
        lines += ["| " + " | ".join(cells) + " |" for cells in rows(board, run)]
    return text + "\n".join(lines) + "\n\n" + "\n".join(sentences(runs)) + "\n"


def rows(board: str, run: Run) -> list[list[str]]:
    """Return the table's rows of one board."""
    found = []
    for _, row in run.schemes.iterrows():
        facts = run.summary["schemes"][row["scheme"]]

        def banded(key: str, say, facts=facts) -> str:
            return f"{say(facts[key])} ({say(facts[f'{key}_p05'])} to {say(facts[f'{key}_p95'])})"

        ratio, saves = "–", "–"
        if row["scheme"] != "full":
            ends = [facts[f"ratio_to_full{end}"]["system_energy"] for end in ("", "_p05", "_p95")]
            ratio = "×{:.3g} ({:.3g} to {:.3g})".format(*ends)
            saves = f"{facts['saves_share']['system_energy']:.0%}"
        energies = [banded(f"{layer}_fJ", format_energy) for layer in LAYERS]
        time = banded("time_ps", format_time)
        found.append([board, f"`{row['scheme']}`", format_accuracy(row), *energies, ratio, saves, time])
    return found


def sentences(runs: dict[str, Run]) -> list[str]:
    """Return what the runs' own reports say of each board."""
    from nmsim.report import verdict

    return [
        f"- **{board}.** {' '.join([verdict.headline(run), *verdict.findings(run)])}"
        for board, run in runs.items()
    ]


if __name__ == "__main__":
    main()
