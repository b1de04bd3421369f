"""A host's memory under load while near memory streams rows from none, half or all of its banks.

The host's requests are those of `nmsim.system.probe`. Near memory goes through whole rows, bank beside bank,
as fast as the banks give them and without a pause, for longer than requests arrive. What the host may do
meanwhile is the policy (docs/explanation/scheduler.md). Where it may do nothing, its requests wait for as
long as near memory works: that depends on the work, and no latency is given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nmsim.dram.activity import CommandLog
from nmsim.dram.commands import OUTCOMES, RD
from nmsim.dram.controller import ControllerSpec
from nmsim.dram.engine import SHARING, AccessBatch, Channel
from nmsim.dram.spec import DramSpec
from nmsim.system.probe import Load, Point, Served, line_of, requests

#: How many of a channel's banks near memory works in; of half, every second one.
BUSY = ("none", "half", "all")
#: Commands from which near memory's bandwidth beside the host is taken, after a tenth of them.
_LOGGED, _WARM_UP = 200_000, 0.1
#: A refresh may wait for the end of visits for this many intervals more than the controller postpones it.
_LATE_REFRESHES = 2
#: Refresh intervals over which near memory alone is measured.
_INTERVALS = 64


@dataclass(frozen=True)
class NearMemoryLoad:
    """What near memory does in a channel.

    Attributes
    ----------
    banks_per_unit : int
        Banks that take turns on one unit's column bus.
    max_simultaneous_act : int
        As in `nmsim.dram.engine.Channel.stream`.
    """

    banks_per_unit: int = 1
    max_simultaneous_act: int = 0


@dataclass(frozen=True)
class SharedPoint:
    """Host and near memory beside each other, under one policy and load.

    Attributes
    ----------
    host_policy : {"exclusive", "per_bank", "concurrent"}
    busy : {"none", "half", "all"}
    near_banks, host_banks : int
        Banks that near memory works in, and that the host's requests go to: with `per_bank` the others.
    near_alone_GBps : float
        What near memory gets where the host does nothing, measured as `near_GBps`.
    near_GBps : float
        What it gets beside this load, over the first 200,000 commands of both less a tenth.
    host : Point or None
        What the host gets; None where its requests wait until near memory has finished.
    """

    host_policy: str
    busy: str
    near_banks: int
    host_banks: int
    near_alone_GBps: float
    near_GBps: float
    host: Point | None


def shared_latency(
    spec: DramSpec,
    controller: ControllerSpec,
    load: Load,
    policies: tuple[str, ...],
    near: NearMemoryLoad,
    tell: Callable[[str, float | None], None] = lambda message, share: None,
) -> tuple[list[SharedPoint], list[str]]:
    """Return the points of all policies and shares of busy banks, and what is faster than possible.

    Parameters
    ----------
    spec, controller, load
        As for `nmsim.system.probe.loaded_latency`.
    policies : tuple of str
        Of "exclusive", "per_bank", "concurrent".
    near : NearMemoryLoad
    tell : callable
        Progress: what is done, and which share of all.
    """
    points: list[SharedPoint] = []
    wrong: list[str] = []
    banks = np.arange(spec.banks_per_channel)
    kinds = [(reads, random) for random in load.random_share for reads in load.read_fraction]
    lines = [(policy, busy, kind) for policy in policies for busy in BUSY for kind in kinds]
    alone = {busy: _alone_GBps(spec, controller, _Visits(spec, near, _busy(banks, busy))) for busy in BUSY}
    for number, (policy, busy, kind) in enumerate(lines):
        taken = _busy(banks, busy)
        free = banks if policy == "concurrent" or not len(taken) else np.setdiff1d(banks, taken)
        about = (policy, busy, len(taken))
        if len(taken) and (policy == "exclusive" or not len(free)):
            if kind == kinds[0]:
                points.append(SharedPoint(*about, 0, alone[busy], alone[busy], None))
            continue

        def say(done: float, number: int = number, words: str = f"{policy}, {busy} of the banks") -> None:
            tell(words, (number + done) / len(lines))

        serve = _Sharing(policy, _Visits(spec, near, taken))
        stream = requests(spec, controller, load, *kind, free if len(free) < len(banks) else None)
        line, problems = line_of(spec, controller, load, stream, kind, serve, say)
        points += [SharedPoint(*about, len(free), alone[busy], serve.near_GBps[p.rate], p) for p in line]
        wrong += [f"{policy}, {busy} of the banks, {text}" for text in problems]
    return points, wrong


def _busy(banks: np.ndarray, share: str) -> np.ndarray:
    return {"none": banks[:0], "half": banks[1::2], "all": banks}[share]


class _Visits:
    """Near memory's visits to whole rows of some banks, for as long as they are wanted."""

    def __init__(self, spec: DramSpec, near: NearMemoryLoad, banks: np.ndarray):
        self.banks, self._spec = banks, spec
        self.simultaneous_act = near.max_simultaneous_act
        # The banks of a unit take turns; a visit stays short enough not to be split for a refresh.
        turns = int(np.bincount(banks // near.banks_per_unit).max(initial=1))
        self.period_clk = turns * spec.clocks["nCCD"]
        self.columns = max(
            1, min(spec.row_bursts, spec.clocks[spec.table.refresh_interval] // self.period_clk)
        )

    def lasting(self, clk: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return bank, row and columns of visits that take at least so many clocks."""
        # A visit takes one period for each column, at least, and the next begins after it.
        each = -(-clk // (self.columns * self.period_clk)) + 1 if len(self.banks) else 0
        bank = np.tile(self.banks, each)
        row = np.repeat(np.arange(each) % self._spec.organization.rows, len(self.banks))
        return bank, row, np.full(len(bank), self.columns)


class _Sharing:
    """Serves a host's requests beside near memory; notes what that gets by rate, in GB/s."""

    def __init__(self, policy: str, visits: _Visits):
        self._policy, self._visits = policy, visits
        self.near_GBps: dict[float, float] = {}

    def __call__(self, spec: DramSpec, controller: ControllerSpec, batch: AccessBatch, rate: float) -> Served:
        channel, visits = Channel(spec, controller), self._visits
        bank, row, columns = visits.lasting(int(batch.arrival_clk[-1]))
        if self._policy in SHARING:
            activity = channel.share(
                batch, bank, row, columns, False, visits.period_clk, self._policy, visits.simultaneous_act,
                log_rows=_LOGGED if len(bank) else 0, record_done=True,
            )  # fmt: skip
        else:
            activity = channel.access(batch, record_done=True)
        self.near_GBps[rate] = _near_GBps(spec, activity.log, int(batch.arrival_clk[-1]))
        # The outcomes hold the visits' too: a column of each is no hit.
        hits = int(activity.outcomes[OUTCOMES.index("hit")].sum()) - int((columns - 1).sum())
        return Served(activity.done_clk, hits, _LATE_REFRESHES if len(bank) else 0)


def _alone_GBps(spec: DramSpec, controller: ControllerSpec, visits: _Visits) -> float:
    if not len(visits.banks):
        return 0.0
    work = visits.lasting(_INTERVALS * spec.clocks[spec.table.refresh_interval])
    activity = Channel(spec, controller).stream(
        *work, False, visits.period_clk, visits.simultaneous_act, log_rows=_LOGGED
    )
    return _near_GBps(spec, activity.log, activity.accounted_clk)


def _near_GBps(spec: DramSpec, log: CommandLog, end_clk: int) -> float:
    """Return what near memory read in the time of these commands, but not after `end_clk`, in GB/s."""
    if not log.near_memory.any():
        return 0.0
    first = int(len(log) * _WARM_UP)
    start_clk, end_clk = int(log.clk[first]), min(int(log.clk[-1]), end_clk)
    read = log.near_memory & (log.command == RD) & (log.clk >= start_clk) & (log.clk < end_clk)
    return float(read.sum()) * spec.access_bytes / (max(1, end_clk - start_clk) * spec.tCK_ps * 1e-3)
