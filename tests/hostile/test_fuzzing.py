"""Does every reader answer whatever bytes it is given with a value or with one line?"""

from __future__ import annotations

import resource
import time

import pytest
from attacks import ATTACKS
from harm import hostile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

#: Any file is read or refused within this, on a busy machine too; all of a reader's in so much memory.
PATIENCE_S, MEMORY_BYTES = 10, 512 << 20

QUICK = settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
DEEP = settings(QUICK, max_examples=1500)


@pytest.fixture(params=ATTACKS)
def attack(request, tmp_path):
    made = ATTACKS[request.param](tmp_path)
    for seed in made.seeds:
        assert (refused := made.attempt(seed)) is None, refused  # or it would be another reader
    return made


def _fuzz(attack, effort: settings) -> tuple[int, int]:
    """Give the reader as many files as told; return how many it read and how many it refused."""
    counts = [0, 0]

    @effort
    @given(st.data())
    def give(data):
        content = data.draw(hostile(attack.seeds))
        began = time.perf_counter()
        counts[attack.attempt(content) is not None] += 1
        assert time.perf_counter() - began < PATIENCE_S

    give()
    return counts[0], counts[1]


def test_a_few_hostile_files_are_read_or_refused_in_a_line(attack):
    _fuzz(attack, QUICK)


@pytest.mark.slow
def test_many_hostile_files_are_read_or_refused_in_a_line(attack, request, record_property):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    read, refused = _fuzz(attack, DEEP)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    assert grown < MEMORY_BYTES
    name = request.node.callspec.params["attack"]
    figure = f"{read + refused:,} files drawn by Hypothesis", f"{refused:,} refused in a line, none else"
    record_property("figure", (f"reader: {name}", *figure))
