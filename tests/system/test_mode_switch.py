"""Do entering and leaving near-memory mode cause the accesses that the board says, and nothing more?"""

import numpy as np
import pyarrow as pa
import pytest
from board_samples import BOARDS, energies, epoch, one_pass

from nmsim.config import load_config
from nmsim.errors import ConfigError
from nmsim.system.board_checks import check_board
from nmsim.trace.reader import open_trace


def switching(reads, writes):
    keys = {"park_reads": reads, "register_writes": writes}
    return {f"near_memory__mode_switch__{key}": value for key, value in keys.items()}


def commands(board, phase="mode_switch"):
    """Return how many of each command the host caused in a phase."""
    frame = board.frame()
    return frame[(frame["phase"] == phase) & (frame["source"] == "host")].groupby("cmd")["count"].sum()


@pytest.mark.parametrize(("reads", "writes"), [(1, 0), (0, 5), (2, 11)])
@pytest.mark.parametrize("ranks", [1, 2])
def test_every_bank_is_read_and_every_rank_written_both_ways(execute, ranks, reads, writes):
    kept = switching(reads, writes) | {"memory__organization__ranks": ranks}
    board, _ = execute(one_pass(), [epoch(np.arange(40))], **kept)
    found, channels, banks = commands(board), 2, 8
    assert found.get("RD", 0) == channels * ranks * banks * reads
    assert found.get("WR", 0) == channels * ranks * 2 * writes
    # Reads open a row of each bank, in which the writes after them find it; on leaving all rows are closed.
    opened = (banks if reads else min(writes, banks)) + min(writes, banks)
    assert found["ACT"] == channels * ranks * opened


def test_without_accesses_a_switch_is_its_times_and_standby(execute):
    board, _ = execute(one_pass(), [epoch(np.arange(40))])
    assert commands(board).empty and board.meter.phases["mode_switch"][1] == 32_000
    frame = board.frame().query("phase == 'mode_switch'")
    assert set(frame["source"]) <= {"dram", "soc"}


def test_a_park_read_takes_as_long_as_its_row_does_to_open(execute):
    plain, _ = execute(one_pass(), [epoch(np.arange(40))])
    parked, _ = execute(one_pass(), [epoch(np.arange(40))], **switching(1, 0))
    more_ps = parked.meter.phases["mode_switch"][1] - plain.meter.phases["mode_switch"][1]
    # Eight banks: ACTs nRRD = 16 clocks apart and four in nFAW = 64, then nRCD + nCL + nBL = 65 for the last;
    # at most nRP = 29 and an ACT's wait for the pins before, 30 mm of flight there and back after.
    assert (7 * 16 + 65) * 625 <= more_ps <= (7 * 17 + 65 + 2 * 29) * 625 + 1000


@pytest.mark.parametrize("rows_per_phase", [0, 7, 10**9])
def test_the_trace_shows_the_accesses_where_they_are_and_sums_to_the_ledger(execute, rows_per_phase):
    board, writer = execute(
        one_pass(), [epoch(np.arange(40))], trace__rows_per_phase=rows_per_phase, **switching(1, 4)
    )
    written, expected = writer.energy_fJ["scheme"], energies(board)
    assert {name: written[name] for name in expected} == expected
    frame = pa.Table.from_batches(open_trace(writer.folder).batches()).to_pandas()
    registers = frame[frame["array"] == "mode_registers"]
    assert set(registers["phase"]) == {"mode_switch"} and set(registers["source"]) == {"host"}
    columns = registers["cmd"].isin(["RD", "WR"])
    assert registers[columns]["count"].sum() == 2 * (8 + 2 * 4)
    assert registers[columns]["bytes"].sum() == 32 * 2 * (8 + 2 * 4)
    shown = registers[columns & (registers["row"] >= 0)]
    assert (shown["row"] == board.layout.geometry.rows - 1).all() and len(shown) <= 2 * rows_per_phase
    # Sums span from entering to the end of leaving: from the end of `control` to the beginning of `indices`.
    phases = board.meter.phases
    sums = frame[(frame["phase"] == "mode_switch") & (frame["cmd"] == "STATIC")].iloc[0]
    assert sums["t_ps"] == phases["mode_switch"][0] == sum(phases["control"])
    assert sums["t_ps"] + sums["dur_ps"] == phases["indices"][0]
    assert phases["mode_switch"][1] == sums["dur_ps"] - phases["scan"][1]


@pytest.mark.parametrize("data", ["striped", "class_per_bank"])
def test_no_data_lies_in_a_reserved_row(execute, data):
    # A memory so small that one row of all banks less is the difference.
    rows = {"memory__organization__rows": 256, "near_memory__data_placement": data}
    for switch in (switching(0, 0), switching(1, 0), switching(0, 1)):
        _, writer = execute(one_pass(), [epoch(np.arange(40))], trace__level="access", **rows, **switch)
        frame = pa.Table.from_batches(open_trace(writer.folder).batches()).to_pandas()
        accessed = frame[frame["cmd"].isin(["RD", "WR"])]
        in_last = set(accessed[accessed["row"] == 255]["array"])
        assert in_last == ({"control", "indices"} if switch == switching(0, 0) else {"mode_registers"})


@pytest.mark.parametrize("fields", ["RaRoBaCoCh", "BaRoRaCoCh", "ChRoBaRaCo"])
def test_an_address_map_that_spreads_data_over_the_last_rows_is_refused(tmp_path, fields):
    path = tmp_path / "board.yaml"
    path.write_text(
        f"extends: {BOARDS / 'lpddr4.yaml'}\nnear_memory:\n  mode_switch:\n    park_reads: 1\n"
        f"memory:\n  organization:\n    ranks: 2\n  controller:\n    address_map: {fields}\n"
    )
    with pytest.raises(ConfigError, match="last row of every bank") as refusal:
        check_board(load_config(path))
    assert (refusal.value.file, refusal.value.line) == (str(path), 9)
    check_board(load_config(path, ["near_memory.mode_switch.park_reads=0"]))
    check_board(load_config(path, ["memory.controller.address_map=RoRaBaCoCh"]))


def test_a_field_with_one_value_may_stand_before_the_row():
    sets = ["near_memory.mode_switch.park_reads=1", "memory.controller.address_map=RaRoBaCoCh"]
    check_board(load_config(BOARDS / "lpddr4.yaml", sets))
