"""Counts times prices: the one place where what a ledger holds becomes energy.

Each entry is rounded once to whole femtojoules, so that every sum over rows is exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

import numpy as np
import pandas as pd

from nmsim.dram.commands import COMMANDS
from nmsim.energy.components import COMPONENTS
from nmsim.energy.ledger import MAX_TOTAL, Entry, Ledger
from nmsim.energy.prices import PriceList
from nmsim.errors import ResourceLimitError
from nmsim.units import format_energy

#: No sum of energies may come nearer to int64's limit than this; of a single one, `MAX_TOTAL` is the limit.
MAX_SUM = 2**63 - 2**54


def priced(ledger: Ledger, prices: PriceList) -> pd.DataFrame:
    """Return a row for each entry of a ledger, with its energy by component.

    Returns
    -------
    DataFrame
        The fields of `nmsim.energy.ledger.Entry`, one column `<component>_fJ` each, in int64, and their sum
        energy_fJ.

    Raises
    ------
    ResourceLimitError
        Where an energy passes 2**62 fJ, or that of all rows together nearly 2**63.
    """
    entries = list(ledger.entries())
    energies = [_energies_fJ(entry, prices) for entry in entries]
    table = np.array(energies, dtype=np.int64).reshape(len(entries), len(COMPONENTS))
    if (total_fJ := float(table.sum(dtype=float))) > MAX_SUM:
        raise too_large(total_fJ, MAX_SUM)
    frame = pd.DataFrame([vars(e) for e in entries], columns=[f.name for f in fields(Entry)])
    for index, component in enumerate(COMPONENTS):
        frame[f"{component}_fJ"] = table[:, index]
    frame["energy_fJ"] = table.sum(axis=1)
    return frame


def priced_fJ(counts: Mapping[tuple[str, str, str, str], int], prices: PriceList) -> float:
    """Return the energy in fJ of all of `Ledger.counts` together."""
    return sum(float(prices.of(name, source).sum()) * count for (_, source, _, name), count in counts.items())


def _energies_fJ(entry: Entry, prices: PriceList) -> np.ndarray:
    """Return the whole energies of an entry, (components,): those of commands are exact."""
    price_fJ, count = prices.of(entry.cmd, entry.source), entry.count
    if entry.cmd in COMMANDS:
        if count * int(price_fJ.max(initial=0)) > MAX_TOTAL:
            raise too_large(count * int(price_fJ.max()))
        return price_fJ * count
    energies_fJ = price_fJ * float(count)
    if not energies_fJ.max(initial=0.0) <= MAX_TOTAL:  # a NaN neither
        raise too_large(float(energies_fJ.max()))
    return np.rint(energies_fJ).astype(np.int64)


def too_large(energy_fJ: float, limit_fJ: int = MAX_TOTAL) -> ResourceLimitError:
    """Return the error that says so."""
    return ResourceLimitError(
        "an energy is too large for whole femtojoules in 64 bits",
        found=format_energy(energy_fJ),
        expected=f"at most {format_energy(limit_fJ)}",
        hint="Lower training.epochs: every epoch costs about the same.",
    )
