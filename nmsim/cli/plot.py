"""`nmsim plot`: figures of a run or of a trace alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmsim.cli.output import Json, print_json


def plot(
    path: Annotated[Path, typer.Argument(metavar="RUN|TRACE", help="A run's folder, or its trace.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the figures.")] = Path(
        "plots"
    ),
    as_json: Json = False,
) -> None:
    """Draw where the energy goes, from the trace itself; prints the files it wrote."""
    from nmsim.report.outputs import plot_trace

    files = [str(file) for file in plot_trace(path, out)]
    if as_json:
        print_json({"files": files})
    else:
        typer.echo("\n".join(files))
