"""`nmsim sweep`: a board with other values, point by point."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmsim.cli.limits import DryRun, MaxDisk, MaxMemory, allow
from nmsim.cli.output import Json, Overrides, note, print_json, progress


def sweep(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="What is varied: a YAML file.")],
    overrides: Overrides = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where points, table and plots go.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, help="Processes; all cores unless given.")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option("--scheduler", metavar="tcp://HOST:PORT", help="A dask cluster to use instead."),
    ] = None,
    tls_ca: Annotated[Path | None, typer.Option("--tls-ca", help="The cluster's CA, for tls://….")] = None,
    tls_cert: Annotated[Path | None, typer.Option("--tls-cert", help="Certificate for it.")] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", help="Its key.")] = None,
    max_points: Annotated[
        int, typer.Option("--max-points", min=1, help="Refuse a sweep of more points.")
    ] = 2000,
    share: Annotated[
        bool, typer.Option("--share/--no-share", help="Do work that points have in common once.")
    ] = True,
    max_memory: MaxMemory = None,
    max_disk: MaxDisk = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Vary the values of a board: a grid, random points, a search.

    Points that stand in DIR already are not run again: to go on with a sweep that was interrupted, repeat it.
    """
    from nmsim.estimate import estimate_all, estimate_run
    from nmsim.store.lock import sole
    from nmsim.sweep.cluster import TLS, cores, engine_of
    from nmsim.sweep.run import Runner, measured_s, planned
    from nmsim.sweep.search import largest, search
    from nmsim.sweep.spec_file import read_spec

    if any((tls_ca, tls_cert, tls_key)) and not (scheduler or "").startswith("tls://"):
        raise typer.BadParameter("these go with --scheduler tls://HOST:PORT", param_hint="--tls-…")
    asked = read_spec(spec)
    folder = out or Path("runs") / asked.name
    asked.check_size(max_points, measured_s(folder))
    given = overrides or ()
    points = planned(asked, given) if asked.search is None else [largest(asked, given)] * asked.points
    at_once = 1 if scheduler else min(jobs or cores(), len(points))
    needs = [estimate_run(p.config, report=False, trace=False) for p in points if p.config is not None]
    if needs:
        allow(estimate_all(needs, at_once), folder, max_memory, max_disk, dry_run, as_json)
    engine = engine_of(jobs, scheduler, TLS(tls_ca, tls_cert, tls_key))
    with progress() as tell, Runner(folder, engine, tell, note, share) as runner, sole(folder):
        try:
            if asked.search is None:
                runner.run(points, asked.points)
            else:
                search(asked, runner, given)
        finally:
            results = runner.write(asked)
    done = runner.sweep
    if as_json:
        rows = done.table().astype(object)
        print_json({"path": str(folder), "rows": rows.where(rows.notna(), None).to_dict("records")})
    else:
        for name, path in zip(("table", "page"), results or (), strict=False):
            typer.echo(f"{name}: {path}")
    if done.errors:
        first, reason = next(iter(done.errors.items()))
        note(f"error: {len(done.errors)} of {len(done.points)} points failed; {first}: {reason}")
        raise typer.Exit(1)
