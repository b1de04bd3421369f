"""Is every timing obeyed for its own sake? One clock less of any of them, and the checker must object.

The engine runs streams of requests on a memory whose timing is one clock too short; the checker knows the
true memory. Where another rule hides a timing, the true memory has more of it first.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from laid_out import PRESET_OF, memory, two_ranks

from nmsim.dram.checker import Checker
from nmsim.dram.checker_kernel import OVERDUE, STATE_RULES
from nmsim.dram.commands import COMMANDS
from nmsim.dram.engine import AccessBatch, Channel
from nmsim.dram.expression import names_in
from nmsim.dram.standard import load_standard
from nmsim.errors import ConfigError

#: Refresh so often, and for so short, that a short stream meets it.
OFTEN = {
    "nREFI": 2400,
    "nREFIpb": 600,
    "nREFIsb": 600,
    "nRFC": 250,
    "nRFCab": 250,
    "nRFCpb": 200,
    "nRFCsb": 200,
}
OFTEN |= {"nXS": 260, "nXSR": 260}

#: What controllers are told, so that together they issue every command that they can.
SETTINGS = [
    {},
    {"power_down_idle_clk": 1},
    {"power_down_idle_clk": 20, "refresh_postponed": 4},
    {"row_policy": "closed", "power_down_idle_clk": 1},
    {"row_policy": "timeout", "row_timeout_clk": 30, "power_down_idle_clk": 40},
    {"refresh": "per_bank"},
    {"refresh": "per_bank", "power_down_idle_clk": 1, "row_policy": "closed"},
    {"refresh": "per_bank", "refresh_postponed": 4},
    {"self_refresh_idle_clk": 2400, "row_policy": "closed"},
    {"self_refresh_idle_clk": 2400, "refresh": "per_bank", "power_down_idle_clk": 10},
]

#: Clocks that a timing gets more, until one clock less is seen.
MORE = (0, 1, 3, 10, 40, 150, 400)


def true_memory(standard):
    spec, controller = memory(PRESET_OF[standard])
    spec = two_ranks(spec)
    timing = spec.timing | {name: clocks for name, clocks in OFTEN.items() if name in spec.timing}
    return replace(spec, organization=replace(spec.organization, rows=16), timing=timing), controller


def with_clocks(spec, name, more):
    return replace(spec, timing={**spec.timing, name: spec.timing[name] + more})


@cache
def exercise(banks, row_bursts, n=6000):
    """Return requests to two rows of every bank in bursts, half of them after a pause.

    Some pauses are long, and some so that requests come when a rank has just gone to self-refresh.
    """
    rng = np.random.default_rng(1)
    burst = np.repeat(np.arange(n // 10), 10)
    bank = rng.integers(0, banks, n)
    bank = np.where(rng.random(n) < 0.4, bank[burst * 10], bank)
    is_write = rng.random(n) < np.array([0, 0.5, 1])[rng.integers(0, 3, n // 10)][burst]
    pause = rng.integers(0, 2, n) * rng.integers(0, 900, n) * np.where(rng.random(n) < 0.1, 8, 1)
    pause = np.where(rng.random(n) < 0.15, rng.integers(2400, 3000, n), pause)
    pause = np.where(np.diff(burst, prepend=0) > 0, pause, 0)
    clk = np.cumsum(pause + (rng.random(n) < 0.1) * rng.integers(0, 40, n))
    return AccessBatch(bank, rng.integers(0, 2, n), rng.integers(0, row_bursts, n), is_write, clk)


def run(engine_spec, controller, setting):
    """Return (log, refresh) of the stream with this setting."""
    if setting.get("refresh") == "per_bank" and not engine_spec.refresh_sets:
        setting = {**setting, "refresh": "all_bank"}
    if setting.get("self_refresh_idle_clk"):
        setting = {**setting, "self_refresh_idle_clk": engine_spec.clocks["nREFI"]}
    channel = Channel(engine_spec, replace(controller, **setting), log_rows=100_000)
    log = channel.access(exercise(engine_spec.banks_per_channel, engine_spec.row_bursts)).log
    assert 6000 < len(log) < 100_000
    return log, setting.get("refresh", "all_bank")


def broken_rules(engine_spec, true_spec, controller):
    """Return the names of the rules of the true memory that the engine breaks."""
    rules = set()
    for setting in SETTINGS:
        log, refresh = run(engine_spec, controller, setting)
        rules |= {v.rule for v in Checker(true_spec, refresh).violations(log)}
    return rules


def rows_about(table, name):
    """Return the rows whose latency depends on a timing."""
    names = {name}
    for derived, text in table.derived.items():
        if names_in(text) & names:
            names.add(derived)
    return [row for row in table.constraints if names_in(row.latency) & names]


#: Of two standards always, of the others in the long lane.
QUICK = ("DDR4", "LPDDR5")


def long_unless_quick(standard, *values):
    """Return test parameters, marked slow where their standard is not among the quick ones."""
    return pytest.param(standard, *values, marks=() if standard in QUICK else pytest.mark.slow)


ALL_CASES = [
    (s, name)
    for s in PRESET_OF
    for name in load_standard(s).required
    # The standard fixes the burst; and refreshing more often is legal.
    if name != "nBL" and rows_about(load_standard(s), name)
]
CASES = [long_unless_quick(*case) for case in ALL_CASES]
STANDARDS = [long_unless_quick(standard) for standard in PRESET_OF]


@pytest.mark.parametrize(("standard", "name"), CASES)
def test_one_clock_less_of_any_timing_breaks_a_rule_that_names_it(standard, name):
    spec, controller = true_memory(standard)
    about = {row.name for row in rows_about(spec.table, name)}
    for more in MORE:
        try:
            true = with_clocks(spec, name, more)
            short = with_clocks(true, name, -1)
        except ConfigError:
            continue
        broken = broken_rules(short, true, controller)
        assert broken <= about
        if broken:
            assert broken_rules(true, true, controller) == set()
            return
    pytest.fail(f"one clock less of {name} goes unseen, whatever its value")


@pytest.mark.parametrize("standard", STANDARDS)
def test_nothing_is_broken_where_nothing_is_shortened(standard):
    true, controller = true_memory(standard)
    assert broken_rules(true, true, controller) == set()


@pytest.mark.parametrize("standard", STANDARDS)
def test_the_streams_make_the_engine_issue_every_command(standard):
    spec, controller = true_memory(standard)
    logs = [run(spec, controller, setting)[0] for setting in SETTINGS]
    issued = {COMMANDS[c] for log in logs for c in np.unique(log.command)}
    assert issued == set(COMMANDS) - ({"REFpb"} if not spec.refresh_sets else set())


@pytest.mark.parametrize("standard", PRESET_OF)
def test_timings_that_no_rule_names_are_not_required(standard):
    table = load_standard(standard)
    named = {name for name in table.required if rows_about(table, name)}
    assert set(table.required) <= named | {table.refresh_interval, table.refresh_per_bank_interval}
    assert not {name for name in table.optional if rows_about(table, name)}


@pytest.mark.parametrize("standard", PRESET_OF)
def test_another_burst_length_is_refused(standard):
    with pytest.raises(ConfigError, match="nBL"):
        with_clocks(memory(PRESET_OF[standard])[0], "nBL", -1)


@pytest.mark.parametrize("standard", STANDARDS)
def test_refreshing_more_often_is_legal_and_half_as_often_is_not(standard):
    true, controller = true_memory(standard)
    assert broken_rules(with_clocks(true, "nREFI", -1), true, controller) == set()
    seldom = with_clocks(true, "nREFI", true.timing["nREFI"])
    # Eight refreshes may be owed; at half the rate the ninth is owed after eighteen intervals.
    broken = broken_rules(seldom, true, controller)
    assert broken and all(rule.startswith(STATE_RULES[-1 - OVERDUE]) for rule in broken)
