"""What is not known exactly about a board: its uncertain values, and boards that could be it as well."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydantic import BaseModel

from nmsim.config.quantity import Quantity
from nmsim.config.schema import RunConfig, quantities

#: Values that move together from low to high: the currents of a memory are those of one piece of silicon, and
#: data sheets state them with the same margin. Drawn one by one they would break the order of IDD0 to IDD2P.
_TOGETHER = {re.compile(r"memory\.rails\.[^.]+\.IDD\w+"): "memory.rails: all currents"}


@dataclass(frozen=True)
class Factor:
    """One thing that is not known: values that move together through their ranges.

    Attributes
    ----------
    name : str
        The dotted path of its value, or what its values have in common.
    quantities : mapping of str to Quantity
        By dotted path.
    """

    name: str
    quantities: Mapping[str, Quantity]

    def values(self, share: np.ndarray) -> dict[str, np.ndarray]:
        """Return each value where the factor has gone `share` of its way from low (0) to high (1).

        A range that a source gives is gone through evenly; an assumed one, a factor either way, evenly in the
        logarithm.
        """
        found = {}
        for path, quantity in self.quantities.items():
            low, high = quantity.low, quantity.high
            if quantity.range_is_ours and low > 0:
                found[path] = low * (high / low) ** share
            else:
                found[path] = low + (high - low) * share
        return found


def factors(config: RunConfig) -> list[Factor]:
    """Return what is not known exactly: every value with a range, alone or with those that it goes with."""
    groups: dict[str, dict[str, Quantity]] = {}
    for path, quantity in quantities(config).items():
        if quantity.low < quantity.high:
            names = (name for pattern, name in _TOGETHER.items() if pattern.fullmatch(path))
            groups.setdefault(next(names, path), {})[path] = quantity
    return [Factor(name, members) for name, members in groups.items()]


def latin_hypercube(samples: int, dimensions: int, seed: int) -> np.ndarray:
    """Return points in the unit cube, float64 (samples, dimensions): each column has one in every 1/samples.

    References
    ----------
    McKay, Beckman and Conover, Technometrics 21, 1979. SciPy's `qmc.LatinHypercube` does the same; importing
    it takes longer than drawing the points.
    """
    rng = np.random.default_rng([seed, 0x1A71])
    strata = rng.permuted(np.tile(np.arange(samples), (dimensions, 1)), axis=1).T
    return (strata + rng.random((samples, dimensions))) / samples


def with_values(config: RunConfig, values: Mapping[str, Any]) -> RunConfig:
    """Return the configuration with other values at these dotted paths.

    Physical values get a number or an array of shape (samples,). What the schema requires is not checked
    again.
    """
    tree = _Tree()
    for path, value in values.items():
        *sections, name = path.split(".")
        node = tree
        for section in sections:
            node = node.setdefault(section, _Tree())
        node[name] = value
    changed: RunConfig = _updated(config, tree)
    return changed


def known_exactly(config: RunConfig, path: str) -> RunConfig:
    """Return the configuration with the physical value at a dotted path taken to be exact.

    For a value that is varied on purpose and has no range of its own; others stay as they are.
    """
    quantity = quantities(config).get(path)
    if quantity is None or not quantity.range_is_ours:
        return config
    exact = replace(quantity, low=quantity.value, high=quantity.value, range_is_ours=False)
    return with_values(config, {path: exact})


class _Tree(dict[str, Any]):
    """Values by the names of their sections; another mapping is a value."""


def _updated(section: Any, tree: Any) -> Any:
    if isinstance(section, Quantity):
        return tree if isinstance(tree, Quantity) else replace(section, value=tree)
    if not isinstance(tree, _Tree):
        return tree
    if isinstance(section, BaseModel):
        return section.model_copy(update={k: _updated(getattr(section, k), v) for k, v in tree.items()})
    return {**section, **{key: _updated(section[key], value) for key, value in tree.items()}}


def drawn(config: RunConfig, unknown: Sequence[Factor], shares: np.ndarray) -> RunConfig:
    """Return the configuration with every factor at its `shares`: float64 (samples, factors), 0 to 1.

    Where a share is NaN the factor keeps its stated values.
    """
    values: dict[str, np.ndarray] = {}
    for factor, column in zip(unknown, shares.T, strict=True):
        moved = factor.values(column)
        stated = np.isnan(column)
        for path, quantity in factor.quantities.items():
            values[path] = np.where(stated, quantity.value, moved[path])
    return with_values(config, values)


def one_at_a_time(dimensions: int) -> np.ndarray:
    """Return shares, (2 · dimensions, dimensions), that take each factor alone to its low, then high end."""
    shares = np.full((2 * dimensions, dimensions), np.nan)
    index = np.arange(dimensions)
    shares[2 * index, index], shares[2 * index + 1, index] = 0.0, 1.0
    return shares
