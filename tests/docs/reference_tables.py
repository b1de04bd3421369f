"""The tables of the reference that follow from the code: keys of a configuration, columns of a trace.

`python tests/docs/reference_tables.py` writes them into the pages anew, between the marks that stand there; a
test holds pages and code to each other.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import pyarrow as pa
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from nmsim.config.quantity import LARGEST, Physical
from nmsim.config.schema import RunConfig
from nmsim.trace.schema import COLUMNS
from nmsim.units import DIMENSIONS

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
_BOUNDS = ("gt", "ge", "lt", "le", "pattern")
_MARKED = re.compile(r"(<!-- begin: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


class Value(NamedTuple):
    """What a key may hold: the kind of value, the units it can have (the base unit first), its range."""

    kind: str
    units: str
    range: str


def config_keys() -> str:
    """Return a heading and a table for each section of a configuration."""
    return "".join(_section_text(path, model) for path, model in _sections(RunConfig))


def trace_columns() -> str:
    """Return a table of the columns of a trace."""
    rows = ((f"`{name}`", _arrow_kind(kind), meaning) for name, (kind, meaning) in COLUMNS.items())
    return _table(("column", "type", "meaning"), rows)


#: What stands between the marks of that name.
TABLES = {"config-keys": config_keys, "trace-columns": trace_columns}


def filled(page: str) -> str:
    """Return a page with every marked table made anew."""
    return _MARKED.sub(lambda mark: f"{mark[1]}\n{TABLES[mark[2]]()}\n{mark[3]}", page)


def _sections(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    yield path, model
    for name, field in model.model_fields.items():
        for inner in _models(field.annotation):
            below = f"{name}.NAME" if _is_mapping(field.annotation) else name
            yield from _sections(inner, f"{path}.{below}" if path else below)


def _section_text(path: str, model: type[BaseModel]) -> str:
    title = f"`{path}`" if path else "The top level"
    about = (model.__doc__ or "").strip().splitlines()[0]
    rows = [
        _row(name, field, path)
        for name, field in model.model_fields.items()
        if name != "source"  # every section has it: the page says so once
    ]
    # Clock counts and currents: a section may take keys of any name beside its own.
    if model.model_config.get("extra") == "allow":
        _, held = get_args(get_type_hints(model, include_extras=True)["__pydantic_extra__"])
        rows.append(("any other name", *_value(held, ()), "", "As the standard has them."))
    table = _table(("key", "value", "unit", "range", "default", "meaning"), rows)
    return f"## {title}\n\n{about}\n\n{table}\n"


def _row(name: str, field: FieldInfo, path: str) -> tuple[str, ...]:
    value = _value(field.annotation, field.metadata)
    if models := _models(field.annotation):
        about = (models[0].__doc__ or "").strip().splitlines()[0]
    else:
        about = field.description or ""
    return f"`{name}`", value.kind, value.units, value.range, _default(field), about


def _value(annotation: Any, metadata: Any) -> Value:
    """Return what a type takes; the annotations of an outer type stand for the inner one."""
    origin, args = get_origin(annotation), get_args(annotation)
    if hasattr(annotation, "__metadata__"):
        return _value(args[0], (*metadata, *annotation.__metadata__))
    if origin in (Union, types.UnionType):
        values = [_value(arg, metadata) for arg in args if arg is not type(None)]
        columns = (dict.fromkeys(filter(None, column)) for column in zip(*values, strict=True))
        return Value(*map(", or ".join, columns))
    if origin is Literal:
        return Value(" ".join(f"`{arg}`" for arg in args), "", "")
    if origin is tuple:
        return Value(f"list of {_value(args[0], ()).kind}", "", "")
    if origin is dict:
        return Value(f"mapping of {_value(args[1], ()).kind}s", "", "")
    for physical in metadata:
        if isinstance(physical, Physical):
            units = " ".join(f"`{unit}`" if unit else "none" for unit in DIMENSIONS[physical.dimension])
            return Value("choice" if physical.chosen else "physical", units, _physical_range(physical))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return Value("section", "", "")
    names = {int: "whole number", float: "number", str: "text", bool: "`true` `false`"}
    return Value(names.get(annotation, "setting"), "", _bounds(metadata))


def _physical_range(physical: Physical) -> str:
    base = next(iter(DIMENSIONS[physical.dimension]))
    high = "" if physical.maximum == LARGEST else f" to {physical.maximum:g}"
    return f"{physical.minimum:g}{high or ' or more'} {base}".strip()


def _bounds(metadata: Any) -> str:
    """Return the bounds of a number and the pattern of a text, which hang on the type or on the field."""
    bounds = {}
    for item in metadata:
        for inner in (item, *getattr(item, "metadata", ())):
            bounds |= {key: b for key in _BOUNDS if (b := getattr(inner, key, None)) is not None}
    signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    within = [f"{signs[key]} {_plain(bounds[key])}" for key in signs if key in bounds]
    return ", ".join(within + [f"`{bounds['pattern']}`" for _ in range("pattern" in bounds)])


def _plain(number: float) -> str:
    powers = {2**n: f"2^{n}" for n in range(12, 64)}
    return powers.get(number, f"{number:g}")


def _default(field: FieldInfo) -> str:
    default = field.default
    if field.default_factory is not None:
        default = field.default_factory()  # type: ignore[call-arg]
    if default is PydanticUndefined:
        return "required"
    if default is None or isinstance(default, BaseModel) or default == {}:
        return "–"
    if isinstance(default, tuple):
        return " ".join(f"`{item}`" for item in default)
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and not get_args(annotation):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [model for arg in get_args(annotation) for model in _models(arg)]


def _is_mapping(annotation: Any) -> bool:
    return get_origin(annotation) is dict


def _arrow_kind(kind: pa.DataType) -> str:
    return "text" if pa.types.is_dictionary(kind) else str(kind)


def _table(head: tuple[str, ...], rows: Any) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def write() -> None:
    """Write the marked tables of all pages of the reference anew."""
    for page in sorted(REFERENCE.glob("*.md")):
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write()
