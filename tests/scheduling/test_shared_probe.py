"""Does the probe show what a host sees beside near memory, and no more than can be known?"""

from dataclasses import replace

import pytest
from small_memories import memory

from nmsim.system import shared_probe
from nmsim.system.probe import Load, loaded_latency
from nmsim.system.shared_probe import NearMemoryLoad, shared_latency

ONE_UNIT_A_BANK = NearMemoryLoad()
LOAD = Load((1.0, 0.5), (0.0, 1.0), (0.1, 0.4), requests=2000)


def shared(spec, controller, *policies, load=LOAD, near=ONE_UNIT_A_BANK):
    """Return the points by (policy, busy), after nothing in them was faster than possible."""
    points, wrong = shared_latency(spec, controller, load, policies, near)
    assert wrong == []
    found = {}
    for point in points:
        found.setdefault((point.host_policy, point.busy), []).append(point)
    return found


@pytest.mark.parametrize("name", ["lpddr4-3200", "ddr4-2400"])
def test_without_near_memory_every_policy_gives_the_plain_curve(name):
    spec, controller = memory(name)
    plain, _ = loaded_latency(spec, controller, LOAD)
    found = shared(spec, controller, "exclusive", "per_bank", "concurrent")
    for policy in ("exclusive", "per_bank", "concurrent"):
        assert [point.host for point in found[policy, "none"]] == plain
        assert {point.near_GBps for point in found[policy, "none"]} == {0.0}


def test_a_host_that_may_not_use_the_memory_gets_no_latency():
    spec, controller = memory("lpddr4-3200")
    found = shared(spec, controller, "exclusive", "per_bank", "concurrent")
    waits = {key for key, points in found.items() if any(point.host is None for point in points)}
    assert waits == {("exclusive", "half"), ("exclusive", "all"), ("per_bank", "all")}
    for key in waits:
        (point,) = found[key]
        assert point.host_banks == 0 and point.near_GBps == point.near_alone_GBps > 0


@pytest.mark.parametrize("banks_per_unit", [1, 2])
def test_near_memory_alone_gets_what_its_visits_take(banks_per_unit):
    # Half is every second bank, four of eight, each with a unit of its own or shared with an idle bank; of
    # all banks two share a unit and take turns. LPDDR4: a visit of 64 columns a period p apart takes nRCD +
    # 63·p + max(p, RD to PRE = 12) + nRPpb = 29 + 63·p + max(p, 12) + 29 clocks of 625 ps. Of each nREFI =
    # 6246 clocks nRFCab is lost, and at most one visit's time before it.
    spec, controller = memory("lpddr4-3200")
    found = shared(spec, controller, "exclusive", near=NearMemoryLoad(banks_per_unit))
    for busy, banks, period in (("half", 4, 8), ("all", 8, 8 * banks_per_unit)):
        visit = 58 + 63 * period + max(period, 12)
        most = banks * 64 * 32 / (visit * 0.625)
        (point,) = found["exclusive", busy]
        assert most * (1 - (448 + visit) / 6246) * 0.98 <= point.near_alone_GBps <= most


def test_a_host_in_the_other_banks_waits_for_refresh_alone_and_takes_nothing():
    # Without refresh only activations (tRRD, tFAW) couple the banks: of a stream of hits, one in 64.
    spec, controller = memory("lpddr4-3200")
    controller = replace(controller, refresh="none")
    load = replace(LOAD, read_fraction=(1.0,), random_share=(0.0,))
    found = shared(spec, controller, "per_bank", load=load)
    for quiet, beside in zip(found["per_bank", "none"], found["per_bank", "half"], strict=True):
        assert beside.host_banks == 4
        assert beside.host.read_ns["p50"] == quiet.host.read_ns["p50"]
        assert beside.host.read_ns["mean"] <= quiet.host.read_ns["mean"] + 64 * 0.625
        assert beside.near_GBps == pytest.approx(beside.near_alone_GBps, rel=0.02)


def test_a_host_in_every_bank_waits_for_visits_and_takes_them_from_near_memory():
    spec, controller = memory("lpddr4-3200")
    found = shared(
        spec, controller, "concurrent", load=replace(LOAD, random_share=(1.0,), read_fraction=(1.0,))
    )
    none, half, every = (found["concurrent", busy] for busy in ("none", "half", "all"))
    for a, b, c in zip(none, half, every, strict=True):
        assert a.host.read_ns["mean"] < b.host.read_ns["mean"] < c.host.read_ns["mean"]
    for points in (half, every):  # the more the host asks, the less near memory gets
        assert points[1].near_GBps < points[0].near_GBps < points[0].near_alone_GBps


def test_near_memory_works_for_as_long_as_requests_come(monkeypatch):
    spec, controller = memory("lpddr4-3200")
    ends = []
    share = shared_probe.Channel.share

    def watched(channel, batch, *rest, **kept):
        activity = share(channel, batch, *rest, **kept)
        if len(rest[0]):
            ends.append((batch.arrival_clk[-1], activity.accounted_clk))
        return activity

    monkeypatch.setattr(shared_probe.Channel, "share", watched)
    shared(spec, controller, "per_bank", "concurrent")
    assert ends and all(accounted > arrival for arrival, accounted in ends)
