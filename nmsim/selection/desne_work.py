"""What DE-SNE asks of the memory and of arithmetic: its accesses tile by tile, and its operation counts.

All numbers are those of the selection that was made: members of each class, neighbours, steps of the search
for beta, entries of the affinities, iterations, rounds of the sampling. They describe the algorithm as units
with small buffers carry it out, each distance once; that the simulating computer has fewer shortages and
forms both halves of the distance matrix changes no result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nmsim.access.work import ArraySpec, Step, Transfer
from nmsim.selection.desne_fit import MapFit, Trial
from nmsim.selection.features import Features, Fit, axes_fit
from nmsim.selection.mesh import butterflies
from nmsim.selection.sampling import cells_a_side

ENTRY_BYTES = 8  # of a neighbour list or of the affinities: an index and a value
INDEX_BYTES = 4
POINT_BYTES = 8  # two float32 coordinates
VALUE_BYTES, COMPLEX_BYTES = 4, 8  # of a mesh's node, and of one of its spectrum


@dataclass(frozen=True)
class Facts:
    """What the description needs besides the maps.

    Attributes
    ----------
    n, image_bytes : int
        Records of the data set, and bytes of one.
    source : str
        The array that distances are measured between: "features", or "images" where these are used raw.
    row_bytes, values : int
        Bytes of one of its records, and its values.
    mac : str
        The kind of operation that multiplies two of them and accumulates.
    operations : dict of str to int
        Arithmetic that makes the features of one record.
    fits : tuple of Fit
        Passes over the images that come before.
    n_iter : int
        Iterations of each map.
    kernel : str
        "student" or "gaussian".
    """

    n: int
    image_bytes: int
    source: str
    row_bytes: int
    values: int
    mac: str
    operations: dict[str, int]
    fits: tuple[Fit, ...]
    n_iter: int
    kernel: str

    @classmethod
    def of(cls, X: np.ndarray, made: Features, n_iter: int, kernel: str) -> Facts:
        """Return the facts of a selection from X by the features made of it."""
        return cls(
            n=len(X),
            image_bytes=X[0].nbytes,
            source="features" if made.stored else "images",
            row_bytes=made.row_bytes,
            values=made.codes.shape[1],
            mac=made.format.mac,
            operations=made.operations,
            fits=made.fits,
            n_iter=n_iter,
            kernel=kernel,
        )


def arrays(facts: Facts, maps: Sequence[MapFit]) -> list[ArraySpec]:
    """Return the arrays that the steps touch, the data set's own "images" among them.

    "affinities" holds a list of entries a record: first its nearest neighbours, then its row of the joint
    affinities. Rows of these differ in length; every record has the mean one's, so that the bytes of all are
    right to rounding. "candidates" has room for the mean number of what is kept before a record's own turn.
    """
    budget = sum(len(fit.sample.chosen) for fit in maps)
    edges = {len(fit.members): max(trial.edges for trial in fit.trials) for fit in maps}
    longest = max([fit.n_neighbours for fit in maps] + [-(-most // n) for n, most in edges.items()])
    early = -(-sum(int(fit.early.sum()) for fit in maps) // facts.n)
    specs = [ArraySpec("images", facts.n, facts.image_bytes, per_image=True)]
    if facts.source == "features":
        specs.append(ArraySpec("features", facts.n, facts.row_bytes, per_image=True))
    if longest:
        specs.append(ArraySpec("affinities", facts.n, ENTRY_BYTES * longest, per_image=True))
        specs.append(ArraySpec("candidates", facts.n, ENTRY_BYTES * max(1, early), per_image=True))
    return [*specs, ArraySpec("indices", budget, INDEX_BYTES)]


def queries_per_tile(buffer_bytes: int, row_bytes: int) -> int:
    """Return how many records stay in a buffer while one more streams past: at least 1."""
    return max(1, buffer_bytes // row_bytes - 1)


def steps(facts: Facts, maps: Sequence[MapFit], buffer_bytes: int, units: int = 1) -> Iterator[Step]:
    """Return the work phase by phase, and class by class within a phase.

    Parameters
    ----------
    facts, maps
        What was done.
    buffer_bytes : int
        SRAM of a unit (or of the host) that holds a tile of queries, and in the embedding its share of the
        affinities if that fits; what does not fit is streamed anew each iteration.
    units : int
        Near memory: units that share the work on one class, at least 1. They divide what is gathered. The
        bytes that cross when all units together send a fixed amount are `gather_bytes_per_unit · units`.

    Notes
    -----
    Phases: "features", "distances", "affinities", "embedding", "sampling", "indices". The divergence that
    `fit` reports is no part of the selection and is not counted.
    """
    for phase in (_features, distance_steps, _affinities, _embedding, _sampling):
        for fit in maps:
            yield from phase(facts, fit, buffer_bytes, units)
    budget = sum(len(fit.sample.chosen) for fit in maps)
    yield Step("indices", (Transfer("indices", np.arange(budget, dtype=np.int64), write=True),))


def _features(facts: Facts, fit: MapFit, buffer_bytes: int, units: int) -> Iterator[Step]:
    """Read every image once, and as often before as the features need to learn; write the features."""
    n = len(fit.members)
    for learn in facts.fits:
        yield _fit_step("features", "images", learn, fit)
    if facts.source == "features":
        work = {kind: n * count for kind, count in facts.operations.items()}
        moves = (Transfer("images", fit.members), Transfer("features", fit.members, write=True))
        yield Step("features", moves, work, group=fit.group)


def distance_steps(facts: Facts, fit: MapFit, buffer_bytes: int, units: int) -> Iterator[Step]:
    """Send tiles of q queries to all units and stream the records after them past: each pair meets once.

    Bytes streamed: row_bytes · sum over tiles of the records after the tile, about n² · row_bytes / 2q.
    A pair costs one multiply-accumulate a value and two comparisons, with the bounds of both lists. The
    subtraction is not counted: whole numbers need none, as |x|² + |y|² - 2 x·y is exact, and a systolic array
    forms inner products too; near memory in floating point it would add an addition a value. A streamed
    record keeps what enters its list beside it, in "candidates"; what enters a query's list is gathered from
    the units, which know its bound from the records before it. A record's candidates are counted in the step
    of its own tile, where its list is finished.
    """
    n, k = len(fit.members), fit.n_neighbours
    if k == 0:
        return
    q = queries_per_tile(buffer_bytes, facts.row_bytes)
    late = np.concatenate([[0], np.cumsum(fit.late)])
    for start in range(0, n, q):
        tile, rest = fit.members[start : start + q], fit.members[start + q :]
        pairs = len(tile) * len(rest) + len(tile) * (len(tile) - 1) // 2
        moves = [Transfer(facts.source, tile, broadcast=True)]
        if len(rest):
            moves.append(Transfer(facts.source, rest))
        moves += [
            Transfer("candidates", tile, write=True),
            Transfer("candidates", tile),
            Transfer("affinities", tile, write=True),
        ]
        gathered = ENTRY_BYTES * int(late[start + len(tile)] - late[start])
        yield Step(
            "distances",
            tuple(moves),
            {facts.mac: pairs * facts.values, "compare": 2 * pairs},
            broadcast_bytes=4 * len(tile),  # the bounds
            gather_bytes_per_unit=-(-gathered // units),
            group=fit.group,
        )


def _affinities(facts: Facts, fit: MapFit, buffer_bytes: int, units: int) -> Iterator[Step]:
    """Search beta for every record over its list, then exchange the affinities to make them symmetric."""
    for trial in fit.trials if fit.n_neighbours else ():
        yield from _widths(fit, trial, units)


def _widths(fit: MapFit, trial: Trial, units: int) -> Iterator[Step]:
    n, k, tried = len(fit.members), trial.n_neighbours, trial.search_steps
    moves = (Transfer("affinities", fit.members), Transfer("affinities", fit.members, write=True))
    search = {
        "exp": tried * (k + 1) + n * k,  # a logarithm costs as an exponential
        "mul_fp32": tried * (k + 1) + 2 * n * k,
        "add_fp32": tried * (k + 2),
        "mac_fp32": tried * k,
        "div_fp32": tried + n,
        "compare": tried,
    }
    yield Step("affinities", moves, search, group=fit.group)
    sent = -(-(ENTRY_BYTES + INDEX_BYTES) * n * k // units)
    yield Step("affinities", moves, {"add_fp32": 2 * n * k}, gather_bytes_per_unit=sent, group=fit.group)


def _embedding(facts: Facts, fit: MapFit, buffer_bytes: int, units: int) -> Iterator[Step]:
    """Find the first map, then iterate: the map is sent to all, each unit moves its own points.

    Units hold the rows of the affinities of their own points, read once, as far as their buffers go; the rows
    beyond are streamed in every iteration. Each unit returns its new points and its part of Z.
    """
    n = len(fit.members)
    if n == 1:
        return
    learn = axes_fit(facts.values, 2)
    yield _fit_step("embedding", facts.source, learn, fit)
    project = {"mac_fp32": 2 * n * facts.values}
    yield Step("embedding", (Transfer(facts.source, fit.members),), project, group=fit.group)
    for trial in fit.trials:
        yield from _descent(facts, fit, trial, buffer_bytes, units)


def _descent(facts: Facts, fit: MapFit, trial: Trial, buffer_bytes: int, units: int) -> Iterator[Step]:
    n = len(fit.members)
    resident = min(n, n * buffer_bytes * units // max(1, ENTRY_BYTES * trial.edges))
    if resident:
        yield Step("embedding", (Transfer("affinities", fit.members[:resident]),), group=fit.group)
    beyond = fit.members[resident:]
    streamed = (Transfer("affinities", beyond),) if len(beyond) else ()
    returned = POINT_BYTES * -(-n // units) + 4
    if not trial.meshes:
        yield Step(
            "embedding",
            streamed,
            iteration_operations(n, trial.edges, facts.kernel),
            broadcast_bytes=POINT_BYTES * n + 4,
            gather_bytes_per_unit=returned,
            group=fit.group,
            repeat=facts.n_iter,
        )
    for side, iterations in sorted(trial.meshes.items()):
        exchanged = mesh_bytes(side)
        yield Step(
            "embedding",
            streamed,
            mesh_operations(n, trial.edges, side, facts.kernel),
            broadcast_bytes=POINT_BYTES * n + 4 + exchanged,
            gather_bytes_per_unit=returned + -(-exchanged // units),
            group=fit.group,
            repeat=iterations,
        )


def mesh_bytes(side: int) -> int:
    """Return the bytes that change hands in one convolution of side × side nodes shared by units.

    A unit holds some lines of the mesh. The half spectrum, complex, goes to the units that hold columns and
    comes back; then the potential goes to the units whose points lie in it.
    """
    return 2 * COMPLEX_BYTES * side * (side + 1) + VALUE_BYTES * side * side


def mesh_operations(n: int, edges: int, side: int, kernel: str) -> dict[str, int]:
    """Return the operations of one iteration whose repulsion comes from a mesh of side × side nodes.

    Entries of the affinities and coordinates as in `iteration_operations`, without pairs. A point: its place
    along both axes (two subtractions, two products, two comparisons), weights and slopes of both splines (24
    additions, 36 products and 10 multiply-accumulates an axis), 6 products and 36 multiply-accumulates to
    spread it, 90 to gather, and to leave out what it does to itself 216 and the sum of the weights. A
    butterfly of the transforms: four multiply-accumulates and four additions; a node of the doubled half
    spectrum: two products with the real transform of the weights.
    """
    counts = Counter(iteration_operations(0, edges, kernel))
    counts.update(
        add_fp32=(2 + 48 + 1) * n + 4 * butterflies(side) + 2 * 2 * n,
        mac_fp32=(20 + 36 + 90 + 216) * n + 4 * butterflies(side) + 2 * 2 * n,
        mul_fp32=(2 + 72 + 6) * n + 2 * 2 * side * (side + 1) + 3 * 2 * n,
        compare=2 * n + 2 * 2 * n,
    )
    return dict(counts)


def iteration_operations(n: int, edges: int, kernel: str) -> dict[str, int]:
    """Return the operations of one iteration on a map of n points and `edges` joint affinities.

    A pair: two subtractions, two multiply-accumulates for 1 + d², the weight w (a division, or an
    exponential), w's sum, w·w for Student's kernel, two multiply-accumulates for the force. An entry of the
    affinities: the same without the sum, p·w in place of w·w. A coordinate: combining the forces (two
    multiply-accumulates), its gain (one product or sum, two comparisons), momentum and step (two products,
    two sums).
    """
    student = kernel == "student"
    pairs, coordinates = n * n, 2 * n
    counts = {
        "add_fp32": 3 * pairs + 2 * edges + 2 * coordinates,
        "mac_fp32": 4 * pairs + (4 if student else 2) * edges + 2 * coordinates,
        "mul_fp32": (pairs + edges if student else 0) + 3 * coordinates,
        "div_fp32": (pairs + edges if student else 0) + 1,
        "exp": 0 if student else pairs,
        "compare": 2 * coordinates,
    }
    return {kind: count for kind, count in counts.items() if count}


def _sampling(facts: Facts, fit: MapFit, buffer_bytes: int, units: int) -> Iterator[Step]:
    """Take exemplars from the map, which is in the buffers from its last iteration.

    Medoids, a round: the centres are sent to all, every point is compared with each, sums and counts of the
    members come back. Grids, a round: cell numbers are computed and the histograms come back; so does one of
    every map that was made where the most even one is to be chosen, for its entropy: a share, its logarithm
    (priced as an exponential) and their product a cell. At the end each unit offers its nearest point for
    every exemplar.
    """
    n, taken = len(fit.members), fit.sample
    budget = len(taken.chosen)
    histogram = {"add_fp32": 2 * n, "mul_fp32": 2 * n, "compare": 4 * n, "add_int32": n}
    if fit.chosen.entropy is not None:
        cells = min(cells_a_side(budget) ** 2, n)
        even = Counter(histogram) + Counter(exp=cells, mac_fp32=cells, div_fp32=cells)
        yield Step(
            "sampling",
            operations=dict(even),
            broadcast_bytes=16,
            gather_bytes_per_unit=4 * cells,
            group=fit.group,
            repeat=len(fit.trials),
        )
    if taken.centres:
        compared = n * taken.centres
        work = {
            "add_fp32": 2 * compared + 3 * n,
            "mac_fp32": 2 * compared,
            "compare": compared,
            "div_fp32": 2 * taken.centres,
        }
        sent, returned = POINT_BYTES * taken.centres, (POINT_BYTES + 4) * taken.centres
    else:
        work = histogram
        sent, returned = 16, 4 * -(-taken.cells // taken.rounds)
    yield Step(
        "sampling",
        operations=work,
        broadcast_bytes=sent,
        gather_bytes_per_unit=returned,
        group=fit.group,
        repeat=taken.rounds,
    )
    nearest = {"mac_fp32": 2 * n, "compare": n}
    yield Step("sampling", operations=nearest, gather_bytes_per_unit=ENTRY_BYTES * budget, group=fit.group)


def _fit_step(phase: str, array: str, learn: Fit, fit: MapFit) -> Step:
    n = len(fit.members)
    return Step(
        phase,
        (Transfer(array, fit.members),),
        {kind: n * count for kind, count in learn.operations.items()},
        broadcast_bytes=learn.exchanged_bytes,
        gather_bytes_per_unit=learn.exchanged_bytes,
        group=fit.group,
        repeat=learn.passes,
    )
