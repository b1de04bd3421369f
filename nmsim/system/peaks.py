"""How fast a board's two sides could compute and read at most: the roofs of a roofline."""

from __future__ import annotations

from nmsim.config.schema import RunConfig
from nmsim.dram.spec import DramSpec
from nmsim.energy.arithmetic import ARITHMETIC
from nmsim.energy.placement import PLACEMENTS
from nmsim.system.course import Counts


def arithmetic(counts: Counts, phase: str) -> dict[str, dict[str, int]]:
    """Return the arithmetic operations of a phase by who did them: `host` and `nmc`.

    Each has `operations`, the host also `cpu_operations`: those of them that its cores did, not its NPU.
    Instructions that only steer count as none.
    """
    done = {"host": {"operations": 0, "cpu_operations": 0}, "nmc": {"operations": 0}}
    for (of_phase, source, _, kind), count in counts.items():
        if of_phase != phase or kind not in ARITHMETIC:
            continue
        side = "nmc" if source == "nmc" else "host"
        operation = ARITHMETIC[kind]
        done[side]["operations"] += operation.counts * count
        if side == "host" and not operation.on_npu:
            done[side]["cpu_operations"] += operation.counts * count
    return done


def peaks(config: RunConfig, spec: DramSpec) -> dict[str, dict[str, float]]:
    """Return peak rates of the host and of all near-memory units together.

    Returns
    -------
    dict
        `host`: operations_per_s of the NPU's array, cpu_operations_per_s of all cores' SIMD lanes, and
        bytes_per_s of all channels' pins. `nmc`: operations_per_s of all lanes in the units' number format,
        and bytes_per_s of all columns that they can read at once. No utilisation is taken off; a
        multiply-accumulate is two operations.
    """
    soc, near, organization = config.soc, config.near_memory, spec.organization
    placement = PLACEMENTS[near.placement]
    count = placement.count(organization)
    lanes = count.total * organization.channels * near.lanes
    at_once = count.sites * organization.channels * spec.access_bytes
    cpu = soc.cpu
    return {
        "host": {
            "operations_per_s": 2 * soc.npu.rows * soc.npu.columns * soc.npu.clock.value,
            "cpu_operations_per_s": (
                cpu.cores * cpu.instructions_per_cycle.value * cpu.clock.value * cpu.simd_lanes
            ),
            "bytes_per_s": organization.channels * spec.peak_bandwidth_Bps,
        },
        "nmc": {
            "operations_per_s": 2 * lanes * near.clock.value / near.cycles.get(f"mac_{near.format}", 1),
            "bytes_per_s": at_once / (placement.column_clk(spec) * spec.tCK_ps * 1e-12),
        },
    }
