"""`nmsim data`: which data sets there are, get one, check one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nmsim.cli.output import Json, print_json, print_table, progress

if TYPE_CHECKING:
    from nmsim.data import Dataset

app = typer.Typer(help="List, fetch and check data sets.", no_args_is_help=True)


def open_named(data: str, seed: int) -> Dataset:
    """Return the data set at a path or, where there is no such path, of a name."""
    from pathlib import Path

    from nmsim.data import open_dataset

    if Path(data).exists() or "/" in data:
        return open_dataset(None, Path(data), seed=seed)
    return open_dataset(data, None, seed=seed)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Print the data sets that nmsim knows by name, and which of them are here."""
    from nmsim.data import list_datasets

    rows = list_datasets()
    if as_json:
        print_json(rows)
        return
    columns = ["name", "here", "licence", "path"]
    print_table(
        columns,
        [(r["name"], "yes" if r["present"] else "no", r["licence"], r["path"] or "") for r in rows],
        4,
    )


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
    import numpy as np

    dataset = open_named(data, seed=1)
    facts = {
        "name": dataset.name,
        "train_images": len(dataset.y_train),
        "test_images": len(dataset.y_test),
        "shape": list(dataset.X_train.shape[1:]),
        "classes": len(dataset.class_names),
        "smallest_class": int(np.bincount(dataset.y_train).min()),
        "sha256": dataset.sha256,
    }
    if as_json:
        print_json(facts)
    else:
        print_table(["", ""], [(name.replace("_", " "), text) for name, text in facts.items()], text=2)
