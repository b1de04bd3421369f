"""Commands as Ramulator 2.1 records them (repository CMU-SAFARI/ramulator2, plug-in CmdTraceRecorder)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from nmsim.dram.activity import CommandLog
from nmsim.dram.commands import COMMANDS
from nmsim.dram.spec import DramSpec
from nmsim.trace.exporters.lines import comma_lines

#: Ramulator's number of what asked for a command: 0 a read, 1 a write, -1 the controller itself.
_TYPES = np.array([{"RD": 0, "RDA": 0, "WR": 1, "WRA": 1}.get(command, -1) for command in COMMANDS])


class RamulatorLines:
    """Writes a heading and `clock,command,<levels>,type,source` lines.

    The levels are Channel, Rank, BankGroup (where the memory has several), Bank in its group, Row and Column
    in bursts; what a command has not is -1. Ramulator's names of commands are nmsim's; it has none for
    power-down and self-refresh, which keep nmsim's, and it splits the activation of LPDDR5 in two, which is
    one here. `type` is known of column commands only, and `source` of none; both are -1 elsewhere.

    Parameters
    ----------
    spec : DramSpec
    channel : int
    """

    def __init__(self, spec: DramSpec, channel: int):
        self._channel, self._has_groups = channel, spec.organization.bankgroups > 1
        self._names = pa.array(COMMANDS)

    def head(self) -> bytes:
        """Return the heading."""
        group = "BankGroup," if self._has_groups else ""
        return f"clock,command,Channel,Rank,{group}Bank,Row,Column,type,source\n".encode()

    def body(self, log: CommandLog, keep: np.ndarray) -> bytes:
        """Return the lines of those commands of a log that are kept."""
        command = log.command[keep]
        groups = [log.bankgroup[keep]] if self._has_groups else []
        constant = np.ones_like(command)
        return comma_lines(
            [
                log.clk[keep],
                self._names.take(pa.array(command)),
                self._channel * constant,
                log.rank[keep],
                *groups,
                *(place[keep] for place in (log.bank, log.row, log.column)),
                _TYPES[command],
                -constant,
            ]
        )

    def tail(self, clk: int) -> bytes:
        """Return what comes after the last command: nothing."""
        return b""
