"""Chunks of images dealt to threads; each chunk's result is its own, whoever computes it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numba
import numpy as np

from nmsim.training.network import Chunk, Network

_Result = TypeVar("_Result")


class Team:
    """As many threads as Numba may use, and the memory of `n_chunks` chunks of `lanes` images.

    Attributes
    ----------
    chunks : list of Chunk
    gradients : ndarray, shape (n_chunks, parameters)
        Row i is the gradient of chunk i.
    seen : ndarray, shape (n_chunks, statistics)
        Row i is what chunk i saw.
    lanes : int
    """

    def __init__(
        self, network: Network, parameters: np.ndarray, statistics: np.ndarray, n_chunks: int, lanes: int
    ):
        self.gradients = np.zeros((n_chunks, parameters.size), parameters.dtype)
        self.seen = np.zeros((n_chunks, statistics.size), statistics.dtype)
        own = zip(self.gradients, self.seen, strict=True)
        self.chunks = [Chunk(network, parameters, statistics, lanes, *memory) for memory in own]
        self.lanes = lanes
        self._size = min(numba.get_num_threads(), n_chunks)

    def __enter__(self) -> Team:
        self._pool = ThreadPoolExecutor(self._size - 1) if self._size > 1 else None
        return self

    def __exit__(self, *exception: object) -> None:
        if self._pool:
            self._pool.shutdown()

    def map(self, work: Callable[[Chunk, int], _Result], n: int) -> list[_Result]:
        """Return work(chunk i, i) for i < n, in this order."""
        results: dict[int, _Result] = {}

        def share(first: int) -> None:
            for i in range(first, n, self._size):
                results[i] = work(self.chunks[i], i)

        others = []
        if self._pool:
            others = [self._pool.submit(share, first) for first in range(1, min(self._size, n))]
        share(0)
        for other in others:
            other.result()
        return [results[i] for i in range(n)]
