"""From a YAML file, what it extends, and `--set` options to one validated `RunConfig`."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel, ValidationError

from nmsim.config.schema import RunConfig, physical_values
from nmsim.config.yaml_tree import Origin, Path_, parse_yaml, read_yaml
from nmsim.errors import ConfigError, suggestion
from nmsim.shipped import board_names, named
from nmsim.store import manifest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MAX_EXTENDS = 20

#: The source of a value that `--set` gives without one.
COMMAND_LINE = "set on the command line"

_PLAIN = {
    "missing": "this key is missing",
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "int_parsing": "expected a whole number",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "bool_type": "expected true or false",
    "string_type": "expected a text",
    "model_type": "expected a mapping of keys to values",
    "dict_type": "expected a mapping of keys to values",
    "tuple_type": "expected a list",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "too_short": "needs at least {min_length} entry",
}


@dataclass(frozen=True)
class Override:
    """A value that is given from outside a configuration's own files.

    Attributes
    ----------
    path : str
        Dotted.
    value : object
        As YAML gives it.
    origin : Origin
        Where it is written, for errors.
    beneath : mapping of keys to Origin
        The places within a value that is a mapping or a list.
    """

    path: str
    value: Any
    origin: Origin
    beneath: Mapping[Path_, Origin] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Override:
        """Return the override of a text `a.b=value`, as given to `--set`; the value is read as YAML."""
        path, equals, value_text = text.partition("=")
        where = f"--set {text}"
        if not equals or not all(path.strip().split(".")):
            raise ConfigError("an override is written a.b=value", file=where)
        value, given = parse_yaml(f"value: {value_text}", where)
        origin = Origin(where, source=COMMAND_LINE)
        beneath = {keys[1:]: origin for keys in given if len(keys) > 1}
        return cls(path.strip(), value["value"], origin, beneath)


#: Keys by which a sweep's file is known.
_OF_SWEEPS = {"grid", "random", "search"}


class Draft:
    """A configuration that is read from its files and not yet checked, to be completed in several ways."""

    def __init__(self, path: str | Path):
        file = named(path)
        self._path = str(file)
        self._tree, self._origins = read_extended(file)
        if _OF_SWEEPS & self._tree.keys():
            hint = "nmsim sweep takes it; its `config` names the board."
            raise ConfigError("this describes a sweep, and no board", file=file, hint=hint)

    def complete(self, overrides: Sequence[Override] = ()) -> RunConfig:
        """Return the validated configuration with these values on top, later ones winning."""
        tree, origins = deepcopy(self._tree), dict(self._origins)
        for override in overrides:
            _override(tree, origins, override)
        _locate_standard(tree, origins)
        # Which values are physical is known of a checked tree alone: checked once more with their sources.
        _name_sources(_validated(tree, origins, self._path), tree)
        return _validated(tree, origins, self._path)


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Return the validated configuration of a YAML file.

    Parameters
    ----------
    path : str or Path
        The file, or the name of a board that comes with nmsim: "lpddr4". Its `extends:` names one or more
        files (relative to it) or such boards that it builds on, later ones winning, and its own keys winning
        over all of them.
    overrides : sequence of str
        `a.b=value` texts, as given to `--set`; the value is read as YAML.

    Raises
    ------
    ConfigError
        With file, line, path, what was found and a suggestion. `error.others` lists further problems.
    """
    if not isinstance(path, str | os.PathLike):
        raise ConfigError(
            "a configuration is loaded from a file",
            found=type(path).__name__,
            expected='its path, or the name of a board such as "lpddr4"',
        )
    texts = isinstance(overrides, Sequence) and not isinstance(overrides, str)
    if not texts or not all(isinstance(text, str) for text in overrides):
        raise ConfigError(
            "overrides are a list of texts", found=repr(overrides)[:80], expected='["a.b=value"]'
        )
    return Draft(path).complete([Override.parse(text) for text in overrides])


def _validated(tree: dict[str, Any], origins: dict[Path_, Origin], file: str) -> RunConfig:
    try:
        config = RunConfig.model_validate(tree)
    except ValidationError as error:
        raise _first_of(_problems(error, origins, file)) from None
    config._origins.update(origins)
    return config


