"""Are the figures and the page whole, self-contained, safe, and true to the trace?"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from made_up_run import make_run

from nmsim.energy.components import COMPONENTS
from nmsim.energy.layers import LAYERS
from nmsim.errors import NmsimError, TraceFormatError
from nmsim.report import frames, plots
from nmsim.report.canvas import GROUPS, SCHEMES, css_colours, scheme_style
from nmsim.report.html import checks, render, scaled, tight
from nmsim.report.outputs import draw, write_outputs
from nmsim.report.run import load_run
from nmsim.report.selection_map import selection_map

FIGURES = {"layers", "accuracy_energy", "energy_breakdown", "energy_phases", "phases", "selection_map"}
FIGURES |= {"row_outcomes", "banks", "tornado", "timeline", "roofline"}
KINDS = ("png", "svg", "csv")
PNG = b"\x89PNG\r\n\x1a\n"


class _Page(HTMLParser):
    """Collects tags, attributes and ids; complains about tags that are not closed."""

    VOID = ("meta", "br", "hr", "img", "link", "input")

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    folder = make_run(tmp_path_factory.mktemp("runs") / "lpddr4-abababab", images=500)
    write_outputs(folder)
    return folder


def test_a_run_gets_pictures_and_a_table_of_every_figure_and_a_page(written: Path):
    files = {path.name for path in (written / "plots").iterdir()}
    assert files == {f"{name}.{kind}" for name in FIGURES for kind in KINDS}
    for path in (written / "plots").glob("*.png"):
        assert path.read_bytes().startswith(PNG)
    assert (written / "report.html").stat().st_size < 2_000_000


def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere(written: Path):
    page = _Page((written / "report.html").read_text())
    assert sum(tag == "svg" for tag, _ in page.tags) == len(FIGURES)
    assert not [tag for tag, _ in page.tags if tag in ("link", "iframe", "object", "embed")]
    for _, attributes in page.tags:
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/png;base64,"))
        assert not [name for name in attributes if name.startswith("on")]


def test_ids_are_unique_and_every_reference_has_one(written: Path):
    text = (written / "report.html").read_text()
    ids = [attributes["id"] for _, attributes in _Page(text).tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', text)) <= set(ids)


def test_the_colours_of_figures_follow_the_page(written: Path):
    text = (written / "report.html").read_text()
    light, dark = css_colours()
    used = set(re.findall(r"var\(--([a-z]\d+)\)", text))
    assert used
    for name in used:
        assert f"--{name}:" in light
        assert f"--{name}:" in dark


def test_the_page_s_own_script_alone_may_run(written: Path):
    text = (written / "report.html").read_text()
    (script,) = re.findall(r"<script[^>]*>(.*?)</script>", text, flags=re.DOTALL)
    (policy,) = [
        a["content"] for tag, a in _Page(text).tags if a.get("http-equiv") == "Content-Security-Policy"
    ]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy


def test_names_from_outside_cannot_become_markup(tmp_path: Path):
    evil = "<script>alert(1)</script>"
    folder = make_run(tmp_path / "run", schemes=("full", "<b>x</b> & $y$"), dataset=evil, images=100)
    run = load_run(folder)
    text = render(run, [plots.phases(run.phases)], None)
    tags = [tag for tag, _ in _Page(text).tags]
    assert tags.count("script") == 1 and "b" not in tags
    assert "&lt;script&gt;alert(1)" in text
    assert "&lt;b&gt;x&lt;/b&gt; &amp; $y$" in text


def test_the_breakdown_s_table_sums_to_the_summary(written: Path):
    table = pd.read_csv(written / "plots" / "energy_breakdown.csv")
    stated = json.loads((written / "summary.json").read_text())["schemes"]
    for scheme, own in table.groupby("scheme"):
        assert own["energy_fJ"].sum() == stated[scheme]["system_energy_fJ"]
        for name, energy_fJ in zip(own["component"], own["energy_fJ"], strict=True):
            assert energy_fJ == stated[scheme]["energy_fJ"][name]


def test_the_bars_of_the_breakdown_are_as_long_as_the_trace_says(run_folder: Path):
    run = load_run(run_folder)
    plot = plots.energy_breakdown(frames.energy_by_component(frames.trace_sums(run.path)))
    absolute, shares = plot.figure.axes[:2]
    totals = run.schemes["system_energy_fJ"].to_numpy(dtype=float)
    for ax, expected in ((absolute, totals / totals.max()), (shares, totals / totals)):
        bars = [0.0] * len(expected)
        for piece in ax.patches:
            bars[round(piece.get_y() + piece.get_height() / 2)] += piece.get_width()
        assert [bar / max(bars) for bar in bars] == pytest.approx(list(expected), rel=1e-9)


def test_a_run_is_drawn_the_same_again(written: Path):
    run = load_run(written)
    again = (
        plots.layers(run.schemes[["scheme", *(f"{x}_fJ" for x in LAYERS)]]),
        selection_map(run.selection()),
    )
    for figure in again:
        # Whatever is drawn first: the page, or the files.
        assert figure.svg() in (written / "report.html").read_text()
        assert figure.png() == (written / "plots" / f"{figure.name}.png").read_bytes()


def test_figures_leave_matplotlib_s_settings_as_they_were(run_folder: Path):
    import matplotlib

    before = dict(matplotlib.rcParams)
    plots.phases(load_run(run_folder).phases).svg()
    assert dict(matplotlib.rcParams) == before


def test_files_that_disagree_by_a_femtojoule_are_pointed_out(run_folder: Path):
    path = run_folder / "summary.json"
    summary = json.loads(path.read_text())
    run = load_run(run_folder)
    energy = frames.energy_by_component(frames.trace_sums(run.path))
    assert all(check.holds for check in checks(run, energy))
    summary["schemes"]["random"]["system_energy_fJ"] += 1
    path.write_text(json.dumps(summary))
    broken = [check for check in checks(load_run(run_folder), energy) if not check.holds]
    assert len(broken) == 2  # the energy table and the trace
    assert all(check.text.endswith("largest difference 1 fJ.") for check in broken)


def test_two_sides_that_select_differently_are_pointed_out(run_folder: Path):
    other = (run_folder / "selected_indices.random.npy").read_bytes()
    (run_folder / "selected_indices.de-sne-nmc.npy").write_bytes(other)
    broken = [check.text for check in checks(load_run(run_folder), None) if not check.holds]
    assert broken == ["de-sne@nmc and de-sne@host select different images."]


def test_scaling_and_interruption_are_said(tmp_path: Path):
    folder = make_run(tmp_path / "run", images=100, simulated_share=0.25)
    manifest = json.loads((folder / "manifest.json").read_text()) | {"status": "interrupted"}
    run = load_run(folder, manifest)
    assert scaled(run)[0] == "full: 25.0 % of the accesses were simulated one by one; the rest repeats them."
    assert [c.text for c in checks(run, None) if not c.holds] == ["This run is interrupted, not complete."]


def test_a_run_without_trace_map_or_manifest_on_disk_still_gets_a_report(tmp_path: Path):
    schemes = ("full", "random")
    folder = make_run(tmp_path / "run", schemes=schemes, images=100, with_trace=False, with_map=False)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").unlink()
    write_outputs(folder, manifest)
    drawn = {path.stem for path in (folder / "plots").glob("*.png")}
    assert drawn == FIGURES - {"selection_map", "banks", "timeline"}
    assert "kept no trace" in (folder / "report.html").read_text()


def test_a_run_is_drawn_whole_and_a_trace_alone_as_far_as_it_goes(tmp_path: Path):
    run_folder = make_run(tmp_path / "run", schemes=("full",), images=100)
    parts, drawn = run_folder / "trace", []
    for index, source in enumerate((run_folder, parts / "part-00000.parquet")):
        names = {figure.name for figure, _ in draw(source, tmp_path / str(index))}
        assert names >= {"energy_breakdown", "energy_phases", "layers", "banks"}
        assert ("accuracy_energy" in names) == (source == run_folder)
        drawn.append(pd.read_csv(tmp_path / str(index) / "energy_breakdown.csv")["energy_fJ"].sum())
    whole = load_run(run_folder).schemes["system_energy_fJ"].sum()
    assert drawn[0] == whole
    assert 0 < drawn[1] < whole  # one part of two


def test_where_there_is_neither_run_nor_trace_that_is_said(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    for source in (tmp_path / "empty", tmp_path / "nowhere"):
        with pytest.raises(TraceFormatError, match=r"there is no trace|no such file"):
            draw(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_is_a_file_is_refused(tmp_path: Path):
    run_folder = make_run(tmp_path / "run", schemes=("full",), images=50)
    (tmp_path / "out").write_text("")
    with pytest.raises(NmsimError):
        draw(run_folder / "trace", tmp_path / "out")


def test_every_component_is_in_one_group_of_the_legend():
    listed = [name for parts, _, _ in GROUPS.values() for name in parts]
    assert sorted(listed) == sorted(COMPONENTS)


def test_no_two_of_64_schemes_look_alike_and_no_colour_stands_for_two_things():
    looks = [tuple(scheme_style(index).values()) for index in range(64)]
    assert len(set(looks)) == 64
    on_white = [light for _, light, _ in GROUPS.values()] + [light for light, _, _ in SCHEMES]
    assert len(set(on_white)) == len(on_white)


def test_phases_keep_the_order_of_every_scheme():
    pairs = [("a", "indices"), ("a", "training"), ("b", "features"), ("b", "sampling"), ("b", "indices")]
    table = pd.DataFrame([*pairs, ("b", "training")], columns=["scheme", "phase"])
    assert plots.phase_order(table) == ["features", "sampling", "indices", "training"]


def test_numbers_stay_with_their_units():
    assert tight("in 5 ms, 3 of 9") == "in 5\u00a0ms, 3 of 9"
    assert tight("89.7 ± 0.5 %") == "89.7\u00a0±\u00a00.5\u00a0%"
