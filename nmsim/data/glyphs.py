"""`glyphs`: the ten digits in many fonts, colours and places; the data set that needs no download.

Every (font, digit) pair was drawn once, large, by Pillow (FreeType) from the fonts that come with matplotlib,
and is kept in `glyphs.png`: versions of both draw a little differently, and matplotlib before 3.11 lacks a
font. All else is integer arithmetic of this file on raw random words: a random font, size, rotation and
place; two colours; a flat, graded or textured ground; noise. So the images are the same on every machine.

Images are made in blocks of fixed size, each from a random stream of its own, so that the first n images do
not depend on how many follow.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from nmsim.rng import stream

#: Raised with every change that changes an image; part of the cache's key.
VERSION = 1

SIDE = 32
CLASS_NAMES = tuple("0123456789")

#: The text fonts of matplotlib 3.11: DejaVu, STIX (Times-like) and Computer Modern.
FONTS = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique",
    "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic",
    "DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique", "DejaVuSansMono-BoldOblique",
    "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta",
    "cmr10", "cmb10", "cmti10", "cmss10", "cmtt10",
)  # fmt: skip

#: The drawn digits, a row for each font.
_DRAWN = Path(__file__).with_name("glyphs.png")

_BLOCK = 250  # images; a whole number of runs of ten
_MASK = 128  # side of a mask in samples; a digit is _INK high in it, so that none is cut
_INK = 96
_OVER = 3  # samples per pixel and axis when a mask is brought to the image
_BITS = 11  # of a fraction; every product below stays under 2**31

# How hard it is: three 3×3 convolutions (16, 32, 64 maps) and a dense layer reach 97 % of 2,000 test images
# from 12,000 (10 epochs), 80 % from a tenth of them (40 epochs). Colours are in 0..255.
_HEIGHT_PX = (13.0, 25.0)
_WIDEN = (0.8, 1.25)
_TURN_DEGREES = 28.0
_SHEAR = 0.25
_SHIFT_PX = 4.0
_CONTRAST = (28, 130)
_GROUND_SWING = 72
_NOISE = (6, 32)


@cache
def masks() -> np.ndarray:
    """Return how much ink each sample of each drawn digit holds.

    Returns
    -------
    ndarray of uint8, shape (fonts, 10, 128, 128)
        0 is paper and 255 ink; the digit is 96 samples high and in the middle.
    """
    from PIL import Image

    with Image.open(_DRAWN) as sheet:
        rows = np.asarray(sheet)
    drawn = rows.reshape(len(FONTS), _MASK, 10, _MASK).swapaxes(1, 2).copy()
    drawn.setflags(write=False)
    return drawn


def draw(font: str, folder: Path) -> np.ndarray:
    """Return the masks of one font, drawn anew by Pillow (FreeType), shape (10, 128, 128).

    Parameters
    ----------
    font : str
        Of `FONTS`.
    folder : Path
        Where the fonts lie: `fonts/ttf` of matplotlib's data, which has all of them from 3.11 on.

    Raises
    ------
    OSError
        Where the font is not there.
    """
    from PIL import Image, ImageDraw, ImageFont

    outlines = ImageFont.truetype(str(folder / f"{font}.ttf"), 200, layout_engine=ImageFont.Layout.BASIC)
    drawn = np.zeros((10, _MASK, _MASK), np.uint8)
    for digit, text in enumerate(CLASS_NAMES):
        canvas = Image.new("L", (400, 400))
        ImageDraw.Draw(canvas).text((100, 100), text, fill=255, font=outlines)
        ink = canvas.crop(canvas.getbbox())
        width = max(1, round(ink.width * _INK / ink.height))
        ink = ink.resize((width, _INK), Image.Resampling.BOX)
        canvas = Image.new("L", (_MASK, _MASK))
        canvas.paste(ink, ((_MASK - width) // 2, (_MASK - _INK) // 2))
        drawn[digit] = np.asarray(canvas)
    return drawn


class _Words:
    """Random numbers straight from the bit generator's words, whose sequence NumPy promises to keep."""

    def __init__(self, *names: str | int, seed: int):
        self._bits = stream(seed, *names).bit_generator

    def uniform(self, low: float, high: float, *shape: int) -> np.ndarray:
        """Return numbers in [low, high) with 32 random bits each, float64."""
        words = self._bits.random_raw(int(np.prod(shape))) >> np.uint64(32)
        shares: np.ndarray = words.astype(np.float64) / 2**32
        return low + (high - low) * shares.reshape(shape)

    def below(self, n: int, *shape: int) -> np.ndarray:
        """Return integers in [0, n), int64."""
        return self.uniform(0, n, *shape).astype(np.int64)

    def noise(self, *shape: int) -> np.ndarray:
        """Return near-normal integers of mean 0 and standard deviation 147.8 = sqrt(4·(256² − 1)/12)."""
        n = int(np.prod(shape))
        raw = self._bits.random_raw(-(-n // 2)).astype("<u8").view(np.uint8)[: 4 * n]
        return raw.reshape(n, 4).sum(axis=1, dtype=np.int32).reshape(shape) - 510


def generate(n: int, *, split: str = "train", seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return n images and their digits.

    Parameters
    ----------
    n : int
        How many, at least 1.
    split : str
        Names the random stream: "train" and "test" share no image.
    seed : int
        0 <= seed < 2**63.

    Returns
    -------
    X : ndarray of uint8, shape (n, 32, 32, 3)
    y : ndarray of int64, shape (n,)
        0–9; every ten consecutive images hold each digit once.
    """
    X = np.empty((n, SIDE, SIDE, 3), np.uint8)
    y = np.empty(n, np.int64)
    for start in range(0, n, _BLOCK):
        words = _Words("glyphs", split, start // _BLOCK, seed=seed)
        images, digits = _block(words)
        part = slice(start, min(n, start + _BLOCK))
        X[part], y[part] = images[: part.stop - start], digits[: part.stop - start]
    return X, y


def _block(words: _Words) -> tuple[np.ndarray, np.ndarray]:
    digits = _digits(words)
    ink = _ink(words, digits)[..., None]  # (block, 32, 32, 1), 0..255
    ground, colour = _colours(words)
    image = (ground * (255 - ink) + colour * ink) // 255
    grain = words.uniform(*_NOISE, _BLOCK).astype(np.int32).reshape(-1, 1, 1, 1)
    image = image + words.noise(_BLOCK, SIDE, SIDE, 3) * grain // 148
    return np.clip(image, 0, 255).astype(np.uint8), digits


def _digits(words: _Words) -> np.ndarray:
    """Return the digits of a block: runs of ten, each in a random order."""
    order = words.uniform(0, 1, _BLOCK // 10, 10)
    return np.argsort(order, axis=1, kind="stable").reshape(-1)


def _ink(words: _Words, digits: np.ndarray) -> np.ndarray:
    """Return the ink of each pixel, 0..255, after a random font, height, width, rotation, shear and shift."""
    font = words.below(len(FONTS), _BLOCK)
    scale = _INK / words.uniform(*_HEIGHT_PX, _BLOCK)  # samples of the mask per pixel
    narrow = 1 / words.uniform(*_WIDEN, _BLOCK)
    turn = np.deg2rad(words.uniform(-_TURN_DEGREES, _TURN_DEGREES, _BLOCK))
    shear = words.uniform(-_SHEAR, _SHEAR, _BLOCK)
    shift_px = words.uniform(-_SHIFT_PX, _SHIFT_PX, _BLOCK, 2)
    # From the image back to the mask: (column, row) = scale · widening · shear · rotation · (x, y).
    cos, sin = np.cos(turn), np.sin(turn)
    matrix = np.stack(
        [(cos + shear * sin) * narrow, (shear * cos - sin) * narrow, sin, cos],
        axis=1,
    )
    matrix = np.rint(matrix * scale[:, None] * (1 << _BITS)).astype(np.int32)
    shift = np.rint(shift_px * (1 << _BITS)).astype(np.int32)
    # Where samples lie, from the middle of the image: the middles of _OVER parts of each pixel.
    samples = SIDE * _OVER
    at = (((2 * np.arange(samples) + 1 - samples) << _BITS) // (2 * _OVER)).astype(np.int32)
    ink = np.empty((_BLOCK, SIDE, SIDE), np.int32)
    drawn = masks()
    for b in range(_BLOCK):
        x, y = at - shift[b, 0], (at - shift[b, 1])[:, None]
        column = (matrix[b, 0] * x + matrix[b, 1] * y) >> (2 * _BITS)
        row = (matrix[b, 2] * x + matrix[b, 3] * y) >> (2 * _BITS)
        # Beyond the mask lies what its margin holds: paper.
        column = np.clip(column + _MASK // 2, 0, _MASK - 1)
        row = np.clip(row + _MASK // 2, 0, _MASK - 1)
        found = drawn[font[b], digits[b]].ravel().take(row * _MASK + column)
        ink[b] = found.reshape(SIDE, _OVER, SIDE, _OVER).sum(axis=(1, 3), dtype=np.int32) // _OVER**2
    return ink


def _colours(words: _Words) -> tuple[np.ndarray, np.ndarray]:
    """Return the ground of each pixel and the ink's colour, (block, 32, 32, 3) and (block, 1, 1, 3)."""
    base = words.below(256, _BLOCK, 1, 1, 3).astype(np.int32)
    colour = words.below(256, _BLOCK, 1, 1, 3).astype(np.int32)
    # The ink is lighter or darker than the ground's base by a chosen contrast, whichever there is room for.
    contrast = words.uniform(*_CONTRAST, _BLOCK, 1, 1, 1).astype(np.int32)
    lightness = base.mean(axis=-1, keepdims=True).astype(np.int32)
    up = words.below(2, _BLOCK, 1, 1, 1) == 1
    up = np.where(lightness + contrast > 235, False, np.where(lightness - contrast < 20, True, up))
    target = np.where(up, lightness + contrast, lightness - contrast)
    colour = np.clip(colour + target - colour.sum(axis=-1, keepdims=True) // 3, 0, 255)

    swing = words.below(_GROUND_SWING, _BLOCK, 1, 1, 1).astype(np.int32)
    slope = words.below(513, _BLOCK, 2, 3).astype(np.int32) - 256
    step = 2 * np.arange(SIDE, dtype=np.int32) - SIDE + 1  # -31 … 31
    ramp = slope[:, 0, None, None, :] * step[:, None, None] + slope[:, 1, None, None, :] * step[:, None]
    knots = words.below(513, _BLOCK, _KNOTS, _KNOTS, 3).astype(np.int32) - 256
    weave = np.einsum("ri,cj,bijk->brck", _WEAVE, _WEAVE, knots, optimize=True) // _STEPS**2
    kind = words.below(3, _BLOCK, 1, 1, 1)
    relief = np.where(kind == 1, ramp // 32, np.where(kind == 2, weave, 0))  # about -256 … 256
    return base + relief * swing // 256, colour


def _hat_weights() -> np.ndarray:
    """Return the integer weights (32, knots) of linear interpolation between evenly spaced knots."""
    at = np.arange(SIDE) * (_KNOTS - 1) * _STEPS // (SIDE - 1)
    gaps = abs(at[:, None] - _STEPS * np.arange(_KNOTS)[None, :])
    return np.asarray(np.maximum(_STEPS - gaps, 0), dtype=np.int32)


_KNOTS, _STEPS = 7, 31
_WEAVE = _hat_weights()
