"""What the units beside the banks take: arithmetic, buffers, leakage, and the bus between them."""

from __future__ import annotations

from nmsim.config.schema import NearMemory, OnDie, Operations
from nmsim.energy.logic import operation_energies_fJ
from nmsim.energy.on_die import way_share
from nmsim.energy.soc import OPERAND_BYTES
from nmsim.energy.values import Number


def near_memory_prices(
    units: NearMemory, operations: Operations, on_die: OnDie, column_fJ_per_byte: Number
) -> dict[str, dict[str, Number]]:
    """Return kind of work -> component -> fJ.

    Parameters
    ----------
    units : NearMemory
    operations : Operations
    on_die : OnDie
        Of the memory that the units are in.
    column_fJ_per_byte : float or ndarray
        Energy of a column read of that memory.

    Notes
    -----
    - An operation: its energy at 45 nm scaled to the units' node, times the penalty of a DRAM process. It
      reads one operand from the buffer; the other streams past.
    - SRAM: one bit that is written into a buffer or read from it, at the price of a read.
    - EXCHANGE: one byte between two units; it takes the on-die buses from the bank's edge to the global I/O.
    - LEAKAGE: one ps of one unit (W · ps · 1e3 = fJ).
    """
    prices: dict[str, dict[str, Number]] = {}
    near = operation_energies_fJ(operations, units.node_nm.value, units.dram_process_penalty.value)
    for kind, energy_fJ in near.items():
        bits = 8 * OPERAND_BYTES.get(kind, 4)
        prices[kind] = {"nmc_compute": energy_fJ, "nmc_sram": bits * units.sram_read.value}
    prices["cpu_instruction"] = {"nmc_compute": units.control_instruction.value}
    prices["SRAM"] = {"nmc_sram": units.sram_read.value}
    prices["LEAKAGE"] = {"nmc_leakage": units.leakage.value * 1e3}
    hop = way_share(on_die, ("bankgroup", "global_io"))
    prices["EXCHANGE"] = {"on_die_bus": column_fJ_per_byte * hop}
    return prices
