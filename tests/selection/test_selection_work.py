"""Does the description of the work say what the algorithm did, and obey the laws of blocking?"""

from collections import Counter
from functools import cache

import numpy as np
import pytest

from nmsim.access.work import OPERATIONS
from nmsim.selection import DESNE, RandomPerClass
from nmsim.selection.desne_work import iteration_operations, mesh_bytes, mesh_operations

PHASES = ["features", "distances", "affinities", "embedding", "sampling", "indices"]


@cache
def fitted(**params):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2, 3], [70, 41, 8, 1])
    X = rng.integers(0, 256, (120, 8, 8, 3), dtype=np.uint8)
    params = {"n_iter": 20, "perplexity": 4.0} | params
    return DESNE(0.2, **params).fit(X, y), y


def streamed_bytes(fit, buffer_bytes, phase="distances", broadcast=False):
    """Return the bytes of feature records read in a phase."""
    row_bytes = {a.name: a.row_bytes for a in fit.arrays()}
    return sum(
        row_bytes[t.array] * len(t.rows) * step.repeat
        for step in fit.steps(buffer_bytes)
        for t in step.transfers
        if step.phase == phase and t.array == "features" and not t.write and t.broadcast == broadcast
    )


def counted(fit, phase, buffer_bytes=1000, units=1):
    total = Counter()
    for step in fit.steps(buffer_bytes, units):
        if step.phase == phase:
            total.update({kind: count * step.repeat for kind, count in step.operations.items()})
    return total


@pytest.mark.parametrize("features", ["raw", "pool", "random_projection", "pca"])
@pytest.mark.parametrize("sampling", ["medoid", "grid_uniform"])
def test_steps_use_only_declared_arrays_known_operations_and_rows_that_exist(features, sampling):
    fit, _ = fitted(features=features, sampling=sampling, n_features=6)
    rows = {a.name: a.rows for a in fit.arrays()}
    assert all(a.rows >= 1 and a.row_bytes >= 1 for a in fit.arrays())
    for step in fit.steps(1000):
        assert step.phase in PHASES and step.repeat >= 1
        assert set(step.operations) <= set(OPERATIONS)
        assert all(type(n) is int and n >= 0 for n in step.operations.values())
        assert type(step.broadcast_bytes) is int and type(step.gather_bytes_per_unit) is int
        for transfer in step.transfers:
            assert transfer.rows.dtype == np.int64 and len(transfer.rows) > 0
            assert transfer.rows.min() >= 0 and transfer.rows.max() < rows[transfer.array]


def test_phases_come_in_order_and_each_only_once():
    seen = [step.phase for step in fitted()[0].steps(1000)]
    assert list(dict.fromkeys(seen)) == PHASES
    assert seen == sorted(seen, key=PHASES.index)


def test_steps_belong_to_the_class_whose_records_they_touch():
    fit, y = fitted()
    for step in fit.steps(1000):
        for transfer in step.transfers:
            if transfer.array != "indices":
                assert set(y[transfer.rows]) == {step.group}


def test_every_image_is_read_once_and_every_feature_record_written_once():
    fit, _ = fitted()
    moves = [t for step in fit.steps(1000) if step.phase == "features" for t in step.transfers]
    for array, write in (("images", False), ("features", True)):
        rows = np.concatenate([t.rows for t in moves if t.array == array and t.write == write])
        assert np.array_equal(np.sort(rows), np.arange(120))
    # pooling 8·8·3 bytes to 4·4·3: one addition a byte and one to round each of the 48 means
    assert counted(fit, "features") == {"add_int32": 120 * (192 + 48)}


def test_raw_images_are_measured_where_they_lie():
    fit, _ = fitted(features="raw")
    assert "features" not in {a.name for a in fit.arrays()}
    assert all(step.phase != "features" for step in fit.steps(1000))


