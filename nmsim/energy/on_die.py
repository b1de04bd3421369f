"""How far a byte goes inside the device, and what that takes.

The energy of a column access covers the way from the cell to the pads; who takes the byte nearer to the cell
uses only the first part of the way. No maker of LPDDR or DDR publishes the parts: the shares of an HBM2 are
scaled to the device's own column energy.

References
----------
O'Connor et al., Fine-Grained DRAM: Energy-Efficient DRAM for Extreme Bandwidth Systems, MICRO 2017.
"""

from __future__ import annotations

from nmsim.config.memory import OnDie
from nmsim.energy.values import Number

#: The parts of a byte's way inside the device, from the cell to the pads.
WAY = ("bank", "bankgroup", "global_io")


def way_share(on_die: OnDie, parts: tuple[str, ...]) -> Number:
    """Return the share of a column access's energy that these parts of the way take, 0 to 1."""
    share: Number = sum(getattr(on_die, part).value for part in parts) / sum(
        getattr(on_die, part).value for part in WAY
    )
    return share
