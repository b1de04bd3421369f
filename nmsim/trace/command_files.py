"""Files of DRAM commands, as `nmsim replay --commands` and `nmsim trace convert --to drampower` write them.

A line is `clock,COMMAND,rank,bankgroup,bank,row,column[,data]` with the names of DRAMPower; the last is
`clock,END,…`. Banks are counted through within a rank, columns in bursts; what a command has not is 0. Blank
lines and lines that begin with # hold no command; the file may be gzipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from nmsim.compiled import njit
from nmsim.dram.activity import CommandLog
from nmsim.dram.commands import COMMANDS, RANK_WIDE, REFpb
from nmsim.dram.engine import LAST_CLK
from nmsim.dram.spec import DramSpec
from nmsim.errors import TraceFormatError
from nmsim.trace.importers_kernel import DECIMAL, HEX, after_blanks, read_number
from nmsim.trace.texts import whole_lines

#: Names in a file -> the command; commands to banks first. Those of REFpb differ by what it refreshes, those
#: of power-down by whether a row is open.
NAMES = {
    "ACT": "ACT", "RD": "RD", "WR": "WR", "PRE": "PREpb", "RDA": "RDA", "WRA": "WRA",
    "REFB": "REFpb", "REFSB": "REFpb", "REFP2B": "REFpb",
    "PREA": "PREab", "REFA": "REFab", "PDEA": "PDE", "PDEP": "PDE", "PDXA": "PDX", "PDXP": "PDX",
    "SREFEN": "SRE", "SREFEX": "SRX",
}  # fmt: skip
_END = "END"
#: Numbers of a line, the name aside, and what each must be below (see `_limits`).
_FIELDS = ("clock", "rank", "bankgroup", "bank", "row", "column")
_SHOWN = "clock,COMMAND,rank,bankgroup,bank,row,column[,data]"

#: Bytes that mean something.
_TAB, _NEWLINE, _RETURN, _SPACE, _HASH, _COMMA = 9, 10, 13, 32, 35, 44
#: What is wrong with a line.
_NO_NUMBER, _TOO_LARGE, _NO_NAME, _NO_COMMA, _NO_LINE_END, _OTHER_GROUP = range(1, 7)


class CommandLines(NamedTuple):
    """Commands of a file in their order.

    Attributes
    ----------
    log : CommandLog
    line : ndarray of int64, shape (n,)
        Where each stands in the file, counted from 1.
    end : tuple of int or None
        Clock and line of END, where these are the last commands and there is one.
    """

    log: CommandLog
    line: np.ndarray
    end: tuple[int, int] | None


def read_commands(path: Path | str, spec: DramSpec) -> Iterator[CommandLines]:
    """Yield the commands of one channel, chunk by chunk, in constant memory.

    Raises
    ------
    TraceFormatError
        Where the file cannot be read, a line is damaged or names a place that the memory has not, or the file
        goes on after END.
    """
    path = Path(path)
    names = [*NAMES, _END]
    packed = np.array([int.from_bytes(name.encode(), "big") for name in names])
    commands = np.array([COMMANDS.index(NAMES[name]) for name in NAMES], dtype=np.int64)
    of_banks = sum(COMMANDS.index(name) not in RANK_WIDE for name in NAMES.values())
    org, lines, end = spec.organization, 0, None
    limits = np.array([LAST_CLK, org.ranks, org.bankgroups, spec.banks_per_rank, org.rows, spec.row_bursts])
    for text, size in whole_lines(path):
        values = np.empty((len(_FIELDS) + 2, text.count(b"\n", 0, size)), dtype=np.int64)
        rows, read, at, fault, field = parse(
            np.frombuffer(text, dtype=np.uint8), size, packed, of_banks, limits, org.banks, values
        )
        if fault:
            _raise(path, lines + read + 1, text, at, fault, field, int(limits[field]))
        values = values[:, :rows]
        values[-1] += lines
        lines += read
        ends = np.flatnonzero(values[-2] == len(commands))
        if end is None and len(ends):
            end = (int(values[0, ends[0]]), int(values[-1, ends[0]]))
            values, after_end = values[:, : ends[0]], values[-1, ends[0] + 1 :]
        else:
            after_end = values[-1] if end else values[-1, :0]
        if len(after_end):
            raise TraceFormatError("the file goes on after END", file=path, line=int(after_end[0]))
        if not spec.refresh_sets and (refreshes := np.flatnonzero(commands[values[-2]] == REFpb)).size:
            line = int(values[-1, refreshes[0]])
            raise TraceFormatError(f"{spec.standard} has no per-bank refresh", file=path, line=line)
        yield CommandLines(_log(values, commands, org.banks), values[-1], end)


def _log(values: np.ndarray, commands: np.ndarray, banks: int) -> CommandLog:
    clk, rank, bankgroup, bank, row, column, name, _ = values
    command = commands[name]
    wide = np.isin(command, RANK_WIDE)
    nothing = np.full(len(clk), -1, dtype=np.int64)
    return CommandLog(
        clk=clk,
        command=command,
        rank=rank,
        bankgroup=np.where(wide, -1, bankgroup),
        bank=np.where(wide, -1, bank % banks),
        row=row,
        column=column,
        outcome=nothing,
        closed=nothing,
        near_memory=np.zeros(len(clk), dtype=np.bool_),
    )


def _raise(path: Path, line: int, text: bytearray, at: int, fault: int, field: int, limit: int) -> NoReturn:
    token = bytes(text[at : at + 60]).split(b"\n")[0].split(b",")[0].strip()
    shown = token.decode("utf-8", "backslashreplace")
    found = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)
    name = _FIELDS[field]
    if fault in (_TOO_LARGE, _OTHER_GROUP) and field:
        expected = f"below {limit}" if fault == _TOO_LARGE else "banks counted through within a rank"
        raise TraceFormatError(
            f"this {name} lies outside the memory"
            if fault == _TOO_LARGE
            else "this bank is of another group",
            file=path,
            line=line,
            found=found,
            expected=expected,
            hint="Take the board that the file was made with: --config.",
        )
    expected = {
        _NO_NUMBER: f"a decimal number for the {name}",
        _TOO_LARGE: f"a clock below {limit}",
        _NO_NAME: f"one of {', '.join(NAMES)}, {_END}",
        _NO_COMMA: "a comma",
        _NO_LINE_END: "the end of the line",
    }[fault]
    raise TraceFormatError(
        "damaged line of a command file",
        file=path,
        line=line,
        found=found or "end of line",
        expected=f"{expected}, as in {_SHOWN}",
    )


@njit(cache=True)
def parse(
    data: np.ndarray,
    size: int,
    names: np.ndarray,
    of_banks: int,
    limits: np.ndarray,
    banks: int,
    values: np.ndarray,
) -> tuple[int, int, int, int, int]:
    """Read whole lines.

    Parameters
    ----------
    data : ndarray of uint8, shape (m,)
        Text.
    size : int
        Bytes of `data` to read; the last is a newline.
    names : ndarray of int64
        Names of commands, 8 bits a letter, the first letter highest; the last is END.
    of_banks : int
        So many of the names, the first, are commands to one bank.
    limits : ndarray of int64, shape (6,)
        Each number must be below its limit.
    banks : int
        Banks of a group.
    values : ndarray of int64, shape (8, lines)
        Filled: the six numbers, the index of the name, and the line counted from 1.

    Returns
    -------
    rows, lines : int
        Commands and lines read; a damaged line is the next.
    at, fault, field : int
        What is wrong, and where in the text; `fault` 0: nothing.
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
        name = -1
        for field in range(6):
            start = i
            value, i = read_number(data, i, DECIMAL)
            if i == start:
                return row, lines, start, _NO_NUMBER, field
            if value >= limits[field]:
                return row, lines, start, _TOO_LARGE, field
            values[field, row] = value
            if field == 3 and name < of_banks and value // banks != values[2, row]:
                return row, lines, start, _OTHER_GROUP, field
            i = after_blanks(data, i)
            if field == 5:
                break
            if data[i] != _COMMA:
                return row, lines, i, _NO_COMMA, field
            i = after_blanks(data, i + 1)
            if field == 0:
                start, word = i, np.int64(0)
                while data[i] > _COMMA:  # letters and digits; what else is one is in no name
                    word = (word & 0xFFFFFFFFFFFF) << 8 | np.int64(data[i])
                    i += 1
                for index in range(len(names)):
                    if names[index] == word:
                        name = index
                        break
                if name < 0:
                    return row, lines, start, _NO_NAME, field
                i = after_blanks(data, i)
                if data[i] != _COMMA:
                    return row, lines, i, _NO_COMMA, field
                i = after_blanks(data, i + 1)
        if data[i] == _COMMA:
            i = after_blanks(data, i + 1)
            i = read_number(data, i, HEX)[1]
            i = after_blanks(data, i)
        if data[i] == _RETURN:
            i += 1
        if data[i] != _NEWLINE:
            return row, lines, i, _NO_LINE_END, 0
        i += 1
        lines += 1
        values[6, row], values[7, row] = name, lines
        row += 1
    return row, lines, i, 0, 0
