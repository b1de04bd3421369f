"""Does an error name the key to change, and what was probably meant?"""

from __future__ import annotations

from pathlib import Path

import pytest

from nmsim.config import load_config
from nmsim.errors import ConfigError, closest, suggestion
from nmsim.shipped import board_names, sweep_names
from nmsim.simulation import simulate
from nmsim.sweep.spec_file import read_spec
from nmsim.system.board_checks import check_board


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("near_memory.node_nm", "5"),
        ("soc.npu.node_nm", "90"),
        ("near_memory.data_placement", "interleaved"),
        ("memory.timing.nRCD", "0"),
        ("memory.timing.nCL", "99999999"),
        ("memory.organization.columns", "8"),
        ("memory.controller.address_map", "RoBaXx"),
        ("memory.controller.address_map", "RoRoBa"),
        ("memory.controller.read_queue", "5000"),
        ("memory.rails.VDD2.IDD2N", "0 mA"),
    ],
)
def test_a_refused_value_is_called_by_its_key_whatever_finds_it(key, value):
    override = f"{key}={value}"
    with pytest.raises(ConfigError) as caught:
        check_board(load_config("lpddr4", [override]))
    assert caught.value.file == f"--set {override}"
    assert caught.value.message.startswith(key)


def test_each_name_is_nearest_to_itself_whatever_its_capitals_and_dashes():
    known = [*board_names(), *sweep_names(), "nRCD", "nRPpb"]
    for name in known:
        assert closest(name.upper().replace("_", "-"), known) == name
    assert suggestion("nRPbp", known) == "Did you mean nRPpb?"
    assert suggestion("…", known) is None


def test_a_misspelt_board_is_answered_with_the_one_that_is_meant(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"Did you mean lpddr4[?]"):
        load_config("lpdr4")
    with pytest.raises(ConfigError, match="Check the name"):  # one's own folders hold one's own files
        load_config(Path("mine") / "lpdr4.yaml")


def test_a_misspelt_name_is_answered_with_one_of_its_kind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in sweep_names():
        with pytest.raises(ConfigError) as of_sweep:
            read_spec(f"{name}x")
        with pytest.raises(ConfigError) as of_board:
            load_config(f"{name}x")
        assert f"Did you mean {name}?" in str(of_sweep.value)
        assert not any(f"mean {other}?" in str(of_board.value) for other in sweep_names())


@pytest.mark.parametrize("path", [None, {}, 3, ["lpddr4"]])
def test_a_configuration_is_loaded_from_a_path(path):
    with pytest.raises(ConfigError, match="loaded from a file"):
        load_config(path)


@pytest.mark.parametrize("overrides", [None, "seed=1", [None], {"seed": 1}, [b"seed=1"]])
def test_overrides_are_a_list_of_texts(overrides):
    with pytest.raises(ConfigError, match="a list of texts"):
        load_config("lpddr4", overrides)


@pytest.mark.parametrize("value", ["true", "false"])
def test_the_keep_ratio_is_a_number(value):
    with pytest.raises(ConfigError, match="keep_ratio: expected a number"):
        load_config("lpddr4", [f"selection.keep_ratio={value}"])


@pytest.mark.parametrize("given", ["lpddr4", None, {}])
def test_a_run_needs_a_configuration_and_a_folder(given):
    with pytest.raises(ConfigError, match="needs a configuration"):
        simulate(given)
    with pytest.raises(ConfigError, match="needs a folder"):
        simulate(load_config("lpddr4"), out=None)
