"""What a memory cannot beat, worked out on paper from the rows of its standard.

Nothing here runs the engine or reads its compiled tables: `spacing` looks the rows up by itself, and the rest
is arithmetic. Every bound holds for any controller that obeys the rows, so that a measurement above it is a
mistake; how near a controller comes is its own merit. All bounds are for reads to one rank.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from nmsim.dram.spec import DramSpec

#: Levels of rows that bind two commands which share a bank; a bank group, but no bank; a rank, but no group.
_LEVELS = {
    "bank": ("bank", "bankgroup", "rank", "channel"),
    "bankgroup": ("bankgroup", "rank", "channel"),
    "rank": ("rank", "channel"),
}


def spacing(spec: DramSpec, before: str, after: str, shared: str = "bank") -> int:
    """Return the clocks from one command to another that the standard's rows demand.

    Parameters
    ----------
    spec : DramSpec
    before, after : str
        Names from `nmsim.dram.commands.COMMANDS`.
    shared : {"bank", "bankgroup", "rank"}
        The smallest thing that the two have in common.
    """
    return max(
        (
            spec.latency(row.latency)
            for row in spec.table.constraints
            if row.window == 1
            and row.level in _LEVELS[shared]
            and before in row.preceding
            and after in row.following
        ),
        default=0,
    )


def unloaded_clk(spec: DramSpec) -> dict[str, int]:
    """Return the clocks of a lone read, from its arrival to the clock after its last data beat, by outcome.

    Notes
    -----
    hit: the column command goes at once and its last beat leaves nCL + nBL later. miss (closed bank): ACT
    goes at once, the column command ACT→RD (nRCD) later. conflict (another row is open): PREpb goes at once,
    ACT PREpb→ACT (nRP) later. Flight times and tDQSCK, which belong to pins and board, are not in these.
    """
    clocks = spec.clocks
    hit = clocks["nCL"] + clocks["nBL"]
    miss = spacing(spec, "ACT", "RD") + hit
    return {"hit": hit, "miss": miss, "conflict": spacing(spec, "PREpb", "ACT") + miss}


@dataclass(frozen=True)
class Limit:
    """The most bursts that one rank can serve under one kind of traffic.

    Attributes
    ----------
    name : str
        "peak", "streaming", "one_row", "single_bank" or "many_banks".
    traffic : str
        What is asked for, in words.
    period_clk : float
        The least clocks from burst to burst between two refreshes, on average.
    basis : str
        What the period comes from, as the end of `formula`.
    interval_clk : int
        From one refresh to the next; 0 where no refresh stops the bursts.
    lost_clk : mapping of str to int
        What of the interval no burst can use, by its cause.
    head_clk : float
        What the first few bursts of an interval may gain on the average.
    """

    name: str
    traffic: str
    period_clk: float
    basis: str = ""
    interval_clk: int = 0
    lost_clk: Mapping[str, int] = field(default_factory=dict)
    head_clk: float = 0

    @property
    def bursts(self) -> float:
        """Return the most bursts between two refreshes."""
        return (self.interval_clk - sum(self.lost_clk.values()) + self.head_clk) / self.period_clk + 1

    @property
    def clk_per_burst(self) -> float:
        """Return the least clocks per burst, over long times."""
        return max(self.period_clk, self.interval_clk / self.bursts)

    @property
    def formula(self) -> str:
        """Return how it came about, with the numbers put in."""
        if self.clk_per_burst == self.period_clk:
            return f"{self.period_clk:g} clk{self.basis}"
        names = " - ".join(f"{name} {clk}" for name, clk in self.lost_clk.items())
        extra = f" + {self.head_clk:g}" if self.head_clk else ""
        whole = f"({self.interval_clk} - {names}{extra}) / {self.period_clk:g} + 1"
        return f"{whole} = {self.bursts:.2f} bursts{self.basis}"

    def bandwidth_Bps(self, spec: DramSpec) -> float:
        """Return the limit as bytes a second."""
        return spec.access_bytes / (self.clk_per_burst * spec.tCK_ps * 1e-12)


class Refresh(NamedTuple):
    """How often a bank must rest, and for how long.

    Attributes
    ----------
    command : str
        "REFab" or "REFpb"; "" where nothing is refreshed.
    interval_clk : int
        From one refresh of a bank to the next.
    busy_clk : int
        From the refresh to the bank's next ACT.
    close_clk : int
        From the precharge that makes way for it to the refresh.
    act_clk : int
        From an ACT to the refresh, whatever was done to the row.
    """

    command: str
    interval_clk: int
    busy_clk: int
    close_clk: int
    act_clk: int


def refresh_of(spec: DramSpec, kind: str) -> Refresh:
    """Return what `ControllerSpec.refresh` means for a bank."""
    interval = spec.clocks[spec.table.refresh_interval]
    if kind == "none":
        return Refresh("", interval, 0, 0, 0)
    if kind == "per_bank":
        interval, command = spec.refresh_sets * spec.clocks[spec.table.refresh_per_bank_interval], "REFpb"
        close = spacing(spec, "PREpb", command)
    else:
        command = "REFab"
        close = min(spacing(spec, "PREab", command), spacing(spec, "PREpb", command))
    return Refresh(command, interval, spacing(spec, command, "ACT"), close, spacing(spec, "ACT", command))


def burst_clk(spec: DramSpec) -> float:
    """Return the least clocks per burst while rows are open: the data bus, tCCD and the command pins.

    Bursts that go round G bank groups wait tCCD_S each, and tCCD_L from round to round: max(nBL, S, L / G).
    """
    groups = spec.organization.bankgroups
    within = spacing(spec, "RD", "RD") / groups
    across = spacing(spec, "RD", "RD", "rank") if groups > 1 else 0
    return max(spec.clocks["nBL"], across, within)


def limits(spec: DramSpec, refresh: str = "all_bank", auto_precharge: bool = False) -> dict[str, Limit]:
    """Return all limits on the throughput of reads to one rank, by name.

    Parameters
    ----------
    spec : DramSpec
    refresh : {"all_bank", "per_bank", "none"}
    auto_precharge : bool
        Whether rows are closed without a command of their own (row policy "closed").

    Notes
    -----
    I is the interval from one refresh of a bank to the next (nREFI; for REFpb nREFIpb times the sets), and
    refreshes may come late, but not ever later: intervals are I on average, so a bound on the bursts that fit
    between two refreshes T clocks apart, which is linear in T, holds on average with T = I.

    The functions below say how each comes about.
    """
    rank = _Rank(spec, refresh)
    found = (
        _peak(rank),
        _streaming(rank),
        _one_row(rank),
        _single_bank(rank),
        _many_banks(rank, auto_precharge),
    )
    return {limit.name: limit for limit in found}


class _Rank:
    """A rank with what a standard's rows make of it, as `limits` names it.

    Attributes
    ----------
    spec : DramSpec
    rest : Refresh
    stopped : bool
        Whether a refresh stops all banks of the rank.
    cycle_clk : int
        c, from ACT to ACT of a bank.
    turns : str
        How bursts go through the bank groups, in words.
    """

    def __init__(self, spec: DramSpec, refresh: str):
        self.spec, self.rest = spec, refresh_of(spec, refresh)
        self.stopped = self.rest.command == "REFab"
        self._to_read, self._to_close = spacing(spec, "ACT", "RD"), spacing(spec, "RD", "PREpb")
        own_row = self._to_read + self._to_close + spacing(spec, "PREpb", "ACT")
        self.cycle_clk = max(spacing(spec, "ACT", "ACT"), own_row)
        self.turns = " round the bank groups" if spec.organization.bankgroups > 1 else ""

    def between_reads(self, stopped: bool) -> dict[str, Any]:
        """Return the fields of a `Limit` for RDs that a refresh stops, or lets pass."""
        command, rest = self.rest.command, self.rest
        lost = {
            f"{command}→ACT": rest.busy_clk,
            "ACT→RD": self._to_read,
            "RD→PRE": self._to_close,
            f"PRE→{command}": rest.close_clk,
        }
        return self._between(lost, stopped)

    def between_acts(self, stopped: bool) -> dict[str, Any]:
        """Return the fields of a `Limit` for ACTs that a refresh stops, or lets pass."""
        command, rest = self.rest.command, self.rest
        last = max(rest.act_clk, self._to_read + self._to_close + rest.close_clk)
        return self._between({f"{command}→ACT": rest.busy_clk, f"ACT→{command}": last}, stopped)

    def _between(self, lost_clk: dict[str, int], stopped: bool) -> dict[str, Any]:
        if not stopped or not self.rest.command:
            return {}
        return {"interval_clk": self.rest.interval_clk, "lost_clk": lost_clk}


def _peak(rank: _Rank) -> Limit:
    """Return d = max(nBL, tCCD_S, tCCD_L / bank groups) clocks a burst."""
    basis = ": max(nBL, tCCD_S, tCCD_L / bank groups)"
    return Limit("peak", f"row hits{rank.turns}, no refresh", burst_clk(rank.spec), basis)


def _streaming(rank: _Rank) -> Limit:
    """Return the limit of row hits alone, round the bank groups.

    Between two refreshes the first RD comes REF→ACT (nRFC) + ACT→RD (nRCD) after the one, the last RD→PRE
    (tRTP) + PRE→REF (nRP) before the other, and the RDs between them d apart:
    n <= (I - nRFC - nRCD - tRTP - nRP) / d + 1. With per-bank refresh the other banks go on meanwhile, and
    only peak bounds it.
    """
    period_clk = burst_clk(rank.spec)
    return Limit("streaming", f"row hits{rank.turns}", period_clk, **rank.between_reads(rank.stopped))


def _one_row(rank: _Rank) -> Limit:
    """Return the limit of row hits in one bank: as streaming, with tCCD_L in the place of d."""
    period_clk = max(rank.spec.clocks["nBL"], spacing(rank.spec, "RD", "RD"))
    return Limit("one_row", "row hits, one bank", period_clk, **rank.between_reads(True))


def _single_bank(rank: _Rank) -> Limit:
    """Return the limit of another row of one bank for each burst.

    From ACT to ACT: c = max(nRC, nRCD + tRTP + nRP). The first ACT comes nRFC after a refresh, the last
    r = max(ACT→REF, nRCD + tRTP + PRE→REF) before the next: n <= (I - nRFC - r) / c + 1.
    """
    traffic = "another row each time, one bank"
    return Limit("single_bank", traffic, rank.cycle_clk, **rank.between_acts(True))


def _many_banks(rank: _Rank, auto_precharge: bool) -> Limit:
    """Return the limit of another row for each burst, over all banks.

    ACTs lie p apart on average (`_act_periods`): n <= (I - nRFC - r + h) / p + 1, where h is how much the
    first few may gain on the average. Nor is it faster than streaming.
    """
    name, traffic = "many_banks", "another row each time, all banks"
    bounds = [
        Limit(name, traffic, p, f"; {what}", head_clk=h, **rank.between_acts(rank.stopped))
        for what, p, h in _act_periods(rank, auto_precharge)
    ]
    bounds.append(replace(_streaming(rank), name=name, traffic=traffic, basis="; streaming"))
    return max(bounds, key=lambda limit: limit.clk_per_burst)


def _act_periods(rank: _Rank, auto_precharge: bool) -> Iterator[tuple[str, float, float]]:
    """Yield what keeps the ACTs of all banks apart: its name, p, and h.

    tRRD, in a group tRRD_L; tFAW / 4, where three of four ACTs may come at tRRD; c / banks; and the command
    pins, which PRE, ACT and RD each keep for some clocks. With per-bank refresh ACTs go on, but each REFpb
    comes between two of them, which lie ACT→REFpb + REFpb→ACT apart then.
    """
    spec, rest = rank.spec, rank.rest
    groups, banks = spec.organization.bankgroups, spec.banks_per_rank
    rrd = spacing(spec, "ACT", "ACT", "rank" if groups > 1 else "bankgroup")
    slots = float(rrd)
    if rest.command == "REFpb":  # between two ACTs it keeps them this much further apart
        around_it = spacing(spec, "ACT", "REFpb", "rank") + spacing(spec, "REFpb", "ACT", "rank")
        taken = spec.refresh_sets * max(0, around_it - rrd)
        slots = rrd * rest.interval_clk / (rest.interval_clk - taken)
    if slots:
        yield "tRRD", slots, 0.0
    if groups > 1 and (long := spacing(spec, "ACT", "ACT", "bankgroup")):
        yield "tRRD_L / bank groups", long / groups, float(long)
    for row in spec.table.constraints:
        if row.window > 1 and (clk := spec.latency(row.latency)):
            each = clk / row.window
            yield f"tFAW / {row.window}", each, max(0.0, (row.window - 1) * (each - rrd))
    yield "row cycle / banks", rank.cycle_clk / banks, rank.cycle_clk * (banks - 1) / banks
    if pins := _pins_clk(spec, auto_precharge):
        yield "command pins", float(pins), 0.0


def _pins_clk(spec: DramSpec, auto_precharge: bool) -> int:
    """Return the clocks for which the commands of one burst and its row keep the command pins.

    Each command waits for the pins at least as long as after that one of the three which frees them soonest,
    and likewise each makes the next one wait. Where rows and columns have pins of their own (HBM), that is
    nothing, and each pair of equal commands counts alone.
    """
    commands = ("ACT", "RD") if auto_precharge else ("PREpb", "ACT", "RD")
    rows = [row for row in spec.table.constraints if row.resource == "command_bus" and row.level == "channel"]

    def taken(before: str, after: str) -> int:
        fitting = (r for r in rows if before in r.preceding and after in r.following)
        return max((spec.latency(r.latency) for r in fitting), default=0)

    after_each = sum(min(taken(before, after) for after in commands) for before in commands)
    before_each = sum(min(taken(before, after) for before in commands) for after in commands)
    return max(after_each, before_each, *(taken(command, command) for command in commands))
