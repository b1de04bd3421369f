"""Do `data` and `select` read data sets, and refuse what is none?"""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from nmsim.data import open_dataset
from nmsim.selection import methods, select


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("NMSIM_CACHE", str(tmp_path_factory.mktemp("cache")))


def tiny(path, n=200, classes=4, seed=0, test=True):
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 256, (n, 4, 4, 1), dtype=np.uint8)
    y = np.arange(n) % classes
    np.savez(path, x_train=X, y_train=y, **({"x_test": X[:40], "y_test": y[:40]} if test else {}))
    return path


def test_list_says_what_is_here_without_a_download(nmsim_json):
    rows = {row["name"]: row for row in nmsim_json("data", "list")}
    assert set(rows) == {"glyphs", "digits", "cifar10", "cifar100", "mnist", "fashion-mnist"}
    assert {name for name, row in rows.items() if row["present"]} == {"glyphs", "digits"}
    assert set(rows["digits"]) == {"name", "present", "n", "shape", "path", "licence", "source"}


def test_list_for_people_names_every_data_set_and_its_licence(nmsim):
    printed = nmsim("data", "list").stdout
    assert all(word in printed for word in ("glyphs", "cifar100", "MIT", "CC BY 4.0"))


def test_check_counts_what_a_file_holds(nmsim_json, tmp_path):
    facts = nmsim_json("data", "check", tiny(tmp_path / "tiny.npz"))
    assert (facts["name"], facts["n_train"], facts["n_test"]) == ("tiny", 200, 40)
    assert facts["shape"] == [4, 4, 1] and len(facts["sha256"]) == 64
    assert list(facts["train_per_class"].values()) == [50] * 4


def test_check_for_people_counts_every_class(nmsim, tmp_path):
    printed = nmsim("data", "check", tiny(tmp_path / "tiny.npz")).stdout
    assert "200 for training, 40 for testing" in printed and "4 × 4 × 1, 16 bytes" in printed
    assert sum(line.split()[1:] == ["50", "10"] for line in printed.splitlines()) == 4


def test_an_unknown_or_missing_or_damaged_data_set_is_one_line(refused, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    (folder / "bad.npz").write_bytes(b"PK\x03\x04 and no more")
    assert "cifar10" in refused("data", "check", "cifar11")
    assert "absent" in refused("data", "check", folder / "absent")
    assert "bad.npz" in refused("data", "check", folder / "bad.npz")
    assert "nmsim data fetch mnist" in refused("data", "check", "mnist")
    assert "cifar11" in refused("data", "fetch", "cifar11")


@pytest.mark.parametrize("method", ["random", "de-sne"])
def test_select_writes_sorted_distinct_indices_of_the_budget(nmsim_json, tmp_path, method):
    data = tiny(tmp_path / "tiny.npz")
    words = ["select", data, "--method", method, "--keep", "0.1", "--seed", "3", "--out", "sub/idx.npy"]
    facts = nmsim_json(*words, *(["--set", "n_iter=20"] if method == "de-sne" else []))
    indices = np.load("sub/idx.npy", allow_pickle=False)
    assert indices.dtype == np.int64 and len(indices) == 20 and (np.diff(indices) > 0).all()
    assert (facts["kept"], facts["images"], facts["kept_per_class"]) == (20, 200, [5, 5, 5, 5])
    assert (facts["file"], facts["dataset"], facts["method"], facts["seed"]) == (
        "sub/idx.npy",
        "tiny",
        method,
        3,
    )


@pytest.mark.parametrize("method", ["random", "herding"])
def test_select_gives_rows_of_a_file_without_a_test_part_as_the_function_does(nmsim_json, tmp_path, method):
    data = tiny(tmp_path / "tiny.npz", test=False)
    facts = nmsim_json("select", data, "--method", method, "--keep", "0.1", "--seed", "3", "--out", "i.npy")
    arrays = np.load(data)
    X, y = arrays["x_train"], arrays["y_train"]
    assert facts["images"] == 200
    assert np.load("i.npy").tolist() == select(X, y, 0.1, method, random_state=3).tolist()


def test_select_counts_the_images_of_a_folder_by_the_names_of_class_and_file(nmsim_json, tmp_path):
    shades = {"b/2": 10, "b/10": 20, "a/x": 30, "B/x": 40}
    for name, shade in shades.items():
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((5, 5), shade, np.uint8)).save(tmp_path / "data" / f"{name}.png")
    nmsim_json("select", "data", "--method", "random", "--keep", "0.75", "--out", "i.npy")
    chosen = np.load("i.npy").tolist()
    X = np.stack([np.full((5, 5), shades[name], np.uint8) for name in ("B/x", "a/x", "b/10", "b/2")])
    assert chosen == select(X, np.array([0, 1, 2, 2]), 0.75, "random", random_state=1).tolist()
    assert open_dataset(path="data", hold_out=False).X_train[:, 0, 0, 0].tolist() == X[:, 0, 0].tolist()


