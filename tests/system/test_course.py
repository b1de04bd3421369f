"""Does the board's time behave as physics says?"""

import numpy as np
import pytest
from board_samples import BOARDS, GROUPS, RECORD_BYTES, N, energies, epoch, one_pass

from nmsim.access.work import Step, Transfer
from nmsim.config import load_config
from nmsim.errors import ConfigError
from nmsim.system.board_checks import check_board


def duration_ps(board, phase="training"):
    return board.meter.phases[phase][1]


def test_a_memory_bound_epoch_takes_its_bytes_over_the_refresh_limited_bandwidth(execute):
    board, _ = execute(None, [epoch(np.arange(N), batch=N)])
    # Two channels of 32 B in 8 clocks of 625 ps; all-bank refresh takes nRFCab/nREFI = 448/6246 of the time.
    peak_B_per_ps = 2 * 32 / (8 * 625)
    bound = N * RECORD_BYTES / peak_B_per_ps / (1 - 448 / 6246)
    # Each image of 96 bursts goes on into another row of its bank: RD to PRE, nRPpb, nRCD in 96 · 8 clocks.
    crossing = 1 + (12 + 29 + 29) / (96 * 8)
    assert bound <= duration_ps(board) <= 1.02 * crossing * bound


def test_a_compute_bound_epoch_takes_its_operations_and_the_first_load(execute):
    board, _ = execute(None, [epoch(np.arange(N), macs=10**8)])
    # 16 · 16 lanes · 1 GHz · 0.6
    compute_ps = 10 * 10**8 / (256 * 1e9 * 0.6) * 1e12
    load_ps = 40 * RECORD_BYTES / (2 * 32 / (8 * 625))
    assert compute_ps <= duration_ps(board) <= compute_ps + 2 * load_ps


def test_units_beside_the_banks_stream_faster_than_the_link(execute):
    near, _ = execute(one_pass(), [epoch(np.arange(40))])
    host, _ = execute(one_pass(), [epoch(np.arange(40))], place="host")
    assert duration_ps(near, "scan") < 0.5 * duration_ps(host, "scan")


def test_a_row_stream_matches_its_closed_form(execute):
    # One class, one bank: 100 images of 1.5 rows. A row of n columns takes
    # nRCD + (n - 1)·p + max(p, RD to PRE) + nRPpb, with p = nCCD = 8 and RD to PRE = 8 + max(8, 12) - 8 = 12:
    # 29 + 63·8 + 12 + 29 clocks for a full row.
    class_0 = Step("scan", (Transfer("images", np.flatnonzero(GROUPS == 0)),), group=0)
    board, _ = execute([class_0], [epoch(np.arange(4))], near_memory__data_placement="class_per_bank")
    rows = 100 * RECORD_BYTES // 2048
    exact_ps = rows * (29 + 63 * 8 + 12 + 29) * 625
    refresh = 1 / (1 - 448 / 6246)
    assert exact_ps <= duration_ps(board, "scan") <= 1.03 * exact_ps * refresh


def test_classes_in_different_banks_run_side_by_side(execute):
    alone = [one_pass()[0]]
    one, _ = execute(alone, [epoch(np.arange(4))], near_memory__data_placement="class_per_bank")
    all_four, _ = execute(one_pass(), [epoch(np.arange(4))], near_memory__data_placement="class_per_bank")
    assert duration_ps(all_four, "scan") < 1.1 * duration_ps(one, "scan")


def test_a_unit_at_the_bank_is_at_least_as_fast_as_one_further_out(execute):
    times = [
        duration_ps(execute(one_pass(), [epoch(np.arange(4))], near_memory__placement=place)[0], "scan")
        for place in ("bank", "bankgroup", "rank")
    ]
    assert times[0] < times[1] and times[0] < times[2]


def test_a_byte_costs_more_the_further_its_unit_is_from_the_cell(execute):
    moved = []
    for place in ("bank", "bankgroup", "rank"):
        spent = energies(execute(one_pass(), [epoch(np.arange(4))], near_memory__placement=place)[0])
        moved.append(sum(spent[c] for c in ("rd", "on_die_bus", "phy", "termination", "controller")))
    host = energies(execute(one_pass(), [epoch(np.arange(4))], place="host")[0])
    moved.append(sum(host[c] for c in ("rd", "on_die_bus", "phy", "termination", "controller")))
    assert moved == sorted(moved) and len(set(moved)) == 4


@pytest.mark.parametrize("place", ["nmc", "host"])
def test_a_repeat_that_is_counted_costs_what_a_simulated_one_does(execute, place):
    counted, _ = execute(one_pass(repeat=100), [epoch(np.arange(4))], place=place, simulation__iterations=2)
    simulated, _ = execute(
        one_pass(repeat=100), [epoch(np.arange(4))], place=place, simulation__iterations=100
    )
    assert counted.meter.all_accesses == simulated.meter.all_accesses == simulated.meter.simulated_accesses
    assert counted.meter.simulated_accesses < simulated.meter.simulated_accesses
    assert duration_ps(counted, "scan") == pytest.approx(duration_ps(simulated, "scan"), rel=0.03)
    assert sum(energies(counted).values()) == pytest.approx(sum(energies(simulated).values()), rel=0.03)


