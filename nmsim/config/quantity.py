"""A physical value as a configuration gives it: a number, its unit, where it comes from, how sure it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from nmsim.units import DIMENSIONS, base_unit, parse_quantity

#: A value whose source gives no range is taken to lie within this factor of the truth, and called assumed.
ASSUMED_FACTOR = 2.0


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
    assumed : bool
        True where the range is ours (value ÷ 2 … value × 2) and not the source's.
    """

    value: float
    unit: str
    source: str | None
    low: float
    high: float
    assumed: bool

    def __float__(self) -> float:
        return self.value


@dataclass(frozen=True)
class Physical:
    """A pydantic annotation: `Annotated[Quantity, Physical("time")]` accepts three forms.

    "45 mA" (a text with a unit); {value: 45, unit: mA, source: …, range: [40, 50]}; and, for ratios only, a
    plain number. `minimum` bounds the value from below (by default nothing may be negative).
    """

    dimension: str
    minimum: float = 0.0
    maximum: float = float("inf")

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
        assumed = "range" not in raw
        low, high = value / ASSUMED_FACTOR, min(value * ASSUMED_FACTOR, self.maximum)
        if not assumed:
            bounds = raw["range"]
            if not isinstance(bounds, list) or len(bounds) != 2:
                raise ValueError(f"range must be two values [low, high], found {bounds!r}")
            low, high = (self._number(b, unit if not isinstance(b, str) else None) for b in bounds)
            if not low <= value <= high:
                raise ValueError(f"the range {bounds} does not hold the value {raw['value']!r}")
        source = raw.get("source")
        if source is not None and not isinstance(source, str):
            raise ValueError(f"source must be a text, found {source!r}")
        return Quantity(value, base_unit(self.dimension), source, low, high, assumed)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._quantity,
            serialization=core_schema.plain_serializer_function_ser_schema(_as_written, when_used="always"),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict:
        units = "|".join(u.replace("/", "\\/") for u in DIMENSIONS[self.dimension] if u)
        number = {"type": "number", "minimum": self.minimum}
        text = {"type": "string", "pattern": rf"^\s*[0-9.eE+_-]+\s*({units})\s*$"}
        plain = [number] if self.dimension == "ratio" else [text]
        value = {"anyOf": [number, text]}
        full = {
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
        return {"title": f"A {self.dimension.replace('_', ' ')}", "anyOf": [*plain, full]}


def _as_written(quantity: Quantity) -> dict[str, Any]:
    written: dict[str, Any] = {"value": quantity.value, "unit": quantity.unit}
    if quantity.source is not None:
        written["source"] = quantity.source
    if not quantity.assumed:
        written["range"] = [quantity.low, quantity.high]
    return written


Time = Annotated[Quantity, Physical("time")]
Voltage = Annotated[Quantity, Physical("voltage")]
Current = Annotated[Quantity, Physical("current")]
Power = Annotated[Quantity, Physical("power")]
Energy = Annotated[Quantity, Physical("energy")]
EnergyPerBit = Annotated[Quantity, Physical("energy_per_bit")]
Capacitance = Annotated[Quantity, Physical("capacitance")]
CapacitancePerLength = Annotated[Quantity, Physical("capacitance_per_length")]
Resistance = Annotated[Quantity, Physical("resistance", minimum=1e-3)]
Length = Annotated[Quantity, Physical("length")]
Frequency = Annotated[Quantity, Physical("frequency", minimum=1.0)]
Size = Annotated[Quantity, Physical("size", minimum=1.0)]
Bandwidth = Annotated[Quantity, Physical("bandwidth", minimum=1.0)]
Ratio = Annotated[Quantity, Physical("ratio")]
Share = Annotated[Quantity, Physical("ratio", maximum=1.0)]
Utilisation = Annotated[Quantity, Physical("ratio", minimum=1e-3, maximum=1.0)]
