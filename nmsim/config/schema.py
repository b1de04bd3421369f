"""The shape of a configuration: every key, its type, its meaning and what must hold between keys.

Physical values are `Quantity`s (value, unit, source, range); clock counts are integers with JEDEC names. The
defaults here are those of the experiment (data set, selection, training, trace); hardware has no defaults:
it stands in the board's file with its source.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, PrivateAttr, field_validator

from nmsim.config.board import Link, NearMemory, Operations, Soc
from nmsim.config.experiment import (
    SCHEMES,
    DatasetSection,
    SchemeName,
    Selection,
    Simulation,
    Trace,
    Training,
)
from nmsim.config.memory import Memory
from nmsim.config.quantity import Quantity
from nmsim.config.section import Name, Section
from nmsim.config.yaml_tree import Origin

#: The keys that lead to a value.
Keys = tuple[str | int, ...]


class RunConfig(Section):
    """A whole run: a board, a data set, a selection, a training, and the schemes to compare."""

    name: Name = Field("run", description="Of the run; its folder begins with it.")
    seed: Annotated[int, Field(ge=0, lt=2**63, strict=True)] = Field(
        1, description="Of everything that is drawn at random."
    )
    memory: Memory
    near_memory: NearMemory
    link: Link
    operations: Operations
    soc: Soc
    dataset: DatasetSection = DatasetSection()
    selection: Selection = Selection()
    training: Training = Training()
    schemes: Annotated[tuple[SchemeName, ...], Field(min_length=1)] = Field(
        SCHEMES, description="What is compared; ratios are against full."
    )
    simulation: Simulation = Simulation()
    trace: Trace = Trace()

    _origins: dict[Keys, Origin] = PrivateAttr(default_factory=dict)

    def origin(self, path: str | Keys) -> Origin:
        """Return where the value at a path (dotted, or its keys) was written, or the section around it."""
        keys = tuple(path.split(".")) if isinstance(path, str) else path
        nearest = (self._origins[keys[:n]] for n in range(len(keys), -1, -1) if keys[:n] in self._origins)
        return next(nearest, Origin("the configuration"))

    def known_paths(self, prefix: str) -> list[str]:
        """Return the dotted paths under `prefix` that were written somewhere."""
        paths = [".".join(map(str, keys)) for keys in self._origins]
        return [path for path in paths if path.startswith(f"{prefix}.")]

    @field_validator("schemes")
    @classmethod
    def _no_scheme_stands_twice(cls, schemes: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(schemes)) != len(schemes):
            raise ValueError("a scheme stands twice")
        return schemes


def physical_values(section: Section, keys: Keys = ()) -> Iterator[tuple[Keys, Quantity]]:
    """Yield every physical value beneath `section` with the keys that lead to it, in the schema's order."""
    fields = {n: getattr(section, n) for n in type(section).model_fields}
    for name, value in {**fields, **(section.__pydantic_extra__ or {})}.items():
        if isinstance(value, Quantity):
            yield (*keys, name), value
        elif isinstance(value, Section):
            yield from physical_values(value, (*keys, name))
        elif isinstance(value, dict):
            for key, item in value.items():
                if isinstance(item, Section):
                    yield from physical_values(item, (*keys, name, key))


def quantities(section: Section) -> dict[str, Quantity]:
    """Return every physical value beneath `section` by its dotted path, in the schema's order."""
    return {".".join(map(str, keys)): quantity for keys, quantity in physical_values(section)}
