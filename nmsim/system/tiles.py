"""Steps in a row that are alike, such as the tiles of a search over all pairs: one stands for its neighbours.

Units with small buffers take a class tile by tile, up to one record at a time; each tile does what the one
before it did, with a few records less to stream. Playing every k-th of them is enough.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from nmsim.access.work import Step

#: Steps that different teams of units do at the same time.
Together = tuple[Step, ...]


def thinned(works: Iterable[Together], least: int | None) -> Iterator[tuple[Together, int]]:
    """Yield what is to be played, and how many in a row each stands for, itself included.

    Parameters
    ----------
    works : iterable of tuple of Step
        In order.
    least : int or None
        Of a run of alike works so many are played at least; None: all.

    Notes
    -----
    Works are alike where steps agree in phase, class, arrays and what they broadcast, and each transfer moves
    as many records as the one before it did, or fewer. A run of T is cut into pieces of m = ⌊T / least⌋, odd;
    of each the middle one is played m times over, with the mean of the operations and of the bytes exchanged,
    so that their sums are right to rounding. What falls from first to last without rising, as bursts and
    activations do where ever shorter parts of the same records are streamed, is then right to 1 part in
    `least` of T times the first, and near to exact where it falls evenly.
    """
    for _, run in groupby(works, key=_Runs()):
        alike = list(run)
        stride = len(alike) // least if least else 1
        stride -= 1 - stride % 2
        if stride < 3:
            yield from ((together, 1) for together in alike)
            continue
        for first in range(0, len(alike), stride):
            piece = alike[first : first + stride]
            yield _middle(piece), len(piece)


class _Runs:
    """Numbers works by the run of alike ones that they belong to."""

    def __init__(self) -> None:
        self._number = 0
        self._kind: tuple[object, ...] = ()
        self._moved: Sequence[int] = ()

    def __call__(self, together: Together) -> int:
        kind = tuple(_kind(step) for step in together)
        moved = [len(t.rows) for step in together for t in step.transfers]
        if kind != self._kind or any(n > before for n, before in zip(moved, self._moved, strict=True)):
            self._number += 1
        self._kind, self._moved = kind, moved
        return self._number


def _kind(step: Step) -> tuple[object, ...]:
    transfers = tuple((t.array, t.write, t.broadcast and len(t.rows)) for t in step.transfers)
    return step.phase, step.group, step.repeat, transfers


def _middle(piece: Sequence[Together]) -> Together:
    """Return the middle one's transfers, with the mean of all else."""
    return tuple(
        replace(
            steps[len(steps) // 2],
            operations=_mean(step.operations for step in steps),
            **_mean({name: getattr(step, name) for name in _EXCHANGED} for step in steps),
        )
        for steps in zip(*piece, strict=True)
    )


_EXCHANGED = ("broadcast_bytes", "gather_bytes_per_unit")


def _mean(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    several = list(counts)
    total: Counter[str] = Counter()
    for each in several:
        total.update(each)
    return {name: round(count / len(several)) for name, count in total.items()}
