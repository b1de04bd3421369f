"""Does no reader break when files are bred to reach all of its branches? Needs atheris."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

HOSTILE = Path(__file__).parents[1] / "hostile"
sys.path.insert(0, str(HOSTILE))
from attacks import ATTACKS  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("atheris") is None, reason="atheris has no wheel for this Python or system"),
]

#: Of each reader; NMSIM_FUZZ_S=600 for a night.
SECONDS = int(os.environ.get("NMSIM_FUZZ_S", "8"))


@pytest.mark.parametrize("name", ATTACKS)
def test_bred_files_are_read_or_refused_in_a_line(name, tmp_path, record_property):
    command = [sys.executable, str(HOSTILE / "guided.py"), name, str(SECONDS), str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=10 * SECONDS + 300, errors="replace"
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    executions = int(re.search(r"number_of_executed_units: (\d+)", done.stderr)[1])
    branches = int(re.findall(r" cov: (\d+)", done.stderr)[-1])
    assert executions > len(ATTACKS)
    measured = f"{executions:,} files bred by atheris, {branches:,} edges reached"
    record_property("figure", (f"reader, guided: {name}", measured, "a value or a line"))
