"""`nmsim data`: which data sets there are, get one, check one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmsim.cli.output import Json, print_json, print_table, progress

app = typer.Typer(help="List, fetch and check data sets.", no_args_is_help=True)


def is_name(data: str) -> bool:
    """Say whether `data` is meant as the name of a data set: it is no path that exists or looks like one."""
    return not Path(data).exists() and Path(data).name == data and not Path(data).suffix


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Print the data sets that nmsim knows by name, and which of them are here."""
    from nmsim.data import list_datasets

    rows = list_datasets()
    if as_json:
        print_json(rows)
        return
    texts = [
        (row["name"], "yes" if row["present"] else "no", row["path"] or "", row["licence"], f"{row['n']:,}")
        for row in rows
    ]
    print_table(["name", "here", "folder", "licence", "images"], texts, text=4)


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="cifar10, cifar100, fashion-mnist or mnist.")],
    as_json: Json = False,
) -> None:
    """Download a data set from its official address into the cache, and check it."""
    from nmsim.data.fetch import fetch as download

    with progress() as tell:
        folder = download(name, progress=lambda file, done, size: tell(f"fetching {file}", done / size))
    if as_json:
        print_json({"name": name, "path": str(folder)})
    else:
        typer.echo(folder)


@app.command()
def check(
    data: Annotated[
        str, typer.Argument(metavar="DATA|NAME", help="A path to a data set, or the name of one.")
    ],
    as_json: Json = False,
) -> None:
    """Read a data set whole and print what it holds; the exit code is 2 where it cannot be used."""
    from nmsim.data import check as read_whole
    from nmsim.data.catalog import find_entry

    if is_name(data):
        find_entry(data)  # says which names there are
    facts = read_whole(data if is_name(data) else Path(data))
    if as_json:
        print_json(facts)
        return
    shape = " × ".join(map(str, facts["shape"]))
    print_table(
        ["", ""],
        [
            ("name", facts["name"]),
            (
                "images",
                f"{facts['n_train']:,} for training, {facts['n_test']:,} for testing ({facts['split']})",
            ),
            ("an image", f"{shape}, {facts['image_bytes']:,} bytes"),
            ("classes", facts["classes"]),
            ("sha256", facts["sha256"]),
        ],
        text=2,
    )
    classes = facts["train_per_class"]
    rows = [(name, f"{n:,}", f"{facts['test_per_class'][name]:,}") for name, n in classes.items()]
    print_table(["class", "training", "testing"], rows)
