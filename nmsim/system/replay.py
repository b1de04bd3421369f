"""Request traces through the memory alone: how long, what the rows did, and what it cost."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nmsim.dram.activity import Activity
from nmsim.dram.address import AddressMap
from nmsim.dram.commands import (
    ACT,
    BACKGROUND_STATES,
    COMMANDS,
    CONFLICT,
    HIT,
    MISS,
    N_COMMANDS,
    PDE,
    PDX,
    RD,
    RDA,
    SRE,
    SRX,
    WR,
    WRA,
    PREab,
    PREpb,
    REFab,
    REFpb,
)
from nmsim.dram.controller import ControllerSpec
from nmsim.dram.engine import AccessBatch, Channel
from nmsim.dram.spec import DramSpec
from nmsim.energy.idd import command_energies
from nmsim.store import fs
from nmsim.trace.exporters.commands import CommandFile
from nmsim.trace.importers import Requests, read_requests

#: A gap between two arrivals of this many refresh intervals is skipped in one stride.
_LONG_IDLE_INTERVALS = 64
#: While commands are written: requests, and refresh intervals, that one call of the engine logs.
_LOGGED_REQUESTS, _LOGGED_INTERVALS = 1 << 13, 1 << 10


@dataclass(frozen=True)
class Commands:
    """Where and how to write the DRAM commands of a replay; see `nmsim.trace.exporters.commands`.

    Attributes
    ----------
    path : Path
        A memory of several channels has a file for each, with `.channelN` before the suffix.
    format : str
        One of `COMMAND_FORMATS`.
    from_ps, to_ps : int or None
        Only commands at `from_ps` or later, and before `to_ps`; all are checked.
    """

    path: Path
    format: str = "csv"
    from_ps: int | None = None
    to_ps: int | None = None

    def file(self, spec: DramSpec, refresh: str, channel: int) -> CommandFile:
        """Return the file of a channel, to be opened."""
        from_clk, to_clk = (
            None if t_ps is None else -(-t_ps // spec.tCK_ps) for t_ps in (self.from_ps, self.to_ps)
        )
        return CommandFile(
            self.path_of(spec, channel),
            spec,
            self.format,
            channel=channel,
            refresh=refresh,
            from_clk=from_clk,
            to_clk=to_clk,
        )

    def path_of(self, spec: DramSpec, channel: int) -> Path:
        """Return where a channel's commands go."""
        path = self.path
        if spec.organization.channels == 1 or not path.name:  # the root has none, and is no file
            return path
        return path.with_name(f"{path.stem}.channel{channel}{path.suffix}")


def replay(
    spec: DramSpec,
    controller: ControllerSpec,
    trace: Path | str,
    *,
    format: str = "auto",
    request_bytes: int | None = None,
    commands: Commands | None = None,
    refresh_background: str = "active",
    threads: int = 1,
) -> dict[str, Any]:
    """Run a request trace of any length through a memory, in constant memory.

    Parameters
    ----------
    spec : DramSpec
    controller : ControllerSpec
    trace : Path or str
        See `nmsim.trace.importers`.
    format : str
        One of `nmsim.trace.importers.FORMATS`.
    request_bytes : int, optional
        Length of a request that names none; one burst where absent.
    commands : Commands, optional
        Where to write the DRAM commands, each checked against the standard's table.
    refresh_background : {"active", "precharged"}
        The background that runs during a refresh; see `nmsim.energy.idd.command_energies`.
    threads : int
        Channels that run side by side; it changes nothing but the time that it takes.

    Returns
    -------
    dict
        What `replay_requests` returns.

    Raises
    ------
    TraceFormatError
        Where the trace is damaged.
    ProtocolViolation
        Where `commands` is given and a command breaks its standard; no file is left then.
    StoreError
        Where `commands` cannot be written.
    """
    if commands is not None:
        for channel in range(spec.organization.channels):
            fs.check_output(commands.path_of(spec, channel), [trace])
    address_map = AddressMap(spec, controller.address_map, controller.bank_hash)
    requests = read_requests(trace, address_map, format, request_bytes)
    return replay_requests(
        spec,
        controller,
        requests,
        commands=commands,
        refresh_background=refresh_background,
        threads=threads,
    )


