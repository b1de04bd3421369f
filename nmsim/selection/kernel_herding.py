"""Kernel herding: of each class the records whose kernel mean is nearest to the class's own, one by one."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
from threadpoolctl import threadpool_limits

from nmsim.access.work import ArraySpec, Step
from nmsim.errors import ConfigError
from nmsim.machine import IMAGES, Need
from nmsim.schemes import PLACES
from nmsim.selection import kernel_herding_work
from nmsim.selection.budget import class_budgets, total_budget
from nmsim.selection.kernel_herding_features import KINDS, exact_type, make_codes, sample_of
from nmsim.selection.kernel_herding_kernels import herd, sum_kernel_values
from nmsim.selection.kernel_herding_work import ClassFit
from nmsim.selection.needs import MB, Records
from nmsim.selection.selector import Estimator, check_choice, check_number

ENTRIES = 4096  # of the table of kernel values
ONE = 65535  # what a kernel value of 1 is in the table
_TILE_PAIRS = 1 << 21  # pairs whose inner products a thread holds at a time


class KernelHerding(Estimator):
    """Select per class by kernel herding on fixed features: nmsim's own method, beside the published DE-SNE.

    Parameters
    ----------
    keep_ratio : float
        Share of the samples to keep, 0 < keep_ratio <= 1.
    features : {"rconv", "pca"}
        Responses of random filters, or pixels; projected on principal axes where these are more than
        `n_features`. See `kernel_herding_features`.
    n_filters, cells : int
        Of `rconv`: filters, 1 … 1,024, and cells on each axis that responses are summed over, 1 … 64.
    n_features : int
        Bytes of a record's features, 1 … 1,024. Where there are more values, they are projected.
    bandwidths : sequence of float
        The kernel is the mean of exp(-d² / (b · median d²)) over these b, each from 0.001 to 1,000.
    random_state : int
        Seed of the filters, 0 <= random_state < 2**63. One seed gives one result for any number of threads.

    Attributes
    ----------
    indices_ : ndarray of int64, shape (budget,)
        The chosen records, ascending and distinct.
    order_ : dict of int to ndarray of int64
        For each class label the records in the order in which they were taken: at least as many as are kept.
        The order does not depend on the budget, so that `prefix` serves every smaller one.

    Notes
    -----
    S. Chen, M. Welling, A. Smola, *Super-samples from kernel herding*, UAI 2010, without replacement: record
    t + 1 is the one with the largest mean_j k(x, x_j) - (Σ_{s taken} k(x, s) + k(x, x) / 2) / (t + 1), which
    lowers the maximum mean discrepancy between the class and what was taken of it most.

    Time grows as n² · n_features of a class; memory is n · n_features bytes and some 40 MB a thread.
    """

    places = PLACES

    def __init__(
        self,
        keep_ratio: float = 0.1,
        *,
        features: str = "rconv",
        n_filters: int = 16,
        cells: int = 4,
        n_features: int = 64,
        bandwidths: tuple[float, ...] = (0.25, 1.0, 4.0),
        random_state: int = 1,
    ):
        self.keep_ratio, self.random_state = keep_ratio, random_state
        self.features, self.n_filters, self.cells, self.n_features = features, n_filters, cells, n_features
        self.bandwidths = bandwidths

    def fit(self, X: np.ndarray, y: np.ndarray) -> KernelHerding:
        """Select from X and return self.

        Parameters
        ----------
        X : ndarray of uint8 or other real numbers, shape (n, …)
            Images (n, height, width[, channels]) or flat records.
        y : ndarray of integers, shape (n,)
            Class labels.

        Raises
        ------
        DataError
            For data, labels or a keep ratio that cannot be used.
        ConfigError
            For a parameter out of its range.
        """
        y, labels, self._sizes, budgets = self.checked(X, y)
        budget = int(budgets.sum())
        groups = [np.flatnonzero(y == label) for label in labels]
        made = make_codes(
            X, groups, self.features, self.n_filters, self.cells, self.n_features, self.random_state
        )
        # A smaller budget may leave a class one more than its share of this one, rounded down.
        lengths = np.minimum(self._sizes, self._sizes * budget // len(X) + 1)
        widths = tuple(self.bandwidths)
        with threadpool_limits(1), ThreadPoolExecutor(numba.get_num_threads()) as pool:
            jobs = [
                pool.submit(herding_order, made.codes[members], int(length), widths)
                for members, length in zip(groups, lengths, strict=True)
            ]
            orders = [members[job.result()] for members, job in zip(groups, jobs, strict=True)]
        self.classes_ = [
            ClassFit(int(label), members, order)
            for label, members, order in zip(labels, groups, orders, strict=True)
        ]
        self.order_ = {fit.group: fit.order for fit in self.classes_}
        self.indices_ = self.prefix(self.keep_ratio)
        self._facts = kernel_herding_work.Facts(len(X), X[0].nbytes, made, len(self.indices_))
        return self

    def prefix(self, keep_ratio: float) -> np.ndarray:
        """Return what a fit with this keep ratio, at most the fitted one, selects: `indices_` of that fit."""
        n = int(self._sizes.sum())
        check_number("keep_ratio", keep_ratio, 0, self.keep_ratio, above=True)
        budgets = class_budgets(self._sizes, total_budget(n, keep_ratio))
        taken = [fit.order[:share] for fit, share in zip(self.classes_, budgets, strict=True)]
        return np.sort(np.concatenate(taken))

    def arrays(self) -> list[ArraySpec]:
        """Return the arrays that the steps touch; "images" is the data set itself."""
        return kernel_herding_work.arrays(self._facts)

    def steps(self, buffer_bytes: int, units: int = 1) -> Iterator[Step]:
        """Return the accesses and operations of the last fit; see `kernel_herding_work.steps`."""
        return kernel_herding_work.steps(self._facts, self.classes_, buffer_bytes, units)

    def needs(self, records: Records) -> Iterator[Need]:
        """Yield the features, with what makes them, and the tiles of pairs that the threads fill."""
        yield Need("features", records.n * 400, IMAGES)
        yield Need("tiles of pairs", numba.get_num_threads() * 24 * MB)

    def check_parameters(self) -> None:
        """Raise ConfigError where a parameter is out of its range."""
        super().check_parameters()
        check_choice("features", self.features, KINDS)
        check_number("n_filters", self.n_filters, 1, 1024, whole=True)
        check_number("cells", self.cells, 1, 64, whole=True)
        check_number("n_features", self.n_features, 1, 1024, whole=True)
        if not isinstance(self.bandwidths, list | tuple) or not 1 <= len(self.bandwidths) <= 64:
            raise ConfigError(
                "bandwidths is no list of widths",
                found=repr(self.bandwidths),
                expected="1 to 64 numbers, such as [0.25, 1, 4]",
            )
        for bandwidth in self.bandwidths:
            check_number("bandwidths", bandwidth, 0.001, 1000)


def herding_order(codes: np.ndarray, length: int, bandwidths: tuple[float, ...]) -> np.ndarray:
    """Return the numbers of the first `length` records, at most n, that herding takes of one class.

    `codes` is int8 of shape (n, d). It runs on one thread.
    """
    table, shift = kernel_table(median_distance(codes), bandwidths)
    sums, order = kernel_sums(codes, table, shift), np.empty(length, dtype=np.int64)
    herd(codes, table, shift, sums, order)
    return order


def median_distance(codes: np.ndarray) -> int:
    """Return the lower median of the squared distances of all pairs of a sample, and at least 1."""
    sample = codes[sample_of(np.arange(len(codes)))].astype(np.float64)
    norms = (sample**2).sum(axis=1)
    pairs = np.triu_indices(len(sample), 1)
    d2 = np.sort((norms[:, None] + norms - 2 * (sample @ sample.T))[pairs])
    return max(1, int(d2[(len(d2) - 1) // 2])) if len(d2) else 1


def kernel_table(median: int, bandwidths: tuple[float, ...]) -> tuple[np.ndarray, int]:
    """Return the kernel as a table, and by how many bits a squared distance is shifted to find its entry.

    Parameters
    ----------
    median : int
        Unit of the bandwidths, a squared distance.
    bandwidths : tuple of float

    Returns
    -------
    table : ndarray of uint16, shape (4096,)
        65,535 times the mean of exp(-d² / (b · median)) over the bandwidths b, d² the middle of the entry's
        distances, rounded. Beyond the table the kernel is 0, as the last entries are unless the widest
        bandwidth is much wider than the others.
    shift : int
    """
    reach = np.log(2.0 * ONE) * max(bandwidths) * median
    shift = max(0, int(np.ceil(np.log2(reach / ENTRIES))))
    middle = np.arange(ENTRIES) * 2.0**shift + (2.0**shift - 1) / 2
    kernel = sum(np.exp(-middle / (b * median)) for b in bandwidths) / len(bandwidths)
    return np.rint(ONE * kernel).astype(np.uint16), shift


def kernel_sums(codes: np.ndarray, table: np.ndarray, shift: int) -> np.ndarray:
    """Return each record's sum of kernel values with all records, int64 (n,), tile by tile."""
    records: np.ndarray = codes.astype(exact_type(codes.shape[1]))
    norms = (codes.astype(np.int64) ** 2).sum(axis=1)
    sums = np.empty(len(codes), dtype=np.int64)
    tile = max(1, _TILE_PAIRS // len(codes))
    for first in range(0, len(codes), tile):
        dots = records[first : first + tile] @ records.T
        sum_kernel_values(dots, norms, first, table, shift, sums[first : first + len(dots)])
    return sums
