"""Does `probe` print, write and refuse what it should?"""

from __future__ import annotations

import json

import pandas as pd
import pytest

from nmsim.system import bound_checks

QUICK = ["--read-fraction", "1,0", "--random-share", "0,1", "--rate", "0.2,1.2", "--requests", "1000"]


def test_json_has_the_bounds_and_a_point_for_each_load(nmsim_json, lpddr4):
    found = nmsim_json("probe", lpddr4, *QUICK)
    assert sorted(found) == ["bounds", "faster_than_possible", "load", "memory", "points"]
    assert found["memory"]["peak_GBps_per_channel"] == pytest.approx(6.4) and found["memory"]["channels"] == 2
    loads = {(p["read_fraction"], p["random_share"], p["rate"]) for p in found["points"]}
    assert loads == {(r, s, o) for r in (1, 0) for s in (0, 1) for o in (0.2, 1.2)}
    names = {b["name"]: b for b in found["bounds"]}
    assert names["unloaded hit"]["measured"] == 36 and names["peak"]["ratio"] == pytest.approx(1)
    assert found["faster_than_possible"] == [] and found["load"]["seed"] == 1


def test_a_folder_gets_the_figure_its_numbers_and_where_they_are_from(nmsim, ddr4, tmp_path):
    result = nmsim("probe", ddr4, *QUICK, "--out", "curve", "--set", "memory.timing.nCL=18")
    assert result.exit_code == 0, result.output
    for word in ("unloaded hit", "many banks", "saturated at", "exact"):
        assert word in result.stdout
    folder = tmp_path / "curve"
    assert sorted(p.name for p in folder.iterdir()) == [
        "loaded_latency.csv",
        "loaded_latency.png",
        "loaded_latency.svg",
        "probe.json",
    ]
    assert (folder / "loaded_latency.png").read_bytes()[:4] == b"\x89PNG"
    whole = json.loads((folder / "probe.json").read_text())
    assert whole["memory_config"]["timing"]["nCL"] == 18
    assert {"nmsim_version", "git_revision", "config_sha256", "seeds", "command"} <= set(whole["provenance"])
    table = pd.read_csv(folder / "loaded_latency.csv")
    for row, point in zip(table.to_dict("records"), whole["points"], strict=True):
        assert row["achieved_GBps"] == pytest.approx(point["achieved_GBps"])
        assert row["read_mean_ns"] == pytest.approx(point["read_ns"].get("mean", float("nan")), nan_ok=True)


def test_what_is_faster_than_possible_ends_with_code_1(nmsim, ddr4, monkeypatch):
    monkeypatch.setattr(bound_checks, "unloaded_clk", lambda spec: {"hit": 22, "miss": 39, "conflict": 56})
    result = nmsim("probe", ddr4, *QUICK)
    assert result.exit_code == 1 and "unloaded hit" in result.stderr and result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--read-fraction", "1.2"], "read_fraction"),
        (["--read-fraction", "0.5,,1"], "--read-fraction"),
        (["--random-share", "-0.5"], "random_share"),
        (["--rate", "0"], "rate"),
        (["--rate", "0.5,fast"], "--rate"),
        (["--arrivals", "bursts"], "arrivals"),
        (["--requests", "3"], "requests"),
    ],
)
def test_a_wrong_option_is_one_line(refused, ddr4, words, said):
    assert said in refused("probe", ddr4, *words)


def test_a_configuration_without_memory_is_one_line(refused, tmp_path_factory):
    path = tmp_path_factory.mktemp("boards") / "empty.yaml"
    path.write_text("name: empty\n")
    assert "memory" in refused("probe", path)


SHARED = ["--near-memory", "--random-share", "1", "--rate", "0.2,1.2", "--requests", "1000"]


def test_beside_near_memory_the_policy_is_the_boards_or_those_asked_for(nmsim_json, lpddr4):
    found = nmsim_json("probe", lpddr4, *SHARED)
    assert sorted(found) == ["faster_than_possible", "load", "memory", "near_memory", "points"]
    assert {p["host_policy"] for p in found["points"]} == {"exclusive"}
    assert [p["busy"] for p in found["points"] if p["host"] is None] == ["half", "all"]
    every = nmsim_json("probe", lpddr4, *SHARED, "--host-policy", "all")
    one = nmsim_json("probe", lpddr4, *SHARED, "--set", "near_memory.host_policy=concurrent")
    assert [p for p in every["points"] if p["host_policy"] == "concurrent"] == one["points"]


def test_beside_near_memory_a_folder_gets_figure_numbers_and_origin(nmsim, lpddr4, tmp_path):
    result = nmsim("probe", lpddr4, *SHARED, "--host-policy", "exclusive,concurrent", "--out", "near")
    assert result.exit_code == 0, result.output
    assert "near memory in 4 of 8 banks: the host's requests wait until it has finished" in result.stdout
    folder = tmp_path / "near"
    names = [f"shared_latency.{kind}" for kind in ("csv", "json", "png", "svg")]
    assert sorted(p.name for p in folder.iterdir()) == names
    whole = json.loads((folder / "shared_latency.json").read_text())
    table = pd.read_csv(folder / "shared_latency.csv")
    for row, point in zip(table.to_dict("records"), whole["points"], strict=True):
        assert row["near_GBps"] == pytest.approx(point["near_GBps"])
        assert row["host_waits"] == (point["host"] is None) == pd.isna(row["read_mean_ns"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--host-policy", "concurrent"], "--near-memory"),
        (["--near-memory", "--host-policy", "shared"], "exclusive, per_bank, concurrent"),
        (["--near-memory", "--set", "near_memory.placement=rank"], "--set near_memory.placement=rank"),
    ],
)
def test_a_wrong_word_about_near_memory_is_one_line(refused, lpddr4, words, said):
    assert said in refused("probe", lpddr4, *words)
