"""Does `replay` count, price and write what the channels did, however the requests come?"""

from dataclasses import replace

import numpy as np
import pytest
from small_memories import memory, small

from nmsim.dram.address import AddressMap, Location
from nmsim.dram.engine import AccessBatch, Channel
from nmsim.errors import ProtocolViolation
from nmsim.system.replay import Commands, check_complete, replay_requests
from nmsim.trace.exporters.commands import CommandFile
from nmsim.trace.importers import Requests

TIMES = ("wall_s", "requests_per_s")


def random_requests(spec, n, seed=3, clk_step=0):
    """Return requests to random places; rows are few, so that some are hit."""
    org, rng = spec.organization, np.random.default_rng(seed)
    channel = rng.integers(0, org.channels, n)
    bank = rng.integers(0, spec.banks_per_channel, n)
    place = Location(channel, bank, rng.integers(0, 4, n), rng.integers(0, spec.row_bursts, n))
    clk = np.cumsum(rng.integers(0, 2 * clk_step, n)) if clk_step else np.empty(0, dtype=np.int64)
    return Requests(place, rng.random(n) < 0.3, clk)


def part(requests, which):
    clk = requests.arrival_clk
    place = Location(*(a[which] for a in requests.place))
    return Requests(place, requests.is_write[which], clk[which] if len(clk) else clk)


def run(memory, chunks, **options):
    result = replay_requests(*memory, chunks, **options)
    return {key: value for key, value in result.items() if key not in TIMES}


@pytest.mark.parametrize("clk_step", [0, 7, 400])
def test_how_requests_are_cut_into_chunks_changes_nothing(clk_step):
    memory = small("lpddr4-3200")
    requests = random_requests(memory[0], 3000, clk_step=clk_step)
    whole = run(memory, [requests])
    for borders in ([0, 1, 2, 50, 51, 2999, 3000], range(0, 3001, 100)):
        pieces = [slice(a, b) for a, b in zip(borders, [*borders[1:], 3000], strict=True)]
        assert run(memory, (part(requests, p) for p in pieces)) == whole


