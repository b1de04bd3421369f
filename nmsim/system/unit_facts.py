"""How large the near-memory units are, and what they take at full rate, beside their memory."""

from __future__ import annotations

from nmsim.config.schema import RunConfig
from nmsim.dram.spec import DramSpec
from nmsim.energy.area import unit_area_mm2
from nmsim.energy.components import COMPONENTS
from nmsim.energy.placement import PLACEMENTS
from nmsim.energy.prices import PriceList


def unit_facts(config: RunConfig, spec: DramSpec, prices: PriceList) -> dict[str, float | int | str | None]:
    """Return facts of all near-memory units of a board.

    Returns
    -------
    dict
        units; format; unit_area_mm2 and units_area_mm2 (see `nmsim.energy.area`); die_share, of all dies of
        the memory, with die_share_low and die_share_high by the range of their area (None where the board
        does not state it, and for units in a buffer chip); peak_power_W, of all lanes multiplying and
        accumulating in every cycle, with buffers, instructions and leakage; dram_read_power_W, of all
        channels reading at the rate of their pins, without the link; power_share, the one over the other.
    """
    near, organization, die = config.near_memory, spec.organization, config.memory.die
    placement = PLACEMENTS[near.placement]
    units = placement.count(organization).total * organization.channels
    area = unit_area_mm2(near)
    shares: list[float | None] = [None, None, None]
    if die is not None and placement.on_dram_die:
        dies = organization.channels * organization.ranks * organization.devices_per_rank / die.channels
        shares = [units * area / (dies * mm2) for mm2 in (die.area.value, die.area.high, die.area.low)]
    kind = f"mac_{near.format}"
    starts_Hz = near.clock.value / near.cycles.get(kind, 1)
    lanes_fJ = near.lanes * prices.work(kind, "nmc").sum() + prices.work("cpu_instruction", "nmc").sum()
    leakage_W = prices.work("LEAKAGE", "nmc").sum() * 1e-3  # fJ a ps
    peak_W = units * (starts_Hz * float(lanes_fJ) * 1e-15 + float(leakage_W))
    read_W = organization.channels * _reading_W(spec, prices)
    return {
        "units": units,
        "format": near.format,
        "unit_area_mm2": area,
        "units_area_mm2": units * area,
        "die_share": shares[0],
        "die_share_low": shares[1],
        "die_share_high": shares[2],
        "peak_power_W": peak_W,
        "dram_read_power_W": read_W,
        "power_share": peak_W / read_W,
    }


def _reading_W(spec: DramSpec, prices: PriceList) -> float:
    """Return the power of a channel's devices while one rank reads without a gap, rows open in all."""
    names = list(COMPONENTS)
    column = prices.command("RD", "host")
    bank_to_pads = column[names.index("rd")] + column[names.index("on_die_bus")]
    burst_s = spec.clocks["nBL"] * spec.tCK_ps * 1e-12
    standby_fJ = spec.organization.ranks * prices.work("active", "dram").sum()
    return float(bank_to_pads * 1e-15 / burst_s + standby_fJ * 1e-15 / (spec.tCK_ps * 1e-12))
