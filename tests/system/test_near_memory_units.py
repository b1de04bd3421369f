"""Do the units beside the memory count, and take the time of, what they do?"""

import numpy as np
import pytest
from board_samples import GROUPS, RECORD_BYTES, N, energies, epoch, one_pass

from nmsim.access.work import Step, Transfer


def counts(board, phase="scan"):
    """Return the units' counts of each kind of work in a phase."""
    frame = board.frame()
    mine = frame[(frame["phase"] == phase) & (frame["source"] == "nmc")]
    return mine.groupby("cmd")["count"].sum().to_dict()


def queries(broadcast_bytes=0, gather=0, operations=None):
    """Return one step of class 0: ten queries are sent to all units, the others of the class stream past."""
    members = np.flatnonzero(GROUPS == 0)
    moves = (Transfer("images", members[:10], broadcast=True), Transfer("images", members[10:]))
    return [Step("scan", moves, operations or {}, broadcast_bytes, gather, group=0)]


def scan_ps(board):
    return board.meter.phases["scan"][1]


@pytest.mark.parametrize(("name", "units"), [("lpddr4", 8), ("ddr4_2400", 16 * 8)])
def test_what_is_broadcast_is_written_into_the_buffer_of_every_unit(execute, name, units):
    board, _ = execute(queries(broadcast_bytes=100, gather=7), [epoch(np.arange(4))], board=name)
    done = counts(board)
    sent = 10 * RECORD_BYTES + 100
    assert done["BROADCAST"] == sent
    # and what all units send is written into the collector's
    assert done["SRAM"] == 8 * (sent * units + 7 * units)
    # on one die units listen while a record rises; from one to another it goes by way of the controller
    assert done["GATHER"] == 7 * units + (10 * RECORD_BYTES if name == "ddr4_2400" else 0)


def test_a_unit_has_an_instruction_for_every_operation_of_all_lanes(execute):
    board, _ = execute(queries(operations={"mac_int8": 16_000, "compare": 320}), [epoch(np.arange(4))])
    assert counts(board)["cpu_instruction"] == (16_000 + 320) / 16


def test_a_bank_of_eight_devices_has_eight_units_lanes_and_leakages(execute):
    macs = 2 * 10**7
    work = one_pass(operations={"mac_int8": macs})
    board, _ = execute(work, [epoch(np.arange(4))], board="ddr4_2400")
    assert board.units.units == 16 * 8
    assert counts(board)["LEAKAGE"] == 16 * 8 * scan_ps(board)
    bound_ps = 4 * macs / (16 * 8 * 16 * 300e6) * 1e12
    # 100 images over 16 banks: the busiest has 7, not 6.25; and refresh closes rows.
    assert bound_ps <= scan_ps(board) < 2 * bound_ps


def test_units_at_the_rank_do_not_wait_for_the_trace_and_the_host_does(execute):
    for place, waits in (("nmc", False), ("host", True)):
        near, far = (
            execute(one_pass(), [epoch(np.arange(4))], place=place, near_memory__placement="rank",
                    link__length=f"{mm} mm")[0] for mm in (30, 600)
        )  # fmt: skip
        assert (scan_ps(far) > scan_ps(near)) == waits
        trace = {name: energies(near)[name] for name in ("trace", "controller")}
        assert trace["controller"] < energies(far)["controller"] * 1.01


@pytest.mark.parametrize("placement", ["bank", "rank"])
def test_two_ranks_work_side_by_side(execute, placement):
    one, two = (
        execute(one_pass(), [epoch(np.arange(4))], near_memory__placement=placement,
                memory__organization__ranks=ranks)[0] for ranks in (1, 2)
    )  # fmt: skip
    assert two.units.units == 2 * one.units.units
    # 100 images of a class over 16 banks: the busier rank has 52.
    assert scan_ps(one) / 2 < scan_ps(two) < 0.52 * 1.1 * scan_ps(one)


def test_a_rank_reads_no_faster_than_its_pins(execute):
    board, _ = execute(one_pass(), [epoch(np.arange(4))], near_memory__placement="rank")
    # Two channels, each 32 B in 8 clocks of 625 ps.
    assert scan_ps(board) >= N * RECORD_BYTES / (2 * 32 / (8 * 625))
