"""The compute units beside the DRAM banks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest

import numpy as np

from nmsim.access.layout import Layout, RowVisits
from nmsim.access.work import Step
from nmsim.config.board import NearMemory
from nmsim.config.experiment import Simulation
from nmsim.config.schema import RunConfig
from nmsim.dram.spec import DramSpec
from nmsim.energy.placement import PLACEMENTS
from nmsim.system.memory import MemoryChannel
from nmsim.system.meter import Meter
from nmsim.system.parts import dram_spec
from nmsim.system.process import Environment, Process
from nmsim.system.repeats import Repeater
from nmsim.system.tiles import thinned


def team_units(config: RunConfig) -> int:
    """Return how many units work on one class together."""
    count = PLACEMENTS[config.near_memory.placement].count(dram_spec(config.memory).organization)
    return count.slices if config.near_memory.data_placement == "class_per_bank" else count.total


@dataclass(frozen=True, eq=False)
class _Access:
    """The visits of one transfer in one channel."""

    array: str
    visits: RowVisits
    broadcast: bool


@dataclass(frozen=True, eq=False)
class _Share:
    """One channel's part of a step: the records of each transfer that lie there, and how much of the work."""

    step: Step
    reads: tuple[_Access, ...]
    writes: tuple[_Access, ...]
    share: float
    team_units: int


