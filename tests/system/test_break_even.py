"""Has a selection paid for itself from the epoch on that is said, however often it is made?"""

import numpy as np
import pytest

from nmsim.break_even import break_even


def test_one_selection_pays_for_itself_when_its_price_is_saved():
    assert break_even(12.0, 3.0, epochs=5) == 4.0
    assert np.array_equal(break_even([12.0, 12.0, 0.0], [3.0, 0.0, 1.0], 5), [4.0, np.inf, 0.0])


@pytest.mark.parametrize("every", [1, 4, 7])
@pytest.mark.parametrize("price", [0.5, 0.75, 2.5, 3.0, 3.75, 6.5])
def test_rounds_leave_a_scheme_dearer_until_the_last_time_and_never_after_it(every, price):
    # Every round costs `price`, every epoch saves 1; the course had three rounds.
    found = float(break_even(3 * price, 1.0, epochs=3 * every, reselect_every=every))
    epochs = np.arange(1, 6400) / 32
    dearer = np.ceil(epochs / every) * price > epochs
    if price >= every:
        assert found == np.inf and dearer[epochs % every == 0].all() == (price > every)
    else:
        assert dearer[epochs < found][-1] and not dearer[epochs > found].any()


def test_a_round_that_costs_nothing_is_paid_for_at_once():
    assert break_even(0.0, 1.0, 10, reselect_every=3) == 0.0
