"""What verbs print: JSON and tables on stdout, notes and progress on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

#: The options that several verbs share.
ConfigFile = Annotated[
    Path, typer.Argument(metavar="CONFIG", help="A board: its file, or a name such as lpddr4.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=VALUE", help="Override a value of the configuration; repeatable."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]

#: Columns of a table that goes to a file or a pipe, where there is no terminal to fit into.
_PIPE_WIDTH = 160


def print_json(value: Any) -> None:
    """Print one JSON document."""
    typer.echo(json.dumps(value, indent=2, allow_nan=False))


def note(text: str) -> None:
    """Print a line beside the result, on stderr."""
    typer.echo(f"nmsim: {text}", err=True)


def picoseconds(text: str | None, option: str) -> int | None:
    """Return a time such as "10 us" in ps; None for None.

    Raises
    ------
    typer.BadParameter
        Where it is no time; names `option`.
    """
    from nmsim.units import parse_quantity

    if text is None:
        return None
    try:
        time_ps = round(parse_quantity(text, "time"))
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(str(error), param_hint=option) from None
    if abs(time_ps) >= 1 << 63:
        raise typer.BadParameter(f"{text} is beyond all traces, 106 days", param_hint=option)
    return time_ps


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], text: int = 1) -> None:
    """Print a table whose first `text` columns are texts; the others are numbers, aligned right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
    table = Table(box=box.SIMPLE_HEAD, show_header=any(columns))
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index < text else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))  # Text: a name is never read as markup
    console.print(table)


@contextmanager
def progress() -> Iterator[Callable[[str, float | None], None]]:
    """Give a function (message, share done or None) that shows a bar on stderr, if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda message, share: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    parts = SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn()
    with Progress(*parts, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        def tell(message: str, share: float | None) -> None:
            bar.update(
                task, description=message, total=None if share is None else 1.0, completed=share or 0.0
            )

        yield tell
