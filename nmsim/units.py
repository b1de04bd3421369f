"""Quantities with units: the only place that parses or prints them.

Inside nmsim a quantity is a number in its dimension's base unit, and the name that holds it says which
(`tRCD_ps`, `energy_fJ`, `length_mm`). Text such as "625 ps" appears only in configurations and reports.
"""

from __future__ import annotations

import math
import re

#: dimension -> {unit: factor to the dimension's base unit}; the first unit of each row is the base unit.
DIMENSIONS: dict[str, dict[str, float]] = {
    "time": {"ps": 1.0, "ns": 1e3, "us": 1e6, "µs": 1e6, "ms": 1e9, "s": 1e12},
    "voltage": {"V": 1.0, "mV": 1e-3},
    "current": {"A": 1.0, "mA": 1e-3, "uA": 1e-6, "µA": 1e-6},
    "power": {"W": 1.0, "mW": 1e-3, "uW": 1e-6, "µW": 1e-6},
    "energy": {"fJ": 1.0, "pJ": 1e3, "nJ": 1e6, "uJ": 1e9, "µJ": 1e9, "mJ": 1e12, "J": 1e15},
    "energy_per_bit": {"fJ/bit": 1.0, "pJ/bit": 1e3},
    "capacitance": {"pF": 1.0, "fF": 1e-3},
    "capacitance_per_length": {"pF/mm": 1.0, "fF/mm": 1e-3},
    "resistance": {"Ohm": 1.0, "ohm": 1.0, "Ω": 1.0},
    "time_per_length": {"ps/mm": 1.0, "ns/m": 1.0, "ps/cm": 0.1},
    "area": {"mm2": 1.0, "mm²": 1.0},
    "length": {"mm": 1.0, "cm": 10.0, "um": 1e-3, "µm": 1e-3},
    "frequency": {"Hz": 1.0, "kHz": 1e3, "MHz": 1e6, "GHz": 1e9},
    "size": {"B": 1.0, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30, "kB": 1e3, "MB": 1e6, "GB": 1e9},
    "bandwidth": {"B/s": 1.0, "MB/s": 1e6, "GB/s": 1e9},
    "ratio": {"": 1.0, "%": 1e-2},
}

_NUMBER_AND_UNIT = re.compile(r"\s*([+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([^\s\d].*?)?\s*\Z")

_PREFIXES: tuple[tuple[float, str], ...]
_PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"))
_PREFIXES += ((1e-6, "µ"), (1e-9, "n"), (1e-12, "p"), (1e-15, "f"))


def parse_quantity(text: str, dimension: str) -> float:
    """Return the number that `text` stands for, in the base unit of `dimension`.

    Parameters
    ----------
    text : str
        A number and a unit: "625 ps", "1.1 V", "8 KiB". A ratio needs no unit.
    dimension : str
        A key of `DIMENSIONS`.

    Raises
    ------
    ValueError
        Where the text is no number with a unit of that dimension, or not finite; the message says which
        units are possible.
    """
    units = DIMENSIONS[dimension]
    example = (
        f"write it like “1 {next(u for u in units if u)}”, with one of: {', '.join(u for u in units if u)}"
    )
    match = _NUMBER_AND_UNIT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a number with a unit of {dimension}; {example}")
    number, unit = match.group(1), match.group(2) or ""
    if unit not in units:
        raise ValueError(
            f"{unit!r} is not a unit of {dimension}; {example}" if unit else f"no unit; {example}"
        )
    value = float(number.replace("_", "")) * units[unit]
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is not finite")
    return value


def base_unit(dimension: str) -> str:
    """Return the unit in which nmsim keeps quantities of `dimension`."""
    return next(iter(DIMENSIONS[dimension]))


def format_si(value: float, unit: str, digits: int = 3) -> str:
    """Return `value` (in the plain SI unit given) with a prefix and `digits` significant digits."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {unit}"
    # Round first: 999.9 with 3 digits is 1.00 k, not 1000.
    rounded = float(f"{abs(value):.{digits - 1}e}")
    factor, prefix = next((p for p in _PREFIXES if rounded >= p[0]), _PREFIXES[-1])
    decimals = max(0, digits - 1 - math.floor(math.log10(rounded / factor)))
    return f"{value / factor:.{decimals}f} {prefix}{unit}"


def format_energy(energy_fJ: float) -> str:
    """Return an energy for people: "1.35 mJ"."""
    return format_si(energy_fJ * 1e-15, "J")


def format_time(time_ps: float) -> str:
    """Return a time for people: "22.5 ns"."""
    return format_si(time_ps * 1e-12, "s")


def format_bytes(size_bytes: float) -> str:
    """Return a number of bytes for people, in powers of 1000: "36.9 MB"."""
    return format_si(size_bytes, "B")
