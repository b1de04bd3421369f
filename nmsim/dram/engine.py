"""One memory channel: requests, idle time and near-memory row visits in, what happened out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from nmsim.dram.commands import ACT, BACKGROUND_STATES, N_COMMANDS, RANK_WIDE, RD, WR, REFab
from nmsim.dram.near import stream as run_visits
from nmsim.dram.rules import set_background
from nmsim.dram.scheduler import schedule
from nmsim.dram.spec import DramSpec
from nmsim.dram.state import ACT_MEMORY, DATA_END, FAR, LAST_COMMAND, LOG_ROWS, NOW, READS, WRITES, Log, new_log, new_state
from nmsim.dram.tables import NEVER, Tables, compile_tables
from nmsim.errors import ConfigError

#: Clocks beyond this are refused: sums must stay below 2**62.
LAST_CLK = 1 << 56


@dataclass(frozen=True)
class ControllerSpec:
    """How a channel's controller orders requests.

    Parameters
    ----------
    address_map : str
        Fields, most significant first (see `nmsim.dram.address`).
    scheduler : str
        "FRFCFS": row hits first, then the oldest request.
    row_policy : str
        "open": a row stays open until another row of its bank is wanted, or refresh comes.
    refresh : str
        "all_bank": each rank every nREFI; ranks are staggered.
    read_queue, write_queue : int
        Requests that each queue holds, at least 1.
    write_high_watermark, write_low_watermark : int
        Queued writes at which the controller turns from reads to writes, and back; it also turns to writes
        where no read waits. 0 <= low < high <= write_queue.
    power_down_idle_clk : int
        Clocks without a request or command after which ranks power down; 0: never.
    """

    address_map: str = "RoBaRaCoCh"
    scheduler: str = "FRFCFS"
    row_policy: str = "open"
    refresh: str = "all_bank"
    read_queue: int = 32
    write_queue: int = 32
    write_high_watermark: int = 28
    write_low_watermark: int = 8
    power_down_idle_clk: int = 0

    def __post_init__(self) -> None:
        for name, known in (("scheduler", "FRFCFS"), ("row_policy", "open"), ("refresh", "all_bank")):
            if getattr(self, name) != known:
                raise ConfigError(f"controller.{name} is not supported", found=getattr(self, name), expected=known)
        for name in ("read_queue", "write_queue"):
            if not 1 <= getattr(self, name) <= 4096:
                raise ConfigError(
                    f"controller.{name} cannot be meant", found=getattr(self, name), expected="1 to 4096"
                )
        if not 0 <= self.write_low_watermark < self.write_high_watermark <= self.write_queue:
            raise ConfigError(
                "the write watermarks do not fit",
                found=f"low {self.write_low_watermark}, high {self.write_high_watermark}",
                expected=f"0 <= low < high <= {self.write_queue} (write_queue)",
            )
        if self.power_down_idle_clk < 0:
            raise ConfigError(
                "controller.power_down_idle_clk cannot be meant", found=self.power_down_idle_clk, expected="at least 0"
            )


class AccessBatch(NamedTuple):
    """Burst accesses of the host to one channel, in the order of arrival; arrays of shape (n,).

    `bank` counts the banks of the channel (as `nmsim.dram.address.Location`), `column` the bursts of a row.
    `arrival_clk` does not decrease; of length 0 it says that all have arrived already (back to back).
    """

    bank: np.ndarray
    row: np.ndarray
    column: np.ndarray
    is_write: np.ndarray
    arrival_clk: np.ndarray


class Visits(NamedTuple):
    """Row visits for the kernel of `nmsim.dram.near`, sorted by bank."""

    row: np.ndarray
    column: np.ndarray
    columns: np.ndarray
    is_write: np.ndarray


class Knobs(NamedTuple):
    """The controller's and the standard's numbers that the scheduler's kernel needs."""

    read_queue: int
    write_queue: int
    high: int
    low: int
    power_down_idle_clk: int
    refresh_interval_clk: int
    read_done_clk: int
    write_done_clk: int


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
        True for commands of the units beside the banks.
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
        return CommandLog(*(np.concatenate([getattr(g, f) for g in logs]) for f in CommandLog.__annotations__))


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

    def total(self, command: int) -> int:
        """Return how many banks a command was issued to."""
        return int(self.counts[command].sum())

    @property
    def bursts(self) -> int:
        """Return the bursts read and written."""
        return self.total(RD) + self.total(WR)

    @property
    def refreshes(self) -> int:
        """Return the refresh commands of all ranks."""
        return self.total(REFab)

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


