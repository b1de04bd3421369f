"""What DE-SNE did for a class: the facts by which its work is described and its choice explained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nmsim.selection import sampling


@dataclass(frozen=True)
class Trial:
    """A map that was made: the facts that its description of work needs.

    Attributes
    ----------
    perplexity : float
        Asked for.
    n_neighbours, search_steps, edges : int
        Neighbours a point, values of beta tried over all points, entries of the joint affinities.
    meshes : dict of int to int
        Iterations whose forces were interpolated, by the nodes a side of their mesh; empty for exact forces.
    kl_divergence : float
        Of the finished map, in nats.
    entropy : float or None
        `sampling.occupancy_entropy`, where the map was one of several to choose from.
    """

    perplexity: float
    n_neighbours: int
    search_steps: int
    edges: int
    meshes: dict[int, int]
    kl_divergence: float
    entropy: float | None = None


@dataclass(frozen=True, eq=False)
class MapFit:
    """What was done for one group of records, and what was chosen from it.

    Attributes
    ----------
    group : int or None
        The class label; None where one map holds all classes.
    members : ndarray of int64, shape (n,)
        Record numbers, ascending.
    early, late : ndarray of int64, shape (n,)
        As in `affinities.Affinities`.
    trials : tuple of Trial
        The maps made: one, or one a candidate perplexity.
    chosen : Trial
        The one that was sampled.
    sample : sampling.Sample
        In numbers of `members`.
    """

    group: int | None
    members: np.ndarray
    early: np.ndarray
    late: np.ndarray
    trials: tuple[Trial, ...]
    chosen: Trial
    sample: sampling.Sample

    @property
    def n_neighbours(self) -> int:
        """Neighbours that were looked for: enough for the largest perplexity."""
        return max(trial.n_neighbours for trial in self.trials)
