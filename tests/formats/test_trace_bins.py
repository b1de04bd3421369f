"""Does a trace over time hold what the trace holds, whatever the bins?"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from trace_samples import random_table

from nmsim.errors import TraceFormatError
from nmsim.trace.bins import PLACE, bin_trace
from nmsim.trace.exporters.window import Window
from nmsim.trace.reader import Trace, open_trace
from nmsim.trace.schema import trace_table
from nmsim.trace.writer import TraceWriter

REST = {"cmd": "RD", "count": 900, "channel": 1, "rank": 0, "bankgroup": 0, "bank": 3, "phase": "training"}
REST |= {"t_ps": 1_000_000, "dur_ps": 6_000_000, "energy_fJ": 11_000, "act_fJ": 11_000, "scheme": "full"}


@pytest.fixture(scope="module")
def trace(tmp_path_factory) -> Trace:
    folder: Path = tmp_path_factory.mktemp("bins") / "t"
    with TraceWriter(folder) as writer:
        writer.write(random_table(400, 1))
        writer.write(random_table(300, 2, "random", start_ps=5_000_000))
        writer.write(trace_table(REST, 1))
    return open_trace(folder)


@pytest.mark.parametrize("bins", [1, 7, 200])
def test_bins_hold_all_energy_accesses_and_outcomes(trace, bins):
    found = bin_trace(trace, bins)
    assert sum(b.components_fJ.sum() for b in found.values()) == pytest.approx(trace.energy_fJ(), rel=1e-12)
    for scheme, rows in (("full", random_table(400, 1)), ("random", random_table(300, 2))):
        frame, own = rows.to_pandas(), found[scheme]
        reads = frame[frame["cmd"].isin(["RD", "WR"])]
        extra = 900 if scheme == "full" else 0
        assert sum(a.sum() for a in own.accesses.values()) == pytest.approx(len(reads) + extra)
        for outcome, count in zip(("hit", "miss", "conflict"), own.outcomes.sum(axis=0), strict=True):
            assert count == (frame["row_outcome"] == outcome).sum()
        by_command = sum(energy.sum() for energy in own.commands_fJ.values())
        assert by_command == pytest.approx(own.components_fJ.sum(), rel=1e-12)


def test_windows_side_by_side_hold_what_the_whole_holds(trace):
    def accesses(window: Window) -> np.ndarray:
        found = bin_trace(trace, 5, window)["full"]
        total = np.zeros((2, 8))
        for bank, counts in found.accesses.items():
            total[bank[PLACE.index("channel")], bank[PLACE.index("bank")]] += counts.sum()
        return total

    edges = [None, 2_000_000, 4_500_000, None]
    parts = [accesses(Window(a, b)) for a, b in pairwise(edges)]
    np.testing.assert_allclose(sum(parts), accesses(Window()))


def test_an_aggregate_is_spread_evenly_over_its_duration(trace):
    # Half of the 6 us after 1 us lie in 2 … 5 us: 450 of 900 reads.
    found = bin_trace(trace, 3, Window(2_000_000, 5_000_000, scheme="full", channel=1))["full"]
    singles = random_table(400, 1).to_pandas()
    inside = singles[(singles["channel"] == 1) & singles["t_ps"].between(2_000_000, 4_999_999)]
    own = inside[(inside["bank"] == 3) & inside["cmd"].isin(["RD", "WR"])]
    counts = np.histogram(own["t_ps"], found.edges_ps)[0]
    np.testing.assert_allclose(found.accesses[1, 0, 0, 3], counts + 150)
    assert found.aggregated_fJ == pytest.approx(5_500)


@pytest.mark.parametrize(
    ("window", "words"),
    [
        (Window(scheme="ful"), "no such scheme.*found ful; expected full or random"),
        (Window(from_ps=10**12), "nothing in the trace lies.*start from 5.00 ns to"),
        (Window(channel=5), "nothing in the trace lies.*channel 5"),
    ],
)
def test_a_window_with_nothing_in_it_is_refused(trace, window, words):
    with pytest.raises(TraceFormatError, match=words):
        bin_trace(trace, 10, window)
