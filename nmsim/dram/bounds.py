"""What a memory cannot beat, worked out on paper from the rows of its standard.

Nothing here runs the engine or reads its compiled tables: `spacing` looks the rows up by itself, and the rest
is arithmetic. Every bound holds for any controller that obeys the rows, so that a measurement above it is a
mistake; how near a controller comes is its own merit. All bounds are for reads to one rank.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

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
    clk_per_burst : float
        The least clocks per burst, over long times.
    formula : str
        How it came about, with the numbers put in.
    """

    name: str
    traffic: str
    clk_per_burst: float
    formula: str

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

    peak
        d = max(nBL, tCCD_S, tCCD_L / bank groups) clocks a burst.
    streaming
        Only row hits, round the bank groups. Between two refreshes the first RD comes REF→ACT (nRFC) + ACT→RD
        (nRCD) after the one, the last RD→PRE (tRTP) + PRE→REF (nRP) before the other, and the RDs between
        them d apart: n <= (I - nRFC - nRCD - tRTP - nRP) / d + 1. With per-bank refresh the other banks go on
        meanwhile, and only peak bounds it.
    one_row
        The same in one bank, where tCCD_L takes the place of d.
    single_bank
        Another row of one bank for each burst. From ACT to ACT: c = max(nRC, nRCD + tRTP + nRP). The first
        ACT comes nRFC after a refresh, the last r = max(ACT→REF, nRCD + tRTP + PRE→REF) before the next:
        n <= (I - nRFC - r) / c + 1.
    many_banks
        Another row for each burst, over all banks. ACTs lie p = max(tRRD, tFAW / 4, c / banks, command pins)
        apart on average, in a group tRRD_L: n <= (I - nRFC - r + h) / p + 1, where h is how much the first
        few may gain on the average (tFAW: three of four ACTs may come at tRRD). Nor faster than streaming.
        Command pins: PRE, ACT and RD each keep them for some clocks. With per-bank refresh ACTs go on, but
        each REFpb comes between two of them, which lie ACT→REFpb + REFpb→ACT apart then.
    """
    rest = refresh_of(spec, refresh)
    clocks, org = spec.clocks, spec.organization
    rcd, to_pre, to_act = (
        spacing(spec, "ACT", "RD"),
        spacing(spec, "RD", "PREpb"),
        spacing(spec, "PREpb", "ACT"),
    )
    cycle = max(spacing(spec, "ACT", "ACT"), rcd + to_pre + to_act)
    last_act = max(rest.act_clk, rcd + to_pre + rest.close_clk)
    whole_rank = rest.command == "REFab"

    def between(period: float, lost: dict[str, int], stopped: bool, head: float = 0) -> tuple[float, str]:
        """Return clocks per burst where between two refreshes the bursts lie `period` apart."""
        if not rest.command or not stopped:
            return period, f"{period:g} clk"
        n = (rest.interval_clk - sum(lost.values()) + head) / period + 1
        if rest.interval_clk / n <= period:
            return period, f"{period:g} clk"
        names = " - ".join(f"{name} {clk}" for name, clk in lost.items())
        extra = f" + {head:g}" if head else ""
        return (
            rest.interval_clk / n,
            f"({rest.interval_clk} - {names}{extra}) / {period:g} + 1 = {n:.2f} bursts",
        )

    busy = f"{rest.command}→ACT"
    close = f"PRE→{rest.command}"
    around = {busy: rest.busy_clk, "ACT→RD": rcd, "RD→PRE": to_pre, close: rest.close_clk}
    rows_around = {busy: rest.busy_clk, f"ACT→{rest.command}": last_act}
    d, one_row = burst_clk(spec), max(clocks["nBL"], spacing(spec, "RD", "RD"))

    # A limiter of many_banks: (name, clocks per burst on average, what the first few may gain on it).
    rrd = spacing(spec, "ACT", "ACT", "rank" if org.bankgroups > 1 else "bankgroup")
    windows = [(row.window, spec.latency(row.latency)) for row in spec.table.constraints if row.window > 1]
    banks = spec.banks_per_rank
    slots = float(rrd)
    if rest.command == "REFpb":  # between two ACTs it keeps them this much further apart
        around_it = spacing(spec, "ACT", "REFpb", "rank") + spacing(spec, "REFpb", "ACT", "rank")
        taken = spec.refresh_sets * max(0, around_it - rrd)
        slots = rrd * rest.interval_clk / (rest.interval_clk - taken)
    limiters = [("tRRD", slots, 0.0)]
    if org.bankgroups > 1:
        long = spacing(spec, "ACT", "ACT", "bankgroup")
        limiters.append(("tRRD_L / bank groups", long / org.bankgroups, float(long)))
    for acts, clk in windows:
        limiters.append((f"tFAW / {acts}", clk / acts, max(0.0, (acts - 1) * (clk / acts - rrd))))
    limiters.append(("row cycle / banks", cycle / banks, cycle * (banks - 1) / banks))
    limiters.append(("command pins", float(_pins_clk(spec, auto_precharge)), 0.0))
    many = max(
        (
            (*between(period, rows_around, whole_rank, head), name)
            for name, period, head in limiters
            if period
        ),
        key=lambda found: found[0],
    )
    streaming = between(d, around, whole_rank)
    if streaming[0] > many[0]:
        many = (*streaming, "streaming")
    single = between(cycle, rows_around, True)
    turns = " round the bank groups" if org.bankgroups > 1 else ""
    found = [
        Limit(
            "peak", f"row hits{turns}, no refresh", d, f"{d:g} clk: max(nBL, tCCD_S, tCCD_L / bank groups)"
        ),
        Limit("streaming", f"row hits{turns}", *streaming),
        Limit("one_row", "row hits, one bank", *between(one_row, around, True)),
        Limit("single_bank", "another row each time, one bank", *single),
        Limit("many_banks", "another row each time, all banks", many[0], f"{many[1]}; {many[2]}"),
    ]
    return {limit.name: limit for limit in found}


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
