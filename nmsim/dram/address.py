"""Byte addresses to channel, bank, row and column, by a map written as a string of fields."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from nmsim.compiled import njit
from nmsim.dram.spec import DramSpec
from nmsim.errors import ConfigError, DataError

FIELDS = {"Ro": "row", "Ba": "bank", "Bg": "bankgroup", "Ra": "rank", "Ch": "channel", "Co": "column"}
#: Their order in the kernels' arrays of shifts and masks.
_RO, _BA, _BG, _RA, _CH, _CO = np.arange(len(FIELDS))
BANK_HASHES = ("none", "xor")


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
    bank_hash : {"none", "xor"}
        "xor": the lowest bits of the row are XORed to the bank group, those above them to the bank, so that
        rows which the fields put into one bank lie in all banks of a rank by turns. A row's bursts stay
        together. Permutation-based page interleaving: Zhang, Zhu and Zhang, "A Permutation-based Page
        Interleaving Scheme to Reduce Row-buffer Conflicts and Exploit Data Locality", MICRO 2000, which has
        no bank groups; that they take the lowest bits, so that neighbouring rows lie in different groups, is
        nmsim's choice.

    Raises
    ------
    ConfigError
        Where the string cannot be read, or a field is missing or stands twice, or the hash is unknown.
    """

    def __init__(self, spec: DramSpec, fields: str, bank_hash: str = "none"):
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
        if bank_hash not in BANK_HASHES:
            raise ConfigError("unknown bank hash", found=bank_hash, expected=" or ".join(BANK_HASHES))
        self.spec, self.fields, self.bank_hash = spec, fields, bank_hash
        self.size_bytes = spec.size_bytes
        self._offset_bits = spec.access_bytes.bit_length() - 1
        low, shift = self._offset_bits, dict.fromkeys(FIELDS, 0)
        for field in reversed(order):
            shift[field] = low
            low += sizes[field].bit_length() - 1
        self._shift = np.array([shift[field] for field in FIELDS], dtype=np.int64)
        self._mask = np.array([sizes[field] - 1 for field in FIELDS], dtype=np.int64)

    @property
    def has_rows_on_top(self) -> bool:
        """Return whether the highest addresses are those of the last row of all banks, and so downwards."""
        return not self._mask[_RO] or self._shift[_RO] == self._shift[self._mask > 0].max()

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
        location = Location(*np.empty((len(Location._fields), len(addresses)), dtype=np.int64))
        if not _decode(
            addresses, self.size_bytes, self._shift, self._mask, self.bank_hash == "xor", *location
        ):
            low, high = int(addresses.min()), int(addresses.max())
            raise DataError(
                "an address lies outside the memory",
                found=f"{low if low < 0 else high:#x}",
                expected=f"below {self.size_bytes:#x}",
                hint="Take a bigger memory (memory.organization).",
            )
        return location

    def encode(self, location: Location) -> np.ndarray:
        """Return the byte addresses, int64 (n,), of locations: the inverse of `decode`."""
        org, row = self.spec.organization, np.asarray(location.row, dtype=np.int64)
        group, bank = np.divmod(location.bank, org.banks)
        rank, bankgroup = np.divmod(group, org.bankgroups)
        if self.bank_hash == "xor":
            bankgroup = bankgroup ^ (row & self._mask[_BG])
            bank = bank ^ (row >> _bits(self._mask[_BG]) & self._mask[_BA])
        values = (row, bank, bankgroup, rank, location.channel, location.column)
        addresses = np.zeros(len(row), dtype=np.int64)
        for value, shift in zip(values, self._shift, strict=True):
            addresses |= np.asarray(value, dtype=np.int64) << shift
        return addresses


def _bits(mask: np.int64) -> int:
    return int(mask).bit_length()


@njit(cache=True)
def _decode(
    addresses: np.ndarray,
    size_bytes: int,
    shift: np.ndarray,
    mask: np.ndarray,
    is_hashed: bool,
    channel: np.ndarray,
    bank: np.ndarray,
    row: np.ndarray,
    column: np.ndarray,
) -> bool | np.bool_:
    """Fill the places of addresses; return whether all lie in the memory.

    Each field is `address >> shift & mask`. Bits outside the memory are gathered, not branched on.
    """
    ro, ba, bg, ra = shift[_RO], shift[_BA], shift[_BG], shift[_RA]
    rows, banks, bankgroups, ranks = mask[_RO], mask[_BA], mask[_BG], mask[_RA]
    ch, co, channels, columns = shift[_CH], shift[_CO], mask[_CH], mask[_CO]
    bank_bits, group_bits = np.int64(0), np.int64(0)
    while banks >> bank_bits:
        bank_bits += 1
    while bankgroups >> group_bits:
        group_bits += 1
    row_to_group = bankgroups if is_hashed else np.int64(0)
    row_to_bank = banks if is_hashed else np.int64(0)
    outside = np.int64(0)
    for i in range(len(addresses)):
        address = addresses[i]
        outside |= address | (size_bytes - 1 - address)
        place = address >> ro & rows
        group = (address >> bg & bankgroups) ^ (place & row_to_group)
        within = (address >> ba & banks) ^ (place >> group_bits & row_to_bank)
        row[i] = place
        bank[i] = ((address >> ra & ranks) << group_bits | group) << bank_bits | within
        channel[i] = address >> ch & channels
        column[i] = address >> co & columns
    return outside >= 0
