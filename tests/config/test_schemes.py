"""Does a scheme mean one thing, and is there one way to write it?"""

import re

from hypothesis import given
from hypothesis import strategies as st

from nmsim.schemes import PATTERN, PLACES, Scheme


@given(st.from_regex(PATTERN, fullmatch=True))
def test_a_scheme_is_one_of_three_kinds_and_is_written_as_it_was(text):
    scheme = Scheme.parse(text)
    assert str(scheme) == text
    assert scheme.is_full + scheme.is_random + scheme.is_selection == 1
    assert scheme.is_selection == ("@" in text) and scheme.near_memory == text.endswith("@nmc")


@given(st.from_regex(PATTERN, fullmatch=True).filter(lambda text: "@" in text))
def test_the_two_sides_of_a_selection_differ_in_the_place_alone(text):
    near, host = (Scheme.parse(text).at(place) for place in ("nmc", "host"))
    assert near.method == host.method and {near.side, host.side} == set(PLACES)


def test_what_reads_no_image_to_choose_has_no_second_spelling():
    spellings = [f"{method}@{place}" for method in ("full", "random") for place in PLACES]
    assert not any(re.match(PATTERN, text) for text in spellings)
    assert all(re.match(PATTERN, f"{text}x@host") for text in ("full", "random"))
