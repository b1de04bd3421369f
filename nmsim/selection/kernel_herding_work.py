"""What kernel herding asks of the memory and of arithmetic: accesses tile by tile, and operation counts.

Everything happens where the selection runs. Near memory the images never leave their units: each makes the
64 bytes of its own records beside its banks, kernel sums are formed where the records lie, and of every round
of the herding only each unit's best score rises and the winner's features go out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nmsim.access.work import ArraySpec, Step, Transfer
from nmsim.selection.kernel_herding_features import Codes, sample_of

INDEX_BYTES = 4
SUM_BYTES = 8  # of a sum of kernel values
SCORE_BYTES = 8
HISTOGRAM_BYTES = 4 * 32  # how many numbers have their highest bit where
TABLE_BYTES = 2 * 4096  # the kernel's table, in the buffer of each unit


@dataclass(frozen=True, eq=False)
class ClassFit:
    """What herding did with one class.

    Attributes
    ----------
    group : int
        The class label.
    members : ndarray of int64, shape (n,)
        Record numbers, ascending.
    order : ndarray of int64, shape (herded,)
        Record numbers in the order in which they were taken.
    """

    group: int
    members: np.ndarray
    order: np.ndarray


@dataclass(frozen=True, eq=False)
class Facts:
    """What the description needs besides the classes.

    Attributes
    ----------
    n, image_bytes : int
        Records of the data set, and bytes of one.
    made : Codes
        The features, and what they took.
    budget : int
        Records kept.
    """

    n: int
    image_bytes: int
    made: Codes
    budget: int

    @property
    def code_bytes(self) -> int:
        """Return the bytes of a record's features."""
        return self.made.codes.shape[1]


def arrays(facts: Facts) -> list[ArraySpec]:
    """Return the arrays that the steps touch, the data set's own "images" among them.

    "values" has room for every record's, though only a sample's are kept. "scores" holds a record's two sums:
    of its kernel values with its class, and with what was taken.
    """
    specs = [ArraySpec("images", facts.n, facts.image_bytes, per_image=True)]
    if facts.made.filtered and facts.made.learning:
        specs.append(ArraySpec("values", facts.n, facts.made.values, per_image=True))
    return [
        *specs,
        ArraySpec("features", facts.n, facts.code_bytes, per_image=True),
        ArraySpec("scores", facts.n, 2 * SUM_BYTES, per_image=True),
        ArraySpec("indices", facts.budget, INDEX_BYTES),
    ]


def steps(facts: Facts, fits: Sequence[ClassFit], buffer_bytes: int, units: int = 1) -> Iterator[Step]:
    """Return the work phase by phase, and class by class within a phase.

    Parameters
    ----------
    facts, fits
        What was done.
    buffer_bytes : int
        SRAM of a unit (or of the host). Beside the kernel's table it holds a tile of queries, and in the
        herding the unit's own records as far as they fit; the others are streamed anew in each round.
    units : int
        Near memory: units that share the work on one class, at least 1. They divide what is gathered.

    Notes
    -----
    Phases: "features", "kernel", "herding", "indices". Shifts are not counted; squared distances are formed
    as |x|² + |y|² - 2 x·y, whose norms are computed anew whenever a record is read.
    """
    for phase in (_features, _kernel, _herding):
        for fit in fits:
            yield from phase(facts, fit, buffer_bytes, units)
    yield Step("indices", (Transfer("indices", np.arange(facts.budget, dtype=np.int64), write=True),))


def _features(facts: Facts, fit: ClassFit, buffer_bytes: int, units: int) -> Iterator[Step]:
    """Learn from a sample of the class, then read every image once and write its features.

    How large values, and projections, get decides on a shift: a histogram of their highest bits comes back.
    """
    made, sample, n = facts.made, sample_of(fit.members), len(fit.members)
    source = "images"
    if made.filtered:
        moves: tuple[Transfer, ...] = (Transfer("images", sample),)
        if made.learning:
            source = "values"
            moves += (Transfer("values", sample, write=True),)
        work = Counter(made.value_operations)
        work["compare"] += made.values
        yield Step(
            "features",
            moves,
            _times(len(sample), work),
            broadcast_bytes=made.filter_bytes,
            gather_bytes_per_unit=HISTOGRAM_BYTES,
            group=fit.group,
        )
    if made.learning:
        yield Step(
            "features",
            (Transfer(source, sample),),
            _times(len(sample), made.learning.operations),
            broadcast_bytes=made.learning.exchanged_bytes,
            gather_bytes_per_unit=made.learning.exchanged_bytes,
            group=fit.group,
            repeat=made.learning.passes,
        )
        yield Step(
            "features",
            (Transfer(source, sample),),
            _times(len(sample), made.projection_operations | {"compare": facts.code_bytes}),
            broadcast_bytes=made.axes_bytes,
            gather_bytes_per_unit=HISTOGRAM_BYTES,
            group=fit.group,
        )
    each = _times(n, Counter(made.value_operations) + Counter(made.projection_operations))
    moves = (Transfer("images", fit.members), Transfer("features", fit.members, write=True))
    yield Step("features", moves, each, group=fit.group)


