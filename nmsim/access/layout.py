"""Where arrays lie in the DRAM: which channel, bank, row and column every record has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nmsim.access.work import ArraySpec
from nmsim.errors import ConfigError, ResourceLimitError

DATA_PLACEMENTS = ("striped", "class_per_bank", "interleaved")

#: byte addresses (n,) int64 -> (channel, bank within the channel, row, column of bursts), each (n,) int64
Decoder = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Geometry:
    """The size of a memory, as far as placement needs it.

    Attributes
    ----------
    channels : int
        Channels of the board.
    banks : int
        Banks of a channel, over all its ranks and bank groups.
    rows : int
        Rows of a bank.
    row_bursts : int
        Column accesses (bursts) of a row.
    access_bytes : int
        Bytes of a burst.
    """

    channels: int
    banks: int
    rows: int
    row_bursts: int
    access_bytes: int

    @property
    def size_bytes(self) -> int:
        """Return the bytes of the whole memory."""
        return self.rows * self.row_of_all_banks_bytes

    @property
    def row_of_all_banks_bytes(self) -> int:
        """Return the bytes of one row of every bank of the board."""
        return self.channels * self.banks * self.row_bursts * self.access_bytes


@dataclass(frozen=True, eq=False)
class RowVisits:
    """Runs of bursts inside one DRAM row each; arrays of shape (n,), int64, in the order of access."""

    channel: np.ndarray
    bank: np.ndarray
    row: np.ndarray
    column: np.ndarray
    bursts: np.ndarray

    def of_channel(self, channel: int) -> RowVisits:
        """Return the visits that lie in one channel, in order."""
        here = self.channel == channel
        if here.all():
            return self
        return RowVisits(*(a[here] for a in vars(self).values()))

    def merged(self) -> RowVisits:
        """Return the visits with those joined that follow each other within a bank and share its row.

        The order within each bank stays; visits of different banks may change places, as they do where every
        bank works by itself.
        """
        order = np.argsort(self.channel * (1 << 32) + self.bank, kind="stable")
        channel, bank, row = self.channel[order], self.bank[order], self.row[order]
        new = np.ones(len(order), dtype=bool)
        new[1:] = (channel[1:] != channel[:-1]) | (bank[1:] != bank[:-1]) | (row[1:] != row[:-1])
        starts = np.flatnonzero(new)
        bursts = np.add.reduceat(self.bursts[order], starts) if len(order) else self.bursts
        return RowVisits(channel[starts], bank[starts], row[starts], self.column[order][starts], bursts)

    def expand(self) -> RowVisits:
        """Return one visit for every burst, in order."""
        repeat = self.bursts
        first = np.repeat(np.cumsum(repeat) - repeat, repeat)
        offset = np.arange(len(first), dtype=np.int64) - first
        return RowVisits(
            np.repeat(self.channel, repeat),
            np.repeat(self.bank, repeat),
            np.repeat(self.row, repeat),
            np.repeat(self.column, repeat) + offset,
            np.ones(len(first), dtype=np.int64),
        )


class Layout:
    """The placement of a run's arrays in one memory.

    Arrays with groups (a class for every record) lie record by record, each whole in one bank:

    - `striped`: group g in channel g mod channels, its records dealt over that channel's banks in turn, so
      that all units of a channel work on one class together and no query crosses channels;
    - `class_per_bank`: group g whole in one bank (g mod all banks), so that units work by themselves.

    Arrays without groups, and all arrays under `interleaved`, lie at consecutive byte addresses that the
    controller's address map spreads over the memory, as a host without near-memory units would have them.
    Consecutive addresses are handed out from the top of the memory downwards, banks are filled from row 0 up.

    Parameters
    ----------
    geometry : Geometry
    placement : {"striped", "class_per_bank", "interleaved"}
    decode : callable
        The controller's address map.
    reserved_rows : int
        Rows of every bank that hold no data, from the last one down. Above 0 the map must put the highest
        addresses into the last rows (`AddressMap.has_rows_on_top`).
    """

    def __init__(self, geometry: Geometry, placement: str, decode: Decoder, reserved_rows: int = 0):
        if placement not in DATA_PLACEMENTS:
            raise ConfigError("unknown data placement", found=placement, expected=", ".join(DATA_PLACEMENTS))
        self.geometry, self.placement, self._decode = geometry, placement, decode
        self._bank_fill = np.zeros(geometry.channels * geometry.banks, dtype=np.int64)
        self._linear_top = geometry.size_bytes - reserved_rows * geometry.row_of_all_banks_bytes
        self._room_bytes = self._linear_top
        self._arrays: dict[str, _Placed] = {}

    def place(self, array: ArraySpec, groups: np.ndarray | None = None) -> None:
        """Give `array` its place.

        Parameters
        ----------
        array : ArraySpec
            Its name must be new in this layout.
        groups : ndarray of int64, shape (array.rows,), optional
            The class of each record.

        Raises
        ------
        ResourceLimitError
            Where the memory is full.
        """
        geometry = self.geometry
        if array.name in self._arrays:
            raise ValueError(f"array {array.name!r} is placed already")
        if groups is None or self.placement == "interleaved":
            size = -(-array.size_bytes // geometry.access_bytes) * geometry.access_bytes
            self._linear_top -= size
            placed = _Placed(array, self._linear_top, None, None)
        else:
            bursts = -(-array.row_bytes // geometry.access_bytes)
            home = self._home_banks(groups)
            slot = _position_among_equals(home)
            first_burst = self._bank_fill[home] + slot * bursts
            self._bank_fill += np.bincount(home, minlength=len(self._bank_fill)) * bursts
            placed = _Placed(array, 0, home, first_burst)
        used_rows = -(-int(self._bank_fill.max()) // geometry.row_bursts)
        linear_bytes = geometry.size_bytes - self._linear_top
        if used_rows + -(-linear_bytes // geometry.row_of_all_banks_bytes) > geometry.rows:
            raise ResourceLimitError(
                f"the memory is too small for the array {array.name!r} beside what is in it",
                found=f"{array.size_bytes:,} bytes more, with the placement {self.placement}",
                expected=f"at most {self._room_bytes:,} bytes in all, evenly spread over the banks",
                hint="Take a bigger memory (memory.organization), or less data.",
            )
        self._arrays[array.name] = placed

    def visits(self, name: str, rows: np.ndarray) -> RowVisits:
        """Return the row visits that reading or writing these records causes, in their order.

        A record that crosses the end of a DRAM row causes several visits. Where consecutive records share a
        burst (small records at consecutive addresses) the burst is accessed once.
        """
        placed, geometry = self._arrays[name], self.geometry
        if placed.home is None or placed.first_burst is None:
            return self._linear_visits(placed, rows)
        per_record = -(-placed.array.row_bytes // geometry.access_bytes)
        first = placed.first_burst[rows]
        row, column = np.divmod(first, geometry.row_bursts)
        parts = (column + per_record + geometry.row_bursts - 1) // geometry.row_bursts
        record = np.repeat(np.arange(len(rows)), parts)
        part = np.arange(len(record)) - np.repeat(np.cumsum(parts) - parts, parts)
        start = np.where(part == 0, column[record], 0)
        done = np.where(part == 0, 0, part * geometry.row_bursts - column[record])
        bursts = np.minimum(geometry.row_bursts - start, per_record - done)
        channel, bank = np.divmod(placed.home[rows][record], geometry.banks)
        return RowVisits(channel, bank, row[record] + part, start, bursts)

    def _linear_visits(self, placed: _Placed, rows: np.ndarray) -> RowVisits:
        access = self.geometry.access_bytes
        start = placed.base + rows.astype(np.int64) * placed.array.row_bytes
        first, last = start // access, (start + placed.array.row_bytes - 1) // access
        count = last - first + 1
        burst = np.repeat(first - (np.cumsum(count) - count), count) + np.arange(int(count.sum()))
        keep = np.ones(len(burst), dtype=bool)
        keep[1:] = burst[1:] != burst[:-1]
        channel, bank, row, column = self._decode(burst[keep] * access)
        return RowVisits(channel, bank, row, column, np.ones(len(channel), dtype=np.int64))

    def _home_banks(self, groups: np.ndarray) -> np.ndarray:
        channels, banks = self.geometry.channels, self.geometry.banks
        groups = np.asarray(groups, dtype=np.int64)
        if self.placement == "class_per_bank":
            # Neighbouring classes go to different channels, so that all channels have work.
            channel, bank = groups % channels, groups // channels % banks
        else:
            # Classes start at different banks: the first images of all classes would share one otherwise.
            channel, bank = groups % channels, (_position_among_equals(groups) + groups // channels) % banks
        return channel * banks + bank


@dataclass(frozen=True, eq=False)
class _Placed:
    array: ArraySpec
    base: int
    home: np.ndarray | None
    first_burst: np.ndarray | None


def _position_among_equals(labels: np.ndarray) -> np.ndarray:
    """Return, for each element, how many equal ones stand before it."""
    order = np.argsort(labels, kind="stable")
    sorted_labels = labels[order]
    if not len(labels):
        return np.empty(0, dtype=np.int64)
    starts = np.flatnonzero(np.r_[True, sorted_labels[1:] != sorted_labels[:-1]])
    position = np.empty(len(labels), dtype=np.int64)
    lengths = np.diff(np.r_[starts, len(labels)])
    position[order] = np.arange(len(labels)) - np.repeat(starts, lengths)
    return position
