"""Named random streams: every consumer has its own, so that adding one never changes another's numbers."""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Return the generator of the stream that `names` name under `seed`.

    Parameters
    ----------
    seed : int
        The run's seed, 0 <= seed < 2**63.
    *names : str or int
        The consumer, from general to special: `stream(1, "training", "mlp", 0)`. Numbers are those of 64
        bits, negative ones as their two's complement.

    Notes
    -----
    The names are hashed by CRC-32, which is the same on every machine and in every process (Python's own
    `hash` is not), and become the spawn key of one `numpy.random.SeedSequence`.
    """
    key = [n % (1 << 64) if isinstance(n, int) else zlib.crc32(n.encode()) for n in names]
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
