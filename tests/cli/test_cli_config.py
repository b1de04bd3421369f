"""Do `config show`, `check` and `schema` say what a configuration is?"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import jsonschema
import pytest

from nmsim.config import config_hash, load_config
from nmsim.config.schema import quantities


def test_what_show_prints_is_the_same_configuration(nmsim, lpddr4, tmp_path):
    shown = nmsim("config", "show", lpddr4, "--set", "seed=9")
    (tmp_path / "shown.yaml").write_text(shown.stdout)
    again = load_config(tmp_path / "shown.yaml")
    assert shown.exit_code == 0 and again.seed == 9
    assert config_hash(again) == config_hash(load_config(lpddr4, ["seed=9"]))


def test_show_as_json_conforms_to_the_schema(nmsim, nmsim_json, lpddr4):
    schema = json.loads(nmsim("config", "schema").stdout)
    jsonschema.validate(nmsim_json("config", "show", lpddr4), schema)


@pytest.mark.parametrize("board", sorted((Path(__file__).parents[2] / "hw_configs").glob("*.yaml")), ids=str)
def test_every_board_that_comes_with_nmsim_is_in_order(nmsim_json, board):
    found = nmsim_json("config", "check", board)
    digest = config_hash(load_config(board))
    assert found == {"file": str(board), "ok": True, "hash": digest, "problems": []}


def test_check_lists_every_problem_with_its_place(nmsim, lpddr4, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(f"extends: {lpddr4}\nsedd: 1\nlink: {{length: 3 V}}\nschemes: [all]\n")
    result = nmsim("config", "check", path)
    assert result.exit_code == 2 and result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 3 and all(line.startswith("nmsim: error: ") for line in lines)
    for number, words in ((2, "Did you mean seed?"), (3, "length: 'V' is not a unit"), (4, "schemes.0")):
        assert sum(f"{path}:{number}: " in line and words in line for line in lines) == 1


def test_check_as_json_still_fails(nmsim, lpddr4):
    result = nmsim("config", "check", lpddr4, "--set", "seed=x", "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 2 and not found["ok"] and found["hash"] is None and len(found["problems"]) == 1


def test_sources_lists_every_physical_value_with_where_it_was_written(nmsim_json, lpddr4):
    option = "link.length=60 mm"
    found = {row["path"]: row for row in nmsim_json("config", "sources", lpddr4, "--set", option)}
    config = load_config(lpddr4, [option])
    assert list(found) == list(quantities(config))
    for path, row in found.items():
        quantity = quantities(config)[path]
        assert (row["value"], row["unit"], row["source"]) == (quantity.value, quantity.unit, quantity.source)
        assert row["low"] <= row["value"] <= row["high"] and row["assumed"] == quantity.assumed
        if path != "link.length":
            # The line names the value's key; on one line with others, or alone.
            assert path.rsplit(".", 1)[-1] in Path(row["file"]).read_text().splitlines()[row["line"] - 1]
    length = found["link.length"]
    assert (length["file"], length["line"]) == (f"--set {option}", None)
    assert length["source"] == "set on the command line" and length["assumed"]


def test_sources_prints_the_same_values_as_table_csv_and_json(nmsim, nmsim_json, lpddr4):
    listed = nmsim_json("config", "sources", lpddr4, "--assumed")
    everything = nmsim_json("config", "sources", lpddr4, "--format", "json")
    assert listed == [row for row in everything if row["assumed"]] and 0 < len(listed) < len(everything)
    table = nmsim("config", "sources", lpddr4, "--assumed").stdout
    counts = f"{len(everything)} values, {len(listed)} of them assumed"
    assert table.splitlines()[-1] == counts and table.count(" assumed ") >= len(listed)
    found = nmsim("config", "sources", lpddr4, "--assumed", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(found.stdout)))
    assert rows == [{key: str(value) for key, value in row.items()} for row in listed]
    assert found.stderr == f"nmsim: {counts}\n"


def test_impossible_timings_are_refused_where_they_were_written(refused, lpddr4, tmp_path):
    # nRC >= nRAS + nRP: a row must be restored and precharged before the next (JESD209-4).
    option = refused("config", "check", lpddr4, "--set", "memory.timing.nRC=20")
    assert "--set memory.timing.nRC=20: impossible timing" in option and "nRC >= nRAS" in option
    board = tmp_path / "board.yaml"
    board.write_text(f"extends: {lpddr4}\nmemory:\n  timing:\n    nRC: 20\n")
    assert f"{board}:4: impossible timing" in refused("config", "check", board)


def test_a_rail_without_a_current_is_named_with_its_line_and_all_that_it_needs(refused, lpddr4, tmp_path):
    board = tmp_path / "board.yaml"
    rail = "  rails:\n    VDDX: {source: x, voltage: 1.1 V, IDD0: 45 mA, IDD2N: 27 mA}\n"
    board.write_text(f"extends: {lpddr4}\nmemory:\n{rail}")
    line = refused("config", "check", board)
    assert f"{board}:4: rail VDDX lacks IDD2P, IDD3N, IDD3P, IDD4R, IDD4W, IDD5B, IDD6" in line
    assert "A rail gives IDD0, IDD2N, IDD2P" in line


@pytest.mark.parametrize("verb", [["config", "check"], ["run"], ["compare"], ["probe"]], ids=" ".join)
def test_a_network_that_its_backend_does_not_train_is_refused_where_it_is_named(
    refused, lpddr4, tmp_path, verb
):
    board = tmp_path / "board.yaml"
    board.write_text(f"extends: {lpddr4}\ntraining:\n  network: resnet-18\n")
    line = refused(*verb, board)
    assert f"{board}:3: training.network: resnet-18 is too large for training.backend: numpy" in line
    assert "Choose training.backend: torch" in line


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("sedd=1", "Did you mean seed?"),
        ("seed=x", "expected a whole number"),
        ("link.length=3", "no unit"),
        ("link.length=3 V", "not a unit of length"),
        ("selection.keep_ratio=0", "must be above 0"),
        ("selection.keep_ratio=1.5", "must be at most 1"),
        ("selection.keep_ratio=.nan", "keep_ratio"),
        ("seed", "a.b=value"),
        ("name=../up", "name"),
    ],
)
@pytest.mark.parametrize("verb", [["config", "show"], ["run"]], ids=" ".join)
def test_a_bad_option_is_refused_before_anything_is_done(refused, lpddr4, verb, option, words):
    assert words in refused(*verb, lpddr4, "--set", option)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("seed: 1\nseed: 2\n", "stands twice"),
        ("a: !!python/none x\n", "tag"),
        ("seed: [1\n", "not valid YAML"),
        ("", "mapping"),
        ("extends: absent.yaml\n", "no file"),
    ],
)
def test_a_bad_file_is_refused_before_anything_is_done(refused, tmp_path_factory, text, words):
    path = tmp_path_factory.mktemp("boards") / "bad.yaml"
    path.write_text(text)
    line = refused("run", path)
    assert words in line and f"{path}:" in line


def test_a_clock_set_apart_from_its_counts_is_noted(nmsim, lpddr4, tmp_path):
    told = nmsim("config", "check", lpddr4, "--set", "memory.timing.tCK=833 ps")
    # 6,246 clocks of nREFI, at 833 ps
    assert told.exit_code == 0 and "tCK is 833 ps now" in told.stderr and "each 5.203 µs" in told.stderr
    assert "memory-lpddr4-3200.yaml" in told.stderr and "take its preset" in told.stderr
    assert nmsim("config", "check", lpddr4, "--set", "seed=2").stderr == ""


def test_a_sweep_in_the_place_of_a_board_and_a_board_in_that_of_a_sweep_are_told(refused, lpddr4):
    sweep = str(Path(lpddr4).parent / "sweeps" / "buffer.yaml")
    assert "describes a sweep, and no board" in refused("config", "check", sweep)
    assert "This is a board: nmsim run takes it." in refused("sweep", lpddr4, "--dry-run")
