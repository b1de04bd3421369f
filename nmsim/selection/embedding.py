"""The two-dimensional map: t-SNE, or symmetric SNE, by exact gradient descent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nmsim.selection import kernels
from nmsim.selection.affinities import Affinities
from nmsim.selection.features import principal_axes

KERNELS = ("student", "gaussian")

_START_SPREAD = 1e-4  # standard deviation of the first map: small, so that clusters are free to form
_MIN_GAIN = 0.01


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


@dataclass(eq=False)
class Forces:
    """The gradient of a map, with the scratch arrays that its kernel writes."""

    affinities: Affinities
    gaussian: bool

    def __post_init__(self) -> None:
        n = len(self.affinities.starts) - 1
        self.attraction, self.repulsion = np.empty((2, 2, n), dtype=np.float32)
        self.weights = np.empty(n, dtype=np.float32)

    def evaluate(self, Y: np.ndarray) -> float:
        """Fill the arrays for the map Y, float32 of shape (2, n), and return Z, the sum of all weights."""
        a = self.affinities
        kernels.map_forces(
            Y, a.starts, a.indices, a.P, self.gaussian, self.attraction, self.repulsion, self.weights
        )
        return max(float(self.weights.sum(dtype=np.float64)) - Y.shape[1], np.finfo(np.float32).tiny)

    def gradient(self, Y: np.ndarray, exaggeration: float = 1.0) -> np.ndarray:
        """Return dKL/dY, shape (2, n), with P times `exaggeration`."""
        Z = self.evaluate(Y)
        return 4.0 * (np.float32(exaggeration) * self.attraction - self.repulsion / np.float32(Z))

    def kl_divergence(self, Y: np.ndarray) -> float:
        """Return KL(P‖Q) of the map, in nats."""
        a, Z = self.affinities, self.evaluate(Y)
        P = a.P.astype(np.float64)
        points = np.repeat(np.arange(Y.shape[1]), np.diff(a.starts))
        d2 = ((Y[:, points] - Y[:, a.indices]).astype(np.float64) ** 2).sum(axis=0)
        log_w = -d2 if self.gaussian else -np.log1p(d2)
        there = P > 0
        return float((P[there] * (np.log(P[there] * Z) - log_w[there])).sum())


def start_map(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the first map, float32 (n, 2): two principal components, 1e-4 wide, and a hundredth of noise.

    The components are rounded to a millionth of their spread, so that the last bits of the linear algebra
    library, which may depend on its threads, cannot reach the map. The noise moves duplicates and points on
    one line apart.
    """
    n, d = codes.shape
    axes, mean, _ = principal_axes(codes, min(2, d), rng)
    coordinates = np.zeros((n, 2))
    coordinates[:, : axes.shape[1]] = (codes - mean) @ axes
    spread = coordinates[:, 0].std()
    if spread > 0:
        coordinates = np.round(coordinates / spread, 6)
    return ((coordinates + 0.01 * rng.standard_normal((n, 2))) * _START_SPREAD).astype(np.float32)


def embed(affinities: Affinities, start: np.ndarray, descent: Descent) -> tuple[np.ndarray, float]:
    """Return the map, float32 (n, 2), and its KL divergence.

    Parameters
    ----------
    affinities : Affinities
        Of n points.
    start : ndarray of float32, shape (n, 2)
        The first map.
    descent : Descent

    Notes
    -----
    Gradient descent with momentum 0.5 under exaggeration and 0.8 after it, and one adaptive gain a
    coordinate (R. Jacobs, Neural Networks 1, 1988), as in the authors' t-SNE.
    """
    n = len(start)
    Y = np.ascontiguousarray(start.T)
    if n == 1:
        return np.zeros((1, 2), dtype=np.float32), 0.0
    forces = Forces(affinities, descent.kernel == "gaussian")
    velocity, gains = np.zeros_like(Y), np.ones_like(Y)
    rate = np.float32(descent.learning_rate * n / descent.early_exaggeration)
    early = round(descent.exaggeration_share * descent.n_iter)
    for iteration in range(descent.n_iter):
        exaggerated = iteration < early
        gradient = forces.gradient(Y, descent.early_exaggeration if exaggerated else 1.0)
        against = (velocity > 0) != (gradient > 0)
        gains = np.maximum(np.where(against, gains + np.float32(0.2), gains * np.float32(0.8)), _MIN_GAIN)
        velocity *= np.float32(0.5 if exaggerated else 0.8)
        velocity -= rate * gains * gradient
        Y += velocity
    return np.ascontiguousarray(Y.T), forces.kl_divergence(Y)
