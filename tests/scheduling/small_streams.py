"""Small streams on the readable scheduler, and what it made of them."""

from dataclasses import replace

import numpy as np
from small_memories import small

from nmsim.dram.engine import AccessBatch
from nmsim.dram.reference import ReferenceChannel

READ, WRITE = False, True


def channel(name="lpddr4-3200", ranks=1, **settings):
    """Return a small memory's readable channel, with room for all requests unless told otherwise."""
    queues = {"read_queue": 64, "write_queue": 64, "write_high_watermark": 32, "write_low_watermark": 0}
    spec, controller = small(name, ranks=ranks)
    return ReferenceChannel(spec, replace(controller, **(queues | {"refresh": "none"} | settings)))


def requested(channel, *requests):
    """Return requests (clk, bank, row, is_write) as a batch."""
    clk, bank, row, write = (np.array([r[i] for r in requests], dtype=np.int64) for i in range(4))
    column = np.arange(len(requests)) % channel.spec.row_bursts
    return AccessBatch(bank, row, column, write.astype(bool), clk)


def serve(channel, *requests):
    """Serve requests (clk, bank, row, is_write); return the commands that they led to."""
    before = len(channel.issued)
    channel.access(requested(channel, *requests))
    return channel.issued[before:]


def wait(channel, clocks):
    """Let time pass; return the commands that were issued meanwhile."""
    before = len(channel.issued)
    channel.advance(channel.clk + clocks)
    return channel.issued[before:]


def names(issued):
    """Return the commands' names."""
    return [i.command for i in issued]


def clocks_of(issued, *commands):
    """Return the clocks of commands of these names."""
    return [i.clk for i in issued if i.command in commands]
