"""Each sentence of `docs/explanation/scheduler.md` as a small stream on the readable scheduler."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_memories import log_of, memory, one_preset_of_each_standard, small
from small_streams import READ, WRITE, channel, clocks_of, names, serve, wait

from nmsim.dram.checker import Checker
from nmsim.dram.reference import COLUMN_COMMANDS, ReferenceChannel


def rows_read(issued):
    """Return the rows of the column commands, in their order."""
    return [i.row for i in issued if i.command in COLUMN_COMMANDS]


def steady(until, every, bank=0, row=0):
    """Return reads of one row, one every so many clocks."""
    return [(clk, bank, row, READ) for clk in range(0, until, every)]


# Which request comes next


@given(st.lists(st.tuples(st.just(0), st.integers(0, 3), st.integers(0, 2), st.booleans()), max_size=20))
def test_fcfs_never_reorders_requests_of_a_kind(requests):
    issued = serve(channel(scheduler="FCFS"), *requests) if requests else []
    for kind, commands in ((READ, ("RD",)), (WRITE, ("WR",))):
        served = [(i.bank, i.row) for i in issued if i.command in commands]
        assert served == [(bank, row) for _, bank, row, write in requests if write == kind]


def test_fcfs_opens_no_row_ahead_of_its_turn():
    issued = serve(channel(scheduler="FCFS"), (0, 0, 0, READ), (0, 1, 0, READ))
    assert names(issued) == ["ACT", "RD", "ACT", "RD"]
    issued = serve(channel(scheduler="FRFCFS"), (0, 0, 0, READ), (0, 1, 0, READ))
    assert names(issued) == ["ACT", "ACT", "RD", "RD"]


def test_a_row_hit_overtakes_an_older_conflict():
    assert rows_read(serve(channel(), *[(0, 0, row, READ) for row in (0, 1, 0, 0)])) == [0, 0, 0, 1]


@pytest.mark.parametrize("cap", [1, 2, 3])
def test_a_conflict_waits_for_exactly_as_many_overtaking_hits_as_the_cap_says(cap):
    requests = [(0, 0, row, READ) for row in (0, 1, 0, 0, 0, 0, 0)]
    rows = rows_read(serve(channel(row_hit_cap=cap), *requests))
    assert rows == [0] + [0] * cap + [1] + [0] * (5 - cap)


def test_hits_that_overtake_nobody_are_not_capped():
    issued = serve(channel(row_hit_cap=1), *[(0, 0, 0, READ)] * 8, (0, 0, 1, READ))
    assert names(issued) == ["ACT", *["RD"] * 8, "PREpb", "ACT", "RD"]


def test_an_activation_gives_the_cap_anew():
    requests = [(0, 0, row, READ) for row in (0, 1, 0, 0, 1, 2, 1, 1)]
    # Row 0: one goes first, one overtakes; row 1: two go first or in turn, then one overtakes the last 0.
    rows = rows_read(serve(channel(row_hit_cap=1), *requests))
    assert rows == [0, 0, 1, 1, 0, 2, 1, 1]


# When a row is closed


def test_the_outcome_of_a_request_says_what_was_done_for_it():
    issued = serve(channel(), (0, 0, 0, READ), (0, 0, 0, READ), (0, 0, 1, READ))
    assert [i.outcome for i in issued if i.command == "RD"] == ["miss", "hit", "conflict"]


@pytest.mark.parametrize(("write", "command"), [(READ, "RDA"), (WRITE, "WRA")])
def test_under_the_closed_policy_a_single_access_is_act_and_a_column_command_that_precharges(write, command):
    c = channel(row_policy="closed")
    assert names(serve(c, (0, 0, 0, write))) == ["ACT", command]
    # The next row needs no PRE.
    assert names(serve(c, (0, 0, 1, write))) == ["ACT", command]


def test_under_the_closed_policy_only_the_last_queued_access_to_a_row_closes_it():
    c = channel(row_policy="closed")
    assert names(serve(c, *[(0, 0, 0, READ)] * 3)) == ["ACT", "RD", "RD", "RDA"]


def test_under_the_closed_policy_a_row_that_a_queued_write_wants_stays_open_after_its_reads():
    c = channel(row_policy="closed")
    assert names(serve(c, (0, 0, 0, READ), (0, 0, 0, WRITE))) == ["ACT", "RD", "WRA"]


def test_a_row_is_closed_at_exactly_the_timeout_after_its_last_use():
    c = channel(row_policy="timeout", row_timeout_clk=500)
    first = serve(c, (0, 0, 0, READ), (100, 0, 0, READ))
    (closing,) = wait(c, 1000)
    assert (closing.command, closing.bank, closing.row) == ("PREpb", 0, 0)
    assert closing.clk == first[-1].clk + 500


def test_a_timeout_that_is_over_before_a_precharge_is_legal_closes_as_soon_as_it_is():
    c = channel(row_policy="timeout", row_timeout_clk=1)
    act, _ = serve(c, (0, 0, 0, READ))
    (closing,) = wait(c, 1000)
    assert closing.clk == act.clk + c.spec.clocks["nRAS"]
    # It goes before the PREpb of a request to another row, which then finds no row open.
    for timeout, outcome in ((1, "miss"), (500, "conflict")):
        c = channel(row_policy="timeout", row_timeout_clk=timeout)
        issued = serve(c, (0, 0, 0, READ), (30, 0, 1, READ))
        assert names(issued) == ["ACT", "RD", "PREpb", "ACT", "RD"]
        assert issued[-1].outcome == outcome


def test_no_row_that_a_queued_request_of_the_served_kind_wants_is_closed():
    c = channel(row_policy="timeout", row_timeout_clk=1, scheduler="FCFS")
    requests = [(0, 0, 0, READ), (0, 1, 0, READ), (0, 1, 1, READ), (0, 1, 2, READ), (0, 0, 0, READ)]
    assert clocks_of([i for i in serve(c, *requests) if i.bank == 0], "PREpb") == []
    assert len(clocks_of(wait(c, 1000), "PREpb")) == 2


def test_a_row_that_powers_down_open_stays_open():
    c = channel(row_policy="timeout", row_timeout_clk=500, power_down_idle_clk=100)
    serve(c, (0, 0, 0, READ))
    assert names(wait(c, 2000)) == ["PDE"]
    assert names(serve(c, (c.clk, 0, 0, READ))) == ["PDX", "RD"]


# Refresh


@pytest.mark.parametrize("ranks", [1, 2])
def test_idle_ranks_are_refreshed_at_every_due_clock_one_after_the_other(ranks):
    c = channel(ranks=ranks, refresh="all_bank")
    issued = wait(c, 10 * 900)
    due = [900 * n - r * (900 // ranks) for n in range(1, 11) for r in range(ranks)]
    assert sorted(i.clk for i in issued) == sorted(clk for clk in due if clk < 9000)
    assert set(names(issued)) == {"REFab"}


def test_refresh_per_bank_goes_through_the_sets_by_turns():
    c = channel(refresh="per_bank")
    sets, interval = c.spec.refresh_sets, c.spec.clocks["nREFIpb"]
    issued = wait(c, 10 * interval)
    assert [(i.command, i.clk, i.bank) for i in issued] == [
        ("REFpb", interval * n, (n - 1) % sets) for n in range(1, 10)
    ]


def test_without_refresh_an_idle_memory_does_nothing():
    assert wait(channel(refresh="none"), 100_000) == []


def test_other_banks_go_on_while_one_is_refreshed_but_none_while_all_are():
    for refresh, reads_go_on in (("per_bank", True), ("all_bank", False)):
        c = channel(refresh=refresh)
        issued = serve(c, *steady(1200, 10, bank=3))
        (start,) = clocks_of(issued, "REFpb", "REFab")[:1]
        takes = c.spec.clocks["nRFCpb" if refresh == "per_bank" else "nRFCab"]
        reads = [clk for clk in clocks_of(issued, "RD") if start < clk < start + takes]
        assert bool(reads) == reads_go_on, refresh


def test_a_bank_that_waits_for_its_refresh_serves_nobody_and_closes_its_row():
    c = channel(refresh="per_bank")
    issued = serve(c, *steady(600, 10, bank=0))
    (refresh,) = [i for i in issued if i.command == "REFpb" and i.bank == 0]
    (closing,) = [i for i in issued if i.command == "PREpb" and i.clk < refresh.clk]
    assert closing.clk >= c.spec.clocks["nREFIpb"]
    assert not [i for i in issued if i.bank == 0 and closing.clk < i.clk < refresh.clk]


@pytest.mark.slow  # the readable scheduler takes eight seconds until the first refresh of this preset
def test_activations_of_other_banks_do_not_hold_a_refresh_off():
    # Conflicts in all groups want an ACT every nRRD_S, but a REFpb must be nRRD_L after any of the rank.
    spec, controller = memory("ddr5-4800")
    groups, banks = spec.organization.bankgroups, spec.organization.banks
    c = ReferenceChannel(spec, replace(controller, refresh="per_bank", read_queue=64))
    issued = serve(c, *[(0, n % groups * banks + n // groups % banks, n, READ) for n in range(180)])
    refreshes = [i for i in issued if i.command == "REFpb"]
    assert refreshes
    for number, refresh in enumerate(refreshes, 1):
        in_set = c.history.banks_of("REFpb", refresh.bank)
        closed = max(i.clk for i in issued if i.command == "PREpb" and i.bank in in_set and i < refresh)
        ready = max(number * spec.clocks["nREFIsb"], closed + spec.clocks["nRP"])
        assert refresh.clk <= ready + spec.clocks["nRRD_L"]


@pytest.mark.parametrize("refresh", ["all_bank", "per_bank"])
@pytest.mark.parametrize("postponed", [1, 5])
def test_a_refresh_is_postponed_by_so_many_intervals_while_requests_are_queued(refresh, postponed):
    c = channel(refresh=refresh, refresh_postponed=postponed, read_queue=1)
    issued = serve(c, *[(0, 3, n % 3, READ) for n in range(80)])
    interval = 900 if refresh == "all_bank" else c.spec.clocks["nREFIpb"]
    first, second = clocks_of(issued, "REFab", "REFpb")[:2]
    urgent = interval + 900 * postponed
    assert urgent <= first < urgent + 150, "the first one as late as may be"
    assert urgent + interval <= second < urgent + interval + 250, "then one each interval"


@pytest.mark.parametrize("name", one_preset_of_each_standard())
@pytest.mark.parametrize("refresh", ["all_bank", "per_bank"])
def test_at_the_standards_limit_a_refresh_still_comes_in_time(name, refresh):
    spec = small(name)[0]
    refresh, limit = (refresh if spec.refresh_sets else "all_bank"), spec.table.refresh_postponed
    c = channel(name, ranks=2, refresh=refresh, refresh_postponed=limit, read_queue=1)
    interval = c.interval * (spec.refresh_sets if refresh == "per_bank" else 1)
    # A queue that never empties, of conflicts in both ranks, until the first of each is as late as may be.
    serve(c, *[(0, 3 * n % spec.banks_per_channel, n % 3, READ) for n in range(limit * interval // 20)])
    judge = Checker(spec, refresh=refresh)
    assert judge.violations(log_of(spec, c.issued)) + judge.end(c.clk) == []
    assert limit * interval - 250 < clocks_of(c.issued, "REFab", "REFpb")[0] < c.clk


def test_owed_refreshes_come_one_after_another_when_the_queue_empties():
    c = channel(refresh="all_bank", refresh_postponed=8)
    issued = serve(c, *steady(7300, 8))
    assert clocks_of(issued, "REFab") == []
    issued = wait(c, 8 * c.spec.clocks["nRFCab"])
    refreshes = clocks_of(issued, "REFab")
    assert len(refreshes) == 8
    assert {b - a for a, b in pairwise(refreshes)} == {c.spec.clocks["nRFCab"]}


def test_a_request_ends_the_making_up_after_the_refresh_that_is_urgent_already():
    c = channel(refresh="all_bank", refresh_postponed=8)
    serve(c, *steady(7300, 8))
    assert names(wait(c, 500)) == ["PREab", "REFab", "REFab"]
    issued = serve(c, *[(c.clk, 0, n % 2, READ) for n in range(6)])
    assert names(issued)[:3] == ["REFab", "ACT", "RD"]
    assert names(issued).count("REFab") == 1


# Sleep


def test_a_rank_powers_down_exactly_so_long_after_the_last_command():
    c = channel(power_down_idle_clk=100)
    last = serve(c, (0, 0, 0, READ))[-1]
    (down,) = wait(c, 1000)
    assert (down.command, down.clk) == ("PDE", last.clk + 100)


def test_a_refresh_is_busy_until_it_is_over_even_if_another_rank_works_meanwhile():
    c = channel(ranks=2, refresh="all_bank", power_down_idle_clk=100)
    refresh = wait(c, 500)[-1]
    assert (refresh.command, refresh.bank) == ("REFab", 4)
    assert names(serve(c, (c.clk, 0, 0, READ))) == ["PDX", "ACT", "RD"]
    # Both ranks, as idleness is the channel's.
    assert clocks_of(wait(c, 350), "PDE") == [refresh.clk + c.spec.clocks["nRFCab"] + 100] * 2


def test_only_the_rank_that_is_wanted_wakes():
    for settings in ({"power_down_idle_clk": 100}, {"self_refresh_idle_clk": 900}):
        c = channel(ranks=2, **settings)
        assert len(wait(c, 2000)) == 2
        issued = serve(c, (c.clk, 4, 0, READ))
        assert names(issued)[1:] == ["ACT", "RD"]
        assert {i.bank // 4 for i in issued} == {1}


def test_a_due_refresh_wakes_a_powered_down_rank_which_sleeps_again_after_it():
    c = channel(refresh="all_bank", power_down_idle_clk=100)
    issued = wait(c, 1800)
    assert names(issued) == ["PDE", "PDX", "REFab", "PDE"]
    assert issued[1].clk == 900
    assert issued[3].clk == issued[2].clk + c.spec.clocks["nRFCab"] + 100


@pytest.mark.parametrize("refresh", ["all_bank", "per_bank"])
def test_self_refresh_begins_so_long_after_the_last_request_and_stops_refreshes(refresh):
    c = channel(refresh=refresh, self_refresh_idle_clk=1500)
    last = serve(c, (0, 3, 0, READ))[-1]
    issued = wait(c, 100_000)
    entry = issued[-1]
    assert entry.command == "SRE"
    # What is under way when the time comes ends first: a refresh, and its precharge.
    assert last.clk + 1500 <= entry.clk < last.clk + 1500 + 250
    issued = serve(c, (c.clk, 0, 0, READ)) + wait(c, 1200)
    assert clocks_of(issued, "SRX") == [100_000 + last.clk]
    # The row that was read has to be closed first.
    due = 100_000 + last.clk + (900 if refresh == "all_bank" else c.spec.clocks["nREFIpb"])
    assert due <= clocks_of(issued, "REFab", "REFpb")[0] < due + 250


def test_without_refresh_self_refresh_begins_exactly_on_time_after_the_rows_are_closed():
    c = channel(self_refresh_idle_clk=1000)
    last = serve(c, (0, 0, 0, READ))[-1]
    closing, entry = wait(c, 5000)
    assert (closing.command, closing.clk) == ("PREab", last.clk + 1000)
    assert (entry.command, entry.clk) == ("SRE", closing.clk + c.spec.clocks["nRPab"])


def test_self_refresh_is_entered_from_power_down_by_waking():
    c = channel(self_refresh_idle_clk=1000, power_down_idle_clk=100)
    assert names(wait(c, 5000)) == ["PDE", "PDX", "SRE"]
    assert c.issued[1].clk == 1000


def test_the_closing_of_unused_rows_does_not_put_self_refresh_off():
    c = channel(self_refresh_idle_clk=1000, row_policy="timeout", row_timeout_clk=700)
    last = serve(c, (0, 0, 0, READ))[-1]
    issued = wait(c, 5000)
    assert names(issued) == ["PREpb", "SRE"]
    assert issued[-1].clk == last.clk + 1000


def test_owed_refreshes_are_made_up_before_self_refresh():
    c = channel(refresh="all_bank", refresh_postponed=8, self_refresh_idle_clk=900)
    serve(c, *steady(7300, 8))
    assert names(wait(c, 10_000)) == ["PREab", *["REFab"] * 10, "SRE"]


def test_the_count_of_sets_goes_on_after_self_refresh():
    c = channel(refresh="per_bank", self_refresh_idle_clk=900)
    before = [i.bank for i in wait(c, 3000) if i.command == "REFpb"]
    issued = serve(c, *[(3000 + n, 3, 0, READ) for n in range(0, 600, 20)])
    after = [i.bank for i in issued if i.command == "REFpb"]
    assert after[0] == (before[-1] + 1) % c.spec.refresh_sets
