"""`digits`: the 1,797 handwritten 8×8 digits that come with scikit-learn; small enough for a test."""

from __future__ import annotations

import numpy as np


def read_digits() -> tuple[np.ndarray, np.ndarray]:
    """Return the images, uint8 (1797, 8, 8), and their digits.

    Notes
    -----
    Pixels count the ink in a 4×4 square, 0 to 16 (UCI, "Optical recognition of handwritten digits"); they are
    stretched to 0–255.
    """
    from sklearn.datasets import load_digits

    images, digits = load_digits().images, load_digits().target
    return np.rint(images * (255 / 16)).astype(np.uint8), digits.astype(np.int64)
