"""Does every method select exactly what was asked for, the same for one seed, and say what is wrong?"""

import numba
import numpy as np
import pytest

from nmsim.errors import ConfigError, DataError
from nmsim.selection import DESNE, RandomPerClass, api, create, methods, select
from nmsim.selection.budget import class_budgets
from nmsim.selection.sampling import occupancy_entropy

FAST = {"n_iter": 30, "perplexity": 5.0}


def data(n=150, classes=3, seed=0, shape=(8, 8, 1)):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    y[:classes] = np.arange(classes)
    return rng.integers(0, 256, (n, *shape), dtype=np.uint8), y


def chosen_by(method, X, y, ratio, **params):
    return select(X, y, ratio, method, **(FAST | params if "sne" in method else params))


@pytest.mark.parametrize("method", ["de-sne", "adapsne", "kernel-herding", "random"])
@pytest.mark.parametrize("ratio", [0.02, 0.1, 0.333, 1])
def test_the_budget_is_exact_and_every_class_has_its_share(method, ratio):
    X, y = data()
    chosen = chosen_by(method, X, y, ratio)
    assert chosen.dtype == np.int64
    assert len(chosen) == int(150 * ratio + 0.5)
    assert (np.diff(chosen) > 0).all() and chosen[0] >= 0 and chosen[-1] < 150
    assert np.array_equal(np.bincount(y[chosen]), class_budgets(np.bincount(y), len(chosen)))


@pytest.mark.parametrize("method", ["de-sne", "adapsne", "kernel-herding", "random"])
def test_one_seed_gives_one_selection_and_another_seed_another(method):
    X, y = data()
    first, again, other = (chosen_by(method, X, y, 0.2, random_state=s) for s in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("kernel", ["student", "gaussian"])
@pytest.mark.parametrize("features", ["raw", "pool", "random_projection", "pca"])
def test_any_number_of_threads_selects_the_same(kernel, features, monkeypatch):
    X, y = data()
    monkeypatch.setattr("nmsim.selection.embedding._PAIRS_PER_THREAD", 1)  # no map too small to be shared
    before, picks = numba.get_num_threads(), []
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(threads)
        picks.append(chosen_by("de-sne", X, y, 0.2, kernel=kernel, features=features, n_features=8))
    numba.set_num_threads(before)
    assert np.array_equal(*picks)


@pytest.mark.parametrize("sampling", ["medoid", "grid_uniform", "grid_proportional", "entropy"])
@pytest.mark.parametrize("scope", ["per_class", "global"])
def test_every_scope_and_sampling_meets_the_budget(scope, sampling):
    X, y = data(n=90)
    assert len(chosen_by("de-sne", X, y, 0.3, scope=scope, sampling=sampling)) == 27


def test_what_one_class_keeps_does_not_depend_on_the_others_pictures():
    X, y = data()
    other = X.copy()
    other[y == 2] = 255 - other[y == 2]
    mine, theirs = (chosen_by("de-sne", images, y, 0.2) for images in (X, other))
    assert np.array_equal(mine[y[mine] != 2], theirs[y[theirs] != 2])


def test_a_fit_tells_what_it_found():
    X, y = data()
    fit = DESNE(0.2, **FAST).fit(X, y)
    assert fit.embedding_.shape == (150, 2) and np.isfinite(fit.embedding_).all()
    assert sorted(fit.kl_divergence_) == [0, 1, 2] and all(kl > 0 for kl in fit.kl_divergence_.values())
    assert np.abs(fit.perplexity_ - 5.0).max() < 5e-4
    assert fit.n_iter_ == 30


def test_entropy_samples_the_map_that_fills_its_grid_most_evenly():
    X, y = data()
    fit = DESNE(0.2, sampling="entropy", **FAST).fit(X, y)
    for m in fit.maps_:
        members, Y = m.members, fit.embedding_[m.members]
        assert [t.perplexity for t in m.trials] == sorted(t.perplexity for t in m.trials)
        assert m.chosen.entropy == max(t.entropy for t in m.trials)
        assert occupancy_entropy(Y, len(m.sample.chosen)) == m.chosen.entropy
        assert np.abs(fit.perplexity_[members] - max(1.0, m.chosen.perplexity)).max() < 5e-4


def test_adapsne_is_fireworks_and_entropy():
    X, y = data()
    parts = DESNE(0.2, search="fireworks", sampling="entropy", **FAST).fit(X, y)
    assert np.array_equal(chosen_by("adapsne", X, y, 0.2), parts.indices_)


def test_a_class_of_one_sample_keeps_it():
    X, y = data(classes=2)
    y[77] = 9
    assert 77 in chosen_by("de-sne", X, y, 0.1)


def test_constant_images_duplicates_and_tiny_classes_survive():
    X = np.full((40, 4, 4), 7, np.uint8)
    X[20:30] = 9
    y = np.repeat([0, 1, 2, 3], [30, 7, 2, 1])
    for sampling in ("medoid", "grid_uniform", "grid_proportional"):
        assert len(chosen_by("de-sne", X, y, 0.25, sampling=sampling)) == 10


@pytest.mark.parametrize("shape", [(64,), (8, 8), (8, 8, 3), (2, 4, 4, 2)])
@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.int64])
def test_records_of_any_shape_and_real_type_are_taken(shape, kind):
    X, y = data(n=60, shape=shape)
    assert len(chosen_by("de-sne", X.astype(kind), y, 0.2)) == 12


