"""A value of a formula: one number, or an array with one for each sample of an uncertain board.

All formulas of this package are written with + - * / and NumPy's functions only, so that the same line that
prices a board also prices a thousand variants of it at once.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

#: One number, or float64 of shape (samples,).
Number: TypeAlias = float | np.ndarray


def whole(value: Number) -> Number:
    """Return the nearest whole number: an int, or an array of whole float64."""
    return np.rint(value) if isinstance(value, np.ndarray) else round(value)
