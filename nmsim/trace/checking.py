"""Are the commands of a file, or of a run's energy trace, legal? In constant memory.

An energy trace need not have every command: with `trace.level=window` a phase shows its first ones, and work
that is simulated once and counted many times over leaves time out. A channel's commands are therefore checked
in stretches. Where the trace has sums of a channel's commands, a stretch ends with its phase, and at a pause
in which a refresh must have come; what the channel did before the next is not known, and no violation. Nor is
a refresh missed in a phase of which there are sums: time may have been left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nmsim.dram.activity import CommandLog
from nmsim.dram.checker import Checker, Violation
from nmsim.dram.checker_kernel import OVERDUE, STATE_RULES
from nmsim.dram.commands import COMMANDS, PDE, PDX, SRE, SRX, REFab, REFpb
from nmsim.dram.durations import command_durations
from nmsim.dram.spec import DramSpec
from nmsim.errors import TraceFormatError
from nmsim.trace.command_files import read_commands
from nmsim.trace.exporters.judge import check_memory, command_log
from nmsim.trace.exporters.window import ADDRESS, is_single
from nmsim.trace.reader import Trace

#: Violations that are kept; all are counted.
SHOWN = 10

#: Refresh intervals without a command after which some must have been left out.
_PAUSE_INTERVALS = 2

_MISSING = STATE_RULES[-1 - OVERDUE]
#: Commands that the memory causes by itself: the trace does not say whether near memory was at work.
_OWN = [int(c) for c in (REFab, REFpb, PDE, PDX, SRE, SRX)]


@dataclass(frozen=True)
class Found:
    """A violation and where it stands: a line of a file, or a channel and phase of a scheme."""

    violation: Violation
    line: int | None = None
    scheme: str = ""
    phase: str = ""
    channel: int = 0


@dataclass
class Verdict:
    """What was checked, and what was found.

    Attributes
    ----------
    rules : int
        Rules of the standard: rows of its table, and those about states.
    commands : int
        Commands that were checked.
    stretches : int
        Pieces without a gap that they make up.
    unchecked : int
        Commands that the trace holds only as sums, over all channels.
    violations : int
    first : list of Found
        The first `SHOWN` of them.
    has_end : bool
        Whether a file of commands has its END line.
    """

    rules: int
    commands: int = 0
    stretches: int = 0
    unchecked: int = 0
    violations: int = 0
    first: list[Found] = field(default_factory=list)
    has_end: bool = True

    def note(self, violations: list[Found]) -> None:
        """Count violations, and keep the first."""
        self.violations += len(violations)
        self.first += violations[: max(0, SHOWN - len(self.first))]


def check_file(path: Path | str, spec: DramSpec, refresh: str, from_start: bool = True) -> Verdict:
    """Check a file of commands of one channel (`nmsim.trace.command_files`).

    Parameters
    ----------
    refresh, from_start
        As for `nmsim.dram.checker.Checker`.

    Raises
    ------
    TraceFormatError
        Where the file is damaged, or of another memory.
    """
    checker = Checker(spec, refresh, from_start)
    verdict, end = Verdict(checker.rules, stretches=1), None
    for part in read_commands(path, spec):
        verdict.commands += len(part.log)
        verdict.note([Found(v, int(part.line[v.index])) for v in checker.violations(part.log)])
        end = part.end
    verdict.has_end = end is not None
    if end:
        verdict.note([Found(v, end[1]) for v in checker.end(end[0])])
    if not verdict.commands:
        raise TraceFormatError("holds no command", file=path)
    return verdict


def check_trace(trace: Trace, spec: DramSpec, refresh: str, simultaneous_act: int = 0) -> Verdict:
    """Check the single commands of an energy trace, channel by channel and scheme by scheme.

    Parameters
    ----------
    refresh : str
        As for `nmsim.dram.checker.Checker`.
    simultaneous_act : int
        The board's `near_memory.max_simultaneous_act`.

    Raises
    ------
    TraceFormatError
        Where the trace is damaged, or of another memory.
    """
    verdict, sums = Verdict(Checker(spec).rules), _Sums()
    refresh_clk = command_durations(spec).get("REFpb")
    refresh_ps = None if refresh_clk is None else refresh_clk * spec.tCK_ps
    for batch, single in _batches(trace, refresh_ps):
        sums.add(batch.filter(pc.invert(single)), batch.filter(single))
    verdict.unchecked = sums.commands
    # The sums stand in the last part of a trace: of a part alone nobody knows what it lacks.
    whole = trace.path.is_dir()
    with_gaps = {place[:2] for place in sums.partial}
    lanes: dict[tuple[str, int], _Lane] = {}
    for batch, single in _batches(trace, refresh_ps):
        batch = batch.filter(single)
        if batch.num_rows == 0:
            continue
        check_memory(batch, spec, trace)
        log, is_near = command_log(batch, spec.tCK_ps), _texts(batch, "source") == "nmc"
        keys = np.stack([_texts(batch, "scheme"), batch.column("channel").to_numpy(), _texts(batch, "phase")])
        for at, place in _runs(keys):
            scheme, channel, phase = place
            near = is_near[at] | (np.isin(log.command[at], _OWN) & (place in sums.near))
            part = replace(_take(log, at), near_memory=near)
            lane = lanes.setdefault(
                place[:2], _Lane(spec, refresh, has_gaps=not whole or place[:2] in with_gaps)
            )
            found = lane.violations(part, phase, simultaneous_act)
            if not whole or place in sums.partial:
                found = [v for v in found if not v.rule.startswith(_MISSING)]
            verdict.commands += len(part)
            verdict.note([Found(v, None, scheme, phase, channel) for v in found])
    verdict.stretches = sum(lane.stretches for lane in lanes.values())
    return verdict


class _Lane:
    """A channel of a scheme, and the stretch that its commands have come to."""

    def __init__(self, spec: DramSpec, refresh: str, has_gaps: bool):
        self._spec, self._refresh, self._has_gaps = spec, refresh, has_gaps
        self._longest_clk = _PAUSE_INTERVALS * spec.clocks["nREFI"]
        self._phase, self._last_clk, self.stretches = "", 0, 0

    def violations(self, log: CommandLog, phase: str, simultaneous_act: int) -> list[Violation]:
        """Return the violations of the channel's next commands, all of one phase."""
        cuts = [0] if not self.stretches or (self._has_gaps and phase != self._phase) else []
        if self._has_gaps:
            pauses = np.diff(log.clk, prepend=self._last_clk) > self._longest_clk
            cuts = sorted({*cuts, *np.flatnonzero(pauses).tolist()})
        self._phase, self._last_clk = phase, int(log.clk[-1])
        found = []
        for first, last in pairwise([*({0} - set(cuts)), *cuts, len(log)]):
            if first in cuts:
                self._checker = Checker(self._spec, self._refresh, from_start=not self._has_gaps)
                self.stretches += 1
            found += self._checker.violations(_take(log, np.arange(first, last)), simultaneous_act)
        return found