def test_random_selection_is_uniform_over_a_class():
    # 400 draws of 5 of 20: each record is chosen 100 times on average, variance 400 · 1/4 · 3/4 = 75
    X, y = np.zeros((20, 1), np.uint8), np.zeros(20, int)
    counts = sum(np.bincount(select(X, y, 0.25, "random", s), minlength=20) for s in range(400))
    assert counts.sum() == 2000
    assert np.abs(counts - 100).max() < 5 * np.sqrt(75)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros(9, int), r"differ in number.*\(9,\).*\(10,\)"),
        (np.zeros((10, 1), int), "differ in number"),
        (np.zeros(10), "not whole numbers"),
        (np.array(["a"] * 10), "not whole numbers"),
    ],
)
@pytest.mark.parametrize("method", ["de-sne", "adapsne", "kernel-herding", "random"])
def test_labels_that_do_not_fit_are_refused(method, y, message):
    with pytest.raises(DataError, match=message):
        select(np.zeros((10, 4), np.uint8), y, 0.5, method)


@pytest.mark.parametrize("ratio", [0, -1, 1.5, float("nan")])
@pytest.mark.parametrize("method", ["de-sne", "adapsne", "kernel-herding", "random"])
def test_a_keep_ratio_out_of_range_is_refused(method, ratio):
    X, y = data()
    with pytest.raises(DataError, match="keep ratio"):
        select(X, y, ratio, method)


def test_a_budget_below_one_a_class_is_refused():
    X, y = data(classes=10)
    with pytest.raises(DataError, match="below one sample a class"):
        select(X, y, 0.02, "de-sne")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"perplexity": 1}, "perplexity is out of its range.*found 1;"),
        ({"perplexity": float("nan")}, "perplexity"),
        ({"n_iter": 0}, "n_iter"),
        ({"n_iter": 2.5}, "n_iter.*whole number"),
        ({"n_iter": True}, "n_iter"),
        ({"early_exaggeration": 0.5}, "early_exaggeration"),
        ({"exaggeration_share": 1.2}, "exaggeration_share"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"random_state": -1}, "random_state"),
        ({"scope": "perclass"}, "unknown scope.*Did you mean per_class[?]"),
        ({"search": "bisect"}, "unknown search.*Did you mean bisection[?]"),
        ({"forces": "exakt"}, "unknown forces.*Did you mean exact[?]"),
        ({"kernel": "students"}, "unknown kernel.*Did you mean student[?]"),
        ({"sampling": "medoids"}, "unknown sampling.*Did you mean medoid[?]"),
        ({"features": "pooled"}, "unknown features.*Did you mean pool[?]"),
        ({"perplexty": 3}, "unknown parameter of de-sne.*Did you mean perplexity[?]"),
    ],
)
def test_parameters_that_cannot_be_meant_are_refused(params, message):
    X, y = data()
    with pytest.raises(ConfigError, match=message):
        select(X, y, 0.2, "de-sne", **params)


@pytest.mark.parametrize(("wrong", "meant"), [("desne", "de-sne"), ("de_sne", "de-sne"), ("randm", "random")])
def test_an_unknown_method_is_refused_with_a_suggestion(wrong, meant):
    with pytest.raises(ConfigError, match=f"unknown selection method.*Did you mean {meant}[?]"):
        create(wrong, 0.1)


def test_an_installed_plug_in_is_found_by_its_name(monkeypatch):
    class Installed:
        name = "first-ones"

        def load(self):
            return type("FirstOnes", (RandomPerClass,), {})

    monkeypatch.setattr(
        api, "entry_points", lambda group: [Installed()] if group == "nmsim.selectors" else []
    )
    assert methods()[-1] == "first-ones"
    assert type(create("first-ones", 0.1)).__name__ == "FirstOnes"
