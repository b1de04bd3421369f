"""Near memory beside the host: what each may rely on, whatever the other does."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_background import background_clk
from small_memories import (
    ALL_SETTINGS,
    REQUESTS,
    as_batch,
    batch,
    memories,
    quick_standards_first,
    small,
)

from nmsim.dram.activity import CommandLog
from nmsim.dram.checker import Checker
from nmsim.dram.commands import ACT, COMMANDS, RD, RDA, WR, WRA, PREpb
from nmsim.dram.engine import SHARING, Channel
from nmsim.dram.reference import ReferenceChannel

NAMES = quick_standards_first()
LOG_ROWS = 100_000
NOTHING = batch(small("lpddr4-3200")[0], [], 0)
BY_ITSELF = {"ranks": [1], "refresh": ["all_bank"], "refresh_postponed": [0], "power_down_idle_clk": [0],
             "self_refresh_idle_clk": [0]}  # fmt: skip

#: (bank, row, columns, is_write): from one column to more than fit between two refreshes.
VISITS = st.lists(
    st.tuples(st.integers(0, 15), st.integers(0, 15), st.sampled_from([1, 2, 16, 64, 300]), st.booleans()),
    max_size=20,
)
PERIODS = st.sampled_from([1, 8, 20, 1000])


def arrays(spec, visits):
    """Return drawn visits as arrays (bank, row, columns, is_write)."""
    bank, row, columns, write = np.array(visits, dtype=np.int64).reshape(-1, 4).T
    return bank % spec.banks_per_channel, row, columns, write.astype(bool)


def sixteen_rows(spec, banks):
    """Return visits of at least 512 clocks to whole rows, sixteen of each bank, and their period."""
    bank = np.tile(banks, 16)
    columns = np.full(len(bank), spec.row_bursts)
    return bank, np.repeat(np.arange(16), len(banks)), columns, False, 512 // spec.row_bursts


def commands_of(log, *, near=None):
    """Return a log's commands, or those of near memory or of the host, as tuples."""
    keep = slice(None) if near is None else log.near_memory == near
    names = [n for n in CommandLog.__annotations__ if n not in ("closed", "near_memory")]
    return list(zip(*(getattr(log, name)[keep].tolist() for name in names), strict=True))


