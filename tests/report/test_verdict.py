"""Do the sentences say what the numbers say, whichever way they fall?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from made_up_run import make_run

from nmsim.report import frames, verdict
from nmsim.report.accuracy import accuracy_energy
from nmsim.report.html import render
from nmsim.report.outputs import run_figures
from nmsim.report.run import load_run, outside_bands
from nmsim.report.tornado import tornado

OUTSIDE = "Some figures lie outside their own band"


def _table(gain_points: float, energy_ratio: float, seeds: int = 3, sd: float = 0.01) -> pd.DataFrame:
    common = {"kept": 100, "seeds": seeds, "accuracy_sd": sd}
    rows = [
        {"scheme": "random", "accuracy_mean": 0.8, "system_energy_fJ": 1000} | common,
        {"scheme": "s@nmc", "accuracy_mean": 0.8 + gain_points / 100, "system_energy_fJ": 1000 * energy_ratio}
        | common,
    ]
    return pd.DataFrame(rows).set_index("scheme")


@pytest.mark.parametrize(
    ("gain_points", "energy_ratio", "said"),
    [
        # The spread is 1 + 1 = 2 points.
        (+3.0, 1.5, "s@nmc beats random by 3.0 points of accuracy, at the price of 1.50 times"),
        (+3.0, 0.5, "s@nmc beats random by 3.0 points of accuracy, and takes only 0.50 times"),
        (+1.9, 1.5, "random is the better choice"),
        (-1.9, 0.5, "it is the cheaper choice"),
        (-3.0, 1.5, "Random wins: it is 3.0 points more accurate than s@nmc, and is cheaper too"),
        (-3.0, 0.5, "Random wins: it is 3.0 points more accurate than s@nmc, though s@nmc takes 0.50 times"),
    ],
)
def test_the_comparison_with_random_follows_accuracy_and_energy(gain_points, energy_ratio, said):
    assert said in verdict.against_random(_table(gain_points, energy_ratio), "s@nmc")


def test_a_single_seed_proves_nothing():
    said = verdict.against_random(_table(5.0, 1.5, seeds=1, sd=0.0), "s@nmc")
    assert "single seed" in said
    assert "beats" not in said


def test_subsets_of_different_sizes_are_not_compared():
    table = _table(5.0, 1.5)
    table.loc["s@nmc", "kept"] = 200
    assert "not compared" in verdict.against_random(table, "s@nmc")


def test_the_headline_gives_each_layer_the_saving_that_its_ratio_means(run_folder: Path):
    run = load_run(run_folder)
    row = run.schemes.set_index("scheme").loc["de-sne@nmc"]
    said = verdict.headline(run)
    for layer, title in verdict.LAYERS.items():
        saved = verdict.format_share(1 - row[f"ratio_{layer}"])
        assert f"{saved} less {title} energy" in said
    # 89.7 % against 96.2 % in the made-up run.
    assert "6.5 points less accurate (89.7 ± 0.5 % against 96.2 ± 0.2 %)" in said


def test_a_scheme_that_costs_more_than_full_is_not_called_a_saving(run_folder: Path):
    run = load_run(run_folder)
    run.schemes.loc[run.schemes["scheme"] == "de-sne@nmc", "ratio_ddr_energy"] = 1.25
    assert "25.0 % more all DDR energy" in verdict.headline(run)


def test_never_breaking_even_is_said(run_folder: Path):
    run = load_run(run_folder)
    run.schemes["break_even_system_energy_epochs"] = float("nan")
    assert any("never (whole system)" in text for text in verdict.findings(run))


def test_a_saving_that_holds_on_every_drawn_board_is_said_to_hold(run_folder: Path):
    # In the made-up run a ratio goes up to 1.2 times what it is.
    run = load_run(run_folder)
    ratio = run.schemes.set_index("scheme").loc["de-sne@nmc", "ratio_ddr_energy"]
    said = verdict.survival(run, "de-sne@nmc")[0]
    assert f"×{ratio / 1.2:.3g} to ×{ratio * 1.2:.3g} of full's all DDR energy, less on all of them" in said
    assert said.endswith("No sign depends on what is not known.")


def test_a_saving_that_some_drawn_boards_do_not_have_is_called_open(tmp_path: Path):
    run = load_run(make_run(tmp_path / "run", images=100, spread=20.0))
    said = verdict.survival(run, "de-sne@nmc")[0]
    assert "whole system energy, less on 25 %" in said
    assert "Whether it saves" in said and "depends on values that are not known" in said


def test_a_stated_value_outside_its_band_is_explained(run_folder: Path):
    run = load_run(run_folder)
    run.schemes["ratio_ddr_energy"] *= 1.3
    said = verdict.survival(run, "de-sne@nmc")[0]
    assert "the ratio of all DDR lies outside its band" in said


def test_a_run_that_drew_no_boards_says_nothing_about_them(tmp_path: Path):
    run = load_run(make_run(tmp_path / "run", images=100, spread=None))
    assert run.bands.empty and not verdict.survival(run, "de-sne@nmc")
    assert tornado(run, "de-sne@nmc") is None


@pytest.mark.parametrize(
    "schemes", [("full",), ("random",), ("full", "random"), ("de-sne@nmc",), ("full", "k-center@host")]
)
def test_any_set_of_schemes_has_a_verdict(tmp_path: Path, schemes: tuple[str, ...]):
    run = load_run(make_run(tmp_path / "run", schemes=schemes, images=100))
    assert verdict.headline(run).endswith(".")
    assert all(text.endswith(".") for text in verdict.findings(run))


@pytest.mark.parametrize("schemes", [("full",), ("de-sne@nmc",)])
def test_every_figure_says_something_whatever_the_schemes(tmp_path: Path, schemes: tuple[str, ...]):
    run = load_run(make_run(tmp_path / "run", schemes=schemes, images=100))
    assert all(figure.sentence.endswith(".") for figure in run_figures(run, frames.trace_sums(run.path)))


def test_the_schemes_that_none_beats_are_the_pareto_front(run_folder: Path):
    # random is cheapest, full most accurate, de-sne@nmc between; @host costs more at the same accuracy.
    run = load_run(run_folder)
    said = accuracy_energy(run).sentence
    assert said.endswith("at once: full, random, de-sne@nmc.")


@pytest.mark.parametrize(
    ("share", "text"), [(0.1, "10.0 %"), (0.0042, "0.42 %"), (0, "0 %"), (1, "100.0 %"), (12.3, "1,230 %")]
)
def test_shares_are_readable(share: float, text: str):
    assert verdict.format_share(share) == text


@pytest.mark.parametrize(
    ("schemes", "main"),
    [
        (["full", "random", "a@nmc", "de-sne@nmc", "de-sne@host"], "de-sne@nmc"),
        (["full", "random", "de-sne@host", "a@nmc"], "a@nmc"),
        (["random", "full", "a@host"], "a@host"),
        (["full", "random"], "random"),
        (["full"], None),
    ],
)
def test_the_headline_is_about_a_selection_near_memory_where_there_is_one(schemes, main):
    assert verdict.main_scheme(schemes) == main


def test_every_method_of_a_run_is_compared_with_random(tmp_path):
    schemes = ("full", "random", "a@nmc", "a@host", "b@host")
    run = load_run(make_run(tmp_path / "run", schemes=schemes))
    said = verdict.findings(run)
    assert [sum("random" in text and f"{method}@" in text for text in said) for method in "ab"] == [1, 1]
    assert sum("The selection of a takes" in text for text in said) == 1


def test_a_page_says_where_a_stated_figure_lies_outside_its_band(run_folder):
    run = load_run(run_folder)
    assert outside_bands(run).empty and OUTSIDE not in render(run, [], None)
    lower = run.bands.assign(p95=run.bands["p95"].where(run.bands["quantity"] != "ddr_energy_fJ", 1.0))
    beyond = replace(run, bands=lower)
    assert set(outside_bands(beyond)["quantity"]) == {"ddr_energy_fJ"}
    assert OUTSIDE in render(beyond, [], None)


def test_the_tornado_stars_the_values_whose_range_is_assumed(run_folder: Path):
    run = load_run(run_folder)
    factor = run.summary["uncertainty"]["tornado"]["de-sne@nmc"]["ddr_energy"][0]["factor"]
    run.summary["assumed"] = [factor]
    plot = tornado(run, "de-sne@nmc")
    labels = {label.get_text() for ax in plot.figure.axes for label in ax.get_yticklabels()}
    assert {label for label in labels if label.endswith("*")} == {f"{factor} *"}
    assert set(plot.data["factor"][plot.data["assumed"]]) == {factor}
