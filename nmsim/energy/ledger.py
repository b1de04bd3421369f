"""What a scheme did, as counts; joules come last.

The ledger holds how many commands of each kind every bank saw and how many operations, bytes and picoseconds
everything else took, by phase and cause. Energies are counts times prices (`nmsim.energy.prices`), rounded
once per row to whole femtojoules, so that every sum over rows is exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from nmsim.dram.commands import COMMANDS
from nmsim.energy.components import COMPONENTS
from nmsim.energy.prices import PriceList
from nmsim.errors import ResourceLimitError
from nmsim.units import format_energy

#: No quantity may come nearer to int64's limit than this, and no sum of energies nearer than the next.
MAX_TOTAL = 2**62
MAX_SUM = 2**63 - 2**54


class CommandKey(NamedTuple):
    """What DRAM commands are counted under."""

    phase: str
    source: str
    array: str
    channel: int


class WorkKey(NamedTuple):
    """What everything else is counted under; `kind` is a key of `PriceList.work`."""

    phase: str
    source: str
    kind: str
    array: str = ""


class Ledger:
    """Counts of one scheme, by phase and cause."""

    def __init__(self) -> None:
        self._commands: dict[CommandKey, np.ndarray] = {}
        self._work: dict[WorkKey, list[int]] = {}

    def add_commands(self, key: CommandKey, counts: np.ndarray, times: int = 1) -> None:
        """Add DRAM commands: int64 counts of shape (commands, banks of the channel), `times` over.

        Raises
        ------
        ResourceLimitError
            Where they come near to what 64 bits can count.
        """
        refuse_too_many(counts, times)
        if key in self._commands:
            self._commands[key] += counts * times
        else:
            self._commands[key] = counts.astype(np.int64) * times

    def add_work(self, key: WorkKey, count: int, moved_bytes: int = 0) -> None:
        """Add operations, bits, clocks or picoseconds of one kind, and the bytes that they moved."""
        entry = self._work.setdefault(key, [0, 0])
        entry[0] += int(count)
        entry[1] += int(moved_bytes)

    def frame(self, prices: PriceList) -> pd.DataFrame:
        """Return one row per key, command and bank that was seen, with its energy by component.

        Columns: phase source array channel bank cmd count bytes and one `<component>_fJ` each. `bank` counts
        all banks of a channel through; channel and bank are -1 where there is none.

        Raises
        ------
        ResourceLimitError
            Where an energy passes 2**62 fJ, or that of all rows together nearly 2**63.
        """
        rows: list[tuple[Any, ...]] = []
        energies: list[np.ndarray] = []
        for key, counts in self._commands.items():
            for command, bank in np.argwhere(counts):
                name, count = COMMANDS[command], int(counts[command, bank])
                rows.append((*key, int(bank), name, count, count * prices.command_bytes[name]))
                energies.append(_checked(prices.command(name, key.source), count))
        for work, (count, moved) in self._work.items():
            if count or moved:
                rows.append((work.phase, work.source, work.array, -1, -1, work.kind, count, moved))
                energies.append(_rounded(prices.work(work.kind, work.source), count))
        names = ["phase", "source", "array", "channel", "bank", "cmd", "count", "bytes"]
        frame = pd.DataFrame(rows, columns=names)
        table = np.array(energies, dtype=np.int64).reshape(len(rows), len(COMPONENTS))
        if (total_fJ := float(table.sum(dtype=float))) > MAX_SUM:
            raise too_large(total_fJ, MAX_SUM)
        for index, component in enumerate(COMPONENTS):
            frame[f"{component}_fJ"] = table[:, index]
        return frame

    def counts(self, prices: PriceList) -> dict[tuple[str, str, str, str], int]:
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

    def bytes_of(self, prices: PriceList, source: str, phases: Iterable[str] | None = None) -> int:
        """Return the bytes that `source` read and wrote in DRAM, in all phases or in those given."""
        wanted = None if phases is None else set(phases)
        weights = np.array([prices.command_bytes[name] for name in COMMANDS], dtype=np.int64)
        return sum(
            int((counts.sum(axis=1) * weights).sum())
            for key, counts in self._commands.items()
            if key.source == source and (wanted is None or key.phase in wanted)
        )


def refuse_too_many(counts: np.ndarray, times: int) -> None:
    """Refuse counts that, `times` over, come near to the end of 64 bits."""
    if (most := int(counts.max(initial=0)) * times) > MAX_TOTAL:
        raise ResourceLimitError(
            "there are too many DRAM commands to be counted in 64 bits",
            found=f"{most:.3g} of a kind",
            expected=f"at most {MAX_TOTAL:.3g}",
            hint="Lower training.epochs.",
        )


def _checked(price_fJ: np.ndarray, count: int) -> np.ndarray:
    if count * int(price_fJ.max(initial=0)) > MAX_TOTAL:
        raise too_large(count * int(price_fJ.max()))
    return price_fJ * count


def _rounded(price_fJ: np.ndarray, count: int) -> np.ndarray:
    exact = price_fJ * float(count)
    if not exact.max(initial=0.0) <= MAX_TOTAL:  # a NaN neither
        raise too_large(float(exact.max()))
    return np.rint(exact).astype(np.int64)


def too_large(energy_fJ: float, limit_fJ: int = MAX_TOTAL) -> ResourceLimitError:
    """Return the error that says so."""
    return ResourceLimitError(
        "an energy is too large for whole femtojoules in 64 bits",
        found=format_energy(energy_fJ),
        expected=f"at most {format_energy(limit_fJ)}",
        hint="Lower training.epochs: every epoch costs about the same.",
    )
