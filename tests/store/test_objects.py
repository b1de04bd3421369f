"""Do finished pieces of work come back from disk as they were, and nothing that could do harm?"""

from __future__ import annotations

import json
import math
from collections import Counter

import numpy as np
import pytest

from nmsim.access.work import Step, Transfer
from nmsim.errors import StoreError
from nmsim.rng import stream
from nmsim.selection import create
from nmsim.selection.api import _BUILT_IN, method_parameters
from nmsim.store import fs
from nmsim.store.objects import read_piece, write_piece
from nmsim.training.counted import DrawnOrders


def again(tmp_path, value, **known):
    assert write_piece(tmp_path / "piece.npz", value, known)
    return read_piece(tmp_path / "piece.npz", known)


@pytest.mark.parametrize(
    "value",
    [None, True, 2**80, -0.1, math.inf, "µ", [1, [2]], (1, (2.5, "a")), {1: "a", None: (2,), ("b", 3): {}},
     slice(1, None), np.dtype("<f4"), Counter({"a": 2})],
)  # fmt: skip
def test_values_come_back_as_they_were(tmp_path, value):
    assert again(tmp_path, value) == value


def test_arrays_objects_and_what_they_share_come_back(tmp_path):
    rows = np.arange(5)
    step = Step("training", (Transfer("images", rows, write=True),), {"mac_fp16": 7})
    first, second, scalar = again(tmp_path, (step, {"step": step, "rows": rows}, np.float32(0.1)))
    assert first is second["step"] and first.transfers[0].rows is second["rows"]
    assert first.phase == "training" and first.operations == {"mac_fp16": 7}
    np.testing.assert_array_equal(second["rows"], rows)
    assert scalar == np.float32(0.1) and scalar.dtype == np.float32


def test_random_numbers_go_on_where_they_were(tmp_path):
    drawn = stream(1, "a")
    drawn.random(3)
    back = again(tmp_path, drawn)
    assert (back.random(5) == drawn.random(5)).all()
    orders = DrawnOrders(20, 4, 1)
    orders[1]
    np.testing.assert_array_equal(again(tmp_path, orders)[3], orders[3])


def test_what_the_reader_has_as_well_is_written_by_its_name(tmp_path):
    images = np.zeros((500, 100), np.uint8)
    back = again(tmp_path, {"all": images, "some": images[:2]}, X_train=images)
    assert back["all"] is images and back["some"].shape == (2, 100)
    assert (tmp_path / "piece.npz").stat().st_size < 5_000


@pytest.mark.parametrize("value", [object(), print, lambda: 0, np.array([{}], object), {1, 2}, open])
def test_what_has_no_form_on_disk_is_not_written(tmp_path, value):
    assert not write_piece(tmp_path / "piece.npz", {"it": [value]}, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "tree",
    [{"object": "os:system", "state": {"dict": []}}, {"object": "nmsim.store.fs:os", "state": {"dict": []}},
     {"object": "nmsim.store.fs:write_text", "state": {"dict": []}},
     {"named": "subprocess:Popen", "items": []},
     {"object": "nmsim.store.fs:Path", "state": {"dict": []}},
     {"call": "nmsim"}, {"array": "a7"}, {"again": 3},
     {"generator": {"dict": [["bit_generator", "seed"]]}}],
)  # fmt: skip
def test_a_piece_makes_objects_of_nmsim_and_of_nobody_else(tmp_path, tree):
    fs.write_npz(tmp_path / "piece.npz", tree=np.frombuffer(json.dumps(tree).encode(), np.uint8))
    with pytest.raises(StoreError, match=r"damaged.*without --resume"):
        read_piece(tmp_path / "piece.npz", {})


def test_a_damaged_piece_is_one_line(tmp_path):
    write_piece(tmp_path / "piece.npz", {"rows": np.arange(1000)}, {})
    whole = (tmp_path / "piece.npz").read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 4):
        fs.write_bytes(tmp_path / "piece.npz", whole[:size])
        with pytest.raises(StoreError, match="damaged"):
            read_piece(tmp_path / "piece.npz", {})


@pytest.mark.parametrize("method", _BUILT_IN)
def test_every_method_is_the_same_after_it_was_kept(tmp_path, method):
    quick = {"network": "softmax", "network_epochs": 1, "n_iter": 5, "perplexity": 4.0}
    own = {name: value for name, value in quick.items() if name in method_parameters(method)}
    X, y = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 1), dtype=np.uint8), np.arange(60) % 3
    made = create(method, 0.2, **own).fit(X, y)
    back = again(tmp_path, made, X=X, y=y)
    np.testing.assert_array_equal(back.indices_, made.indices_)
    assert back.arrays() == made.arrays()
    assert [repr(step) for step in back.steps(1000, 4)] == [repr(step) for step in made.steps(1000, 4)]
