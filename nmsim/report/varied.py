"""The axes of a sweep's figures: what was varied, where each value stands, and how it is written there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.ticker import Locator


@dataclass(frozen=True)
class Varied:
    """What was varied along an axis.

    Attributes
    ----------
    path : str
        A column of the table, with the values as written.
    column : str
        The column with their numbers; "" where they are names.
    unit : str
        Of the numbers.
    """

    path: str
    column: str = ""
    unit: str = ""

    @property
    def label(self) -> str:
        """Return what stands at an axis."""
        return f"{self.path} ({self.unit})" if self.unit else self.path

    @property
    def slug(self) -> str:
        """Return the path as a file's name has it."""
        return self.path.replace(".", "_")

    def in_order(self, table: pd.DataFrame) -> list[object]:
        """Return the values of a table: numbers from the least, names as they come."""
        if self.column:
            values = table.drop_duplicates(self.path)
            return list(values.loc[pd.to_numeric(values[self.column]).sort_values().index, self.path])
        return list(dict.fromkeys(table[self.path]))

    def places(self, table: pd.DataFrame) -> tuple[pd.Series, list[str] | None]:
        """Return where each row stands on the axis, and the names of the places where they are names."""
        if self.column:
            return pd.to_numeric(table[self.column]), None
        names = self.in_order(table)
        places = table[self.path].map({name: i for i, name in enumerate(names)})
        return places, [value_text(name) for name in names]

    def mark(self, ax: Axes, places: pd.Series, names: list[str] | None) -> None:
        """Give a plot's lower axis its scale and its ticks; `places` and `names` are those of `places`."""
        ax.grid(axis="y")
        if names is not None:
            ax.set_xticks(range(len(names)), names, rotation=20 if max(map(len, names)) > 9 else 0)
            ax.set_xlim(-0.4, len(names) - 0.6)
            return
        values = np.unique(places.to_numpy(dtype=float))
        if values[0] > 0 and values[-1] / values[0] >= 8:
            ax.set_xscale("log", base=2 if self.unit == "B" else 10)
        if len(values) <= 10:
            texts = [_size(v) if self.unit == "B" else f"{v:g}" for v in values]
            ax.set_xticks(values, texts, rotation=35 if len(values) > 6 else 0)
            ax.xaxis.set_minor_locator(_no_ticks())
        else:
            plain_numbers(ax.xaxis)


def varied(table: pd.DataFrame, paths: Sequence[str]) -> list[Varied]:
    """Return the axes of a sweep's table."""
    found = []
    for path in paths:
        column = next((c for c in table.columns if c.startswith(f"{path} [")), "")
        if column:
            found.append(Varied(path, column, column[len(path) + 2 : -1]))
        elif pd.to_numeric(table[path], errors="coerce").notna().all():
            found.append(Varied(path, path))
        else:
            found.append(Varied(path))
    return found


def value_text(value: object) -> str:
    """Return a varied value for people."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _no_ticks() -> Locator:
    from matplotlib.ticker import NullLocator

    return NullLocator()


def plain_numbers(axis: Axis) -> None:
    """Write the ticks of an axis as plain numbers, on a logarithmic one at 1, 2 and 5."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_major_formatter(lambda value, _: f"{value:g}")
    if isinstance(axis.get_major_locator(), LogLocator):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_minor_formatter(NullFormatter())


def _size(value: float) -> str:
    for unit, factor in (("Mi", 2**20), ("Ki", 2**10)):
        if value >= factor:
            return f"{value / factor:g} {unit}"
    return f"{value:g}"
