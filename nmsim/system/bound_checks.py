"""What the engine does, beside what paper allows: each bound with the traffic that comes nearest to it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from nmsim.dram.bounds import Limit, limits, refresh_of, spacing, unloaded_clk
from nmsim.dram.controller import ControllerSpec
from nmsim.dram.engine import AccessBatch, Channel
from nmsim.dram.spec import DramSpec
from nmsim.dram.standard import Standard

#: A measured throughput within this share of its bound has reached it.
_REACHED = 0.99
#: Refresh intervals over which throughputs are measured.
_INTERVALS = 64


@dataclass(frozen=True)
class Finding:
    """A bound beside what the engine does.

    Attributes
    ----------
    name, traffic : str
    unit : {"clk", "GB/s"}
        Latencies in clocks, which must be exact; throughputs, which must not exceed their bound.
    measured, bound : float
    verdict : {"exact", "wrong", "reached", "below", "faster than possible"}
    formula : str
        How the bound came about.
    why : str
        Where the measured value is more than 1 % below: what the controller would have to have for it, found
        by giving it that.
    """

    name: str
    traffic: str
    unit: str
    measured: float
    bound: float
    verdict: str
    formula: str
    why: str = ""

    @property
    def ratio(self) -> float:
        """Return measured / bound."""
        return self.measured / self.bound

    @property
    def holds(self) -> bool:
        """Return whether this is possible at all."""
        return self.verdict not in ("wrong", "faster than possible")

    def as_dict(self) -> dict[str, Any]:
        """Return the finding for JSON."""
        return asdict(self) | {"ratio": self.ratio}


def check_bounds(spec: DramSpec, controller: ControllerSpec) -> list[Finding]:
    """Return every closed form of `nmsim.dram.bounds` beside a measurement by the engine.

    Throughputs are counted in column commands, over whole refresh intervals, of reads that have all arrived.
    """
    paper = limits(spec, controller.refresh, controller.row_policy == "closed")
    if paper["one_row"].clk_per_burst == paper["streaming"].clk_per_burst:
        del paper["one_row"]  # no bank groups: the same traffic again
    if spec.organization.rows <= controller.read_queue:
        del paper["single_bank"], paper["many_banks"]  # queued requests would meet their row again
    return _latencies(spec, controller) + [_throughput(spec, controller, limit) for limit in paper.values()]


def _latencies(spec: DramSpec, controller: ControllerSpec) -> list[Finding]:
    """Return the latency of a lone read by row outcome, on paper and measured."""
    # What is measured is the memory's: the row stays open and the rank awake from one read to the next.
    awake = replace(
        controller,
        row_policy="open",
        row_timeout_clk=0,
        refresh="none",
        refresh_postponed=0,
        power_down_idle_clk=0,
        self_refresh_idle_clk=0,
    )
    channel, paper = Channel(spec, awake), unloaded_clk(spec)
    gap = max(spec.latency(row.latency) for row in spec.table.constraints) + max(paper.values())
    formulas = {"hit": "nCL + nBL", "miss": "nRCD + nCL + nBL", "conflict": "nRP + nRCD + nCL + nBL"}
    words = {"hit": "its row is open", "miss": "its bank is closed", "conflict": "another row is open"}
    findings = []
    for step, (outcome, row) in enumerate((("miss", 0), ("hit", 0), ("conflict", 1))):
        request = _batch(spec, np.zeros(1, np.int64), np.array([row]))._replace(
            arrival_clk=np.array([step * gap])
        )
        measured = int(channel.access(request, record_done=True).done_clk[0]) - step * gap
        verdict = "exact" if measured == paper[outcome] else "wrong"
        findings.append(
            Finding(
                f"unloaded {outcome}", f"a lone read; {words[outcome]}", "clk",
                measured, paper[outcome], verdict, formulas[outcome],
            )
        )  # fmt: skip
    return sorted(findings, key=lambda finding: finding.bound)


def _throughput(spec: DramSpec, controller: ControllerSpec, limit: Limit) -> Finding:
    clk, window = _clk_per_burst(spec, controller, limit)
    bound = limit.bandwidth_Bps(spec) / 1e9
    measured = bound * limit.clk_per_burst / clk
    # A window begins and ends with refreshes of which one may come later than the other, by a row cycle.
    late = spacing(spec, "ACT", "ACT") + spacing(spec, "PREab", "REFab") + limit.clk_per_burst
    verdict, why = "reached", ""
    if clk * (1 + late / window) < limit.clk_per_burst:
        verdict = "faster than possible"
    elif measured < _REACHED * bound:
        verdict, why = "below", _why(spec, controller, limit, clk)
    return Finding(limit.name, limit.traffic, "GB/s", measured, bound, verdict, limit.formula, why)


def _clk_per_burst(spec: DramSpec, controller: ControllerSpec, limit: Limit) -> tuple[float, int]:
    """Return the clocks per burst of a limit's own traffic, all of which has arrived, and for how many."""
    if limit.name == "peak":
        controller = replace(controller, refresh="none")
        start = window = int(4096 * limit.clk_per_burst)
    else:
        interval = refresh_of(spec, controller.refresh).interval_clk
        # All refreshes that may be postponed are, before the window begins.
        start, window = (2 + controller.refresh_postponed) * interval, _INTERVALS * interval
    # Enough for a fifth more than the limit, so that who is faster is seen to be.
    n = int(1.2 * (start + window) / limit.clk_per_burst) + controller.read_queue + 64
    bank, row = _traffic(spec, limit.name, n, controller.refresh)
    done = Channel(spec, controller).access(_batch(spec, bank, row), record_done=True).done_clk
    issued = done - (spec.clocks["nCL"] + spec.clocks["nBL"])
    bursts = int(((issued >= start) & (issued < start + window)).sum())
    return window / max(1, bursts), window


