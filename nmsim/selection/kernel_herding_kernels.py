"""The loops of kernel herding that are worth compiling; `kernel_herding_reference` holds slow twins.

All values are whole numbers and all sums are exact, so that no order of summing, number of threads or
processor changes a result. A kernel runs on one thread and without the interpreter's lock; callers give each
thread a piece of its own.
"""

from __future__ import annotations

import numpy as np

from nmsim.compiled import njit


@njit(cache=True, nogil=True)
def gather_patches(pixels, side, stride, patches):
    """Write the pixels under every position of a filter, a position a row.

    Parameters
    ----------
    pixels : ndarray of int8, shape (n, height, width, channels)
    side, stride : int
        Pixels of a filter's side, and between neighbouring positions.
    patches : ndarray of float32 or float64, shape (n, rows, columns, side · side · channels), written
    """
    n, rows, columns, _ = patches.shape
    for image in range(n):
        for row in range(rows):
            for column in range(columns):
                tap = 0
                for y in range(row * stride, row * stride + side):
                    for x in range(column * stride, column * stride + side):
                        for channel in range(pixels.shape[3]):
                            patches[image, row, column, tap] = pixels[image, y, x, channel]
                            tap += 1


@njit(cache=True, nogil=True)
def pool_rectified(responses, row_starts, column_starts, height, width, sums):
    """Write the sum of every filter's positive responses over each cell of a grid.

    Parameters
    ----------
    responses : ndarray of float32 or float64, shape (n, rows, columns, filters)
        Whole numbers.
    row_starts, column_starts : ndarray of int64, shape (cells,)
        First position of each row, and of each column, of cells.
    height, width : int
        Positions of a cell.
    sums : ndarray of int64, shape (n, row cells, column cells, filters), written
    """
    for image in range(len(responses)):
        for a in range(len(row_starts)):
            for b in range(len(column_starts)):
                cell = sums[image, a, b]
                cell[:] = 0
                for row in range(row_starts[a], row_starts[a] + height):
                    for column in range(column_starts[b], column_starts[b] + width):
                        for i in range(len(cell)):
                            cell[i] += np.int64(max(responses[image, row, column, i], 0))


@njit(inline="always")
def _kernel_value(d2, table, shift):
    entry = d2 >> shift
    return np.int64(table[entry]) if entry < len(table) else np.int64(0)


@njit(cache=True, nogil=True)
def sum_kernel_values(dots, norms, first, table, shift, sums):
    """Write the sums of the kernel values of a tile of records with all records.

    Parameters
    ----------
    dots : ndarray of float32 or float64, shape (q, n)
        Inner products of records first … first+q-1 with all n; whole numbers.
    norms : ndarray of int64, shape (n,)
        Squared norms.
    first : int
        Number of the tile's first record.
    table : ndarray of uint16, shape (entries,)
        Kernel value at squared distances e · 2**shift to (e + 1) · 2**shift - 1 in entry e; 0 beyond.
    shift : int
    sums : ndarray of int64, shape (q,), written
    """
    for row in range(len(dots)):
        total = np.int64(0)
        for j in range(len(norms)):
            d2 = norms[first + row] + norms[j] - 2 * np.int64(dots[row, j])
            total += _kernel_value(d2, table, shift)
        sums[row] = total


@njit(cache=True, nogil=True)
def herd(codes, table, shift, sums, order):
    """Write the records in the order in which herding takes them.

    Parameters
    ----------
    codes : ndarray of int8, shape (n, d)
    table, shift
        As in `sum_kernel_values`.
    sums : ndarray of int64, shape (n,)
        Of each record's kernel values with all records, itself among them.
    order : ndarray of int64, shape (budget,), written
        At most n numbers of records, distinct; of equally good ones the first.
    """
    n = len(codes)
    with_chosen = np.zeros(n, dtype=np.int64)
    free = np.ones(n, dtype=np.bool_)
    own = np.int64(table[0])
    for taken in range(len(order)):
        best, highest = -1, np.int64(0)
        for i in range(n):
            if free[i]:
                # 2n (taken + 1) times: sums / n - (with_chosen + own / 2) / (taken + 1)
                score = 2 * (taken + 1) * sums[i] - n * (2 * with_chosen[i] + own)
                if best < 0 or score > highest:
                    best, highest = i, score
        order[taken] = best
        free[best] = False
        for i in range(n):
            d2 = np.int32(0)
            for v in range(codes.shape[1]):
                difference = np.int32(codes[i, v]) - np.int32(codes[best, v])
                d2 += difference * difference
            with_chosen[i] += _kernel_value(np.int64(d2), table, shift)
