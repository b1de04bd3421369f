"""Features for herding, in whole numbers from the pixel to the code: 8-bit factors, 32-bit sums.

An image becomes `values` (sums of rectified responses of fixed random filters over a grid of cells, or its
pixels). Where these are more than the features that are wanted, they are projected on as many axes, learnt
from a sample of the image's class. Whatever leaves a stage is brought to 8 bits by a shift, which the sample
decides too. So one pass over the images makes the codes of all, and these do not depend on any number of
threads or order of summing.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba
import numpy as np
from threadpoolctl import threadpool_limits

from nmsim.rng import stream
from nmsim.selection.features import Fit, axes_fit, extract, principal_axes
from nmsim.selection.kernel_herding_kernels import gather_patches, pool_rectified

KINDS = ("rconv", "pca")

SIDE, STRIDE = 5, 2  # pixels of a filter, and between its positions
SAMPLE = 128  # records of a class that axes and shifts are learnt from
_CLIPPED = 0.001  # share of the sample's numbers that may saturate
_PATCH_VALUES = 1 << 21  # pixels under filters that a thread holds at a time


@dataclass(frozen=True)
class Codes:
    """The features of all records, and what it took to make them.

    Attributes
    ----------
    codes : ndarray of int8, shape (n, d)
    values : int
        Numbers of a record before the projection.
    value_operations, projection_operations : dict of str to int
        Arithmetic that makes the values of one record, and its code of them.
    learning : Fit or None
        The passes over a sample's values that find the axes, where there are any.
    filter_bytes, axes_bytes : int
        What every unit must hold to make values, and codes.
    filtered : bool
        Whether the values are sums of responses; else they are the pixels themselves.
    """

    codes: np.ndarray
    values: int
    value_operations: dict[str, int]
    projection_operations: dict[str, int]
    learning: Fit | None
    filter_bytes: int
    axes_bytes: int
    filtered: bool


def sample_of(members: np.ndarray) -> np.ndarray:
    """Return at most `SAMPLE` of a class's members, evenly spaced."""
    return members[np.arange(min(SAMPLE, len(members))) * len(members) // min(SAMPLE, len(members))]


def make_codes(
    X: np.ndarray,
    groups: list[np.ndarray],
    kind: str,
    n_filters: int,
    cells: int,
    n_features: int,
    random_state: int,
) -> Codes:
    """Return the features of every record.

    Parameters
    ----------
    X : ndarray of real numbers, shape (n, …)
        Images (n, height, width[, channels]) or flat records, as `features.extract` takes them.
    groups : list of ndarray of int64
        Members of each class; together every record once. A class's codes depend on its own records alone
        (and on the range of all, where they are not 8-bit).
    kind : str
        `rconv`: responses of random filters; records without two image axes of at least 5 pixels are taken
        as they are. `pca`: the pixels.
    n_filters, cells, n_features : int
        Filters, cells of the grid on each axis, and at most so many features; at least 1. No more features
        are made than there are values; no more axes are found than the sample has records, features beyond
        are 0.
    random_state : int
        Seed of the filters.

    Notes
    -----
    Memory beside X and the codes: some 20 MB a thread. Records of other types than uint8 are first brought
    to 8 bits, which takes a copy of one byte a value.
    """
    records = X if X.dtype == np.uint8 else extract(X, "raw", 1, 1, 0).codes.reshape(X.shape)
    shape = X.shape[1:]
    bank = None
    if kind == "rconv" and len(shape) >= 2 and min(shape[:2]) >= SIDE:
        bank = FilterBank.draw(shape[0], shape[1], int(np.prod(shape[2:])), n_filters, cells, random_state)
    pixels = int(np.prod(shape))
    values = bank.values if bank else pixels
    n_features = min(n_features, values)
    projected = n_features < values
    codes = np.zeros((len(X), n_features), dtype=np.int8)
    # One thread each for what libraries compute: no sum then depends on how many there are.
    with threadpool_limits(1), ThreadPoolExecutor(numba.get_num_threads()) as pool:
        for members in groups:
            _code_class(records, members, bank, codes, random_state, pool)
    return Codes(
        codes=codes,
        values=values,
        value_operations=bank.operations if bank else {},
        projection_operations={"mac_int8": values * n_features, "add_int32": n_features} if projected else {},
        learning=axes_fit(values, n_features) if projected else None,
        filter_bytes=bank.filters.size if bank else 0,
        axes_bytes=(values + 4) * n_features if projected else 0,
        filtered=bank is not None,
    )


@dataclass(frozen=True)
class FilterBank:
    """Random filters of whole numbers without mean, and the grid that their responses are summed over.

    Attributes
    ----------
    filters : ndarray of int8, shape (5 · 5 · channels, f)
        Gaussian, each scaled to one length, the largest entry of all ±127; the sum of each is 0.
    rows, columns : int
        Positions of a filter.
    row_starts, column_starts : ndarray of int64, shape (cells,)
        First positions of the cells, which are of equal size, overlap where need be and reach both ends.
    channels : int
    """

    filters: np.ndarray
    rows: int
    columns: int
    row_starts: np.ndarray
    column_starts: np.ndarray
    channels: int

    @classmethod
    def draw(
        cls, height: int, width: int, channels: int, n_filters: int, cells: int, random_state: int
    ) -> FilterBank:
        """Return the filters of a seed for images of this size, with at most `cells` cells on each axis."""
        rng = stream(random_state, "selection", "kernel-herding", "filters")
        real = rng.standard_normal((SIDE * SIDE * channels, n_filters))
        real -= real.mean(axis=0)
        real /= np.sqrt((real**2).sum(axis=0))
        filters = np.rint(real * (127 / np.abs(real).max())).astype(np.int8)
        # Rounding leaves a sum of a few units: take one each from as many entries, the smallest in size.
        for column in filters.T:
            left = int(column.sum(dtype=np.int64))
            column[np.argsort(np.abs(column), kind="stable")[: abs(left)]] -= np.int8(np.sign(left))
        rows, columns = (length_positions(length) for length in (height, width))
        return cls(filters, rows, columns, cell_starts(rows, cells), cell_starts(columns, cells), channels)

    @property
    def values(self) -> int:
        """Return how many sums an image has."""
        return len(self.row_starts) * len(self.column_starts) * self.filters.shape[1]

    @property
    def cell_shape(self) -> tuple[int, int]:
        """Return the rows and columns of positions of a cell."""
        return -(-self.rows // len(self.row_starts)), -(-self.columns // len(self.column_starts))

    @property
    def operations(self) -> dict[str, int]:
        """Return the arithmetic for one image: responses, a comparison with 0 each, sums over the cells."""
        responses = self.rows * self.columns * self.filters.shape[1]
        height, width = self.cell_shape
        return {
            "mac_int8": responses * self.filters.shape[0],
            "compare": responses,
            "add_int32": self.values * height * width,
        }

    def sums(self, pixels: np.ndarray) -> np.ndarray:
        """Return the sums over cells, int64 (n, values), of images int8 (n, height, width, channels)."""
        taps, n_filters = self.filters.shape
        exact = exact_type(taps)
        patches: np.ndarray = np.empty((len(pixels), self.rows, self.columns, taps), dtype=exact)
        gather_patches(pixels, SIDE, STRIDE, patches)
        responses = (patches.reshape(-1, taps) @ self.filters.astype(exact)).reshape(
            *patches.shape[:3], n_filters
        )
        sums = np.empty(
            (len(pixels), len(self.row_starts), len(self.column_starts), n_filters), dtype=np.int64
        )
        pool_rectified(responses, self.row_starts, self.column_starts, *self.cell_shape, sums)
        return sums.reshape(len(pixels), -1)


def length_positions(length: int) -> int:
    """Return how many positions a filter has on an axis of so many pixels, at least 5."""
    return (length - SIDE) // STRIDE + 1


def cell_starts(positions: int, cells: int) -> np.ndarray:
    """Return the first positions of at most so many cells of equal size that cover an axis."""
    cells = min(cells, positions)
    size = -(-positions // cells)
    return np.array([(positions - size) * i // max(1, cells - 1) for i in range(cells)], dtype=np.int64)


def exact_type(terms: int) -> type:
    """Return the type whose sums of so many products of 8-bit numbers are exact in any order."""
    return np.float32 if terms * 128 * 128 <= 1 << 24 else np.float64


def shift_for(numbers: np.ndarray, largest: int) -> int:
    """Return by how many bits to shift so that all but a thousandth of these are at most `largest`."""
    sizes = np.sort(np.abs(numbers), axis=None)
    size = int(sizes[int(np.ceil(len(sizes) * (1 - _CLIPPED))) - 1])
    return max(0, (size // (largest + 1)).bit_length())


def shifted(numbers: np.ndarray, shift: int) -> np.ndarray:
    """Return whole numbers over 2**shift, halves rounded up."""
    return (numbers + ((1 << shift) >> 1)) >> shift


def _code_class(
    records: np.ndarray,
    members: np.ndarray,
    bank: FilterBank | None,
    codes: np.ndarray,
    random_state: int,
    pool: ThreadPoolExecutor,
) -> None:
    """Learn from a sample of a class, and write the codes of all its members."""

    def raw(rows: np.ndarray) -> np.ndarray:
        """Return whole numbers (…, values), not yet 8-bit where they are sums."""
        pixels = records[rows]
        if records.dtype == np.uint8:
            pixels = (pixels ^ np.uint8(128)).view(np.int8)  # takes off 128
        if bank is None:
            return pixels.reshape(len(rows), -1)
        image = (len(rows), *records.shape[1:3], bank.channels)
        return bank.sums(np.ascontiguousarray(pixels.reshape(image)))

    row_values = bank.rows * bank.columns * len(bank.filters) if bank else records[0].size
    at_once = max(1, _PATCH_VALUES // row_values)

    def in_pieces(rows: np.ndarray, work: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        pieces = [rows[i : i + at_once] for i in range(0, len(rows), at_once)]
        return np.concatenate(list(pool.map(work, pieces)))

    sample = in_pieces(sample_of(members), raw)
    shift = shift_for(sample, 255) if bank else 0

    def eight_bit(sums: np.ndarray) -> np.ndarray:
        return np.minimum(shifted(sums, shift), 255) - 128 if bank else sums

    if codes.shape[1] == sample.shape[1]:
        codes[members] = in_pieces(members, lambda rows: eight_bit(raw(rows)).astype(np.int8))
        return
    seen = eight_bit(sample).astype(np.float64)
    n_axes = min(codes.shape[1], seen.shape[1], len(seen))
    rng = stream(random_state, "selection", "kernel-herding", "axes")
    real, mean = principal_axes(seen, n_axes, rng)
    largest = np.abs(real).max()
    axes = np.rint(real * (127 / largest)) if largest > 0 else real
    origin = np.rint(mean @ axes).astype(np.int64)
    exact = exact_type(seen.shape[1])
    axes = axes.astype(exact)

    def project(values: np.ndarray) -> np.ndarray:
        return (values.astype(exact) @ axes).astype(np.int64) - origin

    size = shift_for(project(seen), 127)

    def finish(rows: np.ndarray) -> np.ndarray:
        return np.clip(shifted(project(eight_bit(raw(rows))), size), -128, 127).astype(np.int8)

    codes[members, :n_axes] = in_pieces(members, finish)
