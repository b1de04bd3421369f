"""Do the closed form and the simulation of all-pairs distances agree, and does the form obey its laws?"""

import json

import numpy as np
import pytest
from board_samples import BOARDS
from typer.testing import CliRunner

from nmsim.cli.app import app
from nmsim.config import load_config
from nmsim.system.crossover import simulated
from nmsim.system.distance_formula import Formula, Problem
from nmsim.system.parts import dram_spec

SMALL = Problem(records=400, values=192, neighbours=30)


def formula(config):
    spec = dram_spec(config.memory)
    return Formula(config, spec)


# Tiles of a few records on 128 units are mostly waiting for rows and buses, which the formula only sums up.
@pytest.mark.parametrize(
    ("name", "queries"),
    [("lpddr4", q) for q in (4, 16, 64, 200)] + [("ddr4_2400", q) for q in (16, 64, 200)],
)
def test_near_memory_the_simulation_gives_what_the_formula_says(name, queries):
    config = load_config(BOARDS / f"{name}.yaml")
    found, expected = simulated(config, SMALL, "nmc", queries), formula(config).near(SMALL, queries)
    assert found.ddr_fJ == pytest.approx(expected.ddr_fJ, rel=0.07)
    assert found.total_fJ == pytest.approx(expected.total_fJ, rel=0.07)
    assert found.time_ps == pytest.approx(expected.time_ps, rel=0.15)


@pytest.mark.parametrize("number_format", ["int8", "fp32"])
def test_on_the_host_the_simulation_gives_what_the_formula_says(number_format):
    config = load_config(BOARDS / "lpddr4.yaml", [f"near_memory.format={number_format}", "soc.sram=32 KiB"])
    found, expected = simulated(config, SMALL, "host"), formula(config).host(SMALL)
    # Tiles of unequal length: the first load and the last lists are longer than the mean tile's.
    assert found.total_fJ == pytest.approx(expected.total_fJ, rel=0.07)
    assert found.time_ps == pytest.approx(expected.time_ps, rel=0.20)


def test_the_crossing_is_the_first_buffer_with_which_near_memory_costs_no_more():
    config = load_config(BOARDS / "hbm2.yaml", ["near_memory.clock=1 GHz"])
    form, problem = formula(config), Problem(4000, 3072, 90)
    host = form.host(problem).ddr_fJ
    q = form.crossing(problem, "ddr_fJ")
    assert 1 < q < 4000
    assert form.near(problem, q).ddr_fJ <= host < form.near(problem, q - 1).ddr_fJ


def test_the_stream_shrinks_as_one_over_q():
    # Reads beside the bank dominate for few queries: twice the queries, half the bytes that stream past.
    config = load_config(BOARDS / "lpddr4.yaml", ["near_memory.clock=1000 GHz"])  # operations take no time
    form, problem = formula(config), Problem(100_000, 3072, 90)
    energy = [form.near(problem, q).ddr_fJ for q in (1, 2, 4)]
    assert np.array(energy[1:]) / energy[:-1] == pytest.approx([0.5, 0.5], abs=0.01)


def test_where_near_memory_never_wins_there_is_no_crossing():
    config = load_config(BOARDS / "lpddr4.yaml", ["near_memory.clock=1 MHz"])
    assert formula(config).crossing(SMALL, "time_ps") is None


def test_the_verb_writes_the_figure_and_says_its_sentence(tmp_path):
    arguments = ["crossover", str(BOARDS / "lpddr4.yaml"), "--records", "80", "--values", "64"]
    result = CliRunner().invoke(app, [*arguments, "--json", "--out", str(tmp_path / "x")])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert {p["over"] for p in told["points"]} == {"queries", "records", "values"}
    assert all(p["simulated_total_J"] > 0 for p in told["points"])
    assert told["verdict"].startswith("For 80 records of 64 values a class, near memory costs no more than")
    written = {path.name for path in (tmp_path / "x").iterdir()}
    assert written == {"crossover.png", "crossover.svg", "crossover.csv", "crossover.json"}
