"""Are runs told apart, compared where they can be, and refused where they cannot?"""

from __future__ import annotations

import json
import math
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_up_run import make_run
from typer.testing import CliRunner

from nmsim.cli.app import app
from nmsim.errors import DataError
from nmsim.report.run_comparison import (
    accuracy_of_runs,
    all_schemes,
    cautions,
    differences,
    headline,
    load_runs,
    ratios,
    render_runs,
    schemes_table,
)

EVIL = '<img src=x onerror=alert(1)>"'


def _edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Two runs: with a link of 30 mm and of 60 mm, the second without de-sne@host."""
    less = ("full", "random", "de-sne@nmc")
    second = make_run(tmp_path / "b", images=300, length_mm=60, schemes=less, with_trace=False)
    _edit(second / "summary.json", name=EVIL)
    return [make_run(tmp_path / "a", images=200, with_trace=False), second]


def test_runs_of_one_name_are_told_apart_by_hash_and_else_by_folder(tmp_path: Path):
    one, two = (make_run(tmp_path / name, schemes=("full",), images=50) for name in "ab")
    assert list(load_runs([one, two])) == [str(one), str(two)]
    _edit(two / "summary.json", hash="cd" * 32)
    assert list(load_runs([one, two])) == ["lpddr4-abababab", "lpddr4-cdcdcdcd"]
    _edit(two / "summary.json", name="other")
    assert list(load_runs([one, two])) == ["lpddr4", "other"]


def test_only_settings_that_differ_are_listed_with_their_ranges(folders: list[Path]):
    rows = differences(load_runs(folders)).rows
    assert [row[0].text for row in rows] == ["link.length", "schemes"]
    assert [(cell.text, cell.note) for cell in rows[0][1:]] == [
        ("30 mm", "10 to 80 mm"),
        ("60 mm", "10 to 80 mm"),
    ]


def test_every_scheme_of_every_run_stands_in_the_table_and_the_figures(folders: list[Path]):
    runs = load_runs(folders)
    table = all_schemes(runs)
    assert len(schemes_table(runs).rows) == len(table) == 4 + 3
    schemes = list(dict.fromkeys(table["scheme"]))
    (plot,) = accuracy_of_runs(table, schemes)
    assert len(plot.data) == 7
    assert accuracy_of_runs(table.assign(accuracy_mean=math.nan), schemes) == []  # nothing was trained
    (plot,) = ratios(runs, schemes)
    assert len(plot.data) == 3 * (3 + 2)  # three layers, all schemes but full
    for row in plot.data.itertuples():
        stated = runs[row.run].summary["schemes"][row.scheme]["ratio_to_full"][row.layer]
        assert row.ratio_to_full == stated


def test_the_headline_is_about_what_all_runs_have_and_names_the_extremes(folders: list[Path]):
    runs = load_runs(folders)
    said = headline(runs)
    assert said.startswith(
        "What de-sne@nmc takes of the energy of training on everything: dataset DDR from ×"
    )
    assert EVIL in said and "(lpddr4)" in said
    lone = make_run(folders[0].parent / "c", images=50, schemes=("full", "k-center@host"))
    assert headline(load_runs([folders[0], lone])).startswith("These runs have no selection in common")


def test_what_makes_runs_incomparable_is_said_and_another_version_refused(folders: list[Path]):
    assert cautions(load_runs(folders)) == []
    manifest, summary = (folders[1] / name for name in ("manifest.json", "summary.json"))
    _edit(manifest, git_revision="0" * 40)
    _edit(summary, dataset={"sha256": "0" * 64})
    said = " ".join(cautions(load_runs(folders)))
    assert "different data sets" in said and "different revisions" in said
    _edit(manifest, nmsim_version="9.9")
    with pytest.raises(DataError, match=r"another version.*found 9\.9; expected 0\.1\.0"):
        load_runs(folders)


def test_the_page_of_several_runs_is_well_formed_and_takes_names_as_names(folders: list[Path]):
    tags: list[tuple[str, dict]] = []

    class Page(HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.append((tag, dict(attrs)))

    text = render_runs(load_runs(folders))
    Page().feed(text)
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert [tag for tag, _ in tags].count("script") == 1
    assert not [attributes for tag, attributes in tags if tag == "img"]
    assert sum(tag == "svg" for tag, _ in tags) == 2 + 2  # two figures of both, one of each


def test_one_run_gets_its_report_anew_or_a_page_elsewhere(tmp_path: Path):
    folder = make_run(tmp_path / "run", images=50, schemes=("full",), with_map=False)
    elsewhere = CliRunner().invoke(app, ["report", str(folder), "--out", str(tmp_path / "page.html")])
    assert elsewhere.exit_code == 0 and (tmp_path / "page.html").stat().st_size > 10_000
    assert not (folder / "report.html").exists() and not (folder / "plots").exists()
    done = CliRunner().invoke(app, ["report", str(folder), "--json"])
    assert json.loads(done.stdout) == {"path": str(folder / "report.html")}
    assert (folder / "report.html").read_bytes() == (tmp_path / "page.html").read_bytes()
    assert (folder / "plots" / "layers.svg").exists()


@pytest.mark.parametrize(
    ("damage", "code", "said"),
    [
        (lambda run: (run / "manifest.json").unlink(), 2, "this is not a finished run"),
        (lambda run: (run / "summary.json").write_text("{"), 1, "the summary is damaged"),
        (lambda run: (run / "config.resolved.yaml").unlink(), 1, "a file of this run is missing"),
        (lambda run: _edit(run / "manifest.json", nmsim_version="9.9"), 2, "another version"),
    ],
)
def test_what_cannot_be_compared_is_one_line(tmp_path, monkeypatch, damage, code, said):
    monkeypatch.chdir(tmp_path)
    folders = [make_run(tmp_path / name, schemes=("full",), images=50, with_map=False) for name in "ab"]
    damage(folders[1])
    done = CliRunner().invoke(app, ["report", *map(str, folders)])
    assert done.exit_code == code and done.stdout == ""
    assert said in done.stderr and str(folders[1]) in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "comparison.html").exists()
