"""A physical value as a configuration gives it: a number, its unit, where it comes from, how sure it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from nmsim.units import DIMENSIONS, base_unit, parse_quantity

#: A value whose source gives no range is taken to lie within this factor of the truth, and called assumed.
ASSUMED_FACTOR = 2.0

#: In any base unit, far from all that can be built, and so that products of a few values are numbers still.
LARGEST = 1e60

#: The source of a value that its author chose.
CHOICE = "a choice"

#: What a source says of a value that nobody published.
_ADMITS = re.compile(r"\b(assumed|not verified)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Quantity:
    """A value in its dimension's base unit, with its source and its range.

    Attributes
    ----------
    value : float
        In `unit`.
    unit : str
        The base unit of the dimension (see `nmsim.units.DIMENSIONS`); "" for a ratio.
    source : str or None
        Where the value comes from; None where the section around it says.
    low, high : float
        The range that the value may lie in, low <= value <= high.
    range_is_ours : bool
        True where no range was given, so that it is value ÷ 2 … value × 2.
    """

    value: float
    unit: str
    source: str | None
    low: float
    high: float
    range_is_ours: bool

    @property
    def assumed(self) -> bool:
        """Return whether the value or its range is ours: no range was given, or the source says so.

        What is known exactly by definition or by choice (low = high) is not.
        """
        admits = _ADMITS.search(self.source or "") is not None
        return self.range_is_ours or (admits and self.low < self.high)

    def __float__(self) -> float:
        return self.value


@dataclass(frozen=True)
class Physical:
    """A pydantic annotation: `Annotated[Quantity, Physical("time")]` accepts three forms.

    "45 mA" (a text with a unit); {value: 45, unit: mA, source: …, range: [40, 50]}; and, for ratios only, a
    plain number. `minimum` bounds the value from below (by default nothing may be negative). A `chosen` value
    is a decision of who describes the board and not a fact about it: it is known exactly, takes no range, and
    needs no source.
    """

    dimension: str
    minimum: float = 0.0
    maximum: float = LARGEST
    chosen: bool = False

    def _number(self, raw: Any, unit: str | None = None) -> float:
        if isinstance(raw, bool) or not isinstance(raw, int | float | str):
            raise ValueError(f"expected a number with a unit of {self.dimension}, found {type(raw).__name__}")
        if isinstance(raw, str) and unit is None:
            value = parse_quantity(raw, self.dimension)
        else:
            value = parse_quantity(f"{raw} {unit or ''}", self.dimension)
        if not self.minimum <= value <= self.maximum:
            bounds = f"at least {self.minimum:g}" if value < self.minimum else f"at most {self.maximum:g}"
            raise ValueError(f"must be {bounds} {base_unit(self.dimension)}".strip() + f", found {raw!r}")
        return value

    def _quantity(self, raw: Any) -> Quantity:
        if isinstance(raw, Quantity):
            return raw
        if not isinstance(raw, dict):
            raw = {"value": raw}
        unknown = set(raw) - {"value", "unit", "source", "range"}
        if unknown or "value" not in raw:
            wrong = f"has the unknown key {sorted(map(str, unknown))[0]!r}" if unknown else "has no 'value'"
            raise ValueError(f"a physical value {wrong}; it has the keys value, unit, source, range")
        value, unit = self._number(raw["value"], raw.get("unit")), raw.get("unit")
        source = raw.get("source", CHOICE if self.chosen else None)
        if source is not None and not (isinstance(source, str) and source.strip()):
            raise ValueError(f"source must be a text, found {source!r}")
        if self.chosen and "range" in raw and self._bounds(raw["range"], value, unit) != (value, value):
            raise ValueError(
                "a choice of yours is known exactly and takes no range; to see what others do, run it with "
                "several values of --set"
            )
        ours = not self.chosen and "range" not in raw
        low, high = self._bounds(raw["range"], value, unit) if "range" in raw else (value, value)
        if ours:
            low, high = max(value / ASSUMED_FACTOR, self.minimum), min(value * ASSUMED_FACTOR, self.maximum)
        return Quantity(value, base_unit(self.dimension), source, low, high, ours)

    def _bounds(self, bounds: Any, value: float, unit: str | None) -> tuple[float, float]:
        """Return the two ends of a range as written, in the base unit."""
        if not isinstance(bounds, list) or len(bounds) != 2:
            raise ValueError(f"range must be two values [low, high], found {bounds!r}")
        low, high = (self._number(b, unit if not isinstance(b, str) else None) for b in bounds)
        if low > high:
            raise ValueError(f"the range {bounds} is reversed; write the lower end first")
        if not low <= value <= high:
            found = f"{value:g} {base_unit(self.dimension)}".strip()
            raise ValueError(f"the range {bounds} does not hold the value {found}; mend either")
        return low, high

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._quantity,
            serialization=core_schema.plain_serializer_function_ser_schema(
                self._as_written, when_used="always"
            ),
        )

    def _as_written(self, quantity: Quantity) -> dict[str, Any]:
        written: dict[str, Any] = {"value": quantity.value, "unit": quantity.unit}
        if quantity.source is not None:
            written["source"] = quantity.source
        if not quantity.range_is_ours and not self.chosen:
            written["range"] = [quantity.low, quantity.high]
        return written

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        units = "|".join(u.replace("/", "\\/") for u in DIMENSIONS[self.dimension] if u)
        number = {"type": "number", "minimum": self.minimum}
        text = {"type": "string", "pattern": rf"^\s*[0-9.eE+_-]+\s*({units})\s*$"}
        plain = [number] if self.dimension == "ratio" else [text]
        value = {"anyOf": [number, text]}
        full: dict[str, Any] = {
            "type": "object",
            "properties": {
                "value": value,
                "unit": {"enum": list(DIMENSIONS[self.dimension])},
                "source": {"type": "string"},
                "range": {"type": "array", "items": value, "minItems": 2, "maxItems": 2},
            },
            "required": ["value"],
            "additionalProperties": False,
        }
        if self.chosen:
            del full["properties"]["range"]
        return {"title": f"A {self.dimension.replace('_', ' ')}", "anyOf": [*plain, full]}


Time = Annotated[Quantity, Physical("time")]
#: At most 1,000 s, which any clock counts in 64 bits.
ChosenTime = Annotated[Quantity, Physical("time", maximum=1e15, chosen=True)]

#: Of a speed grade, which defines it.
ClockPeriod = Annotated[Quantity, Physical("time", maximum=1e9, chosen=True)]
TimePerLength = Annotated[Quantity, Physical("time_per_length")]
Voltage = Annotated[Quantity, Physical("voltage")]
Current = Annotated[Quantity, Physical("current")]
Power = Annotated[Quantity, Physical("power")]
Energy = Annotated[Quantity, Physical("energy")]
EnergyPerBit = Annotated[Quantity, Physical("energy_per_bit")]
Capacitance = Annotated[Quantity, Physical("capacitance")]
CapacitancePerLength = Annotated[Quantity, Physical("capacitance_per_length")]
Resistance = Annotated[Quantity, Physical("resistance", minimum=1e-3)]
Length = Annotated[Quantity, Physical("length")]
Area = Annotated[Quantity, Physical("area", minimum=1e-3)]
Frequency = Annotated[Quantity, Physical("frequency", minimum=1.0)]
Size = Annotated[Quantity, Physical("size", minimum=1.0, chosen=True)]
Bandwidth = Annotated[Quantity, Physical("bandwidth", minimum=1.0)]
Ratio = Annotated[Quantity, Physical("ratio")]
Factor = Annotated[Quantity, Physical("ratio", minimum=1.0)]
Share = Annotated[Quantity, Physical("ratio", maximum=1.0)]
Utilisation = Annotated[Quantity, Physical("ratio", minimum=1e-3, maximum=1.0)]