def test_select_for_people_says_where_and_how_many(nmsim, tmp_path):
    data = tiny(tmp_path / "tiny.npz")
    result = nmsim("select", data, "--method", "random", "--keep", "0.5", "--out", "idx.npy")
    assert result.stdout == "idx.npy: 100 of 200 images, 25 to 25 a class\n" and result.stderr == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--keep", "0"], "keep"),
        (["--keep", "1.5"], "keep"),
        (["--keep", "nan"], "keep"),
        (["--keep", "0.001"], "keeps nothing"),
        (["--keep", "0.01"], "class"),  # two images for four classes
        (["--method", "desne"], "de-sne"),
        (["--method", "de-sne", "--set", "n_iters=3"], "n_iter"),
        (["--method", "de-sne", "--set", "n_iter"], "name=value"),
        (["--method", "de-sne", "--set", "perplexity=many"], "perplexity"),
    ],
)
def test_a_selection_that_cannot_be_meant_is_one_line_and_writes_nothing(
    refused, tmp_path_factory, words, message
):
    data = tiny(tmp_path_factory.mktemp("data") / "tiny.npz")
    assert message in refused("select", data, "--out", "sub/idx.npy", *words)


def test_select_lists_methods_with_places_and_parameters_without_any_data(nmsim):
    printed = nmsim("select", "--list-methods").stdout
    assert "perplexity=30.0" in printed and "host, nmc" in printed
    assert all(any(line.split()[:1] == [name] for line in printed.splitlines()) for name in methods())


def test_a_method_is_checked_before_any_data_is_read(refused):
    assert "de-sne" in refused("select", "absent.npz", "--out", "idx.npy", "--method", "desne")


def test_select_refuses_another_kind_of_file_and_a_folder_that_cannot_be(nmsim, tmp_path):
    data = tiny(tmp_path / "tiny.npz")
    assert nmsim("select", data, "--out", "idx.csv").exit_code == 2
    result = nmsim("select", data, "--out", data / "idx.npy")
    assert result.exit_code == 1 and result.stderr.startswith("nmsim: error: ")


def test_doctor_finds_everything_that_nmsim_needs_here(nmsim):
    result = nmsim("doctor", "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 0 and found["ok"]
    names = {finding["name"] for finding in found["findings"]}
    assert {"Python", "numba", "typer", "compiler", "data cache", "git", "data sets"} <= names


def test_doctor_fails_where_something_is_missing_and_says_what(nmsim, monkeypatch):
    from importlib import metadata

    def without_numba(name: str) -> str:
        if name == "numba":
            raise metadata.PackageNotFoundError(name)
        return {"pandas": "0.1"}.get(name, "999")

    monkeypatch.setattr(metadata, "version", without_numba)
    result = nmsim("doctor")
    assert result.exit_code == 1
    lines = {line.split()[0]: line for line in result.stdout.splitlines() if line.strip()}
    assert "MISSING" in lines["numba"] and "pip install" in lines["numba"]
    assert "MISSING" in lines["pandas"] and ">=2.1" in lines["pandas"]