def place(spec, log):
    org = spec.organization
    return (log.rank * org.bankgroups + log.bankgroup) * org.banks + log.bank


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40)
@given(data=st.data(), requests=REQUESTS, visits=VISITS, period=PERIODS)
def test_sharing_is_legal_and_nothing_gets_lost(name, data, requests, visits, period):
    spec, controller = data.draw(memories(name))
    policy, acts = data.draw(st.sampled_from(SHARING)), data.draw(st.sampled_from([0, 1, 6]))
    before, idle = data.draw(REQUESTS), data.draw(st.integers(0, 6000))
    channel = Channel(spec, controller, log_rows=LOG_ROWS)
    activity = channel.access(as_batch(spec, before), drain=data.draw(st.booleans()))
    bank, row, columns, write = arrays(spec, visits)
    activity += channel.share(
        as_batch(spec, requests, channel.clk), bank, row, columns, write, period, policy, acts
    )
    end, log = channel.clk, activity.log
    assert channel.queued == 0 and end >= log.clk.max(initial=0)
    activity += channel.advance(end + idle)
    # No command is early, and no refresh late.
    judge = Checker(spec, refresh=controller.refresh)
    found = judge.violations(activity.log, acts) + judge.end(channel.clk)
    assert found == [], f"{found[0].error()}\n{commands_of(activity.log)}"
    # Each column of a visit, and each request, is one column command; each clock is spent in one state.
    near_columns = np.isin(log.command, (RD, WR)) & log.near_memory
    assert near_columns.sum() == columns.sum()
    for command in (RD, WR):
        of_near = place(spec, log)[near_columns & (log.command == command)]
        asked = np.bincount(bank, np.where(write == (command == WR), columns, 0), spec.banks_per_channel)
        assert np.bincount(of_near, minlength=spec.banks_per_channel).tolist() == asked.tolist()
    host = activity.counts[[RD, RDA, WR, WRA]].sum() - columns.sum()
    assert host == len(requests) + len(before) == activity.outcomes.sum() - columns.sum()
    assert (activity.background_clk.sum(axis=1) == channel.clk).all()
    assert (np.diff(activity.log.clk) >= 0).all()


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30)
@given(data=st.data(), requests=REQUESTS, visits=VISITS, period=PERIODS, idle=st.integers(0, 3000))
def test_sharing_issues_the_commands_of_the_readable_scheduler(name, data, requests, visits, period, idle):
    spec, controller = data.draw(memories(name))
    policy, acts = data.draw(st.sampled_from(SHARING)), data.draw(st.sampled_from([0, 1, 6]))
    channel, reference = Channel(spec, controller, log_rows=LOG_ROWS), ReferenceChannel(spec, controller)
    work = arrays(spec, visits)
    tuples = list(zip(*(a.tolist() for a in work), strict=True))
    before, drain, drained = data.draw(REQUESTS), data.draw(st.booleans()), data.draw(st.booleans())
    activity = channel.access(as_batch(spec, before), drain=drained)
    reference.access(as_batch(spec, before), drained)
    asleep_clk = data.draw(st.sampled_from([0, 300, 3000]))
    activity += channel.advance(channel.clk + asleep_clk)
    reference.advance(channel.clk)
    beside = as_batch(spec, requests, channel.clk)
    activity += channel.share(beside, *work, period, policy, acts, drain=drain)
    reference.share(beside, tuples, period, policy, acts, drain)
    assert channel.clk == reference.clk
    # The host goes on from what near memory left.
    activity += channel.access(as_batch(spec, before, channel.clk))
    reference.access(as_batch(spec, before, reference.clk))
    activity += channel.advance(channel.clk + idle)
    reference.advance(channel.clk)
    org, log = spec.organization, activity.log
    bank = (log.rank * org.bankgroups + np.maximum(log.bankgroup, 0)) * org.banks + np.maximum(log.bank, 0)
    names = [COMMANDS[c] for c in log.command]
    fields = (log.clk, names, bank, log.row, log.column, log.near_memory)
    assert sorted(zip(*fields, strict=True)) == sorted(tuple(i[:6]) for i in reference.issued)
    clocks = background_clk(spec, reference.issued, activity.start_clk, activity.accounted_clk)
    assert activity.background_clk.tolist() == clocks.tolist()


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=20)
@given(data=st.data(), visits=VISITS, period=PERIODS)
def test_without_requests_near_memory_does_what_it_does_alone(name, data, visits, period):
    # But for refresh: beside the host it is the controller's, which may postpone it or refresh by banks;
    # alone it waits for banks that join others at their rows.
    spec, controller = data.draw(memories(name, ALL_SETTINGS | BY_ITSELF))
    controller = replace(controller, refresh="none", refresh_postponed=0)
    policy, acts = data.draw(st.sampled_from(SHARING)), data.draw(st.sampled_from([0, 1, 6]))
    alone, beside = (Channel(spec, controller, log_rows=LOG_ROWS) for _ in range(2))
    work = (*arrays(spec, visits), period)
    expected = alone.stream(*work, acts).log
    found = beside.share(NOTHING, *work, policy, acts).log
    expected, found = ([c for c in commands_of(log) if c[1] < RDA] for log in (expected, found))
    assert found == expected


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=20)
@given(data=st.data(), requests=REQUESTS)
def test_without_visits_sharing_is_access(name, data, requests):
    spec, controller = data.draw(memories(name))
    plain, shared = (Channel(spec, controller, log_rows=LOG_ROWS) for _ in range(2))
    work, drain = as_batch(spec, requests), data.draw(st.booleans())
    one = plain.access(work, drain=drain, record_done=True)
    other = shared.share(work, *arrays(spec, []), 8, data.draw(st.sampled_from(SHARING)), 0, drain=drain,
                         record_done=True)  # fmt: skip
    assert commands_of(one.log) == commands_of(other.log)
    assert one.done_clk.tolist() == other.done_clk.tolist() and plain.clk == shared.clk
    assert not other.log.near_memory.any()


def small_without_refresh(name, **changes):
    spec, controller = small(name, ranks=1)
    return spec, replace(controller, refresh="none", read_queue=64, write_queue=64, write_high_watermark=48,
                         **changes)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_per_bank_row_hits_in_other_banks_take_the_same_clocks(name):
    # Units use neither the command pins nor the data bus. The host's own PREpb for a visit would; the banks
    # of near memory are closed here.
    spec, controller = small_without_refresh(name)
    host = batch(spec, np.zeros(60, dtype=int), 3, False, 300 + 50 * np.arange(60))
    host.arrival_clk[0] = 0
    alone = Channel(spec, controller).access(host, record_done=True)
    work = sixteen_rows(spec, np.arange(1, spec.banks_per_channel))
    # The first request opens the row; its ACT may wait for those of near memory, which begin at clock 0 too.
    beside = Channel(spec, controller).share(host, *work, "per_bank", record_done=True)
    assert beside.end_clk > host.arrival_clk[-1]
    assert beside.done_clk[1:].tolist() == alone.done_clk[1:].tolist()


@pytest.mark.parametrize("acts", [0, 6])
@pytest.mark.parametrize("name", NAMES)
def test_per_bank_a_row_miss_in_another_bank_waits_at_most_for_one_visit_of_each_other_to_begin(name, acts):
    # Each request finds another row open: PREpb, ACT and the column command. Where both may, near memory goes
    # first, four of its ACTs a window; but its visits are so long that no bank begins another meanwhile.
    spec, controller = small_without_refresh(name)
    host = batch(spec, np.zeros(30, dtype=int), np.arange(30) % 16, False, 400 * np.arange(30))
    alone = Channel(spec, controller).access(host, record_done=True)
    work = sixteen_rows(spec, np.arange(1, spec.banks_per_channel))
    beside = Channel(spec, controller).share(host, *work, "per_bank", acts, record_done=True)
    later = beside.done_clk - alone.done_clk
    assert later.min() >= 0 and later.max() <= -(-(spec.banks_per_channel - 1) // 4) * spec.clocks["nFAW"], (
        later
    )


