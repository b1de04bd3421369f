"""A memory under load: its latency over its bandwidth.

One channel with the board's own controller and address map is offered requests at a rate, open loop: requests
arrive whether or not earlier ones are served, as from many independent sources. Latency runs from a request's
arrival to the clock after its last data beat, waiting for room in the queues included.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from nmsim import rng
from nmsim.dram.address import AddressMap, Location
from nmsim.dram.bounds import refresh_of, spacing
from nmsim.dram.commands import OUTCOMES
from nmsim.dram.controller import ControllerSpec
from nmsim.dram.engine import AccessBatch, Channel
from nmsim.dram.spec import DramSpec
from nmsim.errors import ConfigError

ARRIVALS = ("poisson", "even")
READ_FRACTIONS = (1.0, 0.67, 0.5)
RANDOM_SHARES = (0.0, 0.5, 1.0)
#: Offered bandwidths, as shares of the peak.
RATES = tuple(round(0.05 * step, 2) for step in range(1, 23))
#: Where a line saturates, `Load.refine` looks at these shares of what it then serves.
_BELOW_THE_WALL = (0.85, 0.92, 0.96, 0.98)
REQUESTS = 60_000
#: About 200 bytes are held for each request of a point.
MAX_REQUESTS = 2_000_000
#: Shares of a point's requests that are not measured: at first the queues fill, at last they only drain.
WARM_UP, COOL_DOWN = 0.1, 0.02
#: Requests are cut into so many batches for the confidence interval of their mean; Student's t, 95 %, n - 1.
BATCHES, T_95 = 20, 2.093
#: Where less than this share of what arrives is served meanwhile, the memory is saturated.
_KEEPS_UP = 0.99


@dataclass(frozen=True)
class Load:
    """What is asked of the memory.

    Parameters
    ----------
    read_fraction : tuple of float
        Probabilities that a request is a read, 0 to 1.
    random_share : tuple of float
        Probabilities, 0 to 1, that a request goes to a burst drawn from the whole memory; the others go
        through it burst by burst.
    rate : tuple of float
        Offered bandwidths as shares of the peak, above 0 and at most 10.
    arrivals : {"poisson", "even"}
        Exponential gaps, or equal ones.
    requests : int
        Of each point of the curve, 1,000 to 2,000,000.
    seed : int
    refine : bool
        Whether each line gets more points just below the bandwidth at which it saturates.

    Raises
    ------
    ConfigError
        Where a value cannot be meant.
    """

    read_fraction: tuple[float, ...] = READ_FRACTIONS
    random_share: tuple[float, ...] = RANDOM_SHARES
    rate: tuple[float, ...] = RATES
    arrivals: str = "poisson"
    requests: int = REQUESTS
    seed: int = 1
    refine: bool = False

    def __post_init__(self) -> None:
        for name in ("read_fraction", "random_share"):
            _check_all(name, getattr(self, name), lambda share: 0 <= share <= 1, "0 to 1")
        _check_all("rate", self.rate, lambda rate: 0 < rate <= 10, "above 0, at most 10 times the peak")
        if self.arrivals not in ARRIVALS:
            raise ConfigError("arrivals cannot be meant", found=self.arrivals, expected=" or ".join(ARRIVALS))
        if not 1000 <= self.requests <= MAX_REQUESTS:
            raise ConfigError(
                "requests cannot be meant", found=self.requests, expected=f"1,000 to {MAX_REQUESTS:,}"
            )
        if not 0 <= self.seed < 2**63:
            raise ConfigError("seed cannot be meant", found=self.seed, expected="0 to 2**63 - 1")


def _check_all(name: str, values: Sequence[float], fits: Callable[[float], bool], expected: str) -> None:
    wrong = [value for value in values if not fits(value)]
    if wrong or not values:
        found = f"{wrong[0]:g}" if wrong else "nothing"
        raise ConfigError(f"{name} cannot be meant", found=found, expected=expected)
    if len(set(values)) < len(values):
        raise ConfigError(f"{name} holds a value twice", found=", ".join(f"{v:g}" for v in values))


@dataclass(frozen=True)
class Point:
    """The memory under one load; latencies in ns, from arrival to the last data beat.

    Attributes
    ----------
    read_fraction, random_share, rate : float
        As in `Load`.
    offered_GBps, achieved_GBps : float
        1e9 bytes a second of one channel that arrived, and that were served, while measured.
    saturated : bool
        Served less than arrived, by over 1 %: latencies grow with the number of requests and mean nothing.
    reads, writes : int
        Requests whose latency was measured.
    read_ns, write_ns : dict
        mean, p50, p95, p99, min, and from 20 requests on ci95, half the 95 % interval of the mean, from batch
        means; empty where there were none. A write's last data beat comes when the controller drains its
        writes, long after whoever wrote went on.
    row_hit_share : float
        Of all requests.
    """

    read_fraction: float
    random_share: float
    rate: float
    offered_GBps: float
    achieved_GBps: float
    saturated: bool
    reads: int
    writes: int
    read_ns: dict[str, float]
    write_ns: dict[str, float]
    row_hit_share: float


def loaded_latency(
    spec: DramSpec,
    controller: ControllerSpec,
    load: Load,
    tell: Callable[[str, float | None], None] = lambda message, share: None,
) -> tuple[list[Point], list[str]]:
    """Return the points of the curve, and what in them is faster than possible (nothing, if all is well).

    Lines (a read fraction with a random share) draw their requests once: along a line only the gaps between
    arrivals shrink. A line's numbers do not depend on which others are drawn.
    """
    points: list[Point] = []
    wrong: list[str] = []
    lines = [(reads, random) for random in load.random_share for reads in load.read_fraction]
    for number, (reads, random) in enumerate(lines):

        def say(
            done: float, number: int = number, kind: str = f"{reads:.0%} reads, {random:.0%} random"
        ) -> None:
            tell(kind, (number + done) / len(lines))

        stream = requests(spec, controller, load, reads, random)
        line, problems = line_of(spec, controller, load, stream, (reads, random), _alone, say)
        points += line
        wrong += problems
    return points, wrong


def _alone(spec: DramSpec, controller: ControllerSpec, batch: AccessBatch, _rate: float) -> Served:
    activity = Channel(spec, controller).access(batch, record_done=True)
    return Served(activity.done_clk, int(activity.outcomes[OUTCOMES.index("hit")].sum()))


class Served(NamedTuple):
    """When each request was done, how many found their row open, and how much longer a refresh may wait.

    Attributes
    ----------
    done_clk : ndarray of int64, shape (n,)
    hits : int
    late_refreshes : int
        Refreshes that may be owed beyond those that the controller may postpone.
    """

    done_clk: np.ndarray
    hits: int
    late_refreshes: int = 0


def line_of(
    spec: DramSpec,
    controller: ControllerSpec,
    load: Load,
    stream: Stream,
    kind: tuple[float, float],
    serve: Callable[[DramSpec, ControllerSpec, AccessBatch, float], Served],
    tell: Callable[[float], None] = lambda share: None,
) -> tuple[list[Point], list[str]]:
    """Return the points of one line, by rate, and what in them is faster than possible.

    Parameters
    ----------
    spec, controller, load
    stream : Stream
        The requests.
    kind : tuple of float
        Their read fraction and random share.
    serve : callable
        Serves them, given spec, controller, the requests and their rate.
    tell : callable
        Is told which share of the line is done.
    """
    line: list[Point] = []
    wrong: list[str] = []
    rates = list(load.rate)
    while rates:
        tell(len(line) / len(load.rate))
        rate = rates.pop(0)
        arrival = np.floor(stream.gaps * (spec.clocks["nBL"] / rate)).astype(np.int64)
        place = stream.place
        batch = AccessBatch(place.bank, place.row, place.column, stream.is_write, arrival)
        served = serve(spec, controller, batch, rate)
        point, problems = _point(spec, controller, batch, served, (*kind, rate))
        line.append(point)
        wrong += [f"{kind[0]:g} reads, {kind[1]:g} random, rate {rate:g}: {text}" for text in problems]
        if not rates and load.refine and len(line) == len(load.rate):
            rates = _below_the_wall(spec, line)
    return sorted(line, key=lambda point: point.rate), wrong


def _below_the_wall(spec: DramSpec, line: list[Point]) -> list[float]:
    """Return rates between the last point of a line that kept up and the bandwidth at which it saturates."""
    full = [point.achieved_GBps for point in line if point.saturated]
    if not full:
        return []
    wall = max(full) / (spec.peak_bandwidth_Bps / 1e9)
    kept_up = max((point.rate for point in line if not point.saturated), default=0)
    return [round(wall * share, 4) for share in _BELOW_THE_WALL if round(wall * share, 4) > kept_up]


class Stream(NamedTuple):
    """The requests of one line to one channel.

    Attributes
    ----------
    place : Location
    is_write : ndarray of bool, shape (n,)
    gaps : ndarray of float, shape (n,)
        Arrivals, in mean gaps from the first on.
    """

    place: Location
    is_write: np.ndarray
    gaps: np.ndarray


def requests(
    spec: DramSpec,
    controller: ControllerSpec,
    load: Load,
    reads: float,
    random: float,
    banks: np.ndarray | None = None,
) -> Stream:
    """Return one line's requests; where `banks` is given, only those that go to these banks, as many."""
    n, generator = load.requests, rng.stream(load.seed, "probe", f"{reads:g}", f"{random:g}")
    one = replace(spec.organization, channels=1)
    channel = replace(spec, organization=one)
    # Bursts of one channel in the order of their addresses: the map without its channel bits.
    places = AddressMap(channel, controller.address_map.replace("Ch", ""), controller.bank_hash)
    drawn = n if banks is None else n * spec.banks_per_channel // len(banks)
    place = _places(places, generator, drawn, random)
    while banks is not None:
        kept = np.flatnonzero(np.isin(place.bank, banks))[:n]
        if len(kept) == n:
            place = Location(*(field[kept] for field in place))
            break
        drawn += n
        place = _places(places, generator, drawn, random)
    is_write = generator.random(n) >= reads
    gaps = generator.exponential(1.0, n) if load.arrivals == "poisson" else np.ones(n)
    return Stream(place, is_write, np.cumsum(gaps) - gaps[0])