class Channel:
    """A memory channel with its controller; its state persists from call to call.

    Parameters
    ----------
    spec : DramSpec
    controller : ControllerSpec
    channel : int
        Its number, for the reader of the log.
    log_rows : int
        Commands that each call logs at most, unless the call says otherwise.
    """

    def __init__(self, spec: DramSpec, controller: ControllerSpec, channel: int = 0, log_rows: int = 0):
        self.spec, self.controller, self.channel, self.log_rows = spec, controller, channel, log_rows
        self._tables = compile_tables(spec)
        self._near: dict[int, Tables] = {}
        clocks = spec.clocks
        self._knobs = Knobs(
            read_queue=controller.read_queue,
            write_queue=controller.write_queue,
            high=controller.write_high_watermark,
            low=controller.write_low_watermark,
            power_down_idle_clk=controller.power_down_idle_clk,
            refresh_interval_clk=clocks[spec.table.refresh_interval],
            read_done_clk=clocks["nCL"] + clocks["nBL"],
            write_done_clk=clocks["nCWL"] + clocks["nBL"],
        )
        slots = controller.read_queue + controller.write_queue
        self._state = new_state(self._tables, slots, self._knobs.refresh_interval_clk)

    @property
    def clk(self) -> int:
        """Return the clock up to which everything is decided."""
        return int(self._state.scalars[NOW])

    @property
    def queued(self) -> int:
        """Return the requests that wait in the queues."""
        return int(self._state.scalars[READS] + self._state.scalars[WRITES])

    def access(
        self,
        batch: AccessBatch,
        *,
        drain: bool = True,
        log_rows: int | None = None,
        record_done: bool = False,
    ) -> Activity:
        """Serve accesses of the host.

        Parameters
        ----------
        batch : AccessBatch
        drain : bool
            True: serve all to the end. False: leave in the queues what the next batch may compete with; a
            sequence of batches then gives what one batch of all would give.
        log_rows : int, optional
            Commands to log at most.
        record_done : bool
            Whether to fill `Activity.done_clk`.

        Raises
        ------
        ValueError
            Where an array has another length, or a bank, row or arrival lies out of range.
        """
        batch = self._checked(batch)
        done_clk = np.full(len(batch.bank) if record_done else 0, -1, dtype=np.int64)
        return self._run(batch, FAR, drain, log_rows, done_clk)

    def advance(self, until_clk: int, *, log_rows: int | None = None) -> Activity:
        """Let time pass up to `until_clk` (exclusive): queued requests, refresh, power-down."""
        if until_clk > LAST_CLK:
            raise ValueError(f"clock {until_clk} is beyond {LAST_CLK}")
        interval = self._knobs.refresh_interval_clk
        empty = AccessBatch(*(np.empty(0, dtype=d) for d in (np.int64, np.int64, np.int64, np.bool_, np.int64)))
        nothing = np.empty(0, dtype=np.int64)
        first = self._run(empty, min(until_clk, self.clk + 2 * interval), True, log_rows, nothing)
        left = until_clk - self.clk
        rows = self.log_rows if log_rows is None else log_rows
        if left < 4 * interval or len(first.log) < rows:
            return first + self._run(empty, until_clk, True, rows - len(first.log), nothing)
        # All ranks are idle: one refresh interval is like another.
        period = self._run(empty, self.clk + interval, True, 0, nothing)
        repeats = (until_clk - self.clk) // interval
        self._shift(repeats * interval)
        many = replace(
            period,
            accounted_clk=self.clk,
            counts=period.counts * repeats,
            outcomes=period.outcomes * repeats,
            background_clk=period.background_clk * repeats,
        )
        return first + period + many + self._run(empty, until_clk, True, 0, nothing)

    def stream(
        self,
        bank: np.ndarray,
        row: np.ndarray,
        columns: np.ndarray,
        is_write: np.ndarray | bool,
        column_period_clk: int,
        max_simultaneous_act: int = 0,
        start_clk: int = 0,
        *,
        column: np.ndarray | None = None,
        log_rows: int | None = None,
    ) -> Activity:
        """Run near-memory row visits to their end; every bank keeps its order, banks run in parallel.

        Parameters
        ----------
        bank, row, columns : ndarray of int64, shape (n,)
            One entry for each visit: bank of the channel, row, and column accesses (bursts), at least 1.
        is_write : ndarray of bool, shape (n,), or bool
        column_period_clk : int
            Clocks that a unit needs for a column; a bank's own column spacing (tCCD) bounds it from below.
        max_simultaneous_act : int
            0: activations are spaced as the standard says. n > 0: the supply allows n activations of a rank
            within its window (tFAW), and no other spacing; at most 64.
        start_clk : int
            No command before this clock.
        column : ndarray of int64, shape (n,), optional
            First column of each visit, for the log; 0 where not given.
        log_rows : int, optional
            Commands to log at most.

        Raises
        ------
        ValueError
            Where requests are queued, or an argument is out of range.

        Notes
        -----
        A visit of n columns takes nRCD + (n - 1)·p + max(p, RD to PRE) + nRPpb, and at least nRC, with
        p = max(nCCD, column_period_clk); a bank's next visit may then begin. No bank is open while its rank is
        refreshed: no visit begins from the clock at which refresh is due, and a visit longer than nREFI is
        split. The first commands wake ranks from power-down and close the rows that the host left open.
        """
        if self.queued:
            raise ValueError("requests are queued: drain them before near-memory work")
        if not 0 <= max_simultaneous_act <= ACT_MEMORY:
            raise ValueError(f"max_simultaneous_act must be 0 to {ACT_MEMORY}, found {max_simultaneous_act}")
        if start_clk > self.clk:
            before = self.advance(start_clk, log_rows=log_rows)
        else:
            before = None
        rows = self.log_rows if log_rows is None else log_rows
        rows -= len(before.log) if before else 0

        bank = np.asarray(bank, dtype=np.int64)
        _check_range("bank", bank, self.spec.banks_per_channel)
        _check_range("row", np.asarray(row), self.spec.organization.rows)
        order = np.argsort(bank, kind="stable")
        zeros = np.zeros(len(bank), dtype=np.int64)
        visits = Visits(
            row=np.asarray(row, dtype=np.int64)[order],
            column=(zeros if column is None else np.asarray(column, dtype=np.int64))[order],
            columns=np.asarray(columns, dtype=np.int64)[order],
            is_write=np.broadcast_to(np.asarray(is_write, dtype=np.bool_), bank.shape)[order],
        )
        if len(bank) and visits.columns.min() < 1:
            raise ValueError("a visit must access at least one column")
        first = np.searchsorted(bank[order], np.arange(self.spec.banks_per_channel + 1))
        if max_simultaneous_act not in self._near:
            self._near[max_simultaneous_act] = compile_tables(self.spec, True, max_simultaneous_act)
        near = self._near[max_simultaneous_act]
        period = max(column_period_clk, int(near.bank[RD, RD]), int(near.bank[WR, WR]), 1)

        # The kernel logs visit by visit: what a visit in flight may still add has to fit behind the rest.
        longest = int(visits.columns.max()) + 2 if len(bank) and rows > 0 else 0
        log = new_log(rows + self.spec.banks_per_channel * longest + 4 * self._tables.ranks if rows > 0 else 0)
        start = self._begin()
        interval = self._knobs.refresh_interval_clk
        run_visits(self._tables, near, self._state, visits, first, period, start_clk, interval, log)
        activity = self._end(start, log, np.empty(0, dtype=np.int64), rows, near_memory=True)
        return before + activity if before else activity

    def _run(self, batch: AccessBatch, until: int, drain: bool, log_rows: int | None, done: np.ndarray) -> Activity:
        log = new_log(self.log_rows if log_rows is None else max(0, log_rows))
        start = self._begin()
        schedule(self._tables, self._state, self._knobs, batch, until, drain, log, done)
        return self._end(start, log, done, len(log.clk), near_memory=False)

    def _begin(self) -> int:
        for counter in (self._state.counts, self._state.outcomes, self._state.background_clk):
            counter[:] = 0
        return self.clk

    def _end(self, start: int, log: Log, done: np.ndarray, rows: int, near_memory: bool) -> Activity:
        state = self._state
        for rank in range(self._tables.ranks):
            set_background(state, rank, state.background[rank], state.scalars[NOW])
        return Activity(
            start_clk=start,
            accounted_clk=self.clk,
            end_clk=max(start, int(state.scalars[DATA_END])),
            counts=state.counts.copy(),
            outcomes=state.outcomes.copy(),
            background_clk=state.background_clk.copy(),
            log=self._command_log(log, rows, near_memory),
            done_clk=done,
        )

    def _command_log(self, log: Log, rows: int, near_memory: bool) -> CommandLog:
        n = int(self._state.scalars[LOG_ROWS])
        order = np.argsort(log.clk[:n], kind="stable")[:rows]
        taken = Log(*(a[:n][order] for a in log))
        org = self.spec.organization
        group, bank = np.divmod(taken.bank, org.banks)
        rank, bankgroup = np.divmod(group, org.bankgroups)
        wide = np.isin(taken.command, RANK_WIDE)
        return CommandLog(
            clk=taken.clk,
            command=taken.command,
            rank=rank,
            bankgroup=np.where(wide, -1, bankgroup),
            bank=np.where(wide, -1, bank),
            row=taken.row,
            column=taken.column,
            outcome=taken.outcome,
            closed=taken.closed,
            near_memory=~wide if near_memory else np.zeros(len(order), dtype=bool),
        )

    def _shift(self, clocks: int) -> None:
        """Move the state, which must be idle, to a later clock."""
        state = self._state
        for times in (state.bank_next, state.limit, state.last, state.acts, state.refresh_due, state.since):
            times += clocks
        np.maximum(state.bank_next, NEVER, out=state.bank_next)
        state.scalars[NOW] += clocks
        state.scalars[LAST_COMMAND] += clocks

    def _checked(self, batch: AccessBatch) -> AccessBatch:
        org = self.spec.organization
        dtypes = (np.int64, np.int64, np.int64, np.bool_, np.int64)
        batch = AccessBatch(*(np.ascontiguousarray(a, dtype=d) for a, d in zip(batch, dtypes, strict=True)))
        n = len(batch.bank)
        if {len(a) for a in batch[:4]} - {n} or len(batch.arrival_clk) not in (0, n):
            raise ValueError(f"arrays of one batch differ in length: {[len(a) for a in batch]}")
        _check_range("bank", batch.bank, self.spec.banks_per_channel)
        _check_range("row", batch.row, org.rows)
        if len(batch.arrival_clk) and (np.diff(batch.arrival_clk) < 0).any():
            raise ValueError("arrival_clk decreases")
        return batch


def _check_range(name: str, values: np.ndarray, end: int) -> None:
    if len(values) and not (0 <= values.min() and values.max() < end):
        raise ValueError(f"{name} out of range: {values.min()}..{values.max()}, allowed 0..{end - 1}")


__all__ = ["ACT", "BACKGROUND_STATES", "N_COMMANDS", "AccessBatch", "Activity", "Channel", "CommandLog", "ControllerSpec"]
