"""Is every joule counted exactly once?"""

import numpy as np
import pyarrow as pa
import pytest
from board_samples import RECORD_BYTES, N, energies, epoch, one_pass

from nmsim.access.work import Step
from nmsim.trace.reader import open_trace


@pytest.mark.parametrize("rows_per_phase", [0, 100, 10**9])
@pytest.mark.parametrize("place", ["nmc", "host"])
def test_the_trace_sums_to_the_ledger_in_every_component(execute, rows_per_phase, place):
    steps = one_pass(operations={"mac_int8": 10**6})
    board, writer = execute(steps, [epoch(np.arange(N))], place=place, trace__rows_per_phase=rows_per_phase)
    written = writer.energy_fJ["scheme"]
    expected = energies(board)
    assert {name: written[name] for name in expected} == expected
    assert written["total"] == sum(expected.values())


def test_the_number_of_rows_shown_changes_no_energy(execute):
    boards = [execute(one_pass(), [epoch(np.arange(N))], trace__rows_per_phase=rows)[0] for rows in (0, 5000)]
    assert energies(boards[0]) == energies(boards[1])


def test_single_rows_come_first_and_aggregates_carry_their_count(execute):
    _board, writer = execute(None, [epoch(np.arange(N))], trace__rows_per_phase=50)
    frame = pa.Table.from_batches(open_trace(writer.folder).batches()).to_pandas()
    single = frame[frame["row"] >= 0]
    assert 0 < len(single) <= 50 and (single["count"] == 1).all()
    reads = frame[frame["cmd"] == "RD"]
    assert reads["count"].sum() == N * RECORD_BYTES // 32


def test_every_byte_of_an_epoch_crosses_the_link_once(execute):
    rows = np.random.default_rng(3).permutation(N)[:200]
    board, _ = execute(None, [epoch(rows), epoch(rows[::-1])])
    assert board.meter.total.bytes_of("host") == 2 * 200 * RECORD_BYTES


def test_near_memory_selection_moves_only_control_and_indices_over_the_link(execute):
    steps = one_pass()
    board, _ = execute(steps, [epoch(np.arange(40))])
    before = [phase for phase in board.meter.phases if phase != "training"]
    control_bytes, index_bytes = 64 * len(steps), 40 * 4
    assert board.meter.total.bytes_of("host", before) == control_bytes + index_bytes


def test_host_selection_moves_every_image_over_the_link(execute):
    board, _ = execute(one_pass(), [epoch(np.arange(40))], place="host")
    assert board.meter.total.bytes_of("host", ["scan"]) == N * RECORD_BYTES


def test_without_accesses_only_background_refresh_and_static_power_remain(execute):
    idle = [[Step("training", (), {"cpu_instruction": 10**7})]]
    board, _ = execute(None, idle)
    spent = {name for name, energy in energies(board).items() if energy}
    assert spent == {"background", "ref", "cpu", "soc_static"}


@pytest.mark.parametrize("byte", [0x00, 0xFF])
def test_the_bytes_that_cross_decide_on_the_termination_of_the_images_alone(execute, byte):
    # LVSTL draws current while a line is high: from black images not at all, from white ones twice what
    # half of the bits draw. Nothing else changes.
    records = {"images": np.full((N, RECORD_BYTES), byte, dtype=np.uint8)}
    work = [epoch(np.arange(N))]
    stated, _ = execute(None, work)
    counted, _ = execute(None, work, contents=records, link__data_dependent="true")
    before, after = energies(stated), energies(counted)
    assert after["termination"] == pytest.approx({0x00: 0, 0xFF: 2}[byte] * before["termination"], rel=1e-6)
    assert {k: v for k, v in after.items() if k != "termination"} == pytest.approx(
        {k: v for k, v in before.items() if k != "termination"}, rel=1e-6
    )
