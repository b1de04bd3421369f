"""`nmsim boards`: what comes with nmsim, and where it is."""

from __future__ import annotations

import typer

from nmsim.cli.output import Json, print_json, print_table


def boards(as_json: Json = False) -> None:
    """List the boards and sweeps that come with nmsim.

    A name stands for its file wherever one is asked for, and behind `extends:`.
    """
    from nmsim import shipped

    kinds = {"board": list(shipped.boards()), "sweep": list(shipped.sweeps())}
    traces = shipped.folder("traces")
    if as_json:
        listed = {
            f"{k}s": [{**vars(one), "path": str(one.path)} for one in all_] for k, all_ in kinds.items()
        }
        print_json({**listed, "traces": [str(path) for path in sorted(traces.iterdir())]})
        return
    rows = [(one.name, kind, one.about) for kind, all_ in kinds.items() for one in all_]
    print_table(["name", "", "what it is"], rows, text=3)
    typer.echo(f"boards, sweeps: {shipped.folder('hw_configs')}\nsample traces: {traces}")
