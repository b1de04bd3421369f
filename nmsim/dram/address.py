"""Byte addresses to channel, bank, row and column, by a map written as a string of fields."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from nmsim.dram.spec import DramSpec
from nmsim.errors import ConfigError, DataError

FIELDS = {"Ro": "row", "Ba": "bank", "Bg": "bankgroup", "Ra": "rank", "Ch": "channel", "Co": "column"}


class Location(NamedTuple):
    """Where bursts lie: arrays of int64, shape (n,).

    `bank` counts the banks of a channel: (rank · bankgroups + bankgroup) · banks + bank. `column` counts
    bursts within the row.
    """

    channel: np.ndarray
    bank: np.ndarray
    row: np.ndarray
    column: np.ndarray


class AddressMap:
    """A bijection between burst-aligned byte addresses and locations.

    Parameters
    ----------
    spec : DramSpec
    fields : str
        Fields from the most significant to the least: Ro row, Ba bank, Bg bank group, Ra rank, Ch channel, Co
        column (in bursts). "RoBaRaCoCh" puts consecutive bursts into different channels, then into one row.
        A field that has only one value may be left out.

    Raises
    ------
    ConfigError
        Where the string cannot be read, or a field is missing or stands twice.
    """

    def __init__(self, spec: DramSpec, fields: str):
        org = spec.organization
        sizes = {
            "Ro": org.rows,
            "Ba": org.banks,
            "Bg": org.bankgroups,
            "Ra": org.ranks,
            "Ch": org.channels,
            "Co": spec.row_bursts,
        }
        order = re.findall("..", fields)
        expected = "each of " + " ".join(f for f, size in sizes.items() if size > 1) + " once"
        if len(fields) % 2 or set(order) - set(FIELDS) or len(set(order)) < len(order):
            raise ConfigError("the address map cannot be read", found=fields, expected=expected)
        missing = [f for f, size in sizes.items() if size > 1 and f not in order]
        if missing:
            raise ConfigError(
                f"the address map leaves out {missing[0]}, the {FIELDS[missing[0]]}",
                found=fields,
                expected=expected,
            )
        self.spec, self.fields = spec, fields
        self.size_bytes = spec.size_bytes
        self._offset_bits = spec.access_bytes.bit_length() - 1
        self._shift, self._mask = {}, {}
        low = 0
        for field in reversed(order):
            self._shift[field], self._mask[field] = low, sizes[field] - 1
            low += sizes[field].bit_length() - 1

    def decode(self, addresses: np.ndarray) -> Location:
        """Return the locations of byte addresses.

        Parameters
        ----------
        addresses : ndarray of int64, shape (n,)
            0 <= address < size_bytes; the bits within a burst are ignored.

        Raises
        ------
        DataError
            Where an address lies outside the memory.
        """
        addresses = np.asarray(addresses, dtype=np.int64)
        if len(addresses):
            low, high = int(addresses.min()), int(addresses.max())
            if low < 0 or high >= self.size_bytes:
                raise DataError(
                    "an address lies outside the memory",
                    found=f"{low if low < 0 else high:#x}",
                    expected=f"below {self.size_bytes:#x}",
                    hint="Take a bigger memory (memory.organization).",
                )
        burst = addresses >> self._offset_bits
        org = self.spec.organization
        group = self._field(burst, "Ra") * org.bankgroups + self._field(burst, "Bg")
        return Location(
            np.broadcast_to(self._field(burst, "Ch"), burst.shape),
            np.broadcast_to(group * org.banks + self._field(burst, "Ba"), burst.shape),
            np.broadcast_to(self._field(burst, "Ro"), burst.shape),
            np.broadcast_to(self._field(burst, "Co"), burst.shape),
        )

    def encode(self, location: Location) -> np.ndarray:
        """Return the byte addresses, int64 (n,), of locations: the inverse of `decode`."""
        org = self.spec.organization
        group, bank = np.divmod(location.bank, org.banks)
        rank, bankgroup = np.divmod(group, org.bankgroups)
        values = {"Ro": location.row, "Ba": bank, "Bg": bankgroup, "Ra": rank}
        values |= {"Ch": location.channel, "Co": location.column}
        burst = np.zeros(len(location.row), dtype=np.int64)
        for field, shift in self._shift.items():
            burst |= np.asarray(values[field], dtype=np.int64) << shift
        return burst << self._offset_bits

    def _field(self, burst: np.ndarray, field: str) -> np.ndarray | np.int64:
        mask = self._mask.get(field, 0)
        return (burst >> self._shift[field]) & mask if mask else np.int64(0)
