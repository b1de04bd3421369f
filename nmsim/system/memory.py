"""Memory channels as SimPy processes: one port each, in front of the timed DRAM engine."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import simpy

from nmsim.access.layout import RowVisits
from nmsim.dram.activity import Activity
from nmsim.dram.engine import AccessBatch, Channel
from nmsim.system.meter import Meter
from nmsim.system.process import Environment, Process

#: Bursts handed to the engine in one call at most; bounds memory at some 100 bytes a burst.
MAX_BURSTS = 1 << 18

#: Room for the log of one call: commands that a burst (ACT, PRE, RD or WR, and again after a refresh) or an
#: idle refresh interval (PREab, REFab, PDE, PDX) can cause, and what the call begins and ends with.
_ROOM_PER_BURST, _ROOM = 6, 1024

#: Stands for "all have arrived" in an `AccessBatch`.
_ARRIVED = np.empty(0, dtype=np.int64)


class MemoryChannel:
    """One channel of the board: serves one request after another, and accounts its idle time.

    Attributes
    ----------
    times : int
        How often what happens now counts: more than 1 where one of many equal repeats stands for the rest.
    refresh_ps : int
        Its refresh interval, tREFI.
    stopped : bool
        Set by another thread, it ends the simulation at the next access.
    """

    def __init__(self, env: Environment, index: int, engine: Channel, meter: Meter, flight_ps: int):
        self.index, self.times, self.stopped = index, 1, False
        self._env, self._engine, self._meter, self._flight_ps = env, engine, meter, flight_ps
        self._port = simpy.Resource(env, capacity=1)
        self.refresh_ps = engine.spec.clocks["nREFI"] * engine.spec.tCK_ps

    def access(self, phase: str, source: str, array: str, visits: RowVisits, write: bool) -> Process[None]:
        """Serve host reads or writes of these bursts over the link (a SimPy process)."""
        with self._port.request() as turn:
            yield turn
            self.settle(phase)
            for part in _parts(visits):
                burst = part.expand()
                batch = AccessBatch(
                    burst.bank, burst.row, burst.column, np.full(len(burst.bank), write), _ARRIVED
                )
                logged = self._meter.log_rows(phase, _ROOM_PER_BURST * len(burst.bank) + _ROOM)
                activity = self._engine.access(batch, log_rows=logged)
                self._count(phase, source, array, activity)
            yield self._env.timeout(self._until(activity.end_clk) + 2 * self._flight_ps)

    def stream(self, phase: str, array: str, visits: RowVisits, write: bool, **timing: int) -> Process[None]:
        """Serve near-memory row visits, in which every bank works by itself (a SimPy process)."""
        with self._port.request() as turn:
            yield turn
            self.settle(phase)
            room = int(visits.bursts.sum()) + 4 * len(visits.bursts) + _ROOM
            activity = self._engine.stream(
                visits.bank,
                visits.row,
                visits.bursts,
                write,
                **timing,
                column=visits.column,
                log_rows=self._meter.log_rows(phase, room),
            )
            self._count(phase, "nmc", array, activity)
            yield self._env.timeout(self._until(activity.end_clk))

    def settle(self, phase: str) -> None:
        """Account the time up to now, refresh included, as idle time of `phase`."""
        now_clk = self._env.now // self._meter.clock_ps
        if now_clk > self._engine.clk:
            refreshes = (now_clk - self._engine.clk) // self._engine.spec.clocks["nREFI"]
            room = _ROOM + _ROOM_PER_BURST * refreshes * self._engine.spec.organization.ranks
            activity = self._engine.advance(now_clk, log_rows=self._meter.log_rows(phase, room))
            self._count(phase, "dram", "", activity)

    def skip(self, duration_ps: int) -> None:
        """Move the channel's clock on without simulating: what happens meanwhile was counted by `times`."""
        self._engine.skip(duration_ps // self._meter.clock_ps)

    def _count(self, phase: str, source: str, array: str, activity: Activity) -> None:
        if self.stopped:
            raise InterruptedError("the board was stopped")
        self._meter.dram(phase, source, array, self.index, activity, self.times)

    def _until(self, end_clk: int) -> int:
        return max(0, end_clk * self._meter.clock_ps - self._env.now)


def _parts(visits: RowVisits) -> list[RowVisits]:
    total = np.cumsum(visits.bursts)
    if len(total) == 0 or total[-1] <= MAX_BURSTS:
        return [visits]
    cuts = np.flatnonzero(np.diff(total // MAX_BURSTS)) + 1
    edges = [0, *cuts.tolist(), len(total)]
    fields = vars(visits).values()
    return [RowVisits(*(f[a:b] for f in fields)) for a, b in pairwise(edges)]
