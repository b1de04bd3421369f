"""Small IDX files for tests, written from the format's description."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np


def idx_bytes(array: np.ndarray) -> bytes:
    """Return an array of unsigned bytes as an IDX file: 00 00 08 rank, big-endian lengths, the numbers."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_idx_folder(folder: Path, n_train: int = 20, n_test: int = 10, packed: bool = True) -> Path:
    """Write a folder as MNIST's, with two classes of 4×5 images, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for part, n in (("train", n_train), ("t10k", n_test)):
        if n == 0:
            continue
        X = rng.integers(0, 256, (n, 4, 5), dtype=np.uint8)
        y = (np.arange(n) % 2).astype(np.uint8)
        for kind, array in (("images-idx3", X), ("labels-idx1", y)):
            content = idx_bytes(array)
            name = f"{part}-{kind}-ubyte"
            if packed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / name).write_bytes(content)
    return folder
