"""How fast is selection? Ratios to something measured in the same run.

    python benchmarks/selection.py

1. The exact map of scikit-learn's 1,797 digits against scikit-learn's Barnes–Hut t-SNE, affinities and first
   map included in both, judged by one divergence: KL of both maps under the same affinities, exactly.
2. Pairs of points a second in the force kernel, against the same forces in NumPy.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.manifold import TSNE

from nmsim.selection.affinities import Affinities, joint_affinities
from nmsim.selection.embedding import Descent, Forces, embed, start_map
from nmsim.selection.features import extract

PERPLEXITY, ITERATIONS, POINTS = 30.0, 750, 2000


def main() -> None:
    """Measure and print."""
    digits_against_barnes_hut()
    forces_against_numpy()


def digits_against_barnes_hut() -> None:
    """Print the ratio of times, and both divergences."""
    X = load_digits().data

    def exact(iterations: int) -> tuple[np.ndarray, Affinities]:
        codes = extract(X, "raw", 1, 1, 0).codes
        joint = joint_affinities(codes, PERPLEXITY)
        start = start_map(codes, np.random.default_rng(0))
        return embed([joint], [start], Descent(n_iter=iterations))[0][0], joint

    exact(1)  # compiles
    ours_s, (Y, joint) = timed(lambda: exact(ITERATIONS))
    theirs = TSNE(init="pca", perplexity=PERPLEXITY, random_state=0)
    theirs_s, Z = timed(lambda: theirs.fit_transform(X))
    forces = Forces([joint], gaussian=False)
    ours, other = (float(forces.kl_divergence(np.ascontiguousarray(M.T, np.float32))[0]) for M in (Y, Z))
    print(f"digits, t-SNE: exact here {ours_s:.2f} s, KL {ours:.3f}")
    print(f"               scikit-learn Barnes–Hut {theirs_s:.2f} s, KL {other:.3f}")
    print(f"               ratio {theirs_s / ours_s:.1f} at {'no higher' if ours <= other else 'HIGHER'} KL")


def forces_against_numpy() -> None:
    """Print pairs a second of the kernel and of array arithmetic on the same map."""
    rng = np.random.default_rng(0)
    codes = rng.integers(-128, 128, (POINTS, 16)).astype(np.int16)
    forces = Forces([joint_affinities(codes, PERPLEXITY)], gaussian=False)
    Y = (20 * rng.standard_normal((2, POINTS))).astype(np.float32)

    def arrays() -> np.ndarray:
        dx, dy = Y[0, :, None] - Y[0], Y[1, :, None] - Y[1]
        w = np.float32(1) / (np.float32(1) + dx * dx + dy * dy)
        w2 = w * w
        return np.stack([(w2 * dx).sum(axis=1), (w2 * dy).sum(axis=1), w.sum(axis=1)])

    kernel_s = min(timed(lambda: forces.evaluate(Y))[0] for _ in range(50))
    arrays_s = min(timed(arrays)[0] for _ in range(5))
    pairs = POINTS * POINTS / 1e9
    print(f"forces: kernel {pairs / kernel_s:.1f} G pairs/s, NumPy {pairs / arrays_s:.2f}, ", end="")
    print(f"ratio {arrays_s / kernel_s:.0f}")


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that `work` took, and its result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


if __name__ == "__main__":
    main()
