"""A mapping of a configuration, and the numbers and names that several of them hold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from nmsim.config.quantity import Physical, Quantity


@dataclass(frozen=True)
class Spelt:
    """A pydantic annotation: a text of this pattern, which errors describe in words.

    Attributes
    ----------
    pattern : str
        A regular expression from ^ to $.
    words : str
        What such a text is, for people.
    """

    pattern: str
    words: str

    def _check(self, text: str) -> str:
        if not re.fullmatch(self.pattern, text):
            raise ValueError(f"expected {self.words}")
        return text

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "pattern": self.pattern}


Name = Annotated[
    str,
    Spelt(
        r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        "up to 64 letters, digits, dots, - and _, a letter or digit first",
    ),
]
RailName = Annotated[
    str,
    Spelt(r"^[A-Za-z][A-Za-z0-9_]{0,15}$", "up to 16 letters, digits and _, a letter first, such as VDD2"),
]
Count = Annotated[int, Field(ge=1, le=2**31, strict=True)]
Clocks = Annotated[int, Field(ge=0, le=2**31, strict=True)]
Side = Annotated[int, Field(ge=1, le=2**14, strict=True)]
Accesses = Annotated[int, Field(ge=0, le=1024, strict=True)]
PositiveRatio = Annotated[Quantity, Physical("ratio", minimum=1e-6)]
PowerOfTwo = Annotated[int, Field(ge=1, le=2**31, strict=True)]


class Section(BaseModel):
    """A mapping of a configuration: no unknown keys, frozen, with an optional source for what it holds."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    source: str | None = Field(
        None, description="Source of every value that the same file writes in this section without its own."
    )
