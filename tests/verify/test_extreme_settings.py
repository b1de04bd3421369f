"""Does every key take its smallest, its largest and impossible values with a result, or with one line?"""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("extremes.py")
SECTIONS = (
    "memory", "near_memory", "link", "operations", "soc", "dataset", "selection", "training", "simulation",
)  # fmt: skip


@pytest.mark.parametrize("section", SECTIONS)
def test_every_extreme_of_every_key_gives_a_result_or_a_line(section, tmp_path, record_property):
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), section], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    ended = {setting: how for setting, how in lines if how != "begun"}
    broken = [f"{setting}: {how}" for setting, how in lines if how.startswith("broken")]
    assert not broken, "\n".join(broken)
    assert done.returncode == 0, f"{lines[-1:]} ended the process:\n{done.stderr[-3000:]}"
    how = Counter(ended.values())
    assert how["run"] and how["refused"], how
    found = f"{how['run']:,} run to finite numbers, {how['refused']:,} refused in a line"
    found += f", {how['stopped']:,} stopped when asked"
    record_property("figure", (f"settings: {section}", f"{len(ended):,} extremes, one at a time", found))
