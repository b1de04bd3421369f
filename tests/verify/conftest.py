"""What the slow checks share with the quick ones on energy and on the store."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "energy"))
sys.path.insert(0, str(Path(__file__).parents[1] / "store"))


def pytest_runtest_logreport(report):
    """Write what a check that passed recorded, as (what, measured, found), into the page on reliability."""
    figures = [value for name, value in report.user_properties if name == "figure"]
    if figures and report.when == "call" and report.passed:
        from reliability import write_rows

        write_rows({what: tuple(rest) for what, *rest in figures})
