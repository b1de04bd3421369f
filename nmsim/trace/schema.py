"""The energy trace: one table of accesses, commands and aggregates whose energies sum to the run's total."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from nmsim.energy.components import COMPONENTS

_TEXT = pa.dictionary(pa.int16(), pa.string())

#: column -> (Arrow type, meaning)
COLUMNS: dict[str, tuple[pa.DataType, str]] = {
    "t_ps": (pa.int64(), "start; for an aggregate the start of its phase"),
    "dur_ps": (
        pa.int64(),
        "duration; for an aggregate from the start of its phase to its end, breaks included",
    ),
    "cmd": (
        _TEXT,
        "DRAM command, or a standby state, BROADCAST, GATHER, LEAKAGE, STATIC, SRAM, LINK_BITS, LINK_DRIVEN, "
        "LINK_RISES, or an operation's kind",
    ),
    "channel": (pa.int16(), "-1 where none"),
    "rank": (pa.int16(), "-1 where none"),
    "bankgroup": (pa.int16(), "-1 where none"),
    "bank": (pa.int16(), "within its bank group; -1 where none"),
    "row": (pa.int32(), "-1 where none, and for an aggregate"),
    "col": (pa.int32(), "in bursts; -1 where none, and for an aggregate"),
    "bytes": (pa.int64(), "moved by this row"),
    "source": (_TEXT, "who causes it: host, nmc, dram, soc"),
    "phase": (_TEXT, "phase of the run"),
    "row_outcome": (_TEXT, "hit, miss or conflict; empty where not a single RD or WR"),
    "energy_fJ": (pa.int64(), "the sum of the component columns"),
    "scheme": (_TEXT, "scheme of the run"),
    "array": (_TEXT, "array that is accessed; empty where none"),
    "count": (pa.int64(), "commands or operations in this row: 1 for a single access"),
    **{f"{name}_fJ": (pa.int64(), meaning) for name, (meaning, _) in COMPONENTS.items()},
}

COMPONENT_COLUMNS = [f"{name}_fJ" for name in COMPONENTS]

SCHEMA = pa.schema([pa.field(name, kind) for name, (kind, _) in COLUMNS.items()])

#: Rows of a part file at most; a part is the unit that is published.
PART_ROWS = 1_000_000


def trace_table(columns: dict[str, object], rows: int) -> pa.Table:
    """Return `rows` trace rows as an Arrow table; columns that are not given are empty or zero.

    Parameters
    ----------
    columns : dict
        Column name to an array of length `rows`, a scalar that stands for all rows, or a pair
        (codes, names) for a text column.
    rows : int
        Number of rows.
    """
    unknown = set(columns) - set(COLUMNS)
    if unknown:
        raise ValueError(f"no such trace columns: {sorted(unknown)}")
    arrays = []
    for field in SCHEMA:
        value = columns.get(field.name)
        if pa.types.is_dictionary(field.type):
            arrays.append(_text_column(value, rows))
        else:
            missing = -1 if field.name in ("channel", "rank", "bankgroup", "bank", "row", "col") else 0
            dtype = field.type.to_pandas_dtype()
            full = np.broadcast_to(np.asarray(missing if value is None else value), (rows,))
            arrays.append(pa.array(full.astype(dtype), type=field.type))
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def _text_column(value: object, rows: int) -> pa.Array:
    if isinstance(value, tuple):
        codes, names = value
        indices = pa.array(np.asarray(codes, dtype=np.int16), mask=np.asarray(codes) < 0)
        return pa.DictionaryArray.from_arrays(indices, pa.array(names, type=pa.string()))
    if value is None or isinstance(value, str):
        names = [value] if value else []
        codes = np.zeros(rows, dtype=np.int16)
        indices = pa.array(codes, mask=None if names else np.ones(rows, dtype=bool))
        return pa.DictionaryArray.from_arrays(indices, pa.array(names, type=pa.string()))
    codes, names = pd.factorize(np.asarray(value, dtype=object))
    return _text_column((codes, list(names)), rows)
