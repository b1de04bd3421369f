"""Is every page reached, and does every link and image lead somewhere? Without a site being built."""

import re
from pathlib import Path

import pytest
import yaml
from site_pages import pages

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in DOCS.rglob("*.md"))
BESIDE = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "changes/README.md",
    "traces/README.md",
]
_FENCE = re.compile(r"^( *)```.*?^\1```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^()\s]+)\)")


def _prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings: small letters, hyphens for spaces, no other signs."""
    anchors: set[str] = set()
    for heading in re.findall(r"^#+ +(.*)$", _prose(page), re.MULTILINE):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchors.add(re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", words).strip()))
    return anchors


def _in_nav(entry) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    below = entry.values() if isinstance(entry, dict) else entry
    return [page for inner in below for page in _in_nav(inner)]


def test_every_page_stands_once_in_the_navigation_and_nothing_else_does():
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert sorted(_in_nav(site["nav"])) == sorted([*(page.removeprefix("docs/") for page in PAGES), *pages()])


def test_links_of_pages_that_lie_elsewhere_lead_to_pages_of_the_site():
    for name, text in pages().items():
        for link in _LINK.findall(_FENCE.sub("", text)):
            page, _, anchor = link.partition("#")
            assert re.match(r"[a-z]+:", link) or (DOCS / name).parent.joinpath(page).exists(), (
                f"{name}: {link}"
            )
            assert not anchor or anchor in _anchors(DOCS / page), f"{name}: {link}"


@pytest.mark.parametrize("page", [*BESIDE, *PAGES])
def test_links_and_images_lead_to_files_and_headings_that_exist(page):
    here, elsewhere = ROOT / page, {DOCS / name for name in pages()}
    for link in _LINK.findall(_prose(here)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (here.parent / name).resolve() if name else here
        if target in elsewhere:
            continue
        assert target.exists(), f"{page}: {link}"
        if page.startswith("docs/"):
            assert target.is_relative_to(DOCS), f"{page}: {link} leaves the site"
        if anchor:
            assert anchor in _anchors(target), f"{page}: {link} names no heading of {target.name}"


def test_nothing_of_the_site_is_loaded_from_elsewhere():
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert site["theme"]["font"] is False and site["strict"] is True
    assert not {"extra_javascript", "extra_css"} & set(site)
    for page in PAGES:
        images = re.findall(r"!\[[^]]*\]\((\S+)\)", _prose(ROOT / page))
        assert not [image for image in images if image.startswith("http")], page


def test_a_news_fragment_has_a_kind_and_says_something():
    for fragment in (ROOT / "changes").iterdir():
        if fragment.name not in ("README.md", "template.md.jinja"):
            assert re.fullmatch(r"[a-z0-9-]+\.(added|changed|fixed|removed)\.md", fragment.name)
            assert re.fullmatch(r"\w.{10,}\n", fragment.read_text(encoding="utf-8"), re.DOTALL), fragment.name


@pytest.mark.parametrize("page", [*BESIDE, *PAGES])
def test_files_of_the_source_that_a_page_names_exist(page):
    named = re.findall(r"`((?:nmsim|tests|benchmarks)/[\w/.-]+)`", _prose(ROOT / page))
    assert not [name for name in named if not (ROOT / name).exists()]