def replay_requests(
    spec: DramSpec,
    controller: ControllerSpec,
    requests: Iterable[Requests],
    *,
    commands: Commands | None = None,
    refresh_background: str = "active",
    threads: int = 1,
) -> dict[str, Any]:
    """Run requests, chunk by chunk, through a memory.

    Parameters
    ----------
    spec, controller, commands, refresh_background, threads
        As in `replay`.
    requests : iterable of Requests
        Clocks do not decrease.

    Returns
    -------
    dict
        requests, bytes : bursts, and their bytes. clocks, time_ps : up to the last data beat of the last
        channel. row_hits, row_misses, row_conflicts : requests that found their row open, their bank closed,
        another row open. commands : by kind, over all ranks. RD and WR count all reads and writes, RDA and
        WRA those of them with auto-precharge; PRE the banks that are closed, by whatever; REF refreshes of
        all banks, REFPB those of some. bandwidth_GBps : 1e9 bytes a second. energy_fJ : integers; `ref` is
        what refreshing adds to the background, `background` the standby of all ranks over all clocks, with
        the active background during REF where `refresh_background` says so; `total` is the sum of the
        others. wall_s, requests_per_s : how fast this was simulated, from the first line read to the last
        clock; without compiling the kernels, or loading them from Numba's cache.

    Notes
    -----
    Channels are independent: a full queue of one does not hold up the requests to another. How the requests
    are cut into chunks changes nothing.
    """
    with ExitStack() as files:
        lanes = []
        for number in range(spec.organization.channels):
            file = None
            if commands is not None:
                file = files.enter_context(commands.file(spec, controller.refresh, number))
            lanes.append(_Lane(Channel(spec, controller), file))
        pool = files.enter_context(ThreadPoolExecutor(max(1, threads)))
        began = time.perf_counter()
        for chunk in requests:
            parts = [_batch(chunk, number if len(lanes) > 1 else None) for number in range(len(lanes))]
            for _ in pool.map(_Lane.serve, lanes, parts):
                pass
        clocks = max(pool.map(_Lane.drain, lanes))
        for lane in lanes:
            lane.finish(clocks)
    result = _result(spec, [lane.done for lane in lanes], clocks, refresh_background)
    result["wall_s"] = time.perf_counter() - began
    result["requests_per_s"] = result["requests"] / result["wall_s"]
    return result


def _batch(chunk: Requests, channel: int | None) -> AccessBatch:
    """Return the requests to one channel; None: there is only one."""
    place, is_write, arrival_clk = chunk
    if channel is None:
        return AccessBatch(place.bank, place.row, place.column, is_write, arrival_clk)
    here = np.flatnonzero(place.channel == channel)  # positions: a mask would be counted anew for each array
    arrival_clk = arrival_clk[here] if len(arrival_clk) else arrival_clk
    return AccessBatch(place.bank[here], place.row[here], place.column[here], is_write[here], arrival_clk)


