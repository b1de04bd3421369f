"""The table of figures in docs/explanation/reliability.md, a row of which each slow check writes anew."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "reliability.md"
_BEGIN, _END = "<!-- figures: written by make verify -->\n", "<!-- end of figures -->\n"
_HEAD = "| check | measured | found |\n|---|---|---|\n"


def write_rows(rows: Mapping[str, tuple[str, str]], page: Path = PAGE) -> None:
    """Replace or add rows, by what was checked; those of other checks stay."""
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(_BEGIN)
    table, after = rest.split(_END)
    lines = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    found = {what: (measured, result) for what, measured, result in lines} | dict(rows)
    table = "".join(
        f"| {what} | {measured} | {result} |\n" for what, (measured, result) in sorted(found.items())
    )
    page.write_text(before + _BEGIN + _HEAD + table + _END + after, encoding="utf-8")
