"""One memory channel: requests, idle time and near-memory row visits in, what happened out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nmsim.dram.activity import NO_COMMANDS, Activity, CommandLog
from nmsim.dram.calls import account_all, serve, skip
from nmsim.dram.commands import N_COMMANDS, RANK_WIDE, RD, WR
from nmsim.dram.controller import ControllerSpec, check_controller
from nmsim.dram.near import Visits
from nmsim.dram.near import stream as run_visits
from nmsim.dram.spec import DramSpec
from nmsim.dram.state import (
    ACT_MEMORY,
    BANK_BLOCKED,
    DATA_END,
    FAR,
    LOG_CLK,
    LOG_FIELDS,
    LOG_ROWS,
    NEAR_MEMORY,
    NOW,
    READS,
    VISITS,
    VISITS_LEFT,
    WRITES,
    new_state,
)
from nmsim.dram.tables import Tables, compile_tables
from nmsim.errors import ResourceLimitError

#: Clocks beyond this are refused: sums must stay below 2**62.
LAST_CLK = 1 << 56

#: Refresh intervals of idle time that are walked through; a longer time is counted in whole intervals.
_SHORT_IDLE = 8

#: What the host may do while near memory works (`Channel.share`).
SHARING = ("per_bank", "concurrent")

_IS_RANK_WIDE = np.isin(np.arange(N_COMMANDS), RANK_WIDE)


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


def _read_only(batch: AccessBatch) -> AccessBatch:
    """Return the arrays as ones that cannot be written to: to Numba, those that can are of another type.

    Callers have either kind, and each mixture would be compiled anew.
    """
    views = AccessBatch(*(array.view() for array in batch))
    for view in views:
        view.flags.writeable = False
    return views


_NO_CLOCKS = np.empty(0, dtype=np.int64)
_NO_ACCESSES = _read_only(AccessBatch._make([*[_NO_CLOCKS] * 3, _NO_CLOCKS.astype(np.bool_), _NO_CLOCKS]))


class Knobs(NamedTuple):
    """The controller's and the standard's numbers that the scheduler's kernel needs; 0 is "not at all"."""

    read_queue: int
    write_queue: int
    high: int
    low: int
    fcfs: bool
    row_hit_cap: int
    closed: bool
    row_timeout_clk: int
    refresh_interval_clk: int
    refresh_sets: int  # 0: all banks of a rank together
    postponed_clk: int
    shared_postponed_clk: int  # while near memory has row visits left
    power_down_idle_clk: int
    self_refresh_idle_clk: int
    read_done_clk: int
    write_done_clk: int


