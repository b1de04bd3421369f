"""The trainer's loops in Numba, all of one form: rows of memory that hold many images side by side.

The innermost axis of every array is the image (the *lane*), see `nmsim.training.planes`. So the pixels of
one output row, for all images of a chunk, are one straight stretch of memory, and a convolution is nothing
but sums of such stretches, each times one weight. Tiles keep the sums in registers: for sums of stretches
those of `nmsim.training.tiles`, for the gradients of weights four by four inner products.

A kernel runs on one thread and without the interpreter's lock; callers give each thread a chunk of its own.
Hence a result does not depend on the number of threads. Offsets are unsigned, as a signed index would make
the compiler provide for negative ones in the innermost loop.

Each kernel has a slow readable twin in `nmsim.training.reference`.
"""

from __future__ import annotations

import numpy as np

from nmsim.compiled import njit
from nmsim.training.tiles import ROWS, WIDTH, add_tile_1, add_tile_2, add_tile_4, add_tile_8

#: Sums may be regrouped to fill vector registers; NaN and infinity keep their meaning.
_SUMS = {"contract", "reassoc", "nsz", "arcp"}


@njit(cache=True, fastmath=_SUMS)
def _add_row(out, o, src, s, weight, n):
    for x in range(n):
        out[o + x] += weight * src[s + x]


@njit(cache=True)
def _add_products(out, out_at, src, src_at, w, k, di, dj, n):
    """Add sum_j w[k + i·di + j·dj] · src[src_at[j] + x] to out[out_at[i] + x], for all i and x < n.

    The rows of `out` lie at equal distances.
    """
    rows, zero = out_at.size, np.uint64(0)
    step = out_at[1] - out_at[0] if rows > 1 else zero
    wide = n - n % np.uint64(WIDTH)
    i = 0
    while i < rows:
        left, at, weight = rows - i, out_at[i], k + np.uint64(i) * di
        x = zero
        while x < wide:
            if left >= 8 and ROWS == 8:
                add_tile_8(out, at + x, step, src, src_at, x, w, weight, di, dj)
            elif left >= 4:
                add_tile_4(out, at + x, step, src, src_at, x, w, weight, di, dj)
            elif left >= 2:
                add_tile_2(out, at + x, step, src, src_at, x, w, weight, di, dj)
            else:
                add_tile_1(out, at + x, step, src, src_at, x, w, weight, di, dj)
            x += np.uint64(WIDTH)
        i += 8 if left >= 8 and ROWS == 8 else 4 if left >= 4 else 2 if left >= 2 else 1
    if wide < n:
        for i in range(rows):
            for j in range(src_at.size):
                weight = w[k + np.uint64(i) * di + np.uint64(j) * dj]
                _add_row(out, out_at[i] + wide, src, src_at[j] + wide, weight, n - wide)


@njit(cache=True, fastmath=_SUMS)
def _inner_tile(g, g0, g1, g2, g3, src, s0, s1, s2, s3, w, k, dj, n):
    """Add to the 4×4 sums at w[k + i + j·dj] the inner products of four rows of `g` and four of `src`."""
    zero = g.dtype.type(0)
    w00, w01, w02, w03 = zero, zero, zero, zero
    w10, w11, w12, w13 = zero, zero, zero, zero
    w20, w21, w22, w23 = zero, zero, zero, zero
    w30, w31, w32, w33 = zero, zero, zero, zero
    for x in range(n):
        a, b, c, d = src[s0 + x], src[s1 + x], src[s2 + x], src[s3 + x]
        e = g[g0 + x]
        w00, w01, w02, w03 = w00 + e * a, w01 + e * b, w02 + e * c, w03 + e * d
        e = g[g1 + x]
        w10, w11, w12, w13 = w10 + e * a, w11 + e * b, w12 + e * c, w13 + e * d
        e = g[g2 + x]
        w20, w21, w22, w23 = w20 + e * a, w21 + e * b, w22 + e * c, w23 + e * d
        e = g[g3 + x]
        w30, w31, w32, w33 = w30 + e * a, w31 + e * b, w32 + e * c, w33 + e * d
    one, two, three = k + np.uint64(1), k + np.uint64(2), k + np.uint64(3)
    w[k] += w00
    w[one] += w10
    w[two] += w20
    w[three] += w30
    w[k + dj] += w01
    w[one + dj] += w11
    w[two + dj] += w21
    w[three + dj] += w31
    w[k + dj + dj] += w02
    w[one + dj + dj] += w12
    w[two + dj + dj] += w22
    w[three + dj + dj] += w32
    w[k + dj + dj + dj] += w03
    w[one + dj + dj + dj] += w13
    w[two + dj + dj + dj] += w23
    w[three + dj + dj + dj] += w33


