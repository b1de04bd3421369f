"""What distances are measured between: images as small whole numbers, reduced where asked.

Everything is integer arithmetic on purpose. It is what a small unit beside a memory bank can do, and inner
products of whole numbers are exact in floating point as long as they stay below 2^24 (float32) or 2^53
(float64), so that neither the BLAS library nor the number of threads can change a distance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from nmsim.errors import ConfigError, DataError
from nmsim.rng import stream

KINDS = ("raw", "pool", "random_projection", "pca")

_CHUNK_VALUES = 1 << 22  # values converted at a time: bounds the scratch memory to some tens of MB
_SPARE_AXES = 2  # iterated beside those wanted, which makes these converge sooner
_FIT_PASSES = 5  # of the subspace iteration; enough for axes that are only a start or a reduction


@dataclass(frozen=True)
class Fit:
    """Passes over all records that learn something about them before features can be made.

    Attributes
    ----------
    passes : int
        Times that every record is read, at least 1.
    operations : dict of str to int
        Arithmetic for one record in one pass.
    exchanged_bytes : int
        What must be known everywhere before a pass and is summed up after it.
    """

    passes: int
    operations: dict[str, int]
    exchanged_bytes: int


@dataclass(frozen=True, eq=False)
class Features:
    """Whole-number records, and what it took to make them.

    Attributes
    ----------
    codes : ndarray of int16, shape (n, d)
        Within -128 … 127 where `bits` is 8.
    bits : int
        8, or 16 where the input was no 8-bit image or was projected.
    stored : bool
        False where the records are the images themselves and nothing was written.
    operations : dict of str to int
        Arithmetic that makes one record.
    fits : tuple of Fit
        What was learnt beforehand.
    """

    codes: np.ndarray
    bits: int
    stored: bool
    operations: dict[str, int] = field(default_factory=dict)
    fits: tuple[Fit, ...] = ()

    @property
    def row_bytes(self) -> int:
        """Return the bytes of a record."""
        return self.codes.shape[1] * self.bits // 8


def extract(X: np.ndarray, kind: str, pool_size: int, n_features: int, random_state: int) -> Features:
    """Return the features of every record of X.

    Parameters
    ----------
    X : ndarray of real numbers, shape (n, …)
        Images (n, height, width[, channels]) or records of any other shape. uint8 stays 8-bit; anything else
        is mapped to 16 bits over its range.
    kind : str
        `raw`: the values as they are. `pool`: rounded means of pool_size × pool_size pixels, a channel at a
        time; records without two image axes have no neighbouring pixels and stay as they are.
        `random_projection`: n_features sums of all values with random signs. `pca`: n_features principal
        components.
    pool_size : int
        At least 1. Blocks at the right and lower edge repeat the last pixel.
    n_features : int
        At least 1; for `pca` no more than there are values or records are used.
    random_state : int
        Seed of the signs, and of the start of the search for axes.

    Raises
    ------
    DataError
        Where X is empty, not numeric, or holds NaN or infinity.
    ConfigError
        For an unknown kind.
    """
    if kind not in KINDS:
        raise ConfigError("unknown features", found=kind, expected=", ".join(KINDS))
    check_records(X)
    eight_bit = X.dtype == np.uint8
    values = int(np.prod(X.shape[1:], dtype=np.int64))
    codes = X if eight_bit else _to_16_bits(X)
    bits = 8 if eight_bit else 16
    fits = () if eight_bit else (Fit(1, {"compare": 2 * values}, 8),)
    scaling = {} if eight_bit else {"mac_fp32": values}
    if kind == "pool" and X.ndim >= 3 and pool_size > 1:
        pooled = _pool(codes, pool_size)
        # One addition a value, and one to round each mean; the division is a shift.
        adding = {"add_int32": values + pooled.shape[1]}
        return Features(_centred(pooled, eight_bit), bits, True, scaling | adding, fits)
    codes = _centred(codes.reshape(len(X), -1), eight_bit)
    if kind in ("raw", "pool"):
        return Features(codes, bits, not eight_bit, scaling, fits)
    if kind == "random_projection":
        signs = stream(random_state, "selection", "signs").integers(0, 2, (values, n_features)) * 2.0 - 1.0
        sums = _projected(codes, signs, np.zeros(values), bound=float(values) * 2 ** (bits - 1))
        return Features(sums, 16, True, scaling | {"add_int32": values * n_features}, fits)
    n_axes = min(n_features, values, len(X))
    axes, mean = principal_axes(codes, n_axes, stream(random_state, "selection", "axes"))
    projected = _projected(codes, axes, mean, bound=np.sqrt(values) * 2**bits)
    projecting = {"mac_fp32": values * n_axes + scaling.get("mac_fp32", 0)}
    return Features(projected, 16, True, projecting, (*fits, axes_fit(values, n_axes)))


def axes_fit(values: int, n_axes: int) -> Fit:
    """Return what `principal_axes` costs: x's products with a block of axes, and their sum weighted by x."""
    width = min(n_axes + _SPARE_AXES, values)
    return Fit(_FIT_PASSES, {"mac_fp32": 2 * values * width}, 4 * values * width)


