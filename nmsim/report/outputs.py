"""From a run's numbers to files that people look at: figures, their tables, and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from nmsim.energy.layers import LAYERS
from nmsim.errors import TraceFormatError
from nmsim.report import frames, html, plots, verdict
from nmsim.report.accuracy import accuracy_energy
from nmsim.report.banks import banks
from nmsim.report.canvas import Plot
from nmsim.report.outcomes import row_outcomes
from nmsim.report.roofline import roofline
from nmsim.report.run import Run, load_run
from nmsim.report.run_comparison import load_runs, render_runs
from nmsim.report.selection_map import selection_map
from nmsim.report.timeline import timeline
from nmsim.report.tornado import tornado
from nmsim.schemes import FULL
from nmsim.store import fs
from nmsim.store.manifest import MANIFEST

REPORT = "report.html"
#: Where a comparison of runs goes unless it is said where.
COMPARISON = "comparison.html"


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
    page, figures = _page(run)
    written = [path for figure in figures for path in figure.save(run.path / "plots")]
    fs.write_text(run.path / REPORT, page)
    return [*written, run.path / REPORT]


def _page(run: Run) -> tuple[str, list[Plot]]:
    """Return a run's report, and the figures in it."""
    sums = _sums(run)
    figures = run_figures(run, sums)
    return html.render(run, figures, None if sums is None else frames.energy_by_component(sums)), figures


def write_report(folders: Sequence[Path], out: Path | None = None) -> Path:
    """Write the report of finished runs anew and return its path.

    Parameters
    ----------
    folders : sequence of Path
        Of one run: its figures and its `report.html` are made again. Of several: they are compared.
    out : Path, optional
        Where the page goes instead; a run's folder is then left as it is.

    Raises
    ------
    DataError, StoreError, TraceFormatError
        Where something is no run, is damaged or cannot be compared, or the page cannot be written.
    """
    if out is not None:
        fs.check_output(out)
    if len(folders) == 1 and out is None:
        return write_outputs(folders[0])[-1]
    if len(folders) == 1:
        text = _page(load_run(folders[0]))[0]
    else:
        text = render_runs(load_runs(folders))
    path = Path(COMPARISON) if out is None else out
    fs.write_text(path, text)
    return path


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
        roofline(run),
        row_outcomes(run.schemes),
        None if sums is None else banks(sums),
        None if sums is None else timeline(sums, run.path),
    ]
    return [figure for figure in figures if figure is not None]


def _sums(run: Run) -> pd.DataFrame | None:
    """Return the sums of a run's trace, held to its energy table; None where the run kept no trace.

    Raises
    ------
    TraceFormatError
        Where the trace is missing, damaged, or not that of this run.
    """
    if not run.trace_files and run.summary.get("trace", {}).get("level", "off") == "off":
        return None
    sums = frames.trace_sums(run.path)
    keys = ["scheme", "phase", "component"]
    of_trace = frames.energy_by_component(sums).groupby(keys)["energy_fJ"].sum()
    of_table = run.energy.groupby(keys)["energy_fJ"].sum()
    places = of_trace.index.union(of_table.index)
    wrong = of_trace.reindex(places, fill_value=0) != of_table.reindex(places, fill_value=0)
    if wrong.any():
        place = places[wrong.to_numpy()][0]
        raise TraceFormatError(
            f"the trace does not sum to the energy table: {', '.join(place)}",
            file=run.path,
            found=f"{int(of_trace.get(place, 0))} fJ",
            expected=f"{int(of_table.get(place, 0))} fJ",
            hint="Run it again.",
        )
    return _in_order(sums, list(run.schemes["scheme"]))


def draw(source: Path, out_dir: Path) -> list[tuple[Plot, list[Path]]]:
    """Draw all figures of a run, or those that a trace alone gives; return each with its files.

    Parameters
    ----------
    source : Path
        A run's folder, a folder of trace parts, or one Parquet file.
    out_dir : Path
        Where the figures go; made if need be.

    Raises
    ------
    DataError, StoreError, TraceFormatError
        Where there is neither run nor trace, it is damaged, or the figures cannot be written.
    """
    if (source / MANIFEST).is_file():
        run = load_run(source)
        figures = run_figures(run, _sums(run))
    else:
        figures = _trace_figures(source)
    return [(figure, figure.save(out_dir)) for figure in figures]


def _trace_figures(trace: Path) -> list[Plot]:
    # Boards are simulated in an order of their own; `full` is what the others are compared with.
    sums = _in_order(frames.trace_sums(trace), [FULL])
    energy = frames.energy_by_component(sums)
    figures = [
        plots.energy_breakdown(energy),
        plots.energy_phases(energy),
        plots.layers(frames.energy_by_layer(sums)),
        banks(sums),
        timeline(sums, trace),
    ]
    return [figure for figure in figures if figure is not None]


def _in_order(sums: pd.DataFrame, first: list[str]) -> pd.DataFrame:
    """Return the sums with these schemes first, in this order: figures take order and colour from it."""
    rank = {scheme: number for number, scheme in enumerate(first)}
    order = sums["scheme"].map(lambda scheme: rank.get(scheme, len(rank))).astype(int)
    return sums.iloc[order.argsort(kind="stable")].reset_index(drop=True)
