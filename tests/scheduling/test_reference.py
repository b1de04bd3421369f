"""The readable scheduler is legal, and does not depend on how it is asked; the fast one does the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_background import background_clk
from small_memories import (
    REQUESTS,
    VISITS,
    as_batch,
    log_of,
    memories,
    one_preset_of_each_standard,
    quick_standards_first,
)

from nmsim.dram.checker import Checker
from nmsim.dram.commands import COMMANDS
from nmsim.dram.engine import AccessBatch, Channel
from nmsim.dram.reference import ReferenceChannel

LOG_ROWS = 100_000
NAMES = one_preset_of_each_standard()


def commands_of(spec, log):
    """Return a log as tuples, comparable with the reference's."""
    org = spec.organization
    group = log.rank * org.bankgroups + np.maximum(log.bankgroup, 0)
    bank = group * org.banks + np.maximum(log.bank, 0)
    names = [COMMANDS[c] for c in log.command]
    return list(
        zip(log.clk.tolist(), names, bank.tolist(), log.row.tolist(), log.column.tolist(), strict=True)
    )


def piece(batch, start, stop):
    """Return the requests from `start` to `stop` of a batch."""
    return AccessBatch(*(array[start:stop] for array in batch))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15)
@given(data=st.data(), requests=REQUESTS, idle=st.integers(0, 6000))
def test_what_the_readable_scheduler_does_is_legal(name, data, requests, idle):
    spec, controller = data.draw(memories(name))
    channel = ReferenceChannel(spec, controller)
    channel.access(as_batch(spec, requests))
    channel.advance(channel.clk + idle)
    judge = Checker(spec, refresh=controller.refresh)
    found = judge.violations(log_of(spec, channel.issued)) + judge.end(channel.clk)
    assert found == [], f"{found[0].error()}\n{channel.issued}"
    assert sum(i.column >= 0 for i in channel.issued) == len(requests)


@settings(max_examples=15)
@given(data=st.data(), requests=REQUESTS, idle=st.integers(0, 6000))
def test_the_clocks_that_are_kept_are_as_good_as_the_whole_history(data, requests, idle):
    spec, controller = data.draw(memories(data.draw(st.sampled_from(NAMES))))
    channel = ReferenceChannel(spec, controller)
    channel.access(as_batch(spec, requests))
    channel.advance(channel.clk + idle)
    bank, history = data.draw(st.integers(0, spec.banks_per_channel - 1)), channel.history
    for command in COMMANDS:
        if command == "REFpb" and not spec.refresh_sets:
            continue
        earliest, touched = 0, history.banks_of(command, bank)
        for row in spec.table.constraints:
            before = [
                i.clk
                for i in channel.issued
                if i.command in row.preceding
                and history.meet(row.level, history.banks_of(i.command, i.bank), touched)
            ]
            if command in row.following and len(before) >= row.window:
                earliest = max(earliest, before[-row.window] + spec.latency(row.latency))
        assert history.earliest(command, bank) == earliest, command


@settings(max_examples=15)
@given(data=st.data(), requests=REQUESTS, cut=st.integers(0, 40), idle=st.integers(0, 6000))
def test_a_batch_in_two_pieces_and_idle_time_in_steps_change_nothing(data, requests, cut, idle):
    spec, controller = data.draw(memories(data.draw(st.sampled_from(NAMES))))
    batch = as_batch(spec, requests)
    whole, pieces = ReferenceChannel(spec, controller), ReferenceChannel(spec, controller)
    whole.access(batch)
    pieces.access(piece(batch, 0, cut), drain=False)
    pieces.access(piece(batch, cut, len(requests)))
    assert pieces.clk == whole.clk
    until = whole.clk + idle
    whole.advance(until)
    for clk in sorted(data.draw(st.lists(st.integers(pieces.clk, until), max_size=3))):
        pieces.advance(clk)
    pieces.advance(until)
    assert pieces.issued == whole.issued


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15)
@given(data=st.data(), requests=REQUESTS, drain=st.booleans(), idle=st.integers(0, 6000), more=REQUESTS)
def test_the_engine_issues_the_commands_of_the_readable_scheduler(name, data, requests, drain, idle, more):
    spec, controller = data.draw(memories(name))
    channel, reference = Channel(spec, controller, log_rows=LOG_ROWS), ReferenceChannel(spec, controller)
    activity = channel.access(as_batch(spec, requests), drain=drain)
    reference.access(as_batch(spec, requests), drain)
    assert channel.clk == reference.clk
    until = max(activity.accounted_clk, reference.clk) + idle
    activity += channel.advance(until)
    reference.advance(until)
    activity += channel.access(as_batch(spec, more, until))
    reference.access(as_batch(spec, more, until))
    activity += channel.advance(until + 10_000)
    reference.advance(until + 10_000)
    assert commands_of(spec, activity.log) == [tuple(i[:5]) for i in reference.issued]
    outcome, expected = activity.log.outcome, log_of(spec, reference.issued).outcome
    assert outcome[expected >= 0].tolist() == expected[expected >= 0].tolist()
    clocks = background_clk(spec, reference.issued, activity.start_clk, activity.accounted_clk)
    assert activity.background_clk.tolist() == clocks.tolist()
    assert channel.clk == reference.clk


@pytest.mark.parametrize("name", quick_standards_first())
@settings(max_examples=15)
@given(
    data=st.data(),
    visits=VISITS,
    period=st.sampled_from([1, 9, 30, 200]),
    simultaneous=st.sampled_from([0, 1, 6]),
    before=REQUESTS,
    idle=st.integers(0, 6000),
)
def test_row_visits_issue_the_commands_of_the_readable_scheduler(
    name, data, visits, period, simultaneous, before, idle
):
    spec, controller = data.draw(memories(name))
    channel, reference = Channel(spec, controller, log_rows=LOG_ROWS), ReferenceChannel(spec, controller)
    judge = Checker(spec, refresh=controller.refresh)
    first = channel.access(as_batch(spec, before))
    reference.access(as_batch(spec, before))
    first += channel.advance(channel.clk + idle)
    reference.advance(reference.clk + idle)
    visits = [(v[0] % spec.banks_per_channel, *v[1:]) for v in visits]
    bank, row, columns, write = (np.array([v[i] for v in visits], dtype=np.int64) for i in range(4))
    activity = channel.stream(bank, row, columns, write.astype(bool), period, simultaneous)
    reference.stream(visits, period, simultaneous)
    expected = sorted(tuple(i[:5]) for i in reference.issued)
    assert sorted(commands_of(spec, (first + activity).log)) == expected
    assert channel.clk == reference.clk
    # The host goes on from what near memory left.
    after = channel.access(as_batch(spec, before, channel.clk)) + channel.advance(channel.clk + idle)
    n = len(reference.issued)
    reference.access(as_batch(spec, before, reference.clk))
    reference.advance(reference.clk + idle)
    assert commands_of(spec, after.log) == [tuple(i[:5]) for i in reference.issued[n:]]
    assert judge.violations(first.log) == []
    assert judge.violations(activity.log, simultaneous) == []
    assert judge.violations(after.log) == []
