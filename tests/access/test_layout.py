"""Where do arrays lie in the DRAM?"""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmsim.access.layout import DATA_PLACEMENTS, Geometry, Layout
from nmsim.access.work import ArraySpec
from nmsim.errors import ResourceLimitError

GEOMETRY = Geometry(channels=2, banks=8, rows=256, row_bursts=64, access_bytes=32)


def decode(address):
    """Row : bank : column : channel, most significant first."""
    burst = address // 32
    return burst % 2, burst // 128 % 8, burst // 1024, burst // 2 % 64


def layout(placement, *arrays, groups=None):
    result = Layout(GEOMETRY, placement, decode)
    for array in arrays:
        result.place(array, groups)
    return result


def bursts(visits):
    one = visits.expand()
    return ((one.channel * 8 + one.bank) * 256 + one.row) * 64 + one.column


@pytest.mark.parametrize("placement", DATA_PLACEMENTS)
@settings(max_examples=25)
@given(n=st.integers(1, 100), row_bytes=st.integers(1, 5000), classes=st.integers(1, 20))
def test_no_two_records_share_a_burst_and_every_byte_has_one(placement, n, row_bytes, classes):
    # At most 100 records of 5,024 bytes: they fit into one bank (512 KiB), where one class may put them all.
    row_bytes = -(-row_bytes // 32) * 32
    placed = layout(placement, ArraySpec("a", n, row_bytes), groups=np.arange(n) % classes)
    seen = bursts(placed.visits("a", np.arange(n)))
    assert len(seen) == n * row_bytes // 32
    assert len(np.unique(seen)) == len(seen)


def test_arrays_do_not_overlap():
    groups = np.arange(100) % 7
    placed = layout("striped", ArraySpec("a", 100, 3072), ArraySpec("b", 100, 700), groups=groups)
    placed.place(ArraySpec("linear", 50, 4))
    seen = np.concatenate([np.unique(bursts(placed.visits(a, np.arange(50)))) for a in ("a", "b", "linear")])
    assert len(np.unique(seen)) == len(seen)


def test_a_striped_class_stays_in_its_channel_and_uses_all_its_banks():
    groups = np.arange(400) % 10
    placed = layout("striped", ArraySpec("a", 400, 3072), groups=groups)
    for label in range(10):
        visits = placed.visits("a", np.flatnonzero(groups == label))
        assert set(visits.channel) == {label % 2}
        assert set(visits.bank) == set(range(8))


def test_a_class_per_bank_lies_in_one_bank_and_neighbouring_classes_in_different_channels():
    groups = np.arange(400) % 10
    placed = layout("class_per_bank", ArraySpec("a", 400, 3072), groups=groups)
    homes = []
    for label in range(10):
        visits = placed.visits("a", np.flatnonzero(groups == label))
        (home,) = set(zip(visits.channel.tolist(), visits.bank.tolist(), strict=True))
        homes.append(home)
    assert len(set(homes)) == 10 and all(a[0] != b[0] for a, b in itertools.pairwise(homes))


def test_a_record_longer_than_a_row_is_visited_row_by_row():
    placed = layout("striped", ArraySpec("a", 3, 3 * 2048 + 32), groups=np.zeros(3, dtype=int))
    visits = placed.visits("a", np.array([0]))
    assert visits.bursts.tolist() == [64, 64, 64, 1]
    assert visits.row.tolist() == [0, 1, 2, 3] and set(visits.bank) == {0}


def test_merging_keeps_the_bursts_and_leaves_one_visit_per_row():
    placed = layout("striped", ArraySpec("a", 800, 768), groups=np.arange(800) % 5)
    visits = placed.visits("a", np.flatnonzero(np.arange(800) % 5 == 2))
    merged = visits.merged()
    assert merged.bursts.sum() == visits.bursts.sum()
    keys = list(zip(merged.bank.tolist(), merged.row.tolist(), strict=True))
    assert len(set(keys)) == len(keys), "records of one class lie side by side, so a row is visited once"


def test_small_records_that_share_a_burst_are_read_once():
    placed = layout("striped")
    placed.place(ArraySpec("indices", 100, 4))
    assert len(bursts(placed.visits("indices", np.arange(100)))) == -(-100 * 4 // 32)


def test_a_full_memory_is_refused_with_its_size():
    with pytest.raises(ResourceLimitError, match="too small for the array 'big'"):
        layout("striped", ArraySpec("big", 10_000, 3072), groups=np.zeros(10_000, dtype=int))


@pytest.mark.parametrize("placement", DATA_PLACEMENTS)
@settings(max_examples=25)
@given(n=st.integers(1, 60), row_bytes=st.integers(1, 5000), linear=st.integers(0, 2**18))
def test_reserved_rows_hold_no_data_and_count_as_full(placement, n, row_bytes, linear):
    room = GEOMETRY.size_bytes - 2 * GEOMETRY.row_of_all_banks_bytes
    placed = Layout(GEOMETRY, placement, decode, reserved_rows=2)
    placed.place(ArraySpec("a", n, row_bytes), np.arange(n) % 3)
    placed.place(ArraySpec("linear", linear + 1, 1))
    for name, rows in (("a", n), ("linear", linear + 1)):
        assert placed.visits(name, np.arange(rows)).row.max() < GEOMETRY.rows - 2
    Layout(GEOMETRY, placement, decode, 2).place(ArraySpec("whole", room // 32, 32))
    with pytest.raises(ResourceLimitError, match=f"{room:,} bytes"):
        Layout(GEOMETRY, placement, decode, 2).place(ArraySpec("too much", room // 32 + 1, 32))
