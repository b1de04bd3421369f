"""One call for every selection method."""

from __future__ import annotations

import inspect
from functools import cache
from importlib.metadata import entry_points
from types import new_class
from typing import Any

import numpy as np

from nmsim.data.pixels import as_pixels
from nmsim.errors import ConfigError, DataError, suggestion
from nmsim.selection.defaults import Defaults, FollowingDefaults
from nmsim.selection.desne import DESNE, AdapSNE
from nmsim.selection.dq import DatasetQuantization
from nmsim.selection.dqas import ActiveQuantization
from nmsim.selection.facility_location import FacilityLocation
from nmsim.selection.features import refuse_mask
from nmsim.selection.graph_cut import GraphCut
from nmsim.selection.herding import Herding
from nmsim.selection.k_center import KCenter
from nmsim.selection.kernel_herding import KernelHerding
from nmsim.selection.nessa import NeSSA
from nmsim.selection.random import RandomPerClass
from nmsim.selection.selector import FollowsTraining, Selector, check_choice, follows_training

_BUILT_IN = {
    "de-sne": DESNE,
    "adapsne": AdapSNE,
    "kernel-herding": KernelHerding,
    "random": RandomPerClass,
    "k-center": KCenter,
    "herding": Herding,
    "graph-cut": GraphCut,
    "facility-location": FacilityLocation,
    "dq": DatasetQuantization,
    "dqas": ActiveQuantization,
    "nessa": NeSSA,
}

#: Entry-point group in which other packages can offer a class with the interface of `Selector`.
ENTRY_POINTS = "nmsim.selectors"

#: Parameters that every class has and that are set apart from its own.
COMMON = ("keep_ratio", "random_state")


def methods() -> tuple[str, ...]:
    """Return the names of all methods, built-in ones first."""
    return (*_BUILT_IN, *sorted({e.name for e in entry_points(group=ENTRY_POINTS)} - set(_BUILT_IN)))


def selector_class(method: str) -> type[Selector]:
    """Return the class of a method.

    Raises
    ------
    ConfigError
        For an unknown method, with a suggestion; for a plug-in that cannot be loaded or whose constructor
        lacks what all methods have.
    """
    if isinstance(method, str) and method in _BUILT_IN:
        return _BUILT_IN[method]
    check_choice("selection method", method, methods())
    (offer, *_) = [e for e in entry_points(group=ENTRY_POINTS) if e.name == method]
    try:
        kind = offer.load()
        if not isinstance(kind, type):
            raise TypeError(f"{kind!r} is no class")
        lacking = [name for name in COMMON if name not in inspect.signature(kind).parameters]
        complete = kind if lacking else _complete(kind)
    except Exception as error:
        raise ConfigError(
            f"the plug-in {method} cannot be loaded",
            found=f"{type(error).__name__}: {error}",
            hint="Mend or uninstall the package that offers it.",
        ) from error
    if lacking:
        raise ConfigError(
            f"the plug-in {method} is no selector", expected=f"a constructor with {' and '.join(lacking)}"
        )
    return complete


@cache
def _complete(kind: Any) -> type[Selector]:
    """Return a class of a plug-in with what it left out; see `Defaults`."""
    base: type = FollowingDefaults if follows_training(kind) else Defaults
    if issubclass(kind, base):
        return kind
    # What a class has of the interface alone, by deriving from it, it left out all the same.
    left_out = {
        name: member for name, member in inspect.getmembers(base, inspect.isfunction)
        if getattr(kind, name, None) is getattr(FollowsTraining, name, None)
    }  # fmt: skip
    body = {**left_out, "__doc__": kind.__doc__, "__module__": kind.__module__, "__reduce__": _reduced}
    complete: Any = new_class(kind.__name__, (kind, base), exec_body=lambda space: space.update(body))
    complete.plugged_in = kind
    return complete


def _reduced(selector: Any) -> tuple[Any, ...]:
    """Return what pickle makes a completed selector of: its own class, which can be found by its name."""
    return _empty, (type(selector).plugged_in,), selector.__dict__


def _empty(kind: Any) -> Selector:
    complete: Any = _complete(kind)
    return object.__new__(complete)


def method_parameters(method: str) -> dict[str, object]:
    """Return a method's own parameters and their defaults; `inspect.Parameter.empty` where there is none.

    A constructor that takes any keyword shows none of those, and `create` then lets every name pass.
    """
    parameters = inspect.signature(selector_class(method)).parameters
    return {
        name: parameter.default
        for name, parameter in parameters.items()
        if name not in COMMON and parameter.kind is not parameter.VAR_KEYWORD
    }


def method_places(method: str) -> tuple[str, ...]:
    """Return where a method's steps can be executed, of `selector.PLACES`."""
    return tuple(selector_class(method).places)