def _kernel(facts: Facts, fit: ClassFit, buffer_bytes: int, units: int) -> Iterator[Step]:
    """Find the median distance of a sample, fill the table, and sum the kernel values of all pairs.

    Tiles of q queries are sent to all units and the records after them stream past, so that each pair meets
    once; a streamed record's sum is read and written beside it, the queries' partial sums are gathered.
    """
    n, d, sample = len(fit.members), facts.code_bytes, sample_of(fit.members)
    pairs = len(sample) * (len(sample) - 1) // 2
    yield Step(
        "kernel",
        (Transfer("features", sample),),
        _pair_operations(pairs, len(sample), d) | {"compare": 2 * pairs},
        broadcast_bytes=TABLE_BYTES,
        gather_bytes_per_unit=-(-len(sample) * d // units),
        group=fit.group,
    )
    q = max(1, (buffer_bytes - TABLE_BYTES) // d - 1)
    for start in range(0, n, q):
        tile, rest = fit.members[start : start + q], fit.members[start + q :]
        moves = [Transfer("features", tile, broadcast=True)]
        if len(rest):
            moves += [
                Transfer("features", rest),
                Transfer("scores", rest),
                Transfer("scores", rest, write=True),
            ]
        moves += [Transfer("scores", tile), Transfer("scores", tile, write=True)]
        pairs = len(tile) * len(rest) + len(tile) * (len(tile) - 1) // 2
        work = _pair_operations(pairs, len(tile) + len(rest), d)
        work |= {"exp": pairs, "add_int32": work["add_int32"] + 4 * pairs}  # two sums of 64 bits
        yield Step(
            "kernel",
            tuple(moves),
            work,
            gather_bytes_per_unit=SUM_BYTES * len(tile),
            group=fit.group,
        )


def _herding(facts: Facts, fit: ClassFit, buffer_bytes: int, units: int) -> Iterator[Step]:
    """Take record after record: its features go to all units, each updates its scores and offers its best.

    A score grows by the record's sum and falls by its kernel value with the last one taken: two sums of 64
    bits and a comparison.
    """
    n, d = len(fit.members), facts.code_bytes
    room = max(0, buffer_bytes - TABLE_BYTES) * units // (d + 2 * SUM_BYTES)
    resident, beyond = fit.members[:room], fit.members[room:]
    if len(resident):
        read = (Transfer("features", resident), Transfer("scores", resident))
        yield Step("herding", read, group=fit.group)
    moves: tuple[Transfer, ...] = ()
    if len(beyond):
        moves = (
            Transfer("features", beyond),
            Transfer("scores", beyond),
            Transfer("scores", beyond, write=True),
        )
    work = _pair_operations(n, len(beyond), d)
    yield Step(
        "herding",
        moves,
        work | {"exp": n, "add_int32": work["add_int32"] + 4 * n, "compare": n},
        broadcast_bytes=d + INDEX_BYTES,
        gather_bytes_per_unit=SCORE_BYTES + INDEX_BYTES + -(-d // units),
        group=fit.group,
        repeat=len(fit.order),
    )


def _pair_operations(pairs: int, norms: int, d: int) -> dict[str, int]:
    """Return the arithmetic of squared distances: inner products and norms, and two sums a pair."""
    return {"mac_int8": (pairs + norms) * d, "add_int32": 2 * pairs}


def _times(n: int, operations: Mapping[str, int]) -> dict[str, int]:
    return {kind: n * count for kind, count in operations.items()}
