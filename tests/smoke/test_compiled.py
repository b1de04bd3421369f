"""Is a kernel that was kept on disk forgotten when a module that it calls is edited?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CALLED = "from nmsim.compiled import njit\n\n@njit(cache=True)\ndef wait():\n    return {clocks}\n"
CALLER = """
from nmsim.compiled import njit
from package.rules import wait

@njit(cache=True)
def schedule():
    return 1 + wait()

print(schedule(), sum(schedule.stats.cache_hits.values()))
"""


@pytest.mark.slow
def test_a_rule_that_is_edited_in_another_module_is_obeyed(tmp_path: Path):
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "scheduler.py").write_text(CALLER)

    def printed(clocks: int) -> str:
        (package / "rules.py").write_text(CALLED.format(clocks=clocks))
        command = [sys.executable, "-c", "import package.scheduler"]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    assert printed(clocks=16).split() == ["17", "0"], "compiled"
    assert printed(clocks=16).split() == ["17", "1"], "taken from the disk"
    assert printed(clocks=24).split() == ["25", "0"], "compiled anew, though its own file is the same"
