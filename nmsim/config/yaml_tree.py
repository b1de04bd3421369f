"""YAML read safely, with the line of every value.

PyYAML by itself keeps the last of two duplicate keys, reads `no` as False, `012` as 10 and `1e-9` as a text.
Here duplicates are refused and plain scalars follow the YAML 1.2 core schema: only true/false are booleans,
integers are decimal, `1e-9` is a number.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nmsim.errors import ConfigError, suggestion
from nmsim.store.reading import open_regular, read_up_to

MAX_FILE_BYTES = 1 << 20
MAX_DEPTH = 20
MAX_ALIASES = 20
#: Keys and values, those that aliases repeat counted again; a whole board has about a thousand.
MAX_VALUES = 20_000

#: A place in a configuration: the keys (or list positions) that lead to a value.
Path_ = tuple[str | int, ...]


@dataclass(frozen=True)
class Origin:
    """Where a value was written: a file and a line, or a `--set` on the command line (no line).

    `source` is what the nearest section around the value names as its source, in that same file.
    """

    file: str
    line: int | None = None
    source: str | None = None


class _Yaml12Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of the YAML 1.2 core schema, for files of limited size."""

    def __init__(self, text: str):
        super().__init__(text)
        self._values = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Return the next node, and count it: PyYAML takes minutes over what fills a mebibyte."""
        self._values += 1
        if self._values > MAX_VALUES:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # so are its stubs
            raise yaml.MarkedYAMLError(None, None, "too many values", mark)
        return super().compose_node(parent, index)


_Yaml12Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.")),
    ("merge", r"<<", ["<"]),
):
    _Yaml12Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), _first)


def _integer(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    return int(loader.construct_scalar(node))


def _float(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    return float(loader.construct_scalar(node).lower().replace(".inf", "inf").replace(".nan", "nan"))


_Yaml12Loader.add_constructor("tag:yaml.org,2002:int", _integer)
_Yaml12Loader.add_constructor("tag:yaml.org,2002:float", _float)


def read_yaml(
    path: Path, known: Callable[[], list[str]] | None = None
) -> tuple[dict[str, Any], dict[Path_, Origin]]:
    """Return a YAML file's mapping and the origin of every value in it.

    Parameters
    ----------
    path : Path
    known : callable, optional
        Where the file may be one that comes with nmsim: returns the names of those of its kind.

    Raises
    ------
    ConfigError
        Where the file is missing, too big (1 MiB, 20,000 values), not UTF-8, not YAML, no mapping, nested too
        deeply, holds a duplicate key or a tag, or uses more than a few aliases.
    """
    try:
        with open_regular(path, pipes=True) as file:
            content = read_up_to(file, MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise ConfigError("the file is too big for a configuration", file=path, expected="at most 1 MiB")
        text = content.decode("utf-8")
    except IsADirectoryError:
        raise ConfigError(
            "this is a folder, not a YAML file", file=path, hint="Name the .yaml file inside it."
        ) from None
    except FileNotFoundError:
        hint = "Check the name."
        if known is not None:
            meant = suggestion(path.stem, known()) if path.name and path.parent == Path() else None
            hint = f"{meant or 'Check the name;'} nmsim boards lists those that come with nmsim."
        raise ConfigError("no such configuration file", file=path, hint=hint) from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"not UTF-8 text (byte {error.start})", file=path, hint="Save it as UTF-8."
        ) from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=path) from None
    except ValueError:
        raise ConfigError("no file can have this name", file=path) from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, file: str) -> tuple[dict[str, Any], dict[Path_, Origin]]:
    """Return the mapping that `text` holds and the origins of its values; `file` names it in errors."""
    try:
        if text.count("*") > MAX_ALIASES:
            _refuse_many_aliases(text, file)
        node = yaml.compose(text, _Yaml12Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "unreadable characters"
        line = mark.line + 1 if mark else None
        raise ConfigError(f"not valid YAML: {problem}", file=file, line=line) from None
    except RecursionError:
        raise ConfigError("nested too deeply", file=file, expected=f"at most {MAX_DEPTH} levels") from None
    origins: dict[Path_, Origin] = {}
    if not isinstance(node, yaml.MappingNode):
        found = "nothing" if node is None else node.tag.rpartition(":")[2]
        raise ConfigError("a configuration is a mapping of keys to values", file=file, line=1, found=found)
    return _construct(node, (), Origin(file), origins, depth=0), origins


def _refuse_many_aliases(text: str, file: str) -> None:
    aliases = 0
    for event in yaml.parse(text, _Yaml12Loader):
        aliases += isinstance(event, yaml.AliasEvent)
        if aliases > MAX_ALIASES:
            line = event.start_mark.line + 1 if event.start_mark else None
            raise ConfigError("too many aliases", file=file, line=line, expected=f"at most {MAX_ALIASES}")


def _construct(node: yaml.Node, path: Path_, around: Origin, origins: dict[Path_, Origin], depth: int) -> Any:
    """Return what a node holds; `around` is the origin of what it stands in."""
    file, line = around.file, node.start_mark.line + 1
    origins[path] = Origin(file, line, around.source)
    if len(origins) > MAX_VALUES:
        raise ConfigError("too many values", file=file, line=line, expected=f"at most {MAX_VALUES:,}")
    if depth > MAX_DEPTH:
        raise ConfigError("nested too deeply", file=file, line=line, expected=f"at most {MAX_DEPTH} levels")
    if not node.tag.startswith("tag:yaml.org,2002:") or node.tag.rsplit(":", 1)[1] not in _TAGS:
        raise ConfigError("a tag is not allowed here", file=file, line=line, found=node.tag)
    if isinstance(node, yaml.MappingNode):
        origin = Origin(file, line, _source_in(node) or around.source)
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key, key_line = key_node.value, key_node.start_mark.line + 1
            if not isinstance(key, str):
                raise ConfigError("a key must be a plain name", file=file, line=key_line)
            if key_node.tag.endswith(":merge"):
                hint = "Use `extends:` to build on another file."
                raise ConfigError("merge keys (<<) are not supported", file=file, line=key_line, hint=hint)
            if key in mapping:
                first = origins[(*path, key)].line
                problem = f"the key {key!r} stands twice"
                hint = f"Remove it here or in line {first}."
                raise ConfigError(problem, file=file, line=key_line, hint=hint)
            mapping[key] = _construct(value_node, (*path, key), origin, origins, depth + 1)
            origins[(*path, key)] = Origin(file, key_line, origin.source)
        return mapping
    if isinstance(node, yaml.SequenceNode):
        return [_construct(n, (*path, i), around, origins, depth + 1) for i, n in enumerate(node.value)]
    try:
        # `construct_object` would keep every node for good.
        return _CONSTRUCTOR.yaml_constructors[node.tag](_CONSTRUCTOR, node)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"cannot read {node.value[:40]!r}: {error}", file=file, line=line) from None


def _source_in(section: yaml.MappingNode) -> str | None:
    """Return what a section names as the source of its values."""
    named = (value for key, value in section.value if key.value == "source")
    return next((node.value or None for node in named if isinstance(node, yaml.ScalarNode)), None)


_TAGS = {"map", "seq", "str", "int", "float", "bool", "null"}
_CONSTRUCTOR = _Yaml12Loader("")
