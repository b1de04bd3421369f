"""The two-dimensional map: t-SNE, or symmetric SNE, by exact gradient descent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numba import get_num_threads, parallel_chunksize, set_num_threads

from nmsim.selection import kernels
from nmsim.selection.affinities import Affinities
from nmsim.selection.features import principal_axes

KERNELS = ("student", "gaussian")

_START_SPREAD = 1e-4  # standard deviation of the first map: small, so that clusters are free to form
_MIN_GAIN = 0.01
_PAIRS_PER_THREAD = 250_000  # of points: some 50 µs, below which it does not pay to wake another thread
_CHUNK_PAIRS = 64  # handed to a thread at a time, so that a thread kept waiting delays the others little


@dataclass(frozen=True)
class Descent:
    """How the map is optimised.

    Attributes
    ----------
    kernel : str
        `student`: weights 1/(1 + d²), t-SNE. `gaussian`: exp(-d²), symmetric SNE.
    n_iter : int
        Iterations in all, at least 1.
    early_exaggeration : float
        Factor on P during the first `exaggeration_share` of them, at least 1.
    exaggeration_share : float
        0 … 1.
    learning_rate : float
        Times n; the step is learning_rate · n / early_exaggeration, as a map's gradients shrink as 1/n.
    """

    kernel: str = "student"
    n_iter: int = 500
    early_exaggeration: float = 4.0
    exaggeration_share: float = 0.1
    learning_rate: float = 1.0


class Forces:
    """The gradient of independent maps side by side, with the scratch arrays that its kernel writes.

    Parameters
    ----------
    joints : sequence of Affinities
        Of each map, with n_1, n_2, … points; n is their sum.
    gaussian : bool
        The kernel of the maps.
    """

    def __init__(self, joints: Sequence[Affinities], gaussian: bool):
        self.sizes = np.array([len(a.starts) - 1 for a in joints])
        self.firsts = np.cumsum(self.sizes) - self.sizes
        edges = np.cumsum([0] + [len(a.P) for a in joints])
        self.starts = np.concatenate(
            [a.starts[:-1] + e for a, e in zip(joints, edges, strict=False)] + [edges[-1:]]
        )
        self.indices = np.concatenate(
            [a.indices + np.int32(f) for a, f in zip(joints, self.firsts, strict=True)]
        )
        self.P = np.concatenate([a.P for a in joints])
        self.gaussian = gaussian
        ends = self.firsts + self.sizes
        leaders = [np.arange(first, end, 2) for first, end in zip(self.firsts, ends, strict=True)]
        maps = np.repeat(np.arange(len(joints)), [len(i) for i in leaders])
        self.pairs = np.stack([np.concatenate(leaders), self.firsts[maps], ends[maps]], axis=1)
        n = int(ends[-1])
        self.attraction, self.repulsion = np.empty((2, 2, n), dtype=np.float32)
        self.weights = np.empty(n, dtype=np.float32)

    def evaluate(self, Y: np.ndarray) -> np.ndarray:
        """Fill the arrays for the maps Y, float32 (2, n), and return Z, the sum of weights, of each."""
        with _threads(int((self.sizes**2).sum()) // _PAIRS_PER_THREAD), parallel_chunksize(_CHUNK_PAIRS):
            kernels.map_forces(
                Y,
                self.pairs,
                self.starts,
                self.indices,
                self.P,
                self.gaussian,
                self.attraction,
                self.repulsion,
                self.weights,
            )
        sums = np.add.reduceat(self.weights, self.firsts, dtype=np.float64)
        return np.maximum(sums, np.finfo(np.float32).tiny)

    def gradient(self, Y: np.ndarray, exaggeration: float = 1.0) -> np.ndarray:
        """Return dKL/dY of every map, shape (2, n), with P times `exaggeration`."""
        Z = np.repeat(self.evaluate(Y), self.sizes).astype(np.float32)
        return np.float32(4.0) * (np.float32(exaggeration) * self.attraction - self.repulsion / Z)

    def kl_divergence(self, Y: np.ndarray) -> np.ndarray:
        """Return KL(P‖Q) of each map, in nats."""
        Z = self.evaluate(Y)
        divergence = np.zeros(len(Z))
        for m, (first, size) in enumerate(zip(self.firsts, self.sizes, strict=True)):
            starts = self.starts[first : first + size + 1]
            edges = slice(starts[0], starts[-1])
            points = np.repeat(np.arange(first, first + size), np.diff(starts))
            d2 = ((Y[:, points] - Y[:, self.indices[edges]]).astype(np.float64) ** 2).sum(axis=0)
            log_w = -d2 if self.gaussian else -np.log1p(d2)
            P = self.P[edges].astype(np.float64)
            there = P > 0
            divergence[m] = (P[there] * (np.log(P[there] * Z[m]) - log_w[there])).sum()
        return divergence


def start_map(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the first map, float32 (n, 2): two principal components, 1e-4 wide, and a hundredth of noise.

    The components are rounded to a millionth of their spread, so that the last bits of the linear algebra
    library, which may depend on its threads, cannot reach the map. The noise moves duplicates and points on
    one line apart.
    """
    n, d = codes.shape
    axes, mean = principal_axes(codes, min(2, d), rng)
    coordinates = np.zeros((n, 2))
    coordinates[:, : axes.shape[1]] = (codes - mean) @ axes
    spread = coordinates[:, 0].std()
    if spread > 0:
        coordinates = np.round(coordinates / spread, 6)
    return ((coordinates + 0.01 * rng.standard_normal((n, 2))) * _START_SPREAD).astype(np.float32)


