"""Does the engine obey the laws of the memory: closed forms, conservation, and what must not matter?"""

import numpy as np
import pytest
from small_memories import NOW, batch, small

from nmsim.dram.commands import ACT, RD, WR, PREab, PREpb, REFab
from nmsim.dram.engine import AccessBatch, Channel


def random_batch(spec, rng, n, rows=4, writes=0.3, spread_clk=0):
    bank = rng.integers(0, spec.banks_per_channel, n)
    arrival = np.sort(rng.integers(0, spread_clk * n, n)) if spread_clk else NOW
    return batch(spec, bank, rng.integers(0, rows, n), rng.random(n) < writes, arrival)


def part(whole, start, end):
    return AccessBatch(*(a[start:end] for a in whole))


def one(spec, row, clk=0):
    return batch(spec, [0], row, False, [clk])


def test_a_single_read_takes_the_latency_of_its_row_outcome(preset):
    # From the request to the clock after its last data beat: hit nCL + nBL, closed bank nRCD more, another
    # row open nRP more again (LPDDR4-3200: 36, 65, 94 clocks = 22.5 ns and twice 29 clocks; without tDQSCK).
    spec, controller = preset
    c = spec.clocks
    hit = c["nCL"] + c["nBL"]
    channel = Channel(spec, controller)
    miss = channel.access(one(spec, 1))
    assert miss.end_clk == hit + c["nRCD"] and miss.outcomes.sum(axis=1).tolist() == [0, 1, 0]
    again = channel.access(one(spec, 1, 1000))
    assert again.end_clk == 1000 + hit and again.outcomes.sum(axis=1).tolist() == [1, 0, 0]
    other = channel.access(one(spec, 2, 2000))
    assert other.end_clk == 2000 + c["nRPpb"] + c["nRCD"] + hit
    assert other.outcomes.sum(axis=1).tolist() == [0, 0, 1]


def test_a_stream_of_row_hits_is_bound_by_the_column_spacing_and_refresh(preset):
    spec, controller = preset
    n, c = 20_000, spec.clocks
    activity = Channel(spec, controller).access(batch(spec, np.zeros(n, dtype=np.int64), 3))
    # Between two refreshes a rank loses RD to PRE, nRPab, nRFCab and nRCD, each to within a burst.
    lost = spec.latency(next(r.latency for r in spec.table.constraints if r.name == "tRTP"))
    lost += c["nRPab"] + c["nRFCab"] + c["nRCD"]
    expected = n * c["nCCD"] * c["nREFI"] / (c["nREFI"] - lost)
    assert activity.end_clk == pytest.approx(expected, rel=0.01)


def test_streaming_comes_within_two_per_cent_of_the_bound_that_refresh_sets(preset):
    spec, controller = preset
    n, org = 50_000, spec.organization
    # Neighbours lie in different bank groups, so that tCCD_S holds and the data bus never waits; one row of
    # each group is read before the next is opened, so that few ACTs come at a time.
    group = np.arange(n) % org.bankgroups
    bank = np.arange(n) // (spec.row_bursts * org.bankgroups) % org.banks
    row = np.arange(n) // (spec.row_bursts * spec.banks_per_channel)
    activity = Channel(spec, controller).access(batch(spec, group * org.banks + bank, row))
    bandwidth_Bps = n * spec.access_bytes / (activity.end_clk * spec.tCK_ps * 1e-12)
    # LPDDR4-3200: 6.4 GB/s less 448 of 6246 clocks of refresh = 5.94 GB/s.
    bound = spec.peak_bandwidth_Bps * (1 - spec.clocks["nRFCab"] / spec.clocks["nREFI"])
    assert 0.98 * bound < bandwidth_Bps < bound


def test_one_bank_with_a_new_row_each_time_gives_one_burst_per_row_cycle(preset):
    spec, controller = preset
    n, c = 2000, spec.clocks
    activity = Channel(spec, controller).access(batch(spec, np.zeros(n, dtype=np.int64), np.arange(n)))
    row_cycle = max(c["nRC"], c["nRCD"] + spec.latency("max(nRTP, 8)") + c["nRPpb"])
    # Refresh takes its share; LPDDR4-3200: 32 B / nRC = 0.528 GB/s before it.
    clocks = activity.end_clk - activity.refreshes * c["nRFCab"]
    assert clocks == pytest.approx(n * row_cycle, rel=0.02)