class _Lane:
    """A channel, what it has done so far, and where its commands go."""

    def __init__(self, channel: Channel, file: CommandFile | None):
        self._channel, self._file = channel, file
        interval = channel.spec.clocks["nREFI"]
        self._long_clk, self._stride_clk = _LONG_IDLE_INTERVALS * interval, _LOGGED_INTERVALS * interval
        # A log must hold all commands of a call. Room that is not used is never touched.
        banks = channel.spec.banks_per_channel
        self._log_rows = 0 if file is None else _LOGGED_REQUESTS * (4 + 2 * banks)
        self.done: Activity = channel.advance(0)

    def serve(self, batch: AccessBatch) -> None:
        """Serve requests as far as those that follow cannot matter."""
        n, clk = len(batch.bank), batch.arrival_clk
        cuts = {n}
        if len(clk):
            cuts.update(np.flatnonzero(np.diff(clk, prepend=0) > self._long_clk).tolist())
        if self._file:
            cuts.update(range(_LOGGED_REQUESTS, n, _LOGGED_REQUESTS))
            cuts.update(np.flatnonzero(np.diff(clk // self._stride_clk, prepend=0)).tolist())
        start = 0
        for end in sorted(cuts - {0}):
            part = AccessBatch._make([*(array[start:end] for array in batch[:4]), clk[start:end]])
            if len(part.arrival_clk):
                # Nothing arrives before the first of these, so what waits is served without them.
                self._pass(int(part.arrival_clk[0]))
            self._note(self._channel.access(part, drain=False, log_rows=self._log_rows))
            start = end

    def _pass(self, until_clk: int) -> None:
        """Let a long time pass, a short one not: `Channel.access` does."""
        while until_clk - self._channel.clk > self._long_clk:
            stride = self._stride_clk if self._file else until_clk
            clk = min(until_clk, self._channel.clk + stride)
            self._note(self._channel.advance(clk, log_rows=self._log_rows))

    def drain(self) -> int:
        """Serve all that waits; return the clock after the last data beat."""
        nothing = np.empty(0, dtype=np.int64)
        empty = AccessBatch(nothing, nothing, nothing, nothing.astype(bool), nothing)
        self._note(self._channel.access(empty, log_rows=self._log_rows))
        return self.done.end_clk

    def finish(self, clocks: int) -> None:
        """Let time pass to the end of the whole memory's work."""
        self._pass(clocks)
        self._note(self._channel.advance(clocks, log_rows=self._log_rows))
        if self._file:
            self._file.end(clocks)

    def _note(self, activity: Activity) -> None:
        if self._file:
            check_complete(activity)
            self._file.write(activity.log)
        self.done = self.done + replace(activity, log=self.done.log)


def check_complete(activity: Activity) -> None:
    """Raise RuntimeError where a log lacks commands: a file with gaps would pass for what happened."""
    log = activity.log
    logged = np.bincount(log.command, minlength=N_COMMANDS)
    logged[PREab] = log.closed[log.command == PREab].sum()
    counted = activity.counts.sum(axis=1)
    if (logged != counted).any():
        lacking = ", ".join(name for name, a, b in zip(COMMANDS, logged, counted, strict=True) if a != b)
        raise RuntimeError(f"the log of commands was too short: {lacking}")


def _result(spec: DramSpec, lanes: list[Activity], clocks: int, refresh_background: str) -> dict[str, Any]:
    """Return what the channels did, and its energy, in the words of `replay_requests`."""
    energies = command_energies(spec, refresh_background)
    counts = sum(lane.counts.sum(axis=1) for lane in lanes)
    outcomes = sum(lane.outcomes.sum(axis=1) for lane in lanes)
    state_clk = sum(lane.background_clk.sum(axis=0) for lane in lanes)

    def number(command: int | np.int64) -> int:
        return int(counts[command])

    def price_fJ(command: int | np.int64) -> int:
        return int(energies.command_fJ[COMMANDS[command]])

    reads, writes = number(RD) + number(RDA), number(WR) + number(WRA)
    closed = number(PREpb) + number(PREab) + number(RDA) + number(WRA)
    refresh_background_fJ = number(REFab) * energies.refresh_background_fJ
    background_fJ = sum(
        int(clk) * energies.background_fJ_per_clk[state]
        for state, clk in zip(BACKGROUND_STATES, state_clk, strict=True)
    )
    refresh_fJ = number(REFab) * price_fJ(REFab) + number(REFpb) * price_fJ(REFpb)
    energy = {
        "act": number(ACT) * price_fJ(ACT),
        "pre": closed * price_fJ(PREpb),
        "rd": reads * price_fJ(RD),
        "wr": writes * price_fJ(WR),
        "ref": refresh_fJ - refresh_background_fJ,
        "background": background_fJ + refresh_background_fJ,
    }
    requests, time_ps = int(outcomes.sum()), clocks * spec.tCK_ps
    bytes_moved = requests * spec.access_bytes
    return {
        "requests": requests,
        "clocks": clocks,
        "time_ps": time_ps,
        "row_hits": int(outcomes[HIT]),
        "row_misses": int(outcomes[MISS]),
        "row_conflicts": int(outcomes[CONFLICT]),
        "commands": {
            "ACT": number(ACT),
            "PRE": closed,
            "RD": reads,
            "WR": writes,
            "REF": number(REFab),
            "PDE": number(PDE),
            "PDX": number(PDX),
            "RDA": number(RDA),
            "WRA": number(WRA),
            "REFPB": number(REFpb),
            "SRE": number(SRE),
            "SRX": number(SRX),
        },
        "bytes": bytes_moved,
        "bandwidth_GBps": bytes_moved / (time_ps * 1e-3),
        "energy_fJ": {**energy, "total": sum(energy.values())},
    }
