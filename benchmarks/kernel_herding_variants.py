"""What was tried beside kernel herding as it is, and did not stay: accuracies on held-out training images.

    python benchmarks/kernel_herding_variants.py DATA [--keep 0.01 0.05 0.1] [--seeds 5] [--only NAME…] \\
        [--augmentation flip_crop]

The same training, seeds and columns as `benchmarks/kernel_herding.py --validation`; the column p compares
with kernel herding as it is, not with random.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numba
import numpy as np
from kernel_herding import hold_out, spread, trained
from scipy import stats

from nmsim.data import open_dataset
from nmsim.selection import DESNE, create
from nmsim.selection.budget import class_budgets, total_budget
from nmsim.selection.kernel_herding import herding_order, kernel_sums, kernel_table, median_distance
from nmsim.selection.kernel_herding_features import make_codes
from nmsim.selection.kernel_herding_kernels import herd

BANDWIDTHS = (0.25, 1.0, 4.0)
Orders = list[np.ndarray]  # of each class, in numbers of its members


class Setting:
    """A data set's training images, and the features of a seed."""

    def __init__(self, X: np.ndarray, y: np.ndarray, seed: int, longest: float):
        self.X, self.y, self.seed = X, y, seed
        self.groups = [np.flatnonzero(y == label) for label in np.unique(y)]
        self.lengths = [int(len(members) * longest) + 1 for members in self.groups]

    def codes(self, kind: str = "rconv", n_filters: int = 16, n_features: int = 64) -> list[np.ndarray]:
        """Return the features of each class."""
        made = make_codes(self.X, self.groups, kind, n_filters, 4, n_features, self.seed).codes
        return [made[members] for members in self.groups]

    def orders(self, codes: list[np.ndarray], bandwidths: tuple[float, ...] = BANDWIDTHS) -> Orders:
        """Return herding's orders on any codes."""
        return [herding_order(c, n, bandwidths) for c, n in zip(codes, self.lengths, strict=True)]


def as_it_is(setting: Setting, keep: float) -> Orders:
    """Return the method's own orders."""
    return setting.orders(setting.codes())


def filters_and_pixels(setting: Setting, keep: float) -> Orders:
    """Return orders on 32 features of either kind."""
    halves = zip(setting.codes(n_features=32), setting.codes("pca", n_features=32), strict=True)
    return setting.orders([np.concatenate(pair, axis=1) for pair in halves])


def more_filters(setting: Setting, keep: float) -> Orders:
    """Return orders with 256 filters."""
    return setting.orders(setting.codes(n_filters=256))


def fewer_features(setting: Setting, keep: float) -> Orders:
    """Return orders with 16 bytes a record."""
    return setting.orders(setting.codes(n_features=16))


def equal_axes(setting: Setting, keep: float) -> Orders:
    """Return orders on features scaled towards one spread, by the root of the standard deviation."""
    scaled = []
    for codes in setting.codes():
        deviation = np.sqrt(np.maximum(codes.std(axis=0), 1))
        scaled.append(np.clip(np.rint(codes / deviation * deviation.mean() / 2), -128, 127).astype(np.int8))
    return setting.orders(scaled)


def tilted(power: float) -> Callable[[Setting, float], Orders]:
    """Return herding whose target weighs dense regions more: by the kernel mean to a power."""

    def orders(setting: Setting, keep: float) -> Orders:
        found = []
        for codes, length in zip(setting.codes(), setting.lengths, strict=True):
            table, shift = kernel_table(median_distance(codes), BANDWIDTHS)
            sums = kernel_sums(codes, table, shift)
            weights = (sums / sums.mean()) ** power
            target = (_matrix(codes, table, shift) @ weights) * (len(codes) / weights.sum())
            order = np.empty(length, dtype=np.int64)
            herd(codes, table, shift, np.rint(target).astype(np.int64), order)
            found.append(order)
        return found

    return orders


def swapped(setting: Setting, keep: float) -> Orders:
    """Return selections improved by exchanging each taken record for the best one, twice around."""
    found = []
    budgets = class_budgets(np.array([len(m) for m in setting.groups]), total_budget(len(setting.y), keep))
    for codes, budget in zip(setting.codes(), budgets, strict=True):
        table, shift = kernel_table(median_distance(codes), BANDWIDTHS)
        K = _matrix(codes, table, shift)
        order = herding_order(codes, int(budget), BANDWIDTHS)
        mean, taken = K.mean(axis=1) * budget, np.zeros(len(codes), bool)
        taken[order] = True
        sums = K[order].sum(axis=0)
        for place in list(range(budget)) * 2:
            old = order[place]
            sums, taken[old] = sums - K[old], False
            new = int(np.where(taken, -np.inf, mean - sums - K[0, 0] / 2).argmax())
            sums, taken[new], order[place] = sums + K[new], True, new
        found.append(order)
    return found