def test_random_rows_over_many_banks_are_bound_by_the_activation_window():
    spec, controller = small("ddr4-2400", ranks=1)
    n, rng = 4000, np.random.default_rng(1)
    bank = rng.permutation(np.arange(n) % 8)
    activity = Channel(spec, controller).access(batch(spec, bank, np.arange(n) % 16))
    acts = activity.total(ACT)
    busy = activity.end_clk - activity.refreshes * spec.clocks["nRFCab"]
    assert busy >= acts * spec.clocks["nFAW"] / 4
    assert busy <= 1.35 * acts * spec.clocks["nFAW"] / 4


@pytest.mark.parametrize("name", ["lpddr4-3200", "ddr4-2400"])
@pytest.mark.parametrize("spread_clk", [0, 12])
def test_splitting_a_batch_changes_nothing(name, spread_clk):
    spec, controller = small(name)
    whole = random_batch(spec, np.random.default_rng(7), 600, spread_clk=spread_clk)
    at_once = Channel(spec, controller, log_rows=10_000).access(whole, record_done=True)
    channel, parts = Channel(spec, controller, log_rows=10_000), []
    for start, end in ((0, 1), (1, 50), (50, 50), (50, 333), (333, 600)):
        parts.append(channel.access(part(whole, start, end), drain=end == 600))
    together = sum(parts[1:], start=parts[0])
    for field in ("counts", "outcomes", "background_clk"):
        assert (getattr(at_once, field) == getattr(together, field)).all(), field
    for field in vars(at_once.log):
        assert (getattr(at_once.log, field) == getattr(together.log, field)).all(), field
    assert (at_once.end_clk, at_once.accounted_clk) == (together.end_clk, together.accounted_clk)


@pytest.mark.parametrize("name", ["lpddr4-3200", "ddr4-2400"])
def test_counts_are_conserved(name):
    spec, controller = small(name)
    requests = random_batch(spec, np.random.default_rng(3), 2000, spread_clk=9)
    channel = Channel(spec, controller, log_rows=100_000)
    activity = channel.access(requests, record_done=True)
    assert (activity.done_clk > requests.arrival_clk).all()
    assert activity.done_clk.max() == activity.end_clk
    activity += channel.advance(activity.end_clk + 5000)
    assert activity.total(RD) == (~requests.is_write).sum() and activity.total(WR) == requests.is_write.sum()
    assert activity.outcomes.sum() == 2000
    assert (activity.outcomes.sum(axis=0) == activity.counts[RD] + activity.counts[WR]).all()
    # Every bank is closed as often as opened: refresh closed what was left open.
    assert (activity.counts[ACT] == activity.counts[PREpb] + activity.counts[PREab]).all()
    # Every clock of every rank is spent in one state.
    assert (activity.background_clk.sum(axis=1) == activity.accounted_clk - activity.start_clk).all()
    # The log holds each command once, in the order of time; a PREab counts for the banks that it closes.
    weight = np.where(activity.log.command == PREab, activity.log.closed, 1)
    logged = np.bincount(activity.log.command, weights=weight, minlength=len(activity.counts))
    assert (logged == activity.counts.sum(axis=1)).all()
    assert (np.diff(activity.log.clk) >= 0).all()


def test_no_request_costs_standby_and_refresh_only(preset):
    spec, controller = preset
    until = 10 * spec.clocks["nREFI"] + 5
    activity = Channel(spec, controller).advance(until)
    assert activity.refreshes == 10 and activity.counts.sum() == 10
    assert activity.background_clk.tolist() == [[0, until, 0, 0, 0]]


