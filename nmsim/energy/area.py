"""Area of a near-memory unit: its operators and its buffer.

A lane has what it needs for all of DE-SNE: the multiplier and the adder of the number format, and an fp32
multiplier and adder with a comparator for affinities, map and sampling; divisions and exponentials take turns
on these. Registers, control, wiring and the interface to the bank are in no published table: they are left
out. What a unit really takes is a multiple; docs/explanation/near-memory.md holds it against a real part.

References
----------
Areas of operators at 45 nm: W. Dally, High-Performance Hardware for Machine Learning, NIPS tutorial 2015
(synthesis in TSMC 45 nm), reprinted in Hennessy and Patterson, Computer Architecture, 6th edition, fig. 1.13.
Buffers: CACTI 7, 45 nm, low operating power, 256-bit port.
"""

from __future__ import annotations

import math

import numpy as np

from nmsim.config.board import NearMemory
from nmsim.energy.logic import node_area_factor
from nmsim.energy.placement import PLACEMENTS

#: Operators at 45 nm, in µm².
OPERATOR_um2 = {
    "mul_int8": 282.0,
    "mul_fp16": 1640.0,
    "mul_fp32": 7700.0,
    "add_int32": 137.0,
    "add_fp16": 1360.0,
    "add_fp32": 4184.0,
}

#: Operators of a lane beside those of its format; a comparator is taken as an int32 adder.
_COMMON = ("mul_fp32", "add_fp32", "add_int32")
_OF_FORMAT = {"int8": ("mul_int8", "add_int32"), "fp16": ("mul_fp16", "add_fp16"), "fp32": ()}

#: SRAM at 45 nm: bytes -> mm².
_SRAM_mm2 = {16 * 1024: 0.059, 64 * 1024: 0.20, 1024 * 1024: 3.7}


def unit_area_mm2(units: NearMemory) -> float:
    """Return the area of the operators and the buffer of one unit, at its node and in its process."""
    on_die = PLACEMENTS[units.placement].on_dram_die
    penalty = units.area_penalty.value if units.area_penalty and on_die else 1.0
    logic_mm2 = units.lanes * lane_um2(units.format) * 1e-6
    return float(penalty * node_area_factor(units.node_nm.value) * (logic_mm2 + sram_mm2(units.buffer.value)))


def lane_um2(number_format: str) -> float:
    """Return the area of one lane's operators at 45 nm."""
    return sum(OPERATOR_um2[name] for name in (*_COMMON, *_OF_FORMAT[number_format]))


def sram_mm2(size_bytes: float) -> float:
    """Return the area of an SRAM at 45 nm.

    Straight lines between the table's points in log-log space; beyond its ends in proportion to the size.
    """
    sizes, areas = list(_SRAM_mm2), list(_SRAM_mm2.values())
    nearest = min(max(size_bytes, sizes[0]), sizes[-1])
    area = math.exp(float(np.interp(math.log(nearest), np.log(sizes), np.log(areas))))
    return area * size_bytes / nearest
