"""From a run's numbers to files that people look at: figures, their tables, and the report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from nmsim.report import frames, html, plots, verdict
from nmsim.report.canvas import Plot
from nmsim.report.run import LAYERS, Run, load_run
from nmsim.report.tornado import tornado
from nmsim.store import fs

REPORT = "report.html"


def write_outputs(run_dir: Path | str, manifest: Mapping[str, Any] | None = None) -> list[Path]:
    """Draw a run's figures (`plots/*.png`, `plots/*.csv`) and write its `report.html`; return their paths.

    Parameters
    ----------
    run_dir : Path or str
        The run's folder; everything but these outputs stands there already.
    manifest : mapping, optional
        The manifest of a run that has none on disk yet.

    Raises
    ------
    DataError, StoreError, TraceFormatError
        Where the run is missing or damaged, or the folder cannot be written.
    """
    run = load_run(run_dir, manifest)
    sums = None
    if run.trace_files:
        sums = _in_order(frames.trace_sums(run.path), list(run.schemes["scheme"]))
    energy = run.energy if sums is None else frames.energy_by_component(sums)
    by_layer = run.schemes if sums is None else frames.energy_by_layer(sums)
    figures: list[Plot | None] = [
        plots.layers(by_layer[["scheme", *(f"{layer}_fJ" for layer in LAYERS)]]),
        plots.accuracy_energy(run.schemes),
        plots.energy_breakdown(energy),
        plots.phases(run.phases),
    ]
    main = verdict.main_scheme(run.schemes.set_index("scheme"))
    if main is not None:
        figures.append(tornado(run, main))
    selection = run.selection()
    if selection is not None:
        figures.append(plots.selection_map(selection))
    spread = None if sums is None else frames.bank_spread(sums)
    if sums is not None:
        figures.append(plots.banks(sums))
    drawn = [figure for figure in figures if figure is not None]
    written = [path for figure in drawn for path in figure.save(run.path / "plots")]
    page = html.render(run, drawn, None if sums is None else energy, selection, spread)
    fs.write_text(run.path / REPORT, page)
    return [*written, run.path / REPORT]


def plot_trace(source: Run | Path | str, out_dir: Path | str) -> list[Path]:
    """Draw the energy breakdown, the three energies and the banks from a trace alone; return the files.

    Parameters
    ----------
    source : Run, Path or str
        A run, its folder, a folder of trace parts, or one Parquet file.
    out_dir : Path or str
        Where the figures go; made if need be.

    Raises
    ------
    TraceFormatError, StoreError
        Where there is no trace, it is damaged, or the figures cannot be written.
    """
    # Boards are simulated in an order of their own; `full` is what the others are compared with.
    sums = _in_order(frames.trace_sums(source.path if isinstance(source, Run) else source), ["full"])
    figures = [
        plots.energy_breakdown(frames.energy_by_component(sums)),
        plots.layers(frames.energy_by_layer(sums)),
        plots.banks(sums),
    ]
    return [path for figure in figures if figure is not None for path in figure.save(Path(out_dir))]


def _in_order(sums: pd.DataFrame, first: list[str]) -> pd.DataFrame:
    """Return the sums with these schemes first, in this order: figures take order and colour from it."""
    rank = {scheme: number for number, scheme in enumerate(first)}
    order = sums["scheme"].map(lambda scheme: rank.get(scheme, len(rank))).astype(int)
    return sums.iloc[order.argsort(kind="stable")].reset_index(drop=True)
