"""How many samples are kept, and how many of each class."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmsim.errors import DataError
from nmsim.selection.budget import class_budgets, total_budget

sizes_and_budget = st.lists(st.integers(1, 5000), min_size=1, max_size=30).flatmap(
    lambda sizes: st.tuples(st.just(np.array(sizes)), st.integers(len(sizes), sum(sizes)))
)


@given(sizes_and_budget)
def test_class_budgets_sum_to_the_budget_and_lie_between_one_and_the_class(case):
    sizes, budget = case
    kept = class_budgets(sizes, budget)
    assert kept.sum() == budget
    assert (kept >= 1).all() and (kept <= sizes).all()


#: Budgets of which every class has a share of 1 or more: none is lifted from nothing.
enough_for_each = st.lists(st.integers(1, 5000), min_size=1, max_size=30).flatmap(
    lambda sizes: st.tuples(st.just(np.array(sizes)), st.integers(-(-sum(sizes) // min(sizes)), sum(sizes)))
)


@given(enough_for_each)
def test_a_class_is_never_a_whole_sample_away_from_its_share_unless_a_class_was_left_with_nothing(case):
    sizes, budget = case
    # Largest remainder keeps the quota rule |kept - share| < 1; lifting a class from 0 to 1 may break it.
    assert np.abs(class_budgets(sizes, budget) - sizes * budget / sizes.sum()).max() < 1


def test_remainders_go_to_the_largest_and_the_first_of_equals():
    # shares 2.5, 2.5, 5.0 of 10: whole parts 2, 2, 5 leave one, and the first of the equal halves gets it
    assert class_budgets(np.array([25, 25, 50]), 10).tolist() == [3, 2, 5]


def test_a_class_that_would_get_nothing_takes_one_from_the_class_that_keeps_most():
    # shares 9.9, 0.05, 0.05 of 10: the remainder goes to the first class, which then gives two away
    assert class_budgets(np.array([990, 5, 5]), 10).tolist() == [8, 1, 1]


@pytest.mark.parametrize(
    ("n", "ratio", "kept"), [(10, 0.25, 3), (10, 0.24, 2), (7, 1, 7), (60_000, 0.1, 6000)]
)
def test_the_budget_is_the_rounded_share_with_halves_up(n, ratio, kept):
    assert total_budget(n, ratio) == kept


@pytest.mark.parametrize("ratio", [0, -0.1, 1.01, float("nan"), float("inf"), "0.1", None])
def test_a_keep_ratio_that_is_no_share_is_refused(ratio):
    with pytest.raises(DataError, match="keep ratio"):
        total_budget(100, ratio)


def test_a_ratio_that_keeps_nothing_is_refused_with_the_least_that_would_do():
    with pytest.raises(DataError, match=r"keeps nothing.*at least 0\.01"):
        total_budget(100, 0.001)


def test_a_budget_below_one_sample_a_class_is_refused():
    with pytest.raises(DataError, match=r"below one sample a class.*found 2 samples for 3 classes"):
        class_budgets(np.array([10, 10, 10]), 2)
