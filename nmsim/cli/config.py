"""`nmsim config`: what a configuration comes to and rests on, what is wrong with it, what it may hold."""

from __future__ import annotations

import csv
import sys
from enum import Enum
from typing import Annotated

import typer

from nmsim.cli.board import load_board
from nmsim.cli.output import ConfigFile, Json, Overrides, note, print_json, print_table
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
        problems = [error, *error.others]
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


class Format(str, Enum):
    """How values are listed."""

    table = "table"
    csv = "csv"
    json = "json"


@app.command()
def sources(
    config: ConfigFile,
    overrides: Overrides = None,
    assumed: Annotated[bool, typer.Option("--assumed", help="Only the values that are assumed.")] = False,
    form: Annotated[Format, typer.Option("--format", help="How to print them.")] = Format.table,
    as_json: Json = False,
) -> None:
    """Print every physical value with its range, its source and the line that it stands in."""
    from nmsim.config.provenance import provenance

    values = provenance(load_board(config, overrides))
    listed = [value for value in values if value.assumed or not assumed]
    counts = f"{len(values)} values, {sum(v.assumed for v in values)} of them assumed"
    if as_json or form is Format.json:
        print_json([vars(value) for value in listed])
    elif form is Format.csv:
        writer = csv.DictWriter(sys.stdout, list(vars(values[0])), lineterminator="\n")
        writer.writeheader()
        writer.writerows(vars(value) for value in listed)
    else:
        columns = ["value", "", "range", "", "source", "where"]
        rows = (
            (
                v.path,
                f"{v.value:.6g} {v.unit}",
                f"{v.low:.6g} – {v.high:.6g}",
                "assumed" if v.assumed else "",
                v.source,
                f"{v.file}:{v.line}" if v.line else v.file,
            )
            for v in listed
        )
        print_table(columns, rows, text=len(columns))
        typer.echo(counts)
        return
    note(counts)


@app.command()
def schema() -> None:
    """Print the JSON schema of configurations, for editors and other programs."""
    from nmsim.config import RunConfig

    schema = RunConfig.model_json_schema()
    print_json({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
