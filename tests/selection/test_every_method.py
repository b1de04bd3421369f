"""What holds for every built-in method, whatever it does."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import nmsim
from nmsim.access.work import OPERATIONS
from nmsim.data import open_dataset
from nmsim.errors import ConfigError, DataError
from nmsim.machine import IMAGES
from nmsim.schemes import PLACES
from nmsim.selection import create, select
from nmsim.selection.api import _BUILT_IN, method_parameters, method_places, selector_class
from nmsim.selection.budget import class_budgets
from nmsim.selection.defaults import Defaults
from nmsim.selection.needs import Records
from nmsim.selection.selector import Reusable

#: Parameters with which a method is quick.
SMALL_NETWORK = {"network": "softmax", "network_epochs": 1}
FAST = {"de-sne": {"n_iter": 20, "perplexity": 4.0}, "dq": SMALL_NETWORK}
FAST |= {"dqas": SMALL_NETWORK, "nessa": SMALL_NETWORK}

#: Networks take 8-bit images alone.
WITH_NETWORK = [method for method in _BUILT_IN if "network" in method_parameters(method)]

every_method = pytest.mark.parametrize("method", _BUILT_IN)


def chosen_by(method, X, y, ratio, seed=1):
    return select(X, y, ratio, method, seed, **FAST.get(method, {}))


def data(n=120, classes=3, shape=(8, 8, 1), seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, *shape), dtype=np.uint8), np.arange(n) % classes


@every_method
@pytest.mark.parametrize("ratio", [0.025, 0.333, 1])
def test_every_budget_is_exact_distinct_sorted_and_shared_over_the_classes(method, ratio):
    X, _ = data()
    y = np.repeat([0, 4, 9], [70, 49, 1])
    chosen = chosen_by(method, X, y, ratio)
    assert chosen.dtype == np.int64 and (np.diff(chosen) > 0).all()
    sizes = np.unique(y, return_counts=True)[1]
    kept = class_budgets(sizes, int(120 * ratio + 0.5))
    found = np.unique(y[chosen], return_counts=True)[1]
    assert found.sum() == kept.sum() and len(found) == 3
    if method != "dqas":  # which finds the amounts of the classes by itself
        assert np.array_equal(found, kept)


@every_method
@pytest.mark.parametrize("features", ["raw", "pool", "pca"])
def test_what_a_method_says_it_needs_grows_with_the_records_and_names_what_to_lower(method, features):
    own = method_parameters(method)
    assert selector_class(method).needs is not Defaults.needs
    made = create(
        method, 0.1, **({"features": features} if "features" in own and method != "kernel-herding" else {})
    )
    few, many = (list(made.needs(Records(n, 10, (32, 32, 3)))) for n in (1_000, 50_000))
    assert [need.lower for need in few] == [need.lower for need in many]
    assert all(need.lower in {"", IMAGES, *own} for need in few)
    assert all(0 <= less.n_bytes <= more.n_bytes for less, more in zip(few, many, strict=True))
    assert made.duration_s(Records(1_000, 10, (8, 8, 1))) <= made.duration_s(Records(50_000, 10, (8, 8, 1)))


@every_method
def test_one_seed_gives_one_selection(method):
    X, y = data()
    assert np.array_equal(chosen_by(method, X, y, 0.2), chosen_by(method, X, y, 0.2))


@every_method
def test_constant_images_duplicates_and_tiny_classes_meet_the_budget(method):
    X = np.full((40, 4, 4), 7, np.uint8)
    X[20:30] = 9
    assert len(chosen_by(method, X, np.repeat([0, 1, 2, 3], [30, 7, 2, 1]), 0.25)) == 10
    assert len(chosen_by(method, np.full((12, 4, 4), 128, np.uint8), np.zeros(12, int), 1)) == 12


@every_method
def test_classes_smaller_than_any_neighbourhood_or_one_record_meet_the_budget(method):
    X, _ = data(11)
    params = {name: value for name, value in FAST.get(method, {}).items() if name != "perplexity"}
    y = np.repeat([0, 1, 2, 3], [3, 5, 2, 1])
    chosen = select(X, y, 0.5, method, 1, **params)
    assert len(chosen) == len(set(chosen)) == 6 and set(y[chosen]) == {0, 1, 2, 3}


@every_method
def test_all_that_is_given_is_checked_before_any_work(method, monkeypatch):
    kind = selector_class(method)

    def refuse(*given):
        raise DataError("refused")

    monkeypatch.setattr(kind, "checked", refuse)
    with pytest.raises(DataError, match="refused"):  # and no work could be done on this
        kind(0.2, **FAST.get(method, {})).fit(None, None)


@pytest.mark.parametrize("method", [m for m in _BUILT_IN if issubclass(selector_class(m), Reusable)])
def test_a_fit_of_another_ratio_goes_on_to_what_a_fit_from_the_beginning_would_be(method):
    X, y = data()
    first, other = (create(method, ratio, 1, **FAST.get(method, {})).fit(X, y) for ratio in (0.4, 0.1))
    again = first.refit(0.1)
    assert np.array_equal(again.indices_, other.indices_) and again.keep_ratio == 0.1
    assert [s.operations for s in again.steps(999, 2)] == [s.operations for s in other.steps(999, 2)]
    assert len(first.indices_) == 48 and first.keep_ratio == 0.4
    with pytest.raises(DataError, match="below one sample a class"):
        first.refit(0.01)


@every_method
@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.int64])
@pytest.mark.parametrize("shape", [(64,), (8, 8, 3)])
def test_records_of_any_shape_and_real_type_are_taken(method, kind, shape):
    X, y = data(60, shape=shape)
    if method in WITH_NETWORK and len(shape) == 1:
        with pytest.raises(DataError, match=r"8-bit images.*Choose a method without a network"):
            chosen_by(method, X.astype(kind), y, 0.2)
    else:
        assert len(chosen_by(method, X.astype(kind), y, 0.2)) == 12


@every_method
def test_what_cannot_be_selected_from_is_refused_with_the_reason(method):
    X, y = data()
    bad = X.astype(float)
    bad[7, 0, 0] = np.nan
    for records, labels, ratio, message in (
        (bad, y, 0.2, "NaN or infinity.*first at 7"),
        (X[:0], y[:0], 0.2, "no records"),
        (X, y[:-1], 0.2, "differ in number"),
        (X, y / 2, 0.2, "not whole numbers"),
        (X, None, 0.2, "labels are missing"),
        (X, y, 0.01, "below one sample a class"),
        (X, y, 0, "keep ratio"),
    ):
        with pytest.raises(DataError, match=message):
            chosen_by(method, records, labels, ratio)


@every_method
def test_the_work_touches_declared_records_of_its_class_in_kinds_that_hardware_knows(method):
    X, y = data()
    fit = create(method, 0.2, **FAST.get(method, {})).fit(X, y)
    rows = {array.name: array.rows for array in fit.arrays()}
    per_image = {array.name for array in fit.arrays() if array.per_image}
    phases = []
    for step in fit.steps(1000, 4):
        phases.append(step.phase)
        assert step.repeat >= 1 and set(step.operations) <= set(OPERATIONS)
        assert all(type(count) is int and count >= 0 for count in step.operations.values())
        for moved in step.transfers:
            assert len(moved.rows) and moved.rows.min() >= 0 and moved.rows.max() < rows[moved.array]
            if step.group is not None and moved.array in per_image:
                assert set(y[moved.rows]) == {step.group}
    assert "indices" in phases


@every_method
def test_estimators_are_cloned_shown_and_set_like_those_of_scikit_learn(method):
    kind = selector_class(method)
    made = kind(0.25, random_state=3)
    assert (
        vars(clone(made)) == vars(made)
        and eval(repr(made), {kind.__name__: kind}).get_params() == made.get_params()
    )
    assert made.set_params(keep_ratio=0.5).keep_ratio == 0.5
    X, y = data(60)
    fitted = made.set_params(**FAST.get(method, {})).fit(X, y)
    assert fitted is made and not hasattr(clone(fitted), "indices_")


@every_method
def test_a_method_says_where_it_runs_and_why_not_elsewhere(method):
    places = method_places(method)
    assert set(places) <= set(PLACES) and "host" in places
    assert "nmc" in places or selector_class(method).host_only


@every_method
@pytest.mark.parametrize("kind", [np.int64, np.float32])
def test_images_of_whole_bytes_are_the_same_images_in_any_type(method, kind):
    X, y = data(60)
    X //= 2  # so that their range is not that of bytes already
    assert chosen_by(method, X.astype(kind), y, 0.3).tolist() == chosen_by(method, X, y, 0.3).tolist()


@pytest.mark.parametrize("values", [[0.0, 200.5], [-1.0, 7.0], [0.0, 256.0]])
def test_of_other_images_the_range_is_mapped_and_networks_refuse_them(values):
    _, high = values
    X, y = np.random.default_rng(0).choice(values, (20, 6, 6)), np.arange(20) % 2
    mapped = np.where(high == X, np.uint8(255), np.uint8(0))
    assert chosen_by("herding", X, y, 0.3).tolist() == chosen_by("herding", mapped, y, 0.3).tolist()
    for method in WITH_NETWORK:
        with pytest.raises(DataError, match="8-bit images"):
            chosen_by(method, X, y, 0.3)


@pytest.mark.parametrize("shape", [(3, 8, 9), (1, 8, 8)])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_images_whose_channels_come_first_are_refused_and_taken_as_the_message_says(shape, kind):
    X, y = data(20, 2, shape)
    X = X.astype(kind)
    with pytest.raises(DataError, match=r"channels came first.*\(n, height, width, channels\).*transpose"):
        chosen_by("herding", X, y, 0.2)
    for mended in (X.transpose(0, 2, 3, 1), X.reshape(len(X), -1)):
        assert len(chosen_by("herding", mended, y, 0.2)) == 4


def test_indices_make_a_subset_of_a_torch_data_set():
    torch_data = pytest.importorskip("torch.utils.data")
    torch = pytest.importorskip("torch")
    X, y = data()
    chosen = nmsim.select(X, y, keep_ratio=0.2, method="herding", random_state=1)
    whole = torch_data.TensorDataset(torch.from_numpy(X), torch.from_numpy(y))
    subset = torch_data.Subset(whole, chosen)
    images = torch.cat([batch for batch, _ in torch_data.DataLoader(subset, batch_size=7)])
    assert np.array_equal(images.numpy(), X[chosen])


@every_method
def test_labels_are_any_whole_numbers_of_64_bits(method):
    X, y = data(24)
    for shift in (-2, 2**63 - 1 - int(y.max())):
        chosen = select(X, y + shift, 0.3, method, **FAST.get(method, {}))
        assert len(chosen) == round(0.3 * len(y))
    with pytest.raises(DataError, match="beyond all classes"):
        select(X, y.astype(np.uint64) + np.uint64(2**63), 0.3, method, **FAST.get(method, {}))


def test_a_mask_is_refused_and_what_numpy_makes_an_array_of_is_one():
    X, y = data(24)
    flat = X.reshape(len(X), -1)
    plain = select(flat, y, 0.3, "graph-cut")
    for given in (flat.tolist(), pd.DataFrame(flat), np.ma.array(flat)):
        np.testing.assert_array_equal(select(given, y.tolist(), 0.3, "graph-cut"), plain)
    for records, labels in ((np.ma.masked_less(flat, 5), y), (flat, np.ma.masked_less(y, 1))):
        with pytest.raises(DataError, match="masked"):
            select(records, labels, 0.3, "graph-cut")
    for nothing in (None, [[1, 2], [3]], "images", [["a"]]):
        with pytest.raises(DataError, match="records"):
            select(nothing, y, 0.3, "random")


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_images_of_fractions_are_the_same_to_a_file_and_to_an_array(tmp_path, kind):
    rng = np.random.default_rng(2)
    X, y = rng.uniform(0.2, 0.6, (24, 6, 6)).astype(kind), np.arange(24) % 2
    np.savez(tmp_path / "data.npz", x_train=X, y_train=y)
    data = open_dataset(path=tmp_path / "data.npz", hold_out=False)
    of_file = select(data.X_train, data.y_train, 0.3, "kernel-herding")
    np.testing.assert_array_equal(select(X, y, 0.3, "kernel-herding"), of_file)
    bytes_ = np.rint(X * 255).astype(np.uint8)  # what the reference says of a file
    np.testing.assert_array_equal(data.X_train.reshape(X.shape), bytes_)


@pytest.mark.parametrize("ratio", [True, False, "0.1", None])
def test_a_keep_ratio_is_a_number(ratio):
    X, y = data(24)
    with pytest.raises(DataError, match="no share of the data"):
        select(X, y, ratio, "random")


@pytest.mark.parametrize("method", [["random"], None, 3])
def test_a_method_is_a_name(method):
    X, y = data(24)
    with pytest.raises(ConfigError, match="unknown selection method"):
        select(X, y, 0.3, method)
