"""Do figures draw and say what their data say?"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from nmsim.energy.layers import LAYERS
from nmsim.report import frames, plots
from nmsim.report.accuracy import accuracy_energy, pareto_front
from nmsim.report.banks import banks
from nmsim.report.loaded_latency import loaded_latency
from nmsim.report.outcomes import row_outcomes
from nmsim.report.roofline import phase_work, roofline
from nmsim.report.run import load_run
from nmsim.report.selection_map import selection_map
from nmsim.report.timeline import timeline
from nmsim.selection.pictures import PICTURES, PIXELS, pictures

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("seed", range(5))
def test_the_front_is_what_none_beats_in_energy_and_accuracy(seed):
    rng = np.random.default_rng(seed)  # with ties
    energy, accuracy = rng.integers(1, 9, (2, 40))
    front = pareto_front(energy, accuracy)
    for i in range(40):
        beaten = any(
            energy[j] <= energy[i]
            and accuracy[j] >= accuracy[i]
            and (energy[j] < energy[i] or accuracy[j] > accuracy[i])
            for j in range(40)
        )
        assert front[i] == (not beaten)


def test_small_phases_stand_together_and_no_energy_is_lost():
    rows = [
        ("a", "big", "act", 990),
        ("a", "tiny", "rd", 4),
        ("a", "small", "rd", 4),
        ("a", "mid", "rd", 100),
    ]
    energy = pd.DataFrame(rows, columns=["scheme", "phase", "component", "energy_fJ"])
    plot = plots.energy_phases(energy)
    absolute = plot.figure.axes[0]
    assert [label.get_text() for label in absolute.get_yticklabels()] == ["big", "mid", plots.OTHER_PHASES]
    assert absolute.get_xlabel() == "energy (fJ)"
    assert sum(bar.get_width() for bar in absolute.patches) == energy["energy_fJ"].sum()
    assert "“big”, with 90.2 %" in plot.sentence  # 990 of 1098


def test_the_mean_of_each_scheme_stands_among_its_seeds_inside_its_band(run_folder: Path):
    run = load_run(run_folder)
    plot = accuracy_energy(run)
    data = plot.data.set_index("scheme")
    assert list(data.index[data["on_front"]]) == ["full", "random", "de-sne@nmc"]
    assert (data["system_energy_fJ_p05"] <= data["system_energy_fJ"]).all()
    dots = [
        line for line in plot.figure.axes[0].lines if line.get_marker() == "o" and len(line.get_xdata()) == 3
    ]
    for line, (_, row) in zip(dots, data.iterrows(), strict=True):
        assert np.mean(line.get_ydata()) == pytest.approx(100 * row["accuracy_mean"])


def test_hits_misses_and_conflicts_fill_each_bar(run_folder: Path):
    run = load_run(run_folder)
    plot = row_outcomes(run.schemes)
    ends = [bar.get_x() + bar.get_width() for bar in plot.figure.axes[0].containers[-1]]
    assert ends == pytest.approx([100] * len(run.schemes))
    assert "90.0 %" in plot.sentence  # 9000 of 10,000, as made up
    assert row_outcomes(run.schemes.assign(row_hits=0, row_misses=0, row_conflicts=0)) is None


def test_even_banks_are_one_colour_and_one_bank_that_has_all_is_named():
    keys = {"scheme": "full", "source": "host", "rank": 0, "bankgroup": 0, "cmd": "RD", "channel": 0}
    even = pd.DataFrame([keys | {"bank": bank, "count": 5} for bank in range(4)])
    assert banks(even).sentence.startswith("The busiest bank has 1.00 times")
    assert set(banks(even).figure.axes[0].images[0].get_array().ravel()) == {1.0}
    uneven = banks(even.assign(count=[20, 0, 0, 0])).sentence
    assert uneven.startswith("The busiest bank has 4.00 times the accesses of the mean bank (full, by host)")
    assert banks(even[:0]) is None


def test_the_images_of_a_map_are_selected_ones_of_every_class_and_small():
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (60, 100, 50, 3), dtype=np.uint8)
    labels, selected = np.arange(60) % 3, np.arange(0, 60, 2)
    embedding = rng.normal(size=(60, 2))
    seen = pictures(images, embedding, labels, selected)
    assert set(seen["pictured"]) <= set(selected) and len(set(seen["pictured"])) == 3 * PICTURES
    assert max(seen["pictures"].shape[1:3]) <= PIXELS
    assert (seen["pictures"][0][0, 0] == images[seen["pictured"][0]][0, 0]).all()
    plot = selection_map({"embedding": embedding, "labels": labels, "selected": selected} | seen)
    drawn = ElementTree.fromstring(plot.svg_file()).iter(f"{SVG}image")
    assert sum(1 for _ in drawn) >= 3  # at least one a class; those that would cover another are left out
    assert plot.sentence.endswith("50.0 % (least) to 50.0 % (most) of a class are selected.")


def test_of_more_classes_or_images_than_can_be_drawn_a_stated_part_is_in_the_map(monkeypatch):
    monkeypatch.setattr("nmsim.report.selection_map.MOST", 50)
    labels, selected = np.arange(400) % 20, np.arange(0, 400, 4)
    plot = selection_map({"embedding": np.random.default_rng(1).normal(size=(400, 2)), "labels": labels,
                          "selected": selected})  # fmt: skip
    assert len(plot.data) == 50 and (plot.data["label"] < 15).all()
    assert (plot.data["selected"] == np.isin(plot.data["image"], selected)).all()
    assert plot.sentence.endswith(
        "the first 15 of 20 classes are drawn; of their 300 images every 6th is drawn."
    )


def test_a_figure_s_svg_file_says_what_it_shows_and_each_mark_its_value(run_folder: Path):
    plot = plots.energy_breakdown(frames.energy_by_component(frames.trace_sums(run_folder)))
    root = ElementTree.fromstring(plot.svg_file())
    assert root.find(f"{SVG}desc").text == plot.sentence
    said = {title.text for title in root.iter(f"{SVG}title")}
    assert any(text.startswith("random: SoC static, ") and text.endswith("mJ") for text in said)
    assert plot.svg().count("<title>") == len(list(root.iter(f"{SVG}title"))) - 1


def test_the_timeline_shows_the_first_single_commands_of_both_sides(run_folder: Path):
    sums = frames.trace_sums(run_folder)
    plot = timeline(sums, run_folder)
    data = plot.data
    # Both sides of de-sne read images for their features; 40 single accesses, one every 5 ns, fit in 300 ns.
    assert set(zip(data["scheme"], data["phase"], data["source"], strict=True)) == {
        ("de-sne@nmc", "features", "nmc"),
        ("de-sne@host", "features", "host"),
    }
    assert (
        data.groupby("source")["t_ps"].agg(["min", "max", "size"]).to_numpy().tolist()
        == [[0, 195_000, 40]] * 2
    )
    drawn = sum(len(part.get_paths()) for ax in plot.figure.axes for part in ax.collections)
    assert drawn == len(data)
    # 40 accesses of 32 bytes in 300 ns.
    assert plot.sentence.count("moves 1.28 kB in") == 2 and plot.sentence.count("(4.27 GB/s)") == 2
    assert timeline(sums.assign(array=""), run_folder) is None


def test_no_phase_stands_above_its_roof_and_each_says_what_bounds_it(run_folder: Path):
    run = load_run(run_folder)
    data = phase_work(run)
    assert set(data["side"]) == {"host", "nmc"} and (data["operations_per_byte"] == 10).all()
    # Ten operations a byte: 12.8 GB/s feed 128 of the NPU's 500 Gop/s; the units' 50 need 5 of 100 GB/s.
    roofs = data.groupby("side")[["roof_operations_per_s", "bound"]].first()
    assert roofs.loc["host"].tolist() == [pytest.approx(128e9), "memory"]
    assert roofs.loc["nmc"].tolist() == [pytest.approx(50e9), "units"]
    assert (data["operations_per_s"] <= data["roof_operations_per_s"]).all()
    said = roofline(run).sentence
    assert "on the host “training”, to " in said and "(memory)" in said
    run.summary.pop("peaks")
    assert roofline(run) is None


def test_work_of_the_cores_is_bound_by_the_cores(run_folder: Path):
    run = load_run(run_folder)
    work = run.summary["schemes"]["full"]["phases"]["training"]["work"]["host"]
    work["cpu_operations"] = work["operations"] // 2
    row = phase_work(run).query("scheme == 'full' and side == 'host'").iloc[0]
    # Half of the operations on cores of 16 Gop/s: 32 Gop/s of both kinds, below what memory or NPU allow.
    assert row["bound"] == "CPU" and row["roof_operations_per_s"] == pytest.approx(32e9)


def test_latency_over_bandwidth_says_what_is_reached_before_the_memory_saturates():
    common = {"read_fraction": 1.0, "random_share": 0.5, "read_ci95_ns": 1.0, "read_p99_ns": 90.0}
    common |= {f"write_{name}_ns": np.nan for name in ("mean", "ci95", "p99")}
    points = pd.DataFrame(
        [
            common | {"rate": 0.2, "achieved_GBps": 2.0, "saturated": False, "read_mean_ns": 30.0},
            common | {"rate": 0.8, "achieved_GBps": 5.0, "saturated": False, "read_mean_ns": 60.0},
            common | {"rate": 1.5, "achieved_GBps": 5.5, "saturated": True, "read_mean_ns": 900.0},
        ]
    )
    plot = loaded_latency(points, {"peak": 6.4}, {"hit": 20.0, "miss": 40.0}, "a memory")
    assert plot.sentence == (
        "Before it saturates the memory reaches 5 of 6.4 GB/s (with 100% reads, 50% random); a read then "
        "takes 60 ns on average, 3 times a lone read of an open row."
    )


def test_a_users_settings_of_matplotlib_change_no_figure():
    import matplotlib

    def drawn() -> str:
        table = pd.DataFrame({"scheme": ["full"], **{f"{layer}_fJ": [10**12] for layer in LAYERS}})
        return plots.layers(table).svg()

    before = drawn()
    theirs = {"text.usetex": True, "font.family": "serif", "lines.linewidth": 9.0, "axes.grid": True}
    with matplotlib.rc_context(theirs):
        assert drawn() == before
        assert {name: matplotlib.rcParams[name] for name in theirs} == theirs | {"font.family": ["serif"]}
