"""The charge of an unterminated line: pads and PCB trace are charged at every rising edge."""

from __future__ import annotations

from typing import NamedTuple

from nmsim.config.board import Link
from nmsim.energy.values import Number


class RiseEnergy(NamedTuple):
    """What one rising edge costs on one pin, in fJ: charging both pads, and charging the trace."""

    pads_fJ: Number
    trace_fJ: Number


def rise_energy(link: Link) -> RiseEnergy:
    """Return C · VDDQ · Vswing for the pads and for the trace; nothing where the line is terminated.

    Only the trace's part grows with the length of the line. The capacitance of a trace is that of its
    length in flight, t_pd / Z0 per mm, whatever the data rate: CACTI-IO's doubling of it from half a bit
    time of flight on is not taken over. What charging a terminated line takes on top of its direct current
    is not modelled.

    References
    ----------
    Jouppi et al., CACTI-IO Technical Report, HP Labs 2012 (pads); t_pd / Z0 of a microstrip.
    """
    if link.signalling != "unterminated":
        return RiseEnergy(0.0, 0.0)
    swing = link.voltage if link.swing is None else link.swing
    # pF · V² is pJ; 1e3 fJ each.
    per_pF_fJ = link.voltage.value * swing.value * 1e3
    line_pF = link.trace_capacitance.value * link.length.value
    return RiseEnergy(per_pF_fJ * link.pad_capacitance.value, per_pF_fJ * line_pF)
