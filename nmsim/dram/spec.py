"""One memory: a standard, an organisation, clock counts and currents, checked against each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import pairwise

from nmsim.dram.expression import evaluate, names_in
from nmsim.dram.standard import Standard, load_standard
from nmsim.errors import ConfigError, suggestion

#: Currents that every rail has. IDD5B is the current *during* a burst refresh (LPDDR4 data sheets call it
#: IDD5; their IDD5AB is the average over tREFI, which is not what a refresh command costs).
CURRENTS = ("IDD0", "IDD2N", "IDD2P", "IDD3N", "IDD3P", "IDD4R", "IDD4W", "IDD5B", "IDD6")

#: Currents that all core rails have or none. IDD5PB is the current *during* a per-bank refresh (DDR5: IDD5C).
#: IDD3N1 is active standby with one bank open, where IDD3N, with all of them open, passes IDD0 (DDR5).
OPTIONAL_CURRENTS = ("IDD3N1", "IDD5PB")

#: The rail that feeds only data pins. Its burst currents belong to the link, not to the device's core.
IO_RAIL = "VDDQ"

#: No clock count comes near this; it keeps every sum of them far from 2**62.
MAX_CLOCKS = 1 << 24


@dataclass(frozen=True)
class Organization:
    """How the memory is divided; every number is a power of two.

    Attributes
    ----------
    channels : int
        Independent channels.
    ranks : int
        Ranks of a channel.
    bankgroups, banks : int
        Bank groups of a rank (1 where the standard has none), and banks of a group.
    rows, columns : int
        Rows of a bank; columns of a row, each as wide as the device's data bus.
    device_width_bits, devices_per_rank : int
        Data pins of a device, and devices side by side in a rank.
    """

    channels: int
    ranks: int
    bankgroups: int
    banks: int
    rows: int
    columns: int
    device_width_bits: int
    devices_per_rank: int


@dataclass(frozen=True)
class DramSpec:
    """A memory that the engine can time and `nmsim.energy.idd` can price.

    Parameters
    ----------
    standard : str
        Name of a constraint table: "LPDDR4", "DDR4".
    organization : Organization
    tCK_ps : int
        Clock period, at least 1.
    timing : mapping of str to int
        Clock counts by JEDEC name (nRCD, nRPpb, …), as the standard's table names them.
    rails : mapping of str to mapping of str to float
        Rail name to {"voltage_V": …, "IDD0_A": …}: the currents of `CURRENTS`, and those of
        `OPTIONAL_CURRENTS` that are known, with the suffix `_A`.

    Raises
    ------
    ConfigError
        Where a value is missing, unknown, not positive, or at odds with another.
    """

    standard: str
    organization: Organization
    tCK_ps: int
    timing: Mapping[str, int]
    rails: Mapping[str, Mapping[str, float]]

    def __post_init__(self) -> None:
        _check_organization(self.organization, self.table)
        if not 1 <= self.tCK_ps <= 1_000_000:
            raise ConfigError("memory.timing.tCK must be 1 ps to 1 µs", found=f"{self.tCK_ps} ps")
        _check_names(self.timing, self.table)
        for check in self.table.checks:
            if not evaluate(check.that, self.clocks):
                used = ", ".join(f"{n} = {self.clocks[n]}" for n in sorted(names_in(check.that)))
                raise ConfigError(
                    "impossible timing", found=used, expected=check.that, hint=f"Reason: {check.why}."
                )
        if not self.rails:
            raise ConfigError("no supply rail is given", expected="at least one, such as VDD")
        for name, rail in self.rails.items():
            check_rail(name, rail)
        _check_currents(self.rails)

    @property
    def table(self) -> Standard:
        """Return the standard's table."""
        return load_standard(self.standard)

    @cached_property
    def clocks(self) -> dict[str, int]:
        """Return all clock counts, with those that the standard derives."""
        values = dict(self.timing)
        for name, expression in self.table.derived.items():
            values[name] = evaluate(expression, values)
        return values

    def latency(self, expression: str) -> int:
        """Return an expression over the clock counts, such as "nCL + nBL", in clocks."""
        return evaluate(expression, self.clocks)

    @property
    def banks_per_rank(self) -> int:
        """Return the banks of a rank, over its bank groups."""
        return self.organization.bankgroups * self.organization.banks

    @property
    def banks_per_channel(self) -> int:
        """Return the banks of a channel, over its ranks."""
        return self.organization.ranks * self.banks_per_rank

    @property
    def refresh_sets(self) -> int:
        """Return the number of sets of a rank's banks that REFpb refreshes by turns; 0: there is no REFpb."""
        org = self.organization
        names = {"banks_per_rank": self.banks_per_rank, "bankgroups": org.bankgroups, "banks": org.banks}
        return evaluate(self.table.refresh_sets, names)

    @property
    def rank_width_bits(self) -> int:
        """Return the width of a channel's data bus."""
        return self.organization.device_width_bits * self.organization.devices_per_rank

    @property
    def access_bytes(self) -> int:
        """Return the bytes of one burst."""
        return self.table.burst_beats * self.rank_width_bits // 8

    @property
    def row_bytes(self) -> int:
        """Return the bytes of a row, over all devices of a rank."""
        return self.organization.columns * self.rank_width_bits // 8

    @property
    def row_bursts(self) -> int:
        """Return the bursts of a row."""
        return self.row_bytes // self.access_bytes

    @property
    def size_bytes(self) -> int:
        """Return the bytes of the whole memory, over all channels."""
        org = self.organization
        return org.channels * self.banks_per_channel * org.rows * self.row_bytes

    @property
    def peak_bandwidth_Bps(self) -> float:
        """Return the bytes a second of one channel's data bus."""
        return self.access_bytes / (self.clocks["nBL"] * self.tCK_ps * 1e-12)

    @property
    def data_rate_Hz(self) -> float:
        """Return the bits a second of one data pin."""
        return self.table.beats_per_clock * 1e12 / self.tCK_ps


