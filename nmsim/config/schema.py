"""The shape of a configuration: every key, its type, its meaning and what must hold between keys.

Physical values are `Quantity`s (value, unit, source, range); clock counts are integers with JEDEC names. The
defaults here are those of the experiment (data set, selection, training, trace); hardware has no defaults:
it stands in the board's file with its source.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from nmsim.config.quantity import (
    Area,
    Bandwidth,
    Capacitance,
    CapacitancePerLength,
    ChosenTime,
    Current,
    Energy,
    EnergyPerBit,
    Factor,
    Frequency,
    Length,
    Physical,
    Power,
    Quantity,
    Ratio,
    Resistance,
    Share,
    Size,
    Time,
    TimePerLength,
    Utilisation,
    Voltage,
)
from nmsim.config.yaml_tree import Origin

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
RailName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,15}$")]
Count = Annotated[int, Field(ge=1, le=2**31, strict=True)]
Clocks = Annotated[int, Field(ge=0, le=2**31, strict=True)]
Side = Annotated[int, Field(ge=1, le=2**14, strict=True)]
Accesses = Annotated[int, Field(ge=0, le=1024, strict=True)]
PositiveRatio = Annotated[Quantity, Physical("ratio", minimum=1e-6)]
#: The keys that lead to a value.
Keys = tuple[str | int, ...]
PowerOfTwo = Annotated[int, Field(ge=1, le=2**31, strict=True)]


class Section(BaseModel):
    """A mapping of a configuration: no unknown keys, frozen, with an optional source for what it holds."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    source: str | None = Field(
        None, description="Source of every value that the same file writes in this section without its own."
    )


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

    tCK: Time = Field(description="Clock period.")

    @model_validator(mode="after")
    def _has_whole_picoseconds(self) -> Timing:
        if self.tCK.value < 1 or self.tCK.value != round(self.tCK.value):
            raise ValueError(f"tCK must be a whole number of picoseconds, found {self.tCK.value:g} ps")
        if self.tCK.value > 10**9:
            raise ValueError(f"tCK must be at most 1 ms, found {self.tCK.value:g} ps")
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

    address_map: Annotated[str, Field(pattern=r"^(Ro|Ba|Bg|Ra|Ch|Co){2,6}$")] = Field(
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

    standard: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63}|.+\.yaml)$")] = Field(
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


class Glyphs(Section):
    """The generated default data set."""

    n_train: Count = Field(12_000, description="Training images.")
    n_test: Count = Field(2_000, description="Test images.")


class Synthetic(Section):
    """Random bytes of a chosen number and size, which take next to no memory; for questions of cost."""

    n_train: Count = Field(description="Training images.")
    n_test: Count = Field(1, description="Test images.")
    height: Side = Field(description="Pixels.")
    width: Side = Field(description="Pixels.")
    channels: Side = Field(3, description="Bytes of a pixel.")
    n_classes: Annotated[int, Field(ge=2, le=2**16, strict=True)] = Field(
        10, description="Classes, of equal size to within one image."
    )


class DatasetSection(Section):
    """Which images; `path` wins over `synthetic`, and both over `name`."""

    name: Literal["glyphs", "digits", "cifar10", "cifar100", "mnist", "fashion-mnist"] = Field(
        "glyphs", description="A data set that nmsim knows; `nmsim data list` says which are here."
    )
    path: str | None = Field(None, description="A folder or a file in a supported format.")
    glyphs: Glyphs = Glyphs()
    synthetic: Synthetic | None = None


