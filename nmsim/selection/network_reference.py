"""Slow readable twins of what the methods with a network compute: by definition, pair by pair."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nmsim.selection.network import LastLayer
from nmsim.selection.network_int8 import TOP, Int8Copy
from nmsim.training.layers import AvgPool2d, Conv2d, Dense, MaxPool2d, ReLU
from nmsim.training.reference import conv2d, max_pool, mean_pool, normalised


def written_out(seen: LastLayer) -> np.ndarray:
    """Return v = [g; vec(g eᵀ)] of every image, float64 (n, classes · (1 + features))."""
    g, e = seen.gradients.astype(np.float64), seen.embeddings.astype(np.float64)
    return np.hstack([g, (g[:, :, None] * e[:, None, :]).reshape(len(g), -1)])


def cut(similarities: np.ndarray, ground: Sequence[int], taken: Sequence[int]) -> float:
    """Return the graph cut: similarities of the ground set to the taken, less those among the taken."""
    s = similarities.astype(np.float64)
    among = sum(s[u, v] for u in taken for v in taken if u != v)
    return sum(s[v, u] for u in taken for v in ground) - among


def cut_bins(similarities: np.ndarray, sizes: Sequence[int]) -> list[list[int]]:
    """Return the bins of `dq.cut_bins`: each pick raises the cut of what the bin began with most."""
    left = list(range(len(similarities)))
    bins: list[list[int]] = []
    for size in sizes:
        ground = list(left)
        picks: list[int] = []
        for _ in range(size):
            picks.append(max(left, key=lambda x: (cut(similarities, ground, [*picks, x]), -x)))
            left.remove(picks[-1])
        bins.append(picks)
    return bins


def coverage(similarities: np.ndarray, taken: Sequence[int]) -> float:
    """Return the facility location: every record's similarity to the taken one nearest to it."""
    return float(similarities[:, list(taken)].max(axis=1, initial=0.0).sum(dtype=np.float64))


def facility_location(similarities: np.ndarray, budget: int) -> list[int]:
    """Return the picks of plain greedy, which computes every gain in every round."""
    picks: list[int] = []
    for _ in range(budget):
        left = [x for x in range(len(similarities)) if x not in picks]
        picks.append(max(left, key=lambda x: (coverage(similarities, [*picks, x]), -x)))
    return picks


def int8_logits(copy: Int8Copy, images: np.ndarray) -> np.ndarray:
    """Return the logits (n, classes) of an 8-bit copy, with sums of products in int64 whole numbers."""
    x = normalised(images, copy.mean, copy.scale) / copy.scales[0]
    codes = np.clip(np.rint(x), -TOP, TOP).astype(np.int64)
    for i, (layer, shape) in enumerate(copy.network.pairs):
        part = copy.parameters[copy.network.parameter_slices[i]].astype(np.int64)
        if isinstance(layer, Conv2d | Dense):
            outputs = layer.output_shape(shape)[0]
            kernel, padding, stride = (
                (layer.kernel, layer.padding, layer.stride) if isinstance(layer, Conv2d) else (1, 0, 1)
            )
            w = part[:-outputs].reshape(kernel, kernel, shape[0], outputs)
            sums = conv2d(codes, w, part[-outputs:], padding, stride)
            assert np.abs(sums).max() < 2**31
            if i == len(copy.network.layers) - 1:
                return sums[:, :, 0, 0] * copy.factors[i]
            codes = np.clip(np.rint(sums * copy.factors[i]), -TOP, TOP).astype(np.int64)
        elif isinstance(layer, MaxPool2d):
            codes = max_pool(codes, layer.window)
        elif isinstance(layer, AvgPool2d):
            codes = np.rint(mean_pool(codes, *layer.sides(shape))).astype(np.int64)
        elif isinstance(layer, ReLU):
            codes = np.maximum(codes, 0)
        else:
            codes = codes.reshape(len(codes), -1, 1, 1)
    raise ValueError("the last layer is not linear")
