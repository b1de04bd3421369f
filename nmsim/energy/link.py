"""Energy of a bit between the DRAM's pads and the SoC's: PHY, termination, PCB trace, controller."""

from __future__ import annotations

from dataclasses import dataclass

from nmsim.config.schema import Link


@dataclass(frozen=True)
class LinkEnergy:
    """Energy of one data bit over the link, in fJ, by component; strobes and mask pins are in it."""

    phy_fJ_per_bit: float
    termination_fJ_per_bit: float
    trace_fJ_per_bit: float
    controller_fJ_per_bit: float


def pod_pin_power_W(voltage_V: float, driver_Ohm: float, termination_Ohm: float) -> float:
    """Return the DC power of a POD pin that is driven low: VDDQ² / (Ron + Rtt), in W."""
    return voltage_V**2 / (driver_Ohm + termination_Ohm)


def lvstl_pin_power_W(voltage_V: float, output_high_V: float, termination_Ohm: float) -> float:
    """Return the DC power of an LVSTL pin that is driven high: VDDQ · VOH / Rodt, in W."""
    return voltage_V * output_high_V / termination_Ohm


def link_energy(link: Link, data_rate_Hz: float) -> LinkEnergy:
    """Return what one data bit costs over `link` at `data_rate_Hz` bits per second and pin.

    Notes
    -----
    Terminated lines draw a DC current for the share of bits in the driven state; that energy does not depend
    on the length of the line. POD (JESD79-4) conducts while low, LVSTL (JESD209-4) while high. Unterminated
    lines charge pads and trace on a rising edge: E = p01 · C · VDDQ · Vswing; only this part grows with the
    length. The charge of the pads is counted under `phy`, that of the trace under `trace`.
    """
    voltage, overhead = link.voltage.value, link.strobe_overhead.value
    termination = trace = pads = 0.0
    if link.signalling == "unterminated":
        swing = link.swing.value if link.swing else voltage
        # pF · V² is pJ; 1e3 fJ each.
        per_pF = link.rising_share.value * voltage * swing * 1e3 * overhead
        pads = per_pF * link.pad_capacitance.value
        trace = per_pF * link.trace_capacitance.value * link.length.value
    else:
        if link.signalling == "POD":
            power = pod_pin_power_W(voltage, link.driver.value, link.termination.value)
        else:
            assert link.output_high is not None  # the schema refuses LVSTL without it
            power = lvstl_pin_power_W(voltage, link.output_high.value, link.termination.value)
        termination = link.driven_share.value * power / data_rate_Hz * 1e15 * overhead
    return LinkEnergy(link.phy.value + pads, termination, trace, link.controller.value)


def flight_time_ps(link: Link) -> int:
    """Return the time of flight over the PCB trace, rounded to whole ps."""
    return round(link.flight_time.value * link.length.value)