class NearMemoryUnits:
    """Executes steps beside the banks, the channels side by side.

    Within a channel the units work as teams: with `striped` data all units of the channel work on one class;
    with `class_per_bank` each bank's unit works on its own class, and the n-th steps of all classes run
    together. A step loads its broadcast records into the buffers, then streams its other records past them,
    then sends what must be gathered; these three do not overlap, as there is one query buffer.
    """

    def __init__(
        self,
        env: Environment,
        near_memory: NearMemory,
        channels: list[MemoryChannel],
        layout: Layout,
        meter: Meter,
        simulation: Simulation,
        spec: DramSpec,
    ):
        self._env, self._nmc, self._channels = env, near_memory, channels
        self._layout, self._meter, self._simulation, self._clock_ps = layout, meter, simulation, spec.tCK_ps
        self._longest_period_clk = spec.clocks["nREFI"]
        placement = PLACEMENTS[near_memory.placement]
        self._column_clk = placement.column_clk(spec)
        self._max_simultaneous_act = 0 if placement.over_pins else near_memory.max_simultaneous_act
        self._count = placement.count(spec.organization)
        self.units = self._count.total
        self._banks_per_site = layout.geometry.banks // self._count.sites
        self._dies = self._count.dies
        self._pins_Bps = spec.peak_bandwidth_Bps
        given = near_memory.exchange_bandwidth
        self._bus_Bps = given.value if given else spec.peak_bandwidth_Bps / self._count.slices

    def run(self, steps: Sequence[Step]) -> Process[None]:
        """Execute the steps of one phase (a SimPy process)."""
        start = self._env.now
        phase = steps[0].phase
        work = [self._run_channel(channel, steps) for channel in self._channels]
        yield self._env.all_of([self._env.process(w) for w in work])
        powered = self.units * len(self._channels)
        self._meter.work(phase, "nmc", "LEAKAGE", powered * (self._env.now - start))

    def _run_channel(self, channel: MemoryChannel, steps: Sequence[Step]) -> Process[None]:
        teams: dict[int, list[Step]] = {}
        for step in steps:
            team = self._team(step, channel.index)
            if team is not None:
                teams.setdefault(team, []).append(step)
        works = (tuple(filter(None, together)) for together in zip_longest(*teams.values()))
        least, repeater = self._simulation.tiles, Repeater(self._env, [channel], self._simulation.iterations)
        for together, times in thinned(works, None if least == "all" else least):
            shares = [self._share(step, channel.index) for step in together]
            if times > 1:  # alike steps are not repeated ones
                yield from repeater.stand_for(self._once(channel, shares), shares[0].step.phase, times)
                continue
            for repeat in sorted({s.step.repeat for s in shares}):
                alike = [s for s in shares if s.step.repeat == repeat]
                yield from repeater.repeat(partial(self._once, channel, alike), alike[0].step.phase, repeat)

    def _team(self, step: Step, channel: int) -> int | None:
        """Return which team of this channel does the step; None where another channel does it."""
        channels = self._layout.geometry.channels
        if step.group is None:
            return 0
        if step.group % channels != channel:
            return None
        return self._bank_of(step) if self._alone() else 0

    def _alone(self) -> bool:
        return self._layout.placement == "class_per_bank"

    def _share(self, step: Step, channel: int) -> _Share:
        reads: list[_Access] = []
        writes: list[_Access] = []
        here, everywhere = 0, 0
        for transfer in step.transfers:
            visits = self._layout.visits(transfer.array, np.asarray(transfer.rows))
            mine = visits.of_channel(channel).merged()
            kind = writes if transfer.write else reads
            kind.append(_Access(transfer.array, mine, transfer.broadcast))
            if not transfer.broadcast:
                here += int(mine.bursts.sum())
                everywhere += int(visits.bursts.sum())
        if step.group is not None:
            share = 1.0
        else:
            share = here / everywhere if everywhere else 1 / self._layout.geometry.channels
        units = self._count.slices if self._alone() and step.group is not None else self.units
        return _Share(step, tuple(reads), tuple(writes), share, units)

    def _once(self, channel: MemoryChannel, shares: list[_Share]) -> Process[None]:
        phase = shares[0].step.phase
        self._count_operations(channel, shares)
        for array, visits in _by_array(r for s in shares for r in s.reads if r.broadcast):
            yield from self._stream(channel, phase, array, visits, write=False)
        exchange_ps = yield from self._fill_buffers(channel, shares)
        streamed = list(_by_array(r for s in shares for r in s.reads if not r.broadcast))
        # The operations are spread over the records that stream past the busiest site.
        bursts = sum(self._busiest_site(visits) for _, visits in streamed)
        compute_ps = self._compute_ps(shares)
        if bursts and self._whole_channel(shares[0]):  # the site with most records has most of the work
            every = sum(int(visits.bursts.sum()) for _, visits in streamed)
            compute_ps = round(compute_ps * bursts * self._count.sites / every)
        start = self._env.now
        period_clk = -(-compute_ps // (bursts * self._clock_ps)) if bursts else 0
        for array, visits in streamed:
            yield from self._stream(channel, phase, array, visits, False, period_clk)
        stream_ps = self._env.now - start
        if period_clk > self._column_clk:  # the units held the columns back
            stream_ps = min(stream_ps, bursts * self._column_clk * self._clock_ps)
        yield self._env.timeout(max(0, compute_ps - (self._env.now - start)))
        for array, visits in _by_array(w for s in shares for w in s.writes):
            yield from self._stream(channel, phase, array, visits, write=True)
        gathered = sum(s.step.gather_bytes_per_unit * s.team_units for s in shares if s.team_units > 1)
        exchange_ps += yield from self._collect(channel, phase, gathered)
        self._meter.pace.add(
            phase,
            f"channel {channel.index}",
            channel.times,
            units=compute_ps,
            memory=stream_ps,
            exchange=exchange_ps,
        )

    def _count_operations(self, channel: MemoryChannel, shares: list[_Share]) -> None:
        """Count operations, and the instructions that start them, one for every lane's."""
        for share in shares:
            for kind, count in share.step.operations.items():
                self._meter.work(share.step.phase, "nmc", kind, round(count * share.share) * channel.times)
            started = sum(share.step.operations.values()) * share.share / self._nmc.lanes
            self._meter.work(share.step.phase, "nmc", "cpu_instruction", round(started) * channel.times)

    def _fill_buffers(self, channel: MemoryChannel, shares: list[_Share]) -> Process[int]:
        """Send records that were read for all, and what the collector knows, into every buffer of a team.

        Returns the time in ps, if the bus between the units decides on it, else 0.
        """
        phase, sent, risen = shares[0].step.phase, 0, 0
        for share in shares:
            loaded = sum(int(r.visits.bursts.sum()) for r in share.reads if r.broadcast)
            loaded_bytes = loaded * self._layout.geometry.access_bytes
            arriving = loaded_bytes
            if share.team_units > 1:
                arriving += share.step.broadcast_bytes
                risen += loaded_bytes
                sent += arriving
            self._meter.work(phase, "nmc", "SRAM", 8 * arriving * share.team_units * channel.times)
        if not sent:
            return 0
        self._count_exchange(channel, phase, "BROADCAST", sent)
        # On one die all units listen while a record rises: it takes the bus once. The pins of several dies
        # carry it to the controller, and a copy to each device of each rank.
        pin_bytes = 0
        if self._dies > 1:
            self._count_exchange(channel, phase, "GATHER", risen)
            pin_bytes = risen + sent * self._dies
        return (yield from self._move(sent, pin_bytes))

    def _collect(self, channel: MemoryChannel, phase: str, gathered: int) -> Process[int]:
        """Bring what all units send into the collector's buffer; returns as `_fill_buffers` does."""
        if not gathered:
            return 0
        self._count_exchange(channel, phase, "GATHER", gathered)
        self._meter.work(phase, "nmc", "SRAM", 8 * gathered * channel.times)
        # The dies send side by side, then their pins bring it to the collector, if that is elsewhere.
        return (yield from self._move(gathered / self._dies, gathered if self._dies > 1 else 0))

    def _move(self, bus_bytes: float, pin_bytes: float) -> Process[int]:
        """Take the time of the bus inside the dies, or of the channel's pins if these take longer."""
        bus_ps, pins_ps = round(bus_bytes / self._bus_Bps * 1e12), round(pin_bytes / self._pins_Bps * 1e12)
        yield self._env.timeout(max(bus_ps, pins_ps))
        return bus_ps if bus_ps >= pins_ps else 0

    def _count_exchange(self, channel: MemoryChannel, phase: str, kind: str, moved_bytes: int) -> None:
        moved_bytes *= channel.times
        self._meter.work(phase, "nmc", kind, moved_bytes, moved_bytes)

    def _busiest_site(self, visits: RowVisits) -> int:
        site = visits.bank // self._banks_per_site
        return int(np.bincount(site, weights=visits.bursts, minlength=1).max(initial=0))

    def _compute_ps(self, shares: list[_Share]) -> int:
        """Return how long the units take for the operations of these shares, evenly dealt over a team, in ps.

        Teams of one bank whose banks share a site are served there one after another.
        """
        nmc = self._nmc
        cycles_of_site: dict[int, float] = {}
        for share in shares:
            site = 0 if self._whole_channel(share) else self._bank_of(share.step) // self._banks_per_site
            cycles = sum(n * nmc.cycles.get(kind, 1) for kind, n in share.step.operations.items())
            cycles_of_site.setdefault(site, 0.0)
            cycles_of_site[site] += cycles * share.share / (nmc.lanes * share.team_units)
        return round(max(cycles_of_site.values()) / nmc.clock.value * 1e12)

    def _whole_channel(self, share: _Share) -> bool:
        return share.team_units == self.units

    def _bank_of(self, step: Step) -> int:
        geometry = self._layout.geometry
        return (step.group or 0) // geometry.channels % geometry.banks

    def _stream(
        self,
        channel: MemoryChannel,
        phase: str,
        array: str,
        visits: RowVisits,
        write: bool,
        period_clk: int = 0,
    ) -> Process[None]:
        if not len(visits.bursts):
            return
        # The banks of a site take turns on its column bus, or on the pins of the rank; sites do not wait for
        # each other: a buffer chip has a bus to each rank.
        busy = int(np.bincount(np.unique(visits.bank) // self._banks_per_site).max())
        yield from channel.stream(
            phase,
            array,
            visits,
            write,
            # A slower unit waits with its rows closed, so that refresh is never held up.
            column_period_clk=min(busy * max(self._column_clk, period_clk), self._longest_period_clk),
            max_simultaneous_act=self._max_simultaneous_act,
        )


def _by_array(accesses: Iterable[_Access]) -> list[tuple[str, RowVisits]]:
    """Return the visits of each array together: teams in different banks stream at the same time."""
    of_array: dict[str, list[RowVisits]] = {}
    for access in accesses:
        of_array.setdefault(access.array, []).append(access.visits)
    return [
        (array, RowVisits(*(np.concatenate(c) for c in zip(*(vars(p).values() for p in parts), strict=True))))
        for array, parts in of_array.items()
    ]
