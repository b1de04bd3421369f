"""Request traces of other programs, read in chunks: which bursts are wanted, and from which clock on.

| format     | a line                                       | public program that reads it               |
|------------|----------------------------------------------|--------------------------------------------|
| `ramulator`| `LD 0x1f40` or `ST 8000`                     | Ramulator 2, LoadStoreTrace                |
| `ramulator`| `R 0,0,1,2,77,5`: c, rank, bg, bank, row, col| Ramulator 2, ReadWriteTrace                |
| `dramsim3` | `0x1F40 READ 12` or WRITE, and the clock     | DRAMsim3, trace CPU                        |
| `stl`      | `12: (128) write 0x1f40 0xdata`              | DRAMSys, trace player; length, data may lack |
| `csv`      | `R,8000` or `W,0x1f40`                       |                                            |

Blank lines and lines that begin with # hold no request; words may be in small letters; lines end in LF or
CRLF, and the last may lack its end; the file may be gzipped, whatever its name. Every other line that is not
a request is an error, and so is a file without a request.

Memory: the text of one chunk, 1 MiB, of which no more than 2**18 requests can come ("R,0" is the shortest),
and as many bursts at a time: under 64 MiB for a file of any length. Speed: one pass over the bytes, at some
0.3 GB/s (benchmarks/formats.py); decoding the addresses takes a fiftieth of that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from nmsim.dram.address import AddressMap, Location
from nmsim.dram.engine import LAST_CLK
from nmsim.errors import TraceFormatError
from nmsim.trace.importers_kernel import (
    BLANKS,
    COLON,
    COMMA,
    DATA,
    DECIMAL,
    END,
    HEX,
    LENGTH,
    NUMBER,
    WORD,
    count_bursts,
    expand_bursts,
    parse_lines,
)
from nmsim.trace.texts import whole_lines

#: Bursts at most in one batch.
_BATCH_BURSTS = 1 << 18

_NONE = np.empty(0, dtype=np.int64)


class Requests(NamedTuple):
    """Burst accesses in the order of a trace: arrays of shape (n,).

    `arrival_clk` is the first clock at which each may be served; of length 0 where all may at once.
    """

    place: Location
    is_write: np.ndarray
    arrival_clk: np.ndarray


@dataclass(frozen=True)
class _Form:
    """What a line of a format consists of; `columns` names its numbers in their order."""

    name: str
    shown: str
    words: tuple[str, str]
    steps: tuple[np.int64, ...]
    columns: tuple[str, ...]


_VECTOR = ("channel", "rank", "bankgroup", "bank", "row", "column")
_FORMS = (
    _Form("ramulator", "LD|ST ADDRESS", ("LD", "ST"), (WORD, BLANKS, NUMBER, END), ("address",)),
    _Form(
        "ramulator",
        "R|W channel,rank,bankgroup,bank,row,column",
        ("R", "W"),
        (WORD, BLANKS, DECIMAL, *(COMMA, DECIMAL) * 5, END),
        _VECTOR,
    ),
    _Form(
        "dramsim3",
        "0xADDRESS READ|WRITE CLOCK",
        ("READ", "WRITE"),
        (HEX, BLANKS, WORD, BLANKS, DECIMAL, END),
        ("address", "clock"),
    ),
    _Form(
        "stl",
        "CLOCK: [(LENGTH)] read|write 0xADDRESS [0xDATA]",
        ("READ", "WRITE"),
        (DECIMAL, COLON, LENGTH, WORD, BLANKS, HEX, DATA, END),
        ("clock", "length", "address"),
    ),
    _Form("csv", "R|W,ADDRESS", ("R", "W"), (WORD, COMMA, NUMBER, END), ("address",)),
)
FORMATS = ("auto", *dict.fromkeys(form.name for form in _FORMS))


def read_requests(
    path: Path | str, address_map: AddressMap, format: str = "auto", request_bytes: int | None = None
) -> Iterator[Requests]:
    """Return an iterator over the requests of a trace, chunk by chunk, in constant memory.

    Parameters
    ----------
    path : Path or str
        Text, gzipped or not.
    address_map : AddressMap
        Where byte addresses lie; its memory bounds them.
    format : str
        One of `FORMATS`; "auto" takes the format that the first request is written in.
    request_bytes : int, optional
        Length of a request that names none, such as 64 for cache lines, at least 1.

    Yields
    ------
    Requests
        A request with a length is all bursts that hold one of its bytes, in the order of addresses, and they
        arrive together. One without is the burst that holds its address. A clock before its predecessor's
        stands for the predecessor's: neither DRAMsim3 nor DRAMSys serves a trace out of order. Clocks of
        `stl` are taken as the memory's.

    Raises
    ------
    TraceFormatError
        Where the file cannot be read, holds no request, or a line is damaged, or names a place outside the
        memory. Other simulators silently ignore address bits that the memory lacks, and so simulate another
        access than the one that was asked for. Also where `request_bytes` is given for address vectors, which
        name single bursts.
    """
    path = Path(path)
    if format not in FORMATS:
        raise TraceFormatError("unknown format of a request trace", file=path, found=format,
                               expected=" or ".join(FORMATS))  # fmt: skip
    if ".rstl" in path.suffixes:
        raise TraceFormatError(
            "relative STL traces are not supported: their times depend on the memory that is simulated",
            file=path,
            hint="Convert it to absolute times (.stl).",
        )
    forms = [form for form in _FORMS if format in ("auto", form.name)]
    span = 1 if request_bytes is None else request_bytes
    _parse(forms[0], bytearray(b"\n"), 1, _limits(address_map), span)  # compiles or loads the parser
    return _requests(path, address_map, forms, span)


def _requests(path: Path, address_map: AddressMap, forms: list[_Form], span: int) -> Iterator[Requests]:
    limits = _limits(address_map)
    lines, latest_clk, empty = 0, 0, True
    for text, size in whole_lines(path):
        if len(forms) > 1:
            forms = _chosen(forms, text, size, limits, span)
        fields, is_write, read, fault = _parse(forms[0], text, size, limits, span)
        if fault:
            fault.raise_for(path, lines + read + 1, text)
        lines += read
        if len(is_write) == 0:
            continue
        empty = False
        if "row" in fields and span > 1:
            raise TraceFormatError(
                "an address vector names one burst, and none has a length",
                file=path,
                expected="a format with byte addresses, where a length of requests is given",
            )
        for requests in _located(fields, is_write, address_map, span):
            arrival_clk = requests.arrival_clk
            if len(arrival_clk):
                arrival_clk[0] = max(latest_clk, arrival_clk[0])
                np.maximum.accumulate(arrival_clk, out=arrival_clk)
                latest_clk = int(arrival_clk[-1])
                if latest_clk == 0:
                    arrival_clk = arrival_clk[:0]
            yield requests._replace(arrival_clk=arrival_clk)
    if empty:
        raise TraceFormatError("holds no request", file=path, expected=_known(forms))


@dataclass(frozen=True)
class _Fault:
    """What is wrong with a line: at byte `at`, by the step `step` of `form`."""

    form: _Form
    at: int
    step: int
    limit: int | None
    column: str

    def raise_for(self, path: Path, line: int, text: bytearray) -> NoReturn:
        """Raise TraceFormatError for the line."""
        token = bytes(text[self.at : self.at + 60]).split(b"\n")[0].strip()
        separators = b" \t" if self.step in (BLANKS, END) else b" \t,:"
        for separator in separators:
            token = token.split(bytes([separator]))[0] or token
        shown = token.decode("utf-8", "backslashreplace")
        shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)
        found = shown or "end of line"
        if self.limit is not None:
            hint = "Take the memory that the trace was made for (memory.organization)."
            outside = self.column != "clock"
            raise TraceFormatError(
                f"this {self.column} lies outside the memory" if outside else "this clock is too late",
                file=path,
                line=line,
                found=found,
                expected=f"below {self.limit:#x}" if self.column == "address" else f"below {self.limit}",
                hint=hint if outside else None,
            )
        read, write = self.form.words
        expected = {
            int(BLANKS): "a blank",
            int(WORD): f"{read} or {write}",
            int(NUMBER): "a number, decimal or after 0x",
            int(HEX): "a hexadecimal number",
            int(DECIMAL): "a decimal number",
            int(COMMA): "a comma",
            int(COLON): "a colon",
            int(LENGTH): "a length in bytes, such as (64)",
            int(END): "the end of the line",
        }[self.step]
        raise TraceFormatError(
            "damaged line of a request trace",
            file=path,
            line=line,
            found=found,
            expected=f"{expected}, as in {self.form.shown}",
        )


def _limits(address_map: AddressMap) -> dict[str, int]:
    """Return what each number of a trace must be below."""
    spec = address_map.spec
    org = spec.organization
    counts = {"channel": org.channels, "rank": org.ranks, "bankgroup": org.bankgroups, "bank": org.banks}
    counts |= {"row": org.rows, "column": spec.row_bursts}
    size = address_map.size_bytes
    return counts | {"address": size, "length": size + 1, "clock": LAST_CLK}


def _known(forms: list[_Form]) -> str:
    return "lines such as " + " or ".join(form.shown for form in forms)


def _chosen(forms: list[_Form], text: bytearray, size: int, limits: dict[str, int], span: int) -> list[_Form]:
    """Return the form of the first request, or the one that goes furthest; all where the text has none."""
    furthest, best = -1, forms
    end = 0
    while end < size:  # the first line with a request
        start, end = end, text.index(b"\n", end) + 1
        line = text[start:end]
        if line.strip() and not line.lstrip().startswith(b"#"):
            for form in forms:
                fault = _parse(form, line, len(line), limits, span)[3]
                reached = len(line) if fault is None else fault.at
                if reached > furthest:
                    furthest, best = reached, [form]
            return best
    return forms


def _parse(
    form: _Form, text: bytearray, size: int, limits: dict[str, int], span: int
) -> tuple[dict[str, np.ndarray], np.ndarray, int, _Fault | None]:
    """Return (numbers by name, whether each request is a write, lines read, what is wrong)."""
    rows = text.count(b"\n", 0, size)
    fields = np.empty((len(form.columns), rows), dtype=np.int64)
    is_write = np.empty(rows, dtype=np.bool_)
    reads, writes = form.words
    allowed = np.array([limits[name] for name in form.columns], dtype=np.int64)
    rows, lines, at, step, column = parse_lines(
        np.frombuffer(text, dtype=np.uint8),
        size,
        np.array(form.steps, dtype=np.int64),
        int.from_bytes(reads.encode(), "big"),
        int.from_bytes(writes.encode(), "big"),
        allowed,
        form.columns.index("address") if "address" in form.columns else -1,
        span,
        fields,
        is_write,
    )
    limit = int(allowed[column]) if column >= 0 else None
    name = form.columns[column] if column >= 0 else ""
    fault = None if step < 0 else _Fault(form, int(at), int(step), limit, name)
    numbers = {name: fields[i, :rows] for i, name in enumerate(form.columns)}
    return numbers, is_write[:rows], int(lines), fault


def _located(
    fields: dict[str, np.ndarray], is_write: np.ndarray, address_map: AddressMap, span: int
) -> Iterator[Requests]:
    """Yield the requests as bursts at their places."""
    arrival_clk = fields.get("clock", _NONE)
    if "row" in fields:
        org = address_map.spec.organization
        bank = (fields["rank"] * org.bankgroups + fields["bankgroup"]) * org.banks + fields["bank"]
        yield Requests(
            Location(fields["channel"], bank, fields["row"], fields["column"]), is_write, arrival_clk
        )
        return
    address, length = fields["address"], fields.get("length", _NONE)
    bits = address_map.spec.access_bytes.bit_length() - 1
    total = count_bursts(address, length, span, bits)
    if total == len(address):  # a burst each
        yield Requests(address_map.decode(address), is_write, arrival_clk)
        return
    request, done = 0, 0
    for start in range(0, total, _BATCH_BURSTS):
        burst, of = np.empty((2, min(total - start, _BATCH_BURSTS)), dtype=np.int64)
        _, request, done = expand_bursts(address, length, span, bits, request, done, burst, of)
        clk = arrival_clk[of] if len(arrival_clk) else arrival_clk
        yield Requests(address_map.decode(burst), is_write[of], clk)
