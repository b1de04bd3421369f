"""Near memory beside the host on the readable scheduler: legal, and as the page's last section says."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_memories import (
    ALL_SETTINGS,
    REQUESTS,
    VISITS,
    as_batch,
    in_order,
    log_of,
    memories,
    one_preset_of_each_standard,
    quick_standards_first,
    small,
)
from small_streams import READ, WRITE, channel, clocks_of, names, requested, serve, wait

from nmsim.dram.checker import Checker
from nmsim.dram.reference import ReferenceChannel

NAMES = one_preset_of_each_standard()
POLICIES = ["per_bank", "concurrent"]


def share(channel, *requests, visits, period=1, policy="per_bank", simultaneous=0):
    """Serve requests (clk, bank, row, is_write) beside visits; return what is issued, by its clock."""
    before = len(channel.issued)
    channel.share(requested(channel, *requests), visits, period, policy, simultaneous)
    return in_order(channel.issued[before:])


def near(issued, bank=None):
    """Return the commands of near memory, or those to a bank."""
    return [i for i in issued if i.near_memory and bank in (None, i.bank)]


def host(issued, bank=None):
    """Return the commands of the host, or those to a bank."""
    return [i for i in issued if not i.near_memory and bank in (None, i.bank)]


@pytest.mark.parametrize("name", quick_standards_first())
@settings(max_examples=15)
@given(
    data=st.data(),
    before=REQUESTS,
    beside=REQUESTS,
    visits=VISITS,
    period=st.sampled_from([1, 9, 30, 200]),
    policy=st.sampled_from(POLICIES),
    simultaneous=st.sampled_from([0, 1, 6]),
    idle=st.integers(0, 6000),
    drain=st.booleans(),
)
def test_what_near_memory_and_the_host_do_beside_each_other_is_legal(
    name, data, before, beside, visits, period, policy, simultaneous, idle, drain
):
    spec, controller = data.draw(memories(name))
    visits = [(bank % spec.banks_per_channel, *visit) for bank, *visit in visits]
    channel = ReferenceChannel(spec, controller)
    channel.access(as_batch(spec, before), drain)
    channel.advance(channel.clk + idle)
    alone = len(channel.issued)
    channel.share(as_batch(spec, beside, channel.clk), visits, period, policy, simultaneous, drain)
    together = len(channel.issued)
    channel.access(as_batch(spec, before, channel.clk))
    channel.advance(channel.clk + idle)
    judge = Checker(spec, refresh=controller.refresh)
    parts = [channel.issued[:alone], in_order(channel.issued[alone:together]), channel.issued[together:]]
    found = []
    for part, n in zip(parts, (0, simultaneous, 0), strict=True):
        found += judge.violations(log_of(spec, part), n)
    found += judge.end(channel.clk)
    assert found == [], f"{found[0].error()}\n{parts}"
    served = [i for i in channel.issued if i.column >= 0]
    assert len(host(served)) == 2 * len(before) + len(beside)
    assert len(near(served)) == sum(columns for _, _, columns, _ in visits)


# Row visits


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("write", "column"), [(READ, "RD"), (WRITE, "WR")])
def test_a_visit_is_an_activation_columns_one_period_apart_and_a_precharge(name, write, column):
    c = channel(name)
    act, *columns, pre = share(c, visits=[(1, 5, 4, write)], period=100)
    assert (act.command, pre.command, names(columns)) == ("ACT", "PREpb", [column] * 4)
    assert {(i.bank, i.row, i.near_memory) for i in c.issued} == {(1, 5, True)}
    assert [i.column for i in columns] == [0, 1, 2, 3]
    first = act.clk + c.spec.clocks.get("nRCDWR" if write else "nRCDRD", c.spec.clocks["nRCD"])
    assert clocks_of(columns, column) == [first + 100 * k for k in range(4)]
    assert pre.clk == max(first + 400, c.history.earliest("PREpb", 1, near=True))
    assert c.clk == pre.clk


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("write", [READ, WRITE])
def test_a_period_is_at_least_what_the_standard_has_between_two_reads_and_two_writes_of_a_bank(name, write):
    c = channel(name)
    columns = share(c, visits=[(0, 0, 3, write)], period=1)[1:-1]
    clocks = c.spec.clocks
    assert {b.clk - a.clk for a, b in pairwise(columns)} == {max(clocks["nCCD"], clocks.get("nCCD_L_WR2", 0))}


@pytest.mark.parametrize("policy", POLICIES)
def test_visits_take_neither_pins_nor_data_bus_from_the_host(policy):
    def reads_of_bank_0(visits):
        c = channel()
        serve(c, (0, 0, 0, READ))
        issued = share(c, *[(100, 0, 0, READ)] * 30, visits=visits, policy=policy)
        assert len(near(issued)) == sum(2 + columns for _, _, columns, _ in visits)
        return host(issued)

    assert reads_of_bank_0([(1, 0, 8, WRITE), (2, 0, 8, READ), (1, 3, 4, READ)]) == reads_of_bank_0([])


def test_columns_of_visits_in_several_banks_do_not_wait_for_each_other():
    c = channel()
    issued = share(c, visits=[(bank, 0, 8, READ) for bank in range(3)], period=8)
    for bank in range(3):
        act, first = near(issued, bank)[:2]
        assert first.clk == act.clk + c.spec.clocks["nRCD"]


def test_without_simultaneous_activations_visits_keep_the_spacing_and_window_of_the_standard():
    c = channel(ranks=2)
    opened = clocks_of(share(c, visits=[(bank, 0, 40, READ) for bank in range(4)]), "ACT")
    assert {b - a for a, b in pairwise(opened)} == {c.spec.clocks["nRRD"]}


@pytest.mark.parametrize("n", [1, 2, 3])
def test_so_many_activations_are_simultaneous_as_are_allowed_in_one_window(n):
    c = channel()
    opened = clocks_of(share(c, visits=[(bank, 0, 60, READ) for bank in range(4)], simultaneous=n), "ACT")
    assert opened == [c.spec.clocks["nFAW"] * (bank // n) for bank in range(4)]


def test_an_activation_of_the_host_counts_in_near_memorys_window_but_wants_no_spacing():
    c = channel()
    serve(c, (0, 3, 0, READ))
    start = c.clk
    opened = near(share(c, visits=[(bank, 0, 60, READ) for bank in range(2)], simultaneous=2))
    assert clocks_of(opened, "ACT") == [start, c.spec.clocks["nFAW"]]


@pytest.mark.parametrize(("simultaneous", "spaced"), [(0, True), (1, False)])
def test_an_activation_with_a_supply_of_its_own_wants_no_spacing_to_a_refresh_either(simultaneous, spaced):
    c = channel(refresh="per_bank")
    c.advance(c.spec.clocks["nREFIpb"])
    issued = share(c, visits=[(3, 0, 8, READ)], simultaneous=simultaneous)
    assert names(issued)[:2] == ["REFpb", "ACT"]
    assert issued[1].clk - issued[0].clk == (c.spec.clocks["nRRD"] if spaced else 0)


def test_an_activation_of_the_host_keeps_its_spacing_to_those_of_near_memory():
    c = channel()
    issued = share(c, (0, 3, 0, READ), visits=[(bank, 0, 8, READ) for bank in range(3)], simultaneous=3)
    assert clocks_of(near(issued), "ACT") == [0, 0, 0]
    assert clocks_of(host(issued), "ACT") == [c.spec.clocks["nRRD"]]


def test_a_long_visit_is_split_so_that_refresh_is_not_held_up_for_long():
    c = channel(refresh="all_bank")
    issued = share(c, visits=[(0, 7, 23, READ)], period=100)
    # 900 clocks of refresh interval are 9 periods.
    opened = [k for k, i in enumerate(near(issued)) if i.command == "ACT"] + [len(near(issued))]
    assert [b - a - 2 for a, b in pairwise(opened)] == [9, 9, 5]
    assert [i.column for i in near(issued) if i.column >= 0] == list(range(23))
    for due, clk in enumerate(clocks_of(issued, "REFab"), 1):
        assert due * 900 <= clk < due * 900 + 900 + 100, "held up by one visit at most"


# What the host may do meanwhile


def test_per_bank_requests_wait_for_the_end_of_all_visits_to_their_bank_others_do_not():
    c = channel()
    issued = share(c, (0, 0, 0, READ), (0, 1, 0, READ), visits=[(0, 0, 8, READ), (0, 1, 8, READ)], period=20)
    end = near(issued)[-1].clk
    assert clocks_of(host(issued, 0), "ACT") == [end + c.spec.clocks["nRPpb"]]
    assert clocks_of(host(issued, 1), "ACT")[0] < near(issued)[1].clk


def test_requests_that_wait_for_near_memory_take_up_room():
    c = channel(read_queue=2, write_queue=2, write_high_watermark=2)
    issued = share(c, *[(0, 0, 0, READ)] * 2, (0, 1, 0, READ), visits=[(0, 0, 20, READ)], period=20)
    assert host(issued, 1)[0].clk > near(issued)[-1].clk


@pytest.mark.parametrize(("scheduler", "waits"), [("FCFS", True), ("FRFCFS", False)])
def test_under_fcfs_a_request_that_waits_for_near_memory_holds_up_those_behind_it(scheduler, waits):
    c = channel(scheduler=scheduler)
    issued = share(c, (0, 0, 0, READ), (0, 1, 0, READ), visits=[(0, 0, 20, READ)], period=20)
    assert (host(issued, 1)[0].clk > near(issued)[-1].clk) == waits


@pytest.mark.parametrize(("write", "column"), [(READ, "RD"), (WRITE, "WR")])
def test_a_concurrent_visit_begins_only_where_no_request_of_either_kind_waits_for_its_bank(write, column):
    # A write waits until the reads of bank 2 are served.
    requests = [*[(0, 2, 0, READ)] * 20, (0, 0, 0, write)]
    issued = share(channel(), *requests, visits=[(0, 0, 8, READ), (1, 0, 8, READ)], policy="concurrent")
    assert near(issued, 0)[0].clk > clocks_of(host(issued, 0), column)[0]
    assert near(issued, 1)[0].clk == 0, "the other bank is free"


def test_the_host_waits_for_the_end_of_a_concurrent_visit_that_has_begun_and_goes_before_the_next():
    c = channel()
    visits = [(0, 0, 10, READ), (0, 1, 10, READ)]
    issued = share(c, (50, 0, 5, READ), visits=visits, period=20, policy="concurrent")
    of_bank_0 = [(i.command, i.near_memory) for i in issued if i.command in ("ACT", "PREpb")]
    assert of_bank_0 == [
        ("ACT", True), ("PREpb", True), ("ACT", False), ("PREpb", False), ("ACT", True), ("PREpb", True)
    ]  # fmt: skip
    first_end = clocks_of(near(issued), "PREpb")[0]
    assert clocks_of(host(issued), "ACT") == [first_end + c.spec.clocks["nRPpb"]]
    assert [i.outcome for i in host(issued) if i.command == "RD"] == ["miss"], "no PRE was for the request"


# Which command comes next


@pytest.mark.parametrize("policy", POLICIES)
def test_visits_of_a_bank_are_done_in_their_order_and_its_next_as_soon_as_the_bank_is_precharged(policy):
    c = channel()
    issued = share(c, visits=[(0, row, 5, READ) for row in (2, 0, 1)], period=30, policy=policy)
    opened = [i for i in issued if i.command == "ACT"]
    assert [i.row for i in opened] == [2, 0, 1]
    closed = clocks_of(issued, "PREpb")[:-1]
    assert clocks_of(opened[1:], "ACT") == [clk + c.spec.clocks["nRPpb"] for clk in closed]


def test_of_visits_that_may_begin_at_one_clock_that_to_the_lower_bank_goes_first():
    issued = share(channel(), visits=[(bank, 0, 20, READ) for bank in (2, 0, 1)])
    assert [i.bank for i in issued if i.command == "ACT"] == [0, 1, 2]


def test_a_visit_goes_before_a_request():
    issued = share(channel(), (0, 0, 0, READ), visits=[(3, 0, 8, READ)])
    assert [i.bank for i in issued if i.command == "ACT"] == [3, 0]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("settings", [{}, {"row_policy": "timeout", "row_timeout_clk": 5000}])
def test_an_open_row_is_closed_for_a_visit_as_soon_as_legal_whatever_the_timeout(policy, settings):
    c = channel(**settings)
    act, _ = serve(c, (0, 0, 0, READ))
    closing, visit, *_ = share(c, visits=[(0, 1, 8, READ)], policy=policy)
    assert (closing.command, closing.near_memory) == ("PREpb", False)
    assert closing.clk == act.clk + c.spec.clocks["nRAS"]
    assert (visit.command, visit.clk) == ("ACT", max(closing.clk + c.spec.clocks["nRPpb"],
                                                     act.clk + c.spec.clocks["nRC"]))  # fmt: skip


def test_per_bank_even_a_row_that_a_request_wants_is_closed_for_a_visit():
    c = channel()
    serve(c, (0, 0, 0, READ))
    issued = share(c, (0, 0, 0, READ), visits=[(0, 1, 8, READ)])
    assert names(host(issued)) == ["PREpb", "ACT", "RD"]
    assert issued[-1].outcome == "miss"


def test_an_unused_row_is_closed_before_one_that_is_in_the_way_of_a_visit():
    c = channel(row_policy="timeout", row_timeout_clk=1000)
    used_clk = serve(c, (0, 1, 0, READ))[-1].clk
    serve(c, (c.clk, 0, 0, READ))
    c.advance(used_clk + 1000)
    issued = host(share(c, visits=[(0, 1, 8, READ)]))
    assert [(i.command, i.bank) for i in issued] == [("PREpb", 1), ("PREpb", 0)]
    assert issued[0].clk == used_clk + 1000


def test_of_unused_rows_in_the_way_of_visits_that_of_the_lower_bank_is_closed_first():
    c = channel(row_policy="timeout", row_timeout_clk=1000)
    used_clk = serve(c, (0, 1, 0, READ))[-1].clk
    serve(c, (c.clk, 0, 0, READ))
    c.advance(used_clk + 1000)
    issued = host(share(c, visits=[(0, 1, 8, READ), (1, 1, 8, READ)]))
    assert [(i.command, i.bank) for i in issued] == [("PREpb", 0), ("PREpb", 1)]


def test_a_row_in_the_way_of_a_visit_is_closed_before_one_in_the_way_of_a_request():
    c = channel()
    serve(c, (0, 0, 0, READ), (0, 1, 0, READ))
    wait(c, 1000)
    issued = share(c, (0, 0, 1, READ), visits=[(1, 1, 8, READ)])
    assert [i.bank for i in host(issued) if i.command == "PREpb"] == [1, 0]


# Sleep and refresh


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("settings", "awakes"), [({"power_down_idle_clk": 100}, "PDX"),
                                                  ({"self_refresh_idle_clk": 900}, "SRX")])  # fmt: skip
def test_a_rank_wakes_for_a_visit_as_for_a_request_and_the_other_sleeps_on(policy, settings, awakes):
    c = channel(ranks=2, **settings)
    wait(c, 2000)
    issued = share(c, visits=[(5, 0, 8, READ)], policy=policy)
    assert (issued[0].command, issued[0].bank, issued[0].clk) == (awakes, 4, 2000)
    assert len(host(issued)) == 1
    assert issued[1].clk == 2000 + c.spec.clocks["nXP" if awakes == "PDX" else "nXSR"]


def test_while_visits_are_left_no_rank_sleeps_and_no_refresh_is_urgent_for_want_of_requests():
    c = channel(
        ranks=2, refresh="all_bank", refresh_postponed=2, power_down_idle_clk=50, self_refresh_idle_clk=900
    )
    issued = share(c, visits=[(0, n, 8, READ) for n in range(20)], period=30)
    assert issued[-1].clk > 2700, "two refreshes are due meanwhile, and the third is urgent"
    assert not clocks_of(issued, "PDE", "SRE")
    # Rank 1 is due at 450.
    assert clocks_of(issued, "REFab")[0] >= 450 + 1800
    assert clocks_of(wait(c, 2000), "PDE", "SRE")


def test_power_down_and_self_refresh_count_from_the_end_of_the_last_visit():
    for setting, wait_clk, command in (
        ("power_down_idle_clk", 100, "PDE"),
        ("self_refresh_idle_clk", 1000, "SRE"),
    ):
        c = channel(**{setting: wait_clk})
        last = share(c, visits=[(0, 0, 8, READ)])[-1]
        (asleep,) = wait(c, 5000)
        assert (asleep.command, asleep.clk) == (command, last.clk + wait_clk)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_refresh_waits_for_visits_under_way_and_no_other_begins_before_it(policy):
    c = channel(refresh="all_bank")
    visits = [(0, row, 20, READ) for row in range(3)] + [(1, row, 5, READ) for row in range(8)]
    issued = share(c, visits=visits, period=30, policy=policy)
    refresh = clocks_of(issued, "REFab")[0]
    opened = [clk for clk in clocks_of(near(issued), "ACT") if clk < refresh]
    assert max(opened) < 900
    last_end = max(clk for clk in clocks_of(near(issued), "PREpb") if clk < refresh)
    assert refresh == max(900, last_end + c.spec.clocks["nRPpb"])


def test_refresh_of_other_banks_does_not_wait_for_a_visit():
    c = channel(refresh="per_bank")
    issued = share(c, visits=[(3, 0, 20, READ)], period=30)
    act, pre = near(issued)[0], near(issued)[-1]
    during = [i for i in issued if i.command == "REFpb" and act.clk < i.clk < pre.clk]
    assert [i.bank for i in during] == [0, 1]


def test_activations_of_visits_do_not_hold_a_refresh_of_other_banks_off():
    # Visits to the banks of the other set want an ACT every nRRD_S, but a REFpb must be nRRD_L after any.
    spec, controller = small("ddr5-4800", ranks=1, nRRD_S=30, nRRD_L=100, nREFIsb=450)
    c = ReferenceChannel(spec, replace(controller, refresh="per_bank"))
    issued = share(c, visits=[(bank, n, 1, READ) for n in range(20) for bank in range(8)])
    refreshes = [i for i in issued if i.command == "REFpb"]
    assert refreshes
    for number, refresh in enumerate(refreshes, 1):
        in_set = c.history.banks_of("REFpb", refresh.bank)
        closed = max(i.clk for i in near(issued) if i.bank in in_set and i.clk < refresh.clk)
        ready = max(number * spec.clocks["nREFIsb"], closed + spec.clocks["nRP"])
        assert refresh.clk < ready + spec.clocks["nRRD_L"]


def test_precharge_of_all_banks_waits_for_visits_under_way():
    c = channel(refresh="all_bank")
    serve(c, (0, 1, 0, READ))
    issued = share(c, (100, 1, 0, READ), visits=[(0, 0, 20, READ), (0, 1, 20, READ)], period=44)
    assert names(host(issued)) == ["RD", "PREab", "REFab"]
    assert clocks_of(issued, "PREab") == clocks_of(near(issued), "PREpb")[:1]
    assert clocks_of(issued, "PREab")[0] > 900, "the clock at which the refresh was due"


@pytest.mark.parametrize("name", quick_standards_first())
@pytest.mark.parametrize("refresh", ["all_bank", "per_bank"])
def test_at_the_standards_limit_a_refresh_comes_in_time_beside_long_visits_in_all_banks(name, refresh):
    spec = channel(name, ranks=2).spec
    refresh, limit = (refresh if spec.refresh_sets else "all_bank"), spec.table.refresh_postponed
    c = channel(name, ranks=2, refresh=refresh, refresh_postponed=limit)
    visits = [(bank, n, 100, WRITE) for n in range(6) for bank in range(spec.banks_per_channel)]
    issued = share(c, visits=visits, period=30)
    judge = Checker(spec, refresh=refresh)
    assert judge.violations(log_of(spec, issued)) + judge.end(c.clk) == []
    assert c.clk > (limit + 3) * 900


# Laws


@settings(max_examples=15)
@given(data=st.data(), requests=REQUESTS, policy=st.sampled_from(POLICIES))
def test_without_visits_sharing_is_ordinary_access(data, requests, policy):
    spec, controller = data.draw(memories(data.draw(st.sampled_from(NAMES))))
    shared, alone = ReferenceChannel(spec, controller), ReferenceChannel(spec, controller)
    shared.share(as_batch(spec, requests), [], 1, policy)
    alone.access(as_batch(spec, requests))
    assert (shared.issued, shared.clk) == (alone.issued, alone.clk)


@settings(max_examples=15)
@given(data=st.data(), visits=VISITS, policy=st.sampled_from(POLICIES), n=st.sampled_from([0, 1, 6]))
def test_without_requests_and_refresh_sharing_is_streaming(data, visits, policy, n):
    never = ALL_SETTINGS | {"self_refresh_idle_clk": [0], "refresh": ["none"]}
    spec, controller = data.draw(memories(data.draw(st.sampled_from(NAMES)), never))
    spec = replace(spec, timing=spec.timing | {"nREFI": 1_000_000})
    visits = [(bank % spec.banks_per_channel, *visit) for bank, *visit in visits]
    shared, alone = (ReferenceChannel(spec, controller) for _ in range(2))
    shared.share(requested(shared), visits, 9, policy, n)
    alone.stream(visits, 9, n)
    assert in_order(shared.issued) == in_order(alone.issued)
    assert shared.clk == alone.clk
