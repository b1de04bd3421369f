"""Do the trace verbs keep to their memory, whatever the trace?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "formats"))
from trace_samples import random_table

from nmsim.trace.schema import SCHEMA
from nmsim.trace.writer import TraceWriter

pytestmark = pytest.mark.slow

#: Rows of the traces that are compared, in tables of 250,000; a row takes this many bytes in memory.
FEW, MANY, TABLE = 500_000, 4_000_000, 250_000
ROW_BYTES = (
    sum(f.type.index_type.bit_width if hasattr(f.type, "index_type") else f.type.bit_width for f in SCHEMA)
    // 8
)
#: What a verb may hold more on the long trace; what rows it has more take eleven times as much.
ALLOWANCE_BYTES = 64 << 20

VERBS = {
    "summary": ["trace", "summary", "{trace}"],
    "head": ["trace", "head", "{trace}", "-n", "50"],
    "plot": ["trace", "plot", "{trace}", "--out", "{out}"],
    "csv": ["trace", "convert", "{trace}", "--to", "csv", "--out", "{out}/t.csv"],
    "window": [
        "trace",
        "convert",
        "{trace}",
        "--to",
        "perfetto",
        "--out",
        "{out}/t.json",
        "--until",
        "100 us",
    ],
}
CHILD = """
import resource, sys
from nmsim.cli.app import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, file=sys.stderr)
"""


@pytest.fixture(scope="module")
def traces(tmp_path_factory) -> dict[int, Path]:
    folder, table = tmp_path_factory.mktemp("traces"), random_table(TABLE, 1)
    for rows in (FEW, MANY):
        with TraceWriter(folder / str(rows)) as writer:
            for _ in range(rows // TABLE):
                writer.write(table)
    return {rows: folder / str(rows) for rows in (FEW, MANY)}


def peak_bytes(words: list[str], trace: Path, out: Path) -> int:
    filled = [word.format(trace=trace, out=out) for word in words]
    done = subprocess.run([sys.executable, "-c", CHILD, *filled], capture_output=True, text=True, check=True)
    return int(done.stderr.split()[-1])


@pytest.mark.parametrize("verb", VERBS)
def test_a_trace_eight_times_as_long_takes_no_more_memory(verb, traces, tmp_path):
    few, many = (peak_bytes(VERBS[verb], traces[rows], tmp_path) for rows in (FEW, MANY))
    assert (MANY - FEW) * ROW_BYTES > 9 * ALLOWANCE_BYTES
    assert many < few + ALLOWANCE_BYTES