class Channel:
    """A memory channel with its controller; its state persists from call to call.

    Parameters
    ----------
    spec : DramSpec
    controller : ControllerSpec
    log_rows : int
        Commands that each call logs at most, unless the call says otherwise; for checks that look at all
        calls of a sequence.
    """

    def __init__(self, spec: DramSpec, controller: ControllerSpec, log_rows: int = 0):
        self.spec, self.controller, self.log_rows = spec, controller, log_rows
        self._tables = compile_tables(spec)
        self._near: dict[int, Tables] = {}
        check_controller(spec, controller)
        self._no_visits = self._visits(_NO_CLOCKS, _NO_CLOCKS, _NO_CLOCKS, False, None, 0, self._tables)
        self._knobs = _knobs(spec, controller)
        interval, ranks = self._knobs.refresh_interval_clk, self._tables.ranks
        due_clk = interval - np.arange(ranks) * (interval // ranks) if interval else np.full(ranks, FAR)
        slots = controller.read_queue + controller.write_queue
        self._state = state = new_state(self._tables, slots, due_clk)
        self._before = tuple(np.empty_like(c) for c in (state.counts, state.outcomes, state.background_clk))

    @property
    def _idle_period_clk(self) -> int:
        """Return after how many clocks an idle channel does the same again: when all banks were refreshed."""
        return self._knobs.refresh_interval_clk * max(1, self._knobs.refresh_sets)

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
        return self._run(batch, int(FAR), drain, log_rows, done_clk)

    def advance(self, until_clk: int, *, log_rows: int | None = None) -> Activity:
        """Let time pass up to `until_clk` (exclusive): queued requests, refresh, power-down."""
        if until_clk > LAST_CLK:
            raise ResourceLimitError(
                "the simulated time is too long for clocks in 64 bits",
                found=f"clock {until_clk:.3g}",
                expected=f"at most {LAST_CLK:.3g}",
                hint="A quantity of the board is far from any that can be built, or the training too long.",
            )
        interval, knobs = self._idle_period_clk, self._knobs
        rows = self.log_rows if log_rows is None else log_rows
        until_clk = max(until_clk, self.clk)
        # Without refresh, or once all ranks are in self-refresh, nothing happens and no time is too long.
        quiet = knobs.self_refresh_idle_clk or not knobs.refresh_interval_clk
        if quiet or until_clk - self.clk <= _SHORT_IDLE * interval:
            return self._run(_NO_ACCESSES, until_clk, True, rows, _NO_CLOCKS)
        settle_clk = 2 * interval + knobs.postponed_clk + knobs.row_timeout_clk + knobs.power_down_idle_clk
        before = None
        if rows > 0:  # what is logged is not passed over; each interval logs a command at least
            logged = min(until_clk, self.clk + settle_clk + rows * interval)
            before = self._run(_NO_ACCESSES, logged, True, rows, _NO_CLOCKS)
            if logged == until_clk:
                return before
        rest = self._run(_NO_ACCESSES, until_clk, True, 0, _NO_CLOCKS, idle=(interval, settle_clk))
        return before + rest if before else rest

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
        p = max(nCCD, column_period_clk); a bank's next visit may then begin. No bank is open while its rank
        is refreshed: no visit begins from the clock at which refresh is due, and a visit longer than nREFI is
        split. The first commands wake ranks from power-down and close the rows that the host left open.
        """
        if self.queued:
            raise ValueError("requests are queued: drain them before near-memory work")
        near = self._near_tables(max_simultaneous_act)
        visits = self._visits(bank, row, columns, is_write, column, column_period_clk, near)
        if start_clk > self.clk:
            before = self.advance(start_clk, log_rows=log_rows)
        else:
            before = None
        rows = self.log_rows if log_rows is None else log_rows
        rows -= len(before.log) if before else 0
        log = np.empty((self._log_room(visits, rows), LOG_FIELDS), dtype=np.int64)
        start = self.clk
        for counter in (self._state.counts, self._state.outcomes, self._state.background_clk):
            counter[:] = 0
        # A REFab is good for nREFI, which may be some clocks less than a REFpb to each set.
        round_clk = min(self._idle_period_clk, self.spec.clocks[self.spec.table.refresh_interval])
        refresh = (self._knobs.refresh_interval_clk, round_clk, self.spec.clocks["nRFCab"])
        run_visits(self._tables, near, self._state, visits, start_clk, *refresh, log)
        account_all(self._state)
        activity = self._end(start, log, _NO_CLOCKS, rows)
        return before + activity if before else activity

    def share(
        self,
        batch: AccessBatch,
        bank: np.ndarray,
        row: np.ndarray,
        columns: np.ndarray,
        is_write: np.ndarray | bool,
        column_period_clk: int,
        policy: str,
        max_simultaneous_act: int = 0,
        *,
        column: np.ndarray | None = None,
        drain: bool = True,
        log_rows: int | None = None,
        record_done: bool = False,
    ) -> Activity:
        """Serve accesses of the host while near memory does row visits, until all visits are done.

        Parameters
        ----------
        batch : AccessBatch
        bank, row, columns, is_write, column_period_clk, max_simultaneous_act, column
            The visits, as in `stream`.
        policy : {"per_bank", "concurrent"}
            Requests wait for a bank until it has no visits left; or a visit waits until its bank has no
            requests (see docs/explanation/scheduler.md).
        drain, log_rows, record_done
            As in `access`. Without `drain` some requests may be left when the last visit ends.

        Raises
        ------
        ValueError
            Where an argument is out of range.

        Notes
        -----
        Counts, outcomes and the log hold both; in the log `near_memory` tells them apart.
        """
        if policy not in SHARING:
            raise ValueError(f"policy must be one of {', '.join(SHARING)}, found {policy!r}")
        batch, near = self._checked(batch), self._near_tables(max_simultaneous_act)
        visits = self._visits(bank, row, columns, is_write, column, column_period_clk, near)
        visits = visits._replace(concurrent=policy == "concurrent")
        state, left = self._state, np.diff(visits.first)
        state.scalars[VISITS_LEFT], state.banks[:, VISITS] = left.sum(), left
        if policy == "per_bank":
            state.banks[left > 0, BANK_BLOCKED] |= NEAR_MEMORY
        done_clk = np.full(len(batch.bank) if record_done else 0, -1, dtype=np.int64)
        return self._run(batch, int(FAR), drain, log_rows, done_clk, near, visits)

    def _near_tables(self, simultaneous_act: int) -> Tables:
        if not 0 <= simultaneous_act <= ACT_MEMORY:
            raise ValueError(f"max_simultaneous_act must be 0 to {ACT_MEMORY}, found {simultaneous_act}")
        if simultaneous_act not in self._near:
            self._near[simultaneous_act] = compile_tables(self.spec, True, simultaneous_act)
        return self._near[simultaneous_act]

    def _visits(
        self,
        bank: np.ndarray,
        row: np.ndarray,
        columns: np.ndarray,
        is_write: np.ndarray | bool,
        column: np.ndarray | None,
        column_period_clk: int,
        near: Tables,
    ) -> Visits:
        bank, row, columns = (np.asarray(a, dtype=np.int64) for a in (bank, row, columns))
        column = np.zeros_like(bank) if column is None else np.asarray(column, dtype=np.int64)
        is_write = np.broadcast_to(np.asarray(is_write, dtype=np.bool_), bank.shape)
        banks = self.spec.banks_per_channel
        _check_range("bank", bank, banks)
        _check_range("row", row, self.spec.organization.rows)
        if len(bank) and columns.min() < 1:
            raise ValueError("a visit must access at least one column")
        order = np.argsort(bank, kind="stable")
        first = np.searchsorted(bank[order], np.arange(banks + 1))
        period = max(column_period_clk, int(near.bank[RD, RD]), int(near.bank[WR, WR]), 1)
        return Visits(
            row=row[order],
            column=column[order],
            columns=columns[order],
            is_write=is_write[order],
            first=first,
            position=first[:-1].copy(),
            done=np.zeros(banks, dtype=np.int64),
            period=period,
            longest=max(1, self.spec.clocks[self.spec.table.refresh_interval] // period),
            concurrent=False,
        )

    def _log_room(self, visits: Visits, rows: int) -> int:
        """Return the rows of a log that is to hold the first `rows` commands.

        A visit is logged when it begins: what visits under way may still add has to fit behind the rest.
        """
        if rows <= 0 or not len(visits.columns):
            return max(0, rows)
        longest = min(int(visits.columns.max()), visits.longest) + 2
        return rows + self.spec.banks_per_channel * longest + 4 * self._tables.ranks

    def _run(
        self,
        batch: AccessBatch,
        until: int,
        drain: bool,
        log_rows: int | None,
        done: np.ndarray,
        near: Tables | None = None,
        visits: Visits | None = None,
        idle: tuple[int, int] = (0, 0),
    ) -> Activity:
        rows = self.log_rows if log_rows is None else max(0, log_rows)
        near, visits = near or self._tables, visits or self._no_visits
        log = np.empty((self._log_room(visits, rows), LOG_FIELDS), dtype=np.int64)
        start = self.clk
        work = (batch, until, drain, log, done, idle, self._before)
        serve(self._tables, self._state, self._knobs, near, visits, *work)
        return self._end(start, log, done, rows)

    def _end(self, start: int, log: np.ndarray, done: np.ndarray, rows: int) -> Activity:
        state = self._state
        return Activity(
            start_clk=start,
            accounted_clk=self.clk,
            end_clk=int(state.scalars[DATA_END]),
            counts=state.counts.copy(),
            outcomes=state.outcomes.copy(),
            background_clk=state.background_clk.copy(),
            log=self._command_log(log, rows),
            done_clk=done,
        )

    def _command_log(self, log: np.ndarray, rows: int) -> CommandLog:
        log = log[: int(self._state.scalars[LOG_ROWS])]
        if not len(log):  # nearly every call of a long run
            return NO_COMMANDS
        in_time = np.argsort(log[:, LOG_CLK], kind="stable")[:rows]
        clk, command, bank, row, column, outcome, closed, near_memory = log[in_time].T.copy()
        org = self.spec.organization
        group, bank = np.divmod(bank, org.banks)
        rank, bankgroup = np.divmod(group, org.bankgroups)
        wide = _IS_RANK_WIDE[command]
        return CommandLog(
            clk=clk,
            command=command,
            rank=rank,
            bankgroup=np.where(wide, -1, bankgroup),
            bank=np.where(wide, -1, bank),
            row=row,
            column=column,
            outcome=outcome,
            closed=closed,
            near_memory=near_memory.astype(np.bool_),
        )

    def skip(self, clocks: int) -> None:
        """Move the idle channel to a later clock without accounting the time between."""
        skip(self._state, clocks)

    def _checked(self, batch: AccessBatch) -> AccessBatch:
        org = self.spec.organization
        dtypes = (np.int64, np.int64, np.int64, np.bool_, np.int64)
        arrays: list[np.ndarray] = [
            np.ascontiguousarray(a, dtype=d) for a, d in zip(batch, dtypes, strict=True)
        ]
        batch = _read_only(AccessBatch._make(arrays))
        n = len(batch.bank)
        if {len(a) for a in batch[:4]} - {n} or len(batch.arrival_clk) not in (0, n):
            raise ValueError(f"arrays of one batch differ in length: {[len(a) for a in batch]}")
        _check_range("bank", batch.bank, self.spec.banks_per_channel)
        _check_range("row", batch.row, org.rows)
        if len(batch.arrival_clk) and (np.diff(batch.arrival_clk) < 0).any():
            raise ValueError("arrival_clk decreases")
        return batch


def _knobs(spec: DramSpec, controller: ControllerSpec) -> Knobs:
    clocks, per_bank = spec.clocks, controller.refresh == "per_bank"
    names = {"all_bank": spec.table.refresh_interval, "per_bank": spec.table.refresh_per_bank_interval}
    interval_clk = clocks[names[controller.refresh]] if controller.refresh in names else 0
    sets = spec.refresh_sets if per_bank else 0
    # At the standard's limit a refresh must be over, not begin.
    round_clk = interval_clk * max(1, sets)
    limit_clk = spec.table.refresh_postponed * round_clk - clocks["nRFCpb" if per_bank else "nRFCab"]
    return Knobs(
        read_queue=controller.read_queue,
        write_queue=controller.write_queue,
        high=controller.write_high_watermark,
        low=controller.write_low_watermark,
        fcfs=controller.scheduler == "FCFS",
        row_hit_cap=controller.row_hit_cap,
        closed=controller.row_policy == "closed",
        row_timeout_clk=controller.row_timeout_clk,
        refresh_interval_clk=interval_clk,
        refresh_sets=sets,
        postponed_clk=min(controller.refresh_postponed * round_clk, max(0, limit_clk)),
        # A visit takes up to nREFI, and a rank's visits need not end at the same time.
        shared_postponed_clk=min(
            controller.refresh_postponed * round_clk,
            max(0, limit_clk - 2 * clocks[spec.table.refresh_interval]),
        ),
        power_down_idle_clk=controller.power_down_idle_clk,
        self_refresh_idle_clk=controller.self_refresh_idle_clk,
        read_done_clk=clocks["nCL"] + clocks["nBL"],
        write_done_clk=clocks["nCWL"] + clocks["nBL"],
    )


def _check_range(name: str, values: np.ndarray, end: int) -> None:
    if len(values) and not (values.min() >= 0 and values.max() < end):
        raise ValueError(f"{name} out of range: {values.min()}..{values.max()}, allowed 0..{end - 1}")
