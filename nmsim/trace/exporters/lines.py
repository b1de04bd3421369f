"""Columns of numbers and texts as lines of text, without a loop over rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def comma_lines(columns: list[np.ndarray | pa.Array]) -> bytes:
    """Return the rows as lines with commas between the columns and a newline at the end of each."""
    texts = [pc.cast(pa.array(column), pa.string()) for column in columns]
    joined = pc.binary_join_element_wise(*texts, ",")
    lines = pc.binary_join_element_wise(joined, "", "\n")  # the joint of a line and nothing is its end
    if isinstance(lines, pa.ChunkedArray):
        lines = lines.combine_chunks()
    # The texts of an array stand one after another in its buffer: they are the file already.
    return b"" if len(lines) == 0 else lines.buffers()[2].to_pybytes()