class DeSne(Section):
    """The stages of DE-SNE; docs/explanation/de-sne.md says which choices are nmsim's."""

    scope: Literal["per_class", "global"] = Field(
        "per_class", description="One map of each class, or one of all."
    )
    features: Literal["raw", "pool", "random_projection", "pca"] = Field(
        "pool", description="What distances are taken between."
    )
    pool_size: Annotated[int, Field(ge=1, le=64, strict=True)] = Field(
        2, description="Side in pixels of what features: pool takes the mean of."
    )
    perplexity: Annotated[float, Field(gt=1)] = Field(
        30.0, description="Neighbours that an image counts as near."
    )
    search: Literal["bisection", "absolute", "fireworks"] = Field(
        "bisection", description="Of each image's width; only bisection is sure to reach the perplexity."
    )
    kernel: Literal["student", "gaussian"] = Field(
        "student", description="Of the map: student is t-SNE, gaussian symmetric SNE."
    )
    forces: Literal["auto", "exact", "interpolated"] = Field(
        "auto", description="Of the map: auto interpolates in maps of thousands of images."
    )
    n_iter: Count = Field(500, description="Iterations of the embedding.")
    sampling: Literal["grid_uniform", "grid_proportional", "medoid", "entropy"] = Field(
        "medoid", description="How images are picked from the map."
    )


#: A selection method's name; which methods there are is known where they are run.
METHOD = r"[A-Za-z0-9][A-Za-z0-9._-]*"
MethodName = Annotated[str, Field(pattern=rf"^{METHOD}$")]

_SIMPLE = {"type": ["boolean", "number", "string"]}


def _check_setting(value: Any) -> Any:
    if not all(
        isinstance(v, bool | int | float | str) for v in (value if isinstance(value, list) else [value])
    ):
        raise ValueError("expected true, false, a number, a text, or a list of these")
    return value


Setting = Annotated[
    Any,
    AfterValidator(_check_setting),
    WithJsonSchema({"anyOf": [_SIMPLE, {"type": "array", "items": _SIMPLE}]}),
]


class Selection(Section):
    """How much is kept, and how."""

    keep_ratio: Annotated[float, Field(gt=0, le=1)] = Field(
        0.1, description="Share of the training images that is kept."
    )
    de_sne: DeSne = DeSne()
    methods: dict[MethodName, dict[str, Setting]] = Field(
        {}, description="Parameters of the other methods, by the method's name; its class says which it has."
    )


class Training(Section):
    """The training that follows every selection."""

    network: Literal["softmax", "mlp", "cnn-s", "cnn-m", "resnet-8", "resnet-18"] = Field(
        "cnn-s", description="softmax, mlp, or a convolutional network; resnet-18 needs the backend torch."
    )
    backend: Literal["numpy", "torch", "none"] = Field(
        "numpy",
        description="What trains; torch where PyTorch is installed, on a GPU where there is one; none: "
        "nothing is learnt, only what a training costs is counted.",
    )
    augmentation: Literal["none", "flip", "flip_crop"] = Field(
        "none", description="Mirrors half of the images anew in every epoch; flip_crop shifts them too."
    )
    epochs: Count = Field(5, description="Of every scheme.")
    min_steps: Clocks = Field(
        400, description="Where `epochs` are fewer optimiser steps than this, whole epochs are added."
    )
    batch_size: Count = Field(32, description="Images of an optimiser step.")
    learning_rate: Annotated[float, Field(gt=0)] = Field(0.05, description="At the start.")
    schedule: Literal["cosine", "constant"] = Field("cosine", description="How the learning rate falls.")
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(0.9, description="Of stochastic gradient descent.")
    weight_decay: Annotated[float, Field(ge=0)] = Field(5e-4, description="L2 penalty.")
    seeds: Annotated[int, Field(ge=1, le=1000, strict=True)] = Field(
        3, description="Trainings that the accuracy is a mean over."
    )


class Simulation(Section):
    """How much of the long repetitive work is simulated access by access; the rest is scaled, and said."""

    epochs: Count | Literal["all"] = Field(
        "all", description="Training epochs that are simulated; the others are scaled."
    )
    iterations: Count = Field(2, description="Simulated repeats of a repeated step, of n.")
    tiles: Count | Literal["all"] = Field(
        32, description="Steps that the units play at least of a row of alike ones; each stands for some."
    )
    samples: Annotated[int, Field(ge=100, le=100_000, strict=True)] = Field(
        2000, description="Boards drawn from the ranges of all values, for the 5 to 95 % bands."
    )