def _first_of(problems: Sequence[ConfigError]) -> ConfigError:
    """Return the first problem, which carries the others."""
    first, *others = sorted(problems, key=lambda p: (str(p.file), p.line or 0))
    first.others = others
    return first


def _name_sources(config: RunConfig, tree: dict[str, Any]) -> None:
    """Write beside every physical value in `tree` the source that the section around it names.

    Only a section of the same file speaks for a value: whoever overrides a current in a file of their own has
    not read it in the data sheet that the file beneath names.
    """
    problems = []
    for keys, quantity in physical_values(config):
        if quantity.source is not None:
            continue
        section: Any = tree
        for key in keys[:-1]:
            section = section[key]
        written = section[keys[-1]]
        written = written if isinstance(written, dict) else {"value": written}
        origin = config.origin(keys)
        section[keys[-1]] = {**written, "source": origin.source}
        if origin.source is None:
            problems.append(
                ConfigError(
                    f"{'.'.join(map(str, keys))}: nothing says where this value comes from",
                    file=origin.file,
                    line=origin.line,
                    found=f"{written['value']} {written.get('unit', '')}".strip(),
                    expected="a source",
                    hint='Write {value: …, unit: …, source: "…"}, or a source: for the whole section in this '
                    'file; where there is none to name, "assumed: why" is one.',
                )
            )
    if problems:
        raise _first_of(problems)


def config_hash(config: RunConfig) -> str:
    """Return the sha256 of what the configuration means; its wording, comments and name do not count."""
    return manifest.config_hash(config.model_dump(mode="json", exclude={"name"}))


def folder_name(config: RunConfig) -> str:
    """Return the name of the folder of this configuration's run: its own, and the start of its hash."""
    return f"{config.name}-{config_hash(config)[:8]}"


def dump_config(config: RunConfig) -> str:
    """Return the resolved configuration as YAML that `load_config` reads back to an equal one."""
    resolved = config.model_dump(mode="json", exclude_none=True)
    return yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True, width=110)


def read_extended(path: Path, chain: tuple[Path, ...] = ()) -> tuple[dict[str, Any], dict[Path_, Origin]]:
    """Return a YAML file merged with all that it extends, not validated, and where each value was written.

    The places are in the order in which they were given: the file's own come last.

    Parameters
    ----------
    path : Path
    chain : tuple of Path
        The files that extend this one.

    Raises
    ------
    ConfigError
        Where a file cannot be read, or the files extend each other in a circle.
    """
    own, own_origins = read_yaml(path, board_names)
    resolved = Path(os.path.realpath(path))
    if resolved in chain or len(chain) >= MAX_EXTENDS:
        names = " -> ".join(p.name for p in (*chain, resolved))
        raise ConfigError(f"`extends` goes round in a circle: {names}", file=chain[-1])
    bases = own.pop("extends", [])
    bases = [bases] if isinstance(bases, str) else bases
    if not isinstance(bases, list) or not all(isinstance(b, str) for b in bases):
        line = own_origins[("extends",)].line
        raise ConfigError("`extends` takes a file name or a list of them", file=path, line=line, found=bases)
    tree: dict[str, Any] = {}
    origins: dict[Path_, Origin] = {(): Origin(str(path), 1)}
    for base in bases:
        base_path = named(base, path.parent)
        if not os.path.isfile(base_path):  # false, too, for what no file can be called
            line = own_origins[("extends",)].line
            raise ConfigError(f"extends {base[:80]!r}, which is no file", file=path, line=line)
        base_tree, base_origins = read_extended(base_path, (*chain, resolved))
        _merge(tree, base_tree)
        _give(origins, base_origins)
    _merge(tree, own)
    _give(origins, own_origins)
    return tree, origins


def _give(origins: dict[Path_, Origin], later: dict[Path_, Origin]) -> None:
    """Update `origins`, which stay in the order in which values were given."""
    for path in later:
        origins.pop(path, None)
    origins.update(later)


def _locate_standard(tree: dict[str, Any], origins: dict[Path_, Origin]) -> None:
    """Make the path of a standard's file whole: it is relative to the file that names it."""
    memory = tree.get("memory")
    if not isinstance(memory, dict):
        return
    standard = memory.get("standard")
    if isinstance(standard, str) and standard.endswith(".yaml"):
        origin = origins[("memory", "standard")]
        folder = Path(origin.file).parent if origin.line else Path()
        with suppress(ValueError):  # no file can have this name, which its reader says
            memory["standard"] = os.path.realpath(folder / standard)


