"""What all-pairs distances cost beside the memory and on the host, in closed form.

A class has n records of R bytes (whole bursts) with D values; a buffer holds q of them as queries beside one
that streams past. In m = ceil(n/q) tiles, tile t meets the n - q·t records behind it, so that

    records read     n as queries + S streamed,   S = n(m - 1) - q m(m - 1)/2 ≈ n²/2q
    pairs            P = n(n - 1)/2, each D multiply-accumulates and two comparisons

whatever q is: the buffer decides on S·R bytes alone. With e the price of a byte read where it is used, the
energy of the reads is e·R·(n + S), and e_near < e_host but q_near < q_host: that is the crossover. Besides:

- rows: a run of r records over B banks opens r·R/row + min(B, r)·(1 - burst/row) of them; and every refresh
  closes the row of each bank, which is opened again;
- neighbour lists (`nmsim.selection.desne_work.distance_steps`): a record's candidates are written and read,
  its list is written. The m-th record that is offered enters a list of k with chance k/m, so that of those
  before a record k ln(n/k) + k²/2n enter its list on average, and of those after it k - k²/2n;
- near memory, the queries' way to all u units: BROADCAST once a byte, u times into SRAM, bounds (4 bytes)
  with them; on the host, every byte into its SRAM;
- arithmetic at the prices of the place, near memory with one instruction for all lanes;
- what grows with time: standby, refresh, leakage of the units, static power of the SoC.

Near memory the parts of a tile follow each other: fill (columns of the busiest site; then the bus), stream
(columns or operations, whichever is slower), lists, gathering. On the host, transfers and operations of all
tiles of all classes overlap, but for the first load and the last lists. Refresh takes nRFCab of every nREFI
from the memory.

The simulation counts every command instead; tests/system/test_crossover.py holds the two together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nmsim.config.schema import RunConfig
from nmsim.config.variation import with_values
from nmsim.dram.spec import DramSpec
from nmsim.energy.layers import IS_DDR
from nmsim.energy.placement import PLACEMENTS, UnitCount
from nmsim.energy.prices import PriceList
from nmsim.selection.desne_work import ENTRY_BYTES
from nmsim.selection.formats import FORMATS
from nmsim.system.host import compute_times_ps

#: Buffers that are tried for the crossing, before the first that wins is narrowed down.
_GRID = 48


@dataclass(frozen=True)
class Problem:
    """All-pairs distances within classes, one class in each channel.

    Attributes
    ----------
    records, values : int
        n and D.
    neighbours : int
        k, below n.
    """

    records: int
    values: int
    neighbours: int


@dataclass(frozen=True)
class Cost:
    """What the distances of one class cost.

    Attributes
    ----------
    ddr_fJ : float
        In the memory and on the link, standby and refresh included.
    total_fJ : float
        On the whole board.
    time_ps : float
        Of all classes, over their number.
    """

    ddr_fJ: float
    total_fJ: float
    time_ps: float


class Formula:
    """The closed form on one board.

    Parameters
    ----------
    config : RunConfig
        Near memory: `data_placement: striped`; the host reads at consecutive addresses.
    spec : DramSpec
        Its memory.
    """

    def __init__(self, config: RunConfig, spec: DramSpec):
        self._config, self._spec, self._prices = config, spec, PriceList(config, spec)
        self._form = FORMATS[config.near_memory.format]
        self._channels = spec.organization.channels
        self._burst, self._row = spec.access_bytes, spec.access_bytes * spec.row_bursts
        clocks = spec.clocks
        self._refresh_share = clocks["nRFCab"] / clocks["nREFI"]
        self._refresh_ps = clocks["nREFI"] * spec.tCK_ps

    def near(self, problem: Problem, queries: int) -> Cost:
        """Return the cost beside the memory, with buffers that hold `queries`.

        A buffer of another size than configured has another energy and leakage, where the configuration
        leaves these to its size.
        """
        if queries != self.near_queries(problem):
            board = with_buffer(self._config, (queries + 1) * self._value_bytes(problem))
            return Formula(board, self._spec)._near(problem, queries)
        return self._near(problem, queries)

    def _near(self, problem: Problem, queries: int) -> Cost:
        near, banks = self._config.near_memory, self._spec.banks_per_channel
        placement = PLACEMENTS[near.placement]
        count = placement.count(self._spec.organization)
        tile, tiles = self._tiles(problem, queries)
        stream = self._streamed(problem.records, tile, tiles)
        record, operations = self._record_bytes(problem), self._operations(problem)
        reads = _Reads(self, banks)
        reads.add(problem.records, record, tiles)
        reads.add(stream, record, tiles - 1)
        early, listed = self._add_lists(reads, problem, tiles)
        column = placement.column_clk(self._spec) * self._spec.tCK_ps
        cycles = sum(n * near.cycles.get(kind, 1) for kind, n in operations.items())
        compute_ps = cycles / (near.lanes * count.total * near.clock.value) * 1e12
        # Records that a pass cannot deal out evenly: the busiest of S sites has (S - 1)/2S more on average.
        uneven = (count.sites - 1) / 2
        pairs = problem.records * (problem.records - 1) / 2
        compute_ps *= 1 + uneven * tile * (tiles - 1) / pairs
        _, late = self._entries(problem)
        sent = problem.records * (record + 4)
        gathered = ENTRY_BYTES * problem.records * late
        bus_Bps = near.exchange_bandwidth.value if near.exchange_bandwidth else self._pads_Bps(count)
        dies = count.dies
        fill_s, collect_s = sent / bus_Bps, gathered / (dies * bus_Bps)
        if dies > 1:
            pins_Bps = self._spec.peak_bandwidth_Bps
            fill_s = max(fill_s, (problem.records * record + sent * dies) / pins_Bps)
            collect_s = max(collect_s, gathered / pins_Bps)
        exchange_ps = (fill_s + collect_s) * 1e12
        row_ps = (self._spec.clocks["nRCD"] + self._spec.clocks["nRPpb"]) * self._spec.tCK_ps

        busiest = -(-tile // count.sites)  # records of a tile at one site
        passing = (stream + (tiles - 1) * uneven) / count.sites * record + tiles * busiest * early
        at_once = tiles * busiest * (record + listed - early) / self._burst * column
        moved = problem.records * (record + listed) + stream * record
        waiting = (moved / banks / self._row + 5 * tiles - 1) * row_ps
        memory_ps = (at_once + waiting) / (1 - self._refresh_share)
        memory_ps += self._passing_ps(passing / self._burst, column, compute_ps, row_ps)
        time_ps = memory_ps + exchange_ps
        energy = reads.energy("nmc", time_ps)
        sram_bits = 8 * (sent * count.total + gathered)
        work = operations | {"cpu_instruction": sum(operations.values()) / near.lanes, "SRAM": sram_bits}
        work |= {"BROADCAST": sent, "GATHER": gathered + (problem.records * record if dies > 1 else 0)}
        work |= {"LEAKAGE": count.total * time_ps}
        return self._cost(energy, work, "nmc", time_ps, memory_ps)

    def host(self, problem: Problem, queries: int | None = None) -> Cost:
        """Return the cost on the host, with as many queries as its SRAM holds unless told."""
        queries = self.host_queries(problem) if queries is None else queries
        tile, tiles = self._tiles(problem, queries)
        stream = self._streamed(problem.records, tile, tiles)
        record, operations = self._record_bytes(problem), self._operations(problem)
        reads = _Reads(self, self._spec.banks_per_channel)
        reads.add(problem.records, record, 0)  # at consecutive addresses: no run ends within a row
        reads.add(stream, record, 0)
        self._add_lists(reads, problem, 0)
        load_ps = reads.bytes / (self._channels * self._spec.peak_bandwidth_Bps) * 1e12
        load_ps /= 1 - self._refresh_share
        npu_ps, cpu_ps = compute_times_ps(self._config.soc, operations)
        time_ps = max(load_ps, npu_ps, cpu_ps) + load_ps / (tiles * self._channels)
        energy = reads.energy("host", time_ps)
        work = operations | {"SRAM": 8 * reads.bytes}
        return self._cost(energy, work, "soc", time_ps, min(load_ps, time_ps), per_channel=False)

    def host_queries(self, problem: Problem) -> int:
        """Return how many queries fit into the host's SRAM beside one record, at least 1."""
        return max(1, int(self._config.soc.sram.value) // self._value_bytes(problem) - 1)

    def near_queries(self, problem: Problem) -> int:
        """Return how many fit into the configured buffer of a unit."""
        return max(1, int(self._config.near_memory.buffer.value) // self._value_bytes(problem) - 1)

    def crossing(self, problem: Problem, layer: str = "total_fJ") -> int | None:
        """Return the smallest number of queries with which near memory costs no more than the host.

        `layer` is a field of `Cost`. None where no number of queries up to n does, of those tried.
        """
        limit = getattr(self.host(problem), layer)

        def wins(queries: int) -> bool:
            return getattr(self.near(problem, queries), layer) <= limit

        # The cost falls with q and then rises with the buffer's own: of a grid, the first that wins.
        grid = np.unique(np.geomspace(1, problem.records, _GRID).round().astype(int)).tolist()
        first = next((place for place, queries in enumerate(grid) if wins(queries)), None)
        if first is None:
            return None
        low, high = grid[first - 1] + 1 if first else grid[0], grid[first]
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if wins(middle) else (middle + 1, high)
        return low

    def _passing_ps(self, columns: float, column_ps: float, compute_ps: float, row_ps: float) -> float:
        """Return the time of a site's columns past units that need `compute_ps` for all of them.

        A refresh takes its time and that of opening the rows again, and half of the column that it meets;
        units so slow that a refresh fits between two columns lose half of its time instead.
        """
        passing_ps = max(columns * column_ps, compute_ps)
        away_ps = self._spec.clocks["nRFCab"] * self._spec.tCK_ps + row_ps
        away_ps += 0.5 * min(away_ps, passing_ps / max(columns, 1.0))
        return passing_ps / (1 - away_ps / self._refresh_ps)

    def _cost(
        self,
        energy: list[float],
        work: dict[str, float],
        source: str,
        time_ps: float,
        open_ps: float,
        per_channel: bool = True,
    ) -> Cost:
        """Return the cost of a class, whose share of the board's standing costs is one of the channels'.

        Rows are open for `open_ps` of the time.
        """
        total = sum(energy)
        ddr = sum(energy[i] for i in IS_DDR.nonzero()[0])
        for kind, amount in work.items():
            price = self._prices.work(kind, source) * amount
            total += float(price.sum())
            ddr += float(price[IS_DDR].sum())
        # Near memory all channels have a class and take this time; on the host classes take turns.
        share = 1 / self._channels if per_channel else 1.0
        ranks, prices = self._spec.organization.ranks, self._prices
        standby = prices.work("active", "dram").sum() * open_ps
        standby += prices.work("precharged", "dram").sum() * (time_ps - open_ps)
        standby /= self._spec.tCK_ps
        standby += prices.command("REFab", "dram").sum() * time_ps / self._refresh_ps
        standing = float(standby) * ranks * self._channels * share
        total += standing + float(prices.work("STATIC", "soc").sum()) * time_ps * share
        return Cost(ddr + standing, total, time_ps * share)

    def _tiles(self, problem: Problem, queries: int) -> tuple[int, int]:
        tile = min(queries, problem.records)
        return tile, -(-problem.records // tile)

    @staticmethod
    def _streamed(records: int, tile: int, tiles: int) -> float:
        return records * (tiles - 1) - tile * tiles * (tiles - 1) / 2

    def _value_bytes(self, problem: Problem) -> int:
        return problem.values * self._form.value_bytes

    def _record_bytes(self, problem: Problem) -> int:
        return -(-self._value_bytes(problem) // self._burst) * self._burst

    def _operations(self, problem: Problem) -> dict[str, float]:
        pairs = problem.records * (problem.records - 1) / 2
        return {self._form.mac: pairs * problem.values, "compare": 2 * pairs}

    @staticmethod
    def _entries(problem: Problem) -> tuple[float, float]:
        """Return how many candidates enter a record's list before its own tile and after it, on average."""
        n, k = problem.records, problem.neighbours
        return k * math.log(n / k) + k * k / (2 * n), k - k * k / (2 * n)

    def _add_lists(self, reads: _Reads, problem: Problem, runs: int) -> tuple[int, int]:
        """Add the traffic of the neighbour lists; return a record's bytes read from them, and all of them."""
        early, kept = (
            -(-ENTRY_BYTES * math.ceil(entries) // self._burst) * self._burst
            for entries in (self._entries(problem)[0], problem.neighbours)
        )
        for size, write in ((early, True), (early, False), (kept, True)):
            reads.add(problem.records, size, runs, write)
        return early, 2 * early + kept

    def _pads_Bps(self, count: UnitCount) -> float:
        return self._spec.peak_bandwidth_Bps / count.slices


def with_buffer(config: RunConfig, buffer_bytes: int) -> RunConfig:
    """Return the board with another buffer in each near-memory unit."""
    return with_values(config, {"near_memory.buffer": float(buffer_bytes)})


class _Reads:
    """Bytes that are read and written, and rows that this opens."""

    def __init__(self, formula: Formula, banks: int):
        self._of, self._banks = formula, banks
        self.bytes = self._read = self._written = self._opened = 0.0

    def add(self, records: float, record_bytes: float, runs: int, write: bool = False) -> None:
        """Add records that are accessed in some runs, each over as many banks as it has records for."""
        moved = records * record_bytes
        self.bytes += moved
        if write:
            self._written += moved
        else:
            self._read += moved
        row, burst = self._of._row, self._of._burst
        self._opened += moved / row
        if runs:
            self._opened += runs * min(self._banks, records / runs) * (1 - burst / row)

    def energy(self, source: str, time_ps: float) -> list[float]:
        """Return the energy in fJ by component; refreshes in `time_ps` close a row of each bank."""
        prices, burst = self._of._prices, self._of._burst
        opened = self._opened
        if source == "nmc":
            opened += self._banks * time_ps / self._of._refresh_ps
        rows = (prices.command("ACT", source) + prices.command("PREpb", source)) * opened
        columns = prices.command("RD", source) * (self._read / burst)
        columns = columns + prices.command("WR", source) * (self._written / burst)
        return [float(fJ) for fJ in rows + columns]
