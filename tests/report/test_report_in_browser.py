"""Does the report work in a real browser: for readers, for keyboards, on phones, in the dark and on paper?"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from made_up_run import make_run

from nmsim.report.outputs import write_report

NAMES = ("chromium", "chromium-browser", "google-chrome")
#: A busy machine takes its time.
PATIENCE_MS = 120_000
HOSTILE = '"><img src=x onerror=alert(1)>@nmc'


def _missing(what: str) -> None:
    if os.environ.get("NMSIM_NEEDS_BROWSER"):
        pytest.fail(f"{what} is needed here, for NMSIM_NEEDS_BROWSER is set")
    pytest.skip(f"there is no {what}")


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """Yield one headless browser for all tests of this file."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("playwright (pip install 'nmsim[dev]')")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        _missing(f"browser ({', '.join(NAMES)})")
    # A browser that root starts has no sandbox of its own.
    options = ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=options, timeout=PATIENCE_MS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the address of a report, one of whose schemes has markup for a name."""
    schemes = ("full", "random", "de-sne@nmc", HOSTILE)
    folder = make_run(tmp_path_factory.mktemp("runs") / "run", schemes=schemes, images=300)
    return write_report([folder], folder / "report.html").as_uri()


@pytest.fixture
def opened(browser, address: str) -> Iterator:
    """Return a function that opens the report; what the browser complains of is in `page.complaints`."""
    contexts = []

    def open_report(width: int = 1100, **settings: object):
        context = browser.new_context(viewport={"width": width, "height": 800}, **settings)
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.complaints, page.requested = [], []
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("dialog", lambda dialog: (page.complaints.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: page.requested.append(request.url))
        page.goto(address)
        return page

    yield open_report
    for context in contexts:
        context.close()


def _column(table, column: int) -> list[float]:
    """Return the numbers that a column is sorted by, from top to bottom; NaN where a cell has none."""
    return table.evaluate(
        "(table, column) => [...table.tBodies[0].rows].map((row) => Number(row.cells[column].dataset.value))",
        column,
    )


#: Contrast by WCAG 2 between an element's ink and the page's background.
CONTRAST = """(selector) => {
  const luminance = (colour) => colour.match(/\\d+/g).slice(0, 3).map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0.05);
  const part = document.querySelector(selector), style = getComputedStyle(part);
  const ink = luminance(part instanceof SVGElement ? style.fill : style.color);
  const paper = luminance(getComputedStyle(document.body).backgroundColor);
  return Math.max(ink, paper) / Math.min(ink, paper);
}"""
#: What stands out of the page to the right; folded parts and drawings have their own widths.
TOO_WIDE = """() => [...document.querySelectorAll("main *")]
  .filter((part) => !part.closest("details, svg"))
  .filter((part) => part.getBoundingClientRect().right > innerWidth + 1)
  .map((part) => part.outerHTML.slice(0, 80))"""


def test_the_report_asks_for_nothing_complains_of_nothing_and_takes_names_as_names(opened, address: str):
    page = opened()
    assert page.requested == [address]
    assert page.complaints == []
    assert page.locator("main img, header img").count() == 0
    assert page.locator("tbody th", has_text='"><img src=x').count() >= 3
    assert page.locator("main svg").count() == page.locator("figure").count() > 5


def test_tables_are_sorted_by_click_and_by_key(opened):
    page = opened()
    table = page.locator("#energies table").first  # dataset DDR: `full` has no ratio to itself
    head = table.locator("thead th").nth(2)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    *ratios, none = _column(table, 2)
    assert ratios == sorted(ratios) and none != none
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    *ratios, none = _column(table, 2)
    assert ratios == sorted(ratios, reverse=True) and none != none
    table.locator("thead button").first.press("Space")
    names = table.locator("tbody th").all_inner_texts()
    assert names[1:] == ["de-sne@nmc", "full", "random"]
    assert table.locator("[aria-sort]").count() == 1


def test_a_mark_says_its_value_under_the_pointer(opened):
    page = opened()
    mark = page.locator("#energy_breakdown g:has(> title)", has_text="full: SoC static").first
    said = mark.locator("title").text_content()
    mark.hover(force=True)
    assert page.locator("#tip").inner_text() == said
    page.mouse.move(1, 1)
    assert not page.locator("#tip").is_visible()


def test_a_phone_scrolls_down_only(opened):
    page = opened(width=360)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    wide = page.locator(".scroll").first
    assert wide.evaluate("part => part.scrollWidth > part.clientWidth && part.tabIndex === 0")


def test_the_dark_page_is_dark_and_can_be_read_its_figures_included(opened):
    for scheme, dark in (("light", False), ("dark", True)):
        page = opened(color_scheme=scheme)
        red = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]")
        assert (int(red) < 60) == dark
        for selector in ("h1", ".verdict", ".note", "thead th", "figure svg text", "small", ".good", "a"):
            assert page.evaluate(CONTRAST, selector) >= 4.5, (scheme, selector)


def test_nothing_that_is_known_to_shut_readers_out_is_in_the_page(opened):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(opened()).response["violations"]
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found] == []


def test_the_report_is_whole_without_script(opened):
    page = opened(java_script_enabled=False)
    assert page.locator("table").count() > 6
    assert page.locator("thead button").count() == 0
    assert page.locator("#tip").is_visible() is False


def test_on_paper_all_is_there_within_the_margins(opened):
    page = opened(width=700, color_scheme="dark")  # about A4 less its margins, in CSS pixels
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    assert page.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert page.evaluate(TOO_WIDE) == []
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_every_stop_of_the_tab_key_can_be_seen_and_the_first_leads_to_the_content(opened):
    page = opened()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#content"
    for _ in range(25):
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", page.evaluate("document.activeElement.outerHTML.slice(0, 100)")


@pytest.mark.slow
def test_a_comparison_of_runs_can_be_read_like_the_report_of_one(opened, tmp_path):
    lengths = {"a": 30, "b": 60}
    folders = [
        make_run(tmp_path / name, images=300, length_mm=mm, with_map=False) for name, mm in lengths.items()
    ]
    page = opened(width=360)
    page.goto(write_report(folders, tmp_path / "comparison.html").as_uri())
    assert page.complaints == []
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.locator("#differences tbody th").all_inner_texts() == ["link.length"]
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page).response["violations"]
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found] == []
