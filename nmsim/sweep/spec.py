"""What a sweep's file asks for: a board, fixed values, and the values that are varied."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from nmsim.config.load import Draft, Override
from nmsim.config.schema import RunConfig
from nmsim.config.variation import known_exactly
from nmsim.config.yaml_tree import Origin
from nmsim.errors import ResourceLimitError
from nmsim.schemes import FULL
from nmsim.shipped import named
from nmsim.system.board_checks import check_board

#: Names that are no path of a configuration: the board's own file, and one scheme beside `full`.
CONFIG, SCHEME = "config", "scheme"

#: The source of a value that a sweep gives without one.
VARIED = "varied by the sweep"


@dataclass(frozen=True)
class Choices:
    """An axis with given values.

    Attributes
    ----------
    path : str
        Dotted, or `config`, or `scheme`.
    values : tuple
        As YAML gives them.
    origins : tuple of Origin
        Where each is written.
    """

    path: str
    values: tuple[Any, ...]
    origins: tuple[Origin, ...]

    def at(self, share: float) -> Any:
        """Return the value that lies `share` of the way from the first to the end, 0 <= share < 1."""
        return self.values[int(share * len(self.values))]

    def origin(self, value: Any) -> Origin:
        """Return where a value is written."""
        return self.origins[self.values.index(value)]

    @property
    def samples(self) -> tuple[Any, ...]:
        """Return values that stand for all."""
        return self.values

    @property
    def described(self) -> str:
        """Return what it takes, for people."""
        return ", ".join(map(label, self.values))


@dataclass(frozen=True)
class Range:
    """An axis with a range of numbers, in a unit.

    Attributes
    ----------
    path : str
    low, high : float or int
        Both ends; whole numbers where both are written so.
    unit : str
        "" for a plain number.
    log : bool
        Whether the logarithm is drawn evenly.
    place : Origin
    """

    path: str
    low: float
    high: float
    unit: str
    log: bool
    place: Origin

    @property
    def whole(self) -> bool:
        """Return whether only whole numbers are meant."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def at(self, share: float) -> Any:
        """Return the value that lies `share` of the way, 0 <= share < 1."""
        low, high = (self.low, self.high + 1) if self.whole else (self.low, self.high)
        value = low * (high / low) ** share if self.log else low + (high - low) * share
        return self.written(math.floor(value) if self.whole else float(f"{value:.6g}"))

    def written(self, number: float) -> Any:
        """Return a number of this range as a configuration has it."""
        return f"{number} {self.unit}" if self.unit else number

    def origin(self, value: Any) -> Origin:
        """Return where the range is written."""
        return self.place

    @property
    def samples(self) -> tuple[Any, ...]:
        """Return values that stand for all: both ends."""
        return self.written(self.low), self.written(self.high)

    @property
    def described(self) -> str:
        """Return what it takes, for people."""
        scale = ", evenly in the logarithm" if self.log else ""
        return f"{self.written(self.low)} to {self.written(self.high)}{scale}"


Axis = Choices | Range


@dataclass(frozen=True)
class Search:
    """How a search goes; see docs/howto/sweep.md."""

    trials: int
    seed: int = 0
    at_once: int = 4
    energy: str = "system_energy"
    scheme: str | None = None
    sampler: str = "tpe"
    scheme_line: int | None = None


@dataclass(frozen=True)
class Spec:
    """A sweep as its file asks for it.

    Attributes
    ----------
    file : Path
    name : str
    kind : str
        "grid", "random" or "search".
    fixed : tuple of Override
        Values that all points share.
    axes : tuple of Choices or Range
    points : int
        How many there are.
    seed : int
        Of what is drawn.
    search : Search or None
    """

    file: Path
    name: str
    kind: str
    board: Path
    fixed: tuple[Override, ...]
    axes: tuple[Axis, ...]
    points: int
    seed: int
    search: Search | None

    def values(self) -> Iterator[dict[str, Any]]:
        """Yield each point's values by path: those of a grid with the last axis fastest, or those drawn.

        Each drawn point has a generator of its own, so that more points leave the first ones as they are.
        """
        if self.kind == "grid":
            for combination in product(*(axis.samples for axis in self.axes)):
                yield dict(zip((axis.path for axis in self.axes), combination, strict=True))
        for index in range(self.points if self.kind == "random" else 0):
            shares = np.random.default_rng([self.seed, index]).random(len(self.axes))
            yield {axis.path: axis.at(share) for axis, share in zip(self.axes, shares.tolist(), strict=True)}

    def check_size(self, limit: int, seconds: float | None) -> None:
        """Refuse more points than `limit`; `seconds` is what one takes, if that is known.

        Raises
        ------
        ResourceLimitError
        """
        if self.points <= limit:
            return
        each = 1.0 if seconds is None else seconds
        basis = "even at a second a point" if seconds is None else f"at {each:.2g} s a point, as measured,"
        raise ResourceLimitError(
            f"{basis} this sweep would take {duration(self.points * each)} of processor time",
            file=self.file,
            found=f"{self.points:,} points",
            expected=f"at most {limit:,}",
            hint="Leave values out, draw random points, or raise --max-points.",
        )


class Drafts:
    """The configurations of a sweep's points, each board's files read once."""

    def __init__(self, spec: Spec, overrides: Sequence[str] = ()):
        self._spec = spec
        self._extra = [Override.parse(text) for text in overrides]
        self._drafts: dict[Path, Draft] = {}
        self._axes = {axis.path: axis for axis in spec.axes}

    def complete(self, values: Mapping[str, Any]) -> RunConfig:
        """Return the validated configuration of a point; its trace is off, and its values known exactly.

        Raises
        ------
        ConfigError
            With the line of the value in the sweep's file, where that is what is wrong.
        """
        board = self._spec.board
        overrides = [*self._spec.fixed, *self._extra, Override("trace.level", "off", Origin("the sweep"))]
        for path, value in values.items():
            origin = self._axes[path].origin(value)
            if path == CONFIG:
                board = named(value, self._spec.file.parent)
            else:
                overrides.append(_override(path, value, origin))
        if board not in self._drafts:
            self._drafts[board] = Draft(board)
        config = self._drafts[board].complete(overrides)
        for path in values:
            config = known_exactly(config, path)
        return config

    def check(self) -> None:
        """Refuse values that are wrong by themselves: each is tried beside the first ones of all other axes.

        Raises
        ------
        ConfigError
        """
        first = {axis.path: axis.samples[0] for axis in self._spec.axes}
        check_board(self.complete(first))
        for axis in self._spec.axes:
            for value in axis.samples[1:]:
                self.complete(first | {axis.path: value})


def label(value: Any) -> str:
    """Return a value as a table shows it."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and "value" in value:
        return f"{value['value']} {value.get('unit', '')}".strip()
    return json.dumps(value, ensure_ascii=False)


def duration(seconds: float) -> str:
    """Return a long time in words."""
    for unit, length in (("years", 31_557_600), ("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:.0f} s"


def _override(path: str, value: Any, origin: Origin) -> Override:
    if path == SCHEME:
        schemes = [FULL] if value == FULL else [FULL, value]
        return Override("schemes", schemes, origin)
    return Override(path, value, Origin(origin.file, origin.line, VARIED))
