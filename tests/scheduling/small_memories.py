"""Small memories, on which every rule binds and refresh comes often, and the two presets."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from nmsim.config.load import read_extended
from nmsim.config.schema import Memory
from nmsim.dram.engine import AccessBatch
from nmsim.dram.spec import Organization
from nmsim.system.board import controller_spec, dram_spec

PRESETS = Path(__file__).parents[2] / "hw_configs" / "presets"
NOW = np.empty(0, dtype=np.int64)  # arrival_clk: all have arrived


def memory(name):
    """Return (DramSpec, ControllerSpec) of a preset."""
    section = Memory.model_validate(read_extended(PRESETS / f"memory-{name}.yaml")[0]["memory"])
    return dram_spec(section), controller_spec(section)


def small(name, **changes):
    """Return a preset with two ranks, few rows, and refresh so often that short streams meet it.

    nRRD is lengthened on LPDDR4, where nFAW = 4 nRRD would hide whether the window is obeyed.
    """
    spec, controller = memory(name)
    org = spec.organization
    timing = {**spec.timing, "nREFI": 900, ("nRFC" if "nRFC" in spec.timing else "nRFCab"): 60, "nFAW": 80}
    timing |= {k: v for k, v in changes.items() if k in timing}
    org = Organization(1, changes.get("ranks", 2), org.bankgroups, 2, 16, 64, org.device_width_bits, 1)
    controller = replace(
        controller, read_queue=6, write_queue=5, write_high_watermark=4, write_low_watermark=1
    )
    return replace(spec, organization=org, timing=timing), controller


def batch(spec, bank, row, is_write=False, arrival_clk=NOW):
    """Return an AccessBatch; columns count up."""
    bank = np.asarray(bank)
    column = np.arange(len(bank)) % spec.row_bursts
    return AccessBatch(bank, np.broadcast_to(row, bank.shape), column, np.broadcast_to(is_write, bank.shape),
                       np.asarray(arrival_clk))  # fmt: skip
