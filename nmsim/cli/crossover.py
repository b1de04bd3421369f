"""`nmsim crossover`: all-pairs distances near memory against the host."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmsim.cli.board import load_board
from nmsim.cli.output import ConfigFile, Json, Overrides, note, print_json, print_table, progress

if TYPE_CHECKING:
    import pandas as pd

    from nmsim.system.distance_formula import Formula, Problem


def crossover(
    config: ConfigFile,
    overrides: Overrides = None,
    records: Annotated[int, typer.Option("--records", min=2, max=100_000, help="Of a class: n.")] = 1000,
    values: Annotated[int, typer.Option("--values", min=1, max=66_051, help="Of a record: D.")] = 768,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write the figure (PNG, SVG) and its numbers.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say from which buffer on distances cost less near memory.

    Energy and time of all distances within classes near memory and on the host, a class in each channel, over
    the queries in a unit's buffer, the records and their values: simulated, and by the closed form.
    """
    board = load_board(config, overrides)

    from nmsim.store import manifest
    from nmsim.system.crossover import Sweep, sweep
    from nmsim.system.distance_formula import Formula, Problem
    from nmsim.system.parts import dram_spec

    started = manifest.now()
    spec = dram_spec(board.memory)
    formula = Formula(board, spec)
    neighbours = min(int(3 * board.selection.de_sne.perplexity), records - 1)
    problem = Problem(records, values, neighbours)
    with progress() as tell:
        points = sweep(board, Sweep(problem), tell)
    layers = {"total_J": "total_fJ", "ddr_J": "ddr_fJ", "time_s": "time_ps"}
    crossings = {name: formula.crossing(problem, layer) for name, layer in layers.items()}
    sentence = _sentence(formula, problem, crossings, points)
    if out is not None:
        _write(
            out, board, points, f"{board.name}: {records:,} records of {values:,} values", crossings, started
        )
    if as_json:
        rows = points.astype(object).where(points.notna(), None).to_dict("records")
        print_json({"verdict": sentence, "crossings": crossings, "points": rows})
        return
    names = ["ddr_J", "total_J", "time_s"]
    print_table(
        [
            "over",
            "place",
            "n",
            "D",
            "q",
            *(f"{n}, {kind}" for n in names for kind in ("formula", "simulated")),
        ],
        [
            [row["over"], row["place"], row["records"], row["values"], row["queries"]]
            + [_number(row[f"{kind}_{n}"]) for n in names for kind in ("formula", "simulated")]
            for row in points.to_dict("records")
        ],
        text=2,
    )
    typer.echo(sentence)


def _number(value: float) -> str:
    return "–" if value != value else f"{value:.3g}"


def _sentence(
    formula: Formula, problem: Problem, crossings: dict[str, int | None], points: pd.DataFrame
) -> str:
    """Return from which q on near memory wins, in three respects, and what the configured buffer holds."""
    what = {"total_J": "the whole board", "ddr_J": "DRAM and link", "time_s": "time"}
    found = [
        f"in {what[name]} {'at no q' if q is None else 'at every q' if q == 1 else f'from q = {q:,} on'}"
        for name, q in crossings.items()
    ]
    near, host = formula.near_queries(problem), formula.host_queries(problem)
    both = points.dropna()
    gaps = {
        kind: max(abs(both[f"formula_{kind}"] / both[f"simulated_{kind}"] - 1))
        for kind in ("total_J", "time_s")
    }
    size = f"{problem.records:,} records of {problem.values:,} values"
    return (
        f"For {size} a class, near memory costs no more than the host {'; '.join(found)}. "
        f"A unit's buffer holds q = {near:,}, the host's SRAM {host:,}. "
        f"Formula and simulation differ by up to {gaps['total_J']:.0%} in energy "
        f"and {gaps['time_s']:.0%} in time."
    )


def _write(
    out: Path, board: Any, points: pd.DataFrame, title: str, crossings: dict[str, int | None], started: Any
) -> None:
    from nmsim.report.crossover import crossover as draw
    from nmsim.store import fs, manifest

    folder = fs.ensure_writable(out)
    draw(points, title, crossings).save(folder)
    provenance = manifest.build_manifest(
        config=board.model_dump(mode="json"), seeds=[], dataset_sha256="", threads=1, started=started
    )
    del provenance["dataset_sha256"]
    fs.write_json(folder / "crossover.json", {"provenance": provenance, "crossings": crossings})
    note(f"written: {folder / 'crossover.png'}, crossover.svg, crossover.csv, crossover.json")
