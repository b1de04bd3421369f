"""Data bus inversion: a byte that would draw current on more than half of its pins is sent inverted."""

from __future__ import annotations

from math import comb

import numpy as np

from nmsim.energy.values import Number

#: driven bits of a byte -> driven pins of its nine, the inversion pin among them (JESD79-4, DBIdc).
DRIVEN_PINS = np.array([ones if ones <= 4 else (8 - ones) + 1 for ones in range(9)])


def driven_share(share: Number, dbi: str) -> Number:
    """Return how many pins conduct for a data bit, of which `share` would without inversion.

    Parameters
    ----------
    share : float or ndarray
        Probability that a bit is in the driven state, independent of all others, 0 to 1.
    dbi : {"none", "dc"}
        With "dc" the inversion pin counts as well.

    Notes
    -----
    Sum over k of C(8, k) · share^k · (1 - share)^(8 - k) · `DRIVEN_PINS[k]`, over 8: for random bits 3.27
    pins a byte in place of 4.
    """
    if dbi == "none":
        return share
    terms = (comb(8, k) * share**k * (1 - share) ** (8 - k) * int(pins) for k, pins in enumerate(DRIVEN_PINS))
    return sum(terms) / 8
