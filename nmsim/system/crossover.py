"""All-pairs distances near memory against the host, simulated over q, n and D, beside the formula."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nmsim.access.work import Step
from nmsim.config.schema import RunConfig
from nmsim.energy.layers import DDR_COLUMNS
from nmsim.energy.placement import PLACEMENTS
from nmsim.selection import desne_work
from nmsim.selection.desne_fit import MapFit, Trial
from nmsim.selection.formats import FORMATS
from nmsim.selection.sampling import Sample
from nmsim.system.board import Board, SelectionWork
from nmsim.system.distance_formula import Cost, Formula, Problem, with_buffer
from nmsim.system.parts import dram_spec
from nmsim.trace.schema import COMPONENT_COLUMNS

PHASE = "distances"
#: Bursts that one point may stream when it is simulated; beyond, the formula stands alone.
MOST_BURSTS = 16_000_000


@dataclass(frozen=True)
class Sweep:
    """What is varied, by factors around one point.

    Attributes
    ----------
    centre : Problem
        n, D and k of every point but for what is varied.
    queries : sequence of int
        Values of q up to n (near memory alone: the host uses its SRAM).
    """

    centre: Problem
    queries: Sequence[int] = (1, 2, 4, 8, 16, 32, 64, 128, 256)

    def points(self) -> Iterator[tuple[str, Problem, int | None]]:
        """Yield what is varied, the problem, and the queries: None for those that the buffer holds."""
        n, values, k = self.centre.records, self.centre.values, self.centre.neighbours
        for q in self.queries:
            if q <= n:
                yield "queries", self.centre, q
        for factor in (0.25, 0.5, 1, 2, 4):
            records = max(2, round(n * factor))
            yield "records", Problem(records, values, min(k, records - 1)), None
        for factor in (0.125, 0.25, 0.5, 1, 2, 4):
            yield "values", Problem(n, max(1, round(values * factor)), k), None


def simulated(config: RunConfig, problem: Problem, place: str, queries: int | None = None) -> Cost:
    """Return the cost of one class as the board's processes and the DRAM engine count it.

    Parameters
    ----------
    config : RunConfig
    problem : Problem
    place : str
        "nmc", or "host", which reads at consecutive addresses.
    queries : int, optional
        In a unit's buffer, or the SRAM; as many as fit unless told.
    """
    organization = config.memory.organization
    form, channels = FORMATS[config.near_memory.format], organization.channels
    row_bytes = problem.values * form.value_bytes
    layout = "striped" if place == "nmc" else "interleaved"
    near = config.near_memory.model_copy(update={"data_placement": layout})
    config = config.model_copy(update={"near_memory": near})
    if queries is None:
        buffer = config.near_memory.buffer if place == "nmc" else config.soc.sram
        buffer_bytes = int(buffer.value)
    else:
        buffer_bytes = (queries + 1) * row_bytes
        if place == "nmc" and buffer_bytes // row_bytes != int(config.near_memory.buffer.value) // row_bytes:
            config = with_buffer(config, buffer_bytes)
    n = problem.records * channels
    facts = desne_work.Facts(
        n, row_bytes, "features", row_bytes, problem.values, form.mac, {}, (), 1, "student"
    )
    groups = np.arange(n) % channels
    fits = [_fit(g, np.flatnonzero(groups == g), problem.neighbours) for g in range(channels)]
    board = Board(config, "crossover", desne_work.arrays(facts, fits), groups, None)
    units = PLACEMENTS[near.placement].count(board.spec.organization).total if place == "nmc" else 1
    board.execute(SelectionWork(place, _steps(facts, fits, buffer_bytes, units), 1), [])
    frame = board.frame()
    frame = frame[frame["phase"] == PHASE]
    time_ps = board.meter.phases[PHASE][1]
    return Cost(
        float(frame[DDR_COLUMNS].to_numpy().sum()) / channels,
        float(frame[COMPONENT_COLUMNS].to_numpy().sum()) / channels,
        time_ps / channels,
    )


def _steps(facts: desne_work.Facts, fits: list[MapFit], buffer_bytes: int, units: int) -> Iterator[Step]:
    for fit in fits:
        yield from desne_work.distance_steps(facts, fit, buffer_bytes, units)


def _fit(group: int, members: np.ndarray, k: int) -> MapFit:
    """Return a class of records in random order: the m-th that is offered enters a list with k/m chance."""
    n = len(members)
    entered = np.concatenate([[0.0], np.cumsum(np.minimum(1.0, k / np.arange(1, n)))])
    early = np.rint(entered).astype(np.int64)
    late = np.rint(entered[-1]).astype(np.int64) - early
    chosen = Sample(np.zeros(1, dtype=np.int64), 0, 0, 1)
    trial = Trial(k / 3, k, 0, 0, {}, 0.0)
    return MapFit(group, members, early, late, (trial,), trial, chosen)


def sweep(
    config: RunConfig, plan: Sweep, tell: Callable[[str, float], None] = lambda message, share: None
) -> pd.DataFrame:
    """Return a row for each point: over, records, values, queries, place, and from formula and simulation

    ddr_J, total_J and time_s, as `formula_<name>` and `simulated_<name>`; the latter empty where a point
    would stream more than `MOST_BURSTS`.
    """
    spec = dram_spec(config.memory)
    formula = Formula(config, spec)
    points = list(plan.points())
    rows: list[dict[str, Any]] = []
    for index, (over, problem, queries) in enumerate(points):
        for place in ("nmc", "host"):
            q = formula.near_queries(problem) if place == "nmc" else formula.host_queries(problem)
            q = min(queries or q, problem.records) if place == "nmc" else min(q, problem.records)
            tell(f"n {problem.records:,}, D {problem.values:,}, q {q}, {place}", index / len(points))
            cost = formula.near(problem, q) if place == "nmc" else formula.host(problem)
            row = {"over": over, "records": problem.records, "values": problem.values}
            row |= {"queries": q, "place": place, **_named("formula", cost)}
            record = problem.values * FORMATS[config.near_memory.format].value_bytes
            bursts = problem.records**2 * record / (2 * q * spec.access_bytes) * spec.organization.channels
            known = [r for r in rows if r["place"] == place == "host" and _same(r, row)]
            if known:
                row |= {name: value for name, value in known[0].items() if name.startswith("simulated")}
            elif bursts <= MOST_BURSTS:
                row |= _named("simulated", simulated(config, problem, place, q if place == "nmc" else None))
            rows.append(row)
    return pd.DataFrame(rows)


def _same(row: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(row[name] == other[name] for name in ("records", "values", "queries"))


def _named(prefix: str, cost: Cost) -> dict[str, float]:
    return {
        f"{prefix}_ddr_J": cost.ddr_fJ * 1e-15,
        f"{prefix}_total_J": cost.total_fJ * 1e-15,
        f"{prefix}_time_s": cost.time_ps * 1e-12,
    }
