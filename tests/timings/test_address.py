"""Does an address map send every address to one place, and every place to one address?"""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laid_out import memory

from nmsim.dram.address import BANK_HASHES, AddressMap, Location
from nmsim.dram.spec import Organization
from nmsim.errors import ConfigError, DataError

DDR4, LPDDR4 = memory("ddr4-2400")[0], memory("lpddr4-3200")[0]


ORDERS = st.permutations(["Ro", "Ba", "Bg", "Ra", "Ch", "Co"]).map("".join)
HASHES = st.sampled_from(BANK_HASHES)


@st.composite
def memories(draw):
    """Draw a memory of 2**0 to 2**5 of everything but columns, which hold at least a burst of 8 beats."""
    sizes = {f.name: 1 << draw(st.integers(0, 5)) for f in fields(Organization)}
    sizes["columns"] *= 8
    return replace(DDR4, organization=Organization(**sizes | {"device_width_bits": 8}))


@given(memories(), ORDERS, HASHES, st.data())
def test_encoding_inverts_decoding_for_every_size_order_and_hash(spec, order, bank_hash, data):
    mapping = AddressMap(spec, order, bank_hash)
    last = spec.size_bytes // spec.access_bytes - 1
    bursts = data.draw(st.lists(st.integers(0, last), min_size=1, max_size=20))
    addresses = np.array([*bursts, last], dtype=np.int64) * spec.access_bytes
    assert (mapping.encode(mapping.decode(addresses)) == addresses).all()


@settings(max_examples=25)
@given(ORDERS, HASHES, st.integers(0, 1), st.integers(0, 1))
def test_the_addresses_of_a_memory_are_its_places_each_once(order, bank_hash, more_ranks, more_groups):
    org = Organization(2, 1 + more_ranks, 1 + more_groups, 4, 16, 16, 8, 1)
    spec = replace(DDR4, organization=org)
    mapping = AddressMap(spec, order, bank_hash)
    places = mapping.decode(np.arange(0, spec.size_bytes, spec.access_bytes))
    sizes = (org.channels, spec.banks_per_channel, org.rows, spec.row_bursts)
    flat = np.ravel_multi_index(tuple(places), sizes)  # refuses what lies outside
    assert np.array_equal(np.sort(flat), np.arange(np.prod(sizes)))


@pytest.mark.parametrize("name", ["DDR4", "LPDDR4"])
def test_a_stride_that_keeps_to_one_bank_goes_through_all_banks_when_hashed(name):
    spec = {"DDR4": DDR4, "LPDDR4": LPDDR4}[name]
    org, order = spec.organization, "RoBaBgRaCoCh"
    a_row_further = spec.size_bytes // org.rows  # the fields below Ro: the same bank, the next row
    addresses = np.arange(org.rows, dtype=np.int64) * a_row_further
    plain, hashed = (AddressMap(spec, order, bank_hash).decode(addresses) for bank_hash in BANK_HASHES)
    assert set(plain.bank.tolist()) == {0} and (np.diff(plain.row) == 1).all()
    # As many accesses to each bank, each group's turn before the next bank's, and the row unchanged.
    assert np.bincount(hashed.bank).tolist() == [org.rows // spec.banks_per_rank] * spec.banks_per_rank
    groups = hashed.bank[: org.bankgroups] // org.banks
    assert sorted(groups.tolist()) == list(range(org.bankgroups))
    assert (hashed.row == plain.row).all() and (hashed.column == plain.column).all()


@given(ORDERS)
def test_a_hash_keeps_the_bursts_of_a_row_together(order):
    plain, hashed = (AddressMap(DDR4, order, bank_hash) for bank_hash in BANK_HASHES)
    addresses = np.random.default_rng(1).integers(0, DDR4.size_bytes, 1000)
    before, after = plain.decode(addresses), hashed.decode(addresses)
    banks = {}
    for old, new, row in zip(before.bank.tolist(), after.bank.tolist(), before.row.tolist(), strict=True):
        assert banks.setdefault((old, row), new) == new
    for name in ("channel", "row", "column"):
        assert (getattr(before, name) == getattr(after, name)).all()


def test_an_unknown_hash_is_refused():
    with pytest.raises(ConfigError, match="found XOR; expected none or xor"):
        AddressMap(DDR4, "RoBaBgCo", "XOR")


def test_the_least_significant_field_changes_first():
    # RoBaRaBgCo: 128 bursts of 64 bytes fill a row, then the next bank group comes.
    location = AddressMap(DDR4, "RoBaRaBgCo").decode(np.array([0, 64, 8191, 8192, 8192 * 4, 8192 * 16]))
    assert location.column.tolist() == [0, 1, 127, 0, 0, 0]
    assert location.bank.tolist() == [0, 0, 0, 4, 1, 0]  # bank = bank group * 4 + bank
    assert location.row.tolist() == [0, 0, 0, 0, 0, 1]
    # RoBaRaCoCh: neighbouring bursts lie in different channels.
    location = AddressMap(LPDDR4, "RoBaRaCoCh").decode(np.array([0, 32, 64]))
    assert location.channel.tolist() == [0, 1, 0] and location.column.tolist() == [0, 0, 1]


def test_a_field_with_one_value_may_be_left_out():
    addresses = np.arange(5) * 640
    with_all, without = AddressMap(DDR4, "RoBaRaBgChCo"), AddressMap(DDR4, "RoBaBgCo")
    for a, b in zip(with_all.decode(addresses), without.decode(addresses), strict=True):
        assert (a == b).all()


@pytest.mark.parametrize("fields", ["RoBaCo", "RoBaBgCoCo", "RoBaBgXy", "RoBaBgC", "", "robabgco"])
def test_a_map_that_is_not_one_is_refused(fields):
    with pytest.raises(ConfigError, match="address map"):
        AddressMap(DDR4, fields)


@pytest.mark.parametrize("address", [-1, DDR4.size_bytes])
def test_an_address_outside_the_memory_is_refused(address):
    with pytest.raises(DataError, match="outside the memory"):
        AddressMap(DDR4, "RoBaBgCo").decode(np.array([0, address]))


def test_decoding_nothing_gives_nothing():
    location = AddressMap(DDR4, "RoBaBgCo").decode(np.empty(0, dtype=np.int64))
    assert isinstance(location, Location) and all(len(a) == 0 for a in location)
