"""The places where energy goes, under the names that traces, summaries and plots use."""

from __future__ import annotations

#: component -> (what it is, the side of the board it is on). Their sum is a run's total.
#:
#: The component `trace` is the charge of the line on the PCB, which engineers call a trace. It has nothing to
#: do with the energy trace, whose column `trace_fJ` it is, nor with the traces of requests that are replayed.
COMPONENTS: dict[str, tuple[str, str]] = {
    "act": ("DRAM row activation", "dram"),
    "pre": ("DRAM precharge, of its own or after a column access", "dram"),
    "rd": ("DRAM column read, up to the bank's edge", "dram"),
    "wr": ("DRAM column write, up to the bank's edge", "dram"),
    "ref": ("DRAM refresh", "dram"),
    "background": ("DRAM background: standby and power-down", "dram"),
    "on_die_bus": ("DRAM on-die buses, from the bank's edge on", "dram"),
    "nmc_compute": ("near-memory arithmetic", "nmc"),
    "nmc_sram": ("near-memory buffers", "nmc"),
    "nmc_leakage": ("near-memory leakage", "nmc"),
    "phy": ("PHY and pads", "io"),
    "termination": ("line termination", "io"),
    "trace": ("charging the PCB trace", "io"),
    "controller": ("memory controller", "io"),
    "soc_compute": ("NPU arithmetic", "soc"),
    "soc_sram": ("SoC SRAM", "soc"),
    "cpu": ("CPU cores", "soc"),
    "soc_static": ("SoC static power", "soc"),
}

#: The components that "DDR energy" means: the devices, and the path to and from them.
DDR_COMPONENTS = tuple(name for name, (_, side) in COMPONENTS.items() if side in ("dram", "io"))
