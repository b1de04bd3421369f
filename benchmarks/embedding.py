"""How fast are maps, and how good? Beside scikit-learn, and openTSNE where it is installed, in one run.

    python benchmarks/embedding.py [digits|10k|60k|class]… [--threads 2] [--repeats 1] [--iterations 750]

Fashion-MNIST needs NMSIM_DATA: a folder with its `train-images-idx3-ubyte.gz` and labels, of any split.
Everyone gets the same float32 features (the pixels of digits, 50 principal components else), perplexity 30,
starts from the principal components and does its own usual number of iterations; ours are `--iterations`. All
maps are judged alike: the exact KL divergence under the exact affinities of the nearest 90. Times include the
neighbours. `class` times the whole DE-SNE of all images by class, features and sampling included.
"""

from __future__ import annotations

import argparse
import gzip
import os
import time
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
from sklearn.datasets import load_digits
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from nmsim.selection import DESNE
from nmsim.selection.affinities import joint_affinities
from nmsim.selection.embedding import Descent, Forces, embed, start_map

PERPLEXITY = 30.0
SIZES = {"digits": 1797, "10k": 10_000, "60k": 60_000}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="*", default=["digits", "10k"], help="digits, 10k, 60k, class")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--iterations", type=int, default=750)
    parser.add_argument("--without-sklearn", action="store_true", help="it takes many minutes at 60k")
    options = parser.parse_args()
    numba.set_num_threads(options.threads)
    with threadpool_limits(options.threads):
        for name in options.sets:
            if name == "class":
                by_class()
            else:
                side_by_side(name, options)


def side_by_side(name: str, options: argparse.Namespace) -> None:
    """Print time and divergence of each program, and the ratio of times to ours."""
    X = load_digits().data.astype(np.float32) if name == "digits" else components(SIZES[name])
    for points in (X[:300], X[:5000]):
        ours(points, 3)  # compiles, exact and interpolated
    programs: dict[str, Callable[[], np.ndarray]] = {"nmsim": lambda: ours(X, options.iterations)}
    if not options.without_sklearn:
        programs["scikit-learn"] = lambda: TSNE(
            init="pca", perplexity=PERPLEXITY, random_state=0, n_jobs=options.threads
        ).fit_transform(X)
    try:
        import openTSNE
    except ImportError:
        print("openTSNE is not installed: left out")
    else:
        programs["openTSNE"] = lambda: np.asarray(
            openTSNE.TSNE(perplexity=PERPLEXITY, n_jobs=options.threads, random_state=0).fit(X)
        )
    judge = Forces([joint_affinities(X, PERPLEXITY)], gaussian=False)
    for _ in range(options.repeats):
        took: dict[str, float] = {}
        for program, make in programs.items():
            wall, cpu = time.perf_counter(), time.process_time()
            Y = make()
            took[program], cpu = time.perf_counter() - wall, time.process_time() - cpu
            divergence = judge.kl_divergence(np.ascontiguousarray(Y.T, dtype=np.float32))[0]
            ratio = took[program] / took["nmsim"]
            print(
                f"{name:7} {program:13} {took[program]:7.2f} s ({cpu:7.2f} s of processors)  "
                f"KL {divergence:.4f}  {ratio:5.1f} times nmsim's time",
                flush=True,
            )


def ours(X: np.ndarray, iterations: int) -> np.ndarray:
    """Return nmsim's map."""
    start = start_map(X, np.random.default_rng(0))
    return embed([joint_affinities(X, PERPLEXITY)], [start], Descent(n_iter=iterations))[0][0]


def by_class() -> None:
    """Print the time of DE-SNE on all images, in maps by class."""
    X, y = fashion()
    DESNE(0.1, n_iter=2).fit(X[:2000], y[:2000])
    DESNE(0.1, n_iter=2, forces="interpolated").fit(X[:2000], y[:2000])
    wall, cpu = time.perf_counter(), time.process_time()
    fit = DESNE(0.1).fit(X, y)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    mean = np.mean(list(fit.kl_divergence_.values()))
    print(f"class   de-sne of {len(X)} images {wall:.1f} s ({cpu:.1f} s of processors)  mean KL {mean:.4f}")


def fashion() -> tuple[np.ndarray, np.ndarray]:
    """Return images (n, 28, 28, 1) and labels (n,) from the folder NMSIM_DATA."""
    if "NMSIM_DATA" not in os.environ:
        raise SystemExit("Set NMSIM_DATA to a folder with Fashion-MNIST's gzipped IDX files.")
    (images,) = list(Path(os.environ["NMSIM_DATA"]).rglob("train-images-idx3-ubyte.gz"))[:1]
    labels = images.with_name("train-labels-idx1-ubyte.gz")
    X = np.frombuffer(gzip.decompress(images.read_bytes()), np.uint8, offset=16)
    return X.reshape(-1, 28, 28, 1), np.frombuffer(gzip.decompress(labels.read_bytes()), np.uint8, offset=8)


def components(n: int) -> np.ndarray:
    """Return 50 principal components of the first n images, float32."""
    pixels = fashion()[0][:n].reshape(n, -1).astype(np.float32)
    pixels -= pixels.mean(axis=0)
    _, axes = np.linalg.eigh(pixels.T @ pixels)
    return np.ascontiguousarray(pixels @ axes[:, :-51:-1])


if __name__ == "__main__":
    main()