@contextmanager
def _threads(worth: int) -> Iterator[None]:
    """Let kernels use `worth` threads, at least one and no more than they are allowed now."""
    allowed = get_num_threads()
    set_num_threads(max(1, min(allowed, worth)))
    try:
        yield
    finally:
        set_num_threads(allowed)


def embed(
    joints: Sequence[Affinities], starts: Sequence[np.ndarray], descent: Descent
) -> tuple[list[np.ndarray], np.ndarray]:
    """Return a map for each set of affinities, float32 (n_m, 2), and their KL divergences, float64.

    Parameters
    ----------
    joints : sequence of Affinities
        Of sets of n_m points.
    starts : sequence of ndarray of float32, shape (n_m, 2)
        The first maps.
    descent : Descent

    Notes
    -----
    Gradient descent with momentum 0.5 under exaggeration and 0.8 after it, and one adaptive gain a
    coordinate (R. Jacobs, Neural Networks 1, 1988), as in the authors' t-SNE. The maps do not see each other;
    they advance together because few long parallel loops cost less than many short ones.
    """
    forces = Forces(joints, descent.kernel == "gaussian")
    Y = np.ascontiguousarray(np.concatenate(starts).T)
    velocity, gains = np.zeros_like(Y), np.ones_like(Y)
    rate = np.repeat(descent.learning_rate / descent.early_exaggeration * forces.sizes, forces.sizes)
    rate = rate.astype(np.float32)
    early = round(descent.exaggeration_share * descent.n_iter)
    for iteration in range(descent.n_iter):
        exaggerated = iteration < early
        gradient = forces.gradient(Y, descent.early_exaggeration if exaggerated else 1.0)
        against = (velocity > 0) != (gradient > 0)
        gains = np.where(against, gains + np.float32(0.2), gains * np.float32(0.8))
        np.maximum(gains, np.float32(_MIN_GAIN), out=gains)
        velocity *= np.float32(0.5 if exaggerated else 0.8)
        velocity -= rate * gains * gradient
        Y += velocity
    divergences = forces.kl_divergence(Y)
    return [np.ascontiguousarray(part.T) for part in np.split(Y, forces.firsts[1:], axis=1)], divergences
