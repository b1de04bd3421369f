"""`nmsim select`: choose a training subset, without any hardware."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from nmsim.cli.limits import DryRun, MaxDisk, MaxMemory, allow
from nmsim.cli.output import Json, print_json, print_table, progress

#: Parameters of a method that the command line names otherwise.
_OWN_OPTIONS = {"keep_ratio": "--keep", "random_state": "--seed", "method": "--method"}


def _list_methods(wanted: bool) -> None:
    """Print every method with its places and parameters, and end."""
    if not wanted:
        return
    from inspect import Parameter, getdoc

    from nmsim.selection.api import method_parameters, method_places, methods, selector_class

    rows = []
    for name in methods():
        meaning = (getdoc(selector_class(name)) or "").partition("\n")[0]
        parameters = (
            key if default is Parameter.empty else f"{key}={default}"
            for key, default in method_parameters(name).items()
        )
        rows.append((name, ", ".join(method_places(name)), meaning, ", ".join(parameters)))
    print_table(["method", "runs at", "what it does", "parameters"], rows, text=4)
    raise typer.Exit


def select(
    data: Annotated[
        str, typer.Argument(metavar="DATA|NAME", help="A path to a data set, or the name of one.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.npy", help="File for the indices.")],
    method: Annotated[str, typer.Option("--method", help="Any of --list-methods.")] = "de-sne",
    keep: Annotated[
        float, typer.Option("--keep", help="Share of the images to keep, above 0 up to 1.")
    ] = 0.1,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the selection.")] = 1,
    parameters: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A parameter of the method; repeatable."),
    ] = None,
    list_methods: Annotated[
        bool,
        typer.Option("--list-methods", callback=_list_methods, is_eager=True, help="Print them, and end."),
    ] = False,
    max_memory: MaxMemory = None,
    max_disk: MaxDisk = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Write the indices of a representative subset of images.

    FILE.npy gets sorted, distinct int64 numbers of training images, as torch.utils.data.Subset takes them:
    rows of x_train, or images of a folder in the order of their classes' and then their files' names.
    """
    options = dict(_parameter(text) for text in parameters or ())
    if out.suffix != ".npy":
        raise typer.BadParameter("the file's name must end in .npy", param_hint="--out")
    from nmsim.store import fs

    # Better now than after the work. Missing folders are made once there is something to put into them.
    fs.ensure_writable(next((folder for folder in out.absolute().parents if folder.exists()), out.parent))
    fs.check_output(out, _files(data))

    import numpy as np

    from nmsim.cli.data import is_name
    from nmsim.data import open_dataset
    from nmsim.estimate import Images, estimate_selection
    from nmsim.selection.api import create, fit

    selector = create(method, keep, seed, **options)
    with progress() as tell:
        tell(f"reading {data}", None)
        # No network is tested here, so no image is put aside: the numbers are those of the file.
        named = is_name(data)
        dataset = open_dataset(data if named else None, None if named else Path(data), hold_out=False)
        needs = estimate_selection(Images.of(dataset), method, selector)
        allow(needs, out, max_memory, max_disk, dry_run, as_json)
        tell(f"{method}: choosing of {len(dataset.y_train):,} images", None)
        indices = fit(selector, dataset.X_train, dataset.y_train).indices_
    fs.write_npy(out, indices)
    per_class = np.bincount(dataset.y_train[indices], minlength=len(dataset.class_names))
    if as_json:
        facts: dict[str, Any] = {"file": str(out), "dataset": dataset.name, "dataset_sha256": dataset.sha256}
        facts |= {"method": method, "seed": seed, "images": len(dataset.y_train), "kept": len(indices)}
        print_json({**facts, "kept_per_class": per_class.tolist()})
    else:
        spread = f"{per_class.min()} to {per_class.max()} a class"
        typer.echo(f"{out}: {len(indices):,} of {len(dataset.y_train):,} images, {spread}")


def _files(data: str) -> Iterator[Path]:
    """Yield a path to a data set and, where it is a folder, the files below it that may be read.

    No data set has .npy files, so the indices themselves may stand there, and be replaced.
    """
    yield Path(data)
    if not os.path.isdir(data):
        return
    for depth in ("*", "*/*", "*/*/*"):  # train/CLASS/IMAGE is the deepest
        yield from (file for file in Path(data).glob(depth) if file.suffix != ".npy")


def _parameter(text: str) -> tuple[str, Any]:
    from nmsim.config.yaml_tree import parse_yaml
    from nmsim.errors import ConfigError

    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise ConfigError("a parameter is written name=value", file=f"--set {text}")
    if name in _OWN_OPTIONS:
        hint = f"Give {_OWN_OPTIONS[name]} instead."
        raise ConfigError(f"{name} has an option of its own", file=f"--set {text}", hint=hint)
    return name, parse_yaml(f"value: {value}", f"--set {text}")[0]["value"]
