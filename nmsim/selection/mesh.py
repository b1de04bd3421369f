"""Repulsion in a large map, interpolated from a square mesh: time and memory linear in the points.

The repulsive force is minus half the gradient of one potential, phi(y) = sum_j w(y - y_j): for w = 1/(1 +
d²) as for w = exp(-d²), grad w = -2 w g (y - y_j) with the g of `map_kernels.map_forces`. So one convolution
gives the forces and the weights at once. The scheme is that of smooth particle-mesh Ewald (U. Essmann et
al., J. Chem. Phys. 103, 1995): points are spread on the mesh by quintic B-splines, the mesh is convolved
with the weights by fast Fourier transforms (doubled, so that nothing wraps around), and the same splines
interpolate the potential.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numba
import numpy as np
from numba import prange
from scipy import fft

from nmsim.compiled import njit
from nmsim.selection.map_kernels import VECTOR

#: Distance of neighbouring nodes in the units of the map. The weights are one unit wide.
SPACING = 0.4
#: Nodes a side at least: a map smaller than this many spacings gets a finer mesh.
MIN_SIDE = 64
_BLOCK = 128  # lines that are transformed together, whatever the number of threads
_ORDER = 6  # nodes that a quintic spline reaches along an axis
_LANES = 8  # the same, filled up with zeros for vector units


class Mesh:
    """Forces of one map on a mesh that follows its size.

    Parameters
    ----------
    gaussian : bool
        Weights exp(-d²) where true, else 1/(1 + d²).
    spacing : float
        Distance of nodes, above 0; the error of a force falls as its fifth power.

    Attributes
    ----------
    side : int
        Nodes a side of the last mesh.
    """

    def __init__(self, gaussian: bool, spacing: float = SPACING):
        self.gaussian, self.spacing, self.side = gaussian, spacing, 0

    def evaluate(self, Y: np.ndarray, repulsion: np.ndarray, weights: np.ndarray) -> None:
        """Write the repulsion (2, n) and the weights (n,) of a map Y, float32 (2, n), as `map_forces` does.

        In a map smaller than the smallest mesh the weights lie near 1, and their differences would drown in
        the last bits: there w - 1 is convolved, and the sum's n is added at the end.
        """
        n, low = Y.shape[1], Y.min(axis=1).astype(np.float64)
        span = float((Y.max(axis=1) - low).max())
        fine = span < (MIN_SIDE - _LANES) * self.spacing
        # a growing map changes its fine mesh in steps of the square root of two, and seldom
        h = (
            2.0 ** (np.ceil(2 * np.log2(max(span, 1e-30) / (MIN_SIDE - _LANES))) / 2)
            if fine
            else self.spacing
        )
        self.side = side = MIN_SIDE if fine else mesh_side(span / h + _LANES)
        origin = low - 2 * h  # a point's first node lies two before its cell
        cells, splines = np.empty((2, n), np.int32), np.empty((n, 4, _LANES), np.float32)
        _locate(Y, origin, h, cells, splines)
        density = np.zeros((side, side), dtype=np.float32)
        order, starts = _by_row(cells[0], side)
        _spread(cells, splines, order, starts, density)
        transform, own = _transform(side, h, fine, self.gaussian)
        potential = convolve(density, transform)
        others = np.float32(n - 1 if fine else 0)
        _gather(cells, splines, h, potential, own, others, repulsion, weights)


def mesh_side(nodes: float) -> int:
    """Return a number of nodes a side, at least `nodes`, whose double has no prime factor above 5."""
    side = int(np.ceil(nodes))
    while fft.next_fast_len(2 * side, real=True) != 2 * side:
        side += 1
    return side


def butterflies(side: int) -> int:
    """Return the butterflies of one convolution: a complex product and two complex sums each.

    Of m values in radix 2, m/2 · log2 m. A doubled line has m = 2 · side; `side` real lines, at half the
    price, and side + 1 columns are transformed, there and back.
    """
    line = side * int(np.ceil(np.log2(2 * side)))
    return side * line + 2 * (side + 1) * line


def convolve(density: np.ndarray, transform: np.ndarray) -> np.ndarray:
    """Return the potential (side, side) of a density (side, side), given the transform of the weights.

    Lines are transformed in blocks of a fixed size, so that the number of threads cannot change a bit.
    """
    side = len(density)
    lines = [slice(i, min(i + _BLOCK, side)) for i in range(0, side, _BLOCK)]
    columns = [slice(i, min(i + _BLOCK, side + 1)) for i in range(0, side + 1, _BLOCK)]
    spectrum = np.empty((side, side + 1), dtype=np.complex64)
    potential = np.empty((side, side), dtype=np.float32)

    def forwards(part: slice) -> None:
        spectrum[part] = fft.rfft(density[part], n=2 * side, axis=1)

    def across(part: slice) -> None:
        # transposed: the library is quicker along lines that lie whole in memory
        wave = fft.fft(np.ascontiguousarray(spectrum[:, part].T), n=2 * side, axis=1, overwrite_x=True)
        wave *= transform[part]
        spectrum[:, part] = fft.ifft(wave, axis=1, overwrite_x=True)[:, :side].T

    def backwards(part: slice) -> None:
        potential[part] = fft.irfft(spectrum[part], n=2 * side, axis=1)[:, :side]

    _side_by_side(forwards, lines)
    _side_by_side(across, columns)
    _side_by_side(backwards, lines)
    return potential


@lru_cache(maxsize=32)
def _transform(side: int, h: float, shifted: bool, gaussian: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the transform of the coefficients whose spline takes the weights' values at the nodes.

    Real, as weights are even; shape (side + 1, 2 · side), columns first. `shifted`: of the weights less 1.
    Second, what a point does to itself through the mesh: the coefficients of 0 … 5 nodes' distance along
    both axes, times the 1 or 2 directions of each.
    """
    place = np.minimum(np.arange(2 * side), 2 * side - np.arange(2 * side)) * h
    d2 = place[:, None] ** 2 + place[None, :] ** 2
    if gaussian:
        w = np.expm1(-d2) if shifted else np.exp(-d2)
    else:
        w = -d2 / (1.0 + d2) if shifted else 1.0 / (1.0 + d2)
    # A quintic B-spline is 66, 26 and 1 of 120 at 0, 1 and 2 nodes; one spreads and one interpolates.
    angle = np.pi * np.arange(2 * side) / side
    spline = (66.0 + 52.0 * np.cos(angle) + 2.0 * np.cos(2 * angle)) / 120.0
    spectrum = fft.rfft2(w).real / (spline[:, None] * spline[None, : side + 1]) ** 2
    directions = np.minimum(np.arange(_ORDER), 1) + 1
    own = np.zeros((_ORDER, _LANES), dtype=np.float32)
    own[:, :_ORDER] = fft.irfft2(spectrum, s=(2 * side, 2 * side))[:_ORDER, :_ORDER]
    own[:, :_ORDER] *= directions[:, None] * directions
    return np.ascontiguousarray(spectrum.T.astype(np.float32)), own