@pytest.mark.parametrize("power_down_idle_clk", [0, 40])
def test_a_long_idle_time_is_the_sum_of_short_ones(preset, power_down_idle_clk):
    spec, controller = preset
    controller = type(controller)(**{**vars(controller), "power_down_idle_clk": power_down_idle_clk})
    until, step = 40 * spec.clocks["nREFI"] + 77, 3001
    start = batch(spec, [0, 1, 2], 4)
    at_once, stepwise = Channel(spec, controller), Channel(spec, controller)
    long = at_once.access(start) + at_once.advance(until)
    parts = [stepwise.access(start)]
    parts += [stepwise.advance(min(until, step * (i + 1))) for i in range(until // step + 1)]
    short = sum(parts[1:], start=parts[0])
    assert (long.counts == short.counts).all() and (long.background_clk == short.background_clk).all()
    # And what comes after is the same.
    after = batch(spec, [3, 3, 5], [1, 2, 1])
    assert at_once.access(after).end_clk == stepwise.access(after).end_clk
    in_power_down = long.background_clk[:, 2:4].sum()
    assert (in_power_down > 0.8 * until) if power_down_idle_clk else in_power_down == 0


def test_waking_from_power_down_delays_a_request_by_nxp(preset):
    spec, controller = preset
    sleepy = type(controller)(**{**vars(controller), "power_down_idle_clk": 50})
    awake, asleep = (Channel(spec, c).access(one(spec, 1, 2000)) for c in (controller, sleepy))
    assert asleep.end_clk - awake.end_clk == spec.clocks["nXP"]


def test_the_clock_at_which_work_begins_does_not_matter(preset):
    # Moved by whole refresh intervals, everything moves with it; work begins when a refresh is long over.
    spec, controller = preset
    work, shift = random_batch(spec, np.random.default_rng(5), 900, spread_clk=20), 6 * spec.clocks["nREFI"]
    work = work._replace(arrival_clk=work.arrival_clk + 2000)
    early, late = Channel(spec, controller), Channel(spec, controller)
    early.advance(1000), late.advance(shift + 1000)
    moved = work._replace(arrival_clk=work.arrival_clk + shift)
    a, b = early.access(work, log_rows=9000), late.access(moved, log_rows=9000)
    assert b.end_clk - a.end_clk == shift
    assert (b.log.clk - a.log.clk == shift).all() and (a.log.command == b.log.command).all()


def test_the_energy_relevant_counts_do_not_depend_on_the_bank(preset):
    spec, controller = preset
    n = 200

    def totals(bank):
        activity = Channel(spec, controller).access(batch(spec, np.full(n, bank), np.arange(n) // 10))
        return activity.counts.sum(axis=1).tolist(), activity.end_clk

    assert len({str(totals(bank)) for bank in range(spec.banks_per_channel)}) == 1


def test_a_row_visit_takes_the_closed_form(preset):
    # nRCD + (n − 1)·p + max(p, RD to PRE) + nRP, at least nRC; one bank, so nothing else binds.
    spec, controller = preset
    c = spec.clocks
    read_to_pre = spec.latency(next(r.latency for r in spec.table.constraints if r.name == "tRTP"))
    for period, columns in ((1, 1), (c["nCCD"], spec.row_bursts), (23, 10), (40, 3)):
        p, visits = max(period, c["nCCD"]), 5
        row_time = max(c["nRC"], c["nRCD"] + (columns - 1) * p + max(p, read_to_pre) + c["nRPpb"])
        channel = Channel(spec, controller)
        rows = np.arange(visits)
        activity = channel.stream(np.zeros(visits, np.int64), rows, np.full(visits, columns), False, period)
        last = max(row_time, c["nRC"]) if columns > 1 else row_time
        assert activity.end_clk in (visits * row_time, (visits - 1) * row_time + last)
        assert activity.total(RD) == visits * columns and activity.total(ACT) == visits


def test_all_banks_together_stream_as_fast_as_one_where_the_supply_allows(preset):
    spec, controller = preset
    banks, visits = spec.banks_per_channel, 4
    bank = np.tile(np.arange(banks), visits)
    row = np.repeat(np.arange(visits), banks)
    columns = np.full(len(bank), 32)
    alone = Channel(spec, controller).stream(bank[bank == 0], row[bank == 0], columns[bank == 0], False, 8)
    wide = Channel(spec, controller).stream(bank, row, columns, False, 8, banks)
    narrow = Channel(spec, controller).stream(bank, row, columns, False, 8)
    assert wide.end_clk == alone.end_clk < narrow.end_clk
    assert wide.total(RD) == narrow.total(RD) == banks * alone.total(RD)


def test_near_memory_outruns_the_channel_by_about_the_number_of_banks(preset):
    spec, controller = preset
    banks, visits = spec.banks_per_channel, 40
    bank, row = np.tile(np.arange(banks), visits), np.repeat(np.arange(visits), banks)
    columns = np.full(len(bank), spec.row_bursts)
    near = Channel(spec, controller).stream(bank, row, columns, False, 1, banks)
    bursts = np.repeat(np.arange(len(bank)), spec.row_bursts)
    host = Channel(spec, controller).access(batch(spec, bank[bursts], row[bursts]))
    assert near.bursts == host.bursts
    # Row overheads are hidden by the host's bank parallelism, and not beside a bank: hence less than all.
    assert 0.5 * banks < host.end_clk / near.end_clk <= banks


def test_refresh_parts_no_banks_that_stream_together_whatever_their_pace(preset):
    # Columns so slow that some eight of them take a refresh interval: with each pace another share of it is
    # left over for the refresh. A part of a visit begins with ACT and tRCD and ends with PRE; the last bank
    # begins as many tRRD after the first as there are banks.
    spec, controller = preset
    c, banks, visits = spec.clocks, spec.banks_per_channel, 8
    bank, row = np.tile(np.arange(banks), visits), np.repeat(np.arange(visits), banks)
    apart = max(c.get("nRRD", 0), c.get("nRRD_L", 0), -(-c["nFAW"] // 4))
    for eighth in (0.985, 0.99, 0.995, 1.0, 1.01, 1.02):
        # A part of eight columns and a refresh take about `eighth` of an interval.
        period = int((c["nREFI"] * eighth - c["nRFCab"] - c["nRCD"] - c["nRPpb"]) / 8)
        activity = Channel(spec, controller).stream(bank, row, np.full(len(bank), 64), False, period)
        parts = visits * -(-64 // (c["nREFI"] // period))
        alone = visits * 64 * period + parts * (c["nRPpb"] + c["nRCD"] + c["nRFCab"]) + banks * apart
        assert activity.end_clk < 1.1 * alone, f"{period} clk a column"


def test_refresh_goes_on_while_banks_stream(preset):
    spec, controller = preset
    visits = 400
    activity = Channel(spec, controller).stream(
        np.zeros(visits, np.int64), np.arange(visits) % 9, np.full(visits, spec.row_bursts), False, 10
    )
    assert activity.refreshes == activity.accounted_clk // spec.clocks["nREFI"] > 10


def test_a_log_holds_the_first_commands_and_does_not_change_the_rest(preset):
    spec, controller = preset
    rng = np.random.default_rng(2)
    bank, row = rng.integers(0, spec.banks_per_channel, 200), rng.integers(0, 9, 200)
    columns = rng.integers(1, 20, 200)
    whole = Channel(spec, controller).stream(bank, row, columns, False, 9, log_rows=100_000)
    for rows in (0, 1, 57, 1000):
        short = Channel(spec, controller).stream(bank, row, columns, False, 9, log_rows=rows)
        assert len(short.log) == min(rows, len(whole.log))
        assert (short.log.clk == whole.log.clk[:rows]).all()
        assert (short.counts == whole.counts).all() and short.end_clk == whole.end_clk
    assert len(whole.log) == whole.counts[[ACT, RD, PREpb, REFab]].sum()


def test_requests_out_of_range_are_refused(preset):
    spec, controller = preset
    channel = Channel(spec, controller)
    for bank, row, arrival in (
        (spec.banks_per_channel, 0, NOW),
        (-1, 0, NOW),
        (0, spec.organization.rows, NOW),
        (0, -1, NOW),
    ):
        with pytest.raises(ValueError, match="out of range"):
            channel.access(batch(spec, [bank], row, False, arrival))
    with pytest.raises(ValueError, match="decreases"):
        channel.access(batch(spec, [0, 0], 0, False, [5, 4]))
    with pytest.raises(ValueError, match="differ in length"):
        channel.access(AccessBatch(np.zeros(2), np.zeros(1), np.zeros(2), np.zeros(2), NOW))
    with pytest.raises(ValueError, match="out of range"):
        channel.stream([99], [0], [1], False, 1)
    with pytest.raises(ValueError, match="at least one column"):
        channel.stream([0], [0], [0], False, 1)
