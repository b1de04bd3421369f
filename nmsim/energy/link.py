"""Energy of a bit between the DRAM's pads and the SoC's: PHY, termination, PCB trace, controller."""

from __future__ import annotations

from dataclasses import dataclass

from nmsim.config.board import Link
from nmsim.energy.dbi import driven_share
from nmsim.energy.terminated import driven_bit_fJ
from nmsim.energy.unterminated import rise_energy
from nmsim.energy.values import Number


@dataclass(frozen=True)
class LinkEnergy:
    """Energy of one data bit over the link, in fJ, by component; strobes and mask pins are in it."""

    phy_fJ_per_bit: Number
    termination_fJ_per_bit: Number
    trace_fJ_per_bit: Number
    controller_fJ_per_bit: Number


def link_energy(link: Link, data_rate_Hz: float) -> LinkEnergy:
    """Return what one data bit costs over `link` at `data_rate_Hz` bits per second and pin.

    Notes
    -----
    termination = driven share · energy of a driven bit · strobes; trace and pads = share of rising edges ·
    energy of a rise · strobes. The charge of the pads is counted under `phy`. Only the trace's part depends
    on the length, and only an unterminated line has it.
    """
    line, rises = _per_bit(link, data_rate_Hz), link.rising_share.value
    return LinkEnergy(
        phy_fJ_per_bit=link.phy.value + rises * line["pads"],
        termination_fJ_per_bit=driven_share(link.driven_share.value, link.dbi) * line["driven"],
        trace_fJ_per_bit=rises * line["trace"],
        controller_fJ_per_bit=link.controller.value,
    )


def counted_link_prices(link: Link, data_rate_Hz: float) -> dict[str, dict[str, Number]]:
    """Return the prices where driven bits and rising edges are counted from the bytes that cross.

    Returns
    -------
    dict
        Kind of work -> component -> fJ: LINK_BITS what every bit costs, LINK_DRIVEN and LINK_RISES what a
        driven pin (after inversion) and a rising edge cost besides.
    """
    line = _per_bit(link, data_rate_Hz)
    return {
        "LINK_BITS": {"phy": link.phy.value, "controller": link.controller.value},
        "LINK_DRIVEN": {"termination": line["driven"]},
        "LINK_RISES": {"phy": line["pads"], "trace": line["trace"]},
    }


def _per_bit(link: Link, data_rate_Hz: float) -> dict[str, Number]:
    overhead, rise = link.strobe_overhead.value, rise_energy(link)
    return {
        "driven": driven_bit_fJ(link, data_rate_Hz) * overhead,
        "pads": rise.pads_fJ * overhead,
        "trace": rise.trace_fJ * overhead,
    }


def flight_time_ps(link: Link) -> int:
    """Return the time of flight over the PCB trace, rounded to whole ps."""
    return round(link.flight_time.value * link.length.value)
