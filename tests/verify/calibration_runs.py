"""What nmsim gives for the published figures: streams run on boards, and prices of boards."""

from collections.abc import Sequence
from functools import cache, reduce
from itertools import product
from pathlib import Path

import numpy as np
from drampower_patterns import energy_pJ

from nmsim.access.work import ArraySpec, Step, Transfer
from nmsim.config import load_config
from nmsim.config.load import read_extended
from nmsim.config.memory import Memory
from nmsim.config.quantity import Quantity
from nmsim.config.section import Section
from nmsim.dram.spec import DramSpec
from nmsim.energy.arithmetic import ARITHMETIC
from nmsim.energy.components import COMPONENTS, DDR_COMPONENTS
from nmsim.energy.data_bits import line_activity
from nmsim.energy.idd import command_energies
from nmsim.energy.link import link_energy
from nmsim.energy.terminated import driven_bit_fJ, pod_pin_power_W
from nmsim.system.board import Board, SelectionWork
from nmsim.system.parts import dram_spec

BOARDS = Path(__file__).parents[2] / "hw_configs"
STREAM = "stream"
#: A value, the lowest and highest over what is not known, and a remark.
Band = tuple[float, float, float, str]
#: Records that the host's DMA asks for at once.
BATCH = 256
#: A board with its host's own address map: what is read without near-memory units.
BY_THE_HOST = "near_memory.data_placement=interleaved"


class Stream:
    """A data set read once, from end to end.

    Attributes
    ----------
    rate_GBps : float
    pJ_per_bit : dict of str to float
        By component; of the whole course, with control words, mode switches and result.
    """

    def __init__(self, board: Board, size_bytes: int):
        frame, bits = board.frame(), 8 * size_bytes
        self.pJ_per_bit = {name: float(frame[f"{name}_fJ"].sum()) / bits / 1e3 for name in COMPONENTS}
        self.rate_GBps = size_bytes / board.meter.phases[STREAM][1] * 1e3

    @property
    def ddr(self) -> float:
        """Return the energy of the DRAM and of the path to and from it, in pJ/bit."""
        return sum(self.pJ_per_bit[name] for name in DDR_COMPONENTS)

    @property
    def total(self) -> float:
        """Return the energy of the whole board, in pJ/bit."""
        return sum(self.pJ_per_bit.values())


