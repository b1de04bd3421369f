"""Do currents fall with what is awake, at the data sheet's values and at both ends of their ranges?"""

from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from nmsim.config.load import load_config, read_extended
from nmsim.config.memory import Memory
from nmsim.dram.spec import IO_RAIL
from nmsim.energy.rails import stated_rails
from nmsim.errors import ConfigError
from nmsim.system.board_checks import check_board

BOARDS = Path(__file__).parents[2] / "hw_configs"
PRESETS = sorted(BOARDS.glob("presets/memory-*.yaml"))


@pytest.mark.parametrize("end", ["low", "value", "high"])
@pytest.mark.parametrize("preset", PRESETS, ids=lambda p: p.stem)
def test_a_presets_currents_fall_with_what_is_awake_all_over_their_ranges(preset, end):
    # One bank open and cycled > one bank open > all closed > power-down. What lies between two ends that are
    # in order, moved together, is in order too. LPDDR4's VDD1 has ties; VDDQ draws the same in all states.
    memory = Memory.model_validate(read_extended(preset)[0]["memory"])
    core = [rail for name, rail in stated_rails(memory, end).items() if name != IO_RAIL]
    open_one = "IDD3N1" if all("IDD3N1_A" in rail for rail in core) else "IDD3N"
    for more, less in pairwise(("IDD0", open_one, "IDD2N", "IDD2P")):
        steps = [rail[f"{more}_A"] - rail[f"{less}_A"] for rail in core]
        assert min(steps) >= 0 and max(steps) > 0


@pytest.mark.parametrize("preset", PRESETS, ids=lambda p: p.stem)
def test_a_preset_makes_a_board(preset, tmp_path):
    # The link is LPDDR4's, which is not the memory's business.
    parts = [preset, *BOARDS.glob("presets/[!m]*.yaml")]
    tree = {
        "extends": [str(part) for part in parts],
        "link": read_extended(BOARDS / "lpddr4.yaml")[0]["link"],
    }
    (tmp_path / "board.yaml").write_text(yaml.safe_dump(tree))
    check_board(load_config(tmp_path / "board.yaml"))


@pytest.mark.parametrize(
    ("currents", "words"),
    [
        # VDD2: IDD0 45 > IDD3N 30 > IDD2N 27 > IDD2P 3 mA.
        ("IDD0: {value: 29, unit: mA, range: [29, 30]}", "IDD0 must be above IDD3N on the rail VDD2"),
        ("IDD2N: {value: 31, unit: mA, range: [10, 31]}", "IDD3N must be above IDD2N on the rail VDD2"),
        ("IDD2P: {value: 28, unit: mA, range: [5, 28]}", "IDD2N must be above IDD2P on the rail VDD2"),
        # IDD3N goes down to 11 mA.
        (
            "IDD2N: {value: 27, unit: mA, range: [12, 27]}",
            "at the low ends of the ranges, IDD3N must be above",
        ),
        (
            "IDD2N: {value: 27, unit: mA, range: [9, 31]}",
            "at the high ends of the ranges, IDD3N must be above",
        ),
    ],
)
def test_currents_out_of_order_are_refused_where_they_are_written(tmp_path, currents, words):
    path = tmp_path / "board.yaml"
    rail = f"VDD2:\n      source: made up\n      {currents}\n"
    path.write_text(f"extends: {BOARDS / 'lpddr4.yaml'}\nmemory:\n  rails:\n    {rail}")
    with pytest.raises(ConfigError) as caught:
        check_board(load_config(path))
    assert words in str(caught.value) and str(caught.value).startswith(f"{path}:6: ")