@pytest.mark.parametrize("acts", [0, 6])
@pytest.mark.parametrize("name", NAMES)
def test_per_bank_near_memory_is_not_held_up_by_requests_to_its_banks(name, acts):
    spec, controller = small_without_refresh(name)
    work = sixteen_rows(spec, np.array([1]))
    alone = Channel(spec, controller, log_rows=LOG_ROWS).stream(*work, acts)
    host = batch(spec, np.ones(20, dtype=int), np.arange(20) % 4, False, 100 * np.arange(20))
    beside = Channel(spec, controller, log_rows=LOG_ROWS).share(host, *work, "per_bank", acts)
    assert commands_of(beside.log, near=True) == commands_of(alone.log)
    first_request = beside.log.clk[~beside.log.near_memory].min()
    assert first_request == alone.log.clk.max() + spec.clocks["nRPpb"]


@pytest.mark.parametrize("acts", [0, 6])
@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15)
@given(requests=REQUESTS, visits=VISITS, period=PERIODS)
def test_concurrent_no_visit_begins_in_a_bank_while_a_request_waits_for_it(
    name, acts, requests, visits, period
):
    # The queues are so long that what has arrived is queued.
    spec, controller = small_without_refresh(name)
    host, log_rows = as_batch(spec, requests), LOG_ROWS
    channel = Channel(spec, controller, log_rows=log_rows)
    log = channel.share(host, *arrays(spec, visits), period, "concurrent", acts, record_done=True)
    done, log = log.done_clk, log.log
    begins = (log.command == ACT) & log.near_memory
    latency = np.where(host.is_write, spec.clocks["nCWL"], spec.clocks["nCL"]) + spec.clocks["nBL"]
    for bank, clk in zip(place(spec, log)[begins], log.clk[begins], strict=True):
        waiting = (host.bank == bank) & (host.arrival_clk <= clk) & (done - latency > clk)
        assert not waiting.any(), f"a visit of bank {bank} at {clk}: {commands_of(log)}"


@pytest.mark.parametrize("policy", SHARING)
@pytest.mark.parametrize("name", NAMES)
def test_refresh_goes_on_at_its_rate(name, policy):
    spec, controller = small(name)
    requests = as_batch(spec, [(b % 16, b % 3, False, 25) for b in range(800)])
    work = sixteen_rows(spec, np.arange(spec.banks_per_channel // 2))
    channel = Channel(spec, controller)
    activity = channel.share(requests, *work, policy)
    due = spec.organization.ranks * activity.accounted_clk / spec.clocks["nREFI"]
    assert activity.accounted_clk > 10 * spec.clocks["nREFI"]
    assert activity.refreshes == pytest.approx(due, abs=spec.organization.ranks)


@pytest.mark.parametrize("policy", SHARING)
def test_a_log_of_few_rows_holds_the_first_commands(policy):
    spec, controller = small("lpddr4-3200")
    requests = as_batch(spec, [(b % 16, b % 3, b % 4 == 0, 9) for b in range(60)])
    work = (*sixteen_rows(spec, np.arange(spec.banks_per_channel // 2)), policy)
    whole = commands_of(Channel(spec, controller).share(requests, *work, log_rows=LOG_ROWS).log)
    for rows in (1, 7, 100, 500):
        assert (
            commands_of(Channel(spec, controller).share(requests, *work, log_rows=rows).log) == whole[:rows]
        )


def test_what_cannot_be_shared_is_refused():
    spec, controller = small("ddr4-2400")
    channel, none = Channel(spec, controller), arrays(spec, [])
    with pytest.raises(ValueError, match="policy"):
        channel.share(NOTHING, *none, 8, "exclusive")
    with pytest.raises(ValueError, match="max_simultaneous_act"):
        channel.share(NOTHING, *none, 8, "per_bank", 65)
    with pytest.raises(ValueError, match="at least one column"):
        channel.share(NOTHING, [0], [0], [0], False, 8, "per_bank")
    with pytest.raises(ValueError, match="bank out of range"):
        channel.share(NOTHING, [99], [0], [1], False, 8, "per_bank")
    assert channel.share(NOTHING, *none, 8, "per_bank").counts.sum() == 0


@pytest.mark.parametrize("name", NAMES)
def test_alone_near_memory_wakes_a_rank_from_self_refresh_and_keeps_the_clock_of_its_work(name):
    spec, controller = small(name, ranks=1)
    asleep = replace(controller, self_refresh_idle_clk=spec.clocks["nREFI"])
    channel = Channel(spec, asleep, log_rows=LOG_ROWS)
    activity = channel.advance(3000)
    activity += channel.stream([0, 0], [1, 2], [40, 40], False, 8)
    end = channel.clk
    activity += channel.advance(end + spec.clocks["nREFI"])
    assert Checker(spec).violations(activity.log) == []
    precharged = activity.log.clk[activity.log.command == PREpb].max()
    assert activity.log.clk.max() < precharged + spec.clocks["nREFI"], "it slept too early"
