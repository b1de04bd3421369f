"""Commands as lines of DRAMPower 5 (repository tukl-msd/DRAMPower)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nmsim.compiled import njit
from nmsim.dram.activity import CommandLog
from nmsim.dram.commands import (
    ACT,
    COLUMN_COMMANDS,
    COMMANDS,
    N_COMMANDS,
    PDE,
    PDX,
    RDA,
    WRA,
    PREab,
    PREpb,
)
from nmsim.dram.spec import DramSpec
from nmsim.trace.exporters.lines import comma_lines

#: nmsim's names -> DRAMPower's (its command/CmdType.h). Entry to and exit from power-down have two names
#: each, which end in A or P by whether a bank of the rank is open; REFpb is in `_refresh_name`.
_NAMES = {
    "PREpb": "PRE",
    "ACT": "ACT",
    "RD": "RD",
    "WR": "WR",
    "RDA": "RDA",
    "WRA": "WRA",
    "PREab": "PREA",
    "REFab": "REFA",
    "PDE": "PDEP",
    "PDX": "PDXP",
    "SRE": "SREFEN",
    "SRX": "SREFEX",
}
_WITH_A_BANK_OPEN = {"PDE": "PDEA", "PDX": "PDXA"}


class DrampowerLines:
    """Writes `cycle,CMD,rank,bankgroup,bank,row,col[,data]` lines, and `END` at last.

    Banks are counted through within a rank, as DRAMPower does; columns in bursts; what a command has not is
    0. DRAMPower's own command line wants the data of every read and write. nmsim knows no contents and
    writes zeros of a burst's length, so that only DRAMPower's core energy means something.

    Parameters
    ----------
    spec : DramSpec
    with_data : bool
    """

    def __init__(self, spec: DramSpec, with_data: bool):
        self._banks = spec.organization.banks
        self._is_open = np.zeros((spec.organization.ranks, spec.banks_per_rank), dtype=np.bool_)
        data = "," + "00" * spec.access_bytes if with_data else ""
        names = [_NAMES.get(command) or _refresh_name(spec) for command in COMMANDS]
        opened = [_WITH_A_BANK_OPEN.get(command, name) for command, name in zip(COMMANDS, names, strict=True)]
        self._names = pa.array(names + opened)
        self._data = pa.array([data if command in COLUMN_COMMANDS else "" for command in COMMANDS])

    def head(self) -> bytes:
        """Return what comes before the first command: nothing."""
        return b""

    def body(self, log: CommandLog, keep: np.ndarray) -> bytes:
        """Return the lines of those commands of a log that are kept."""
        bank = np.maximum(log.bankgroup, 0) * self._banks + np.maximum(log.bank, 0)
        name = log.command.copy()
        _mark_open(log.command, log.rank, bank, self._is_open, name)
        name, command, column = name[keep], log.command[keep], np.maximum(log.column[keep], 0)
        places = [np.maximum(p[keep], 0) for p in (log.rank, log.bankgroup, bank, log.row)]
        # The data hang on the column, as only some lines have them.
        last = pc.binary_join_element_wise(
            pa.array(column).cast(pa.string()), self._data.take(pa.array(command)), ""
        )
        return comma_lines([log.clk[keep], self._names.take(pa.array(name)), *places, last])

    def tail(self, clk: int) -> bytes:
        """Return the last line: everything was over at clock `clk`."""
        return f"{clk},END,0,0,0,0,0\n".encode()


def _refresh_name(spec: DramSpec) -> str:
    """Return DRAMPower's name of REFpb: one bank, one of each bank group (DDR5), or two banks (LPDDR5)."""
    sets = spec.refresh_sets
    if sets == spec.banks_per_rank:
        return "REFB"
    return "REFSB" if sets == spec.organization.banks else "REFP2B"


@njit(cache=True)
def _mark_open(
    command: np.ndarray, rank: np.ndarray, bank: np.ndarray, is_open: np.ndarray, name: np.ndarray
) -> None:
    """Add N_COMMANDS to the names of PDE and PDX of ranks with an open bank; `is_open` goes on."""
    for i in range(len(command)):
        kind, r = command[i], rank[i]
        if kind == ACT:
            is_open[r, bank[i]] = True
        elif kind in (PREpb, RDA, WRA):
            is_open[r, bank[i]] = False
        elif kind == PREab:
            is_open[r, :] = False
        elif kind in (PDE, PDX) and is_open[r].any():
            name[i] += N_COMMANDS
