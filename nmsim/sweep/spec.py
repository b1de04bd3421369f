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
from nmsim.config.sampling import known_exactly
from nmsim.config.schema import RunConfig
from nmsim.config.yaml_tree import Origin, Path_, read_yaml
from nmsim.errors import ConfigError, ResourceLimitError, suggestion
from nmsim.schemes import FULL
from nmsim.shipped import named
from nmsim.system.board_checks import check_board

#: Ways to say which points there are.
KINDS = ("grid", "random", "search")

#: Names that are no path of a configuration: the board's own file, and one scheme beside `full`.
CONFIG, SCHEME = "config", "scheme"

#: The source of a value that a sweep gives without one.
VARIED = "varied by the sweep"

#: What a search can make small.
ENERGIES = ("dataset_ddr_energy", "ddr_energy", "system_energy")

_KEYS = {
    "": ("name", CONFIG, "set", *KINDS),
    "random": ("points", "seed", "over"),
    "search": ("trials", "seed", "at_once", "energy", SCHEME, "sampler", "over"),
}


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


@dataclass(frozen=True)
class Spec:
    """A sweep as its file asks for it.

    Attributes
    ----------
    file : Path
    name : str
    kind : str
        Of `KINDS`.
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


def read_spec(path: str | Path) -> Spec:
    """Return the sweep that a file describes.

    Raises
    ------
    ConfigError
        With file, line, what was found and what is expected.
    """
    file = named(path)
    tree, origins = read_yaml(file)
    _check_keys(tree, (), "", origins)
    kinds = [kind for kind in KINDS if kind in tree]
    if len(kinds) != 1:
        raise ConfigError(
            "a sweep is one of a grid, random points and a search",
            file=file,
            line=origins[(kinds[1],)].line if kinds else 1,
            found=" and ".join(kinds) or "none of them",
            expected=", ".join(KINDS),
        )
    kind = kinds[0]
    section = _mapping(tree[kind], (kind,), origins)
    if kind != "grid":
        _check_keys(section, (kind,), kind, origins)
    where = (kind,) if kind == "grid" else (kind, "over")
    axes = _axes(_required(section, where, origins) if kind != "grid" else section, where, origins, kind)
    board = _text(_required(tree, (CONFIG,), origins), (CONFIG,), origins)
    name = tree.get("name", file.stem)
    if not isinstance(name, str):
        raise _wrong("name", ("name",), origins, name, "a text")
    search, seed = None, 0
    if kind == "grid":
        points: int = math.prod(len(axis.samples) for axis in axes)
    elif kind == "random":
        points = _count(_required(section, (kind, "points"), origins), (kind, "points"), origins)
        seed = _count(section.get("seed", 0), (kind, "seed"), origins, 0)
    else:
        search = _search(section, origins)
        points = search.trials
    return Spec(
        file, name, kind, named(board, file.parent), _fixed(tree, origins), tuple(axes), points, seed, search
    )


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


def _fixed(tree: dict[str, Any], origins: Mapping[Path_, Origin]) -> tuple[Override, ...]:
    given = _mapping(tree.get("set", {}), ("set",), origins)
    found = []
    for path, value in given.items():
        at = origins[("set", path)]
        source = at.source or "set in the sweep"
        beneath = {
            keys[2:]: Origin(o.file, o.line, o.source or source)
            for keys, o in origins.items()
            if keys[:2] == ("set", path) and len(keys) > 2
        }
        found.append(Override(path, value, Origin(at.file, at.line, source), beneath))
    return tuple(found)


def _axes(section: Any, where: Path_, origins: Mapping[Path_, Origin], kind: str) -> list[Axis]:
    section = _mapping(section, where, origins)
    if not section:
        raise _wrong("there is nothing to vary", where, origins, "an empty mapping", "path: [values]")
    axes: list[Axis] = []
    for path, values in section.items():
        at = (*where, path)
        if isinstance(values, dict) and kind != "grid":
            axes.append(_range(path, values, at, origins))
            continue
        if not isinstance(values, list) or not values:
            expected = "a list of values" + ("" if kind == "grid" else ", or {from: …, to: …}")
            found = "an empty list" if values == [] else label(values)
            raise _wrong(f"{path}: there is nothing to choose from", at, origins, found, expected)
        for index, value in enumerate(values):
            if value in values[:index]:
                raise _wrong(f"{path}: a value stands twice", (*at, index), origins, label(value), None)
        axes.append(Choices(path, tuple(values), tuple(origins[(*at, i)] for i in range(len(values)))))
    return axes


def _range(path: str, section: dict[str, Any], at: Path_, origins: Mapping[Path_, Origin]) -> Range:
    for key in section:
        if key not in ("from", "to", "scale"):
            raise _wrong(f"{path}: unknown key {key}", (*at, key), origins, None, "from, to, scale")
    scale = section.get("scale", "linear")
    if scale not in ("linear", "log"):
        raise _wrong(f"{path}: unknown scale", (*at, "scale"), origins, label(scale), "linear or log")
    ends = []
    for key in ("from", "to"):
        value = _required(section, (*at, key), origins)
        number, unit = value, ""
        if isinstance(value, str):
            text, _, unit = value.strip().partition(" ")
            try:
                number = int(text) if text.lstrip("+-").isdigit() else float(text)
            except ValueError:
                number = None
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            raise _wrong(f"{path}: no number", (*at, key), origins, label(value), 'a number or "1 KiB"')
        ends.append((number, unit.strip()))
    (low, unit), (high, other) = ends
    if unit != other:
        raise _wrong(f"{path}: both ends need the same unit", (*at, "to"), origins, other, unit or "none")
    if low >= high or (scale == "log" and low <= 0):
        expected = f"more than {low}" if low >= high else "an end above 0 for a logarithmic scale"
        key = "to" if low >= high else "from"
        raise _wrong(f"{path}: this is no range", (*at, key), origins, label(section[key]), expected)
    return Range(path, low, high, unit, scale == "log", origins[at])


def _search(section: dict[str, Any], origins: Mapping[Path_, Origin]) -> Search:
    def count(key: str, default: int, least: int = 1) -> int:
        return _count(section.get(key, default), ("search", key), origins, least)

    def one_of(key: str, default: str, known: Sequence[str]) -> str:
        value = section.get(key, default)
        if value not in known:
            hint = suggestion(str(value), known)
            raise _wrong(f"search.{key}", ("search", key), origins, label(value), ", ".join(known), hint)
        return value

    trials = _count(_required(section, ("search", "trials"), origins), ("search", "trials"), origins)
    scheme = section.get(SCHEME)
    return Search(
        trials,
        count("seed", 0, 0),
        count("at_once", 4),
        one_of("energy", "system_energy", ENERGIES),
        None if scheme is None else _text(scheme, ("search", SCHEME), origins),
        one_of("sampler", "tpe", ("tpe", "nsga2")),
    )


def _check_keys(tree: dict[str, Any], where: Path_, section: str, origins: Mapping[Path_, Origin]) -> None:
    known = _KEYS[section]
    for key in tree:
        if key not in known:
            name = ".".join(map(str, (*where, key)))
            hint = suggestion(key, known) or f"Known keys: {', '.join(known)}."
            raise _wrong(f"{name}: unknown key of a sweep", (*where, key), origins, None, None, hint)


def _required(section: dict[str, Any], at: Path_, origins: Mapping[Path_, Origin]) -> Any:
    if at[-1] not in section:
        name = ".".join(map(str, at))
        raise _wrong(f"{name}: this key is missing", at[:-1], origins, None, None)
    return section[at[-1]]


def _mapping(value: Any, at: Path_, origins: Mapping[Path_, Origin]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(".".join(map(str, at)), at, origins, label(value), "a mapping of paths to values")
    return value


def _text(value: Any, at: Path_, origins: Mapping[Path_, Origin]) -> str:
    if not isinstance(value, str):
        raise _wrong(".".join(map(str, at)), at, origins, label(value), "a text")
    return value


def _count(value: Any, at: Path_, origins: Mapping[Path_, Origin], least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        expected = f"a whole number of at least {least}"
        raise _wrong(".".join(map(str, at)), at, origins, label(value), expected)
    return value


def _wrong(
    message: str,
    at: Path_,
    origins: Mapping[Path_, Origin],
    found: object,
    expected: object,
    hint: str | None = None,
) -> ConfigError:
    origin = next(origins[at[:n]] for n in range(len(at), -1, -1) if at[:n] in origins)
    return ConfigError(message, file=origin.file, line=origin.line, found=found, expected=expected, hint=hint)
