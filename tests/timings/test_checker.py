"""Is each command legal exactly from the clock on that the standard's table says?

For every row of every table two commands (five for tFAW) are laid out by hand: the row is broken one clock
before its latency, and kept at it. Streams that break many rules at once are compared with a slow reading of
the table.
"""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laid_out import NAMES, PRESET_OF, log_of, memory, share, touched, two_ranks

from nmsim.dram.activity import CommandLog
from nmsim.dram.checker import Checker
from nmsim.dram.checker_kernel import STATE_RULES
from nmsim.dram.commands import COMMANDS, RANK_WIDE
from nmsim.dram.standard import load_standard, standards
from nmsim.dram.tables import compile_tables
from nmsim.errors import ProtocolViolation

START = 2000
MEMORIES = {name: two_ranks(memory(name)[0]) for name in NAMES}
ROWS = [
    pytest.param(spec, row, id=f"{name}-{row.name.replace(' ', '_')}")
    for name, spec in MEMORIES.items()
    for row in spec.table.constraints
]
SMALL = [MEMORIES[name] for name in PRESET_OF.values()]


def places(spec, level, count):
    """Return `count` (rank, bankgroup, bank) that share `level` and, but for other ranks, nothing smaller."""
    groups, banks = spec.organization.bankgroups, spec.organization.banks
    if level == "bank":
        return [(0, 0, 0)] * count
    if level == "bankgroup":
        return [(0, 0, b) for b in range(banks)][:count]
    if level == "rank":
        return [(0, g, b) for b in range(banks) for g in range(groups)][:count]
    return [(0, 0, 0)] * (count - 1) + [(1, 0, 0)]


def early(spec, row, before, after, gap, near=(False, False), level=None):
    """Return (clk, earliest) of violations of `row` where `after` comes `gap` clocks after `before`."""
    where = places(spec, level or row.level, row.window + 1)
    commands = [(START, before, *place, 5, near[0]) for place in where[:-1]]
    commands.append((START + gap, after, *where[-1], 5, near[1]))
    found = Checker(spec).violations(log_of(spec, commands))
    return [(v.clk, v.earliest_clk) for v in found if v.rule == row.name and v.clk >= START + gap > START]


def pairs(row):
    return [(before, after) for before in row.preceding for after in row.following]


def test_every_standard_has_a_preset_and_its_rows_have_names_of_their_own():
    assert set(PRESET_OF) == set(standards())
    for name in standards():
        rows = [row.name for row in load_standard(name).constraints]
        assert len(set(rows)) == len(rows)


@pytest.mark.parametrize(("spec", "row"), ROWS)
def test_each_row_binds_exactly_at_its_latency(spec, row):
    latency = spec.latency(row.latency)
    for before, after in pairs(row):
        if latency > 1:
            last = START + latency - 1
            assert early(spec, row, before, after, latency - 1) == [(last, last + 1)], (before, after)
        assert early(spec, row, before, after, max(1, latency)) == [], (before, after)


def strangers(spec, row):
    """Return each pair of commands that a row binds, with the smallest thing they may share and not be bound.

    None where nothing is wider than the row's level, and of a bank where a command goes to a whole rank.
    """
    wider = {"bank": "bankgroup", "bankgroup": "rank", "rank": "channel", "other_rank": "rank"}.get(row.level)
    if wider == "bankgroup" and spec.organization.banks == 1:
        wider = "rank"
    of_one_rank = row.level in ("rank", "other_rank")
    found = pairs(row) if wider and spec.latency(row.latency) > 1 else []
    whole = {COMMANDS[c] for c in RANK_WIDE} | {"REFpb"}
    return [(*pair, wider) for pair in found if of_one_rank or not whole.intersection(pair)]


@pytest.mark.parametrize(("spec", "row"), [each for each in ROWS if strangers(*each.values)])
def test_each_row_binds_only_what_shares_its_level(spec, row):
    for before, after, shared in strangers(spec, row):
        assert early(spec, row, before, after, 1, level=shared) == [], (before, after)


