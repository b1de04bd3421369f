"""Does the loaded-latency curve agree with queueing theory, and the memory with what paper allows?"""

from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest
from small_memories import PRESETS, memory

from nmsim.dram.address import AddressMap
from nmsim.dram.bounds import limits, spacing, unloaded_clk
from nmsim.errors import ConfigError
from nmsim.system import bound_checks, probe
from nmsim.system.bound_checks import FreePins, check_bounds
from nmsim.system.probe import Load, loaded_latency, most_bursts

ALL = sorted(path.stem.removeprefix("memory-") for path in PRESETS.glob("memory-*.yaml"))


def by_name(spec, controller):
    return {finding.name: finding for finding in check_bounds(spec, controller)}


def line(spec, controller, **load):
    """Return the points of one line of the curve, after nothing in it was faster than possible."""
    load = {"read_fraction": (1.0,), "random_share": (0.0,), "rate": (0.5,), **load}
    points, wrong = loaded_latency(spec, controller, Load(**load))
    assert wrong == []
    return points


def one_endless_row(name):
    """Return a memory whose sequential traffic never leaves a row, and a controller that never refreshes."""
    spec, controller = memory(name)
    org = replace(spec.organization, channels=1, columns=1 << 22)
    return replace(spec, organization=org), replace(controller, address_map="RoBaRaBgCo", refresh="none")


@pytest.mark.parametrize("name", ALL)
def test_a_lone_read_takes_exactly_what_its_row_outcome_costs(name):
    findings = by_name(*memory(name))
    for outcome in ("hit", "miss", "conflict"):
        found = findings[f"unloaded {outcome}"]
        assert found.measured == found.bound and found.verdict == "exact", found


@pytest.mark.parametrize("name", ALL)
def test_every_throughput_is_within_one_per_cent_of_its_closed_form(name):
    spec, controller = memory(name)
    for finding in check_bounds(spec, controller):
        assert finding.holds, finding
        if finding.ratio < 0.99:  # then because commands get into each other's way on the command pins
            pins = FreePins(**{f.name: getattr(spec, f.name) for f in fields(spec)})
            assert finding.ratio > 0.95, finding
            assert finding.why.startswith("if commands never waited for the command pins"), finding
            assert by_name(pins, controller)[finding.name].ratio > 0.99, finding


def test_lpddr4_closed_forms_are_those_of_the_data_sheet():
    # 32 B in 8 clocks of 625 ps; 448 of 6246 clocks refresh; a row cycle of 97 clocks; ACTs 16 clocks apart.
    spec, _ = memory("lpddr4-3200")
    found = {name: limit.bandwidth_Bps(spec) / 1e9 for name, limit in limits(spec).items()}
    assert found["peak"] == pytest.approx(6.4)
    assert 5.85 < found["streaming"] < 6.4 * (1 - 448 / 6246)
    assert found["single_bank"] == pytest.approx(32 / (97 * 0.625) * (1 - 448 / 6246), rel=0.001)
    assert 3.2 * (1 - 448 / 6246 - 97 / 6246) < found["many_banks"] < 3.2 * (1 - 448 / 6246)
    assert unloaded_clk(spec) == {"hit": 36, "miss": 65, "conflict": 94}


def test_lpddr4_activations_wait_for_the_command_pins_every_second_time():
    # RD comes 29 clocks after its ACT, 13 after the next one, and keeps the pins for 4: the third ACT,
    # possible 16 after the second, goes at 17. Its own RD is then 12 after an ACT and in nobody's way.
    spec, controller = memory("lpddr4-3200")
    found = by_name(spec, controller)["many_banks"]
    bursts = (6246 - 448 - 97) / 16.5 + 1
    assert found.measured == pytest.approx(bursts * 32 / (6246 * 0.625), rel=0.01)


@pytest.mark.parametrize("name", ALL)
def test_poisson_reads_of_one_row_wait_as_in_an_m_d_1_queue(name):
    # Pollaczek-Khinchine with a fixed service time d: mean wait = rho d / (2 (1 - rho)). Arrivals rounded
    # down to clocks are batches of Poisson size, for which the mean wait is the same.
    spec, controller = one_endless_row(name)
    clocks, service = spec.clocks, max(spec.clocks["nBL"], spacing(spec, "RD", "RD"))
    for rho in (0.3, 0.7):
        (point,) = line(spec, controller, rate=(rho * clocks["nBL"] / service,), requests=60_000)
        expected = clocks["nCL"] + clocks["nBL"] + rho * service / (2 * (1 - rho))
        measured, margin = (point.read_ns[s] / spec.tCK_ps * 1e3 for s in ("mean", "ci95"))
        assert abs(measured - expected) < max(2 * margin, 0.05), (rho, measured, expected, margin)
        assert margin < 0.1 * expected


