"""Reading a sweep's file: each mistake is refused where it stands."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nmsim.config.load import Override
from nmsim.config.schema import RunConfig
from nmsim.config.yaml_tree import Origin, Path_, read_yaml
from nmsim.errors import ConfigError, suggestion
from nmsim.shipped import named, sweep_names
from nmsim.sweep.spec import CONFIG, SCHEME, Axis, Choices, Range, Search, Spec, label

#: Ways to say which points there are.
KINDS = ("grid", "random", "search")

#: What a search can make small.
ENERGIES = ("dataset_ddr_energy", "ddr_energy", "system_energy")

_KEYS = {
    "": ("name", CONFIG, "set", *KINDS),
    "random": ("points", "seed", "over"),
    "search": ("trials", "seed", "at_once", "energy", SCHEME, "sampler", "over"),
}


def read_spec(path: str | Path) -> Spec:
    """Return the sweep that a file describes.

    Raises
    ------
    ConfigError
        With file, line, what was found and what is expected.
    """
    file = named(path)
    tree, origins = read_yaml(file, sweep_names)
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
        None if scheme is None else origins[("search", SCHEME)].line,
    )


def _check_keys(tree: dict[str, Any], where: Path_, section: str, origins: Mapping[Path_, Origin]) -> None:
    known = _KEYS[section]
    for key in tree:
        if key not in known:
            name = ".".join(map(str, (*where, key)))
            hint = suggestion(key, known) or f"Known keys: {', '.join(known)}."
            if not where and (key == "extends" or key in RunConfig.model_fields):
                hint = "This is a board: nmsim run takes it."
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
