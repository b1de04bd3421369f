"""Is each command legal exactly from the clock on that the standard's table says?

For every row of every table two commands (five for tFAW) are laid out by hand: the row is broken one clock
before its latency, and kept at it.
"""

import pytest
from laid_out import PRESET_OF, log_of, memory, two_ranks

from nmsim.dram.checker import Checker
from nmsim.dram.standard import load_standard
from nmsim.errors import ProtocolViolation

START = 2000

ROWS = [
    (name, index, before, after)
    for name in PRESET_OF
    for index, row in enumerate(load_standard(name).constraints)
    for before in row.preceding
    for after in row.following
]


def places(spec, level, count):
    """Return `count` pairwise different (rank, bankgroup, bank) that share `level` and no smaller unit."""
    groups, banks = spec.organization.bankgroups, spec.organization.banks
    if level == "bank":
        return [(0, 0, 0)] * count
    if level == "bankgroup":
        return [(0, 0, b) for b in range(count)]
    if level == "rank":
        return [(0, g, b) for b in range(banks) for g in range(groups)][:count]
    return [(r, 0, 0) for r in range(count)]


def broken(spec, row, before, after, gap, near=(False, False)):
    """Return (clk, earliest) of the violations of `row` where `after` comes `gap` clocks after `before`."""
    where = places(spec, row.level, row.window + 1)
    commands = [(START, before, *place, 5, near[0]) for place in where[:-1]]
    commands.append((START + gap, after, *where[-1], 5, near[1]))
    found = Checker(spec).violations(log_of(spec, commands))
    return [(v.clk, v.earliest_clk) for v in found if v.rule == row.name and v.clk > START]


@pytest.mark.parametrize(("name", "index", "before", "after"), ROWS)
def test_each_row_binds_exactly_at_its_latency(name, index, before, after):
    row, spec = load_standard(name).constraints[index], two_ranks(memory(PRESET_OF[name])[0])
    latency = spec.latency(row.latency)
    if latency > 1:
        assert broken(spec, row, before, after, latency - 1) == [(START + latency - 1, START + latency)]
    assert broken(spec, row, before, after, latency) == []


@pytest.mark.parametrize(("name", "index", "before", "after"), ROWS)
def test_near_memory_commands_share_cells_and_current_but_no_pins(name, index, before, after):
    row, spec = load_standard(name).constraints[index], two_ranks(memory(PRESET_OF[name])[0])
    late = broken(spec, row, before, after, spec.latency(row.latency) - 1, near=(True, True))
    apart = row.level != "bank" and row.resource == "column"
    free = row.resource == "command_bus" or apart or spec.latency(row.latency) == 1
    assert bool(late) == (not free)


def test_columns_of_one_bank_keep_their_distance_beside_the_bank_too(spec):
    row = next(r for r in spec.table.constraints if r.name.startswith("tCCD") and "RD" in r.preceding)
    latency = spec.latency(row.latency)
    for near in ((True, True), (False, True), (True, False)):
        commands = [(START, "RD", 0, 0, 0, 5, near[0]), (START + latency - 1, "RD", 0, 0, 0, 5, near[1])]
        found = Checker(spec).violations(log_of(spec, commands))
        assert [v.earliest_clk for v in found if v.rule == row.name] == [START + latency]


def test_a_supply_for_more_activations_is_checked_by_its_own_number(spec):
    banks = [(0, g, b) for g in range(spec.organization.bankgroups) for b in range(spec.organization.banks)]
    window = spec.clocks["nFAW"]
    for count, last, legal in ((8, START, True), (7, START, False), (7, START + window, True)):
        commands = [(START, "ACT", *p, 5, True) for p in banks[:7]] + [(last, "ACT", *banks[7], 5, True)]
        rules = {v.rule for v in Checker(spec).violations(log_of(spec, commands), count)}
        assert ("tFAW" not in rules) == legal


@pytest.mark.parametrize(
    ("commands", "rule"),
    [
        ([(100, "RD", 0, 0, 0, 5)], "column command to a closed bank"),
        ([(100, "ACT", 0, 0, 0, 5), (900, "ACT", 0, 0, 0, 6)], "ACT to an open bank"),
        (
            [(100, "ACT", 0, 0, 0, 5), (900, "RD", 0, 0, 0, 6)],
            "column command to another row than the open one",
        ),
        ([(100, "ACT", 0, 0, 1, 5), (900, "REFab", 0, 0, 0, -1)], "REFab with an open bank"),
        ([(100, "PDE", 0, 0, 0, -1), (900, "ACT", 0, 0, 1, 6)], "command in power-down"),
        ([(100, "PDX", 0, 0, 0, -1)], "PDX without PDE"),
        ([(100, "ACT", 0, 0, 0, 5), (50, "ACT", 0, 0, 1, 5)], "order of time"),
    ],
)
def test_commands_in_the_wrong_state_are_found(spec, commands, rule):
    # Whole and split in two logs, as a trace is read.
    whole = {v.rule for v in Checker(spec).violations(log_of(spec, commands))}
    checker = Checker(spec)
    parts = {v.rule for c in commands for v in checker.violations(log_of(spec, [c]))}
    assert rule in whole and rule in parts


def test_a_refresh_that_comes_too_late_is_found(spec):
    interval, allowed = spec.clocks["nREFI"], spec.table.refresh_postponed
    on_time = (1 + allowed) * interval
    assert Checker(spec).violations(log_of(spec, [(on_time, "REFab", 0, 0, 0, -1)])) == []
    assert Checker(spec).violations(log_of(spec, [(on_time + 1, "REFab", 0, 0, 0, -1)])) != []
    assert Checker(spec).violations(log_of(spec, [(on_time + 1, "ACT", 0, 0, 0, 1)])) != []


def test_the_first_violation_is_an_error_that_names_rule_clock_and_place(spec):
    commands = [(100, "ACT", 0, 0, 1, 5), (101, "RD", 0, 0, 1, 5)]
    with pytest.raises(ProtocolViolation, match=r"RD to rank 0, bank group 0, bank 1 breaks tRCD.*clock 101"):
        Checker(spec).check(log_of(spec, commands))
