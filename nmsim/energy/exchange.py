"""What a byte takes between the buffers of near-memory units, by where the units are.

A byte that a unit sends goes up to the global I/O of its die, where the collector is; one that all units get
comes down from there. On the way it passes the tiers of `nmsim.energy.on_die`:

=========  ===================================  ======================================================
placement  up (a gathered byte)                 down (a byte broadcast over a die)
=========  ===================================  ======================================================
bank       bus of the bank group, global bus    global bus once, the bus of every bank group once
bankgroup  global bus                           global bus once
rank       none: the units share a buffer chip  none
=========  ===================================  ======================================================

A bus is charged once however many units listen to it; on one die they do so while the byte rises. No path
joins the dies of a channel but its pins: where there are several (devices side by side, ranks), the collector
is the controller. A byte then crosses the link once on its way up, and once for every die on its way down, as
each die has data pins of its own. What is written into the buffers is SRAM traffic of every unit that
listens. Wires inside a buffer chip are not priced.
"""

from __future__ import annotations

from nmsim.config.board import Link
from nmsim.config.memory import OnDie
from nmsim.dram.spec import DramSpec
from nmsim.energy.link import link_energy
from nmsim.energy.on_die import way_share
from nmsim.energy.placement import Placement
from nmsim.energy.values import Number


def exchange_prices(
    placement: Placement, spec: DramSpec, on_die: OnDie, column_fJ_per_byte: Number, link: Link
) -> dict[str, dict[str, Number]]:
    """Return the prices in fJ, by component, of one byte's GATHER and of one byte's BROADCAST over a channel.

    Parameters
    ----------
    placement : Placement
        Where the units are.
    spec : DramSpec
        Dies of a channel, bank groups of a die, and the rate of its pins.
    on_die : OnDie
    column_fJ_per_byte : float or ndarray
        Energy of a column read of the memory, from the cell to the pads.
    link : Link
    """
    dies = placement.count(spec.organization).dies
    buses = {"bankgroup": spec.organization.bankgroups, "global_io": 1}
    bus_fJ = {part: way_share(on_die, (part,)) * column_fJ_per_byte for part in placement.exchange_tiers}
    up = sum(bus_fJ.values())
    down = sum(buses[part] * energy for part, energy in bus_fJ.items())
    crossing: dict[str, Number] = {}
    if dies > 1:
        bit = link_energy(link, spec.data_rate_Hz)
        crossing = {
            "phy": 8 * bit.phy_fJ_per_bit,
            "termination": 8 * bit.termination_fJ_per_bit,
            "trace": 8 * bit.trace_fJ_per_bit,
            "controller": 8 * bit.controller_fJ_per_bit,
        }
    return {
        "GATHER": {"on_die_bus": up, **crossing},
        "BROADCAST": {"on_die_bus": dies * down, **{name: dies * fJ for name, fJ in crossing.items()}},
    }