def check_records(X: np.ndarray) -> None:
    """Raise DataError unless X is a non-empty array of finite real records."""
    shape = getattr(X, "shape", ())
    if not isinstance(X, np.ndarray) or X.ndim < 2 or X.size == 0:
        raise DataError("no records to select from", found=f"shape {shape}", expected="an array (n, …)")
    if X.dtype.kind not in "uifb":
        raise DataError("the records are not real numbers", found=X.dtype, expected="uint8 or float")
    if X.dtype.kind == "f":
        bad = ~np.isfinite(X.reshape(len(X), -1)).all(axis=1)
        if bad.any():
            raise DataError(
                "a record holds NaN or infinity",
                found=f"{np.count_nonzero(bad)} such records, the first at {np.argmax(bad)}",
                hint="Remove or repair them before selecting.",
            )


def principal_axes(codes: np.ndarray, n_axes: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the axes (d, n_axes) of largest variance, and the mean (d,).

    Subspace iteration on the covariance with a few spare vectors, one pass over the records a step (N. Halko,
    P.-G. Martinsson, J. Tropp, SIAM Review 53, 2011, algorithm 4.4). Axes point where their largest entry is
    positive.
    """
    d = codes.shape[1]
    width = min(n_axes + _SPARE_AXES, d)
    mean = sum(chunk.sum(axis=0) for chunk in _chunks(codes)) / len(codes)
    axes = rng.standard_normal((d, width))
    for _ in range(_FIT_PASSES):
        axes, _ = np.linalg.qr(axes)
        product, axes_before = np.zeros((d, width)), axes
        for chunk in _chunks(codes):
            chunk -= mean
            product += chunk.T @ (chunk @ axes_before)
        axes = product
    axes, _ = np.linalg.qr(axes_before)
    small = axes.T @ product
    _, turn = np.linalg.eigh(0.5 * (small + small.T))
    axes = (axes @ turn[:, ::-1])[:, :n_axes]
    return axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(n_axes)] + 0.5), mean


def exact_float(codes: np.ndarray) -> np.ndarray:
    """Return the codes in the narrowest float type whose inner products are exact, by a bound on them."""
    peak = int(np.abs(codes.astype(np.int32)).max(initial=0))
    largest = codes.shape[1] * peak * peak
    if largest > 2**53:
        raise DataError("the records are too long for exact distances", found=f"{codes.shape[1]:,} values")
    return codes.astype(np.float32 if largest <= 2**24 else np.float64)


def _chunks(codes: np.ndarray) -> Iterator[np.ndarray]:
    step = max(1, _CHUNK_VALUES // codes.shape[1])
    for start in range(0, len(codes), step):
        yield codes[start : start + step].astype(np.float64)


def _to_16_bits(X: np.ndarray) -> np.ndarray:
    low, high = float(X.min()), float(X.max())
    scale = 65535.0 / (high - low) if high > low else 0.0
    return np.floor((X.astype(np.float64) - low) * scale + 0.5).astype(np.uint16)


def _centred(codes: np.ndarray, eight_bit: bool) -> np.ndarray:
    """Return unsigned codes as signed ones: distances stay, inner products become four times smaller."""
    if eight_bit:
        return codes.astype(np.int16) - np.int16(128)
    return (codes.astype(np.int32) - 32768).astype(np.int16)


def _pool(codes: np.ndarray, size: int) -> np.ndarray:
    n, height, width = codes.shape[:3]
    images = codes.reshape(n, height, width, -1)
    pad = (-height % size, -width % size)
    if any(pad):
        images = np.pad(images, ((0, 0), (0, pad[0]), (0, pad[1]), (0, 0)), mode="edge")
    total = np.zeros((n, images.shape[1] // size, images.shape[2] // size, images.shape[3]), dtype=np.uint32)
    for row in range(size):
        for column in range(size):
            total += images[:, row::size, column::size]
    area = size * size
    return ((total + area // 2) // area).reshape(n, -1)


def _projected(codes: np.ndarray, axes: np.ndarray, mean: np.ndarray, bound: float) -> np.ndarray:
    """Return (codes - mean) @ axes in 16 bits: halved until `bound`, which no sum exceeds, fits."""
    shift = max(0, int(np.ceil(np.log2(max(bound, 1.0)))) - 15)
    scale = 0.5**shift
    parts = [np.floor(((chunk - mean) @ axes) * scale + 0.5) for chunk in _chunks(codes)]
    return np.clip(np.concatenate(parts), -32768, 32767).astype(np.int16)
