"""Is a memory that cannot be meant refused, and is what follows from one right?"""

from dataclasses import replace

import pytest
from laid_out import memory

from nmsim.dram.expression import evaluate, names_in
from nmsim.dram.spec import DramSpec
from nmsim.dram.standard import standards
from nmsim.errors import ConfigError


def test_lpddr4_3200_has_the_sizes_and_the_peak_of_its_data_sheet():
    spec, _ = memory("lpddr4-3200")
    # 16 beats x 16 pins = 32 bytes; 1024 columns x 16 bits = 2 KiB; 8 Gb a channel, two of them;
    # 3200 MT/s x 2 bytes = 6.4 GB/s a channel.
    assert (spec.access_bytes, spec.row_bytes, spec.row_bursts) == (32, 2048, 64)
    assert spec.size_bytes == 2 * 2**30
    assert spec.peak_bandwidth_Bps == pytest.approx(6.4e9)


def test_ddr4_2400_has_the_sizes_and_the_peak_of_its_data_sheet():
    spec, _ = memory("ddr4-2400")
    # 8 beats x 64 pins = 64 bytes; 1024 columns x 64 bits = 8 KiB; eight devices of 8 Gb;
    # 64 bytes in 4 clocks of 830 ps = 19.28 GB/s (2400 MT/s x 8 bytes = 19.2, with tCK rounded).
    assert (spec.access_bytes, spec.row_bytes, spec.row_bursts) == (64, 8192, 128)
    assert spec.size_bytes == 8 * 2**30
    assert spec.peak_bandwidth_Bps == pytest.approx(64 / (4 * 830e-12))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"nRC": 40}, "nRC >= nRAS"),
        ({"nFAW": 3}, "nFAW >= nRRD"),
        ({"nRCD": 0}, "nRCD"),
        ({"nCL": -3}, "nCL"),
        ({"nREFI": 200}, "nREFI >"),
        ({"nBL": 5}, "nBL"),
        ({"nREFi": 6246}, "Did you mean nREFI"),
        ({"nRAS": 10, "nRC": 100}, "nRAS >= nRCD"),
    ],
)
def test_impossible_timings_are_refused_with_the_reason(spec, change, says):
    with pytest.raises(ConfigError, match=says.replace("+", r"\+")):
        replace(spec, timing={**spec.timing, **change})


def test_a_missing_timing_is_named(spec):
    timing = {k: v for k, v in spec.timing.items() if k != "nRTP"}
    with pytest.raises(ConfigError, match="nRTP is missing"):
        replace(spec, timing=timing)


@pytest.mark.parametrize("field", ["channels", "ranks", "banks", "rows", "columns", "devices_per_rank"])
@pytest.mark.parametrize("value", [0, 3, -4])
def test_an_organisation_that_is_no_power_of_two_is_refused(spec, field, value):
    with pytest.raises(ConfigError, match=field):
        replace(spec, organization=replace(spec.organization, **{field: value}))


@pytest.mark.parametrize(
    ("current", "value", "says"),
    [
        ("IDD0_A", 0.0001, "IDD0 must be above IDD3N"),
        ("IDD2P_A", 1.0, "IDD2N must be above IDD2P"),
        ("IDD5B_A", 0.0001, "IDD5B must be above IDD3N"),
        ("IDD4R_A", 0.0, "above 0"),
        ("IDD7_A", 0.1, "unknown value: IDD7"),
    ],
)
def test_currents_that_would_make_a_command_free_are_refused(spec, current, value, says):
    rail = next(name for name in spec.rails if name != "VDDQ")
    with pytest.raises(ConfigError, match=says):
        replace(spec, rails={**spec.rails, rail: {**spec.rails[rail], current: value}})


def test_an_unknown_standard_is_refused_with_those_that_are_known(spec):
    with pytest.raises(ConfigError, match=", ".join(standards())):
        DramSpec("DDR7", spec.organization, spec.tCK_ps, spec.timing, spec.rails)


def test_every_timing_that_a_standard_requires_is_used_by_its_table(spec):
    used = {name for row in spec.table.constraints for name in names_in(row.latency)}
    used |= {name for expression in spec.table.derived.values() for name in names_in(expression)}
    intervals = {spec.table.refresh_interval, spec.table.refresh_per_bank_interval} - {""}
    assert set(spec.table.required) - used == intervals
    assert all(
        row.table and spec.latency(row.latency) < spec.clocks["nREFI"] for row in spec.table.constraints
    )


@pytest.mark.parametrize(
    ("text", "value"), [("a + 2*b - 1", 16), ("max(a, b, 3)", 7), ("(a + b) // 2", 6), ("a >= b", 0), (7, 7)]
)
def test_expressions_have_the_value_of_their_arithmetic(text, value):
    assert evaluate(text, {"a": 5, "b": 7} if text != "a + 2*b - 1" else {"a": 3, "b": 7}) == value


@pytest.mark.parametrize(
    "text",
    ["__import__('os')", "a.b", "a[0]", "lambda: 1", "a if a else a", "'x' * 9", "a ** 9", "2.5", "", "a +",
     "1 // 0", "max()", "a < b < a", "nope", "True", "1" * 300],
)  # fmt: skip
def test_anything_but_arithmetic_is_refused(text):
    with pytest.raises(ConfigError):
        evaluate(text, {"a": 1, "b": 2})