@pytest.mark.parametrize("q", [1, 3, 8, 20, 40, 70, 1000])
def test_streamed_bytes_equal_the_closed_form(q):
    fit, y = fitted()
    # A buffer of q + 1 records keeps q queries. A class of n in m = ceil(n/q) tiles: tile t of the first m-1
    # is followed by n - q·t records, so n·(m-1) - q·(m-1)·m/2 records stream past, n²/2q for large n.
    records = sum(n * (m - 1) - q * (m - 1) * m // 2 for n in np.bincount(y) for m in [-(-n // q)] if n > 1)
    assert streamed_bytes(fit, 48 * (q + 1)) == 48 * records


def test_each_pair_meets_once_whatever_the_buffer():
    fit, y = fitted()
    pairs = sum(n * (n - 1) // 2 for n in np.bincount(y))
    for buffer_bytes in (1, 100, 500, 5000, 10**6):
        assert counted(fit, "distances", buffer_bytes) == {"mac_int8": 48 * pairs, "compare": 2 * pairs}


def test_every_record_with_neighbours_is_a_query_once():
    fit, _ = fitted()
    for buffer_bytes in (1, 500, 10**6):
        # 119 of the 120 records have another one in their class
        assert streamed_bytes(fit, buffer_bytes, broadcast=True) == 119 * 48


def test_a_larger_buffer_never_streams_more():
    fit, _ = fitted()
    for phase in ("distances", "embedding"):
        amounts = [streamed_bytes(fit, 48 * q, phase) for q in range(1, 80)]
        assert amounts == sorted(amounts, reverse=True)


def test_tiles_are_views_of_the_class_and_no_copies():
    fit, _ = fitted()
    members = fit.maps_[0].members
    tiles = [s for s in fit.steps(500) if s.phase == "distances" and s.group == 0]
    assert len(tiles) == 8  # 500 bytes hold 10 records of 48, one of them for the stream: 70 in tiles of 9
    assert all(np.shares_memory(t.rows, members) for s in tiles for t in s.transfers)


def test_operations_do_not_depend_on_who_executes_them():
    fit, _ = fitted()
    for phase in PHASES:
        assert counted(fit, phase, 100, 1) == counted(fit, phase, 10**6, 64)


def test_units_divide_what_is_gathered_and_no_more():
    fit, _ = fitted()
    gathered = Counter()
    for one, many in zip(fit.steps(1000, 1), fit.steps(1000, 4), strict=True):
        if one.phase in ("distances", "affinities"):
            assert one.gather_bytes_per_unit <= 4 * many.gather_bytes_per_unit < one.gather_bytes_per_unit + 4
            gathered[one.phase] += one.gather_bytes_per_unit
    assert gathered["distances"] > 0 and gathered["affinities"] > 0


@pytest.mark.parametrize("search", ["bisection", "fireworks"])
@pytest.mark.parametrize("sampling", ["medoid", "entropy"])
def test_the_search_is_counted_with_the_steps_that_it_took(search, sampling):
    fit, _ = fitted(search=search, sampling=sampling)
    total = counted(fit, "affinities")
    # every value of beta tried costs an exponential a neighbour and one logarithm; every record k at the end
    assert total["exp"] == sum(
        t.search_steps * (t.n_neighbours + 1) + len(m.members) * t.n_neighbours
        for m in fit.maps_
        for t in m.trials
    )
    assert total["compare"] == sum(t.search_steps for m in fit.maps_ for t in m.trials) > 0


def test_the_affinities_that_exceed_the_buffers_stream_in_every_iteration_and_only_those():
    fit, _ = fitted()
    edges, n = fit.maps_[0].chosen.edges, len(fit.maps_[0].members)

    def rows(buffer_bytes, units=1):
        """Return the records read in an iteration, by its repeats."""
        return {
            s.repeat: len(t.rows) for s in fit.steps(buffer_bytes, units) for t in s.transfers
            if s.phase == "embedding" and s.group == 0 and t.array == "affinities"
        }  # fmt: skip

    assert rows(8 * edges) == rows(2 * edges, units=4) == {1: n}
    assert rows(8 * edges - 1) == {1: n - 1, 20: 1}, "one byte less: one record more, not all"
    assert rows(4 * edges) == {1: n // 2, 20: n - n // 2}


def test_an_iteration_counts_every_pair_and_every_entry():
    # By hand for two points that are each other's neighbour, Student's kernel: 4 pairs and 2 entries as in
    # the docstring, and 4 coordinates: additions 3·4 + 2·2 + 2·4, multiply-accumulates 4·4 + 4·2 + 2·4,
    # products 4 + 2 + 3·4, divisions 4 + 2 + 1, comparisons 2·4
    assert iteration_operations(2, 2, "student") == {
        "add_fp32": 24, "mac_fp32": 32, "mul_fp32": 18, "div_fp32": 7, "compare": 8
    }  # fmt: skip
    gaussian = iteration_operations(2, 2, "gaussian")
    assert gaussian["exp"] == 4 and gaussian["div_fp32"] == 1


@pytest.mark.parametrize("n_iter", [1, 20])
def test_the_iterations_described_are_those_done(n_iter):
    fit, _ = fitted(n_iter=n_iter)
    largest = max(n_iter, 5)  # five passes look for the axes of the first map
    assert max(s.repeat for s in fit.steps(10**6) if s.phase == "embedding") == largest
    assert sum(s.broadcast_bytes == 8 * 70 + 4 and s.repeat == n_iter for s in fit.steps(10**6)) == 1


def test_interpolated_iterations_are_described_on_the_meshes_that_they_had():
    fit, _ = fitted(forces="interpolated", n_iter=60)
    for m in (m for m in fit.maps_ if len(m.members) > 1):
        meshes, edges = m.chosen.meshes, m.chosen.edges
        assert sum(meshes.values()) == 60 and min(meshes) >= 64
        steps = [s for s in fit.steps(10**6, 4) if s.phase == "embedding" and s.group == m.group]
        for step, (side, iterations) in zip(steps[-len(meshes) :], sorted(meshes.items()), strict=True):
            assert step.repeat == iterations
            assert step.broadcast_bytes == 8 * len(m.members) + 4 + mesh_bytes(side)
            assert step.operations == mesh_operations(len(m.members), edges, side, "student")
    assert all(not m.chosen.meshes for m in fitted()[0].maps_), "small maps are exact"


def test_every_map_that_was_tried_is_described():
    one, many = fitted()[0], fitted(sampling="entropy", perplexity=4.0)[0]
    assert [len(m.trials) for m in many.maps_] == [
        5,
        5,
        3,
        1,
    ]  # of 8 no more than 7/3 neighbours, of 1 only 1
    for phase in ("affinities", "embedding"):
        assert (
            counted(many, phase)["exp" if phase == "affinities" else "div_fp32"]
            > 3 * counted(one, phase)["exp" if phase == "affinities" else "div_fp32"]
        )
    # the lists are made once, as long as the largest perplexity wants
    assert counted(many, "distances") == counted(one, "distances")
    assert many.maps_[0].n_neighbours == 48
    assert all(m.chosen.entropy == max(t.entropy for t in m.trials) for m in many.maps_)


def test_an_interpolated_iteration_counts_points_entries_and_butterflies_but_no_pairs():
    # By hand, a mesh of 64: lines of 128 values have 64 · 7 butterflies; 64 real lines there and back count
    # as 64, 65 columns as 130: 194 · 448 = 86,912.
    base, entries = mesh_operations(0, 0, 64, "student"), mesh_operations(0, 10, 64, "student")
    assert base == {
        "add_fp32": 4 * 86912,
        "mac_fp32": 4 * 86912,
        "mul_fp32": 4 * 64 * 65,
        "div_fp32": 1,
        "compare": 0,
    }
    assert entries["mac_fp32"] - base["mac_fp32"] == 40 and entries["div_fp32"] - base["div_fp32"] == 10
    assert mesh_operations(200, 0, 64, "student")["mac_fp32"] - base["mac_fp32"] == 200 * 366
    assert mesh_bytes(64) == 2 * 8 * 64 * 65 + 4 * 64 * 64


@pytest.mark.parametrize(
    "changed", [{"early_exaggeration": 12.0}, {"exaggeration_share": 0.5}, {"learning_rate": 0.5}]
)
def test_how_the_points_are_moved_changes_the_map_and_no_count(changed):
    (fit, _), (other, _) = fitted(), fitted(**changed)
    assert not np.array_equal(fit.embedding_, other.embedding_)
    assert counted(fit, "embedding") == counted(other, "embedding")


def test_the_result_is_four_bytes_a_kept_record():
    for fit in (fitted()[0], RandomPerClass(0.2).fit(np.zeros((120, 3), np.uint8), np.arange(120) % 2)):
        (spec,) = [a for a in fit.arrays() if a.name == "indices"]
        *_, last = fit.steps(1000)
        assert spec.size_bytes == 4 * 24
        assert last.transfers[0].write and np.array_equal(last.transfers[0].rows, np.arange(24))


def test_random_selection_touches_no_record():
    fit = RandomPerClass(0.2).fit(np.zeros((120, 3), np.uint8), np.arange(120) % 2)
    steps = list(fit.steps(1000))
    assert [t.array for s in steps for t in s.transfers] == ["indices"]
    assert steps[0].operations["cpu_instruction"] > 0
