"""Patches of images that matter little to a network, and images without them."""

from __future__ import annotations

import numpy as np

from nmsim.errors import ConfigError, DataError
from nmsim.training import Model
from nmsim.training.layers import Flatten


def patch_importance(model: Model, images: np.ndarray, side: int) -> np.ndarray:
    """Return how much every patch speaks for the class that the model sees, float64 (n, patches).

    Grad-CAM (R. Selvaraju et al., ICCV 2017) before its ReLU, which only makes ties: the last feature maps,
    each weighted by the mean gradient of the winning logit by its values, interpolated linearly to the grid
    of patches, row by row.

    Parameters
    ----------
    model : Model
        Its last layer must look at feature maps, so that the gradient is that layer's weights.
    images : ndarray of uint8, shape (n, height, width, channels)
    side : int
        Of a patch, in pixels.

    Raises
    ------
    ConfigError
        For a network whose last layer sees no map.
    DataError
        Where patches do not tile the images.
    """
    network = model.network
    if len(network.layers) < 2 or not isinstance(network.layers[-2], Flatten):
        raise ConfigError(
            f"the network {network.name} has no feature maps before its last layer to weigh patches by",
            expected="cnn-s, resnet-8 or softmax",
        )
    rows, columns = patch_grid(images.shape[1:3], side)
    maps, height, width = network.shapes[-3]
    embeddings, probabilities = model.last_layer(images)
    weights = model.parameters[network.parameter_slices[-1]][: -network.n_classes]
    of_map = weights.reshape(maps, height * width, network.n_classes).mean(axis=1, dtype=np.float64)
    seen = embeddings.reshape(len(images), maps, height, width)
    cam = np.einsum("nkij,kn->nij", seen, of_map[:, probabilities.argmax(axis=1)], optimize=True)
    down, across = _interpolation(height, rows), _interpolation(width, columns)
    return (down @ cam @ across.T).reshape(len(images), -1)


def patch_grid(sides: tuple[int, ...], side: int) -> tuple[int, int]:
    """Return the rows and columns of patches of images of these sides, or raise DataError."""
    if any(pixels % side for pixels in sides):
        raise DataError(
            "patches do not tile the images",
            found=f"{side} × {side} patches in {sides[0]} × {sides[1]} pixels",
            hint="Choose a patch_side that divides both, or patch_drop: 0.",
        )
    return sides[0] // side, sides[1] // side


def kept_patches(importance: np.ndarray, drop: float) -> np.ndarray:
    """Return which patches stay, bool (n, patches): the most important of each, of equals the first."""
    kept = np.zeros(importance.shape, bool)
    order = np.argsort(-importance, axis=1, kind="stable")
    np.put_along_axis(kept, order[:, : number_kept(importance.shape[1], drop)], True, axis=1)
    return kept


def number_kept(patches: int, drop: float) -> int:
    """Return how many of an image's patches stay: int((1 - drop) · patches), and one at least."""
    return max(1, int((1 - drop) * patches))


def painted_over(images: np.ndarray, kept: np.ndarray, side: int) -> np.ndarray:
    """Return the images with the patches that are not kept in the mean colour of those that are."""
    rows, columns = patch_grid(images.shape[1:3], side)
    grid = kept.reshape(-1, rows, columns)
    mask = np.repeat(np.repeat(grid, side, axis=1), side, axis=2)[..., None]
    sums = (images * mask).sum(axis=(1, 2), dtype=np.int64)
    means = np.rint(sums / (side**2 * kept.sum(axis=1)[:, None])).astype(np.uint8)
    return np.where(mask, images, means[:, None, None, :])


def importance_work(n: int, values: int, patches: int) -> dict[str, int]:
    """Return the arithmetic beside a forward pass of n images: weighted maps, interpolation, the search.

    `values` are the numbers of an image's last layer: classes and features.
    """
    return {"mac_fp32": n * (values + 2 * patches), "compare": n * patches * patches.bit_length()}


def _interpolation(n: int, m: int) -> np.ndarray:
    """Return the matrix (m, n) that interpolates n values linearly at the centres of m equal parts."""
    at = np.clip((np.arange(m) + 0.5) * n / m - 0.5, 0, n - 1)
    low = np.minimum(at.astype(np.int64), max(0, n - 2))
    matrix = np.zeros((m, n))
    matrix[np.arange(m), low] = 1 - (at - low)
    matrix[np.arange(m), np.minimum(low + 1, n - 1)] += at - low
    return matrix