@njit(cache=True, fastmath=_SUMS)
def _inner_row(g, at, src, s, n):
    total = g.dtype.type(0)
    for x in range(n):
        total += g[at + x] * src[s + x]
    return total


@njit(cache=True, fastmath=_SUMS)
def _add_inner_products(g, g_at, src, src_at, w, dj, n):
    """Add sum_x g[g_at[i] + x] · src[src_at[j] + x] to w[i + j·dj]."""
    rows, terms = g_at.size, src_at.size
    tiled_rows, tiled_terms = rows - rows % 4, terms - terms % 4
    for i in range(0, tiled_rows, 4):
        for j in range(0, tiled_terms, 4):
            _inner_tile(
                g, g_at[i], g_at[i + 1], g_at[i + 2], g_at[i + 3],
                src, src_at[j], src_at[j + 1], src_at[j + 2], src_at[j + 3],
                w, np.uint64(i) + np.uint64(j) * dj, dj, n,
            )  # fmt: skip
    for i in range(rows):
        for j in range(tiled_terms if i < tiled_rows else 0, terms):
            w[np.uint64(i) + np.uint64(j) * dj] += _inner_row(g, g_at[i], src, src_at[j], n)


@njit(cache=True, nogil=True)
def linear_forward(y, y_at, x, x_at, w, n):
    """Set y[y_at[r, o] + l] = bias[o] + sum_t w[t, o] · x[x_at[r, t] + l] for every row r, l < n.

    Parameters
    ----------
    y, x : float arrays, flat
        The planes of the layer's output and input.
    y_at : uint64, shape (rows, outputs)
    x_at : uint64, shape (rows, terms)
        Where each row of memory begins.
    w : float array, flat, length (terms + 1) · outputs
        The weights [t, o], then the biases [o], which may be missing: then they are 0.
    n : int
        Length of a row, pixels times lanes.
    """
    outputs, terms, n = np.uint64(y_at.shape[1]), np.uint64(x_at.shape[1]), np.uint64(n)
    for r in range(y_at.shape[0]):
        for o in range(y_at.shape[1]):
            place = terms * outputs + np.uint64(o)
            start, bias = y_at[r, o], w[place] if place < w.size else w.dtype.type(0)
            for i in range(n):
                y[start + i] = bias
        _add_products(y, y_at[r], x, x_at[r], w, np.uint64(0), np.uint64(1), outputs, n)


@njit(cache=True, nogil=True, fastmath=_SUMS)
def linear_backward(dy, y_at, x, x_at, dw, n):
    """Add to `dw` the gradients of the weights and biases; the arguments are those of `linear_forward`."""
    outputs, terms, n = np.uint64(y_at.shape[1]), np.uint64(x_at.shape[1]), np.uint64(n)
    for r in range(y_at.shape[0]):
        _add_inner_products(dy, y_at[r], x, x_at[r], dw, outputs, n)
        for o in range(y_at.shape[1] if dw.size > terms * outputs else 0):
            total = dy.dtype.type(0)
            for i in range(n):
                total += dy[y_at[r, o] + i]
            dw[terms * outputs + np.uint64(o)] += total


@njit(cache=True, nogil=True, fastmath=_SUMS)
def dense_backward(dy, y_at, x, x_at, dw, dy_across, dw_at, lane_at):
    """Do what `linear_backward` does for one row of pixels that is one row of lanes.

    There the inner products are too short to be quick, so sums over the outputs side by side take their
    place. `dy_across` is room for dy with the outputs innermost, flat; dw_at[t] = t · outputs and
    lane_at[l] = l · outputs.
    """
    outputs, lanes = y_at.shape[1], lane_at.size
    for o in range(outputs):
        total = dy.dtype.type(0)
        row = dy[y_at[0, o] : y_at[0, o] + np.uint64(lanes)]
        for lane in range(lanes):
            total += row[lane]
            dy_across[lane * outputs + o] = row[lane]
        dw[dw_at.size * outputs + o] += total
    distance = x_at[0, 1] - x_at[0, 0] if dw_at.size > 1 else np.uint64(0)
    n, one = np.uint64(outputs), np.uint64(1)
    _add_products(dw, dw_at, dy_across, lane_at, x, x_at[0, 0], distance, one, n)