@pytest.mark.parametrize("name", ALL)
def test_even_reads_of_one_row_never_wait_below_saturation(name):
    spec, controller = one_endless_row(name)
    service = max(spec.clocks["nBL"], spacing(spec, "RD", "RD"))
    below, above = (spec.clocks["nBL"] / service * share for share in (0.8, 1.2))
    idle, full = line(spec, controller, rate=(below, above), arrivals="even", requests=5000)
    hit_ns = unloaded_clk(spec)["hit"] * spec.tCK_ps * 1e-3
    assert idle.read_ns["min"] == idle.read_ns["p99"] == pytest.approx(hit_ns) and not idle.saturated
    # What comes too fast is served at the rate of the service, whatever is offered.
    assert full.saturated and full.achieved_GBps == pytest.approx(
        spec.access_bytes / (service * spec.tCK_ps * 1e-3), rel=0.002
    )


@pytest.mark.parametrize("name", ALL)
def test_bandwidth_follows_the_offer_until_the_bound_and_latency_climbs(name):
    spec, controller = memory(name)
    bound = limits(spec)["many_banks"].bandwidth_Bps(spec) / 1e9
    share = bound / (spec.peak_bandwidth_Bps / 1e9)
    rates = tuple(share * part for part in (0.1, 0.5, 0.8, 1.5))
    points = line(spec, controller, random_share=(1.0,), rate=rates, requests=20_000)
    for point in points[:-1]:
        assert not point.saturated and point.achieved_GBps == pytest.approx(point.offered_GBps, rel=0.01)
    # LPDDR5-4266: PRE, ACT and RD keep the command pins for all of the three clocks of tRRD.
    least = 0.85 if name == "lpddr5-4266" else 0.9
    assert points[-1].saturated and least * bound < points[-1].achieved_GBps < 1.01 * bound
    means = [point.read_ns["mean"] for point in points]
    assert means == sorted(means)
    # Nearly idle, a random read finds its row closed or another one open, and now and then a refresh.
    miss, conflict = (unloaded_clk(spec)[o] * spec.tCK_ps * 1e-3 for o in ("miss", "conflict"))
    assert miss <= points[0].read_ns["p50"] < 1.3 * conflict
    for point in points:
        assert point.read_ns["min"] <= point.read_ns["p50"] <= point.read_ns["p95"] <= point.read_ns["p99"]


@pytest.mark.parametrize("name", ["lpddr4-3200", "ddr4-2400"])
def test_the_limit_on_mixed_bursts_is_tight_for_a_stream(name):
    spec, controller = memory(name)
    clk = 40 * spec.clocks["nREFI"]
    streaming = clk / limits(spec)["streaming"].clk_per_burst
    assert streaming <= most_bursts(spec, controller, clk) < 1.01 * streaming


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    "settings",
    [
        {"refresh": "per_bank"},
        {"refresh": "none"},
        {"refresh_postponed": 4},
        {"row_policy": "closed"},
        {"row_policy": "timeout", "row_timeout_clk": 100},
        {"refresh": "per_bank", "row_policy": "closed", "row_hit_cap": 4},
    ],
    ids=lambda settings: " ".join(map(str, settings.values())),
)
def test_every_way_to_refresh_and_to_close_rows_reaches_its_own_bounds(name, settings):
    spec, controller = memory(name)
    if settings.get("refresh") == "per_bank" and not spec.refresh_sets:
        pytest.skip("this standard has no per-bank refresh")
    for finding in check_bounds(spec, replace(controller, **settings)):
        assert finding.holds, finding
        # Nearer than this is not promised with REFpb: a bank of DDR5 or HBM2 opens some 40 or 80 rows between
        # two refreshes, of which the last is cut off; banks at rest fill the queue with their requests.
        assert finding.ratio > (0.8 if finding.why else 0.99), finding
        # Of a loss of a few per cent, several small causes may each have their part.
        assert finding.ratio > 0.97 or not finding.why.startswith("no single cause"), finding


def test_a_scheduler_without_reordering_is_named_where_it_costs():
    spec, controller = memory("lpddr5-6400")
    found = by_name(spec, replace(controller, scheduler="FCFS"))["many_banks"]
    assert found.ratio < 0.2 and found.why.startswith("if the scheduler were FR-FCFS")


@pytest.mark.parametrize("name", ["lpddr4-3200", "ddr4-2400"])
def test_a_second_rank_changes_no_bound_of_the_first_and_serves_while_that_is_refreshed(name):
    spec, controller = memory(name)
    two = replace(spec, organization=replace(spec.organization, ranks=2))
    # The refresh of the second rank takes the command pins, which may make an ACT of the first late.
    late = spec.latency("nRRD" if "nRRD" in spec.timing else "nRRD_L") / spec.clocks["nREFI"]
    for one, both in zip(check_bounds(spec, controller), check_bounds(two, controller), strict=True):
        assert both.holds and both.bound == one.bound and both.ratio == pytest.approx(one.ratio, abs=late)
    load = {"random_share": (1.0,), "rate": (1.1,), "requests": 10_000}
    (one,), (both,) = line(spec, controller, **load), line(two, controller, **load)
    assert both.achieved_GBps > 1.2 * one.achieved_GBps


