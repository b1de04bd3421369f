"""What distances are measured between: records of numbers in one format, reduced where asked.

Whatever the images are, they first become numbers from -128 to 127: 8-bit ones by taking off 128, all others
by mapping their range to that of 8-bit ones. Features are made of these at full precision and then rounded,
once, to the format in which they are stored and compared (`nmsim.selection.formats`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from nmsim.errors import ConfigError, DataError
from nmsim.rng import stream
from nmsim.selection import pooling_kernels
from nmsim.selection.formats import FORMATS, Format

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
    """Records in a format, and what it took to make them.

    Attributes
    ----------
    codes : ndarray of int8, float16 or float32, shape (n, d)
        The type says the format.
    stored : bool
        False where the records are the images themselves and nothing was written.
    operations : dict of str to int
        Arithmetic that makes one record.
    fits : tuple of Fit
        What was learnt beforehand.
    """

    codes: np.ndarray
    stored: bool
    operations: dict[str, int] = field(default_factory=dict)
    fits: tuple[Fit, ...] = ()

    @property
    def format(self) -> Format:
        """Return the format of the values."""
        return next(f for f in FORMATS.values() if f.dtype == self.codes.dtype)

    @property
    def row_bytes(self) -> int:
        """Return the bytes of a record."""
        return self.codes.shape[1] * self.codes.itemsize


def extract(
    X: np.ndarray,
    kind: str,
    pool_size: int,
    n_features: int,
    random_state: int,
    number_format: str = "int8",
) -> Features:
    """Return the features of every record of X.

    Parameters
    ----------
    X : ndarray of real numbers, shape (n, …)
        Images (n, height, width[, channels]) or records of any other shape. uint8 is taken as it is; the
        range of anything else is mapped to that of uint8.
    kind : str
        `raw`: the values as they are. `pool`: means of pool_size × pool_size pixels, a channel at a time;
        records without two image axes have no neighbouring pixels and stay as they are.
        `random_projection`: n_features sums of all values with random signs. `pca`: n_features principal
        components.
    pool_size : int
        At least 1. Blocks at the right and lower edge repeat the last pixel.
    n_features : int
        At least 1; for `pca` no more than there are values or records are used.
    random_state : int
        Seed of the signs, and of the start of the search for axes.
    number_format : str
        `int8`: rounded to whole numbers; projections, which are not bounded by 127, are halved as often as
        their largest value needs. `fp16`: scaled by the power of two with which no distance overflows.
        `fp32`: as they are.

    Raises
    ------
    DataError
        Where X is empty, not numeric, or holds NaN or infinity; where a distance of records so long would
        overflow the format.
    ConfigError
        For an unknown kind or format.
    """
    if kind not in KINDS:
        raise ConfigError("unknown features", found=kind, expected=", ".join(KINDS))
    if number_format not in FORMATS:
        raise ConfigError("unknown number format", found=number_format, expected=", ".join(FORMATS))
    check_records(X)
    numbers, form = _Numbers(X), FORMATS[number_format]
    if kind in ("raw", "pool"):
        return _pooled(numbers, pool_size if kind == "pool" else 1, form)
    if kind == "random_projection":
        return _projected(numbers, _random_signs(numbers, n_features, random_state), form)
    return _projected(numbers, _principal(numbers, n_features, random_state), form)


def _pooled(numbers: _Numbers, pool_size: int, form: Format) -> Features:
    """Return the values as they are, or the means of blocks of pixels."""
    X, values = numbers.records, numbers.values
    shape, eight_bit = X.shape[1:], X.dtype == np.uint8
    pooled = len(shape) >= 2 and pool_size > 1
    make = _pooling(shape, pool_size) if pooled else _flat
    width = len(make(np.zeros((1, *shape)))[0])
    scale = form.scale_for(form.checked_distance(width * 255.0**2, width))
    if pooled and eight_bit:
        codes = _pooled_bytes(X, pool_size, width, form, scale)
    else:
        codes = _rounded(numbers, make, width, form, scale)
    # One addition a value, and one to round each mean; the division is a shift.
    adding = {"add_int32": values + width} if pooled else {}
    stored = pooled or not eight_bit or form.name != "int8"
    return Features(codes, stored, numbers.mapping | adding, numbers.fits)


@dataclass(frozen=True, eq=False)
class _Projection:
    """What records are projected with, and what that takes.

    Attributes
    ----------
    axes : ndarray of float64, shape (values, d)
    mean : ndarray of float64, shape (values,)
        Taken off before.
    largest : float
        A bound on the squared distance of two projected records.
    operations : dict of str to int
        Arithmetic that projects one record.
    fits : tuple of Fit
        What was learnt to find the axes.
    """

    axes: np.ndarray
    mean: np.ndarray
    largest: float
    operations: dict[str, int]
    fits: tuple[Fit, ...]


def _random_signs(numbers: _Numbers, n_features: int, random_state: int) -> _Projection:
    values = numbers.values
    axes = stream(random_state, "selection", "signs").integers(0, 2, (values, n_features)) * 2.0 - 1.0
    # The difference of two records is at most 255 in every value, and so is each sum's share of it.
    largest = n_features * (255.0 * values) ** 2
    operations = numbers.mapping | {"add_int32": values * n_features}
    return _Projection(axes, np.zeros(values), largest, operations, numbers.fits)


def _principal(numbers: _Numbers, n_features: int, random_state: int) -> _Projection:
    values = numbers.values
    n_axes = min(n_features, values, len(numbers))
    axes, mean = principal_axes(numbers, n_axes, stream(random_state, "selection", "axes"))
    operations = {"mac_fp32": values * n_axes + numbers.mapping.get("mac_fp32", 0)}
    # Orthonormal axes make no distance larger.
    return _Projection(axes, mean, values * 255.0**2, operations, (*numbers.fits, axes_fit(values, n_axes)))


def _projected(numbers: _Numbers, projection: _Projection, form: Format) -> Features:
    """Return the projections of all records."""
    make, width = _projecting(projection.axes, projection.mean), projection.axes.shape[1]
    operations, fits = projection.operations, projection.fits
    if form.name == "int8":
        # How large the projections get must be learnt by projecting once before.
        peak = max(float(np.abs(make(chunk)).max()) for chunk in numbers.chunks())
        fits = (*fits, Fit(1, operations | {"compare": width}, 4))
        scale = min(1.0, 2.0 ** np.floor(np.log2(127.0 / peak))) if peak > 0 else 1.0
        form.checked_distance(width * 255.0**2, width)
    else:
        scale = form.scale_for(form.checked_distance(projection.largest, width))
    return Features(_rounded(numbers, make, width, form, scale), True, operations, fits)


#: The squares of 1e12 values of this size sum to less than the largest float32, 3.4e38.
LARGEST = 1e12


def axes_fit(values: int, n_axes: int) -> Fit:
    """Return what `principal_axes` costs: x's products with a block of axes, and their sum weighted by x."""
    width = min(n_axes + _SPARE_AXES, values)
    return Fit(_FIT_PASSES, {"mac_fp32": 2 * values * width}, 4 * values * width)


