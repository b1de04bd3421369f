"""How fast the trainer is: images a second of one training epoch, as a ratio to others measured beside it.

Where PyTorch can be imported, the same network is trained by it with the same number of threads, in both of
its layouts; else, and also then, by the plain NumPy twin of nmsim's kernels. Rounds alternate and the best of
each counts, so that other work on the machine disturbs all alike. Processor seconds are shown too: with one
thread they hardly depend on what else runs, while PyTorch's threads wait for one another busily.

    python benchmarks/trainer.py [--threads 2] [--images 3000] [--rounds 5] [--networks mlp]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numba
import numpy as np

from nmsim.data.glyphs import generate
from nmsim.errors import ConfigError
from nmsim.training import NETWORKS, Recipe, reference, train
from nmsim.training.network import Network

BATCH = 64
TWIN_IMAGES = 128
OPTIONS = {"learning_rate": 0.05, "momentum": 0.9, "weight_decay": 5e-4}


def main() -> None:
    """Print a table of images a second for each preset."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=min(2, numba.config.NUMBA_NUM_THREADS))
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    arguments = parser.parse_args()
    numba.set_num_threads(arguments.threads)
    X, y = generate(arguments.images)
    print(f"one epoch of {len(X)} images of 32×32×3, batches of {BATCH}, {arguments.threads} threads")
    print(f"{'network':8} {'trainer':24} {'images/s':>9} {'images/CPU-s':>13} {'nmsim is':>9}")
    for name in arguments.networks:
        trainers = {"nmsim": _nmsim(name, X, y), "NumPy twin": _twin(name, X[:TWIN_IMAGES], y[:TWIN_IMAGES])}
        try:
            trainers["PyTorch"] = _torch(name, X, y, arguments.threads, channels_last=False)
            trainers["the same, channels last"] = _torch(name, X, y, arguments.threads, channels_last=True)
        except (ImportError, ConfigError):
            print("         (PyTorch is not installed here)")
        sizes = {"NumPy twin": TWIN_IMAGES}
        best = dict.fromkeys(trainers, (0.0, 0.0))
        for _ in range(arguments.rounds):
            for trainer, epoch in trainers.items():
                wall, processor = _time(epoch)
                n = sizes.get(trainer, len(X))
                best[trainer] = (max(best[trainer][0], n / wall), max(best[trainer][1], n / processor))
        for trainer, (rate, frugality) in best.items():
            ratio = "" if trainer == "nmsim" else f"{best['nmsim'][0] / rate:8.2f}×"
            print(f"{name:8} {trainer:24} {rate:9.0f} {frugality:13.0f} {ratio:>9}")


def _time(epoch: Callable[[], object]) -> tuple[float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    epoch()
    return time.perf_counter() - wall, time.process_time() - processor


def _nmsim(name: str, X: np.ndarray, y: np.ndarray) -> Callable[[], object]:
    def epoch() -> None:
        train(X, y, X[:1], y[:1], Recipe(network=name, epochs=1, batch_size=BATCH, min_steps=0, **OPTIONS))

    train(
        X[:BATCH], y[:BATCH], X[:1], y[:1], Recipe(network=name, epochs=1, batch_size=BATCH, min_steps=0)
    )  # compiles
    return epoch


def _torch(
    name: str, X: np.ndarray, y: np.ndarray, threads: int, channels_last: bool
) -> Callable[[], object]:
    import torch

    from nmsim.training.torch_backend import module

    torch.set_num_threads(threads)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = module(Network(name, X.shape[1:], 10)).to(memory_format=layout)
    optimiser = torch.optim.SGD(
        model.parameters(),
        lr=OPTIONS["learning_rate"],
        momentum=OPTIONS["momentum"],
        weight_decay=OPTIONS["weight_decay"],
    )
    # Normalised beforehand, while nmsim's time includes its normalisation of every batch.
    images = torch.from_numpy(((X - X.mean((0, 1, 2))) / X.std((0, 1, 2))).astype(np.float32))
    images, labels = images.permute(0, 3, 1, 2).contiguous(memory_format=layout), torch.from_numpy(y)

    def epoch() -> None:
        order = torch.randperm(len(X))
        for batch in order.split(BATCH):
            loss = torch.nn.functional.cross_entropy(model(images[batch]), labels[batch])
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
            optimiser.step()

    epoch()
    return epoch


def _twin(name: str, X: np.ndarray, y: np.ndarray) -> Callable[[], object]:
    """Return an epoch of the same network made of `nmsim.training.reference` alone, in float32."""
    network = Network(name, X.shape[1:], 10)
    parameters = network.initial_parameters(np.random.default_rng(0))
    scale = np.full(3, 1 / 64, np.float32)
    mean = np.full(3, 128, np.float32)

    def epoch() -> None:
        weights, velocity = parameters, np.zeros_like(parameters)
        for start in range(0, len(X), BATCH):
            x = reference.normalised(X[start : start + BATCH], mean, scale)
            gradient = reference.network_gradient(network, weights, x, y[start : start + BATCH])[1]
            weights, velocity = reference.sgd_step(weights, velocity, gradient[None], 0.01, 0.9, 5e-4, 2.0)

    return epoch


if __name__ == "__main__":
    main()
