"""`nmsim config`: what a configuration comes to, what is wrong with it, and what it may hold."""

from __future__ import annotations

import typer

from nmsim.cli.board import load_board
from nmsim.cli.output import ConfigFile, Json, Overrides, print_json
from nmsim.errors import ConfigError

app = typer.Typer(help="Show and check configurations.", no_args_is_help=True)


@app.command()
def show(config: ConfigFile, overrides: Overrides = None, as_json: Json = False) -> None:
    """Print the resolved configuration: `extends` and --set applied, defaults filled in."""
    from nmsim.config import dump_config, load_config

    checked = load_config(config, overrides or ())
    if as_json:
        print_json(checked.model_dump(mode="json", exclude_none=True))
    else:
        typer.echo(dump_config(checked), nl=False)


@app.command()
def check(config: ConfigFile, overrides: Overrides = None, as_json: Json = False) -> None:
    """Print every problem of a configuration, one a line; the exit code is 2 where there is one."""
    from nmsim.config import config_hash

    problems: list[ConfigError] = []
    digest = None
    try:
        digest = config_hash(load_board(config, overrides))
    except ConfigError as error:
        problems = [error, *getattr(error, "others", ())]
    if as_json:
        print_json(
            {"file": str(config), "ok": not problems, "hash": digest, "problems": [str(p) for p in problems]}
        )
    elif not problems:
        typer.echo(f"{config}: ok (hash {(digest or '')[:8]})")
    else:
        for problem in problems:
            typer.echo(f"nmsim: error: {problem}", err=True)
    if problems:
        raise typer.Exit(ConfigError.exit_code)


@app.command()
def schema() -> None:
    """Print the JSON schema of configurations, for editors and other programs."""
    from nmsim.config import RunConfig

    schema = RunConfig.model_json_schema()
    print_json({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