def test_bounds_that_a_row_met_again_would_break_are_left_out():
    # With 16 rows, 36 queued requests to one bank hold hits.
    spec, controller = memory("ddr4-2400")
    few = replace(spec, organization=replace(spec.organization, rows=16))
    assert not {"single_bank", "many_banks"} & set(by_name(few, controller))


@pytest.mark.parametrize("name", ALL)
def test_less_refresh_never_lowers_a_limit_and_rows_never_raise_it(name):
    spec, _ = memory(name)
    kinds = ["all_bank", "per_bank", "none"] if spec.refresh_sets else ["all_bank", "none"]
    found = [{n: v.bandwidth_Bps(spec) for n, v in limits(spec, kind).items()} for kind in kinds]
    for less, more in pairwise(found):
        assert all(less[n] <= more[n] for n in less)
    for one in found:
        assert one["peak"] >= one["streaming"] >= one["one_row"] >= one["single_bank"]
        assert one["streaming"] >= one["many_banks"] >= one["single_bank"]


def test_a_line_does_not_depend_on_the_others_and_a_seed_repeats_it():
    spec, controller = memory("lpddr4-3200")
    load = {"rate": (0.3,), "requests": 2000}
    (alone,) = line(spec, controller, random_share=(0.5,), **load)
    among, wrong = loaded_latency(spec, controller, Load(random_share=(0.0, 0.5), **load))
    assert alone in among and not wrong
    (again,) = line(spec, controller, random_share=(0.5,), **load)
    (other,) = line(spec, controller, random_share=(0.5,), seed=2, **load)
    assert again == alone and other != alone


@pytest.mark.parametrize("fields", ["RoBaRaCoCh", "RoBaChRaCo", "ChRoCoBa"])
def test_the_traffic_of_a_channel_is_what_the_whole_address_map_sends_there(fields):
    spec, controller = memory("lpddr4-3200")
    controller = replace(controller, address_map=fields, bank_hash="xor")
    place, *_ = probe.requests(spec, controller, Load(requests=4000), 1.0, 0.0)
    whole = AddressMap(spec, fields, "xor").decode(np.arange(8 * 4000) * spec.access_bytes)
    here = np.flatnonzero(whole.channel == 0)[:4000]
    for field in ("bank", "row", "column"):
        assert (getattr(place, field)[: len(here)] == getattr(whole, field)[here]).all(), field


def test_shares_of_reads_random_places_and_row_hits_are_as_asked():
    spec, controller = memory("ddr4-2400")
    point = line(spec, controller, read_fraction=(0.67,), random_share=(0.5,), requests=20_000)[0]
    assert point.reads / (point.reads + point.writes) == pytest.approx(0.67, abs=0.02)
    assert 0.4 < point.row_hit_share < 0.5  # the random half never hits, the other nearly always
    writes = line(spec, controller, read_fraction=(0.0,), requests=2000)[0]
    assert writes.reads == 0 and writes.read_ns == {} and writes.write_ns["min"] > 0


def test_refinement_adds_points_between_the_last_stable_one_and_the_wall():
    spec, controller = memory("lpddr4-3200")
    points = line(spec, controller, rate=(0.5, 1.1), requests=20_000, refine=True)
    assert len(points) > 2 and [p.rate for p in points] == sorted(p.rate for p in points)
    added = points[1:-1]
    assert all(
        points[0].rate < p.rate * 1.0001 and p.achieved_GBps <= points[-1].achieved_GBps for p in added
    )


def test_an_engine_that_is_too_fast_is_found_out(monkeypatch):
    # The bounds of a memory with a slower refresh, row cycle and burst are beaten by the true one.
    spec, controller = memory("ddr4-2400")
    slow = limits(replace(spec, timing={**spec.timing, "nRC": 60, "nRFC": 700, "nXS": 720, "nFAW": 28}))
    monkeypatch.setattr(bound_checks, "limits", lambda *_: slow)
    found = by_name(spec, controller)
    for name in ("streaming", "single_bank", "many_banks"):
        assert found[name].verdict == "faster than possible" and not found[name].holds
    assert found["peak"].holds
    # And so is a read that takes less than its burst needs.
    one = np.array([1])
    assert "less than nCL + nBL" in probe._too_fast(spec, controller, 1, 100, one, one[:0])[0]
    assert "more than" in probe._too_fast(spec, controller, 1000, 100, one[:0], one[:0])[0]


@pytest.mark.parametrize(
    "wrong",
    [{"read_fraction": (1.2,)}, {"random_share": (-0.1,)}, {"rate": (0.0,)}, {"rate": ()},
     {"rate": (0.5, 0.5)}, {"rate": (float("nan"),)}, {"arrivals": "bursts"}, {"requests": 10}, {"seed": -1}],
)  # fmt: skip
def test_a_load_that_cannot_be_meant_is_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Load(**wrong)
