"""Does a comparison put every method beside random, and go on where it was?"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from nmsim.cli.app import app
from nmsim.report.comparison import COLUMNS, degradation, markdown

BOARDS = Path(__file__).parents[2] / "hw_configs"
SMALL = ["dataset.name=digits", "training.network=softmax", "training.epochs=1", "training.min_steps=0"]
SMALL += ["simulation.samples=100", "selection.methods={dq: {network_epochs: 1}}"]


def compare(out, *words):
    sets = [word for text in SMALL for word in ("--set", text)]
    result = CliRunner().invoke(
        app, ["compare", str(BOARDS / "lpddr4.yaml"), *sets, "--out", str(out), *words]
    )
    return result


def compared(out, network):
    words = ("--keep", "0.1", "--network", network, "--scheme", "dq@host", "--seeds", "2", "--json")
    result = compare(out, *words)
    assert result.exit_code == 0, result.output
    return out, words, json.loads(result.stdout)["rows"]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return compared(tmp_path_factory.mktemp("compare"), "softmax")


def test_a_comparison_leaves_its_table_its_text_and_its_figures(done):
    out, _, rows = done
    assert [(r["scheme"], r["keep_ratio"]) for r in rows] == [
        ("full", 1.0),
        ("random", 0.1),
        ("dq@host", 0.1),
    ]
    assert list(pd.read_csv(out / "comparison.csv").columns) == list(COLUMNS)
    assert (out / "plots" / "accuracy_ratio.png").exists() and (out / "comparison.md").exists()


@pytest.mark.slow
def test_every_network_has_random_and_every_method_with_each_selecting_network(tmp_path):
    found = {(r["network"], r["scheme"], r["selected_with"]) for r in compared(tmp_path, "softmax,mlp")[2]}
    each = (("full", ""), ("random", ""), ("dq@host", "softmax"), ("dq@host", "mlp"))
    assert found == {(network, *which) for network in ("softmax", "mlp") for which in each}


def test_the_difference_to_random_is_that_of_the_means(done):
    rows = pd.DataFrame(done[2])
    for _, of_run in rows[rows["scheme"] != "full"].groupby(["network", "keep_ratio"]):
        random = of_run[of_run["scheme"] == "random"]["accuracy_mean"].item()
        for row in of_run[of_run["scheme"] != "random"].itertuples():
            assert row.gain == pytest.approx(row.accuracy_mean - random)


def test_a_comparison_that_stands_there_is_read_and_not_run_again(done):
    out, words, rows = done
    before = {path: path.stat().st_mtime_ns for path in out.glob("*/manifest.json")}
    assert json.loads(compare(out, *words).stdout)["rows"] == rows
    assert {path: path.stat().st_mtime_ns for path in out.glob("*/manifest.json")} == before


def test_the_loss_by_another_network_is_the_difference_to_the_one_that_is_trained():
    common = dict.fromkeys(COLUMNS, np.nan) | {"scheme": "dq@host", "keep_ratio": 0.1, "seeds": 3}
    cells = [("a", "a", 0.9), ("a", "b", 0.8), ("b", "b", 0.7), ("b", "a", 0.75)]
    table = pd.DataFrame(
        [common | {"network": n, "selected_with": s, "accuracy_mean": x} for n, s, x in cells]
    )
    losses = degradation(table).set_index("selected_with")["loss"]
    assert losses["b"] == pytest.approx(0.1) and losses["a"] == pytest.approx(-0.05)


def test_a_scheme_that_loses_stands_in_the_table(done):
    text = markdown(
        pd.read_csv(done[0] / "comparison.csv", keep_default_na=True).fillna({"selected_with": ""})
    )
    assert text.count("| `random` |") == 1 and text.count("`dq@host (softmax)`") == 1


@pytest.mark.parametrize("keep", ["0,0.1", "1.5", "a", "0.1,0.1"])
def test_shares_that_cannot_be_meant_are_refused(tmp_path, keep):
    result = compare(tmp_path, "--keep", keep)
    assert result.exit_code == 2 and "different shares above 0" in result.output
