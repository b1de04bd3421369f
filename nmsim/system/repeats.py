"""Work that is repeated: some of it is played, and one block of it stands for the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nmsim.system.memory import MemoryChannel
from nmsim.system.process import Environment, Process

#: Refresh intervals that a repeat must span to stand for others: its refreshes are right to 1 in so many.
_FAIR_REFRESHES = 50


class Repeater:
    """Plays repeats on the channels that they work on.

    Parameters
    ----------
    env : Environment
    channels : sequence of MemoryChannel
        All that the work uses; nobody else does meanwhile.
    iterations : int
        Repeats that are played before one block stands for the rest, at least 1.

    Attributes
    ----------
    times : int
        How often what happens now counts.
    """

    def __init__(self, env: Environment, channels: Sequence[MemoryChannel], iterations: int):
        self._env, self._channels, self._iterations = env, channels, iterations
        self.times = 1

    def repeat(self, once: Callable[[], Process[None]], phase: str, repeats: int) -> Process[None]:
        """Do `once` so many times in a row (a SimPy process)."""
        played = min(repeats, self._iterations)
        yield from _in_a_row(once, played - 1)
        start = self._env.now
        yield from once()
        left = repeats - played
        if left:
            refresh_ps = self._channels[0].refresh_ps
            singly, block, times = split_repeats(left, self._env.now - start, refresh_ps)
            yield from _in_a_row(once, singly)
            yield from self.stand_for(_in_a_row(once, block), phase, times)

    def stand_for(self, work: Process[None], phase: str, times: int) -> Process[None]:
        """Do `work` once and count it `times` over, in energy and in time (a SimPy process)."""
        self._count(phase, self.times * times)
        start = self._env.now
        yield from work
        self._count(phase, self.times // times)
        skipped_ps = (times - 1) * (self._env.now - start)
        yield self._env.timeout(skipped_ps)
        for channel in self._channels:
            channel.skip(skipped_ps)

    def _count(self, phase: str, times: int) -> None:
        """Account what was up to now, and count what comes `times` over."""
        for channel in self._channels:
            channel.settle(phase)
            channel.times = times
        self.times = times


def _in_a_row(once: Callable[[], Process[None]], repeats: int) -> Process[None]:
    for _ in range(repeats):
        yield from once()


def split_repeats(repeats: int, duration_ps: int, refresh_ps: int) -> tuple[int, int, int]:
    """Return how to count equal repeats without simulating all: some singly, then a block, and its times.

    singly + block · times = repeats. The block spans so many refresh intervals that the refreshes in it are
    a fair share: of a repeat shorter than an interval, most would see none.
    """
    block = min(repeats, max(1, -(-_FAIR_REFRESHES * refresh_ps // max(1, duration_ps))))
    times, singly = divmod(repeats, block)
    return singly, block, times
