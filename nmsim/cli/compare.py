"""`nmsim compare`: selection methods over keep ratios and networks, against random."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmsim.cli.board import load_board
from nmsim.cli.limits import DryRun, MaxDisk, MaxMemory, allow
from nmsim.cli.output import ConfigFile, Json, Overrides, print_json, progress


def compare(
    config: ConfigFile,
    overrides: Overrides = None,
    scheme: Annotated[
        list[str] | None,
        typer.Option("--scheme", help="A scheme; repeatable. Those of the configuration unless given."),
    ] = None,
    keep: Annotated[
        str, typer.Option("--keep", metavar="A,B,…", help="Shares of the images to keep.")
    ] = "0.01,0.05,0.1,0.2,0.3",
    network: Annotated[
        str | None, typer.Option("--network", metavar="A,B,…", help="Networks to train.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", min=1, help="Trainings of each; as configured.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where runs and results go.")] = Path(
        "runs/compare"
    ),
    max_memory: MaxMemory = None,
    max_disk: MaxDisk = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Compare selection methods with random, over keep ratios.

    Runs that stand in DIR already are not repeated, so that an interrupted comparison goes on where it was.
    DIR gets comparison.csv, comparison.md and plots.
    """
    ratios = _ratios(keep)
    board = load_board(config, [*(overrides or []), *([] if seeds is None else [f"training.seeds={seeds}"])])
    networks = tuple(network.split(",")) if network else (board.training.network,)
    schemes = tuple(scheme) if scheme else board.schemes
    for name in networks:  # refused by the schema, with what is known, before any work
        load_board(
            config, [*(overrides or []), f"training.network={name}", f"schemes=[{', '.join(schemes)}]"]
        )

    from nmsim.comparison import Plan
    from nmsim.comparison import compare as run_all
    from nmsim.estimate import estimate_all, estimate_run
    from nmsim.report.comparison import figures, markdown
    from nmsim.store import fs

    plan = Plan(schemes, ratios, networks)
    needs = estimate_all(estimate_run(each, report=False) for each, _ in plan.runs(board))
    allow(needs, out, max_memory, max_disk, dry_run, as_json)
    with progress() as tell:
        table = run_all(board, plan, out, tell)
    text = markdown(table)
    fs.write_text(out / "comparison.csv", table.to_csv(index=False, lineterminator="\n"))
    fs.write_text(out / "comparison.md", text)
    for figure in figures(table):
        figure.save(out / "plots")
    if as_json:
        print_json(
            {"path": str(out), "rows": table.astype(object).where(table.notna(), None).to_dict("records")}
        )
        return
    typer.echo(text)
    typer.echo(f"results: {out / 'comparison.md'}")


def _ratios(text: str) -> tuple[float, ...]:
    try:
        ratios = tuple(float(part) for part in text.split(","))
    except ValueError:
        ratios = ()
    if not ratios or not all(0 < ratio <= 1 for ratio in ratios) or len(set(ratios)) < len(ratios):
        raise typer.BadParameter(
            "expected different shares above 0 and up to 1, such as 0.01,0.1", param_hint="--keep"
        )
    return ratios