@njit(cache=True, nogil=True)
def linear_backward_input(dx, dx_at, dy, y_at, w, n):
    """Set `dx` to the gradient of the input: dx[dx_at[r, t, c] + l] += sum_o w[t, c, o] · dy[y_at[r, o] + l].

    `dx_at` has the shape (rows, taps, channels): the same places as `x_at` of `linear_forward`, with the taps
    of a convolution apart from its channels, as only the rows of different channels never overlap.
    """
    dx[:] = 0
    rows, taps, channels = dx_at.shape
    outputs, n = np.uint64(y_at.shape[1]), np.uint64(n)
    for r in range(rows):
        for tap in range(taps):
            k = np.uint64(tap * channels) * outputs
            _add_products(dx, dx_at[r, tap], dy, y_at[r], w, k, outputs, np.uint64(1), n)


@njit(cache=True, nogil=True)
def count_values(images):
    """Return how often each value stands in each channel: int64, shape (channels, 256).

    `images` is uint8 of shape (n, height, width, channels).
    """
    counts = np.zeros((images.shape[3], 256), np.int64)
    for i in range(images.shape[0]):
        for y in range(images.shape[1]):
            for x in range(images.shape[2]):
                for c in range(images.shape[3]):
                    counts[c, images[i, y, x, c]] += 1
    return counts


@njit(cache=True, nogil=True)
def load_images(out, images, rows, border, columns, mean, scale):
    """Put images into the lanes of `out`, normalised: (value - mean[channel]) · scale[channel].

    Parameters
    ----------
    out : float array, shape (channels, height + 2·border, stored width, lanes)
    images : uint8, shape (n, height, width, channels)
    rows : int64, shape (at most lanes,)
        Which image goes into which lane; lanes without one keep what they hold.
    border : int
        Pixels of zeros around the image.
    columns : int64
        Where each column, border included, is stored.
    mean, scale : float arrays, shape (channels,)
    """
    _, height, width, channels = images.shape
    values = images.reshape(-1)
    first = (rows * (height * width * channels)).astype(np.uint64)
    for y in range(height):
        for x in range(width):
            column = columns[x + border]
            for c in range(channels):
                k = np.uint64((y * width + x) * channels + c)
                for lane in range(rows.size):
                    value = out.dtype.type(values[first[lane] + k])
                    out[c, y + border, column, lane] = (value - mean[c]) * scale[c]


@njit(cache=True, nogil=True)
def load_moved_images(out, images, rows, moves, border, columns, mean, scale):
    """Put images into the lanes of `out` as `load_images` does, each mirrored and shifted by its own move.

    Parameters
    ----------
    moves : int8, shape (at most lanes, 3)
        Flip, down, right: the pixel (y, x) shows (y + down, x' + right) of its image, where x' is x, or
        width - 1 - x with a flip. Beyond the image it is 0, the mean of the training images.
    """
    _, height, width, channels = images.shape
    values = images.reshape(-1)
    zero = out.dtype.type(0)
    for y in range(height):
        for x in range(width):
            column = columns[x + border]
            for lane in range(rows.size):
                row = y + moves[lane, 1]
                place = (width - 1 - x if moves[lane, 0] else x) + moves[lane, 2]
                inside = 0 <= row < height and 0 <= place < width
                k = ((rows[lane] * height + row) * width + place) * channels
                for c in range(channels):
                    value = (out.dtype.type(values[k + c]) - mean[c]) * scale[c] if inside else zero
                    out[c, y + border, column, lane] = value


# Below, the input x of an element-wise layer is an array (channels, height, width, lanes) without a border,
# in the order of its pixels, and becomes the gradient by x in place: so the compiler knows all arrays apart.
# The output y may have a border and another order of columns; its inner column j is stored at y_columns[j].


@njit(cache=True, nogil=True)
def relu_forward(y, border, y_columns, x):
    """Set y = max(x, 0)."""
    zero = x.dtype.type(0)
    for c in range(x.shape[0]):
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                column = y_columns[j]
                for lane in range(x.shape[3]):
                    value = x[c, i, j, lane]
                    y[c, i + border, column, lane] = value if value > zero else zero