def test_each_standard_has_rows_of_every_level_that_strangers_escape():
    for spec in MEMORIES.values():
        levels = {row.level for row in spec.table.constraints if strangers(spec, row)}
        assert levels >= {"bank", "rank", "other_rank"}


@pytest.mark.parametrize(("spec", "row"), ROWS)
def test_near_memory_commands_share_cells_and_current_but_no_pins(spec, row):
    for before, after in pairs(row):
        late = early(spec, row, before, after, spec.latency(row.latency) - 1, near=(True, True))
        apart = row.level != "bank" and row.resource == "column"
        free = row.resource == "command_bus" or apart or spec.latency(row.latency) <= 1
        assert bool(late) == (not free), (before, after)


@pytest.mark.parametrize("simultaneous", [None, 0, 8])
@pytest.mark.parametrize("name", NAMES)
def test_the_engines_compiled_table_and_the_checker_allow_the_same_clock(name, simultaneous):
    # Pairs of commands at one clock, each pair far from the others: the checker says from when on the second
    # would be legal.
    spec, near = MEMORIES[name], simultaneous is not None
    org, far = spec.organization, 2 * max(spec.latency(row.latency) for row in spec.table.constraints)
    known = [c for c in COMMANDS if c != "REFpb" or spec.refresh_sets]
    first = (0, 0, 0)
    others = sorted({first, (0, 0, org.banks - 1), (0, org.bankgroups - 1, 0), (1, 0, 0)})
    cases = list(product(known, known, others))
    commands = []
    for i, (before, after, other) in enumerate(cases, start=1):
        commands += [(i * far, before, *first, 5, near), (i * far, after, *other, 5, near)]
    allowed = {}
    for v in Checker(spec, refresh="none").violations(log_of(spec, commands), simultaneous or 0):
        if v.earliest_clk:
            wait, case = v.earliest_clk - v.clk, cases[v.clk // far - 1]
            allowed[case] = max(allowed.get(case, 0), wait)
    tables = compile_tables(spec, near, simultaneous or 0)
    for before, after, other in cases:
        pair, compiled = (COMMANDS.index(before), COMMANDS.index(after)), 0
        for one, two in product(touched(spec, before, first), touched(spec, after, other)):
            group, to_group = (rank * org.bankgroups + bank // org.banks for rank, bank in (one, two))
            compiled = max(compiled, tables.group[pair[0], group, to_group, pair[1]])
            if one == two:
                compiled = max(compiled, tables.bank[pair])
        assert allowed.get((before, after, other), 0) == compiled, (before, after, other)


def slow_reading(spec, commands, simultaneous=0):
    """Return {(index, row, earliest)} of all rows that are broken, from the whole history each time."""
    broken = set()
    for j, (clk, after, *place, _, near) in enumerate(commands):
        for row in spec.table.constraints:
            if after not in row.following:
                continue
            window = row.window
            if near and row.resource == "power" and simultaneous:
                if window == 1:
                    continue
                window = simultaneous
            before = []
            for earlier, name, *other, _, other_near in commands[:j]:
                level = row.level
                if row.resource == "command_bus" and (near or other_near):
                    continue
                if row.resource == "column" and (near or other_near):
                    if level == "other_rank":
                        continue
                    level = "bank"
                banks = touched(spec, after, place), touched(spec, name, other)
                if name in row.preceding and share(spec, level, *banks):
                    before.append(earlier)
            # The window counts within each unit that the two may share; with a window that is the rank.
            if len(before) >= window and clk < before[-window] + spec.latency(row.latency):
                broken.add((j, row.name, before[-window] + spec.latency(row.latency)))
    return broken


@st.composite
def streams(draw):
    """Return (DramSpec, commands, simultaneous_act): any commands to a few banks, close together."""
    spec = draw(st.sampled_from(SMALL))
    org = spec.organization
    known = [c for c in COMMANDS if c != "REFpb" or spec.refresh_sets]
    command = st.tuples(
        st.sampled_from([0, 0, 1, 1, 3, 8, 30, 200]),
        st.sampled_from([*known, "ACT", "ACT", "RD", "WR", "RDA"]),
        st.integers(0, 1),
        st.sampled_from([0, org.bankgroups - 1]),
        st.sampled_from([0, org.banks - 1]),
        st.sampled_from([5, 6]),
        st.sampled_from([False, False, True]),
    )
    steps, clk, commands = draw(st.lists(command, min_size=1, max_size=40)), START, []
    for gap, *rest in steps:
        clk += gap
        commands.append((clk, *rest))
    return spec, commands, draw(st.sampled_from([0, 0, 1, 3]))


@settings(max_examples=60)
@given(streams())
def test_the_checker_finds_what_a_slow_reading_of_the_table_finds(stream):
    spec, commands, simultaneous = stream
    log = log_of(spec, commands)
    rows = {row.name for row in spec.table.constraints}
    found = set()
    checker = Checker(spec, refresh="none")
    for j in range(len(log)):
        one = CommandLog(*(getattr(log, f)[j : j + 1] for f in CommandLog.__annotations__))
        found |= {
            (j, v.rule, v.earliest_clk) for v in checker.violations(one, simultaneous) if v.rule in rows
        }
    assert found == slow_reading(spec, commands, simultaneous)


@settings(max_examples=60)
@given(streams(), st.data())
def test_a_log_in_parts_has_the_violations_of_the_whole(stream, data):
    spec, commands, simultaneous = stream
    whole = Checker(spec).violations(log_of(spec, commands), simultaneous)
    cut = data.draw(st.integers(0, len(commands)))
    checker, parts = Checker(spec), []
    for part in (commands[:cut], commands[cut:]):
        parts += checker.violations(log_of(spec, part), simultaneous) if part else []
    assert parts == whole


def test_more_violations_than_fit_the_kernel_at_once_are_all_found():
    spec = SMALL[0]
    n = 10_000
    found = Checker(spec).violations(log_of(spec, [(START, "RD", 0, 0, 0, 5)] * n))
    assert sum(v.rule == "column command to a closed bank" for v in found) == n


def test_columns_of_one_bank_keep_their_distance_beside_the_bank_too(spec):
    row = next(r for r in spec.table.constraints if r.name.startswith("tCCD") and "RD" in r.preceding)
    latency = spec.latency(row.latency)
    for near in ((True, True), (False, True), (True, False)):
        commands = [(START, "RD", 0, 0, 0, 5, near[0]), (START + latency - 1, "RD", 0, 0, 0, 5, near[1])]
        found = Checker(spec).violations(log_of(spec, commands))
        assert [v.earliest_clk for v in found if v.rule == row.name] == [START + latency]


def test_a_supply_for_more_activations_is_checked_by_its_own_number(spec):
    row = next(r for r in spec.table.constraints if r.window > 1)
    banks = [(0, g, b) for g in range(spec.organization.bankgroups) for b in range(spec.organization.banks)]
    window = spec.latency(row.latency)
    for count, last, legal in ((8, START, True), (7, START, False), (7, START + window, True)):
        commands = [(START, "ACT", *p, 5, True) for p in banks[:7]] + [(last, "ACT", *banks[7], 5, True)]
        rules = {v.rule for v in Checker(spec).violations(log_of(spec, commands), count)}
        assert (row.name not in rules) == legal


#: Command after command, 600 clocks apart, and the rule that the last one breaks; None: it is legal.
STATES = [
    (["RD"], "column command to a closed bank"),
    (["WRA"], "column command to a closed bank"),
    (["ACT", "ACT"], "ACT to an open bank"),
    (["ACT", "RD"], None),
    (["ACT", ("RD", 6)], "column command to another row than the open one"),
    (["ACT", ("WRA", 6)], "column command to another row than the open one"),
    (["ACT", "PREpb", "RD"], "column command to a closed bank"),
    (["ACT", "PREab", "WR"], "column command to a closed bank"),
    (["ACT", "RDA", "RD"], "column command to a closed bank"),
    (["ACT", "RDA", "ACT"], None),
    (["ACT", "WRA", "PREpb", "ACT"], None),
    (["PREpb", "PREab"], None),
    (["ACT", "REFab"], "REFab with an open bank"),
    (["ACT", "SRE"], "SRE with an open bank"),
    (["ACT", "RDA", "REFab"], None),
    (["ACT", "PREab", "SRE", "SRX", "ACT"], None),
    (["PDE", "ACT"], "command in power-down"),
    (["PDE", "REFab"], "command in power-down"),
    (["PDE", "PDE"], "command in power-down"),
    (["PDE", "SRX"], "command in power-down"),
    (["PDE", "PDX", "ACT", "PDE", "PDX", "RD"], None),
    (["SRE", "ACT"], "command in self-refresh"),
    (["SRE", "PDX"], "command in self-refresh"),
    (["SRE", "REFab"], "command in self-refresh"),
    (["SRE", "SRE"], "command in self-refresh"),
    (["PDX"], "PDX without PDE"),
    (["PDE", "PDX", "PDX"], "PDX without PDE"),
    (["SRX"], "SRX without SRE"),
    (["SRE", "SRX", "SRX"], "SRX without SRE"),
    (["SRE", "SRX", "PDX"], "PDX without PDE"),
]
PER_BANK_STATES = [
    (["ACT", "REFpb"], "REFpb with an open bank"),
    (["ACT", "RDA", "REFpb"], None),
    (["REFpb", "REFpb"], "REFpb to one set of banks again before the others"),
    (["REFpb", "REFab", "REFpb"], None),
    (["REFpb", "SRE", "SRX", "REFpb"], None),
]


@pytest.mark.parametrize(("commands", "rule"), STATES + PER_BANK_STATES)
def test_commands_in_the_wrong_state_are_found(spec, commands, rule):
    if not spec.refresh_sets and (commands, rule) in PER_BANK_STATES:
        return
    pairs = [c if isinstance(c, tuple) else (c, 5) for c in commands]
    laid = [(600 * (i + 1), name, 0, 0, 0, row) for i, (name, row) in enumerate(pairs)]
    states = set(STATE_RULES)
    # Whole and split in two logs, as a trace is read.
    whole = [v.rule for v in Checker(spec).violations(log_of(spec, laid)) if v.rule in states]
    checker = Checker(spec)
    parts = [v.rule for c in laid for v in checker.violations(log_of(spec, [c])) if v.rule in states]
    assert whole == parts == ([rule] if rule else [])


def test_a_log_that_goes_back_in_time_is_found(spec):
    commands = [(100, "ACT", 0, 0, 0, 5), (50, "ACT", 0, 0, 1, 5)]
    assert "order of time" in {v.rule for v in Checker(spec).violations(log_of(spec, commands))}


def test_a_refresh_per_bank_touches_its_whole_set(spec):
    sets, banks = spec.refresh_sets, spec.organization.banks
    if not sets:
        with pytest.raises(ValueError, match="no REFpb"):
            Checker(spec).violations(log_of(spec, [(START, "REFpb", 0, 0, 0, -1)]))
        return
    (wait,) = (r for r in spec.table.constraints
               if r.level == "bank" and r.preceding == ("REFpb",) and "ACT" in r.following)  # fmt: skip
    for b in range(spec.banks_per_rank):
        place = (0, b // banks, b % banks)
        commands = [(START, "ACT", *place, 5), (START + 900, "REFpb", 0, 0, 0, -1)]
        is_open = any("open bank" in v.rule for v in Checker(spec).violations(log_of(spec, commands)))
        commands = [(START, "REFpb", 0, 0, 0, -1), (START + 30, "ACT", *place, 5)]
        waits = any(v.rule == wait.name for v in Checker(spec).violations(log_of(spec, commands)))
        assert is_open == waits == (b % sets == 0), f"bank {b} of {sets} sets"


LATE = "refresh postponed too often"


def late_at(checker, spec, commands):
    """Return the clocks at which a refresh is overdue."""
    return [v.clk for v in checker.violations(log_of(spec, commands)) if v.rule.startswith(LATE)]


def refreshes(spec, clks, command="REFab"):
    """Return refreshes of rank 0 at these clocks, per bank set by set."""
    banks, sets = spec.organization.banks, max(1, spec.refresh_sets)
    return [
        (clk, command, 0, i % sets // banks, i % sets % banks, -1) for i, clk in enumerate(clks)
    ]  # fmt: skip


def test_the_standards_number_of_refreshes_may_be_owed_and_not_one_more(spec):
    interval, allowed = spec.clocks["nREFI"], spec.table.refresh_postponed
    latest = (1 + allowed) * interval
    assert late_at(Checker(spec), spec, refreshes(spec, [latest])) == []
    assert late_at(Checker(spec), spec, refreshes(spec, [latest + 1])) == [latest + 1]
    assert late_at(Checker(spec), spec, [(latest + 1, "ACT", 0, 0, 0, 1)]) == [latest + 1]
    assert Checker(spec).end(latest) == [] and len(Checker(spec).end(latest + 1)) == 1
    # One refresh pays for one interval, and the next is then due as before.
    paid = refreshes(spec, [latest, latest + interval])
    assert late_at(Checker(spec), spec, paid) == []
    assert late_at(Checker(spec), spec, refreshes(spec, [latest, latest + interval + 1])) != []


def test_refreshes_in_advance_count_but_do_not_stretch_the_longest_pause(spec):
    interval, allowed = spec.clocks["nREFI"], spec.table.refresh_postponed
    gap = spec.clocks["nRFCab"]
    # Twice as many at once as count in advance, the last at `begun`.
    in_advance = [interval // 2 + i * gap for i in range(2 * allowed)]
    begun = in_advance[-1]
    pause = begun + (1 + allowed) * interval
    assert late_at(Checker(spec), spec, refreshes(spec, [*in_advance, pause])) == []
    assert late_at(Checker(spec), spec, refreshes(spec, [*in_advance, pause + 1])) == [pause + 1]


def test_refreshes_per_bank_are_owed_in_their_own_unit(spec):
    if not spec.refresh_sets:
        return
    interval = spec.clocks[spec.table.refresh_per_bank_interval]
    latest = (1 + spec.table.refresh_postponed * spec.refresh_sets) * interval
    for clk, late in ((latest, []), (latest + 1, [latest + 1])):
        checker = Checker(spec, refresh="per_bank")
        assert late_at(checker, spec, refreshes(spec, [clk], "REFpb")) == late
    on_time = range(interval, 40 * interval, interval)
    checker = Checker(spec, refresh="per_bank")
    rules = {v.rule for v in checker.violations(log_of(spec, refreshes(spec, on_time, "REFpb")))}
    assert rules == set()


def test_nothing_more_is_owed_in_self_refresh(spec):
    interval, allowed = spec.clocks["nREFI"], spec.table.refresh_postponed
    asleep = [(interval // 2, "SRE", 0, 0, 0, -1), (1000 * interval, "SRX", 0, 0, 0, -1)]
    latest = (1000 + 1 + allowed) * interval
    assert late_at(Checker(spec), spec, [*asleep, (latest, "REFab", 0, 0, 0, -1)]) == []
    assert late_at(Checker(spec), spec, [*asleep, (latest + 1, "REFab", 0, 0, 0, -1)]) == [latest + 1]
    # What was owed at the entry is owed at the exit: two whole refreshes here.
    asleep[0] = (2 * interval + 1, *asleep[0][1:])
    latest -= 2 * interval
    assert late_at(Checker(spec), spec, [*asleep, (latest, "REFab", 0, 0, 0, -1)]) == []
    assert late_at(Checker(spec), spec, [*asleep, (latest + 1, "REFab", 0, 0, 0, -1)]) == [latest + 1]


def test_a_rank_without_refresh_is_late_once_and_by_name(spec):
    spec = two_ranks(spec)
    interval = spec.clocks["nREFI"]
    commands = refreshes(spec, [i * interval for i in range(1, 30)])
    found = [v.rule for v in Checker(spec).violations(log_of(spec, commands))]
    assert found == [f"{LATE} (rank 1)"]


def test_a_controller_that_never_refreshes_is_not_blamed_for_it(spec):
    commands = [(100 * spec.clocks["nREFI"], "ACT", 0, 0, 0, 1)]
    assert late_at(Checker(spec, refresh="none"), spec, commands) == []
    assert Checker(spec, refresh="none").end(1 << 50) == []


@pytest.mark.parametrize("first", ["RD", "PREpb", "REFab", "PDX", "SRX", "ACT", "WRA", "PDE"])
def test_what_came_before_a_log_from_the_midst_of_a_run_is_never_a_violation(spec, first):
    begun = 500 * spec.clocks["nREFI"]
    assert Checker(spec, from_start=False).violations(log_of(spec, [(begun, first, 0, 0, 0, 5)])) == []


def test_a_log_from_the_midst_of_a_run_is_checked_for_what_it_shows(spec):
    begun, interval = 500 * spec.clocks["nREFI"], spec.clocks["nREFI"]
    for commands, rule in (
        (["RD", ("RD", 6)], "column command to another row than the open one"),
        (["PREab", "RD"], "column command to a closed bank"),
        (["PDX", "PDX"], "PDX without PDE"),
    ):
        pairs = [c if isinstance(c, tuple) else (c, 5) for c in commands]
        laid = [(begun + 600 * i, name, 0, 0, 0, row) for i, (name, row) in enumerate(pairs)]
        found = Checker(spec, from_start=False).violations(log_of(spec, laid))
        assert [v.rule for v in found] == [rule]
    late = [(begun, "PREab", 0, 0, 0, -1), (begun + 20 * interval, "ACT", 0, 0, 0, 5)]
    assert late_at(Checker(spec, from_start=False), spec, late) != []


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ((0, "ACT", 1, 0, 0, 5), "rank"),
        ((0, "ACT", 0, 99, 0, 5), "bank group"),
        ((0, "RD", 0, 0, -1, 5), "bank"),
    ],
)
def test_a_place_that_the_memory_has_not_is_refused(spec, command, says):
    with pytest.raises(ValueError, match=f"{says} out of range"):
        Checker(spec).violations(log_of(spec, [command]))


def test_the_first_violation_is_an_error_that_names_rule_clock_and_place(spec):
    commands = [(100, "ACT", 0, 0, 1, 5), (101, "RD", 0, 0, 1, 5)]
    with pytest.raises(ProtocolViolation, match=r"RD to rank 0, bank group 0, bank 1 breaks tRCD.*clock 101"):
        Checker(spec).check(log_of(spec, commands))


def test_a_window_holds_as_many_commands_as_near_memory_may_activate_at_once(spec):
    row = next(r for r in spec.table.constraints if r.window > 1)
    for count, legal in ((64, True), (65, False)):
        place = [(0, i % spec.organization.bankgroups, 0) for i in range(count)]
        commands = [(START, "ACT", *p, 5, True) for p in place]
        rules = {v.rule for v in Checker(spec).violations(log_of(spec, commands), 64)}
        assert (row.name not in rules) == legal


def test_an_empty_log_is_legal(spec):
    nothing = np.empty(0, dtype=np.int64)
    assert Checker(spec).violations(CommandLog(*[nothing] * 9, nothing.astype(bool))) == []