def refuse_mask(X: np.ndarray) -> None:
    """Raise DataError where numbers of an array are masked: what counts in their place cannot be known."""
    if np.ma.is_masked(X):
        raise DataError(
            "numbers are masked",
            found=f"{np.count_nonzero(np.ma.getmaskarray(X)):,} of {X.size:,}",
            hint="Leave these records out, or give X.filled(…) with what counts in their place.",
        )


def check_records(X: np.ndarray) -> None:
    """Raise DataError unless X is a non-empty array of finite real records."""
    if not isinstance(X, np.ndarray) or X.ndim < 2 or X.size == 0:
        raise DataError(
            "no records to select from",
            found=f"shape {X.shape}" if isinstance(X, np.ndarray) else type(X).__name__,
            expected="an array (n, …)",
            hint=None
            if isinstance(X, np.ndarray) and X.ndim
            else "Give a NumPy array, such as X.to_numpy().",
        )
    refuse_mask(X)
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
        largest = max(-float(X.min()), float(X.max()))
        if largest > LARGEST:
            raise DataError(
                "a record holds a number whose squares float32 cannot sum",
                found=f"{largest:.3g}",
                expected=f"at most {LARGEST:g}",
                hint="Scale the records.",
            )


def principal_axes(
    records: np.ndarray | _Numbers, n_axes: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the axes (d, n_axes) of largest variance, and the mean (d,).

    Subspace iteration on the covariance with a few spare vectors, one pass over the records a step (N. Halko,
    P.-G. Martinsson, J. Tropp, SIAM Review 53, 2011, algorithm 4.4). Axes point where their largest entry is
    positive.
    """
    numbers = records if isinstance(records, _Numbers) else _Numbers(records, mapped=False)
    d = numbers.values
    width = min(n_axes + _SPARE_AXES, d)
    mean = sum(_flat(chunk).sum(axis=0) for chunk in numbers.chunks()) / len(numbers)
    axes = rng.standard_normal((d, width))
    for _ in range(_FIT_PASSES):
        axes, _ = np.linalg.qr(axes)
        product, axes_before = np.zeros((d, width)), axes
        for chunk in numbers.chunks():
            centred = _flat(chunk) - mean
            product += centred.T @ (centred @ axes_before)
        axes = product
    axes, _ = np.linalg.qr(axes_before)
    small = axes.T @ product
    _, turn = np.linalg.eigh(0.5 * (small + small.T))
    axes = (axes @ turn[:, ::-1])[:, :n_axes]
    return axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(n_axes)] + 0.5), mean


class _Numbers:
    """Records as float64 numbers from -128 to 127, some at a time; or as they are, where not `mapped`.

    Attributes
    ----------
    records : ndarray, shape (n, …)
        As they were given.
    values : int
        Of a record.
    mapping : dict of str to int
        Arithmetic that brings one record to this range.
    fits : tuple of Fit
        How its own range was learnt.
    """

    def __init__(self, X: np.ndarray, mapped: bool = True):
        self.records, self.values = X, int(np.prod(X.shape[1:], dtype=np.int64))
        self.mapping: dict[str, int] = {}
        self.fits: tuple[Fit, ...] = ()
        self._low, self._scale, self._offset = 0.0, 1.0, 128.0 if mapped else 0.0
        if mapped and X.dtype != np.uint8:
            # A range is learnt by two comparisons a value and applied by a product and a sum.
            self.mapping, self.fits = {"mac_fp32": self.values}, (Fit(1, {"compare": 2 * self.values}, 8),)
            low, high = float(X.min()), float(X.max())
            self._low, self._scale = low, 255.0 / (high - low) if high > low else 0.0

    def __len__(self) -> int:
        return len(self.records)

    def chunks(self) -> Iterator[np.ndarray]:
        """Yield float64 arrays (some, …)."""
        step = max(1, _CHUNK_VALUES // self.values)
        for start in range(0, len(self), step):
            yield (
                self.records[start : start + step].astype(np.float64) - self._low
            ) * self._scale - self._offset


def _flat(chunk: np.ndarray) -> np.ndarray:
    return chunk.reshape(len(chunk), -1)


def _pooling(shape: tuple[int, ...], size: int) -> Callable[[np.ndarray], np.ndarray]:
    height, width = shape[:2]
    pad = ((0, 0), (0, -height % size), (0, -width % size), (0, 0))

    def pool(chunk: np.ndarray) -> np.ndarray:
        images = np.pad(chunk.reshape(len(chunk), height, width, -1), pad, mode="edge")
        parts = (images[:, row::size, column::size] for row in range(size) for column in range(size))
        total = sum(parts, np.zeros(1))
        return _flat(total / size**2)

    return pool


def _pooled_bytes(X: np.ndarray, size: int, width: int, form: Format, scale: float) -> np.ndarray:
    """Return what `_rounded` makes of pooled 8-bit images, to the bit, by way of whole sums."""
    rows, columns = X.shape[1:3]
    channels = int(np.prod(X.shape[3:]))
    step = max(1, _CHUNK_VALUES // (rows * columns * channels))
    codes = np.empty((len(X), width), dtype=form.dtype)
    for start in range(0, len(X), step):
        part = np.ascontiguousarray(X[start : start + step]).reshape(-1, rows, columns * channels)
        sums = np.empty((len(part), -(-rows // size), -(-columns // size) * channels), dtype=np.int32)
        pooling_kernels.pool_sums(part, size, channels, sums)
        means = (_flat(sums) - 128 * size**2) / size**2
        codes[start : start + len(part)] = form.rounded(means * scale)
    return codes


def _projecting(axes: np.ndarray, mean: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return lambda chunk: (_flat(chunk) - mean) @ axes


def _rounded(
    numbers: _Numbers, make: Callable[[np.ndarray], np.ndarray], width: int, form: Format, scale: float
) -> np.ndarray:
    """Return the features of all records, scaled and rounded to the format."""
    codes, start = np.empty((len(numbers), width), dtype=form.dtype), 0
    for chunk in numbers.chunks():
        codes[start : start + len(chunk)] = form.rounded(make(chunk) * scale)
        start += len(chunk)
    return codes
