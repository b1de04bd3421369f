"""Does the fast engine do, command for command, what the readable one does?"""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from small_memories import small

from nmsim.dram.checker import Checker
from nmsim.dram.commands import COMMANDS
from nmsim.dram.engine import AccessBatch, Channel
from nmsim.dram.reference import ReferenceChannel

LOG_ROWS = 100_000
MEMORIES = {name: small(name) for name in ("lpddr4-3200", "ddr4-2400")}
REQUESTS = st.lists(
    st.tuples(st.integers(0, 15), st.integers(0, 2), st.booleans(), st.sampled_from([0, 0, 1, 5, 40, 700])),
    max_size=40,
)


def commands_of(spec, log):
    """Return a log as tuples, comparable with the reference's."""
    org = spec.organization
    group = log.rank * org.bankgroups + np.maximum(log.bankgroup, 0)
    bank = group * org.banks + np.maximum(log.bank, 0)
    names = [COMMANDS[c] for c in log.command]
    return list(
        zip(log.clk.tolist(), names, bank.tolist(), log.row.tolist(), log.column.tolist(), strict=True)
    )


def as_batch(spec, requests, start):
    bank = np.array([r[0] % spec.banks_per_channel for r in requests], dtype=np.int64)
    row, write, gap = (np.array([r[i] for r in requests], dtype=np.int64) for i in (1, 2, 3))
    column = np.arange(len(bank)) % spec.row_bursts
    return AccessBatch(bank, row, column, write.astype(bool), start + np.cumsum(gap))


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(sorted(MEMORIES)),
    power_down=st.sampled_from([0, 30]),
    requests=REQUESTS,
    idle=st.integers(0, 2500),
    more=REQUESTS,
)
def test_the_engine_issues_the_commands_of_the_readable_scheduler(name, power_down, requests, idle, more):
    spec, controller = MEMORIES[name]
    controller = type(controller)(**{**vars(controller), "power_down_idle_clk": power_down})
    channel, reference = Channel(spec, controller, log_rows=LOG_ROWS), ReferenceChannel(spec, controller)
    activity = channel.access(as_batch(spec, requests, 0))
    reference.access(as_batch(spec, requests, 0))
    until = activity.accounted_clk + idle
    activity += channel.advance(until)
    reference.advance(until)
    activity += channel.access(as_batch(spec, more, until))
    reference.access(as_batch(spec, more, until))
    expected = [tuple(i[:5]) for i in reference.issued]
    assert commands_of(spec, activity.log) == expected
    assert channel.clk == reference.clk
    assert Checker(spec).violations(activity.log) == []


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(sorted(MEMORIES)),
    visits=st.lists(
        st.tuples(st.integers(0, 15), st.integers(0, 2), st.integers(1, 12), st.booleans()), max_size=20
    ),
    period=st.sampled_from([1, 9, 30, 200]),
    simultaneous=st.sampled_from([0, 1, 6]),
    before=REQUESTS,
)
def test_row_visits_issue_the_commands_of_the_readable_scheduler(name, visits, period, simultaneous, before):
    spec, controller = MEMORIES[name]
    channel, reference = Channel(spec, controller, log_rows=LOG_ROWS), ReferenceChannel(spec, controller)
    checker = Checker(spec)
    first = channel.access(as_batch(spec, before, 0))
    reference.access(as_batch(spec, before, 0))
    visits = [(v[0] % spec.banks_per_channel, *v[1:]) for v in visits]
    bank, row, columns, write = (np.array([v[i] for v in visits], dtype=np.int64) for i in range(4))
    activity = channel.stream(bank, row, columns, write.astype(bool), period, simultaneous)
    reference.stream(visits, period, simultaneous)
    expected = sorted(tuple(i[:5]) for i in reference.issued)
    assert sorted(commands_of(spec, (first + activity).log)) == expected
    assert channel.clk == reference.clk
    # The host goes on from what near memory left.
    after = channel.access(as_batch(spec, before, channel.clk))
    assert checker.violations(first.log) == []
    assert checker.violations(activity.log, simultaneous) == []
    assert checker.violations(after.log) == []
