"""Row hits that follow each other are issued in a loop of their own: nothing may change by it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_memories import NOW, one_preset_of_each_standard, small

from nmsim.dram.engine import AccessBatch, Channel

RUN = st.tuples(st.integers(0, 2), st.integers(0, 1), st.booleans(), st.integers(1, 60))
RUNS = st.lists(RUN, min_size=1, max_size=20)


def batch_of(spec, runs):
    """Return runs of accesses (bank, row, is_write, length) to three banks, all arrived at the start."""
    bank, row, write, length = (np.array(field) for field in zip(*runs, strict=True))
    bank = bank * (spec.banks_per_channel // 3)
    n = length.sum()
    column = np.arange(n) % spec.row_bursts
    return AccessBatch(*(np.repeat(a, length) for a in (bank, row)), column, np.repeat(write, length), NOW)


@pytest.mark.parametrize("name", one_preset_of_each_standard())
@settings(max_examples=25)
@given(runs=RUNS, queue=st.sampled_from([8, 9, 36]), cut=st.integers(0, 500))
def test_streamed_hits_are_what_single_steps_issue(name, runs, queue, cut):
    # Commands that are logged are issued step by step, and held to the readable scheduler elsewhere.
    spec, controller = small(name)
    fields = {"read_queue": queue, "write_queue": queue, "write_high_watermark": queue - 1}
    controller = type(controller)(**{**vars(controller), **fields})
    batch = batch_of(spec, runs)
    steps, stream = Channel(spec, controller, log_rows=100_000), Channel(spec, controller)
    expected = steps.access(batch)
    first = stream.access(AccessBatch(*(a[:cut] for a in batch)), drain=False)
    found = first + stream.access(AccessBatch(*(a[cut:] for a in batch[:4]), NOW))
    assert stream.clk == steps.clk and found.end_clk == expected.end_clk
    for counted in ("counts", "outcomes", "background_clk"):
        assert (getattr(found, counted) == getattr(expected, counted)).all(), counted
