"""The parts of a configured board, each as its own model takes it: memory, controller, placement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from nmsim.access.layout import Geometry, Layout
from nmsim.access.work import ArraySpec
from nmsim.config.memory import Memory
from nmsim.config.schema import RunConfig
from nmsim.dram.address import AddressMap
from nmsim.dram.controller import ControllerSpec
from nmsim.dram.spec import DramSpec
from nmsim.dram.spec import Organization as DramOrganization
from nmsim.energy.data_bits import LineActivity, line_activity
from nmsim.energy.rails import stated_rails


def dram_spec(memory: Memory) -> DramSpec:
    """Return the engine's view of a configured memory."""
    organization = memory.organization.model_dump(exclude={"source"})
    return DramSpec(
        standard=memory.standard,
        organization=DramOrganization(**organization),
        tCK_ps=round(memory.timing.tCK.value),
        timing=memory.timing.clocks,
        rails=stated_rails(memory),
    )


def controller_spec(memory: Memory) -> ControllerSpec:
    """Return the engine's view of a configured controller."""
    times = ("row_timeout", "power_down_idle", "self_refresh_idle")
    settings = memory.controller.model_dump(exclude={"source", *times})
    for name in times:
        time = getattr(memory.controller, name)
        settings[f"{name}_clk"] = 0 if time is None else max(1, round(time.value / memory.timing.tCK.value))
    return ControllerSpec(**settings)


def geometry(spec: DramSpec) -> Geometry:
    """Return the size of a memory, as placement needs it."""
    organization = spec.organization
    return Geometry(
        organization.channels, spec.banks_per_channel, organization.rows, spec.row_bursts, spec.access_bytes
    )


def layout(config: RunConfig, arrays: Iterable[ArraySpec], groups: np.ndarray) -> Layout:
    """Return the memory of a board with these arrays in place.

    Parameters
    ----------
    config : RunConfig
    arrays : iterable of ArraySpec
    groups : ndarray of int64, shape (n,)
        Class of each training image; it places the arrays with a record for each image.

    Raises
    ------
    ResourceLimitError
        Where the memory is too small for them.
    """
    spec, controller = dram_spec(config.memory), controller_spec(config.memory)
    decode = AddressMap(spec, controller.address_map, controller.bank_hash).decode
    near = config.near_memory
    found = Layout(geometry(spec), near.data_placement, decode, near.mode_switch.reserved_rows)
    for array in arrays:
        found.place(array, groups if array.per_image else None)
    return found


def line_contents(config: RunConfig, records: Mapping[str, np.ndarray]) -> dict[str, LineActivity]:
    """Return what these arrays' records, uint8 (n, …), do to the link's pins; {} if nobody asks."""
    if not config.link.data_dependent:
        return {}
    spec = dram_spec(config.memory)
    bus_bytes = max(1, spec.rank_width_bits // 8)
    return {
        name: line_activity(array, config.link, bus_bytes, spec.access_bytes)
        for name, array in records.items()
    }