@cache
def stream(
    file: str, place: str, records: int, record_bytes: int, sets: tuple[str, ...] = (), kind: str = "mac_fp16"
) -> Stream:
    """Run a stream near memory ("nmc") or on the SoC ("host"), an operation for each of its operands."""
    config = load_config(BOARDS / file, list(sets))
    channels = config.memory.organization.channels
    group = np.arange(records) % channels
    arrays = [ArraySpec("data", records, record_bytes, per_image=True), ArraySpec("indices", 1, 4)]
    board = Board(config, "calibration", arrays, group, None)
    if place == "nmc":
        parts = [(np.flatnonzero(group == g), g) for g in range(channels)]
    else:
        parts = [(np.arange(i, min(i + BATCH, records)), None) for i in range(0, records, BATCH)]
    steps = [
        Step(
            STREAM,
            (Transfer("data", rows),),
            {kind: len(rows) * record_bytes // ARITHMETIC[kind].operand_bytes},
            group=g,
        )
        for rows, g in parts
    ]
    board.execute(SelectionWork(place, steps, 1), [])
    return Stream(board, records * record_bytes)


def spec_of(file: str) -> DramSpec:
    """Return the memory of a board."""
    return dram_spec(load_config(BOARDS / file).memory)


# Pins and link


def pod_pin_mW() -> float:
    """Return the power of one POD pin held low."""
    return pod_pin_power_W(1.2, 34, 48) * 1e3


def direct_current_pJ(file: str, rate_Hz: float, *sets: str) -> float:
    """Return the direct current's energy per bit of a data pin, random data, without strobes."""
    link = load_config(BOARDS / file, list(sets)).link
    return link.driven_share.value * driven_bit_fJ(link, rate_Hz) / 1e3


def driven_pins() -> float:
    """Return how many of nine pins conduct for a byte, on the average of all bytes, with bus inversion."""
    every = np.arange(256, dtype=np.uint8)[None]
    link = load_config(BOARDS / "ddr4_2400.yaml", ["link.dbi=dc"]).link
    return int(line_activity(every, link, bus_bytes=8, access_bytes=64).driven.sum()) / every.size


def link_pJ(file: str, rate_Hz: float, *sets: str) -> float:
    """Return a bit's energy from pad to pad, PHY and controller included."""
    energy = link_energy(load_config(BOARDS / file, list(sets)).link, rate_Hz)
    return sum(vars(energy).values()) / 1e3


# The device


def pattern_pJ(pattern: int, *parts: str) -> float:
    """Return the energy of a DRAMPower pattern, whole or of some parts."""
    energies = energy_pJ(pattern)
    return sum(energies[name] for name in parts or energies)


def lpddr5x_read_pJ(burst_share: float = 1.0) -> float:
    """Return a column read's energy per bit up to the pads, with a share of what IDD4R is above IDD3N."""
    preset = read_extended(BOARDS / "presets" / "memory-lpddr5x-8533.yaml")[0]["memory"]
    spec = dram_spec(Memory.model_validate(preset))
    rails = {
        name: {**rail, "IDD4R_A": rail["IDD3N_A"] + burst_share * (rail["IDD4R_A"] - rail["IDD3N_A"])}
        for name, rail in spec.rails.items()
    }
    return command_energies(spec, rails=rails).command_fJ["RD"] / (8 * spec.access_bytes) / 1e3


def row_pJ(file: str) -> float:
    """Return what opening and closing a row costs."""
    energies = command_energies(spec_of(file)).command_fJ
    return (energies["ACT"] + energies["PREpb"]) / 1e3


def host_stream(file: str, *sets: str) -> Stream:
    """Return 8 MB read by the host."""
    return stream(file, "host", 4096, 2048, (*sets, BY_THE_HOST))


def lpddr4_access_pJ(*sets: str) -> Band:
    """Return a whole access's energy, and its parts."""
    run = host_stream("lpddr4.yaml", *sets)
    shown = [name for name in DDR_COMPONENTS if run.pJ_per_bit[name] > 0.005]
    parts = ", ".join(f"{name} {run.pJ_per_bit[name]:.2f}" for name in shown)
    return (run.ddr, run.ddr, run.ddr, f"In parts, pJ/bit: {parts}.")


def hbm2_pJ_per_bit(activation: float | None = None) -> float:
    """Return a stream's activations (or so much for them), columns, TSVs and I/O."""
    run = host_stream("hbm2.yaml").pJ_per_bit
    opened = run["act"] + run["pre"] if activation is None else activation
    return opened + sum(run[name] for name in ("rd", "on_die_bus", "phy"))


# Near memory: time


AIM = "calibration/gddr6_aim.yaml"
NO_REFRESH = "memory.controller.refresh=none"


def _time_ps(file: str, records: int, record_bytes: int, *sets: str) -> float:
    return records * record_bytes / stream(file, "nmc", records, record_bytes, sets).rate_GBps * 1e3


def aim_rate_GBps() -> float:
    """Return what 16 banks with open rows give: half a row more in each, over the time that it takes."""
    half, whole = (_time_ps(AIM, 16, size, NO_REFRESH) for size in (1024, 2048))
    return 16 * 1024 / (whole - half) * 1e3


def aim_row_share(*sets: str) -> float:
    """Return the share of that rate, in per cent, that a long stream of whole rows keeps up."""
    few, many = (_time_ps(AIM, records, 2048, *sets) for records in (1600, 16000))
    return 100 * (16000 - 1600) * 2048 / (many - few) * 1e3 / aim_rate_GBps()


def aim_row_share_of_peak() -> Band:
    """Return the share without refresh, and say what it is with refresh and without tRTP."""
    share, with_refresh = aim_row_share(NO_REFRESH), aim_row_share()
    no_recovery = aim_row_share(NO_REFRESH, "memory.timing.nRTP=2")
    remark = f"With refresh {with_refresh:.1f} %; without refresh and tRTP {no_recovery:.1f} %."
    return (share, share, share, remark)


def upmem_GBps(clock_MHz: int) -> float:
    """Return what each of eight units takes from its bank, refresh included."""
    clock = f"near_memory.clock={clock_MHz} MHz"
    return stream("calibration/upmem.yaml", "nmc", 8000, 1024, (clock,), "mac_int8").rate_GBps / 8


# Near memory: what it saves


#: What a saving rests on and nobody publishes, with the unit that the board's file takes.
UNKNOWN = {"memory.on_die.bank": "", "near_memory.dram_process_penalty": "", "soc.static_power": " W"}


def saving(file: str, published: Sequence[float], both: Sequence[str] = (), near: Sequence[str] = ()) -> Band:
    """Return by how many per cent a stream costs the board less beside the memory than on the SoC.

    The band is over all corners of the ranges of `UNKNOWN`.

    Parameters
    ----------
    file : str
    published : sequence of float
        The remark says how much energy that the units do not save would bring nmsim there.
    both, near : sequence of str
        Changes of the board: always, and for the units alone.
    """
    board = load_config(BOARDS / file, list(both))

    def runs(*sets: str) -> tuple[Stream, Stream]:
        host = stream(file, "host", 4096, 2048, (*both, *sets, BY_THE_HOST))
        return host, stream(file, "nmc", 4096, 2048, (*both, *sets, *near))

    def per_cent(host: float, units: float) -> float:
        return 100 * (1 - units / host)

    ranges = [(path, quantity_of(board, path), unit) for path, unit in UNKNOWN.items()]
    ends = product(*([f"{path}={end!r}{unit}" for end in (q.low, q.high)] for path, q, unit in ranges))
    corners = [per_cent(host.total, units.total) for host, units in (runs(*sets) for sets in ends)]
    host, units = runs()
    value = per_cent(host.total, units.total)
    remark = (
        f"{units.rate_GBps:.0f} GB/s beside the memory, {host.rate_GBps:.0f} GB/s on the SoC; "
        f"{units.total:.2f} and {host.total:.2f} pJ/bit; "
        f"DRAM and link alone {per_cent(host.ddr, units.ddr):.0f} % less."
    )
    if near:
        banks = stream(file, "nmc", 4096, 2048, tuple(both))
        remark += f" Beside the banks of the same board: {per_cent(host.total, banks.total):.0f} % less."
    if value > max(published):
        rest = [(host.total - units.total) / (p / 100) - host.total for p in published]
        remark += f" {min(rest):.1f} to {max(rest):.1f} pJ/bit that the units do not save"
        remark += " would give the published figure."
    return (value, min(corners), max(corners), remark)


def quantity_of(section: Section, path: str) -> Quantity:
    """Return the value at a dotted path."""
    return reduce(getattr, path.split("."), section)