@njit(cache=True, nogil=True)
def relu_backward(x, dy, border, y_columns):
    """Set x to dy where it is above 0, else to 0."""
    zero = x.dtype.type(0)
    for c in range(x.shape[0]):
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                column = y_columns[j]
                for lane in range(x.shape[3]):
                    gradient = dy[c, i + border, column, lane]
                    x[c, i, j, lane] = gradient if x[c, i, j, lane] > zero else zero


@njit(cache=True, nogil=True, fastmath=_SUMS)
def batch_moments(moments, x, used):
    """Set moments[0] and moments[1] to the mean and the variance of each channel.

    Only the lanes below `used` count. The variance is the mean of the squared deviations. Sums of one row
    are in the precision of x, sums of rows in float64.
    """
    channels, height, width, lanes = x.shape
    # All lanes: a row of pixels is one stretch of memory. Else every pixel is one.
    n = width * lanes if used == lanes else used
    stretches, step = (height, n) if used == lanes else (height * width, lanes)
    flat = x.reshape(channels, height * width * lanes)
    for c in range(channels):
        total = 0.0
        for r in range(stretches):
            values, part = flat[c, r * step : r * step + n], x.dtype.type(0)
            for k in range(values.size):
                part += values[k]
            total += part
        mean = x.dtype.type(total / (n * stretches))
        total = 0.0
        for r in range(stretches):
            values, part = flat[c, r * step : r * step + n], x.dtype.type(0)
            for k in range(values.size):
                part += (values[k] - mean) * (values[k] - mean)
            total += part
        moments[0, c], moments[1, c] = mean, total / (n * stretches)


@njit(cache=True, nogil=True)
def scale_channels(y, border, y_columns, x, factor, shift):
    """Set y = factor[channel] · x + shift[channel]."""
    for c in range(x.shape[0]):
        a, b = factor[c], shift[c]
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                column = y_columns[j]
                for lane in range(x.shape[3]):
                    y[c, i + border, column, lane] = a * x[c, i, j, lane] + b


@njit(cache=True, nogil=True, fastmath=_SUMS)
def batch_sums(sums, x, dy, border, y_columns, mean):
    """Set sums[0] and sums[1] to the sums of dy and of dy · (x - mean) of each channel."""
    for c in range(x.shape[0]):
        total, product, centre = 0.0, 0.0, mean[c]
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                column = y_columns[j]
                part, product_part = x.dtype.type(0), x.dtype.type(0)
                for lane in range(x.shape[3]):
                    gradient = dy[c, i + border, column, lane]
                    part += gradient
                    product_part += gradient * (x[c, i, j, lane] - centre)
                total += part
                product += product_part
        sums[0, c], sums[1, c] = total, product


@njit(cache=True, nogil=True)
def batch_norm_backward(x, dy, border, y_columns, used, of_dy, of_x, constant):
    """Set x to of_dy · dy + of_x · x + constant, each by channel, in the lanes below `used`, else to 0."""
    for c in range(x.shape[0]):
        a, b, d = of_dy[c], of_x[c], constant[c]
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                column = y_columns[j]
                for lane in range(x.shape[3]):
                    x[c, i, j, lane] = a * dy[c, i + border, column, lane] + b * x[c, i, j, lane] + d
                x[c, i, j, used:] = 0


@njit(cache=True, nogil=True)
def add_inside(out, border, columns, x, x_border, x_columns, height):
    """Add x to `out` inside the borders of both."""
    for c in range(out.shape[0]):
        for i in range(height):
            for j in range(columns.size):
                column, x_column = columns[j], x_columns[j]
                for lane in range(out.shape[3]):
                    out[c, i + border, column, lane] += x[c, i + x_border, x_column, lane]


@njit(cache=True, nogil=True)
def max_pool_forward(y, border, y_columns, taken, x, window):
    """Set y to the largest of each window and `taken` to its place in it, the first where several are equal.

    `taken` has the shape (channels, height, width, lanes) of the output without a border.
    """
    for c in range(taken.shape[0]):
        for i in range(taken.shape[1]):
            for j in range(taken.shape[2]):
                at = y_columns[j]
                for place in range(window * window):
                    row, column = i * window + place // window, j * window + place % window
                    for lane in range(x.shape[3]):
                        value = x[c, row, column, lane]
                        best = y[c, i + border, at, lane]
                        larger = (value > best) | (place == 0)
                        y[c, i + border, at, lane] = value if larger else best
                        taken[c, i, j, lane] = np.int32(place) if larger else taken[c, i, j, lane]


