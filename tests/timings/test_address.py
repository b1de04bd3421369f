"""Does an address map send every address to one place, and every place to one address?"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laid_out import memory

from nmsim.dram.address import AddressMap, Location
from nmsim.errors import ConfigError, DataError

DDR4, LPDDR4 = memory("ddr4-2400")[0], memory("lpddr4-3200")[0]


@given(st.permutations(["Ro", "Ba", "Bg", "Ra", "Ch", "Co"]), st.data())
def test_encoding_inverts_decoding_for_every_order_of_fields(order, data):
    for spec in (DDR4, LPDDR4):
        mapping = AddressMap(spec, "".join(order))
        last = spec.size_bytes // spec.access_bytes - 1
        bursts = data.draw(st.lists(st.integers(0, last), min_size=1, max_size=20))
        addresses = np.array(bursts, dtype=np.int64) * spec.access_bytes
        assert (mapping.encode(mapping.decode(addresses)) == addresses).all()


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
