"""Kernels for request traces (Numba): lines of text to columns of integers, requests to bursts."""

from __future__ import annotations

import numpy as np

from nmsim.compiled import njit

#: Steps that a line is read by. BLANKS: one or more blanks. WORD: the format's word for a read or a write.
#: NUMBER: decimal, or hexadecimal after 0x. HEX: hexadecimal, 0x or not. DECIMAL. COMMA: with blanks or not.
#: COLON. LENGTH: "(bytes)" and blanks, or nothing. DATA: a hexadecimal number of any length, or nothing.
STEPS = ("BLANKS", "WORD", "NUMBER", "HEX", "DECIMAL", "COMMA", "COLON", "LENGTH", "DATA", "END")
BLANKS, WORD, NUMBER, HEX, DECIMAL, COMMA, COLON, LENGTH, DATA, END = np.arange(len(STEPS))

#: Bytes that mean something.
_TAB, _NEWLINE, _RETURN, _SPACE, _HASH, _OPEN, _CLOSE = 9, 10, 13, 32, 35, 40, 41
_COMMA, _ZERO, _COLON, _A, _X, _Z, _UPPER = 44, 48, 58, 65, 88, 90, 0xDF

#: Numbers from here on are too large for any field, and far from overflow.
_HUGE = np.int64(1 << 58)

#: The value of each byte as a hexadecimal digit; 16 where it is none.
_DIGITS = np.full(256, 16, dtype=np.int64)
for _digits in (b"0123456789", b"0123456789abcdef", b"0123456789ABCDEF"):
    _DIGITS[list(_digits)] = np.arange(len(_digits))

helper = njit(cache=True, no_cpython_wrapper=True)


@helper
def after_blanks(data, i):
    while data[i] == _SPACE or data[i] == _TAB:
        i += 1
    return i


@helper
def read_number(data, i, step):
    """Return (value, position after it); the position is `i` where there is no number."""
    start, value = i, np.int64(0)
    is_hex = step == HEX
    if step != DECIMAL and data[i] == _ZERO and data[i + 1] & _UPPER == _X:
        is_hex = True
        i += 2
    first = i
    digit = _DIGITS[data[i]]
    if is_hex:
        while digit < 16:
            value = value << 4 | digit
            if value > _HUGE:
                value = _HUGE
            i += 1
            digit = _DIGITS[data[i]]
    else:
        while digit < 10:
            value = value * 10 + digit
            if value > _HUGE:
                value = _HUGE
            i += 1
            digit = _DIGITS[data[i]]
    return value, (i if i > first else start)


@helper
def _word(data, i):
    """Return (the letters as one number, capitals, position after them)."""
    value = np.int64(0)
    while _A <= data[i] & _UPPER <= _Z:
        value = min(value << 8 | np.int64(data[i] & _UPPER), _HUGE)
        i += 1
    return value, i


@njit(cache=True)
def parse_lines(data, size, steps, read_word, write_word, limits, spanning, span, fields, is_write):
    """Read whole lines; blank lines and lines that begin with # hold no request.

    Parameters
    ----------
    data : ndarray of uint8, shape (m,)
        Text.
    size : int
        Bytes of `data` to read; the last is a newline.
    steps : ndarray of int64
        What a line consists of; the last is END.
    read_word, write_word : int
        Words as `_word` returns them: capitals, 8 bits each, the first letter highest.
    limits : ndarray of int64, shape (k,)
        Each number must be below its limit.
    spanning : int
        Index in `limits` of the number that starts a span, all of which must lie below the limit; or -1.
    span : int
        Length of that span where the line has no LENGTH, at least 1.
    fields : ndarray of int64, shape (k, rows)
        Filled: row i holds the numbers of step i, counting only steps that are numbers. 0 for no LENGTH.
    is_write : ndarray of bool, shape (rows,)
        Filled.

    Returns
    -------
    rows : int
        Requests read.
    lines : int
        Lines read, with those that hold no request; a damaged line is the next.
    at : int
        Position after the last line, or of what is wrong.
    step : int
        -1, or the step that failed.
    column : int
        Of a number that is too large its index in `limits`, else -1.
    """
    row, lines, i = 0, 0, 0
    while i < size:
        i = after_blanks(data, i)
        if data[i] == _HASH:
            while data[i] != _NEWLINE:
                i += 1
        if data[i] == _RETURN:
            i += 1
        if data[i] == _NEWLINE:
            i += 1
            lines += 1
            continue
        column, length = 0, span
        for step in steps:
            start = i
            if step == BLANKS:
                i = after_blanks(data, i)
                if i == start:
                    return row, lines, start, step, -1
            elif step == WORD:
                word, i = _word(data, i)
                if word != read_word and word != write_word:
                    return row, lines, start, step, -1
                is_write[row] = word == write_word
            elif step in (COMMA, COLON):
                i = after_blanks(data, i)
                if data[i] != (_COMMA if step == COMMA else _COLON):
                    return row, lines, start, step, -1
                i = after_blanks(data, i + 1)
            elif step == LENGTH:
                fields[column, row] = 0
                if data[i] == _OPEN:
                    length, i = read_number(data, i + 1, DECIMAL)
                    if i == start + 1 or length < 1 or data[i] != _CLOSE:
                        return row, lines, start, step, -1
                    if length >= limits[column]:
                        return row, lines, start, step, column
                    fields[column, row] = length
                    i = after_blanks(data, i + 1)
                column += 1
            elif step == DATA:
                i = after_blanks(data, i)
                if i > start:
                    i = read_number(data, i, HEX)[1]
            elif step == END:
                i = after_blanks(data, i)
                if data[i] == _RETURN:
                    i += 1
                if data[i] != _NEWLINE:
                    return row, lines, i, step, -1
                i += 1
                lines += 1
                row += 1
            else:
                value, i = read_number(data, i, step)
                if i == start:
                    return row, lines, start, step, -1
                if value + (length if column == spanning else 1) > limits[column]:
                    return row, lines, start, step, column
                fields[column, row] = value
                column += 1
    return row, lines, i, np.int64(-1), -1


@njit(cache=True)
def count_bursts(address, length, span, burst_bits):
    """Return the bursts that hold a byte of any of these requests, counting a burst once for each.

    Parameters
    ----------
    address : ndarray of int64, shape (n,)
    length : ndarray of int64, shape (n,) or (0,)
        Bytes of each; where it is 0 or absent, `span`.
    span : int
    burst_bits : int
        Bursts hold 2**burst_bits bytes.
    """
    total = np.int64(0)
    for i in range(len(address)):
        n = length[i] if len(length) and length[i] else span
        total += ((address[i] + n - 1) >> burst_bits) - (address[i] >> burst_bits) + 1
    return total


@njit(cache=True)
def expand_bursts(address, length, span, burst_bits, request, done, burst, of):
    """Fill `burst` with addresses of bursts, in order, and `of` with the index of the request of each.

    Parameters
    ----------
    address, length, span, burst_bits
        As in `count_bursts`.
    request, done : int
        Where to go on: a request, and how many of its bursts are done.

    Returns
    -------
    n, request, done : int
        Places filled: all, unless the requests have come to their end. Where to go on.
    """
    n = 0
    while request < len(address):
        size = length[request] if len(length) and length[request] else span
        first = address[request] >> burst_bits
        bursts = ((address[request] + size - 1) >> burst_bits) - first + 1
        while done < bursts:
            if n == len(burst):
                return n, request, done
            burst[n] = (first + done) << burst_bits
            of[n] = request
            n += 1
            done += 1
        request, done = request + 1, np.int64(0)
    return n, request, done