def test_epochs_that_are_scaled_cost_what_simulated_ones_do(execute):
    epochs = [epoch(np.random.default_rng(e).permutation(N)) for e in range(6)]
    every, _ = execute(None, epochs)
    two, _ = execute(None, epochs, simulation__epochs=2)
    assert two.meter.all_accesses == every.meter.all_accesses
    assert len(two.epochs) == 2 and len(every.epochs) == 6
    assert sum(energies(two).values()) == pytest.approx(sum(energies(every).values()), rel=0.02)


def test_a_longer_trace_adds_time_of_flight_and_only_unterminated_energy(execute):
    terminated = [
        energies(execute(None, [epoch(np.arange(N))], link__length=f"{mm} mm")[0]) for mm in ("30", "60")
    ]
    # (Refresh meets other accesses when these come later, so that some rows are opened once more or less.)
    for component in ("rd", "on_die_bus", "phy", "termination", "trace", "controller"):
        assert terminated[0][component] == terminated[1][component]
    open_line = [
        energies(
            execute(None, [epoch(np.arange(N))], link__length=f"{mm} mm", link__signalling="unterminated")[0]
        )
        for mm in ("30", "60")
    ]
    assert open_line[1]["trace"] == pytest.approx(2 * open_line[0]["trace"], rel=1e-3)


def test_the_same_work_gives_the_same_trace_twice(execute):
    frames = [execute(one_pass(), [epoch(np.arange(N))])[0].frame() for _ in range(2)]
    assert frames[0].equals(frames[1])


@pytest.mark.parametrize(
    "choice", ["near_memory.data_placement=interleaved", "selection.de_sne.scope=global"]
)
def test_what_no_unit_could_do_is_refused_near_memory_and_allowed_elsewhere(choice):
    with pytest.raises(ConfigError, match=r"no near-memory unit holds|no path joins") as refusal:
        check_board(load_config(BOARDS / "lpddr4.yaml", [choice]))
    assert refusal.value.file == f"--set {choice}"
    check_board(load_config(BOARDS / "lpddr4.yaml", [choice, "schemes=[full, de-sne@host]"]))


def test_the_scope_of_any_method_is_held_to_what_its_units_reach():
    sets = ["selection.methods.adapsne.scope=global"]
    with pytest.raises(ConfigError, match=r"no path joins.*leave adapsne@nmc out"):
        check_board(load_config(BOARDS / "lpddr4.yaml", [*sets, "schemes=[full, de-sne@nmc, adapsne@nmc]"]))
    check_board(load_config(BOARDS / "lpddr4.yaml", [*sets, "schemes=[full, de-sne@nmc, adapsne@host]"]))


def test_power_down_saves_standby_energy_and_costs_little_time(execute):
    epochs = [epoch(np.arange(N), macs=10**8)]  # compute-bound: the memory idles most of the time
    awake, _ = execute(None, epochs)
    asleep, _ = execute(None, epochs, memory__controller__power_down_idle="200 ns")
    assert energies(asleep)["background"] < 0.6 * energies(awake)["background"]
    assert duration_ps(asleep) == pytest.approx(duration_ps(awake), rel=0.01)


@pytest.mark.parametrize("data", ["striped", "class_per_bank"])
@pytest.mark.parametrize("placement", ["bank", "bankgroup", "rank"])
def test_no_placement_computes_faster_than_its_lanes(execute, placement, data):
    macs = 10**7
    board, _ = execute(
        one_pass(operations={"mac_int8": macs}),
        [epoch(np.arange(4))],
        near_memory__placement=placement,
        near_memory__data_placement=data,
    )
    # 4 classes on 2 channels; of a channel's units only those work that have a class (striped: all of them).
    units = 2 * {"bank": 8, "bankgroup": 1, "rank": 1}[placement]
    bound_ps = 4 * macs / (units * 16 * 300e6) * 1e12
    assert duration_ps(board, "scan") >= bound_ps * (1 - 1e-9)


@pytest.mark.parametrize("place", ["nmc", "host"])
@pytest.mark.parametrize("macs", [10**3, 10**5, 10**7])
def test_refreshes_of_counted_repeats_fit_their_time(execute, place, macs):
    step = Step("scan", (Transfer("images", np.arange(0, 32, 4)),), {"mac_int8": macs}, group=0, repeat=3000)
    board, _ = execute([step], [epoch(np.arange(4))], place=place, trace__rows_per_phase=0)
    frame = board.frame()
    refreshes = frame[(frame["cmd"] == "REFab") & (frame["phase"] == "scan")]["count"].sum()
    expected = 2 * duration_ps(board, "scan") / (6246 * 625)  # two channels, nREFI clocks of 625 ps
    assert refreshes == pytest.approx(expected, rel=0.05, abs=3)


def test_the_epochs_energies_sum_to_that_of_the_training(execute):
    # What is left is the refresh and standby between the last access and the end of the phase.
    board, _ = execute(None, [epoch(np.arange(N), macs=10**7)] * 3)
    assert sum(board.course().epoch_energies_fJ(board.prices)) == pytest.approx(
        sum(energies(board).values()), rel=1e-3
    )
