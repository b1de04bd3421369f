"""`nmsim run`: a whole run, from a configuration to a report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmsim.cli.board import load_board
from nmsim.cli.limits import DryRun, MaxDisk, MaxMemory, allow
from nmsim.cli.output import Json, Overrides, note, print_json, print_table, progress

if TYPE_CHECKING:
    from nmsim.config import RunConfig


_RUNS = Path("runs")


def run(
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG", help="A board: its file, or a name such as lpddr4.")
    ] = None,
    overrides: Overrides = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder that run folders are put in.")
    ] = _RUNS,
    seed: Annotated[
        int | None, typer.Option("--seed", help="The run's seed; the same as --set seed=N.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="The run's name; the same as --set name=…")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="RUN", help="Finish an interrupted run, by its folder.")
    ] = None,
    max_memory: MaxMemory = None,
    max_disk: MaxDisk = None,
    dry_run: DryRun = False,
    report: Annotated[bool, typer.Option("--report/--no-report", help="Draw figures and a report.")] = True,
    as_json: Json = False,
) -> None:
    """Select, train, simulate the board, and write a report.

    The run goes to DIR/<name>-<hash8>/: report.html, summary.json, energy.csv, the trace, the indices.
    """
    from nmsim.config import folder_name

    options = list(overrides or [])
    options += [] if seed is None else [f"seed={seed}"]
    options += [] if name is None else [f"name={json.dumps(name)}"]
    if resume is not None:
        if config is not None or options or out != _RUNS:
            raise typer.BadParameter(
                "a run is resumed as it was begun: leave all else out but --report", param_hint="--resume"
            )
        checked, out = _begun(resume), resume.absolute().parent
    elif config is None:
        raise typer.BadParameter("name a board, or an interrupted run with --resume", param_hint="CONFIG")
    else:
        checked = load_board(config, options)

    from nmsim.report.run import load_run
    from nmsim.simulation import simulate
    from nmsim.store.manifest import is_complete

    there = out / folder_name(checked)
    finished = is_complete(there)
    if resume is not None and finished:
        note(f"this run is finished already: {there}")
        done, report = load_run(there), (there / "report.html").exists()
    else:
        from nmsim.estimate import estimate_run

        allow(estimate_run(checked, report), out, max_memory, max_disk, dry_run, as_json)
        if finished:
            note(f"this run exists already and will be replaced: {there}")
        with progress() as tell:
            done = simulate(checked, out=out, progress=tell, report=report, resume=resume is not None)
    if as_json:
        print_json({"path": str(done.path), **done.summary})
        return
    print_schemes(done.summary["schemes"])
    typer.echo(f"report: {done.path / 'report.html'}" if report else f"run: {done.path}")


def _begun(folder: Path) -> RunConfig:
    """Return the configuration that a run was begun with.

    Raises
    ------
    StoreError
        Where there is no run, or its configuration has been changed.
    """
    from nmsim.config import folder_name
    from nmsim.errors import StoreError
    from nmsim.store.manifest import COMPLETE, INTERRUPTED, RESOLVED_CONFIG, config_hash, read_manifest

    begun = read_manifest(folder, (COMPLETE, INTERRUPTED)).get("config_sha256")
    file = folder / RESOLVED_CONFIG
    config = load_board(file)
    expected, found = folder.absolute().name, folder_name(config)
    if found == expected:  # the folder can be given another name
        expected, found = str(begun)[:16], config_hash(config.model_dump(mode="json"))[:16]
    if found != expected:
        hint = "A changed configuration is another run: nmsim run CONFIG."
        raise StoreError(
            "this is not the configuration that the run was begun with",
            file=file, found=found, expected=expected, hint=hint,
        )  # fmt: skip
    return config


def print_schemes(schemes: dict[str, dict[str, Any]]) -> None:
    """Print what each scheme came to, and in brackets its energies as shares of those of `full`."""
    from nmsim.energy.layers import LAYERS
    from nmsim.schemes import FULL
    from nmsim.units import format_bytes, format_energy, format_time

    rows = []
    for name, scheme in schemes.items():
        ratios = scheme["ratio_to_full"] or {}
        energies = []
        for key in LAYERS:
            ratio = "" if ratios.get(key) is None or name == FULL else f" ({ratios[key]:.3g}×)"
            energies.append(format_energy(scheme[f"{key}_fJ"]) + ratio)
        accuracy = "–"
        if scheme["accuracy_mean"] is not None:
            accuracy = f"{scheme['accuracy_mean']:.2%}"
            accuracy += f" ± {scheme['accuracy_sd']:.2%}" if scheme["seeds"] > 1 else ""
        time, pcb = format_time(scheme["time_ps"]), format_bytes(scheme["pcb_bytes"])
        rows.append((name, f"{scheme['kept']:,}", scheme["epochs"], accuracy, *energies, time, pcb))
    print_table(["scheme", "images", "epochs", "accuracy", *LAYERS.values(), "time", "over the PCB"], rows)
