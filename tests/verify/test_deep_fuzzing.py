"""Does every reader answer 1,500 hostile files with a value or with one line, in little memory?"""

import resource
import sys
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parents[1] / "hostile"))
from attacks import ATTACKS
from test_fuzzing import QUICK, fuzz

pytestmark = pytest.mark.slow

DEEP = settings(QUICK, max_examples=1500)
MEMORY_BYTES = 512 << 20


@pytest.mark.parametrize("name", ATTACKS)
def test_many_hostile_files_are_read_or_refused_in_a_line(tmp_path, name, record_property):
    attack = ATTACKS[name](tmp_path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    read, refused = fuzz(attack, DEEP)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    assert grown < MEMORY_BYTES
    figure = (
        f"{read + refused:,} files by Hypothesis",
        f"{refused:,} refused in a line, others read",
    )
    record_property("figure", (f"reader: {name}", *figure))
