"""What a scheme did, as counts; joules come last.

The ledger holds how many commands of each kind every bank saw and how many operations, bytes and picoseconds
everything else took, by phase and cause. It knows the names of commands and the bytes of a burst, and no
price: `nmsim.energy.priced` multiplies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nmsim.dram.commands import COMMANDS, MOVES_BURST
from nmsim.errors import ResourceLimitError

#: No quantity may come nearer to int64's limit than this.
MAX_TOTAL = 2**62


class CommandKey(NamedTuple):
    """What DRAM commands are counted under."""

    phase: str
    source: str
    array: str
    channel: int


class WorkKey(NamedTuple):
    """What everything else is counted under; `kind` is a kind of work that a price list knows."""

    phase: str
    source: str
    kind: str
    array: str = ""


@dataclass(frozen=True)
class Entry:
    """How often one DRAM command was seen in one bank, or how much of one kind of work there was.

    `cmd` names the command or the kind of work. `bank` counts all banks of a channel through; channel and
    bank are -1 where there is none. `bytes` are those that the commands, or the work, moved.
    """

    phase: str
    source: str
    array: str
    channel: int
    bank: int
    cmd: str
    count: int
    bytes: int


class Ledger:
    """Counts of one scheme, by phase and cause.

    Parameters
    ----------
    access_bytes : int
        Bytes of a burst.
    """

    def __init__(self, access_bytes: int) -> None:
        self._command_bytes = np.where(MOVES_BURST, access_bytes, 0)
        self._commands: dict[CommandKey, np.ndarray] = {}
        self._work: dict[WorkKey, list[int]] = {}

    def add_commands(self, key: CommandKey, counts: np.ndarray) -> None:
        """Add DRAM commands: int64 counts of shape (commands, banks of the channel).

        Raises
        ------
        ResourceLimitError
            Where they come near to what 64 bits can count.
        """
        refuse_too_many(counts)
        if key in self._commands:
            self._commands[key] += counts
        else:
            self._commands[key] = counts.astype(np.int64)

    def add_work(self, key: WorkKey, count: int, moved_bytes: int = 0) -> None:
        """Add operations, bits, clocks or picoseconds of one kind, and the bytes that they moved."""
        entry = self._work.setdefault(key, [0, 0])
        entry[0] += int(count)
        entry[1] += int(moved_bytes)

    def entries(self) -> Iterator[Entry]:
        """Yield what was seen: DRAM commands by bank, then all other work."""
        for key, counts in self._commands.items():
            for command, bank in np.argwhere(counts):
                count = int(counts[command, bank])
                moved = count * int(self._command_bytes[command])
                yield Entry(*key, int(bank), COMMANDS[command], count, moved)
        for work, (count, moved) in self._work.items():
            if count or moved:
                yield Entry(work.phase, work.source, work.array, -1, -1, work.kind, count, moved)

    def counts(self) -> dict[tuple[str, str, str, str], int]:
        """Return how often each command or kind of work was seen, by (phase, source, array, name)."""
        found: dict[tuple[str, str, str, str], int] = {}
        for key, counts in self._commands.items():
            for name, count in zip(COMMANDS, counts.sum(axis=1).tolist(), strict=True):
                if count:
                    place = (key.phase, key.source, key.array, name)
                    found[place] = found.get(place, 0) + count
        for work, (count, _) in self._work.items():
            if count:
                found[work.phase, work.source, work.array, work.kind] = count
        return found

    def bytes_of(self, source: str, phases: Iterable[str] | None = None) -> int:
        """Return the bytes that `source` read and wrote in DRAM, in all phases or in those given."""
        wanted = None if phases is None else set(phases)
        return sum(
            int(counts.sum(axis=1) @ self._command_bytes)
            for key, counts in self._commands.items()
            if key.source == source and (wanted is None or key.phase in wanted)
        )


def refuse_too_many(counts: np.ndarray, times: int = 1) -> None:
    """Refuse counts that, `times` over, come near to the end of 64 bits."""
    if (most := int(counts.max(initial=0)) * times) > MAX_TOTAL:
        raise ResourceLimitError(
            "there are too many DRAM commands to be counted in 64 bits",
            found=f"{most:.3g} of a kind",
            expected=f"at most {MAX_TOTAL:.3g}",
            hint="Lower training.epochs.",
        )