def _merge(into: dict[str, Any], over: dict[str, Any]) -> None:
    for key, value in over.items():
        if _is_section(value) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _is_section(value: Any) -> bool:
    """Return whether this is a mapping of keys, and not a physical value written as one."""
    return isinstance(value, dict) and "value" not in value


def _override(tree: dict[str, Any], origins: dict[Path_, Origin], override: Override) -> None:
    path, origin = tuple(override.path.split(".")), override.origin
    node = tree
    for depth, key in enumerate(path[:-1], start=1):
        node = node.setdefault(key, {})
        if not isinstance(node, dict):
            raise ConfigError(
                f"{'.'.join(path[:depth])} is a value, not a section", file=origin.file, line=origin.line
            )
    _merge(node, {path[-1]: deepcopy(override.value)})
    if not _is_section(override.value):
        for known in [p for p in origins if p[: len(path)] == path]:
            del origins[known]
    _give(origins, {(*path, *keys): place for keys, place in {(): origin, **override.beneath}.items()})
    for depth in range(1, len(path)):
        origins.setdefault(path[:depth], origin)


def _problems(error: ValidationError, origins: dict[Path_, Origin], file: str) -> list[ConfigError]:
    """Return one error per place, without those that only follow from others."""
    by_path: dict[Path_, list[ErrorDetails]] = defaultdict(list)
    for details in error.errors(include_url=False):
        by_path[_path(details["loc"])].append(details)
    problems = []
    for path, found in by_path.items():
        # A list is "too short" for the checker once its wrong entries are out.
        beneath = any(other[: len(path)] == path and other != path for other in by_path)
        if beneath and found[0]["type"] == "too_short":
            continue
        nearest = (origins[path[:n]] for n in range(len(path), -1, -1) if path[:n] in origins)
        problems.append(_problem(path, found, next(nearest, Origin(file))))
    return problems


def _path(location: tuple[int | str, ...]) -> Path_:
    """Return the keys that lead to a problem, without what the checker adds about its own types."""
    path = tuple(p for p in location if not str(p).startswith(("literal[", "function-", "constrained-")))
    return path[:-1] if path and path[-1] in ("int", "str", "[key]") else path


def _problem(path: Path_, details: list[ErrorDetails], origin: Origin) -> ConfigError:
    """Return what is wrong at one place; where several forms are allowed there, each says what it wants."""
    name = ".".join(map(str, path)) or "the configuration"
    messages, hint, found = [], None, details[0].get("input")
    for detail in details:
        message = _PLAIN.get(detail["type"], detail["msg"].removeprefix("Value error, "))
        message = message.format(**detail["ctx"]) if detail["type"] in _PLAIN and "ctx" in detail else message
        if detail["type"] == "extra_forbidden":
            message, found, hint = "unknown key", None, _known_keys(path)
        elif detail["type"] == "literal_error":
            options = detail["ctx"]["expected"]
            message = f"expected one of {options}" if " or " in options else f"expected {options}"
            hint = suggestion(str(found), [o.strip("' ") for o in options.replace(" or ", ", ").split(", ")])
        elif detail["type"] == "scheme":
            hint = detail["ctx"]["hint"]
        elif detail["type"] == "missing":
            found = None
        messages.append(message)
    text = ", or ".join(messages)
    said = f"found {found}" in text or (isinstance(found, str) and repr(found) in text)
    if isinstance(found, dict | list) or said:
        found = None
    found = None if found is None else repr(found)[:80]
    return ConfigError(f"{name}: {text}", file=origin.file, line=origin.line, found=found, hint=hint)


def _known_keys(path: Path_) -> str | None:
    model: Any = RunConfig
    for key in path[:-1]:
        field = (
            model.model_fields.get(str(key))
            if isinstance(model, type) and issubclass(model, BaseModel)
            else None
        )
        if field is None:
            return None
        model = field.annotation
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return None
    known = [n for n in model.model_fields if n != "source"]
    return suggestion(path[-1], known) or f"Known keys: {', '.join(known)}."
