"""What really crosses a link: driven bits and rising edges of the bytes themselves."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from nmsim.config.board import Link
from nmsim.energy.dbi import DRIVEN_PINS, driven_share
from nmsim.energy.values import Number

#: Ones of each byte value.
_ONES = np.array([bin(value).count("1") for value in range(256)], dtype=np.uint8)

#: Bytes of records looked at together; bounds the memory taken to some ten times as many.
_BYTES_AT_ONCE = 1 << 23


class LineActivity(NamedTuple):
    """What each record does to the data pins on its way; int64, shape (records,).

    Attributes
    ----------
    driven : ndarray
        Pins that conduct, counted bit by bit, inversion pins included: low ones on POD, high ones on LVSTL;
        0 where the line is not terminated.
    rises : ndarray
        Edges on which a line is charged.
    """

    driven: np.ndarray
    rises: np.ndarray


def line_activity(records: np.ndarray, link: Link, bus_bytes: int, access_bytes: int) -> LineActivity:
    """Return what sending each record over the link does.

    Parameters
    ----------
    records : ndarray of uint8, shape (n, …)
        The bytes of a record in the order in which they lie in memory.
    link : Link
        Its signalling and its inversion (`dbi`).
    bus_bytes : int
        Byte lanes of a channel: byte i of a burst goes out on lane i mod bus_bytes.
    access_bytes : int
        Bytes of a burst; records are padded to whole bursts with zeros.

    Notes
    -----
    Between bursts the lines are low, so that the first ones of a burst rise: bursts of a record come from
    channels by turns, and a line that is not driven is pulled down. Inversion (per byte, `nmsim.energy.dbi`)
    is decided byte by byte; on terminated lines no edge is charged for.
    """
    n, row_bytes = len(records), math.prod(records.shape[1:])
    bursts = -(-row_bytes // access_bytes)
    driven, rises = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    pins = DRIVEN_PINS if link.dbi == "dc" else np.arange(9)
    at_once = max(1, _BYTES_AT_ONCE // row_bytes)
    for start in range(0, n, at_once):
        part = records[start : start + at_once]
        padded = np.zeros((len(part), bursts * access_bytes), dtype=np.uint8)
        padded[:, :row_bytes] = part.reshape(len(part), -1)
        here = slice(start, start + len(part))
        if link.signalling == "unterminated":
            beats = padded.reshape(len(part), bursts, -1, bus_bytes)
            before = np.zeros_like(beats)
            before[:, :, 1:] = beats[:, :, :-1]
            rises[here] = _ONES[beats & ~before].sum(axis=(1, 2, 3), dtype=np.int64)
        else:
            ones = _ONES[padded]
            driving = 8 - ones if link.signalling == "POD" else ones
            driven[here] = pins[driving].sum(axis=1, dtype=np.int64)
    return LineActivity(driven, rises)


def expected_activity(link: Link, bits: int) -> tuple[Number, Number]:
    """Return driven pins and rising edges of so many bits of which only the link's shares are known."""
    if link.signalling == "unterminated":
        return 0.0, link.rising_share.value * bits
    return driven_share(link.driven_share.value, link.dbi) * bits, 0.0
