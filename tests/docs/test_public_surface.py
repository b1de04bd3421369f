"""Is what programs may rely on said in one place, and is it there?"""

import inspect
import re
from importlib import import_module
from pathlib import Path

import nmsim

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
ENTRIES = re.findall(r"^::: ([\w.]+)$", PAGE, re.MULTILINE)


def found(path):
    """Return the module, or what a module holds, at a dotted path."""
    try:
        return import_module(path)
    except ModuleNotFoundError:
        module, _, name = path.rpartition(".")
        return getattr(import_module(module), name)


def test_every_name_of_the_package_stands_on_the_page_as_what_it_is():
    for name in set(nmsim.__all__) - {"__version__"}:
        heading = f'heading: "nmsim.{name}"'
        (path,) = re.findall(rf"^::: ([\w.]+)\n    options: {{{heading}", PAGE, re.MULTILINE)
        assert found(path) is getattr(nmsim, name)


def test_everything_on_the_page_exists_and_says_what_it_is():
    assert len(ENTRIES) == len(set(ENTRIES)) > 10
    for entry in ENTRIES:
        assert inspect.getdoc(found(entry)), entry


def test_importing_the_package_shows_its_names_and_no_others():
    assert set(nmsim.__all__) <= set(dir(nmsim)) == set(nmsim.__all__)