def in_the_map(setting: Setting, keep: float) -> Orders:
    """Return orders in DE-SNE's map of each class, in place of features."""
    made = DESNE(keep, random_state=setting.seed).fit(setting.X, setting.y).embedding_
    codes = []
    for members in setting.groups:
        points = made[members] - made[members].mean(axis=0)
        codes.append(np.rint(points * (127 / np.abs(points).max())).astype(np.int8))
    return setting.orders(codes, (0.01, 0.05, 0.25))


def by_difficulty(setting: Setting, keep: float) -> Orders:
    """Return orders cut to class quotas that grow with how often the nearest class mean is another's.

    Quotas go as the square root of the share of such records, at half the weight of equal quotas.
    """
    whole = make_codes(setting.X, [np.arange(len(setting.y))], "rconv", 16, 4, 64, setting.seed).codes
    whole = whole.astype(float)
    means = np.array([whole[members].mean(axis=0) for members in setting.groups])
    d2 = (means**2).sum(axis=1) - 2 * whole @ means.T
    wrong = [np.mean(d2[m].argmin(axis=1) != label) for label, m in enumerate(setting.groups)]
    share = 0.5 + 0.5 * np.sqrt(wrong) / np.mean(np.sqrt(wrong))
    sizes = np.array([len(m) for m in setting.groups])
    quotas = class_budgets(np.rint(sizes * share * 1000).astype(np.int64), total_budget(len(setting.y), keep))
    return [herding_order(c, int(q), BANDWIDTHS) for c, q in zip(setting.codes(), quotas, strict=True)]


def _matrix(codes: np.ndarray, table: np.ndarray, shift: int) -> np.ndarray:
    records = codes.astype(np.float32)
    norms = (records**2).sum(axis=1)
    entry = (norms[:, None] + norms - 2 * records @ records.T).astype(np.int64) >> shift
    return np.append(table, 0)[np.minimum(entry, len(table))].astype(np.float32)


VARIANTS: dict[str, Callable[[Setting, float], Orders]] = {
    "as it is": as_it_is,
    "32 features of filters, 32 of pixels": filters_and_pixels,
    "256 filters": more_filters,
    "16 features": fewer_features,
    "axes scaled towards equal": equal_axes,
    "target tilted to dense regions": tilted(1.0),
    "target tilted to sparse regions": tilted(-0.5),
    "swaps afterwards": swapped,
    "in DE-SNE's map": in_the_map,
    "quotas by difficulty": by_difficulty,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data")
    parser.add_argument("--keep", type=float, nargs="+", default=[0.01, 0.05, 0.1])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=numba.get_num_threads())
    parser.add_argument("--augmentation", default="none")
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    options = parser.parse_args()
    numba.set_num_threads(options.threads)
    data = open_dataset(path=options.data)
    images = hold_out(data.X_train, data.y_train)
    X, y = images[:2]
    way = {"augmentation": options.augmentation}
    print("| variant | kept | accuracy | to random | to it as it is | p |\n|---|---|---|---|---|---|")
    first: dict[float, np.ndarray] = {}
    random = {
        keep: np.array(
            [
                trained(*images, create("random", keep, s).fit(X, y).indices_, keep, s, **way)
                for s in range(options.seeds)
            ]
        )
        for keep in options.keep
    }
    for name in options.only:
        found = {keep: [] for keep in options.keep}
        for seed in range(options.seeds):
            setting, cached = Setting(X, y, seed, max(options.keep)), None
            for keep in options.keep:
                if cached is None or name in ("swaps afterwards", "quotas by difficulty"):
                    cached = VARIANTS[name](setting, keep)
                rows = np.concatenate(
                    [m[o] for m, o in zip(setting.groups, _cut(cached, setting, keep, name), strict=True)]
                )
                found[keep].append(trained(*images, np.sort(rows), keep, seed, **way))
        for keep in options.keep:
            ours = np.array(found[keep])
            base = first.setdefault(keep, ours)
            p = stats.ttest_rel(ours, base).pvalue if ours is not base else np.nan
            gains = (ours - random[keep]).mean(), (ours - base).mean()
            print(
                f"| {name} | {keep:.0%} | {spread(ours)} | {gains[0]:+.2f} | {gains[1]:+.2f} | {p:.2g} |",
                flush=True,
            )


def _cut(orders: Orders, setting: Setting, keep: float, name: str) -> Orders:
    if name == "quotas by difficulty":
        return orders
    sizes = np.array([len(m) for m in setting.groups])
    budgets = class_budgets(sizes, total_budget(len(setting.y), keep))
    return [order[:budget] for order, budget in zip(orders, budgets, strict=True)]


if __name__ == "__main__":
    main()
