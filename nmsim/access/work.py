"""What an algorithm asks of the hardware, said without naming any hardware.

Selection and training describe themselves as a sequence of `Step`s over named arrays; `nmsim.system` decides
who executes a step (the host or the near-memory units), where the arrays lie, how long it takes and what it
costs. That keeps the algorithms free of hardware and lets one description be priced on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from nmsim.energy.arithmetic import ARITHMETIC
from nmsim.errors import ConfigError, suggestion

#: Operation kinds that hardware knows how to price. `mac_*` counts one multiply and one add; `compare` is an
#: int32 comparison; `exp` one exponential or its look-up; `cpu_instruction` is scalar work that only a CPU
#: or a near-memory control core can do.
OPERATIONS = (*ARITHMETIC, "cpu_instruction")
_KNOWN = frozenset(OPERATIONS)


@dataclass(frozen=True)
class ArraySpec:
    """A named array in DRAM: `rows` records of `row_bytes` bytes.

    Attributes
    ----------
    name : str
        Unique in a run: "images", "labels", "features", "affinities", "activations", …
    rows, row_bytes : int
        Number of records, and bytes of one record; both at least 1.
    per_image : bool
        Record i belongs to training image i, and lies where that image lies.
    """

    name: str
    rows: int
    row_bytes: int
    per_image: bool = False

    @property
    def size_bytes(self) -> int:
        """Return the bytes of the whole array."""
        return self.rows * self.row_bytes


@dataclass(frozen=True, eq=False)
class Transfer:
    """Reads or writes of whole records of one array, in the order given.

    Attributes
    ----------
    array : str
        Name of an `ArraySpec`.
    rows : ndarray of int64, shape (n,)
        Record numbers in the order of access. Pass views: a step never changes or copies them.
    write : bool
        A write where true, else a read.
    broadcast : bool
        Near memory only: what is read is sent to the buffers of all units (a tile of query records), where
        false it is consumed by the unit beside the bank it lies in. The host ignores it.
    """

    array: str
    rows: np.ndarray
    write: bool = False
    broadcast: bool = False


@dataclass(frozen=True, eq=False)
class Step:
    """One pipelined piece of work: its transfers and its operations overlap (double buffering).

    Attributes
    ----------
    phase : str
        The phase of the run that it belongs to; every joule is reported under it.
    transfers : tuple of Transfer
        DRAM traffic, in order.
    operations : mapping of str to int
        Number of operations of each kind in `OPERATIONS`, over all units together.
    broadcast_bytes : int
        Near memory only: bytes sent to every unit besides the broadcast transfers (the map Y, sums, Z).
    gather_bytes_per_unit : int
        Near memory only: bytes that each unit sends to the collector (partial sums, candidates of a merge).
    group : int or None
        The class that it works on. Steps of one group run in order; near-memory units work on different
        groups side by side where the placement allows it. None: the step concerns all groups.
    repeat : int
        How many times in a row the step is done, at least 1 (iterations of an optimiser).

    Raises
    ------
    ConfigError
        For a kind of operation that is none of `OPERATIONS`, which nothing could price.
    """

    phase: str
    transfers: tuple[Transfer, ...] = ()
    operations: Mapping[str, int] = field(default_factory=dict)
    broadcast_bytes: int = 0
    gather_bytes_per_unit: int = 0
    group: int | None = None
    repeat: int = 1

    def __post_init__(self) -> None:
        if not _KNOWN.issuperset(self.operations):
            wrong = next(kind for kind in self.operations if kind not in _KNOWN)
            raise ConfigError(
                f"a step of the phase {self.phase} counts an unknown kind of operation",
                found=wrong,
                expected=", ".join(OPERATIONS),
                hint=suggestion(wrong, OPERATIONS),
            )
