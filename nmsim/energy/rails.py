"""The supply rails of the DRAM: what a board states of them, and which of them an energy is drawn from."""

from __future__ import annotations

from collections.abc import Mapping

from nmsim.config.memory import Memory
from nmsim.dram.spec import DramSpec
from nmsim.energy.idd import command_energies
from nmsim.energy.values import Number


def stated_rails(memory: Memory, end: str = "value") -> dict[str, dict[str, float]]:
    """Return voltage and currents of each rail, in V and A, by the names that `DramSpec` has for them.

    `end` is "value", "low" or "high": the values, or these ends of all their ranges. Where the values are
    arrays, one for each of many samples, so are the results.
    """
    return {
        name: {
            "voltage_V": getattr(rail.voltage, end),
            **{f"{k}_A": getattr(current, end) for k, current in rail.currents.items()},
        }
        for name, rail in memory.rails.items()
    }


def rail_shares(spec: DramSpec, refresh_background: str = "active") -> dict[str, dict[str, Number]]:
    """Return command or background state -> rail -> its share of the energy, which sum to 1.

    What costs nothing by itself (PDE, PDX, SRE, SRX) is left out. Each rail's energy is that of the formulas
    of `nmsim.energy.idd` for this rail alone.
    """

    def energies(rails: Mapping[str, Mapping[str, float]]) -> dict[str, Number]:
        found = command_energies(spec, refresh_background, rails)
        return {**found.command_fJ, **found.background_fJ_per_clk}

    of_rail = {rail: energies({rail: values}) for rail, values in spec.rails.items()}
    totals = {name: sum(own[name] for own in of_rail.values()) for name in next(iter(of_rail.values()))}
    return {
        name: {rail: own[name] / total for rail, own in of_rail.items()}
        for name, total in totals.items()
        if total
    }
