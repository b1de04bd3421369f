"""`nmsim report`: the report of finished runs, one by itself or several compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmsim.cli.output import Json, print_json


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Folders of finished runs.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where the page goes instead.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the report of a run anew, or compare several.

    Prints where it is. Of one run the figures are drawn again too, unless --out names another place for the
    page. A comparison goes to comparison.html.
    """
    from nmsim.report.outputs import write_report

    path = write_report(runs, out)
    if as_json:
        print_json({"path": str(path)})
    else:
        typer.echo(f"report: {path}")
