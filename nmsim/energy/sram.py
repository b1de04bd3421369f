"""What a buffer takes by its size and its node: energy of a bit read, and leakage.

References
----------
CACTI 7 (Balasubramonian et al., ACM TACO 14, 2017), runs with low-operating-power cells and a port of 256
bits, at 22 and 45 nm. Narrower ports cost more a bit: 0.16 pJ for 8 KB and 64 bits at 45 nm.
"""

from __future__ import annotations

import numpy as np

from nmsim.energy.logic import node_energy_factor
from nmsim.energy.values import Number

_SIZES = np.array([2, 16, 64, 256, 1024]) * 1024

#: Node in nm -> fJ a bit read, by `_SIZES`.
READ_fJ = {22: (5.0, 13.0, 33.0, 71.0, 149.0), 45: (16.0, 39.0, 100.0, 204.0, 418.0)}

#: Leakage at 22 nm in W, by `_SIZES`.
LEAKAGE_W = (0.13e-3, 0.86e-3, 3.1e-3, 12e-3, 47e-3)


def sram_read_fJ_per_bit(size_bytes: float, node_nm: Number) -> Number:
    """Return the energy of reading a bit of an SRAM, in fJ.

    Straight lines between the table's points, log over log, in size and in node. Below 2 KB and below 22 nm
    it stays what it is there, for want of figures; above 1 MB it goes on as it rose before, above 45 nm it
    rises as logic does (`nmsim.energy.logic`).
    """
    at_22, at_45 = (_by_size(size_bytes, READ_fJ[node]) for node in (22, 45))
    share = np.clip(np.log(np.asarray(node_nm) / 22) / np.log(45 / 22), 0.0, 1.0)
    energy = at_22 * (at_45 / at_22) ** share * node_energy_factor(np.maximum(node_nm, 45.0))
    return energy if isinstance(node_nm, np.ndarray) else float(energy)


def sram_leakage_W(size_bytes: float) -> float:
    """Return the leakage of an SRAM at 22 nm, in W; other nodes are taken to leak as much."""
    return _by_size(size_bytes, LEAKAGE_W)


def _by_size(size_bytes: float, values: tuple[float, ...]) -> float:
    sizes, logs = np.log(_SIZES), np.log(values)
    size = np.log(size_bytes)
    if size > sizes[-1]:
        return float(np.exp(logs[-1] + (size - sizes[-1]) * (logs[-1] - logs[-2]) / (sizes[-1] - sizes[-2])))
    return float(np.exp(np.interp(size, sizes, logs)))
