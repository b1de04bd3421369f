"""Is what comes with nmsim found from anywhere, and a user's own file before it?"""

import pytest

from nmsim import shipped
from nmsim.config import config_hash, load_config
from nmsim.errors import ConfigError
from nmsim.sweep.spec_file import read_spec

BOARDS, SWEEPS = list(shipped.boards()), list(shipped.sweeps())


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_a_board_is_the_same_by_its_name_by_its_path_and_in_full(board):
    assert shipped.named(board.name) == shipped.named(f"hw_configs/{board.name}.yaml") == board.path
    assert shipped.named(board.name.replace("_", "-")) == board.path
    assert board.about.endswith(".")


@pytest.mark.parametrize("sweep", SWEEPS, ids=lambda sweep: sweep.name)
def test_a_sweep_is_found_by_its_name_and_finds_its_board(sweep):
    assert sweep.about.endswith(("?", "."))
    assert read_spec(sweep.name).board.is_file()


def test_no_two_files_have_one_name():
    names = [one.name.replace("_", "-") for one in BOARDS + SWEEPS]
    assert names and len(names) == len(set(names))


def test_every_trace_is_found_by_its_path():
    traces = list(shipped.folder("traces").iterdir())
    assert traces and all(shipped.named(f"traces/{trace.name}") == trace for trace in traces)


def test_extends_takes_the_name_of_a_board(tmp_path):
    mine = tmp_path / "boards" / "mine.yaml"
    mine.parent.mkdir()
    mine.write_text("extends: lpddr4\nnear_memory: {lanes: 3}\n")
    assert config_hash(load_config(mine)) == config_hash(load_config("lpddr4", ["near_memory.lanes=3"]))


def test_a_sweep_takes_the_name_of_a_board(tmp_path):
    (tmp_path / "mine.yaml").write_text("config: lpddr5\ngrid: {near_memory.lanes: [1, 2]}\n")
    assert read_spec("mine.yaml").board == shipped.named("lpddr5")


@pytest.mark.parametrize("name", ["lpddr4", "hw_configs/lpddr4.yaml"])
def test_a_file_of_the_users_own_comes_first(tmp_path, name):
    mine = tmp_path / name
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("name: mine\nextends: lpddr5\n" if "/" in name else "name: mine\nextends: ddr4_2400\n")
    assert load_config(name).name == "mine"


def test_a_folder_is_no_board(tmp_path):
    (tmp_path / "lpddr4").mkdir()
    assert load_config("lpddr4").name == "lpddr4"


@pytest.mark.parametrize("name", ["lpddr", "lpddr4.yaml", "presets", "hw_configs", "elsewhere/lpddr4", ""])
def test_what_is_no_file_and_no_name_is_refused_as_it_was_given(name):
    assert str(shipped.named(name)) == (name or ".")
    with pytest.raises(ConfigError):
        load_config(name)
