"""One call for every selection method."""

from __future__ import annotations

import inspect
from importlib.metadata import entry_points

import numpy as np

from nmsim.errors import ConfigError
from nmsim.selection.desne import DESNE
from nmsim.selection.random import RandomPerClass
from nmsim.selection.selector import Selector, suggestion

_BUILT_IN = {"de-sne": DESNE, "random": RandomPerClass}

#: Entry-point group in which other packages can offer a class with the interface of `Selector`.
ENTRY_POINTS = "nmsim.selectors"


def methods() -> tuple[str, ...]:
    """Return the names of all methods, built-in ones first."""
    return (*_BUILT_IN, *sorted({e.name for e in entry_points(group=ENTRY_POINTS)} - set(_BUILT_IN)))


def create(method: str, keep_ratio: float, random_state: int = 0, **params: object) -> Selector:
    """Return an unfitted selector.

    Parameters
    ----------
    method : str
        One of `methods()`.
    keep_ratio, random_state, **params
        Parameters of its class.

    Raises
    ------
    ConfigError
        For an unknown method or parameter, with a suggestion.
    """
    kind = _BUILT_IN.get(method)
    if kind is None:
        offered = [e for e in entry_points(group=ENTRY_POINTS) if e.name == method]
        if not offered:
            known = methods()
            raise ConfigError(
                "unknown selection method",
                found=method,
                expected=", ".join(known),
                hint=suggestion(method, known),
            )
        kind = offered[0].load()
    known = tuple(inspect.signature(kind).parameters)
    for name in params:
        if name not in known:
            raise ConfigError(
                f"unknown parameter of {method}",
                found=name,
                expected=", ".join(known),
                hint=suggestion(name, known),
            )
    return kind(keep_ratio=keep_ratio, random_state=random_state, **params)


def select(
    X: np.ndarray,
    y: np.ndarray,
    keep_ratio: float,
    method: str = "de-sne",
    random_state: int = 0,
    **params: object,
) -> np.ndarray:
    """Return the numbers of the chosen records, int64, ascending and distinct.

    Parameters
    ----------
    X : ndarray of uint8 or other real numbers, shape (n, …)
        Images (n, height, width[, channels]) or flat records.
    y : ndarray of integers, shape (n,)
        Class labels.
    keep_ratio : float
        Share to keep, 0 < keep_ratio <= 1: exactly keep_ratio · n records, rounded, and at least one a class.
    method : str
        "de-sne", "random", or the name of an installed plug-in.
    random_state : int
        Seed; the same seed gives the same records.
    **params
        Parameters of the method's class, such as `perplexity=50` for `DESNE`.

    Raises
    ------
    ConfigError
        For an unknown method or a parameter that cannot be meant.
    DataError
        For data, labels or a keep ratio that cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.arange(40, dtype=np.uint8).reshape(20, 2)
    >>> len(select(X, np.arange(20) % 2, 0.5, "random"))
    10
    """
    return create(method, keep_ratio, random_state, **params).fit(X, y).indices_
