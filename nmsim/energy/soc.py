"""What the SoC takes: NPU arithmetic, the SRAM beside it, instructions of its cores, and static power."""

from __future__ import annotations

from nmsim.config.board import Operations, Soc
from nmsim.energy.arithmetic import ARITHMETIC
from nmsim.energy.logic import operation_energies_fJ
from nmsim.energy.values import Number


def soc_prices(soc: Soc, operations: Operations) -> dict[str, dict[str, Number]]:
    """Return kind of work -> component -> fJ.

    Notes
    -----
    - An NPU operation: its energy at 45 nm scaled to the NPU's node. In a systolic array each operand that
      enters is used by a whole row or column, so that an operation reads 1/rows + 1/columns operands.
    - Any other operation: instructions over SIMD lanes, times the energy of an instruction.
    - SRAM: one bit that DMA writes into the SRAM or reads from it, at the price of a read.
    - STATIC: one ps of the whole chip's static power (W · ps · 1e3 = fJ).
    """
    prices: dict[str, dict[str, Number]] = {}
    for kind, energy_fJ in operation_energies_fJ(operations, soc.npu.node_nm.value).items():
        operation = ARITHMETIC[kind]
        if operation.on_npu:
            bits = 8 * operation.operand_bytes * (1 / soc.npu.rows + 1 / soc.npu.columns)
            prices[kind] = {"soc_compute": energy_fJ, "soc_sram": bits * soc.sram_read.value}
        else:
            instructions = operation.instructions / soc.cpu.simd_lanes
            prices[kind] = {"cpu": instructions * soc.cpu.energy_per_instruction.value}
    prices["cpu_instruction"] = {"cpu": soc.cpu.energy_per_instruction.value}
    prices["SRAM"] = {"soc_sram": soc.sram_read.value}
    prices["STATIC"] = {"soc_static": soc.static_power.value * 1e3}
    return prices
