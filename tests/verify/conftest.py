"""What the slow checks share with the quick ones on energy and on the store."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "energy"))
sys.path.insert(0, str(Path(__file__).parents[1] / "store"))

_figures: dict[str, tuple[str, str]] = {}


def pytest_runtest_logreport(report):
    """Gather what checks that passed recorded as (what, measured, found)."""
    if report.when == "call" and report.passed:
        for name, value in report.user_properties:
            if name == "figure":
                what, *figures = value
                _figures[what] = tuple(figures)


def pytest_sessionfinish(session, exitstatus):
    """Write them into the page on reliability."""
    if _figures:
        from reliability import write_rows

        write_rows(_figures)
