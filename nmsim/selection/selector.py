"""What every selection method has in common: its interface, and the checks of what it is given."""

from __future__ import annotations

import inspect
import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, TypeGuard

import numpy as np

from nmsim.access.work import ArraySpec, Step
from nmsim.errors import ConfigError, DataError, suggestion
from nmsim.machine import Need
from nmsim.selection.budget import class_budgets
from nmsim.selection.defaults import Defaults, Turn
from nmsim.selection.features import check_records, refuse_mask
from nmsim.selection.needs import Records

if TYPE_CHECKING:
    from typing_extensions import Self


class Selector(Protocol):
    """A selection method. Its constructor takes `keep_ratio` and `random_state` besides its own parameters.

    Attributes
    ----------
    indices_ : ndarray of int64, shape (budget,)
        After `fit`: the chosen records, ascending and distinct.

    Notes
    -----
    A class needs the constructor, `fit`, `arrays` and `steps`. All else it may leave out: `Defaults` says
    what each member means and has what is taken in its place, and `api.selector_class` adds it to a class
    without it. A constructor's `number_format` is given the format of the board's units. `Estimator` has what
    concerns the parameters.
    """

    keep_ratio: float
    indices_: np.ndarray
    places: ClassVar[tuple[str, ...]]
    host_only: ClassVar[str]
    reselect_every: int | None
    training_images_: np.ndarray | None
    training_array: str

    def __init__(self, *, keep_ratio: float, random_state: int = 1, **parameters: Any):
        """Store the parameters."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> Selector:
        """Select from records X, shape (n, …), with class labels y, shape (n,), and return self."""
        ...

    def arrays(self) -> list[ArraySpec]:
        """Return the arrays that the steps touch.

        Those with as many rows as there are records hold one row a record, and are placed like the records.
        """
        ...

    def steps(self, buffer_bytes: int, units: int = 1) -> Iterator[Step]:
        """Return what `fit` did as accesses and operations, for a buffer size and units that share work."""
        ...

    def check_parameters(self) -> None:
        """See `Defaults`, as for all below."""

    def check_network(self, name: str) -> None: ...

    def budget(self, n: int) -> int: ...

    def map(self) -> np.ndarray | None: ...

    def needs(self, records: Records) -> Iterator[Need]: ...

    def duration_s(self, records: Records) -> float: ...

    def turns(self, buffer_bytes: int, units: int = 1) -> Iterator[Turn]: ...

    def training_reads(self, n: int) -> tuple[np.ndarray, str]: ...


class FollowsTraining(Selector, Protocol):
    """A selection method whose subset follows the training that it is for.

    Attributes
    ----------
    reselect_every : int
        Epochs between two rounds, at least 1.
    rounds_ : sequence
        After a training: its rounds in order. Each has an `epoch`, which it came before, and `indices`.
    """

    reselect_every: int
    rounds_: Sequence[Any]

    def start(self, X: np.ndarray, y: np.ndarray) -> FollowsTraining:
        """Make ready to choose from X, y for one training, and return self."""
        ...

    def reselect(self, epoch: int, model: Any) -> np.ndarray:
        """Return the records to train on from this epoch on; see `nmsim.training.Reselect`."""
        ...

    def feedback_steps(self, number: int) -> Iterator[Step]:
        """Return what the SoC does and writes before round `number`, wherever the round is executed."""
        ...

    def round_steps(self, number: int, buffer_bytes: int, units: int = 1) -> Iterator[Step]:
        """Return what round `number` did, like `Selector.steps`."""
        ...


def follows_training(selector: object) -> TypeGuard[FollowsTraining]:
    """Return whether a selector has rounds between the epochs of a training; see `FollowsTraining`."""
    return hasattr(selector, "reselect")


class Classes(NamedTuple):
    """The classes of a data set, and how many records of each are kept.

    Attributes
    ----------
    y : ndarray of int64, shape (n,)
        The class label of each record.
    labels, sizes, budgets : ndarray of int64, shape (c,)
        The labels that there are, ascending, and the records and the kept records of each.
    """

    y: np.ndarray
    labels: np.ndarray
    sizes: np.ndarray
    budgets: np.ndarray


class Estimator(Defaults):
    """What scikit-learn's tools expect of an estimator: parameters that can be read, set and cloned.

    A constructor stores each of its parameters in an attribute of the same name and does nothing else.
    """

    random_state: int

    def check_parameters(self) -> None:
        """Raise ConfigError where a parameter is out of its range: here the seed, which all have."""
        check_number("random_state", self.random_state, 0, (1 << 63) - 1, whole=True)

    def checked(self, X: np.ndarray, y: np.ndarray) -> Classes:
        """Return the classes of records X, shape (n, …), with labels y, shape (n,), after checking all given.

        Raises
        ------
        DataError
            For data, labels or a keep ratio that cannot be used.
        ConfigError
            For a parameter out of its range.
        """
        self.check_parameters()
        check_records(X)
        y = check_labels(y, len(X))
        labels, sizes = np.unique(y, return_counts=True)
        return Classes(y, labels, sizes, class_budgets(sizes, self.budget(len(X))))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name; `deep` changes nothing, as no parameter is an estimator."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **params: Any) -> Estimator:
        """Set parameters and return self; ConfigError, with a suggestion, for a name that is none."""
        known = tuple(self.get_params())
        for name, value in params.items():
            check_choice("parameter", name, known)
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({values})"


class Reusable(Estimator):
    """Base of methods most of whose work does not depend on how much is kept.

    A class writes `_learn`, the part that does not, and `_choose`, the part that does. What `_learn` sets is
    never changed by `_choose`, so that fits of several keep ratios can share it.
    """

    @abstractmethod
    def _learn(self, X: np.ndarray, classes: Classes) -> None:
        """Do what does not depend on the keep ratio."""

    @abstractmethod
    def _choose(self, classes: Classes) -> None:
        """Choose the budget of each class, and set `indices_`."""

    def _fit(self, X: np.ndarray, y: np.ndarray) -> Self:
        """Do both, after checking all that is given."""
        self._classes = self.checked(X, y)
        self._learn(X, self._classes)
        self._choose(self._classes)
        return self

    def refit(self, keep_ratio: float) -> Self:
        """Return what a fit of the same data with this keep ratio would be, and repeat only what must be.

        Raises
        ------
        DataError
            For a keep ratio that cannot be used.
        """
        other = copy(self)
        other.keep_ratio = keep_ratio
        y, labels, sizes, _ = self._classes
        other._classes = Classes(y, labels, sizes, class_budgets(sizes, other.budget(len(y))))
        other._choose(other._classes)
        return other


def check_labels(y: np.ndarray, n: int) -> np.ndarray:
    """Return labels as int64, shape (n,).

    Raises
    ------
    DataError
        Where they are missing, or not n whole numbers.
    """
    if y is None:
        raise DataError(
            "the labels are missing, and every class keeps its own share",
            expected=f"a whole number for each of the {n} records",
            hint="Give every record the label 0 to select from all of them as one class.",
        )
    if isinstance(y, np.ma.MaskedArray):
        refuse_mask(y)
    y = np.asarray(y)
    if y.shape != (n,):
        raise DataError("labels and records differ in number", found=f"shape {y.shape}", expected=f"({n},)")
    if y.dtype.kind not in "uib":
        raise DataError("the labels are not whole numbers", found=y.dtype, expected="an integer type")
    if y.dtype.kind == "u" and y.max(initial=0) > np.iinfo(np.int64).max:
        raise DataError("a label is beyond all classes", found=y.max(), expected="at most 2^63 - 1")
    return y.astype(np.int64)


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise ConfigError, with a suggestion, unless `value` is one of `choices`."""
    if value not in choices:
        raise ConfigError(
            f"unknown {name}", found=value, expected=", ".join(choices), hint=suggestion(value, choices)
        )


def check_number(
    name: str, value: Any, low: float, high: float, *, whole: bool = False, above: bool = False
) -> None:
    """Raise ConfigError unless `value` is a number in low … high, `whole` and `above` low if asked."""
    kinds = int | np.integer if whole else int | float | np.number
    fits = isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)
    if not (fits and low <= value <= high and not (above and value == low)):
        kind = "a whole number" if whole else "a number"
        raise ConfigError(
            f"{name} is out of its range",
            found=repr(value),
            expected=f"{kind} {'above' if above else 'from'} {low:g} to {high:g}",
        )
