"""What a board has besides its memory: near-memory units, the link over the PCB, the SoC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from nmsim.config.quantity import (
    Bandwidth,
    Capacitance,
    CapacitancePerLength,
    Energy,
    EnergyPerBit,
    Factor,
    Frequency,
    Length,
    Power,
    Ratio,
    Resistance,
    Share,
    Size,
    Time,
    TimePerLength,
    Utilisation,
    Voltage,
)
from nmsim.config.section import Accesses, Count, PositiveRatio, Section


class Operations(Section):
    """Energy of one arithmetic operation at 45 nm; logic is scaled from here to its own node."""

    mac_int8: Energy = Field(description="Multiply int8, accumulate in int32.")
    mac_fp16: Energy = Field(description="Multiply and accumulate in fp16.")
    mac_fp32: Energy = Field(description="Multiply and accumulate in fp32.")
    add_int32: Energy = Field(description="Addition.")
    add_fp32: Energy = Field(description="Addition.")
    mul_fp32: Energy = Field(description="Multiplication.")
    div_fp32: Energy = Field(description="Division.")
    exp: Energy = Field(description="Exponential in fp32.")
    compare: Energy = Field(description="Comparison of two numbers.")


#: Names of the operations, as `near_memory.cycles` may use them.
OPERATION_KINDS = tuple(name for name in Operations.model_fields if name != "source")
if TYPE_CHECKING:
    OperationKind: TypeAlias = str  # a literal type must be written out for those who only read it
else:
    OperationKind = Literal[OPERATION_KINDS]


#: What the host may do while near memory works; docs/explanation/scheduler.md.
HOST_POLICIES = ("exclusive", "per_bank", "concurrent")


class ModeSwitch(Section):
    """What entering and leaving near-memory mode costs.

    The host's accesses go to the last row of the banks, which then holds no data: `reserved_rows`.
    """

    enter: Time = Field(description="Time until the units may work, after the accesses.")
    leave: Time = Field(description="Time until the host may access data, after the accesses.")
    park_reads: Accesses = Field(
        0, description="Reads of the reserved row of every bank that the host does on entering."
    )
    register_writes: Accesses = Field(
        0,
        description="Writes to reserved rows, in each rank, that the host does on entering (after the reads) "
        "and again on leaving; the first to the rank's first bank, the next to its next, and so round.",
    )

    @property
    def reserved_rows(self) -> int:
        """Return how many rows of every bank hold no data, from the last one down."""
        return int(self.park_reads + self.register_writes > 0)


class NearMemory(Section):
    """The compute units beside the DRAM banks."""

    placement: Literal["bank", "bankgroup", "rank"] = Field(
        description="Where a unit sits: beside each bank, each bank group, or each rank."
    )
    data_placement: Literal["striped", "class_per_bank", "interleaved"] = Field(
        "striped", description="Which bank an image lies in; see docs/reference/config.md."
    )
    format: Literal["int8", "fp16", "fp32"] = Field(
        "int8", description="Numbers that features are stored in and distances are accumulated in."
    )
    lanes: Count = Field(description="Operations that a unit starts in one cycle, by one instruction.")
    clock: Frequency = Field(description="Of the units.")
    buffer: Size = Field(description="SRAM of a unit; it decides how many query images stay resident.")
    node_nm: Ratio = Field(description="Logic node that the energies at 45 nm are scaled to.")
    dram_process_penalty: Ratio = Field(
        description="Energy factor of logic made in a DRAM process; units at the rank are not."
    )
    sram_process_penalty: Ratio | None = Field(
        None, description="The same for the buffers; dram_process_penalty if absent."
    )
    area_penalty: Ratio | None = Field(
        None, description="Area factor of logic and SRAM on a DRAM die; 1 if absent."
    )
    leakage_process_factor: Ratio | None = Field(
        None, description="Leakage in a DRAM process relative to one for logic; 1 if absent."
    )
    cycles: dict[OperationKind, Count] = Field(
        default_factory=dict, description="Cycles that a lane needs for an operation, where more than 1."
    )
    sram_read: EnergyPerBit | None = Field(
        None,
        description="Reading a bit of a unit's buffer; absent: by its size and node (nmsim/energy/sram.py).",
    )
    sram_read_factor: PositiveRatio | None = Field(
        None, description="What the figure by size and node is multiplied by; absent: 1."
    )
    leakage: Power | None = Field(
        None, description="Of one unit, while near-memory mode is on; absent: its buffer's, by its size."
    )
    leakage_factor: PositiveRatio | None = Field(
        None, description="What the leakage by size is multiplied by; absent: 1."
    )
    control_instruction: Energy = Field(description="One instruction of a unit's controller, for all lanes.")
    exchange_bandwidth: Bandwidth | None = Field(
        None, description="Of the bus between the units of one die; that of the die's pads if absent."
    )
    max_simultaneous_act: Annotated[int, Field(ge=0, le=64, strict=True)] = Field(
        description="Banks that may be activated at once; 0: JEDEC's tFAW."
    )
    mode_switch: ModeSwitch
    host_policy: Literal[HOST_POLICIES] = Field(  # type: ignore[valid-type]
        "exclusive",
        description="What the host may do while the units work: nothing; use the banks that they do not; "
        "use every bank. For `nmsim probe --near-memory`; in a run the host waits for the units.",
    )
    control_bytes_per_step: Count = Field(64, description="Command the host sends for each step.")


class Link(Section):
    """The path from the DRAM's pads over the PCB to the SoC's pads."""

    signalling: Literal["POD", "LVSTL", "unterminated"] = Field(
        description="POD: DDR4, DDR5; LVSTL: LPDDR4, LPDDR5; unterminated: no direct current."
    )
    length: Length = Field(description="From the DRAM's pads to the SoC's.")
    voltage: Voltage = Field(description="VDDQ.")
    driver: Resistance = Field(description="Ron; used by POD.")
    termination: Resistance = Field(description="Rtt (POD) or Rodt (LVSTL).")
    output_high: Voltage | None = Field(None, description="VOH at the receiver; used by LVSTL.")
    swing: Voltage | None = Field(None, description="Used where unterminated; VDDQ if absent.")
    driven_share: Share = Field(description="P(0) for POD, P(1) for LVSTL: share of bits with DC current.")
    rising_share: Share = Field(description="p01: share of bits that charge the line where unterminated.")
    pad_capacitance: Capacitance = Field(description="Transmitter and receiver pads together.")
    trace_capacitance: CapacitancePerLength = Field(description="Of the PCB trace.")
    flight_time: TimePerLength = Field(description="Of a signal on the PCB trace.")
    strobe_overhead: Factor = Field(description="Factor for strobes, mask and inversion pins, at least 1.")
    phy: EnergyPerBit = Field(description="Both PHYs, without termination.")
    controller: EnergyPerBit = Field(description="The SoC's memory controller.")
    dbi: Literal["none", "dc"] = Field(
        "none",
        description="dc: bytes that would conduct on more than four pins are sent inverted; the inversion "
        "pin is counted, so that strobe_overhead is for strobes and mask alone.",
    )
    data_dependent: bool = Field(
        False,
        description="Count driven bits and rising edges of the image bytes that cross, in place of "
        "driven_share and rising_share, which all other arrays keep.",
    )

    @model_validator(mode="after")
    def _has_what_its_signalling_needs(self) -> Link:
        if self.dbi == "dc" and self.signalling == "unterminated":
            raise ValueError("dbi: dc saves direct current, which an unterminated line does not draw")
        if self.signalling == "LVSTL" and self.output_high is None:
            raise ValueError("LVSTL needs output_high (VOH)")
        return self


class Npu(Section):
    """A systolic array for multiply-accumulates."""

    rows: Count = Field(description="Of the array; each element does a multiply-accumulate a cycle.")
    columns: Count = Field(description="Of the array.")
    clock: Frequency = Field(description="Of the array.")
    utilisation: Utilisation = Field(description="Share of the peak that is reached.")
    node_nm: Ratio = Field(description="Logic node that the energies at 45 nm are scaled to.")


class Cpu(Section):
    """The cores that do what the NPU cannot."""

    cores: Count = Field(description="Cores that compute.")
    simd_lanes: Count = Field(description="Numbers in fp32 that an instruction handles at once.")
    clock: Frequency = Field(description="Of the cores.")
    instructions_per_cycle: PositiveRatio = Field(description="Of one core.")
    energy_per_instruction: Energy = Field(description="One instruction of a core.")
    utilisation: Utilisation = Field(description="Share of the peak that is reached.")


class Soc(Section):
    """The chip at the other end of the PCB."""

    npu: Npu
    cpu: Cpu
    sram: Size = Field(description="On-chip memory that holds what is computed with.")
    sram_read: EnergyPerBit = Field(description="Reading or writing a bit of it.")
    static_power: Power = Field(description="Of the whole chip, as long as the scheme runs.")
