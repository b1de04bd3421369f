"""The two-dimensional map: t-SNE, or symmetric SNE, by gradient descent with exact or interpolated forces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numba import get_num_threads, parallel_chunksize, set_num_threads

from nmsim import stop
from nmsim.selection import map_kernels
from nmsim.selection.affinities import Affinities
from nmsim.selection.features import principal_axes
from nmsim.selection.mesh import Mesh

KERNELS = ("student", "gaussian")
FORCES = ("auto", "exact", "interpolated")

#: Points up to which `auto` is exact: there both take equally long, and exact maps are a little better.
CROSSOVER = 6_000

_MOMENTUM = 0.9  # after the exaggeration; 0.8, the usual value, needs half as many iterations more
_START_SPREAD = 1e-4  # standard deviation of the first map: small, so that clusters are free to form
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
    forces : str
        `exact`: the repulsion of all pairs. `interpolated`: from a mesh. `auto`: interpolated in maps of
        more than `CROSSOVER` points.
    """

    kernel: str = "student"
    n_iter: int = 500
    early_exaggeration: float = 4.0
    exaggeration_share: float = 0.1
    learning_rate: float = 1.0
    forces: str = "auto"

    def interpolates(self, n: int) -> bool:
        """Return whether the repulsion in a map of n points is interpolated."""
        return self.forces == "interpolated" or (self.forces == "auto" and n > CROSSOVER)


class Forces:
    """The gradient of independent maps side by side, with the scratch arrays that its kernel writes.

    Parameters
    ----------
    joints : sequence of Affinities
        Of each map, with n_1, n_2, … points; n is their sum.
    gaussian : bool
        The kernel of the maps.
    interpolated : sequence of int
        Numbers of the maps whose repulsion comes from a mesh; none unless told.

    Attributes
    ----------
    meshes : dict of int to Mesh
        Of the interpolated maps, by their number.
    """

    def __init__(self, joints: Sequence[Affinities], gaussian: bool, interpolated: Sequence[int] = ()):
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
        self.meshes = {int(m): Mesh(gaussian) for m in interpolated}
        self._exact = self._pairs([m for m in range(len(joints)) if m not in self.meshes])
        ends = self.firsts + self.sizes
        self._spans = {m: (int(self.firsts[m]), int(ends[m])) for m in self.meshes}
        self._meshed = np.concatenate(
            [np.zeros(0, np.int64), *(np.arange(first, end) for first, end in self._spans.values())]
        )
        n = int(ends[-1])
        self.attraction, self.repulsion = np.empty((2, 2, n), dtype=np.float32)
        self.weights = np.empty(n, dtype=np.float32)

    def _pairs(self, maps: Sequence[int]) -> np.ndarray:
        """Return the points of these maps in twos, as `map_kernels.map_forces` wants them."""
        firsts, ends = self.firsts[maps], self.firsts[maps] + self.sizes[maps]
        leaders = [np.arange(first, end, 2) for first, end in zip(firsts, ends, strict=True)]
        owner = np.repeat(np.arange(len(leaders)), [len(i) for i in leaders])
        points = np.concatenate([np.zeros(0, dtype=np.int64), *leaders])
        return np.stack([points, firsts[owner], ends[owner]], axis=1)

    def evaluate(self, Y: np.ndarray) -> np.ndarray:
        """Fill the arrays for the maps Y, float32 (2, n), and return Z, the sum of weights, of each."""
        if len(self._exact):
            self._compare(Y, self._exact)
        if self.meshes:
            map_kernels.map_attraction(
                Y, self._meshed, self.starts, self.indices, self.P, self.gaussian, self.attraction
            )
        for m, (first, end) in self._spans.items():
            self.meshes[m].evaluate(Y[:, first:end], self.repulsion[:, first:end], self.weights[first:end])
        return self._sums()

    def gradient(self, Y: np.ndarray, exaggeration: float = 1.0) -> np.ndarray:
        """Return dKL/dY of every map, shape (2, n), with P times `exaggeration`."""
        Z = np.repeat(self.evaluate(Y), self.sizes).astype(np.float32)
        return np.float32(4.0) * (np.float32(exaggeration) * self.attraction - self.repulsion / Z)

    def kl_divergence(self, Y: np.ndarray) -> np.ndarray:
        """Return KL(P‖Q) of each map, in nats, with the exact Z whatever the forces."""
        self._compare(Y, self._pairs(range(len(self.sizes))))
        Z, costs = self._sums(), np.empty((2, Y.shape[1]))
        map_kernels.map_costs(Y, self.starts, self.indices, self.P, self.gaussian, costs)
        cost, share = np.add.reduceat(costs, self.firsts, axis=1)
        return cost + share * np.log(Z)

    def _compare(self, Y: np.ndarray, pairs: np.ndarray) -> None:
        """Compare points with all of their maps, exactly."""
        compared = int((pairs[:, 2] - pairs[:, 1]).sum()) * 2
        with _threads(compared // _PAIRS_PER_THREAD), parallel_chunksize(_CHUNK_PAIRS):
            map_kernels.map_forces(
                Y,
                pairs,
                self.starts,
                self.indices,
                self.P,
                self.gaussian,
                self.attraction,
                self.repulsion,
                self.weights,
            )

    def _sums(self) -> np.ndarray:
        sums = np.add.reduceat(self.weights, self.firsts, dtype=np.float64)
        return np.maximum(sums, np.finfo(np.float32).tiny)


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
) -> tuple[list[np.ndarray], np.ndarray, list[dict[int, int]]]:
    """Return a map for each set of affinities.

    Parameters
    ----------
    joints : sequence of Affinities
        Of sets of n_m points.
    starts : sequence of ndarray of float32, shape (n_m, 2)
        The first maps.
    descent : Descent

    Returns
    -------
    maps : list of ndarray of float32, shape (n_m, 2)
    divergences : ndarray of float64
        KL divergence of each, exact, in nats.
    meshes : list of dict of int to int
        Of each map: iterations done on a mesh, by its nodes a side. Empty where the forces were exact.

    Notes
    -----
    Gradient descent with momentum 0.5 under exaggeration and 0.9 after it, and one adaptive gain a
    coordinate (R. Jacobs, Neural Networks 1, 1988). The maps do not see each other;
    they advance together because few long parallel loops cost less than many short ones.
    """
    meshed = [m for m, start in enumerate(starts) if descent.interpolates(len(start))]
    forces = Forces(joints, descent.kernel == "gaussian", meshed)
    used = [Counter[int]() for _ in joints]
    Y = np.ascontiguousarray(np.concatenate(starts).T)
    velocity, gains = np.zeros_like(Y), np.ones_like(Y)
    rates = (descent.learning_rate / descent.early_exaggeration * forces.sizes).astype(np.float32)
    early = round(descent.exaggeration_share * descent.n_iter)
    for iteration in range(descent.n_iter):
        stop.check()
        exaggerated = iteration < early
        Z = forces.evaluate(Y).astype(np.float32)
        map_kernels.descend(
            Y,
            velocity,
            gains,
            forces.attraction,
            forces.repulsion,
            forces.firsts,
            Z,
            rates,
            np.float32(descent.early_exaggeration if exaggerated else 1.0),
            np.float32(0.5 if exaggerated else _MOMENTUM),
        )
        for m, mesh in forces.meshes.items():
            used[m][mesh.side] += 1
    divergences = forces.kl_divergence(Y)
    maps = [np.ascontiguousarray(part.T) for part in np.split(Y, forces.firsts[1:], axis=1)]
    return maps, divergences, [dict(sides) for sides in used]
