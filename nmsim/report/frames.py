"""Sums over an energy trace, whatever its size: one pass, a batch of rows in memory at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from nmsim.dram.commands import COLUMN_COMMANDS
from nmsim.energy.components import COMPONENTS
from nmsim.energy.layers import in_layers
from nmsim.errors import TraceFormatError
from nmsim.trace.reader import Trace, open_trace
from nmsim.trace.schema import COMPONENT_COLUMNS

#: What rows are summed under. Everything below is a coarser sum of this one.
TEXT_KEYS = ["scheme", "phase", "source", "array", "cmd"]
PLACE_KEYS = ["channel", "rank", "bankgroup", "bank"]
KEYS = TEXT_KEYS + PLACE_KEYS
SUMMED = ["count", "bytes", "energy_fJ", *COMPONENT_COLUMNS]

#: The number of the first row of each sum: Arrow promises no order of groups.
_FIRST = "first_row"
#: Partial sums are folded once they hold this many rows, so that memory does not grow with the trace.
_FOLD_ROWS = 200_000


def trace_sums(trace: Trace | Path | str) -> pd.DataFrame:
    """Return count, bytes and energies of a trace, summed by everything but time, row and column.

    Parameters
    ----------
    trace : Trace, Path or str
        A trace, or what `open_trace` opens: a run's folder, a folder of parts, or one file. Its size does
        not matter: the pass holds one batch of rows and the sums so far.

    Returns
    -------
    DataFrame
        Columns `KEYS` and `SUMMED`, int64 and text, in the order in which the trace names the keys.

    Raises
    ------
    TraceFormatError
        Where it is no energy trace, energies are not the sum of their components, or there are no rows.
    """
    if not isinstance(trace, Trace):
        trace = open_trace(trace)
    partial: list[pa.Table] = []
    read = held = 0
    for batch in trace.batches(KEYS + SUMMED):
        _check(batch, trace.path)
        rows = pa.table(batch).append_column(_FIRST, pa.array(np.arange(read, read + len(batch))))
        partial.append(_summed(rows))
        read += len(batch)
        held += len(partial[-1])
        if held > _FOLD_ROWS and len(partial) > 1:
            partial = [_summed(pa.concat_tables(partial))]
            held = len(partial[0])
    if not partial:
        raise TraceFormatError("this trace holds no rows", file=trace.path)
    return _summed(pa.concat_tables(partial)).sort_by(_FIRST).drop_columns([_FIRST]).to_pandas()


def _check(batch: pa.RecordBatch, path: Path) -> None:
    """Refuse numbers that are missing, and energies that are not the sum of their components."""
    gaps = [name for name in PLACE_KEYS + SUMMED if batch.column(name).null_count]
    if gaps:
        raise TraceFormatError("a trace has no empty numbers", file=path, found=", ".join(gaps[:4]))
    parts = sum(pc.sum(batch.column(name)).as_py() for name in COMPONENT_COLUMNS)
    difference = pc.sum(batch.column("energy_fJ")).as_py() - parts
    if difference:
        raise TraceFormatError(
            "energy_fJ is not the sum of the component columns",
            file=path,
            found=f"a difference of {difference} fJ",
            expected="0",
        )


def _summed(table: pa.Table) -> pa.Table:
    """Return the table summed by `KEYS`, text keys as plain text, and the first row of each sum kept."""
    wanted = [*((name, "sum") for name in SUMMED), (_FIRST, "min")]
    grouped = table.group_by(KEYS, use_threads=False).aggregate(wanted)
    columns = {}
    for name in KEYS:
        column = grouped[name]
        if name in TEXT_KEYS:
            column = column.cast(pa.string()).fill_null("")
        columns[name] = column
    columns |= {name: grouped[f"{name}_sum"] for name in SUMMED}
    return pa.table(columns | {_FIRST: grouped[f"{_FIRST}_min"]})


def energy_by_component(sums: pd.DataFrame) -> pd.DataFrame:
    """Return energy by scheme, phase and component (columns scheme, phase, component, energy_fJ).

    Every component stands under every phase of its scheme, those that cost nothing with 0.
    """
    wide = sums.groupby(["scheme", "phase"], sort=False)[COMPONENT_COLUMNS].sum()
    wide.columns = pd.Index(list(COMPONENTS), name="component")
    return wide.stack().rename("energy_fJ").reset_index()


def energy_by_layer(sums: pd.DataFrame) -> pd.DataFrame:
    """Return the three energies of each scheme: dataset DDR, all DDR and the whole system.

    Returns
    -------
    DataFrame
        Columns scheme, dataset_ddr_energy_fJ, ddr_energy_fJ, system_energy_fJ; see `nmsim.energy.layers`.
    """
    layers = in_layers(sums).add_suffix("_fJ")
    return layers.groupby(sums["scheme"], sort=False).sum().reset_index()


def commands_by_bank(sums: pd.DataFrame) -> pd.DataFrame:
    """Return how often each bank saw each command: scheme, source, *`PLACE_KEYS`, cmd, count.

    Rows that concern no single bank (refresh, background, operations) are left out.
    """
    keys = ["scheme", "source", *PLACE_KEYS, "cmd"]
    of_banks = sums[(sums["channel"] >= 0) & (sums["bank"] >= 0)]
    return of_banks.groupby(keys, sort=False, as_index=False)["count"].sum()


def accesses_by_bank(sums: pd.DataFrame) -> pd.DataFrame:
    """Return column accesses: a row per scheme and source, a column per bank that anybody uses."""
    counts = commands_by_bank(sums)
    return (
        counts[counts["cmd"].isin(COLUMN_COMMANDS)]
        .pivot_table(
            index=["scheme", "source"],
            columns=PLACE_KEYS,
            values="count",
            aggfunc="sum",
            fill_value=0,
            sort=False,
        )
        .sort_index(axis=1)
    )
