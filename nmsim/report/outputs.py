"""From a run's numbers to files that people look at: figures, their tables, and the report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from nmsim.report import frames, html, plots, verdict
from nmsim.report.accuracy import accuracy_energy
from nmsim.report.banks import banks
from nmsim.report.canvas import Plot
from nmsim.report.outcomes import row_outcomes
from nmsim.report.run import LAYERS, Run, load_run
from nmsim.report.selection_map import selection_map
from nmsim.report.tornado import tornado
from nmsim.store import fs

REPORT = "report.html"


def write_outputs(run_dir: Path | str, manifest: Mapping[str, Any] | None = None) -> list[Path]:
    """Draw a run's figures (`plots/*`, see `Plot.save`) and write its `report.html`; return their paths.

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
    sums = _sums(run)
    drawn = run_figures(run, sums)
    written = [path for figure in drawn for path in figure.save(run.path / "plots")]
    page = html.render(run, drawn, None if sums is None else frames.energy_by_component(sums))
    fs.write_text(run.path / REPORT, page)
    return [*written, run.path / REPORT]


def run_figures(run: Run, sums: pd.DataFrame | None) -> list[Plot]:
    """Return all figures of a run that it has numbers for, in the order to show them.

    Parameters
    ----------
    run : Run
        The run.
    sums : DataFrame or None
        `frames.trace_sums` of its trace; None where it kept none.
    """
    energy = run.energy if sums is None else frames.energy_by_component(sums)
    by_layer = run.schemes if sums is None else frames.energy_by_layer(sums)
    main, selection = verdict.main_scheme(run.schemes["scheme"]), run.selection()
    figures = [
        plots.layers(by_layer[["scheme", *(f"{layer}_fJ" for layer in LAYERS)]]),
        None if run.schemes["accuracy_mean"].isna().all() else accuracy_energy(run),
        plots.energy_breakdown(energy),
        plots.energy_phases(energy),
        plots.phases(run.phases),
        None if main is None else tornado(run, main),
        None if selection is None else selection_map(selection),
        row_outcomes(run.schemes),
        None if sums is None else banks(sums),
    ]
    return [figure for figure in figures if figure is not None]


def _sums(run: Run) -> pd.DataFrame | None:
    return _in_order(frames.trace_sums(run.path), list(run.schemes["scheme"])) if run.trace_files else None


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
    energy = frames.energy_by_component(sums)
    figures = [
        plots.energy_breakdown(energy),
        plots.energy_phases(energy),
        plots.layers(frames.energy_by_layer(sums)),
        banks(sums),
    ]
    return [path for figure in figures if figure is not None for path in figure.save(Path(out_dir))]


def _in_order(sums: pd.DataFrame, first: list[str]) -> pd.DataFrame:
    """Return the sums with these schemes first, in this order: figures take order and colour from it."""
    rank = {scheme: number for number, scheme in enumerate(first)}
    order = sums["scheme"].map(lambda scheme: rank.get(scheme, len(rank))).astype(int)
    return sums.iloc[order.argsort(kind="stable")].reset_index(drop=True)