@njit(cache=True, nogil=True)
def max_pool_backward(dx, taken, dy, border, y_columns, window):
    """Send each gradient to the pixel that was taken; all others get 0, also beyond the last window."""
    zero = dx.dtype.type(0)
    if dx.shape[1] > taken.shape[1] * window or dx.shape[2] > taken.shape[2] * window:
        dx[:] = 0
    for c in range(taken.shape[0]):
        for i in range(taken.shape[1]):
            for j in range(taken.shape[2]):
                at = y_columns[j]
                for place in range(window * window):
                    row, column = i * window + place // window, j * window + place % window
                    for lane in range(dx.shape[3]):
                        gradient = dy[c, i + border, at, lane]
                        dx[c, row, column, lane] = gradient if taken[c, i, j, lane] == place else zero


@njit(cache=True, nogil=True)
def mean_pool_forward(y, border, y_columns, x, height, rows, columns):
    """Set the `height` rows of y to the means of windows of `rows` by `columns` pixels."""
    share = x.dtype.type(1.0 / (rows * columns))
    for c in range(x.shape[0]):
        for i in range(height):
            for j in range(y_columns.size):
                at = y_columns[j]
                y[c, i + border, at, :] = 0
                for row in range(i * rows, (i + 1) * rows):
                    for column in range(j * columns, (j + 1) * columns):
                        for lane in range(x.shape[3]):
                            y[c, i + border, at, lane] += share * x[c, row, column, lane]


@njit(cache=True, nogil=True)
def mean_pool_backward(dx, dy, border, y_columns, height, rows, columns):
    """Spread each gradient evenly over its window; pixels beyond the last whole window get 0."""
    share = dx.dtype.type(1.0 / (rows * columns))
    if dx.shape[1] > height * rows or dx.shape[2] > y_columns.size * columns:
        dx[:] = 0
    for c in range(dx.shape[0]):
        for i in range(height):
            for j in range(y_columns.size):
                at = y_columns[j]
                for row in range(i * rows, (i + 1) * rows):
                    for column in range(j * columns, (j + 1) * columns):
                        for lane in range(dx.shape[3]):
                            dx[c, row, column, lane] = share * dy[c, i + border, at, lane]


@njit(cache=True, nogil=True)
def cross_entropy(dlogits, logits, labels, share):
    """Return the summed loss and the number of right answers; set the gradient of share · loss.

    Parameters
    ----------
    dlogits, logits : float arrays, shape (classes, lanes)
        They may be the same.
    labels : int64, shape (at most lanes,)
        Lanes without a label have no loss and the gradient 0.
    share : float
        Weight of one image's loss, 1/batch.
    """
    loss, right = 0.0, 0
    for lane in range(logits.shape[1]):
        if lane >= labels.size:
            dlogits[:, lane] = 0
            continue
        top = 0
        for k in range(1, logits.shape[0]):
            if logits[k, lane] > logits[top, lane]:
                top = k
        total = 0.0
        for k in range(logits.shape[0]):
            total += np.exp(float(logits[k, lane]) - float(logits[top, lane]))
        log_total = np.log(total) + float(logits[top, lane])
        label = labels[lane]
        loss += log_total - float(logits[label, lane])
        right += top == label
        for k in range(logits.shape[0]):
            dlogits[k, lane] = share * (np.exp(float(logits[k, lane]) - log_total) - (k == label))
    return loss, right


@njit(cache=True, nogil=True, fastmath=_SUMS)
def sgd_step(weights, velocity, gradients, learning_rate, momentum, weight_decay, clip_norm):
    """Update `weights` and `velocity` in place by the gradients of all chunks, summed in their order.

    Parameters
    ----------
    weights, velocity : float arrays, shape (parameters,)
    gradients : float array, shape (chunks, parameters)
        Overwritten: the first row becomes their sum.
    clip_norm : float
        A longer sum is shortened to this Euclidean length, before weight decay.
    """
    kind = weights.dtype.type
    gradient = gradients[0]
    for chunk in range(1, gradients.shape[0]):
        for p in range(weights.size):
            gradient[p] += gradients[chunk, p]
    squares = kind(0)
    for p in range(weights.size):
        squares += gradient[p] * gradient[p]
    length = np.sqrt(squares)
    share = kind(clip_norm) / length if length > clip_norm else kind(1)
    rate, kept, decay = kind(learning_rate), kind(momentum), kind(weight_decay)
    for p in range(weights.size):
        velocity[p] = kept * velocity[p] + (share * gradient[p] + decay * weights[p])
        weights[p] -= rate * velocity[p]
