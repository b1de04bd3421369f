"""The first commands of a trace, bank by bank: how near memory and the host read the same images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from nmsim.dram.commands import COLUMN_COMMANDS
from nmsim.energy.layers import DATASET_ARRAYS
from nmsim.report.axes import name_rows
from nmsim.report.canvas import FAINT, PAPER, Plot, drawing, new_figure
from nmsim.report.frames import PLACE_KEYS
from nmsim.schemes import Scheme
from nmsim.trace.reader import open_trace
from nmsim.units import format_bytes, format_si, format_time

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: What is shown of each phase, and at most of how many banks.
WINDOW_PS = 300_000
BANKS = 32

#: Kind of command -> (commands, colour on white as `canvas` knows it).
_KINDS = {
    "ACT": (("ACT",), "#08306b"),
    "RD": (("RD", "RDA"), "#56b4e9"),
    "WR": (("WR", "WRA"), "#e69f00"),
    "PRE": (("PREpb",), "#85858f"),
}
_SIDES = {"nmc": "near memory", "host": "the host"}
_COLUMNS = ["t_ps", "dur_ps", "cmd", *PLACE_KEYS, "row", "bytes", "source", "scheme", "phase"]


class _Target(NamedTuple):
    scheme: str
    phase: str
    source: str


def timeline(sums: pd.DataFrame, trace: Path) -> Plot | None:
    """Return the commands of the first `WINDOW_PS` in which images are read, near memory above the host.

    Parameters
    ----------
    sums : DataFrame
        `trace_sums` of the trace.
    trace : Path
        What `open_trace` opens. It is read once, and no more is held than what is drawn.

    Returns
    -------
    Plot or None
        None where no image's access stands in the trace by itself.
    """
    found = _commands(trace, _targets(sums))
    shown = {target: commands for target, commands in found.items() if len(commands)}
    if not shown:
        return None
    used = {place for commands in shown.values() for place in _places(commands)}
    banks = sorted(used)[:BANKS]
    kinds = [k for k, (names, _) in _KINDS.items() if any(c["cmd"].isin(names).any() for c in shown.values())]
    with drawing():
        figure = new_figure(0.8 + len(shown) * (0.6 + 0.13 * max(len(banks), 4)))
        axes = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
        for ax, (target, commands) in zip(axes, shown.items(), strict=True):
            _panel(ax, commands, banks)
            ax.set_title(f"{target.scheme}, {target.phase}: commands of {_SIDES[target.source]}")
        axes[-1].set_xlim(0, WINDOW_PS / 1e3)
        axes[-1].set_xlabel("time since the first command of the phase (ns)")
        handles = [axes[0].barh(0, 0, color=_KINDS[kind][1], label=kind) for kind in kinds]
        figure.legend(handles=handles, loc="outside lower center", ncols=len(kinds))
    parts = [commands.assign(**target._asdict()) for target, commands in shown.items()]
    columns = [*_Target._fields, "t_ps", "dur_ps", "cmd", *PLACE_KEYS, "bytes"]
    data = pd.concat(parts, ignore_index=True)[columns]
    return Plot("timeline", "Commands to the banks", figure, data, _sentence(shown))


def _targets(sums: pd.DataFrame) -> list[_Target]:
    """Return where near memory first reads images, and where the host does: the same phase, or a training."""
    reads = sums[sums["array"].isin(DATASET_ARRAYS) & sums["cmd"].isin(COLUMN_COMMANDS)]
    places = [_Target(*key) for key in reads[list(_Target._fields)].itertuples(index=False, name=None)]
    near = [place for place in places if place.source == "nmc"][:1]
    host = [place for place in places if place.source == "host"]
    if near:  # a method on either side has two schemes with the same phases
        alike = (str(Scheme.parse(near[0].scheme).at("host")), near[0].phase, "host")
        host.sort(key=lambda place: place != alike)
    return near + host[:1]


def _commands(trace: Path, targets: list[_Target]) -> dict[_Target, pd.DataFrame]:
    """Return the commands to single banks in each window, by time; those in the trace's sums are none."""
    kept: dict[_Target, list[pa.Table]] = {target: [] for target in targets}
    starts = dict.fromkeys(targets, np.iinfo(np.int64).max)
    for batch in open_trace(trace).batches(_COLUMNS):
        single = pc.greater_equal(batch.column("row"), 0)
        for target in targets:
            wanted = single
            for name, value in target._asdict().items():
                wanted = pc.and_(wanted, _is(batch.column(name), value))
            rows = pa.table(batch.filter(wanted))
            if len(rows):
                starts[target] = min(starts[target], pc.min(rows["t_ps"]).as_py())
                kept[target].append(rows.filter(pc.less(rows["t_ps"], starts[target] + WINDOW_PS)))
    found = {}
    for target, tables in kept.items():
        frames = [table.to_pandas().astype({"cmd": str}) for table in tables]
        frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=_COLUMNS)
        frame["t_ps"] -= starts[target]
        frame = frame[frame["t_ps"] < WINDOW_PS].sort_values(["t_ps", *PLACE_KEYS], kind="stable")
        found[target] = frame.reset_index(drop=True)
    return found


