"""Where near-memory units can sit, and all that follows from where they sit.

Everything that depends on the placement of units asks its record here: how many units there are, how fast
they read, how far a byte goes, and in which process they are made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nmsim.dram.spec import DramSpec, Organization
from nmsim.energy.on_die import WAY


@dataclass(frozen=True)
class UnitCount:
    """How many near-memory units a channel has.

    Attributes
    ----------
    sites : int
        Places of the address space that have units of their own: banks, bank groups or ranks.
    slices : int
        Units of a site, one in each device of the rank that the site is spread over. In a buffer chip: 1, as
        it sees the whole width.
    dies : int
        Dies that hold them; a buffer chip counts as one.

    Notes
    -----
    Lanes, buffer and leakage of the configuration are one unit's: of a DDR4 bank in eight devices there are
    eight. Each works on whole records of its own, which takes data transposed when it is stored, as UPMEM's
    driver does; that is assumed to cost nothing.
    """

    sites: int
    slices: int
    dies: int

    @property
    def total(self) -> int:
        """Return the units of all sites."""
        return self.sites * self.slices


@dataclass(frozen=True)
class Placement:
    """What sitting in one place means for the units.

    Attributes
    ----------
    reach : tuple of str
        The parts of a byte's way inside the device (`nmsim.energy.on_die.WAY`) that lead to a unit.
    sites : callable
        Returns the sites of a channel from its `Organization`.
    on_dram_die : bool
        Units are on the DRAM's dies, made in its process, in every device of a rank; else in a buffer chip,
        made in a process for logic, which all devices of a channel share.
    over_pins : bool
        What a unit reads passes the data pins of its rank, as what the host reads does: bursts follow each
        other as pins allow, the pins are paid, and rows are opened under the limits of a controller.
    """

    reach: tuple[str, ...]
    sites: Callable[[Organization], int]
    on_dram_die: bool
    over_pins: bool

    @property
    def exchange_tiers(self) -> tuple[str, ...]:
        """Return the parts of the way between a unit and the global I/O of its die."""
        return tuple(part for part in WAY if part not in self.reach)

    def count(self, organization: Organization) -> UnitCount:
        """Return the units of one channel."""
        devices = organization.devices_per_rank if self.on_dram_die else 1
        dies = organization.ranks * devices if self.on_dram_die else 1
        return UnitCount(self.sites(organization), devices, dies)

    def column_clk(self, spec: DramSpec) -> int:
        """Return how many clocks apart a site's columns come at least."""
        return spec.clocks["nBL" if self.over_pins else "nCCD"]


#: By the names that `near_memory.placement` may have.
PLACEMENTS = {
    "bank": Placement(
        reach=("bank",),
        sites=lambda memory: memory.ranks * memory.bankgroups * memory.banks,
        on_dram_die=True,
        over_pins=False,
    ),
    "bankgroup": Placement(
        reach=("bank", "bankgroup"),
        sites=lambda memory: memory.ranks * memory.bankgroups,
        on_dram_die=True,
        over_pins=False,
    ),
    "rank": Placement(
        reach=WAY,
        sites=lambda memory: memory.ranks,
        on_dram_die=False,
        over_pins=True,
    ),
}
