"""One call of a channel from end to end in compiled code; its counters then hold what that call did."""

from __future__ import annotations

from nmsim.compiled import njit
from nmsim.dram.rules import account
from nmsim.dram.scheduler import schedule
from nmsim.dram.state import (
    CLOSING,
    LAST_COMMAND,
    LAST_REQUEST,
    LAST_USE,
    NOW,
    READS,
    REFRESH_DUE,
    SINCE,
    WRITES,
)

_kernel = njit(cache=True, _nrt=False, nogil=True)


@_kernel
def serve(tables, state, knobs, near, visits, batch, until, drain, log, done_clk, idle, before):
    """Do what `schedule` does, with clear counters, and account all ranks up to where it ends.

    Parameters
    ----------
    tables, state, knobs, near, visits, batch, until, drain, log, done_clk
        As of `schedule`.
    idle : (int, int)
        Where there are neither requests nor a log: after how many clocks a channel with nothing to do does
        the same again, so that such periods are counted and not walked through; and after how many clocks
        nothing is left to do but refresh. (0, 0): walk through all.
    before : tuple of ndarray
        Room for three arrays like the counters.
    """
    scalars, (period_clk, settle_clk) = state.scalars, idle
    _clear(state)
    walking, waited, measuring = period_clk == 0, True, False
    while True:
        end = until
        if measuring:
            end = scalars[NOW] + period_clk
            _keep(state, before)
        elif not walking:
            waited = scalars[READS] + scalars[WRITES] > 0
            end = min(until, scalars[NOW] + settle_clk)
        schedule(tables, state, knobs, near, visits, batch, end, drain, log, done_clk)
        account_all(state)
        if walking:
            return
        if measuring:
            periods = (until - scalars[NOW]) // period_clk
            skip(state, periods * period_clk)
            _count_again(state, before, periods)
            measuring, walking = False, True
        elif not (waited and scalars[NOW] < until):  # a long queue outlasts the time to settle
            measuring = until - scalars[NOW] >= 4 * period_clk
            walking = not measuring


@_kernel
def skip(state, clocks):
    """Move an idle channel to a later clock without accounting the time between."""
    for command in range(state.last.shape[0]):
        for bank in range(state.last.shape[1]):
            state.last[command, bank] += clocks
            state.near_last[command, bank] += clocks
    for bank in range(len(state.bank_next)):
        state.banks[bank, LAST_USE] += clocks
        for kind in range(state.bank_next.shape[1]):
            state.bank_next[bank, kind] += clocks
    for index in range(len(state.limit)):
        state.limit[index] += clocks
    for rank in range(len(state.ranks)):
        for index in range(state.acts.shape[1]):
            state.acts[rank, index] += clocks
        state.ranks[rank, REFRESH_DUE] += clocks
        state.ranks[rank, SINCE] += clocks
        state.ranks[rank, CLOSING] += clocks
    state.scalars[NOW] += clocks
    state.scalars[LAST_COMMAND] += clocks
    state.scalars[LAST_REQUEST] += clocks


@_kernel
def account_all(state):
    """Account the background of all ranks up to the present clock."""
    for rank in range(len(state.ranks)):
        account(state, rank, state.scalars[NOW])


@_kernel
def _clear(state):
    state.counts[:] = 0
    state.outcomes[:] = 0
    state.background_clk[:] = 0


@_kernel
def _keep(state, before):
    """Write the counters down in `before`."""
    counts, outcomes, background_clk = before
    for now, then in (
        (state.counts, counts),
        (state.outcomes, outcomes),
        (state.background_clk, background_clk),
    ):
        for row in range(now.shape[0]):
            for column in range(now.shape[1]):
                then[row, column] = now[row, column]


@_kernel
def _count_again(state, before, times):
    """Count what was done since `before` so many times more."""
    counts, outcomes, background_clk = before
    for now, then in (
        (state.counts, counts),
        (state.outcomes, outcomes),
        (state.background_clk, background_clk),
    ):
        for row in range(now.shape[0]):
            for column in range(now.shape[1]):
                now[row, column] += (now[row, column] - then[row, column]) * times