def _places(places: AddressMap, generator: np.random.Generator, n: int, random: float) -> Location:
    access_bytes = places.spec.access_bytes
    bursts = places.size_bytes // access_bytes
    is_random = generator.random(n) < random
    in_turn = np.cumsum(~is_random) - 1
    burst = np.where(is_random, generator.integers(0, bursts, n), in_turn % bursts)
    return places.decode(burst * access_bytes)


def _point(
    spec: DramSpec,
    controller: ControllerSpec,
    batch: AccessBatch,
    result: Served,
    load: tuple[float, float, float],
) -> tuple[Point, list[str]]:
    n, arrival, done = len(batch.bank), batch.arrival_clk, result.done_clk
    first, last = int(n * WARM_UP), n - max(1, int(n * COOL_DOWN))
    start, end = int(arrival[first]), max(int(arrival[last]), int(arrival[first]) + 1)
    interval = refresh_of(spec, controller.refresh).interval_clk
    if (
        end - start > interval
    ):  # bandwidth over whole refresh intervals: none has more of refresh than another
        end = start + (end - start) // interval * interval
    served = int(((done > start) & (done <= end)).sum())
    arrived = int(((arrival > start) & (arrival <= end)).sum())
    measured = slice(first, last)
    latency, is_write = (done - arrival)[measured], batch.is_write[measured]
    GBps = spec.access_bytes / ((end - start) * spec.tCK_ps * 1e-3)
    reads, writes = latency[~is_write], latency[is_write]
    point = Point(
        *load,
        offered_GBps=arrived * GBps,
        achieved_GBps=served * GBps,
        saturated=served < _KEEPS_UP * arrived,
        reads=len(reads),
        writes=len(writes),
        read_ns=_statistics(reads * (spec.tCK_ps * 1e-3)),
        write_ns=_statistics(writes * (spec.tCK_ps * 1e-3)),
        row_hit_share=result.hits / n,
    )
    late = result.late_refreshes
    return point, _too_fast(spec, controller, served, end - start, reads, writes, late)


