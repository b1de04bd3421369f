"""The direct current of a terminated line: it flows as long as a bit holds the line off its rail."""

from __future__ import annotations

from nmsim.config.board import Link
from nmsim.energy.values import Number


def pod_pin_power_W(voltage_V: Number, driver_Ohm: Number, termination_Ohm: Number) -> Number:
    """Return the DC power of a POD pin that is driven low, in W: VDDQ² / (Ron + Rtt).

    References
    ----------
    JESD8-24, POD12: the line is terminated to VDDQ, so that current flows while it is low.
    """
    return voltage_V**2 / (driver_Ohm + termination_Ohm)


def lvstl_pin_power_W(voltage_V: Number, output_high_V: Number, termination_Ohm: Number) -> Number:
    """Return the DC power of an LVSTL pin that is driven high, in W: VDDQ · VOH / Rodt.

    References
    ----------
    JESD209-4: the line is terminated to VSSQ, so that VOH / Rodt flows from VDDQ while it is high.
    """
    return voltage_V * output_high_V / termination_Ohm


def driven_bit_fJ(link: Link, data_rate_Hz: float) -> Number:
    """Return what one bit in the driven state (low: POD, high: LVSTL) costs on a data pin, in fJ.

    It does not depend on the length of the line; an unterminated line draws no direct current.
    """
    if link.signalling == "unterminated":
        return 0.0
    if link.signalling == "POD":
        power_W = pod_pin_power_W(link.voltage.value, link.driver.value, link.termination.value)
    else:
        assert link.output_high is not None  # the schema refuses LVSTL without it
        power_W = lvstl_pin_power_W(link.voltage.value, link.output_high.value, link.termination.value)
    return power_W / data_rate_Hz * 1e15
