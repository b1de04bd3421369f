"""Do tutorials and how-tos work as they stand? Their blocks are run in order, each page in its own folder."""

import re
import shutil

import pytest
from pages import ROOT, Reader, blocks

PAGES = {
    path.relative_to(ROOT / "docs").as_posix(): list(blocks(path.read_text(encoding="utf-8")))
    for kind in ("tutorial", "howto")
    for path in sorted((ROOT / "docs" / kind).glob("*.md"))
}
WITH_SLOW = [page for page, its in PAGES.items() if any("slow" in block.marks for block in its)]


@pytest.fixture
def folder(page, tmp_path, monkeypatch):
    """Go to a folder with the boards and traces that come with nmsim, and its source where it is wanted."""
    source = "<!-- with the source -->" in (ROOT / "docs" / page).read_text(encoding="utf-8")
    for name in ("hw_configs", "traces", *(["nmsim"] if source else [])):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NMSIM_CACHE", str(tmp_path / "cache"))


def follow(page, slow):
    reader, followed = Reader(), True
    for block in PAGES[page]:
        # what a block printed is not there where it was passed over
        followed = followed if block.language == "text" else not block.left_out(slow)
        if followed:
            reader.follow(block)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_works_as_it_stands(folder, page):
    follow(page, slow=False)


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_SLOW)
def test_a_page_works_with_what_takes_long(folder, page):
    follow(page, slow=True)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_stands_in_a_block_that_can_be_run(page):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert not re.findall(r"^    (?:nmsim|pip|make|python) .*", text, re.MULTILINE)
    kinds = {block.language for block in PAGES[page]}
    assert kinds <= {"sh", "python", "text", "yaml", "toml", "diff"}, kinds


def test_a_quoted_output_may_differ_in_figures_and_in_nothing_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    reader = Reader()
    page = "```python\nprint('total  31 mJ in run-5\\nof all')\n```\n```text\ntotal 7 mJ … \nof all\n```\n"
    for block in blocks(page):
        reader.follow(block)
    with pytest.raises(AssertionError):
        for block in blocks(page.replace("of all\n```\n", "of some\n```\n")):
            reader.follow(block)


def test_a_command_that_fails_or_does_not_fail_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for text in ("```sh\nfalse\n```", "<!-- exit: 2 -->\n```sh\ntrue\n```", "```sh\nnmsim no-verb\n```"):
        (block,) = blocks(text)
        with pytest.raises(AssertionError):
            Reader().follow(block)
