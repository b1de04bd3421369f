"""What the units beside the banks take: arithmetic, control, buffers and leakage."""

from __future__ import annotations

from nmsim.config.board import NearMemory, Operations
from nmsim.energy.arithmetic import ARITHMETIC
from nmsim.energy.logic import operation_energies_fJ
from nmsim.energy.placement import PLACEMENTS
from nmsim.energy.sram import sram_leakage_W, sram_read_fJ_per_bit
from nmsim.energy.values import Number


def near_memory_prices(units: NearMemory, operations: Operations) -> dict[str, dict[str, Number]]:
    """Return kind of work -> component -> fJ.

    Notes
    -----
    - An operation: its energy at 45 nm scaled to the units' node. It reads one operand from the buffer; the
      other streams past.
    - cpu_instruction: one instruction of a unit's controller. It starts an operation on every lane.
    - SRAM: one bit that is written into a buffer or read from it, at the price of a read.
    - LEAKAGE: one ps of one unit (W · ps · 1e3 = fJ).

    Units on a DRAM die are made in its process: arithmetic, SRAM and leakage each have their factor for that.
    A buffer chip is made in a process for logic, and has none.
    """
    logic, sram, leakage = process_factors(units)
    sram_fJ_per_bit = buffer_read_fJ_per_bit(units) * sram
    prices: dict[str, dict[str, Number]] = {}
    for kind, energy_fJ in operation_energies_fJ(operations, units.node_nm.value, logic).items():
        prices[kind] = {
            "nmc_compute": energy_fJ,
            "nmc_sram": 8 * ARITHMETIC[kind].operand_bytes * sram_fJ_per_bit,
        }
    prices["cpu_instruction"] = {"nmc_compute": units.control_instruction.value}
    prices["SRAM"] = {"nmc_sram": sram_fJ_per_bit}
    prices["LEAKAGE"] = {"nmc_leakage": unit_leakage_W(units) * leakage * 1e3}
    return prices


def buffer_read_fJ_per_bit(units: NearMemory) -> Number:
    """Return the energy of reading a bit of a buffer in a process for logic: stated, or by its size."""
    if units.sram_read is not None:
        return units.sram_read.value
    factor = units.sram_read_factor.value if units.sram_read_factor else 1.0
    return factor * sram_read_fJ_per_bit(units.buffer.value, units.node_nm.value)


def unit_leakage_W(units: NearMemory) -> Number:
    """Return the leakage of a unit in a process for logic: stated, or its buffer's by its size."""
    if units.leakage is not None:
        return units.leakage.value
    factor = units.leakage_factor.value if units.leakage_factor else 1.0
    return factor * sram_leakage_W(units.buffer.value)


def process_factors(units: NearMemory) -> tuple[Number, Number, Number]:
    """Return what a DRAM process multiplies the energy of logic, that of SRAM, and the leakage by."""
    if not PLACEMENTS[units.placement].on_dram_die:
        return 1.0, 1.0, 1.0
    logic = units.dram_process_penalty.value
    sram = units.sram_process_penalty.value if units.sram_process_penalty else logic
    leakage = units.leakage_process_factor.value if units.leakage_process_factor else 1.0
    return logic, sram, leakage
