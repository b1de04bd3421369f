"""Is a wrong sweep refused with its line, and does a right one mean what it says?"""

import pytest
from sweep_samples import write_spec
from typer.testing import CliRunner

from nmsim.cli.app import app
from nmsim.errors import ConfigError, ResourceLimitError
from nmsim.sweep.run import planned
from nmsim.sweep.spec_file import read_spec

FIRST = 8  # the line of what is varied


@pytest.mark.parametrize(
    ("what", "line", "says"),
    [
        ("grid: {}\n", FIRST, "nothing to vary"),
        ("grid:\n  near_memory.buffer: []\n", FIRST + 1, "found an empty list"),
        ("grid:\n  near_memory.bufer: [4 KiB]\n", FIRST + 1, "Did you mean buffer"),
        ("grid:\n  near_memory.buffer: [4 KiB, 4 KiB]\n", FIRST + 1, "twice"),
        ("grid:\n  near_memory.buffer: [4 KiB, 8 W]\n", FIRST + 1, "not a unit of size"),
        ("grid:\n  scheme: [k-centre@nmc]\n", FIRST + 1, "Did you mean k-center?"),
        ("grid:\n  config: [no.yaml]\n", None, "no such configuration file"),
        ("gird:\n  seed: [1]\n", FIRST, "Did you mean grid"),
        ("random: {points: 0, over: {seed: [1]}}\n", FIRST, "at least 1"),
        ("random:\n  points: 2\n", FIRST, "random.over: this key is missing"),
        ("random: {points: 2, over: {link.length: {from: 9 mm, to: 1 mm}}}\n", FIRST, "more than 9"),
        ("random: {points: 2, over: {link.length: {from: 9 mm, to: 1 cm}}}\n", FIRST, "same unit"),
        ("search: {trials: 2, energy: all, over: {seed: [1]}}\n", FIRST, "system_energy"),
        ("grid: {seed: [1]}\nsearch: {trials: 2, over: {seed: [1]}}\n", FIRST + 1, "grid and search"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_line(tmp_path, what, line, says):
    path = write_spec(tmp_path, what)
    with pytest.raises(ConfigError) as caught:
        planned(read_spec(path))
    assert says in str(caught.value)
    assert line is None or (str(caught.value.file), caught.value.line) == (str(path), line)


def test_an_enormous_grid_is_refused_before_it_is_made(tmp_path):
    axes = "".join(f"  path.{i}: {list(range(100))}\n" for i in range(20))
    spec = read_spec(write_spec(tmp_path, "grid:\n" + axes))
    assert spec.points == 100**20
    with pytest.raises(ResourceLimitError, match=r"at 2 s a point.*years.*--max-points"):
        spec.check_size(1000, seconds=2.0)


def test_a_grid_has_every_combination_with_the_last_axis_fastest(tmp_path):
    spec = read_spec(write_spec(tmp_path, "grid:\n  seed: [1, 2]\n  link.length: [9 mm, 3 mm]\n"))
    assert [tuple(values.values()) for values in spec.values()] == [
        (1, "9 mm"), (1, "3 mm"), (2, "9 mm"), (2, "3 mm"),
    ]  # fmt: skip


def test_more_random_points_begin_with_the_same_ones_and_stay_in_their_ranges(tmp_path):
    over = "over: {near_memory.buffer: {from: 1 KiB, to: 64 KiB, scale: log}, seed: [3, 4]}"
    few, many = (
        list(read_spec(write_spec(tmp_path, f"random: {{points: {n}, {over}}}\n")).values()) for n in (5, 200)
    )
    assert many[:5] == few
    sizes = [int(values["near_memory.buffer"].removesuffix(" KiB")) for values in many]
    # Even in the logarithm: half of them lie below the geometric mean of 1 and 65, to 3 standard deviations.
    assert min(sizes) >= 1 and max(sizes) <= 64 and abs(sum(s < 65**0.5 for s in sizes) - 100) < 22
    assert {values["seed"] for values in many} == {3, 4}


def test_a_varied_value_is_known_exactly_and_a_fixed_one_is_not(tmp_path):
    spec = write_spec(tmp_path, "grid:\n  link.length: [20 mm]\n")
    spec.write_text(spec.read_text().replace("set:", "set:\n  link.phy: 1 pJ/bit"))
    (point,) = planned(read_spec(spec))
    assert (point.config.link.length.low, point.config.link.length.high) == (20.0, 20.0)
    assert (point.config.link.phy.low, point.config.link.phy.high) == (500.0, 2000.0)


def test_values_that_cannot_be_together_make_a_failed_point(tmp_path):
    grid = "  near_memory.data_placement: [striped, interleaved]\n  scheme: [k-center@host, k-center@nmc]\n"
    points = planned(read_spec(write_spec(tmp_path, f"grid:\n{grid}")))
    assert [point.error is None for point in points] == [True, True, True, False]
    assert "interleaved" in points[3].error


def test_the_scheme_of_a_search_is_looked_for_before_anything_is_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "config: lpddr4\nsearch:\n  trials: 2\n  scheme: de-sny@nmc\n  over: {seed: [1, 2]}\n"
    (tmp_path / "sweep.yaml").write_text(text)
    for more in (["--dry-run"], ["--out", "out"]):
        result = CliRunner().invoke(app, ["sweep", "sweep.yaml", *more])
        assert result.exit_code == 2 and "sweep.yaml:4: search.scheme" in result.stderr
        assert "Did you mean de-sne@nmc?" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.yaml"]
