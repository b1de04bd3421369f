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
    """Draw the figures of a run, or those that a trace alone gives.

    Energies come from the trace itself. Each figure is written as PNG, SVG and CSV. Prints the files;
    with --json, also what each figure shows.
    """
    from nmsim.report.outputs import draw

    drawn = [(figure, [str(file) for file in files]) for figure, files in draw(path, out)]
    files = [file for _, of_figure in drawn for file in of_figure]
    if as_json:
        figures = [
            {"name": f.name, "title": f.title, "sentence": f.sentence, "files": own} for f, own in drawn
        ]
        print_json({"files": files, "figures": figures})
    else:
        typer.echo("\n".join(files))