_pools: dict[int, ThreadPoolExecutor] = {}


def _side_by_side(work: Callable[[slice], None], parts: Iterable[slice]) -> None:
    """Do independent parts on as many threads as kernels may use."""
    parts, threads = list(parts), numba.get_num_threads()
    if threads == 1 or len(parts) == 1:
        for part in parts:
            work(part)
        return
    if threads not in _pools:
        _pools[threads] = ThreadPoolExecutor(threads, thread_name_prefix="mesh")
    for done in [_pools[threads].submit(work, part) for part in parts]:
        done.result()


@njit(cache=True, inline="always")
def _spline(t, weights, slopes):
    """Write the quintic B-spline's weights at six nodes, and their slopes, for a point t after the third.

    By the recursion over the order k (C. de Boor, J. Approx. Theory 6, 1972), from the linear spline up.
    """
    one = np.float32(1.0)
    weights[0], weights[1] = one - t, t
    for k in range(3, _ORDER + 1):
        if k == _ORDER:
            slopes[0], slopes[k - 1] = -weights[0], weights[k - 2]
            for j in range(1, k - 1):
                slopes[j] = weights[j - 1] - weights[j]
        share = one / np.float32(k - 1)
        weights[k - 1] = share * t * weights[k - 2]
        for j in range(k - 2, 0, -1):
            weights[j] = share * (
                (t + np.float32(k - 1 - j)) * weights[j - 1] + (np.float32(j + 1) - t) * weights[j]
            )
        weights[0] = share * (one - t) * weights[0]


