"""What a command needs of this machine: shown by --dry-run, and refused above the limits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmsim.cli.output import print_json, print_table

if TYPE_CHECKING:
    from nmsim.machine import Estimate

MaxMemory = Annotated[
    str | None,
    typer.Option("--max-memory", metavar='"4 GB"', help="Refuse what needs more; half of the memory here."),
]
MaxDisk = Annotated[
    str | None,
    typer.Option("--max-disk", metavar='"1 GB"', help="Refuse what writes more; what is free."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what it would need, and end.")]


def allow(
    estimate: Estimate, out: Path, max_memory: str | None, max_disk: str | None, dry: bool, as_json: bool
) -> None:
    """Refuse what needs more than the limits; of a dry run print the estimate, and end.

    Raises
    ------
    ResourceLimitError
        With the estimate and what to do; after printing, of a dry run.
    typer.Exit
        At the end of a dry run.
    """
    from nmsim.machine import free_disk, memory_limit, refuse

    memory = _size(max_memory, "--max-memory")
    disk = _size(max_disk, "--max-disk")
    memory = memory_limit() if memory is None else memory
    disk = free_disk(out) if disk is None else disk
    if dry:
        _print(estimate, memory, disk, as_json)
    refuse(estimate, memory, disk)
    if dry:
        raise typer.Exit


def _size(text: str | None, option: str) -> int | None:
    from nmsim.units import parse_quantity

    if text is None:
        return None
    try:
        size = round(parse_quantity(text, "size"))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None
    if size <= 0:
        raise typer.BadParameter("expected more than nothing", param_hint=option)
    return size


def _print(estimate: Estimate, memory: int, disk: int, as_json: bool) -> None:
    from nmsim.units import format_bytes, format_si

    if as_json:
        limits = {"max_memory_bytes": memory, "max_disk_bytes": disk}
        fits = estimate.memory_bytes <= memory and estimate.disk_bytes <= disk
        print_json({**estimate.to_dict(), **limits, "fits": fits})
        return
    rows = [
        (name if first else "", need.what, format_bytes(need.n_bytes))
        for name, needs in (("memory", estimate.memory), ("disk", estimate.disk))
        for first, need in ((need is needs[0], need) for need in needs)
    ]
    print_table(["", "what", "about"], rows, text=2)
    typer.echo(
        f"memory: about {format_bytes(estimate.memory_bytes)} of {format_bytes(memory)}; "
        f"disk: about {format_bytes(estimate.disk_bytes)} of {format_bytes(disk)}; "
        f"time: some {format_si(estimate.time_s, 's', 1)}"
    )