def _statistics(latency_ns: np.ndarray) -> dict[str, float]:
    if not len(latency_ns):
        return {}
    p50, p95, p99 = (float(value) for value in np.percentile(latency_ns, (50, 95, 99)))
    found = {
        "mean": float(latency_ns.mean()),
        "p50": p50,
        "p95": p95,
        "p99": p99,
        "min": float(latency_ns.min()),
    }
    if len(latency_ns) >= BATCHES:
        means = [part.mean() for part in np.array_split(latency_ns, BATCHES)]
        found["ci95"] = T_95 * float(np.std(means, ddof=1)) / BATCHES**0.5
    return found


def _too_fast(
    spec: DramSpec,
    controller: ControllerSpec,
    served: int,
    clk: int,
    reads: np.ndarray,
    writes: np.ndarray,
    late_refreshes: int = 0,
) -> list[str]:
    """Return what no legal controller could have done."""
    clocks, wrong = spec.clocks, []
    for kind, latencies, first in (("read", reads, "nCL"), ("write", writes, "nCWL")):
        least = clocks[first] + clocks["nBL"]
        if len(latencies) and latencies.min() < least:
            wrong.append(f"a {kind} took {latencies.min()} clocks, less than {first} + nBL = {least}")
    most = most_bursts(spec, controller, clk, late_refreshes)
    if served > most:
        wrong.append(f"{served} bursts in {clk} clocks, more than {most}")
    return wrong


def most_bursts(spec: DramSpec, controller: ControllerSpec, clk: int, late_refreshes: int = 0) -> int:
    """Return the most bursts, reads and writes mixed, whose last beats a channel can have in some clocks.

    Notes
    -----
    Bursts lie d apart: nBL, or the least spacing of column commands where that is more. Where all banks are
    refreshed at once, column commands lie at least RD or WR→PRE, PRE→REFab, REFab→ACT and ACT→RD or WR apart
    around a refresh, and last beats that much less |nCL - nCWL|. In `clk` clocks lie wholly at least
    clk // nREFI - 1 refreshes, less those that the controller may postpone, and `late_refreshes`. Of several
    ranks one may serve while another rests, so that nBL alone counts.
    """
    clocks, columns = spec.clocks, ("RD", "WR")
    if spec.organization.ranks > 1:
        return clk // clocks["nBL"] + 1
    distance = max(clocks["nBL"], min(spacing(spec, a, b, "rank") for a in columns for b in columns))
    rest = refresh_of(spec, controller.refresh)
    lost = 0
    if rest.command == "REFab":
        idle = min(spacing(spec, c, "PREpb") for c in columns) + min(spacing(spec, "ACT", c) for c in columns)
        idle += rest.close_clk + rest.busy_clk - abs(clocks["nCL"] - clocks["nCWL"]) - distance
        owed = 1 + controller.refresh_postponed + late_refreshes
        lost = max(0, clk // rest.interval_clk - owed) * max(0, idle)
    return (clk - lost) // distance + 1
