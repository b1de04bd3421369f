"""Slow readable twins of the kernels: plain NumPy on arrays of shape (images, channels, height, width)."""

from __future__ import annotations

import numpy as np

from nmsim.training.chain import Chain, Residual
from nmsim.training.layers import AvgPool2d, BatchNorm2d, Conv2d, Dense, Flatten, MaxPool2d, ReLU
from nmsim.training.network import Network


def conv2d(x: np.ndarray, w: np.ndarray, bias: np.ndarray, padding: int, stride: int) -> np.ndarray:
    """Return the convolution of x, shape (n, c, h, w), with w, shape (kernel, kernel, c, outputs).

    y[n, o, i, j] = bias[o] + sum over p, q, c of w[p, q, c, o] · x[n, c, stride·i + p - padding, …]
    """
    patches = _patches(_padded(x, padding), w.shape[0], stride)
    return np.einsum("ncijpq,pqco->noij", patches, w, optimize=True) + bias[:, None, None]


def conv2d_gradients(
    dy: np.ndarray, x: np.ndarray, w: np.ndarray, padding: int, stride: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the gradients of input, weights and biases for the output's gradient dy, shape (n, o, i, j)."""
    padded = _padded(x, padding)
    dw = np.einsum("ncijpq,noij->pqco", _patches(padded, w.shape[0], stride), dy, optimize=True)
    dx = np.zeros_like(padded)
    height, width = dy.shape[2:]
    for p in range(w.shape[0]):
        for q in range(w.shape[1]):
            seen = dx[:, :, p : p + stride * height : stride, q : q + stride * width : stride]
            seen += np.einsum("noij,co->ncij", dy, w[p, q], optimize=True)
    inside = slice(padding, -padding or None)
    return dx[:, :, inside, inside], dw, dy.sum(axis=(0, 2, 3))


def max_pool(x: np.ndarray, window: int) -> np.ndarray:
    """Return the largest of each whole window."""
    return _windows(x, window).max(axis=-1)


def max_pool_gradient(dy: np.ndarray, x: np.ndarray, window: int) -> np.ndarray:
    """Return dy sent to the first largest pixel of each window, row by row."""
    windows = _windows(x, window)
    spread = np.zeros_like(windows)
    np.put_along_axis(spread, windows.argmax(axis=-1)[..., None], dy[..., None], axis=-1)
    return _unwindowed(spread, x.shape, window)


def mean_pool(x: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return the mean of each whole window."""
    patches = np.lib.stride_tricks.sliding_window_view(x, (rows, columns), axis=(2, 3))
    return patches[:, :, ::rows, ::columns].mean(axis=(-2, -1))


def mean_pool_gradient(dy: np.ndarray, x: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return dy spread evenly over each window."""
    dx = np.zeros_like(x)
    spread = dy.repeat(rows, axis=2).repeat(columns, axis=3) / (rows * columns)
    dx[:, :, : spread.shape[2], : spread.shape[3]] = spread
    return dx


def batch_norm(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, floor: float) -> np.ndarray:
    """Return x with mean beta[c] and standard deviation gamma[c] in each channel, over all images."""
    centred = x - x.mean(axis=(0, 2, 3), keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=(0, 2, 3), keepdims=True) + floor)
    return gamma[:, None, None] * centred / deviation + beta[:, None, None]


def batch_norm_gradients(
    dy: np.ndarray, x: np.ndarray, gamma: np.ndarray, floor: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the gradients of input, gamma and beta, step by step through the formula of `batch_norm`."""
    over, n = (0, 2, 3), x.size // x.shape[1]
    centred = x - x.mean(axis=over, keepdims=True)
    variance = (centred**2).mean(axis=over, keepdims=True) + floor
    d_normal = dy * gamma[:, None, None]
    d_variance = (d_normal * centred).sum(axis=over, keepdims=True) * -0.5 * variance**-1.5
    d_centred = d_normal / np.sqrt(variance) + d_variance * 2 * centred / n
    dx = d_centred - d_centred.mean(axis=over, keepdims=True)
    return dx, (dy * centred / np.sqrt(variance)).sum(axis=over), dy.sum(axis=over)


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each image's loss, shape (n,), and its gradient, shape (n, classes), for logits (n, classes)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    one_hot = np.eye(logits.shape[1])[labels]
    return -(log_p * one_hot).sum(axis=1), np.exp(log_p) - one_hot


def sgd_step(
    weights: np.ndarray,
    velocity: np.ndarray,
    gradients: np.ndarray,
    learning_rate: float,
    momentum: float,
    weight_decay: float,
    clip_norm: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights and the velocity after one step along the sum of `gradients`, shape (chunks, n)."""
    gradient = gradients.sum(axis=0)
    gradient = gradient * min(1.0, clip_norm / max(float(np.linalg.norm(gradient)), 1e-300))
    velocity = momentum * velocity + gradient + weight_decay * weights
    return weights - learning_rate * velocity, velocity


def normalised(images: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return images (n, h, w, c) of bytes as (value - mean[c]) · scale[c], shape (n, c, h, w)."""
    return ((images - mean) * scale).transpose(0, 3, 1, 2)


def count_values(images: np.ndarray) -> np.ndarray:
    """Return how often each byte stands in each channel, shape (channels, 256)."""
    return np.stack([np.bincount(images[..., c].ravel(), minlength=256) for c in range(images.shape[-1])])


def moved(images: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """Return images (n, c, h, w), each flipped where moves[i, 0], then shifted; zeros lie beyond it."""
    out = np.zeros_like(images)
    height, width = images.shape[2:]
    for image, target, (flip, down, right) in zip(images, out, moves.astype(int), strict=True):
        for y in range(max(0, -down), min(height, height - down)):
            for x in range(width):
                place = (width - 1 - x if flip else x) + right
                if 0 <= place < width:
                    target[:, y, x] = image[:, y + down, place]
    return out


def network_gradient(
    network: Network, parameters: np.ndarray, x: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the outputs (n, classes) for x (n, c, h, w), and the gradient of the mean loss."""
    *inputs, outputs = _chain_forward(network, x, parameters)
    outputs = outputs.reshape(len(x), -1)
    dy = (cross_entropy(outputs, labels)[1] / len(x)).astype(x.dtype)[:, :, None, None]
    return outputs, _chain_backward(network, dy, inputs, parameters)[1]


def _chain_forward(chain: Chain, x: np.ndarray, parameters: np.ndarray) -> list[np.ndarray]:
    """Return the input of each layer, and last the output."""
    values = [x]
    for layer, part in zip(chain.layers, chain.parameter_slices, strict=True):
        values.append(_forward(layer, values[-1], parameters[part]))
    return values


def _chain_backward(
    chain: Chain, dy: np.ndarray, inputs: list[np.ndarray], parameters: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients by the input and by the parameters."""
    gradient = np.zeros_like(parameters)
    for i in reversed(range(len(chain.layers))):
        part = chain.parameter_slices[i]
        dy, gradient[part] = _backward(chain.layers[i], dy, inputs[i], parameters[part])
    return dy, gradient


def _forward(layer: object, x: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    match layer:
        case Conv2d() | Dense():
            return conv2d(x, *_weights(layer, x, parameters))
        case BatchNorm2d():
            gamma, beta = np.split(parameters, 2)
            return batch_norm(x, gamma, beta, layer.floor)
        case Residual():
            body, shortcut = layer.chains(x.shape[1:])
            first, second = np.split(parameters, [body.parameter_count])
            return _chain_forward(body, x, first)[-1] + _chain_forward(shortcut, x, second)[-1]
        case MaxPool2d():
            return max_pool(x, layer.window)
        case AvgPool2d():
            return mean_pool(x, *layer.sides(x.shape[1:]))
        case ReLU():
            return np.maximum(x, 0)
        case Flatten():
            return x.reshape(len(x), -1, 1, 1)
    raise TypeError(type(layer).__name__)


def _backward(
    layer: object, dy: np.ndarray, x: np.ndarray, parameters: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients by the input and by the parameters."""
    none = np.zeros(0, x.dtype)
    match layer:
        case Conv2d() | Dense():
            w, _, padding, stride = _weights(layer, x, parameters)
            dx, dw, dbias = conv2d_gradients(dy, x, w, padding, stride)
            return dx, np.concatenate([dw.ravel(), dbias])[: parameters.size]
        case BatchNorm2d():
            dx, d_gamma, d_beta = batch_norm_gradients(dy, x, np.split(parameters, 2)[0], layer.floor)
            return dx, np.concatenate([d_gamma, d_beta])
        case Residual():
            chains = layer.chains(x.shape[1:])
            parts = np.split(parameters, [chains[0].parameter_count])
            found = [
                _chain_backward(chain, dy, _chain_forward(chain, x, part)[:-1], part)
                for chain, part in zip(chains, parts, strict=True)
            ]
            return found[0][0] + found[1][0], np.concatenate([found[0][1], found[1][1]])
        case MaxPool2d():
            return max_pool_gradient(dy, x, layer.window), none
        case AvgPool2d():
            return mean_pool_gradient(dy, x, *layer.sides(x.shape[1:])), none
        case ReLU():
            return np.where(x > 0, dy, 0).astype(x.dtype), none
        case Flatten():
            return dy.reshape(x.shape), none
    raise TypeError(type(layer).__name__)


def _weights(
    layer: Conv2d | Dense, x: np.ndarray, parameters: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Return weights (kernel, kernel, c, outputs), biases, padding and stride; Dense is a kernel of one."""
    if isinstance(layer, Dense):
        kernel, outputs, padding, stride = 1, layer.units, 0, 1
    else:
        kernel, outputs, padding, stride = layer.kernel, layer.channels, layer.padding, layer.stride
    w, bias = np.split(parameters, [kernel**2 * x.shape[1] * outputs])
    bias = bias if bias.size else np.zeros(outputs, x.dtype)
    return w.reshape(kernel, kernel, x.shape[1], outputs), bias, padding, stride


def _padded(x: np.ndarray, padding: int) -> np.ndarray:
    return np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))


def _patches(x: np.ndarray, kernel: int, stride: int) -> np.ndarray:
    """Return a view of shape (n, c, rows, columns, kernel, kernel): what the kernel sees at each place."""
    patches = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(2, 3))
    return patches[:, :, ::stride, ::stride]


def _windows(x: np.ndarray, window: int) -> np.ndarray:
    """Return the whole windows, shape (n, c, rows, columns, window²), pixels row by row."""
    patches = _patches(x, window, window)
    return patches.reshape(*patches.shape[:4], window**2).copy()


def _unwindowed(windows: np.ndarray, shape: tuple[int, ...], window: int) -> np.ndarray:
    n, c, rows, columns, _ = windows.shape
    pixels = windows.reshape(n, c, rows, columns, window, window).transpose(0, 1, 2, 4, 3, 5)
    x = np.zeros(shape, windows.dtype)
    x[:, :, : rows * window, : columns * window] = pixels.reshape(n, c, rows * window, columns * window)
    return x