def test_commands_follow_from_requests(preset):
    result = run(preset, [random_requests(preset[0], 20_000)])
    commands = result["commands"]
    assert commands["RD"] + commands["WR"] == result["requests"] == 20_000
    assert result["row_hits"] + result["row_misses"] + result["row_conflicts"] == 20_000
    # What is opened and not closed is open at the end.
    still_open = commands["ACT"] - commands["PRE"]
    assert 0 <= still_open <= preset[0].organization.channels * preset[0].banks_per_channel
    # Each rank is refreshed every nREFI; the last may be late by less than one interval.
    ranks = preset[0].organization.channels * preset[0].organization.ranks
    due = ranks * (result["clocks"] // preset[0].clocks["nREFI"])
    assert due - ranks <= commands["REF"] <= due


def test_time_bytes_and_bandwidth_agree(preset):
    result = run(preset, [random_requests(preset[0], 5000)])
    assert result["time_ps"] == result["clocks"] * preset[0].tCK_ps
    assert result["bytes"] == 5000 * preset[0].access_bytes
    assert result["bandwidth_GBps"] == pytest.approx(result["bytes"] / 1e9 / (result["time_ps"] * 1e-12))


def test_one_row_of_reads_takes_the_closed_form(preset):
    spec = preset[0]
    n = spec.row_bursts
    zeros = np.zeros(n, dtype=np.int64)
    requests = Requests(Location(zeros, zeros, zeros, np.arange(n)), zeros.astype(bool), zeros[:0])
    clocks = spec.clocks
    # ACT at clock 0, RD at nRCD and then every nCCD (one bank group), the last beat nCL + nBL after it.
    expected = clocks["nRCD"] + (n - 1) * clocks["nCCD"] + clocks["nCL"] + clocks["nBL"]
    assert run(preset, [requests])["clocks"] == expected


def test_energy_is_counts_times_a_data_sheets_currents():
    memory_ = memory("ddr4-2400")
    result = run(memory_, [random_requests(memory_[0], 20_000)], refresh_background="precharged")
    counts, energy = result["commands"], result["energy_fJ"]

    def each_fJ(milliamperes, clocks):  # 1.2 V, 8 devices, tCK 0.83 ns; V·A·ps = 1e3 fJ, so mA·V·ps = fJ
        return milliamperes * 1.2 * clocks * 830 * 8

    # IDD0 48, IDD2N 34, IDD3N 43, IDD4R 135, IDD4W 123, IDD5B 250 mA; tRAS 39, tRP 17, burst 4, tRFC 420.
    assert energy["act"] == pytest.approx(counts["ACT"] * each_fJ(48 - 43, 39), rel=1e-6)
    assert energy["pre"] == pytest.approx(counts["PRE"] * each_fJ(48 - 34, 17), rel=1e-6)
    assert energy["rd"] == pytest.approx(counts["RD"] * each_fJ(135 - 43, 4), rel=1e-6)
    assert energy["wr"] == pytest.approx(counts["WR"] * each_fJ(123 - 43, 4), rel=1e-6)
    assert energy["ref"] == pytest.approx(counts["REF"] * each_fJ(250 - 43, 420), rel=1e-6)
    assert each_fJ(34, result["clocks"]) < energy["background"] < each_fJ(43, result["clocks"])
    assert energy["total"] == sum(value for name, value in energy.items() if name != "total")


def test_the_two_conventions_of_refresh_differ_in_background_alone():
    memory_ = memory("ddr4-2400")
    requests = random_requests(memory_[0], 40_000)
    active, precharged = (
        run(memory_, [requests], refresh_background=c)["energy_fJ"] for c in ("active", "precharged")
    )
    refreshes = run(memory_, [requests])["commands"]["REF"]
    # (IDD3N - IDD2N) = 9 mA for tRFC = 420 clocks of 830 ps, at 1.2 V, in 8 devices: the difference by which
    # DRAMPower and DRAMsim3 are apart.
    extra = refreshes * 9 * 1.2 * 420 * 830 * 8
    assert refreshes > 10
    assert active["background"] - precharged["background"] == pytest.approx(extra, rel=1e-6)
    assert active["total"] - precharged["total"] == active["background"] - precharged["background"]


def test_channels_are_independent_and_wait_for_the_last():
    spec, controller = memory("lpddr4-3200")
    requests = random_requests(spec, 8000)
    both = run((spec, controller), [requests])
    alone = []
    for channel in range(2):
        mine = part(requests, requests.place.channel == channel)
        alone.append(run((spec, controller), [mine]))
    assert both["clocks"] == max(one["clocks"] for one in alone)
    for name in ("ACT", "RD", "WR"):
        assert both["commands"][name] == sum(one["commands"][name] for one in alone)
    # A refresh while the one that is done waits for the other may close its banks.
    more = both["commands"]["PRE"] - sum(one["commands"]["PRE"] for one in alone)
    assert 0 <= more <= spec.banks_per_channel
    swapped = requests._replace(place=requests.place._replace(channel=1 - requests.place.channel))
    assert run((spec, controller), [swapped]) == both


def test_all_ranks_are_on_standby_up_to_the_last_beat():
    spec, controller = memory("lpddr4-3200")
    zeros = np.zeros(1, dtype=np.int64)
    late = Requests(Location(zeros, zeros, zeros, zeros), zeros.astype(bool), zeros + 10**6)
    energy = run((spec, controller), [late], refresh_background="precharged")["energy_fJ"]["background"]
    # Both channels for a million clocks at IDD2N: (1.8 V * 2 + 1.1 V * 27 + 1.1 V * 0.75) mA for 625 ps.
    assert energy == pytest.approx(2 * 10**6 * (1.8 * 2 + 1.1 * 27 + 1.1 * 0.75) * 625, rel=1e-3)


def test_a_pause_of_hours_takes_no_time_and_loses_no_refresh():
    spec, controller = memory("ddr4-2400")
    start = random_requests(spec, 500)
    # A queue of 4096 conflicts outlasts many refresh intervals behind the pause's beginning.
    controller = replace(controller, read_queue=4096)
    pause = 10**13
    later = start._replace(arrival_clk=np.full(500, pause))
    start = start._replace(arrival_clk=np.zeros(500, dtype=np.int64))
    result = run((spec, controller), [start, later])
    assert result["clocks"] - pause == pytest.approx(run((spec, controller), [start])["clocks"], abs=700)
    assert result["commands"]["REF"] == result["clocks"] // spec.clocks["nREFI"]
    assert result["row_hits"] + result["row_misses"] + result["row_conflicts"] == 1000


def test_a_long_queue_before_a_pause_is_served_once():
    spec, controller = small("lpddr4-3200")
    controller = replace(controller, read_queue=4096)
    n = 2000
    place = Location(np.zeros(n, int), np.zeros(n, int), np.arange(n) % 16, np.zeros(n, int))
    clk = np.zeros(n, dtype=np.int64)
    first, last = Requests(place, np.zeros(n, bool), clk), Requests(
        Location(*(a[:1] for a in place)), np.zeros(1, bool), clk[:1] + 10**7
    )  # fmt: skip
    result = run((spec, controller), [first, last])
    assert result["requests"] == result["commands"]["RD"] == n + 1


def commands_in(path):
    lines = [line.split(",") for line in path.read_text().splitlines()]
    return lines[:-1], lines[-1]


@pytest.mark.parametrize("clk_step", [0, 50, 5000])
def test_the_command_file_is_what_was_counted(tmp_path, clk_step):
    spec, controller = small("ddr4-2400")
    controller = replace(controller, power_down_idle_clk=100)
    requests = random_requests(spec, 2000, clk_step=clk_step)
    chunks = [part(requests, slice(0, 700)), part(requests, slice(700, 2000))]
    counted = run((spec, controller), chunks, commands=Commands(tmp_path / "c.csv"))
    assert counted == run((spec, controller), [requests])
    lines, end = commands_in(tmp_path / "c.csv")
    written = [line[1] for line in lines]
    for name in ("ACT", "RD", "WR"):
        assert written.count(name) == counted["commands"][name]
    assert written.count("REFA") == counted["commands"]["REF"]
    assert written.count("PDEA") + written.count("PDEP") == counted["commands"]["PDE"]
    assert end[:2] == [str(counted["clocks"]), "END"]
    assert {len(line) for line in lines} == {7}
    clk = [int(line[0]) for line in lines]
    assert clk == sorted(clk) and clk[-1] < counted["clocks"]
    # Columns as they were asked for: rank, group, bank (counted within the rank), row, column.
    org = spec.organization
    read = [tuple(map(int, line[2:])) for line in lines if line[1] in ("RD", "WR")]
    group, bank = np.divmod(requests.place.bank, org.banks)
    rank, bankgroup = np.divmod(group, org.bankgroups)
    place = (rank, bankgroup, bankgroup * org.banks + bank, requests.place.row, requests.place.column)
    asked = zip(*(a.tolist() for a in place), strict=True)
    assert sorted(read) == sorted(asked)


def test_power_down_is_named_by_whether_a_bank_is_open(tmp_path):
    spec, controller = small("ddr4-2400")
    controller = replace(controller, power_down_idle_clk=100)
    run(
        (spec, controller), [random_requests(spec, 500, clk_step=2000)], commands=Commands(tmp_path / "c.csv")
    )
    open_banks, seen = {0: set(), 1: set()}, set()
    for line in commands_in(tmp_path / "c.csv")[0]:
        name, rank, bank = line[1], int(line[2]), line[4]
        if name[:2] == "PD":
            assert name[3] == ("A" if open_banks[rank] else "P")
            seen.add(name)
        elif name == "ACT":
            open_banks[rank].add(bank)
        elif name == "PRE":
            open_banks[rank].remove(bank)
        elif name == "PREA":
            open_banks[rank].clear()
    assert seen == {"PDEA", "PDEP", "PDXA", "PDXP"}


def test_each_channel_has_a_command_file_of_its_own(tmp_path):
    preset = memory("lpddr4-3200")
    counted = run(preset, [random_requests(preset[0], 300)], commands=Commands(tmp_path / "c.csv"))[
        "commands"
    ]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.channel0.csv", "c.channel1.csv"]
    both = [line[1] for p in tmp_path.iterdir() for line in commands_in(p)[0]]
    assert both.count("RD") == counted["RD"] and both.count("REFA") == counted["REF"]


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_change_neither_a_result_nor_a_byte_of_the_commands(tmp_path, threads):
    spec, controller = small("lpddr4-3200")
    spec = replace(spec, organization=replace(spec.organization, channels=4))
    requests = random_requests(spec, 20_000, clk_step=3)
    chunks = [part(requests, slice(a, a + 1000)) for a in range(0, 20_000, 1000)]
    results, files = [], []
    for n in (1, threads):
        path = tmp_path / f"{n}.csv"
        results.append(run((spec, controller), chunks, commands=Commands(path), threads=n))
        files.append([p.read_bytes() for p in sorted(tmp_path.glob(f"{n}.channel*.csv"))])
    assert results[0] == results[1]
    assert len(files[0]) == 4 and files[0] == files[1]


def test_an_illegal_command_leaves_no_file(tmp_path):
    spec, controller = small("ddr4-2400")
    strict = replace(spec, timing={**spec.timing, "nRCD": spec.timing["nRCD"] + 1})
    place, is_write, clk = random_requests(spec, 100)
    batch = AccessBatch(place.bank, place.row, place.column, is_write, clk)
    activity = Channel(spec, controller, log_rows=10_000).access(batch)
    with pytest.raises(ProtocolViolation, match="tRCD"), CommandFile(tmp_path / "c.csv", strict) as file:
        file.write(activity.log)
        file.end(activity.end_clk)
    assert list(tmp_path.iterdir()) == []


def test_a_log_with_gaps_is_not_written():
    spec, controller = small("ddr4-2400")
    place, is_write, clk = random_requests(spec, 100)
    batch = AccessBatch(place.bank, place.row, place.column, is_write, clk)
    activity = Channel(spec, controller, log_rows=50).access(batch)
    with pytest.raises(RuntimeError, match="too short"):
        check_complete(activity)


def test_chunks_are_taken_one_by_one_and_not_kept():
    spec, controller = memory("ddr4-2400")
    alive, most = 0, 0

    class Counted(np.ndarray):
        def __del__(self):
            nonlocal alive
            alive -= self.base is not None and self.dtype == bool and len(self) == 1000

    def chunks():
        nonlocal alive, most
        for seed in range(30):
            requests = random_requests(spec, 1000, seed)
            is_write = requests.is_write.view(Counted)
            alive += 1
            most = max(most, alive)
            yield requests._replace(is_write=is_write)

    assert run((spec, controller), chunks())["requests"] == 30_000
    assert most <= 3


def test_addresses_and_places_are_the_same_requests():
    spec, controller = memory("ddr4-2400")
    requests = random_requests(spec, 2000)
    address_map = AddressMap(spec, controller.address_map)
    again = requests._replace(place=address_map.decode(address_map.encode(requests.place)))
    assert run((spec, controller), [again]) == run((spec, controller), [requests])
