"""How a memory controller orders requests."""

from __future__ import annotations

from dataclasses import dataclass

from nmsim.dram.address import BANK_HASHES
from nmsim.dram.spec import DramSpec
from nmsim.errors import ConfigError

#: What a setting of the controller can be.
SETTINGS = {
    "bank_hash": BANK_HASHES,
    "scheduler": ("FRFCFS", "FCFS"),
    "row_policy": ("open", "closed", "timeout"),
    "refresh": ("all_bank", "per_bank", "none"),
}

#: No standard lets more refreshes be postponed (`Standard.refresh_postponed`).
MOST_POSTPONED = 8


@dataclass(frozen=True)
class ControllerSpec:
    """How a channel's controller orders requests.

    Parameters
    ----------
    address_map : str
        Fields, most significant first (see `nmsim.dram.address`).
    bank_hash : str
        "xor": the lowest bits of the row are XORed to bank group and bank. "none".
    scheduler : str
        "FRFCFS": row hits first, then the oldest request. "FCFS": the oldest request alone.
    row_hit_cap : int
        FRFCFS: row hits of a bank that may overtake an older request to another of its rows; 0: any number.
    row_policy : str
        "open": a row stays open until another row of its bank is wanted, or refresh comes. "closed": the last
        access that is queued for a row closes it (RDA, WRA). "timeout": a row is closed that was not used for
        `row_timeout_clk`.
    row_timeout_clk : int
        Row policy "timeout": clocks since the last ACT, RD or WR of the bank.
    refresh : str
        "all_bank": REFab to each rank every nREFI; ranks are staggered. "per_bank": REFpb to the sets of a
        rank's banks by turns. "none": never, which no memory allows; to see what refresh costs.
    refresh_postponed : int
        Refreshes, in units of nREFI, that a rank may owe while requests are queued; at most the standard's
        limit. They are made up for where no request waits.
    read_queue, write_queue : int
        Requests that each queue holds, at least 1.
    write_high_watermark, write_low_watermark : int
        Queued writes at which the controller turns from reads to writes, and back; it also turns to writes
        where no read waits. 0 <= low < high <= write_queue.
    power_down_idle_clk : int
        Clocks without a request or command after which ranks power down; 0: never.
    self_refresh_idle_clk : int
        Clocks since the last request's command after which ranks enter self-refresh, at least nREFI;
        0: never.
    """

    address_map: str = "RoBaRaCoCh"
    bank_hash: str = "none"
    scheduler: str = "FRFCFS"
    row_hit_cap: int = 0
    row_policy: str = "open"
    row_timeout_clk: int = 0
    refresh: str = "all_bank"
    refresh_postponed: int = 0
    read_queue: int = 32
    write_queue: int = 32
    write_high_watermark: int = 24
    write_low_watermark: int = 8
    power_down_idle_clk: int = 0
    self_refresh_idle_clk: int = 0

    def __post_init__(self) -> None:
        for name, known in SETTINGS.items():
            if getattr(self, name) not in known:
                raise _unmeant(name, getattr(self, name), " or ".join(known))
        for name in ("read_queue", "write_queue"):
            if not 1 <= getattr(self, name) <= 4096:
                raise _unmeant(name, getattr(self, name), "1 to 4096")
        if not 0 <= self.write_low_watermark < self.write_high_watermark <= self.write_queue:
            raise ConfigError(
                "the write watermarks do not fit",
                found=f"low {self.write_low_watermark}, high {self.write_high_watermark}",
                expected=f"0 <= low < high <= {self.write_queue} (write_queue)",
            )
        for name in ("row_hit_cap", "row_timeout_clk", "power_down_idle_clk", "self_refresh_idle_clk"):
            if getattr(self, name) < 0:
                raise _unmeant(name, getattr(self, name), "at least 0")
        if (self.row_timeout_clk > 0) != (self.row_policy == "timeout"):
            raise ConfigError(
                "memory.controller.row_timeout goes with row_policy: timeout, and only with it",
                found=f"row_policy {self.row_policy}, row_timeout {self.row_timeout_clk} clocks",
            )
        if not 0 <= self.refresh_postponed <= MOST_POSTPONED:
            raise _unmeant("refresh_postponed", self.refresh_postponed, f"0 to {MOST_POSTPONED}")


def check_controller(spec: DramSpec, controller: ControllerSpec) -> None:
    """Raise ConfigError where a controller asks for what a memory does not allow."""
    if controller.refresh == "per_bank" and not spec.refresh_sets:
        raise ConfigError(
            f"{spec.standard} has no per-bank refresh", found="refresh per_bank", expected="all_bank or none"
        )
    if controller.refresh_postponed > spec.table.refresh_postponed:
        raise ConfigError(
            f"{spec.standard} does not let so many refreshes be postponed",
            found=controller.refresh_postponed,
            expected=f"at most {spec.table.refresh_postponed}",
        )
    interval_clk = spec.clocks[spec.table.refresh_interval]
    if 0 < controller.self_refresh_idle_clk < interval_clk:
        raise ConfigError(
            "memory.controller.self_refresh_idle is shorter than a refresh interval",
            found=f"{controller.self_refresh_idle_clk} clocks",
            expected=f"0 (never), or at least {interval_clk} clocks ({spec.table.refresh_interval})",
        )


def _unmeant(name: str, found: object, expected: str) -> ConfigError:
    return ConfigError(f"memory.controller.{name} must be {expected}", found=found)
