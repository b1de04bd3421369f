"""A published figure beside nmsim's, and the page that shows them (docs/explanation/calibration.md)."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import NamedTuple

import calibration_runs
import yaml

FIGURES = Path(__file__).with_name("calibration.yaml")

HEAD = """# How near nmsim comes to published figures

Written by `make verify` (`tests/verify/test_calibration.py`), which computes every figure of nmsim's anew,
fails where one leaves the band given for it, and rewrites this page where one changed. Nothing was fitted to
these figures unless the row says so. How far the memory model is from other simulators in time and commands:
[model_error.md](model_error.md).

"Within" says whether nmsim lies in the published spread, or in what rounding leaves open where none is given;
"in part" that its own band reaches into it. Where nmsim is off, the row says why. *Read* marks what was read
in the source itself, *run* what a program printed here; everything else is *not verified*: it comes from a
secondary source or from general knowledge.
"""


class Figure(NamedTuple):
    """What nmsim gives: a value, the lowest and highest over what is not known, and a remark with more."""

    value: float
    low: float
    high: float
    remark: str = ""


@dataclass(frozen=True)
class Comparison:
    """A published figure, and how nmsim computes its own.

    Attributes
    ----------
    what, unit : str
    published : float
    spread : tuple of float
        Its lowest and highest.
    digits : int
        Where there is no spread: digits after the point that are given; rounding leaves the rest open.
    source : str
        Where it stands: "(read)", "(run)" or "(not verified)".
    how : str
        The run or price, the board, and what is changed on it.
    compute : list
        Name of a function of `calibration_runs`, and its arguments.
    why, stays : str, tuple of float
        Where nmsim is outside the spread: the reason, and the band in which its figure then stays.
    """

    what: str
    unit: str
    published: float
    source: str
    how: str
    compute: list
    spread: tuple[float, float] = ()
    digits: int | None = None
    why: str = ""
    stays: tuple[float, float] = ()

    def __post_init__(self) -> None:
        assert bool(self.spread) != (self.digits is not None), f"{self.what}: a spread, or digits"
        assert bool(self.why) == bool(self.stays), f"{self.what}: a reason, and where the figure stays"

    def figure(self) -> Figure:
        """Return nmsim's figure."""
        name, *arguments = self.compute
        found = getattr(calibration_runs, name)(*arguments)
        return Figure(*found) if isinstance(found, tuple) else Figure(found, found, found)

    def range(self) -> tuple[float, float]:
        """Return the published spread, or what rounding leaves open."""
        half = 0 if self.spread else 0.5 * 10**-self.digits
        return tuple(self.spread) or (self.published - half, self.published + half)

    def within(self, value: float) -> bool:
        """Return whether a value lies in that range."""
        low, high = self.range()
        return low <= value <= high


@dataclass(frozen=True)
class Part:
    """A section of the page."""

    title: str
    rows: tuple[Comparison, ...]
    text: str = ""


def read_parts() -> tuple[Part, ...]:
    """Return all comparisons."""
    parts = yaml.safe_load(FIGURES.read_text(encoding="utf-8"))
    return tuple(
        Part(**(part | {"rows": tuple(Comparison(**row) for row in part["rows"])})) for part in parts
    )


def page(parts: Iterable[Part], figures: dict[str, Figure]) -> str:
    """Return the page; `figures` by `Comparison.what`."""
    lines = [HEAD]
    for part in parts:
        lines += [f"## {part.title}", ""]
        if part.text:
            lines += [_wrapped(part.text), ""]
        lines += ["| | published | nmsim | difference | within |", "|---|---|---|---|---|"]
        lines += [_row(row, figures[row.what]) for row in part.rows]
        lines += ["", *_texts(part, figures), ""]
    return "\n".join(lines).rstrip() + "\n"


def _texts(part: Part, figures: dict[str, Figure]) -> list[str]:
    """Return one paragraph for all rows that it says the same of."""
    names: dict[str, list[str]] = {}
    for row in part.rows:
        text = f"{row.how} *Source:* {row.source}."
        text += f" {figures[row.what].remark}" if figures[row.what].remark else ""
        text += f" *Why it is off:* {row.why}" if row.why else ""
        names.setdefault(text, []).append(row.what)
    return [_wrapped(f"- **{'; '.join(rows)}.** {text}", "  ") for text, rows in names.items()]


def _row(row: Comparison, figure: Figure) -> str:
    published = _number(row.published)
    if row.spread:
        published += f" ({_number(row.spread[0])} to {_number(row.spread[1])})"
    found = _number(figure.value)
    if figure.low != figure.high:
        found += f" ({_number(figure.low)} to {_number(figure.high)})"
    off = (
        figure.value - row.published if row.unit.startswith("%") else 100 * (figure.value / row.published - 1)
    )
    difference = "none" if abs(off) < 0.05 else f"{off:+.1f} {'points' if row.unit.startswith('%') else '%'}"
    low, high = row.range()
    reaches = figure.low <= high and low <= figure.high
    answer = "yes" if row.within(figure.value) else "in part" if reaches else "no"
    return f"| {row.what}, {row.unit} | {published} | {found} | {difference} | {answer} |"


def _wrapped(text: str, indent: str = "") -> str:
    return fill(text, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _number(value: float) -> str:
    """Return four digits, without an exponent."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
