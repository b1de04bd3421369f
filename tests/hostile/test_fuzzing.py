"""Does every reader answer whatever bytes it is given with a value or with one line?"""

from __future__ import annotations

import time

import pytest
from attacks import ATTACKS
from harm import hostile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

#: Any file is read or refused within this, on a busy machine too.
PATIENCE_S = 10

QUICK = settings(max_examples=4, suppress_health_check=list(HealthCheck))


@pytest.fixture(params=ATTACKS)
def attack(request, tmp_path):
    made = ATTACKS[request.param](tmp_path)
    for seed in made.seeds:
        assert (refused := made.attempt(seed)) is None, refused  # or it would be another reader
    return made


def fuzz(attack, effort: settings) -> tuple[int, int]:
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
    fuzz(attack, QUICK)
