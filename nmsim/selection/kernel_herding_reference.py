"""Slow readable twins of kernel herding's loops: what these are tested against."""

from __future__ import annotations

import numpy as np

from nmsim.selection.kernel_herding_features import SIDE, STRIDE, FilterBank


def filter_sums(bank: FilterBank, pixels: np.ndarray) -> np.ndarray:
    """Return the sums of positive responses over cells, int64 (n, values), of int8 pixels (n, h, w, c)."""
    height, width = bank.cell_shape
    made = []
    for image in pixels.astype(np.int64):
        responses = np.array(
            [
                [
                    np.maximum(image[y : y + SIDE, x : x + SIDE].ravel() @ bank.filters.astype(np.int64), 0)
                    for x in range(0, bank.columns * STRIDE, STRIDE)
                ]
                for y in range(0, bank.rows * STRIDE, STRIDE)
            ]
        )
        cells = [
            responses[a : a + height, b : b + width].sum(axis=(0, 1))
            for a in bank.row_starts
            for b in bank.column_starts
        ]
        made.append(np.concatenate(cells))
    return np.array(made)


def kernel_matrix(codes: np.ndarray, table: np.ndarray, shift: int) -> np.ndarray:
    """Return the table's kernel values of all pairs, int64 (n, n)."""
    records = codes.astype(np.int64)
    entry = ((records[:, None, :] - records[None, :, :]) ** 2).sum(axis=2) >> shift
    return np.where(entry < len(table), table[np.minimum(entry, len(table) - 1)].astype(np.int64), 0)


def discrepancy(K: np.ndarray, chosen: np.ndarray) -> float:
    """Return the squared maximum mean discrepancy between all records and the chosen ones."""
    return K.mean() - 2 * K[:, chosen].mean() + K[np.ix_(chosen, chosen)].mean()


def herd(K: np.ndarray, budget: int) -> np.ndarray:
    """Return the order in which herding takes records, judged exactly, the first of equals."""
    n = len(K)
    order: list[int] = []
    for t in range(budget):
        with_chosen = K[:, np.array(order, dtype=np.int64)].sum(axis=1)
        score = 2 * (t + 1) * K.sum(axis=1) - n * (2 * with_chosen + np.diagonal(K))
        best = max((i for i in range(n) if i not in order), key=lambda i: (score[i], -i))
        order.append(best)
    return np.array(order)