def _traffic(spec: DramSpec, name: str, n: int, refresh: str) -> tuple[np.ndarray, np.ndarray]:
    """Return banks (of rank 0) and rows of a limit's own traffic."""
    org, i = spec.organization, np.arange(n)
    nothing = np.zeros(n, dtype=np.int64)
    turn, place = np.divmod(i, spec.banks_per_rank)
    every_bank = place % org.bankgroups * org.banks + place // org.bankgroups
    if name in ("peak", "streaming"):
        # Where banks are refreshed one by one, the others must have something to do meanwhile.
        return every_bank if refresh == "per_bank" else i % org.bankgroups * org.banks, nothing
    if name == "one_row":
        return nothing, nothing
    if name == "single_bank":
        return nothing, i % org.rows
    return every_bank, turn % org.rows


def _batch(spec: DramSpec, bank: np.ndarray, row: np.ndarray) -> AccessBatch:
    """Return reads that have all arrived."""
    n = len(bank)
    return AccessBatch(
        bank, row, np.arange(n) % spec.row_bursts, np.zeros(n, dtype=bool), np.empty(0, dtype=np.int64)
    )


class FreePins(DramSpec):
    """A memory with command pins for as many commands as there are at a time."""

    @property
    def table(self) -> Standard:
        rows = (
            replace(row, latency="0") if row.resource == "command_bus" else row
            for row in super().table.constraints
        )
        return replace(super().table, constraints=tuple(rows))


def _why(spec: DramSpec, controller: ControllerSpec, limit: Limit, clk: float) -> str:
    """Return what keeps a throughput below its bound: the change that brings it to its own, or nearest.

    Refresh comes last, since without it most things reach their bounds.
    """
    changes: dict[str, tuple[DramSpec, ControllerSpec]] = {}
    for words, better in (
        ("the scheduler were FR-FCFS", {"scheduler": "FRFCFS"}),
        ("rows stayed open", {"row_policy": "open", "row_timeout_clk": 0}),
        ("row hits were not capped", {"row_hit_cap": 0}),
    ):
        if replace(controller, **better) != controller:
            changes[words] = (spec, replace(controller, **better))
    pins = FreePins(**{field.name: getattr(spec, field.name) for field in fields(spec)})
    changes["commands never waited for the command pins"] = (pins, controller)
    queue = min(4096, 16 * controller.read_queue, spec.organization.rows - 1)
    if queue > controller.read_queue:
        changes[f"the read queue held {queue} requests"] = (spec, replace(controller, read_queue=queue))
    off = replace(controller, refresh="none")
    changes["there were no refresh to meet rows half done"] = (spec, off)
    ratios = {}
    for words, (other, its_controller) in changes.items():
        bound = limits(other, its_controller.refresh, its_controller.row_policy == "closed")[limit.name]
        ratios[words] = bound.clk_per_burst / _clk_per_burst(other, its_controller, bound)[0]
    ratio, best = limit.clk_per_burst / clk, max(ratios, key=ratios.__getitem__)
    words = next((words for words in ratios if ratios[words] >= _REACHED), best)
    single = "" if ratios[words] - ratio >= (1 - ratio) / 2 else "no single cause: "
    return f"{single}if {words}, it would be {ratios[words]:.3f} of its bound"