def create(method: str, keep_ratio: float, random_state: int = 1, **params: object) -> Selector:
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
        For an unknown method or parameter, with a suggestion; for a parameter out of its range where the
        class checks that by itself.
    """
    kind, known = selector_class(method), method_parameters(method)
    any_name = any(p.kind is p.VAR_KEYWORD for p in inspect.signature(kind).parameters.values())
    for name in () if any_name else params:
        if name not in known:
            raise ConfigError(
                f"unknown parameter of {method}",
                found=name,
                expected=", ".join(known) or "none, for it has no parameters",
                hint=suggestion(name, tuple(known)),
            )
    for name, default in known.items():
        if default is inspect.Parameter.empty and name not in params:
            raise ConfigError(f"{method} needs its parameter {name}")
    selector = kind(keep_ratio=keep_ratio, random_state=random_state, **params)
    selector.check_parameters()
    return selector


def fit(selector: Selector, X: np.ndarray, y: np.ndarray) -> Selector:
    """Return the selector, fitted, after a look at what it chose.

    Raises
    ------
    DataError
        As `Selector.fit` does; where the result is not the exact budget of ascending and distinct records.
    """
    selector.fit(X, y)
    return checked_fit(selector, len(X))


def checked_fit(selector: Selector, n: int) -> Selector:
    """Return a fitted selector of n records, or raise DataError as `fit` does."""
    chosen = selector.indices_
    budget = selector.budget(n)
    whole = isinstance(chosen, np.ndarray) and chosen.dtype == np.int64 and chosen.ndim == 1
    if not whole or len(chosen) != budget:
        raise DataError(
            f"{type(selector).__name__} chose no budget of records",
            found=_shape(chosen),
            expected=f"int64 ({budget},)",
        )
    if chosen[0] < 0 or chosen[-1] >= n or (np.diff(chosen) <= 0).any():
        raise DataError(
            f"{type(selector).__name__} chose what cannot be chosen",
            expected=f"ascending, distinct numbers from 0 to {n - 1}",
        )
    if not callable(selector.map):
        raise DataError(
            f"{type(selector).__name__}.map is no method",
            expected="map(), which returns where the records lay in the plane, or None; or another name",
        )
    points = selector.map()
    if points is not None and not (
        isinstance(points, np.ndarray)
        and points.dtype.kind == "f"
        and points.shape == (n, 2)
        and np.isfinite(points).all()
    ):
        raise DataError(
            f"{type(selector).__name__} made no map of the records",
            found=_shape(points),
            expected=f"finite floats, shape ({n}, 2)",
        )
    return selector


def _shape(value: object) -> str:
    return f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__


def select(
    X: np.ndarray,
    y: np.ndarray,
    keep_ratio: float,
    method: str = "de-sne",
    random_state: int = 1,
    **params: object,
) -> np.ndarray:
    """Return the numbers of the chosen records, int64, ascending and distinct.

    Parameters
    ----------
    X : array of uint8 or other real numbers, shape (n, …)
        Images (n, height, width[, channels]) or flat records; also what NumPy makes an array of, such as a
        list or a table. Images of another type are taken as uint8: whole numbers from 0 to 255 as they are,
        floating-point numbers from 0 to 1 times 255, rounded, as data sets in files are. Of all else the
        range of the values, the least to the largest, is mapped to that of uint8; methods with a network
        refuse it.
    y : array of integers, shape (n,)
        Class labels.
    keep_ratio : float
        Share to keep, 0 < keep_ratio <= 1: exactly keep_ratio · n records, rounded, and at least one a class.
    method : str
        One of `methods()`: built in, or an installed plug-in.
    random_state : int
        Seed; the same seed gives the same records.
    **params
        Parameters of the method's class, such as `perplexity=50` for `DESNE`.

    Raises
    ------
    ConfigError
        For an unknown method or a parameter that cannot be meant.
    DataError
        For data, labels or a keep ratio that cannot be used; for images whose channels come first.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.arange(40, dtype=np.uint8).reshape(20, 2)
    >>> len(select(X, np.arange(20) % 2, 0.5, "random"))
    10
    """
    return fit(create(method, keep_ratio, random_state, **params), _as_stored(_as_array(X)), y).indices_


def _as_array(X: object) -> np.ndarray:
    """Return records as the array that tables, lists and tensors are to NumPy."""
    if isinstance(X, np.ma.MaskedArray):
        refuse_mask(X)
    try:
        return np.asarray(X)
    except Exception as error:  # of whatever library the object is from
        raise DataError(
            "the records are no array of numbers",
            found=f"{type(X).__name__}: {error}",
            hint="Give a NumPy array, such as X.to_numpy().",
        ) from error


def _as_stored(X: np.ndarray) -> np.ndarray:
    """Return images as uint8 where their scale is known, and anything else as it is; see `select`."""
    if X.ndim not in (3, 4) or X.size == 0:
        return X
    if X.ndim == 4 and X.shape[1] in (1, 3) and min(X.shape[2:]) > 4:
        raise DataError(
            "the images look as if their channels came first",
            found=f"shape {X.shape}",
            expected="(n, height, width, channels)",
            hint="Give X.transpose(0, 2, 3, 1); if they are no images, X.reshape(len(X), -1).",
        )
    pixels = as_pixels(X) if X.dtype.kind in "biuf" else None
    return X if pixels is None else pixels
