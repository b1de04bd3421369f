"""The number formats that features are stored in and distances are accumulated in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nmsim.errors import DataError


@dataclass(frozen=True)
class Format:
    """A number format of the units beside the memory.

    Attributes
    ----------
    name : str
    dtype : numpy.dtype
        What a stored value is.
    mac : str
        The operation that multiplies two values and accumulates, as `nmsim.access.work.OPERATIONS` names it.
    largest_sum : float
        What its accumulator can hold.

    Notes
    -----
    `int8`: products and sums are whole numbers in an unsigned accumulator of 32 bits, so that distances are
    exact and any order of summing gives the same. `fp16`: differences, products and sums are each rounded to
    float16 (ties to even), without fusing: the multipliers and adders of a bank's unit are themselves fp16.
    `fp32`: likewise in float32. Both sum in `LANES` partial sums, value v in sum v mod LANES, which are then
    added in halves (0 + 8, 1 + 9, … ; 0 + 4, …). Sixteen lanes of fp16 multipliers and adders are what
    Samsung's FIMDRAM has (Y.-C. Kwon et al., ISSCC 2021, 25.4); that it rounds after each of them is an
    assumption, and so is the tree.
    """

    name: str
    dtype: np.dtype
    mac: str
    largest_sum: float

    @property
    def value_bytes(self) -> int:
        """Return the bytes of a stored value."""
        return self.dtype.itemsize

    def rounded(self, values: np.ndarray) -> np.ndarray:
        """Return float64 values rounded to the format: whole ones half up, floating ones half to even."""
        return (np.floor(values + 0.5) if self.name == "int8" else values).astype(self.dtype)

    def checked_distance(self, largest: float, values: int) -> float:
        """Return the largest squared distance of records; DataError where the accumulator cannot hold it."""
        if self.name == "int8" and largest > self.largest_sum:
            raise DataError(
                "the records are too long for distances of 8-bit numbers in 32 bits",
                found=f"{values:,} values",
                expected=f"at most {int(self.largest_sum / 255**2):,}",
                hint="Reduce them (a larger pool_size, random_projection, pca), or compute in fp32.",
            )
        return largest

    def scale_for(self, largest: float) -> float:
        """Return the largest power of two, at most 1, by which values are scaled so that no sum overflows."""
        if self.name == "int8" or largest <= self.largest_sum:
            return 1.0
        return float(2.0 ** np.floor(0.5 * np.log2(self.largest_sum / largest)))


#: Partial sums of a floating-point distance.
LANES = 16

FORMATS = {
    form.name: form
    for form in (
        Format("int8", np.dtype(np.int8), "mac_int8", 2.0**32 - 1),
        Format("fp16", np.dtype(np.float16), "mac_fp16", float(np.finfo(np.float16).max)),
        Format("fp32", np.dtype(np.float32), "mac_fp32", float(np.finfo(np.float32).max)),
    )
}