@njit(parallel=True, cache=True)
def _locate(Y, origin, h, cells, splines):
    """Write every point's cell, and its weights and slopes along both axes: rows 0 and 1, 2 and 3."""
    for i in prange(Y.shape[1]):
        splines[i] = np.float32(0.0)
        for axis in range(2):
            place = (Y[axis, i] - origin[axis]) / h
            cell = int(place)
            cells[axis, i] = cell
            _spline(np.float32(place - cell), splines[i, 2 * axis], splines[i, 2 * axis + 1])


@njit(cache=True)
def _by_row(row, side):
    """Return the points ordered by the mesh row they lie in, and where each row's begin, (side + 1,)."""
    starts = np.zeros(side + 1, dtype=np.int64)
    for i in range(len(row)):
        starts[row[i] + 1] += 1
    for r in range(side):
        starts[r + 1] += starts[r]
    free = starts[:-1].copy()
    order = np.empty(len(row), dtype=np.int32)
    for i in range(len(row)):
        order[free[row[i]]] = i
        free[row[i]] += 1
    return order, starts


@njit(parallel=True, cache=True)
def _spread(cells, splines, order, starts, density):
    """Add every point's splines to the density, line by line: every line adds its points in one order."""
    for line in prange(len(density)):
        for node in range(_ORDER):
            row = line + 2 - node  # points of this row reach the line with their spline's share of `node`
            if row < 0 or row >= len(density):
                continue
            for place in range(starts[row], starts[row + 1]):
                i = order[place]
                share, first = splines[i, 0, node], cells[1, i] - 2
                for lane in range(_LANES):
                    density[line, first + lane] += share * splines[i, 2, lane]


@njit(parallel=True, cache=True, fastmath=VECTOR)
def _gather(cells, splines, h, potential, own, others, repulsion, weights):
    """Write minus half the potential's gradient, and the potential; both less what a point does to itself.

    `others` is added to the weights.
    """
    scale = np.float32(-0.5 / h)
    for block in prange((len(splines) + _BLOCK - 1) // _BLOCK):
        scratch = np.empty((6, _LANES), dtype=np.float32)
        along, slopes, overlap, change = scratch[0], scratch[1], scratch[2:4], scratch[4:6]
        for i in range(_BLOCK * block, min(_BLOCK * (block + 1), len(splines))):
            x, dx, y, dy = splines[i, 0], splines[i, 1], splines[i, 2], splines[i, 3]
            row, column = cells[0, i] - 2, cells[1, i] - 2
            along[:], slopes[:] = np.float32(0.0), np.float32(0.0)
            for a in range(_ORDER):
                for lane in range(_LANES):
                    node = potential[row + a, column + lane]
                    along[lane] += x[a] * node
                    slopes[lane] += dx[a] * node
            value = gx = gy = np.float32(0.0)
            for lane in range(_LANES):
                value += along[lane] * y[lane]
                gx += slopes[lane] * y[lane]
                gy += along[lane] * dy[lane]
            # Through the mesh a point meets its own splines, `apart` nodes away. The gradient of that is by
            # both places, its own and theirs: half of it is a force on the point.
            for axis in range(2):
                w, s = splines[i, 2 * axis], splines[i, 2 * axis + 1]
                for apart in range(_ORDER):
                    product = slope = np.float32(0.0)
                    for node in range(_ORDER - apart):
                        product += w[node] * w[node + apart]
                        slope += w[node] * s[node + apart] + s[node] * w[node + apart]
                    overlap[axis, apart], change[axis, apart] = product, np.float32(0.5) * slope
            for a in range(_ORDER):
                met = turned = np.float32(0.0)
                for b in range(_ORDER):
                    met += own[a, b] * overlap[1, b]
                    turned += own[a, b] * change[1, b]
                value -= overlap[0, a] * met
                gx -= change[0, a] * met
                gy -= overlap[0, a] * turned
            weights[i] = max(value + others, np.float32(0.0))
            repulsion[0, i], repulsion[1, i] = scale * gx, scale * gy
