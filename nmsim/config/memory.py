"""The DRAM of a board: how it is divided, its clocks and currents, its controller, its dies."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from nmsim.config.quantity import Area, ChosenTime, ClockPeriod, Current, Quantity, Ratio, Voltage
from nmsim.config.section import Clocks, Count, PositiveRatio, PowerOfTwo, RailName, Section, Spelt

#: Of a board: its counters are arrays over all banks, and its addresses are 64-bit integers.
MAX_BANKS, MAX_MEMORY_BYTES = 1 << 20, 1 << 58


class Organization(Section):
    """How a channel is divided; every number is a power of two."""

    channels: PowerOfTwo = Field(description="Independent channels on the board.")
    ranks: PowerOfTwo = Field(description="Ranks of a channel.")
    bankgroups: PowerOfTwo = Field(description="Bank groups of a rank; 1 where the standard has none.")
    banks: PowerOfTwo = Field(description="Banks of a bank group.")
    rows: PowerOfTwo = Field(description="Rows of a bank.")
    columns: PowerOfTwo = Field(description="Columns of a row, each as wide as the device's data bus.")
    device_width_bits: PowerOfTwo = Field(description="Data pins of a device on this channel.")
    devices_per_rank: PowerOfTwo = Field(description="Devices side by side in a rank.")

    @field_validator("*")
    @classmethod
    def _is_a_power_of_two(cls, value: Any) -> Any:
        if isinstance(value, int) and value & (value - 1):
            raise ValueError(f"must be a power of two, found {value}")
        return value

    @model_validator(mode="after")
    def _can_be_counted(self) -> Organization:
        banks = self.channels * self.ranks * self.bankgroups * self.banks
        bits = banks * self.rows * self.columns * self.device_width_bits * self.devices_per_rank
        if banks > MAX_BANKS:
            raise ValueError(f"{banks:,} banks in all; at most {MAX_BANKS:,} are kept account of")
        if bits > 8 * MAX_MEMORY_BYTES:  # far from where sums of addresses would turn over
            raise ValueError(f"2^{bits.bit_length() - 4} bytes in all; at most 2^58 are addressed")
        return self


class Timing(Section):
    """tCK and the clock counts of the standard, by their JEDEC names (nRCD, nRPpb, …)."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Clocks] = Field(init=False)

    tCK: ClockPeriod = Field(description="Clock period.")

    @model_validator(mode="after")
    def _has_whole_picoseconds(self) -> Timing:
        if self.tCK.value < 1 or self.tCK.value != round(self.tCK.value):
            raise ValueError(f"tCK must be a whole number of picoseconds, found {self.tCK.value:g} ps")
        return self

    @property
    def clocks(self) -> dict[str, int]:
        """Return the clock counts by name."""
        return dict(self.__pydantic_extra__ or {})


class Rail(Section):
    """A supply rail: its voltage and the data sheet's currents IDD0, IDD2N, … on it."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Current] = Field(init=False)

    voltage: Voltage = Field(description="Supply voltage.")

    @property
    def currents(self) -> dict[str, Quantity]:
        """Return the currents by name, in A."""
        return dict(self.__pydantic_extra__ or {})


class Controller(Section):
    """How a channel's controller orders requests."""

    address_map: Annotated[
        str, Spelt(r"^(Ro|Ba|Bg|Ra|Ch|Co){2,6}$", "two to six of Ro, Ba, Bg, Ra, Ch, Co, each once")
    ] = Field(
        "RoBaRaCoCh",
        description="Fields from the most significant address bits to the least; docs/reference/config.md.",
    )
    bank_hash: Literal["none", "xor"] = Field(
        "none", description="xor: the row's lowest bits permute bank groups and banks."
    )
    scheduler: Literal["FRFCFS", "FCFS"] = Field(
        "FRFCFS", description="FRFCFS: row hits first, then first come, first served; FCFS: in order."
    )
    row_hit_cap: Annotated[int, Field(ge=0, le=2**31, strict=True)] = Field(
        0, description="FRFCFS: row hits that may overtake an older request of their bank; 0: any number."
    )
    row_policy: Literal["open", "closed", "timeout"] = Field(
        "open",
        description="When a row that nobody waits for is closed: never, at once, or after row_timeout.",
    )
    row_timeout: ChosenTime | None = Field(
        None, description="row_policy timeout: a row not used for so long is closed."
    )
    refresh: Literal["all_bank", "per_bank", "none"] = Field(
        "all_bank", description="all_bank: REFab; per_bank: REFpb by turns; none: for studies."
    )
    refresh_postponed: Annotated[int, Field(ge=0, le=64, strict=True)] = Field(
        0, description="Refreshes, in units of tREFI, that may wait while requests are queued."
    )
    read_queue: Count = Field(32, description="Reads that the scheduler chooses from.")
    write_queue: Count = Field(32, description="Writes that may wait.")
    write_high_watermark: Count = Field(28, description="Waiting writes from which they are drained.")
    write_low_watermark: Annotated[int, Field(ge=0, strict=True)] = Field(
        8, description="Waiting writes down to which they are drained."
    )
    power_down_idle: ChosenTime | None = Field(
        None, description="Idle time after which a rank enters power-down; absent: never."
    )
    self_refresh_idle: ChosenTime | None = Field(
        None,
        description="Time without requests after which a rank enters self-refresh, at least tREFI; "
        "absent: never.",
    )

    @model_validator(mode="after")
    def _watermarks_are_in_order(self) -> Controller:
        if not self.write_low_watermark < self.write_high_watermark <= self.write_queue:
            raise ValueError(
                "write_low_watermark < write_high_watermark <= write_queue must hold, found "
                f"{self.write_low_watermark}, {self.write_high_watermark}, {self.write_queue}"
            )
        return self

    @model_validator(mode="after")
    def _has_nothing_without_effect(self) -> Controller:
        if self.row_hit_cap and self.scheduler != "FRFCFS":
            raise ValueError(
                f"row_hit_cap goes with scheduler: FRFCFS, found {self.row_hit_cap} with {self.scheduler}"
            )
        if self.refresh_postponed and self.refresh == "none":
            raise ValueError(
                "refresh_postponed goes with refresh: all_bank or per_bank, "
                f"found {self.refresh_postponed} with none"
            )
        return self


class OnDie(Section):
    """Where the energy of a column access goes inside the device; the three shares are of one whole."""

    bank: PositiveRatio = Field(description="Cell and column, up to the bank's edge.")
    bankgroup: Ratio = Field(description="From the bank to the bank-group multiplexer.")
    global_io: Ratio = Field(description="From there to the global I/O and the pads.")


class Die(Section):
    """A die of the memory; only the share that near-memory units take of it depends on this."""

    area: Area = Field(description="Of one die.")
    channels: Count = Field(1, description="Channels of the board that are on one die.")


class Memory(Section):
    """The DRAM of the board."""

    standard: Annotated[
        str,
        Spelt(
            r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63}|.+\.yaml)$", "a standard's name, or a .yaml file of one's own"
        ),
    ] = Field(
        description="Constraint table: LPDDR4, DDR4, …; or a .yaml file of one's own, relative to this one."
    )
    organization: Organization
    timing: Timing
    rails: dict[RailName, Rail] = Field(min_length=1)
    controller: Controller = Controller()
    on_die: OnDie
    die: Die | None = None
    refresh_background: Literal["active", "precharged"] = Field(
        "active", description="Background that a refresh is charged with; DRAMPower: active."
    )