class Trace(Section):
    """The energy trace."""

    level: Literal["access", "window", "off"] = Field(
        "window",
        description="access: every access; window: the first of each phase, the rest as sums; off: none.",
    )
    rows_per_phase: Annotated[int, Field(ge=0, le=10**9, strict=True)] = Field(
        20_000, description="Accesses written one by one at the start of each phase (level window)."
    )


SCHEMES = ("full", "random", "de-sne@nmc", "de-sne@host", "kernel-herding@nmc")

_SCHEME = rf"^(full|random|{METHOD}@(host|nmc))$"


def _check_form(scheme: str) -> str:
    """Refuse what is no scheme, whatever methods there are."""
    if not re.match(_SCHEME, scheme):
        method, at, place = scheme.partition("@")
        if at:
            close = [f"{method}@{p}" for p in get_close_matches(place, ("host", "nmc"), 1, 0.3)]
        else:
            close = get_close_matches(scheme, ("full", "random"), 1, 0.5) or [f"{scheme}@nmc"]
        raise PydanticCustomError(
            "scheme",
            "expected full, random, or METHOD@PLACE with the place host or nmc",
            {"hint": f"Did you mean {close[0]}?" if close and re.match(_SCHEME, close[0]) else None},
        )
    return scheme


Scheme = Annotated[str, AfterValidator(_check_form), WithJsonSchema({"type": "string", "pattern": _SCHEME})]


class RunConfig(Section):
    """A whole run: a board, a data set, a selection, a training, and the schemes to compare."""

    name: Name = Field("run", description="Of the run; its folder begins with it.")
    seed: Annotated[int, Field(ge=0, lt=2**63, strict=True)] = Field(
        1, description="Of everything that is drawn at random."
    )
    memory: Memory
    near_memory: NearMemory
    link: Link
    operations: Operations
    soc: Soc
    dataset: DatasetSection = DatasetSection()
    selection: Selection = Selection()
    training: Training = Training()
    schemes: Annotated[tuple[Scheme, ...], Field(min_length=1)] = Field(
        SCHEMES, description="What is compared; ratios are against full."
    )
    simulation: Simulation = Simulation()
    trace: Trace = Trace()

    _origins: dict[Keys, Origin] = PrivateAttr(default_factory=dict)

    def origin(self, path: str | Keys) -> Origin:
        """Return where the value at a path (dotted, or its keys) was written, or the section around it."""
        keys = tuple(path.split(".")) if isinstance(path, str) else path
        nearest = (self._origins[keys[:n]] for n in range(len(keys), -1, -1) if keys[:n] in self._origins)
        return next(nearest, Origin("the configuration"))

    def known_paths(self, prefix: str) -> list[str]:
        """Return the dotted paths under `prefix` that were written somewhere."""
        paths = [".".join(map(str, keys)) for keys in self._origins]
        return [path for path in paths if path.startswith(f"{prefix}.")]

    @field_validator("schemes")
    @classmethod
    def _no_scheme_stands_twice(cls, schemes: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(schemes)) != len(schemes):
            raise ValueError("a scheme stands twice")
        return schemes


def physical_values(section: Section, keys: Keys = ()) -> Iterator[tuple[Keys, Quantity]]:
    """Yield every physical value beneath `section` with the keys that lead to it, in the schema's order."""
    fields = {n: getattr(section, n) for n in type(section).model_fields}
    for name, value in {**fields, **(section.__pydantic_extra__ or {})}.items():
        if isinstance(value, Quantity):
            yield (*keys, name), value
        elif isinstance(value, Section):
            yield from physical_values(value, (*keys, name))
        elif isinstance(value, dict):
            for key, item in value.items():
                if isinstance(item, Section):
                    yield from physical_values(item, (*keys, name, key))


def quantities(section: Section) -> dict[str, Quantity]:
    """Return every physical value beneath `section` by its dotted path, in the schema's order."""
    return {".".join(map(str, keys)): quantity for keys, quantity in physical_values(section)}