class _Sums:
    """What the aggregated rows of a trace tell: `partial` and `near` hold (scheme, channel, phase)."""

    def __init__(self) -> None:
        self.commands = 0
        self.partial: set[tuple[str, int, str]] = set()
        self.near: set[tuple[str, int, str]] = set()

    def add(self, aggregates: pa.RecordBatch, singles: pa.RecordBatch) -> None:
        self.commands += pc.sum(aggregates.column("count")).as_py() or 0
        self.partial |= _places(aggregates)
        self.near |= _places(singles.filter(pc.equal(singles.column("source").cast(pa.string()), "nmc")))


def _batches(trace: Trace, refresh_ps: int | None) -> Iterator[tuple[pa.RecordBatch, pa.Array]]:
    """Yield the rows about commands, and which of them are single ones."""
    columns = ["t_ps", "dur_ps", "cmd", *ADDRESS, "source", "phase", "scheme", "count"]
    known = pa.array(COMMANDS)
    for batch in trace.batches(columns):
        batch = batch.filter(pc.is_in(batch.column("cmd").cast(pa.string()), value_set=known))
        yield batch, is_single(batch, refresh_ps)


def _places(batch: pa.RecordBatch) -> set[tuple[str, int, str]]:
    groups = pa.table(batch).group_by(["scheme", "channel", "phase"], use_threads=False).aggregate([])
    return {(g["scheme"] or "", g["channel"], g["phase"] or "") for g in groups.to_pylist()}


def _texts(batch: pa.RecordBatch, name: str) -> np.ndarray:
    texts = pc.fill_null(batch.column(name).cast(pa.string()), "")
    return np.asarray(texts.to_numpy(zero_copy_only=False))


def _runs(keys: np.ndarray) -> Iterator[tuple[np.ndarray, tuple[Any, ...]]]:
    """Yield (positions, key) of rows with one scheme and channel, piece by piece as the phase changes."""
    whole = list(zip(*keys.tolist(), strict=True))
    codes = {key: i for i, key in enumerate(dict.fromkeys(whole))}
    code = np.fromiter((codes[key] for key in whole), dtype=np.int64, count=len(whole))
    channels = {pair: i for i, pair in enumerate(dict.fromkeys(key[:2] for key in codes))}
    channel_of = np.array([channels[key[:2]] for key in codes])
    names = list(codes)
    for channel in range(len(channels)):
        at = np.flatnonzero(channel_of[code] == channel)
        for piece in np.split(at, np.flatnonzero(np.diff(code[at])) + 1):
            yield piece, names[code[piece[0]]]


def _take(log: CommandLog, at: np.ndarray) -> CommandLog:
    return CommandLog(*(getattr(log, name)[at] for name in CommandLog.__annotations__))