def _is(column: pa.DictionaryArray, value: str) -> pa.Array:
    """Return where a text column has this value, without decoding it."""
    return pc.equal(column.indices, pc.index(column.dictionary, value).as_py())


def _places(commands: pd.DataFrame) -> list[tuple[int, ...]]:
    return list(commands[PLACE_KEYS].itertuples(index=False, name=None))


def _panel(ax: Axes, commands: pd.DataFrame, banks: list[tuple[int, ...]]) -> None:
    from matplotlib.collections import PolyCollection

    row_of = {place: row for row, place in enumerate(banks)}
    rows = np.array([row_of.get(place, -1) for place in _places(commands)])
    for names, colour in _KINDS.values():
        own = commands["cmd"].isin(names).to_numpy() & (rows >= 0)
        begin = commands["t_ps"].to_numpy()[own] / 1e3
        end, y = begin + commands["dur_ps"].to_numpy()[own] / 1e3, rows[own]
        corners = np.stack([begin, y - 0.4, begin, y + 0.4, end, y + 0.4, end, y - 0.4], axis=1)
        look: dict[str, Any] = {"facecolors": colour, "edgecolors": PAPER, "linewidths": 0.25}
        ax.add_collection(PolyCollection(list(corners.reshape(-1, 4, 2)), **look))
    names_of_rows = []
    for row, (channel, rank, group, bank) in enumerate(banks):
        first = row == 0 or banks[row - 1][:3] != (channel, rank, group)
        # Ranks and groups are named where there are several.
        where = f"channel {channel}" + (f", rank {rank}" if any(b[1] for b in banks) else "")
        where += f", group {group}" if any(b[2] for b in banks) else ""
        names_of_rows.append(f"{where}, bank {bank}" if first else str(bank))
        if first and row:
            ax.axhline(row - 0.5, color=FAINT, lw=0.6)
    name_rows(ax, names_of_rows)
    ax.tick_params(axis="y", labelsize=7)


def _sentence(shown: dict[_Target, pd.DataFrame]) -> str:
    parts = []
    for target, commands in shown.items():
        columns = commands[commands["cmd"].isin(COLUMN_COMMANDS)]
        moved, banks = int(columns["bytes"].sum()), len(set(_places(columns)))
        rate, several = format_si(moved / (WINDOW_PS * 1e-12), "B/s"), "" if banks == 1 else "s"
        parts.append(f"{_SIDES[target.source]} moves {format_bytes(moved)} in {banks} bank{several} ({rate})")
    return f"In the first {format_time(WINDOW_PS)} of reading images, {' and '.join(parts)}."
