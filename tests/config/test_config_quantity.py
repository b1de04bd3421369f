"""Is a physical value what was written, in its base unit, or refused?"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from nmsim.config.quantity import ASSUMED_FACTOR, Bandwidth, Current, Quantity, Ratio, Share, Size, Time
from nmsim.units import DIMENSIONS, base_unit, format_energy, format_si, format_time, parse_quantity


class Values(BaseModel):
    """One of each kind that the tests need."""

    time: Time | None = None
    current: Current | None = None
    size: Size | None = None
    bandwidth: Bandwidth | None = None
    ratio: Ratio | None = None
    share: Share | None = None


def read(name: str, raw: Any) -> Quantity:
    return getattr(Values.model_validate({name: raw}), name)


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("time", "625 ps", 625),
        ("time", "0.625ns", 625),
        ("time", "  3.9 us ", 3_900_000),
        ("time", "1e3 ps", 1000),
        ("time", {"value": 0.625, "unit": "ns"}, 625),
        ("time", {"value": "0.625 ns"}, 625),
        ("current", "45 mA", 0.045),
        ("size", "8 KiB", 8192),
        ("size", "8 kB", 8000),
        ("bandwidth", "6.4 GB/s", 6.4e9),
        ("ratio", 1.3, 1.3),
        ("ratio", "130 %", 1.3),
        ("share", {"value": 50, "unit": "%"}, 0.5),
    ],
)
def test_every_form_comes_to_the_base_unit(name, raw, value):
    assert read(name, raw).value == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize("dimension", DIMENSIONS)
@given(number=st.floats(1e-6, 1e6))
def test_units_are_factors_of_the_base_unit(dimension, number):
    base = parse_quantity(f"{number!r} {base_unit(dimension)}", dimension)
    assert base == number
    for unit, factor in DIMENSIONS[dimension].items():
        assert parse_quantity(f"{number!r} {unit}", dimension) == pytest.approx(number * factor, rel=1e-15)


@pytest.mark.parametrize(
    ("name", "raw", "words"),
    [
        ("time", "625", "no unit"),
        ("time", 625, "no unit"),
        ("time", "625 V", "'V' is not a unit of time"),
        ("time", "625 PS", "is not a unit of time"),
        ("time", "fast", "not a number"),
        ("time", "1 2 ps", "is not a unit|not a number"),
        ("time", "1e400 s", "not finite"),
        ("time", "nan ps", "not a number"),
        ("time", "inf ps", "not a number"),
        ("time", float("nan"), "no unit|not finite|not a number"),
        ("time", "-1 ps", "at least 0"),
        ("time", True, "found bool"),
        ("time", [None], "found list"),
        ("time", [1], "found list"),
        ("time", {}, "no 'value'"),
        ("time", {"value": 1}, "no unit"),
        ("time", {"value": 1, "unit": "ps", "sorce": "x"}, "unknown key 'sorce'"),
        ("time", {"value": "1 ps", "unit": "ns"}, "is not a unit of time"),
        ("time", {"value": 1, "unit": "ps", "source": 3}, "source must be a text"),
        ("time", {"value": 1, "unit": 3}, "not a unit|not a number"),
        ("size", "0 B", "at least 1"),
        ("share", 1.2, "at most 1"),
        ("ratio", "0.5 mm", "not a unit of ratio"),
    ],
)
def test_what_is_no_such_quantity_is_refused(name, raw, words):
    with pytest.raises(ValidationError, match=words):
        Values.model_validate({name: raw})


@pytest.mark.parametrize(
    "bounds", [[41, 50], [30, 39], [50, 30], [40], [30, 40, 50], "30-50", [None, 50], ["30 V", "50 V"]]
)
def test_a_range_that_does_not_hold_its_value_is_refused(bounds):
    with pytest.raises(ValidationError):
        Values.model_validate({"current": {"value": 40, "unit": "mA", "range": bounds}})


def test_a_range_is_in_the_unit_of_its_value_or_in_its_own():
    bare = read("current", {"value": 40, "unit": "mA", "range": [30, 50]})
    own = read("current", {"value": 40, "unit": "mA", "range": ["30 mA", "0.05 A"]})
    assert (bare.low, bare.high) == (own.low, own.high) == (0.03, 0.05)
    assert not bare.range_is_ours and not bare.assumed


@pytest.mark.parametrize(
    ("source", "assumed"),
    [("table 3", False), ("assumed: as LPDDR4", True), ("Not verified", True), ("we assume nothing", False)],
)
def test_a_value_is_assumed_where_its_range_is_ours_or_its_source_says_so(source, assumed):
    raw = {"value": 40, "unit": "mA", "source": source}
    assert read("current", {**raw, "range": [30, 50]}).assumed == assumed
    assert read("current", raw).assumed


@given(value=st.floats(1e-3, 1e9))
def test_without_a_range_the_value_is_known_within_a_factor_and_said_to_be_assumed(value):
    quantity = read("ratio", value)
    assert quantity.assumed and quantity.low <= quantity.value <= quantity.high
    assert quantity.high / quantity.low == pytest.approx(ASSUMED_FACTOR**2)


@given(value=st.floats(0, 1))
def test_an_assumed_range_stays_within_what_is_possible(value):
    assert read("share", value).high <= 1


@given(value=st.floats(1e-6, 1e6), wide=st.floats(1, 10), known=st.booleans())
def test_what_is_dumped_reads_back_the_same(value, wide, known):
    raw = {"value": value, "unit": "ns", "source": "table 3"}
    raw |= {"range": [value / wide, value * wide]} if known else {}
    first = Values(time=raw)
    assert Values.model_validate(first.model_dump(mode="json", exclude_none=True)) == first


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Three significant digits, the prefix that leaves 1 to 999 before the point.
        (format_energy(1.35e12), "1.35 mJ"),
        (format_energy(0), "0 J"),
        (format_time(22_500), "22.5 ns"),
        (format_time(10**12), "1.00 s"),
        (format_si(123_456, "B"), "123 kB"),
    ],
)
def test_quantities_are_printed_with_three_digits_and_a_prefix(text, expected):
    assert text == expected
