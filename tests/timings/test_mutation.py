"""Is every timing obeyed for its own sake? One clock less of any of them, and the checker must object.

The engine runs one stream of requests on a memory whose timing is one clock too short; the checker knows the
true memory. Where another rule hides a timing, the true memory has that rule relaxed first.
"""

from dataclasses import replace

import numpy as np
import pytest
from laid_out import memory, two_ranks

from nmsim.dram.checker import Checker
from nmsim.dram.engine import AccessBatch, Channel
from nmsim.dram.expression import names_in
from nmsim.dram.standard import load_standard
from nmsim.errors import ConfigError

NAMES = {"LPDDR4": "lpddr4-3200", "DDR4": "ddr4-2400", "LPDDR5": "lpddr5-6400"}

#: What makes a timing visible that another hides in the preset.
RELAXED = {
    # nRC = nRAS + nRP: the row's own times enforce it.
    ("LPDDR4", "nRC"): {"nRC": 110},
    ("DDR4", "nRC"): {"nRC": 70},
    ("LPDDR5", "nRC"): {"nRC": 60},
    # nFAW = 4 nRRD: five ACTs at nRRD are just apart enough.
    ("LPDDR4", "nFAW"): {"nRRD": 8},
    ("LPDDR5", "nFAW"): {"nRRD": 2},
    # nCCD = nBL, its least value by the standard's own checks.
    ("LPDDR4", "nCCD"): {"nCCD": 10},
    ("DDR4", "nCCD_S"): {"nCCD_S": 5},
    ("LPDDR5", "nCCD_S"): {"nCCD_S": 3},
    ("LPDDR5", "nCCD_L"): {"nCCD_L": 5},
    # 0 in the preset cannot be shortened.
    ("LPDDR4", "nRPST"): {"nRPST": 1},
}

#: Timings of which one clock less cannot be seen in any stream of the engine.
INVISIBLE = {
    "nBL": "the standard fixes the burst; a memory with another is refused",
    "nREFI": "refreshing more often is legal",
    **dict.fromkeys(
        ("nRFCpb", "nREFIpb", "npbR2pbR", "npbR2act", "nXSR", "nSR", "nXS", "nXSDLL", "nCKESR"),
        "the engine does not use it",
    ),
    "nCMDCKE": "ranks power down only when no request waits: the last command was then a RD or WR, whose "
    "own distance to PDE is longer, or a REFab, after which the engine waits for nRFCab",
    **dict.fromkeys(("nACTPDEN", "nPRPDEN", "nREFPDEN", "nCMDPD"), "as nCMDCKE"),
}


def true_memory(standard, name):
    spec, controller = memory(NAMES[standard])
    spec = two_ranks(spec)
    org = replace(spec.organization, rows=16)
    refresh = "nRFC" if "nRFC" in spec.timing else "nRFCab"
    timing = {**spec.timing, "nREFI": 1200, refresh: 80, **RELAXED.get((standard, name), {})}
    return replace(spec, organization=org, timing=timing), controller


def shortened(spec, name):
    return replace(spec, timing={**spec.timing, name: spec.timing[name] - 1})


def exercise(spec, seed=1, n=6000):
    """Return requests to two rows of every bank in bursts, half of them after a pause of up to 900 clocks."""
    rng = np.random.default_rng(seed)
    burst = np.repeat(np.arange(n // 10), 10)
    bank = rng.integers(0, spec.banks_per_channel, n)
    bank = np.where(rng.random(n) < 0.4, bank[burst * 10], bank)
    is_write = rng.random(n) < np.array([0, 0.5, 1])[rng.integers(0, 3, n // 10)][burst]
    pause = np.where(np.diff(burst, prepend=0) > 0, rng.integers(0, 2, n) * rng.integers(0, 900, n), 0)
    clk = np.cumsum(pause + (rng.random(n) < 0.1) * rng.integers(0, 40, n))
    return AccessBatch(bank, rng.integers(0, 2, n), rng.integers(0, spec.row_bursts, n), is_write, clk)


def broken_rules(engine_spec, true_spec, controller):
    """Return the names of the rules of the true memory that the engine breaks on the stream."""
    rules = set()
    for idle_clk in (0, 1, 20):
        controller = replace(controller, power_down_idle_clk=idle_clk)
        channel = Channel(engine_spec, controller, log_rows=100_000)
        log = channel.access(exercise(true_spec)).log
        assert 6000 < len(log) < 100_000
        rules |= {v.rule for v in Checker(true_spec).violations(log)}
    return rules


CASES = [(s, name) for s in NAMES for name in load_standard(s).required if name not in INVISIBLE]


@pytest.mark.parametrize(("standard", "name"), CASES)
def test_one_clock_less_of_any_timing_breaks_a_rule_that_names_it(standard, name):
    true, controller = true_memory(standard, name)
    broken = broken_rules(shortened(true, name), true, controller)
    about = {row.name for row in true.table.constraints if name in names_in(row.latency)}
    assert broken and broken <= about


@pytest.mark.parametrize(("standard", "name"), [*RELAXED, ("LPDDR4", "nRCD"), ("DDR4", "nRCD")])
def test_nothing_is_broken_where_nothing_is_shortened(standard, name):
    true, controller = true_memory(standard, name)
    assert broken_rules(true, true, controller) == set()


@pytest.mark.parametrize("standard", NAMES)
def test_timings_that_no_rule_names_are_not_required(standard):
    table = load_standard(standard)
    named = set().union(*(names_in(row.latency) for row in table.constraints))
    derived = set().union(*(names_in(text) for text in table.derived.values())) if table.derived else set()
    assert set(table.required) <= named | derived | {"nREFI", "nREFIpb"}
    assert not set(table.optional) & named


@pytest.mark.parametrize("standard", NAMES)
def test_another_burst_length_is_refused(standard):
    with pytest.raises(ConfigError, match="nBL does not fit"):
        shortened(memory(NAMES[standard])[0], "nBL")


@pytest.mark.parametrize("standard", NAMES)
def test_refreshing_more_often_is_legal_and_half_as_often_is_not(standard):
    true, controller = true_memory(standard, "nREFI")
    assert broken_rules(shortened(true, "nREFI"), true, controller) == set()
    seldom = replace(true, timing={**true.timing, "nREFI": 2 * true.timing["nREFI"]})
    # Eight refreshes may be owed; at half the rate the ninth is owed after eighteen intervals.
    assert any("refresh" in rule for rule in broken_rules(seldom, true, controller))


def test_no_power_down_follows_so_soon_after_a_row_command():
    true, controller = true_memory("LPDDR4", "nCMDCKE")
    assert broken_rules(shortened(true, "nCMDCKE"), true, controller) == set()
