"""Is what a command needs said beforehand, and refused where there is too little?"""

from __future__ import annotations

import os

import numpy as np
import pytest

from nmsim import estimate, machine
from nmsim.config import load_config
from nmsim.errors import ResourceLimitError
from nmsim.schemes import Scheme
from nmsim.selection import select

HUGE = ["dataset.synthetic={n_train: 2000000, height: 96, width: 96}", "schemes=[full, de-sne@nmc]"]
HUGE += ["training.backend=none", "selection.de_sne.features=pca"]


def sets(*settings: str) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


def test_a_dry_run_says_what_would_be_needed_and_does_nothing(nmsim, nmsim_json, lpddr4):
    told = nmsim("run", lpddr4, "--dry-run")
    assert told.exit_code == 0 and "memory: about " in told.stdout.splitlines()[-1]
    needs = nmsim_json("run", lpddr4, "--dry-run", "--max-disk", "2 GB")
    assert needs["fits"] and needs["max_disk_bytes"] == 2e9
    assert needs["memory_bytes"] == pytest.approx(sum(part["bytes"] for part in needs["memory"]), abs=10)
    assert os.listdir() == []


@pytest.mark.parametrize("words", [("run",), ("run", "--seed", "3")])
def test_what_does_not_fit_is_refused_with_the_largest_part_and_what_to_do(refused, lpddr4, words):
    line = refused(words[0], lpddr4, *words[1:], *sets(*HUGE), "--max-memory", "4 GB")
    assert "would need about" in line and "(affinities of 2,000,000 images with 90 neighbours: " in line
    assert "the limit is 4.00 GB" in line and "raise --max-memory" in line
    assert "Lower selection.de_sne.perplexity" in line


def test_a_comparison_is_the_largest_of_its_runs_and_the_disk_of_all(nmsim_json, lpddr4):
    one, two = (nmsim_json("compare", lpddr4, "--keep", keep, "--dry-run") for keep in ("0.1", "0.1,0.2"))
    assert one["memory_bytes"] <= two["memory_bytes"] < 1.2 * one["memory_bytes"]
    assert two["disk_bytes"] > 1.5 * one["disk_bytes"]


def test_disk_is_limited_as_memory_is(refused, lpddr4):
    line = refused("run", lpddr4, "--max-disk", "1 kB")
    assert "of disk" in line and "raise --max-disk" in line.replace("Raise", "raise")


def test_a_selection_is_estimated_too(nmsim, nmsim_json, refused):
    assert nmsim_json("select", "digits", "--out", "a.npy", "--dry-run")["fits"]
    assert "--max-memory" in refused("select", "digits", "--out", "a.npy", "--max-memory", "1 MB")


@pytest.mark.parametrize("text", ["4", "-1 GB", "lots", "0 B"])
def test_a_limit_is_a_size(nmsim, lpddr4, text):
    assert nmsim("run", lpddr4, "--max-memory", text).exit_code == 2


@pytest.mark.parametrize(("written", "limit"), [("2147483648\n", 1 << 30), ("max\n", None), ("", None)])
def test_the_limit_is_half_of_what_the_machine_or_the_container_has(tmp_path, monkeypatch, written, limit):
    (tmp_path / "memory.max").write_text(written)
    monkeypatch.setattr(machine, "_GROUP_LIMITS", (str(tmp_path / "memory.max"), str(tmp_path / "absent")))
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert machine.memory_limit() == min(limit or whole // 2, whole // 2)


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ("dataset.glyphs.n_train=1000", "dataset.glyphs.n_train=90000"),
        ("selection.de_sne.perplexity=5", "selection.de_sne.perplexity=300"),
        ("trace.level=off", "trace.level=access"),
        ("training.batch_size=32", "training.batch_size=4096"),
        ("selection.de_sne.sampling=medoid", "selection.de_sne.sampling=entropy"),
    ],
)
def test_more_of_anything_needs_no_less(lpddr4, less, more):
    few, many = (estimate.estimate_run(load_config(lpddr4, [s])) for s in (less, more))
    assert few.memory_bytes <= many.memory_bytes and few.disk_bytes <= many.disk_bytes
    assert few.time_s <= many.time_s
    assert few != many


@pytest.mark.parametrize("scheme", ["full", "random", "k-center@nmc"])
def test_the_indices_on_disk_are_as_many_as_are_chosen(lpddr4, scheme):
    # Half of 25 is 12.5: a budget rounds up.
    config = load_config(
        lpddr4, ["dataset.glyphs.n_train=25", "selection.keep_ratio=0.5", f"schemes=[{scheme}]"]
    )
    (indices,) = (need for need in estimate.estimate_run(config).disk if need.what.startswith("indices"))
    X, y = np.zeros((25, 4), np.uint8), np.arange(25) % 2
    chosen = 25 if scheme == "full" else len(select(X, y, 0.5, Scheme.parse(scheme).method))
    assert indices.n_bytes == 8 * chosen


def test_energies_that_cannot_be_counted_are_refused_before_any_work(lpddr4):
    # An epoch of 12,000 images takes 17 mJ at least, 2e9 epochs 34 MJ; in fJ int64 ends at 9.2 kJ.
    config = load_config(lpddr4, ["training.epochs=2000000000", "simulation.epochs=1", "schemes=[full]"])
    with pytest.raises(ResourceLimitError, match=r"too large for whole femtojoules.*Lower training\.epochs"):
        estimate.estimate_run(config)


def test_several_at_a_time_need_as_many_times_the_memory_and_less_time(lpddr4):
    one = estimate.estimate_run(load_config(lpddr4))
    all_of_them = estimate.estimate_all([one] * 6, at_once=3)
    assert all_of_them.memory_bytes == pytest.approx(3 * one.memory_bytes, abs=3)
    assert all_of_them.disk_bytes == pytest.approx(6 * one.disk_bytes, abs=6)
    assert all_of_them.time_s == pytest.approx(2 * one.time_s)
    with pytest.raises(ResourceLimitError, match="3 × Python"):
        estimate.refuse(all_of_them, all_of_them.memory_bytes - 1, 1 << 40)
