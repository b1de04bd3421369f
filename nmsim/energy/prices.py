"""What each command, operation, bit and second costs on one board: the price list of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nmsim.config.schema import RunConfig
from nmsim.energy.components import COMPONENTS
from nmsim.energy.link import link_energy
from nmsim.energy.logic import operation_energies_fJ

_INDEX = {name: i for i, name in enumerate(COMPONENTS)}

#: Bytes of one operand of an operation; it decides the SRAM traffic.
OPERAND_BYTES = {"mac_int8": 1, "mac_fp16": 2}

#: Instructions of a SIMD core per operation, where more than one (ours: polynomial exp, division steps).
INSTRUCTIONS = {"div_fp32": 4, "exp": 12}

#: DRAM commands that move data -> the same without the precharge that some bring along.
COLUMN_COMMANDS = {"RD": "RD", "WR": "WR", "RDA": "RD", "WRA": "WR"}

#: Operations that the SoC's systolic array can do; all others run on its cores.
NPU_KINDS = ("mac_int8", "mac_fp16")


@dataclass(frozen=True)
class DramPrices:
    """Energies of one channel's devices.

    Attributes
    ----------
    command_fJ : mapping of str to int
        One command of each kind, on all devices of a rank together.
    refresh_background_fJ : int
        The part of a REFab that is background (see `nmsim.energy.idd.CommandEnergies`).
    background_fJ_per_clk : mapping of str to int
        One rank in each background state, for one clock.
    access_bytes : int
        Bytes of one column command.
    data_rate_Hz : float
        Bits per second on one data pin.
    """

    command_fJ: Mapping[str, int]
    refresh_background_fJ: int
    background_fJ_per_clk: Mapping[str, int]
    access_bytes: int
    data_rate_Hz: float


class PriceList:
    """Energy vectors (one number per component, in fJ) of everything that a ledger counts.

    Parameters
    ----------
    config : RunConfig
        The board.
    dram : DramPrices
        Its memory.
    command_names : sequence of str
        DRAM command of each row of a ledger's counts.
    """

    def __init__(self, config: RunConfig, dram: DramPrices, command_names: Sequence[str]):
        self.command_names = tuple(command_names)
        self.command_bytes = {n: dram.access_bytes if n in COLUMN_COMMANDS else 0 for n in self.command_names}
        self._work = self._work_prices(config, dram)
        self._commands = {
            (name, source): self._command_price(config, dram, name, source)
            for name in self.command_names
            for source in ("host", "nmc", "dram")
        }

    def command(self, name: str, source: str) -> np.ndarray:
        """Return the int64 energy vector of one DRAM command that `source` (host, nmc, dram) causes."""
        return self._commands[name, source]

    def work(self, kind: str, source: str) -> np.ndarray:
        """Return the float energy vector of one unit of work of a kind, done by `source`."""
        return self._work[source, kind]

    @staticmethod
    def _command_price(config: RunConfig, dram: DramPrices, name: str, source: str) -> np.ndarray:
        price = np.zeros(len(COMPONENTS), dtype=np.int64)
        whole = dram.command_fJ.get(name, 0)
        if name not in COLUMN_COMMANDS:
            component = {"ACT": "act", "REFab": "ref", "REFpb": "ref"}.get(name, "pre")
            # Where a refresh's time is charged at another background, that part of it is background.
            background = dram.refresh_background_fJ if name == "REFab" else 0
            price[_INDEX[component]] = whole - background
            price[_INDEX["background"]] = background
            return price
        kind = COLUMN_COMMANDS[name]
        price[_INDEX["pre"]] = whole - dram.command_fJ[kind]
        whole = dram.command_fJ[kind]
        # The column energy covers the way from the cell to the pads; a unit nearer to the cell uses only the
        # first part of it (O'Connor et al., MICRO 2017, HBM2: the split is scaled to this device).
        on_die, placement = config.memory.on_die, config.near_memory.placement
        bank, group = on_die.bank.value, on_die.bankgroup.value
        total = bank + group + on_die.global_io.value
        used = total
        if source == "nmc":
            used = {"bank": bank, "bankgroup": bank + group, "rank": total}[placement]
        column = round(whole * bank / total)
        price[_INDEX[kind.lower()]] = column
        price[_INDEX["on_die_bus"]] = round(whole * used / total) - column
        if source == "host" or (source == "nmc" and placement == "rank"):
            bits = 8 * dram.access_bytes
            link = link_energy(config.link, dram.data_rate_Hz)
            price[_INDEX["phy"]] = round(bits * link.phy_fJ_per_bit)
            price[_INDEX["termination"]] = round(bits * link.termination_fJ_per_bit)
            if source == "host":  # a buffer chip sits beside the DRAM: no trace, no SoC controller
                price[_INDEX["trace"]] = round(bits * link.trace_fJ_per_bit)
                price[_INDEX["controller"]] = round(bits * link.controller_fJ_per_bit)
        return price

    @staticmethod
    def _work_prices(config: RunConfig, dram: DramPrices) -> dict[tuple[str, str], np.ndarray]:
        prices: dict[tuple[str, str], np.ndarray] = {}

        def put(source: str, kind: str, **energies_fJ: float) -> None:
            vector = np.zeros(len(COMPONENTS))
            for component, energy in energies_fJ.items():
                vector[_INDEX[component]] = energy
            prices[source, kind] = vector

        nmc, soc = config.near_memory, config.soc
        near = operation_energies_fJ(config.operations, nmc.node_nm.value, nmc.dram_process_penalty.value)
        far = operation_energies_fJ(config.operations, soc.npu.node_nm.value)
        for kind in near:
            # A unit reads one operand of each operation from its buffer; the other streams past.
            bits = 8 * OPERAND_BYTES.get(kind, 4)
            put("nmc", kind, nmc_compute=near[kind], nmc_sram=bits * nmc.sram_read.value)
            if kind in NPU_KINDS:
                # In a systolic array each operand that enters is used by a whole row or column.
                reads = 8 * OPERAND_BYTES[kind] * (1 / soc.npu.rows + 1 / soc.npu.columns)
                put("soc", kind, soc_compute=far[kind], soc_sram=reads * soc.sram_read.value)
            else:
                instructions = INSTRUCTIONS.get(kind, 1) / soc.cpu.simd_lanes
                put("soc", kind, cpu=instructions * soc.cpu.energy_per_instruction.value)
        put("nmc", "cpu_instruction", nmc_compute=nmc.control_instruction.value)
        put("soc", "cpu_instruction", cpu=soc.cpu.energy_per_instruction.value)
        # Bits that DMA writes into the SoC's SRAM (or reads from it), at the price of a read.
        put("soc", "SRAM", soc_sram=soc.sram_read.value)
        put("nmc", "SRAM", nmc_sram=nmc.sram_read.value)
        # W · ps · 1e3 = fJ
        put("soc", "STATIC", soc_static=soc.static_power.value * 1e3)
        put("nmc", "LEAKAGE", nmc_leakage=nmc.leakage.value * 1e3)
        # A byte between units takes the on-die buses from the bank's edge to the global I/O, once per hop.
        on_die = config.memory.on_die
        share = (on_die.bankgroup.value + on_die.global_io.value) / (
            on_die.bank.value + on_die.bankgroup.value + on_die.global_io.value
        )
        put("nmc", "EXCHANGE", on_die_bus=dram.command_fJ["RD"] / dram.access_bytes * share)
        for state, energy in dram.background_fJ_per_clk.items():
            put("dram", state, background=energy)
        return prices
