"""A mapping of a configuration, and the numbers and names that several of them hold."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from nmsim.config.quantity import Physical, Quantity

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
RailName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,15}$")]
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
