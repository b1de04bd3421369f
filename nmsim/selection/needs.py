"""What a selection holds in memory and how long it takes, which each method says of itself.

Constants were fitted to the peaks of runs (tests/verify/test_estimates.py); times are an order of magnitude,
on a machine of 2020.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from nmsim.machine import IMAGES, Need
from nmsim.selection.formats import FORMATS

#: Pairs of records that a core goes through in a second.
PAIRS_PER_S = 5e8

MB = 1e6


@dataclass(frozen=True)
class Records:
    """Of which size a data set is that is selected from.

    Attributes
    ----------
    n, n_classes : int
        Records, and classes of them.
    shape : tuple of int
        Height, width, channels.
    """

    n: int
    n_classes: int
    shape: tuple[int, int, int]

    @property
    def values(self) -> int:
        """Return the values of a record."""
        return math.prod(self.shape)

    @property
    def of_class(self) -> int:
        """Return the records of a class of mean size."""
        return -(-self.n // self.n_classes)


class ComparesFeatures(Protocol):
    """A selector that compares features; its parameters are those of `features.extract`."""

    features: str
    pool_size: int
    n_features: int
    number_format: str


def of_features(selector: ComparesFeatures, records: Records) -> Need:
    """Return what features take, with the scratch memory of making them."""
    height, width, channels = records.shape
    side = selector.pool_size
    widths = {"pool": -(-height // side) * -(-width // side) * channels, "raw": records.values}
    values = widths.get(selector.features, selector.n_features)
    item_bytes = FORMATS[selector.number_format].value_bytes
    what = f"features of {records.n:,} images ({values} values)"
    return Need(what, records.n * values * (item_bytes + 2), "features")


def of_similarities(records: Records, pair_bytes: int) -> Need:
    """Return what all pairs of a class take at so many bytes each, with what is computed from them."""
    group = records.of_class
    what = f"similarities ({group:,} × {group:,} of a class)"
    return Need(what, pair_bytes * group * group, IMAGES)


def of_anything(records: Records) -> Need:
    """Return what is assumed of a method that does not say: a copy of the images."""
    return Need(
        f"a copy of {records.n:,} images, assumed of the selection", records.n * records.values, IMAGES
    )


def seconds_of_pairs(records: Records) -> float:
    """Return how long some passes over all pairs of each class take."""
    return 10 * records.n * records.of_class / PAIRS_PER_S