def _check_organization(org: Organization, table: Standard) -> None:
    for field in fields(org):
        value = getattr(org, field.name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1 or value & (value - 1):
            raise ConfigError(f"memory.organization.{field.name} must be a power of two", found=value)
    if org.columns < table.burst_beats:
        raise ConfigError(
            "memory.organization.columns: a row is shorter than a burst",
            found=f"{org.columns} columns",
            expected=f"at least {table.burst_beats}",
        )
    if org.device_width_bits * org.devices_per_rank * table.burst_beats < 8:
        raise ConfigError("a burst holds less than a byte", found=f"{org.device_width_bits} bits wide")


def _check_names(timing: Mapping[str, int], table: Standard) -> None:
    known = {*table.required, *table.optional}
    for name, value in timing.items():
        if name not in known:
            raise ConfigError(
                f"unknown timing of {table.name}: {name}",
                hint=suggestion(name, known) or f"Known: {', '.join(sorted(known))}.",
            )
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < MAX_CLOCKS:
            raise ConfigError(
                f"memory.timing.{name} must be a number of clocks, 0 to {MAX_CLOCKS - 1:,}", found=value
            )
    for name in table.required:
        if name not in timing:
            raise ConfigError(
                f"memory.timing.{name} is missing", expected=f"all of {', '.join(table.required)}"
            )
    # Bursts, latencies and refresh cannot be 0; spacings such as nRPST may be.
    refresh = (table.refresh_interval, table.refresh_per_bank_interval)
    for name in ("nBL", "nCL", "nCWL", "nRCD", "nRAS", "nRC", "nCKE", *refresh):
        if name in timing and timing[name] < 1:
            raise ConfigError(f"memory.timing.{name} must be at least 1", found=timing[name])
    if "nBL" in timing and timing["nBL"] * table.beats_per_clock != table.burst_beats:
        raise ConfigError(
            "nBL does not fit the standard's burst",
            found=timing["nBL"],
            expected=f"{table.burst_beats // table.beats_per_clock} clocks for {table.burst_beats} beats",
        )


def check_rail(name: str, rail: Mapping[str, float]) -> None:
    """Refuse a rail that lacks a current, or has one that cannot be meant.

    Parameters
    ----------
    name : str
    rail : mapping of str to float
        {"voltage_V": …, "IDD0_A": …}, as in `DramSpec.rails`.

    Raises
    ------
    ConfigError
    """
    missing = [c for c in CURRENTS if f"{c}_A" not in rail]
    if missing:
        raise ConfigError(
            f"rail {name} lacks {', '.join(missing)}",
            hint=f"A rail gives {', '.join(CURRENTS)}, VDDQ too.",
        )
    known = (*CURRENTS, *OPTIONAL_CURRENTS)
    unknown = sorted(set(rail) - {"voltage_V", *(f"{c}_A" for c in known)})
    if unknown:
        current = unknown[0].rsplit("_", 1)[0]
        raise ConfigError(f"rail {name} has an unknown value: {current}", hint=suggestion(current, known))
    for key, value in rail.items():
        quantity, unit = key.rsplit("_", 1)
        if not 0 < value < 1000:
            raise ConfigError(
                f"memory.rails.{name}.{quantity} must be above 0 and below 1,000 {unit}",
                found=f"{value:g} {unit}",
            )


def _check_currents(rails: Mapping[str, Mapping[str, float]]) -> None:
    core = {name: rail for name, rail in rails.items() if name != IO_RAIL}
    if not core:
        raise ConfigError("no core supply rail is given", expected="one besides VDDQ, such as VDD or VDD2")
    for current in OPTIONAL_CURRENTS:
        lacking = [name for name, rail in core.items() if f"{current}_A" not in rail]
        if lacking and len(lacking) < len(core):
            raise ConfigError(f"rail {lacking[0]} lacks {current}", expected="it on all core rails or none")
    one_open = "IDD3N1" if has_current(rails, "IDD3N1") else "IDD3N"
    pairs = list(pairwise(("IDD0", one_open, "IDD2N", "IDD2P")))
    pairs += [(more, "IDD3N") for more in ("IDD4R", "IDD4W", "IDD5B")] + [("IDD3N", "IDD3P")]
    if one_open != "IDD3N":
        pairs.append(("IDD3N", one_open))
    if has_current(rails, "IDD5PB"):
        pairs.append(("IDD5PB", one_open))
    for more, less in pairs:
        power_W = {n: sum(r["voltage_V"] * r[f"{n}_A"] for r in core.values()) for n in (more, less)}
        falls = [name for name, rail in core.items() if rail[f"{more}_A"] < rail[f"{less}_A"]]
        if falls or not power_W[more] > power_W[less]:
            raise ConfigError(
                f"{more} must be above {less}" + (f" on the rail {falls[0]}" if falls else ""),
                found=f"{power_W[more] * 1e3:.4g} mW and {power_W[less] * 1e3:.4g} mW over all core rails",
                hint="Otherwise a command would cost nothing or less; published tables do hold such errors.",
            )


def has_current(rails: Mapping[str, Mapping[str, float]], current: str) -> bool:
    """Return whether a current of `OPTIONAL_CURRENTS` is given."""
    return any(f"{current}_A" in rail for name, rail in rails.items() if name != IO_RAIL)
