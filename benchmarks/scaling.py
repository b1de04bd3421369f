"""How does cost grow with the data? Writes docs/explanation/scaling.md and docs/scaling.png.

    python benchmarks/scaling.py [--imagenet] [--results runs/scaling.json]

Measures selection and boards on random bytes, each point in a process of its own: N images of 3,072 bytes,
and 4,000 images of D bytes. `--imagenet` adds the whole run of hw_configs/imagenet.yaml. What stands in the
results already is read, not measured again. Seconds are those of the processor, so that other work on the
machine counts little.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
BOARD = ROOT / "hw_configs" / "imagenet.yaml"
#: Images, and images of a class, of the points that vary N; and N where D is varied.
NUMBERS, CLASS, IMAGES = (1_000, 10_000, 100_000, 1_281_167), 500, 4_000
#: Of the board: images of a batch, and channels.
BATCH, CHANNELS = 128, 16
#: Classes where nothing is selected.
FEW_CLASSES = 8
#: Heights, widths and channels that vary D, and those that are varied N with.
SHAPES = ((8, 8, 1), (16, 16, 1), (32, 32, 1), (64, 64, 1), (64, 64, 3), (128, 128, 3), (224, 224, 3))
SHAPE = (32, 32, 3)
SCHEMES = ("full", "kernel-herding@nmc")


def main() -> None:
    """Measure what is missing, and write page and figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--imagenet", action="store_true", help="run hw_configs/imagenet.yaml too")
    parser.add_argument("--results", type=Path, default=ROOT / "runs" / "scaling.json")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        given = json.loads(arguments.child)
        print(json.dumps(imagenet() if given == "imagenet" else measure(*given)))
        return
    points = [(n, SHAPE, max(2, n // CLASS)) for n in NUMBERS]
    points += [(IMAGES, shape, IMAGES // CLASS) for shape in SHAPES]
    results = json.loads(arguments.results.read_text()) if arguments.results.exists() else {}
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    for given in [*points, *(["imagenet"] if arguments.imagenet else [])]:
        key = json.dumps(given)
        if key not in results:
            print(f"measuring {key}", flush=True)
            results[key] = in_child(key)
            arguments.results.write_text(json.dumps(results, indent=1))
    measured = [results[json.dumps(point)] for point in points]
    by_number, by_size = measured[: len(NUMBERS)], measured[len(NUMBERS) :]
    draw(by_number, by_size, ROOT / "docs" / "scaling.png")
    page = ROOT / "docs" / "explanation" / "scaling.md"
    page.write_text(text(by_number, by_size, results.get('"imagenet"')), encoding="utf-8")
    print(page)


def in_child(key: str) -> dict:
    """Return a measurement made in a process of its own, whose peak of memory is then its own."""
    words = [sys.executable, __file__, "--child", key]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def peak_bytes() -> int:
    """Return the most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def sets(n: int, shape: tuple[int, int, int], n_classes: int) -> list[str]:
    """Return what is set on the board: one epoch of the smallest network."""
    height, width, channels = shape
    size = f"n_train: {n}, height: {height}, width: {width}, channels: {channels}, n_classes: {n_classes}"
    training = ["training.network=softmax", "training.epochs=1", "simulation.epochs=all"]
    return [f"dataset.synthetic={{{size}}}", f"schemes=[{', '.join(SCHEMES)}]", *training]


def measure(n: int, shape: tuple[int, int, int], n_classes: int) -> dict:
    """Return processor seconds, accesses and memory of the selection and of each scheme's board."""
    import nmsim
    from nmsim.data import load
    from nmsim.learning import Learner
    from nmsim.simulation import prepare

    def play(n: int, shape: tuple[int, int, int], n_classes: int) -> dict:
        found = {}
        # With the classes a step grows longer, and more refreshes fall into it: `full` has always as many.
        for scheme, classes in zip(SCHEMES, (FEW_CLASSES, n_classes), strict=True):
            config = nmsim.load_config(BOARD, sets(n, shape, classes))
            dataset = load(config.dataset)
            learner = Learner(config, dataset, lambda message, share: None)
            start = time.process_time()
            learner.select(scheme)
            found["selection_s"] = time.process_time() - start
            board, *work = prepare(config, dataset, scheme, learner.learn(scheme, 0.0))
            start = time.process_time()
            board.execute(*work)
            found[f"{scheme}_s"] = time.process_time() - start
            course = board.course()
            found[f"{scheme}_accesses"] = course.accesses
            found[f"{scheme}_simulated"] = course.simulated_accesses
        return found

    play(64, shape, 2)  # compiles, or loads, every kernel
    before = peak_bytes()
    found = play(n, shape, n_classes)
    return {
        "n": n,
        "D": shape[0] * shape[1] * shape[2],
        "before_bytes": before,
        **found,
        "peak_bytes": peak_bytes(),
    }


def imagenet() -> dict:
    """Return what the whole run of an ImageNet's size took."""
    import nmsim

    start = time.perf_counter()
    run = nmsim.simulate(nmsim.load_config(BOARD), ROOT / "runs")
    used = resource.getrusage(resource.RUSAGE_SELF)
    schemes = {
        scheme: {key: facts[key] for key in ("accesses", "simulated_share", "time_ps", "system_energy_fJ")}
        for scheme, facts in run.summary["schemes"].items()
    }
    wall_s, cpu_s = time.perf_counter() - start, used.ru_utime + used.ru_stime
    epochs = run.summary["training"]["epochs"]
    return {
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "peak_bytes": peak_bytes(),
        "epochs": epochs,
        "schemes": schemes,
    }


def draw(by_number: list[dict], by_size: list[dict], path: Path) -> None:
    """Draw seconds over N and over D, and memory over N, on logarithmic axes."""
    from nmsim.report.canvas import drawing, new_figure

    lines = {
        "full_s": ("board of full", "#202024", "s"),
        f"{SCHEMES[1]}_s": ("board of the selection near memory", "#d55e00", "D"),
        "selection_s": ("the selection itself", "#0072b2", "^"),
    }
    with drawing():
        figure = new_figure(3.9, 10.5)
        left, middle, right = figure.subplots(1, 3)
        for ax, rows, key, label in (
            (left, by_number, "n", f"images of {SHAPE[0] * SHAPE[1] * SHAPE[2]:,} bytes"),
            (middle, by_size, "D", f"bytes of each of {IMAGES:,} images"),
        ):
            for name, (title, colour, marker) in lines.items():
                ax.loglog(
                    [r[key] for r in rows], [r[name] for r in rows], color=colour, marker=marker, label=title
                )
            ax.set_xlabel(label)
            ax.set_ylabel("processor time (s)")
            ax.grid()
        held = [(r["peak_bytes"] - r["before_bytes"]) / 2**20 for r in by_number]
        right.loglog(
            [r["n"] for r in by_number], held, color="#202024", marker="s", label="held above the start"
        )
        right.loglog(
            [r["n"] for r in by_number],
            [r["n"] * r["D"] / 2**20 for r in by_number],
            color="#8e8e97",
            ls="--",
            label="the images themselves",
        )
        right.set_xlabel("images")
        right.set_ylabel("memory (MiB)")
        right.grid()
        right.legend()
        for axis in (side for ax in (left, middle, right) for side in (ax.xaxis, ax.yaxis)):
            axis.set_major_formatter(lambda value, _: f"{value:,.10g}")
            axis.set_minor_formatter(lambda value, _: "")
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
        figure.savefig(path, dpi=110, metadata={"Software": None})


def table(rows: list[dict]) -> str:
    """Return a table of measurements in Markdown."""
    head = [
        "images",
        "bytes of one",
        "accesses of `full`",
        "board, s",
        "ns an access",
        "accesses of the selection's scheme",
    ]
    head += ["board, s", "ns an access", "selecting, s", "µs an image", "peak memory", "above the start"]
    lines = ["| " + " | ".join(head) + " |", "|" + "--:|" * len(head)]
    for r in rows:
        cells = [f"{r['n']:,}", f"{r['D']:,}"]
        for scheme in SCHEMES:
            seconds, simulated = r[f"{scheme}_s"], r[f"{scheme}_simulated"]
            cells += [f"{r[f'{scheme}_accesses']:,}", f"{seconds:.2f}", f"{seconds / simulated * 1e9:.0f}"]
        cells += [f"{r['selection_s']:.2f}", f"{r['selection_s'] / r['n'] * 1e6:.0f}"]
        cells += [
            f"{r['peak_bytes'] / 2**20:,.0f} MiB",
            f"{(r['peak_bytes'] - r['before_bytes']) / 2**20:,.0f} MiB",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


HEAD = """# How cost grows with the data

Written by `python benchmarks/scaling.py --imagenet`, which also draws the figure. Random bytes stand in the
place of images
([`dataset.synthetic`](../reference/config.md#random-bytes-in-the-place-of-images-datasetsynthetic));
nothing is trained. The board is that of `hw_configs/imagenet.yaml`: 256 GiB of DDR5-4800 in sixteen
subchannels. `full` reads every image once; `kernel-herding@nmc` selects a tenth near memory and reads that.
Seconds are processor seconds of one thread, with other work on the machine; memory is the most that the
process held, and how much that was above what it held after a run of 64 images (libraries, kernels,
tables).

![Processor time and memory over the number and the size of images](../scaling.png)

## What grows, and with what

- **Boards: with the bytes that move.** From {n_low:,} to {n_high:,} images a simulated access of `full`
  takes {ns_low:,.0f} to {ns_high:,.0f} ns: flat, as far as other work on the machine lets it. Each batch of
  {batch} images is a call of the DRAM engine for each of {channels} channels, which takes some
  {call_us:.0f} µs whatever it holds. Of small images that is nearly all ({ns_small:,.0f} ns an access at
  {d_small} bytes); of large ones the engine's own time remains ({ns_large:.0f} ns at {d_large:,} bytes). Near
  memory a step of the engine is a row's visit, not an access.
- **Kernel herding: with the images and their bytes.** Its features are a convolution over each image; what
  grows with the square of a class stays behind that as long as classes have some hundreds of images ([by
  class](methods/kernel-herding.md)).
- **Memory: with the number of images, not with their size.** From {first:,} to {last:,} images the most that
  is held goes from {first_MiB:.0f} to {last_MiB:.0f} MiB, {per_image:.0f} bytes an image: 16 of the random
  stream, its label, its place in each array on the board, its order in an epoch, and the selection's codes
  and sums. The steps of an epoch are made when its turn comes.

## Images of 3,072 bytes, {per_class} a class

{numbers}

## {images:,} images of D bytes

{sizes}
"""

IMAGENET = """
## A run of ImageNet's size

`nmsim run hw_configs/imagenet.yaml`: 1,281,167 images of 150,528 bytes, 193 GB, all resident; `full`,
`random` and `de-sne@nmc` with maps of 1,000 classes from means of 16 × 16 pixels. It took {cpu:.0f}
minutes of processor time, {wall:.0f} minutes by the clock{busy}, and {peak:.1f} GB of memory at most.

| scheme | accesses in all | simulated one by one | simulated time | whole system |
|---|--:|--:|--:|--:|
{schemes}

What was scaled, as its report says too: of {epochs} epochs the first is simulated access by access
({share:.1%} of the accesses of `full`) and stands for all; a DE-SNE iteration that repeats an access pattern
is simulated twice, and then in a block ([how](decisions/0003-repeats.md)). Selecting is done in full, on
random bytes. The whole set lies in memory from the beginning: reading it from storage is not modelled.

What bounds it: DE-SNE holds the neighbours and the affinities of all classes at once, some {desne:.1f} kB
an image at a perplexity of 30. A network whose weights and activations do not fit the SoC's SRAM would move
many times the images' bytes in every step, each of which is an access to simulate; this board has 256 MiB
for that reason.
"""


def text(by_number: list[dict], by_size: list[dict], whole: dict | None) -> str:
    """Return the page."""

    def ns(r: dict) -> float:
        return r["full_s"] / r["full_simulated"] * 1e9

    large = [r for r in by_number if r["n"] >= 10_000]  # fewer are over in a fraction of a second
    longest = by_number[-1]
    page = HEAD.format(
        batch=BATCH,
        channels=CHANNELS,
        call_us=by_size[0]["full_s"] / (-(-IMAGES // BATCH) * CHANNELS) * 1e6,
        n_low=large[0]["n"],
        n_high=longest["n"],
        ns_low=min(map(ns, large)),
        ns_high=max(map(ns, large)),
        ns_small=ns(by_size[0]),
        d_small=by_size[0]["D"],
        ns_large=ns(by_size[-1]),
        d_large=by_size[-1]["D"],
        first=by_number[0]["n"],
        last=longest["n"],
        first_MiB=by_number[0]["peak_bytes"] / 2**20,
        last_MiB=longest["peak_bytes"] / 2**20,
        per_image=max(0, longest["peak_bytes"] - by_number[0]["peak_bytes"]) / longest["n"],
        per_class=CLASS,
        numbers=table(by_number),
        images=IMAGES,
        sizes=table(by_size),
    )
    if whole is None:
        return page
    rows = [
        f"| `{scheme}` | {facts['accesses']:,} | {facts['simulated_share']:.2%} "
        f"| {facts['time_ps'] / 1e12:,.0f} s | {facts['system_energy_fJ'] / 1e18:,.1f} kJ |"
        for scheme, facts in whole["schemes"].items()
    ]
    return page + IMAGENET.format(
        cpu=whole["cpu_s"] / 60,
        wall=whole["wall_s"] / 60,
        busy=whole.get("busy", ""),
        peak=whole["peak_bytes"] / 1e9,
        schemes="\n".join(rows),
        epochs=whole["epochs"],
        share=whole["schemes"]["full"]["simulated_share"],
        desne=(whole["peak_bytes"] - longest["before_bytes"]) / 1_281_167 / 1e3,
    )


if __name__ == "__main__":
    main()
