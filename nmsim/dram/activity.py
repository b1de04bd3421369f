"""What a memory channel did: its commands, counted and logged, and the time it spent in each state."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nmsim.dram.commands import MOVES_BURST, REFab, REFpb


@dataclass(frozen=True, eq=False)
class CommandLog:
    """The first commands of an activity, by clock; arrays of int64, shape (n,), and `near_memory` of bool.

    Attributes
    ----------
    clk : ndarray
    command : ndarray
        Index into `nmsim.dram.commands.COMMANDS`.
    rank, bankgroup, bank : ndarray
        `bank` within its group; -1 in `bankgroup` and `bank` for commands to a whole rank.
    row, column : ndarray
        -1 where the command has none; a precharge names the row that it closes.
    outcome : ndarray
        Of column commands, an index into `OUTCOMES`; of ACT and PREpb what their request became; else -1.
    closed : ndarray
        Banks that a precharge closes.
    near_memory : ndarray of bool
        True for commands of the sequencers beside the banks, refresh included.
    """

    clk: np.ndarray
    command: np.ndarray
    rank: np.ndarray
    bankgroup: np.ndarray
    bank: np.ndarray
    row: np.ndarray
    column: np.ndarray
    outcome: np.ndarray
    closed: np.ndarray
    near_memory: np.ndarray

    def __len__(self) -> int:
        return len(self.clk)

    @staticmethod
    def concatenate(logs: list[CommandLog]) -> CommandLog:
        """Return the logs one after another."""
        logs = [log for log in logs if len(log)] or logs[:1]
        if len(logs) == 1:
            return logs[0]
        columns = {f: np.concatenate([getattr(g, f) for g in logs]) for f in CommandLog.__annotations__}
        return CommandLog(**columns)


_NOTHING = np.empty(0, dtype=np.int64)
_NOTHING.flags.writeable = False
NO_COMMANDS = CommandLog(
    **dict.fromkeys(CommandLog.__annotations__, _NOTHING) | {"near_memory": _NOTHING.astype(np.bool_)}
)


@dataclass(frozen=True, eq=False)
class Activity:
    """What a channel did from one clock to another.

    Attributes
    ----------
    start_clk, accounted_clk : int
        The clocks that `background_clk` covers. The next activity starts at `accounted_clk`.
    end_clk : int
        The clock after the last data beat so far, or after the last near-memory bank is precharged.
    counts : ndarray of int64, shape (N_COMMANDS, banks of the channel)
        Commands issued to each bank. PREab counts for each bank that it closes; REFab, PDE and PDX count for
        the first bank of their rank.
    outcomes : ndarray of int64, shape (3, banks)
        Requests that were row hits, misses and conflicts (`OUTCOMES`).
    background_clk : ndarray of int64, shape (ranks, 5)
        Clocks that each rank spent in each of `BACKGROUND_STATES`.
    log : CommandLog
        The first commands, where a log was asked for.
    done_clk : ndarray of int64, shape (requests,) or (0,)
        Clock after each request's last data beat, where asked for; -1 where it is still queued.
    """

    start_clk: int
    accounted_clk: int
    end_clk: int
    counts: np.ndarray
    outcomes: np.ndarray
    background_clk: np.ndarray
    log: CommandLog
    done_clk: np.ndarray

    def total(self, command: int | np.int64) -> int:
        """Return how many banks a command was issued to."""
        return int(self.counts[command].sum())

    @property
    def bursts(self) -> int:
        """Return the bursts read and written."""
        return int(self.counts[MOVES_BURST].sum())

    @property
    def refreshes(self) -> int:
        """Return the refresh commands of all ranks."""
        return self.total(REFab) + self.total(REFpb)

    def __add__(self, after: Activity) -> Activity:
        """Return this activity and the one that follows it as one."""
        return replace(
            self,
            accounted_clk=after.accounted_clk,
            end_clk=max(self.end_clk, after.end_clk),
            counts=self.counts + after.counts,
            outcomes=self.outcomes + after.outcomes,
            background_clk=self.background_clk + after.background_clk,
            log=CommandLog.concatenate([self.log, after.log]),
            done_clk=np.concatenate([self.done_clk, after.done_clk]),
        )
