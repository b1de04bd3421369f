"""Which of the selected images a map of the selection shows."""

from __future__ import annotations

import numpy as np

#: Images shown of a class at most, and their pixels along a side.
PICTURES, PIXELS = 6, 48


def pictures(
    images: np.ndarray, embedding: np.ndarray, labels: np.ndarray, selected: np.ndarray
) -> dict[str, np.ndarray]:
    """Return which selected images a map shows, spread over each class, and what they look like.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, height, width, channels)
    embedding : ndarray, shape (n, 2)
    labels : ndarray of int, shape (n,)
    selected : ndarray of int, shape (m,)

    Returns
    -------
    dict
        `pictured` (k,), numbers of images, at most `PICTURES` of a class; `pictures` (k, height, width,
        channels), uint8, every so many-th pixel where a side has more than `PIXELS`.

    Notes
    -----
    The first is the selected image nearest to the middle of its class; each further one is the farthest from
    all before (Gonzalez 1985), so that they lie apart.
    """
    shown: list[int] = []
    for label in np.unique(labels[selected]):
        own = selected[labels[selected] == label]
        points = np.asarray(embedding[own], dtype=float)
        next_one = int(((points - points.mean(axis=0)) ** 2).sum(axis=1).argmin())
        nearest = np.full(len(own), np.inf)
        for _ in range(min(PICTURES, len(own))):
            shown.append(int(own[next_one]))
            nearest = np.minimum(nearest, ((points - points[next_one]) ** 2).sum(axis=1))
            next_one = int(nearest.argmax())
    step = -(-max(images.shape[1:3]) // PIXELS)
    numbers = np.array(shown, dtype=np.int64)
    return {"pictured": numbers, "pictures": images[:, ::step, ::step][numbers]}
