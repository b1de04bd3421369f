"""Several runs beside each other: what they came to, and in what their configurations differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nmsim.config.yaml_tree import read_yaml
from nmsim.energy.layers import LAYERS
from nmsim.errors import DataError, StoreError
from nmsim.report import verdict
from nmsim.report.accuracy import (
    RESULT,
    draw_front,
    draw_results,
    name_axes,
    name_schemes,
    unbeaten,
    with_bands,
)
from nmsim.report.axes import format_ratio, logarithmic, name_rows
from nmsim.report.canvas import FAINT, INK, Plot, drawing, hovered, new_figure, scheme_style
from nmsim.report.html import page
from nmsim.report.plots import energy_breakdown
from nmsim.report.run import Run, load_run
from nmsim.report.tables import NONE, Cell, Table, accuracy, band_of, number
from nmsim.schemes import FULL
from nmsim.store.manifest import RESOLVED_CONFIG
from nmsim.units import format_energy, format_time

#: Runs whose own figures are shown beside each other; more would make a page that nobody loads.
SIDE_BY_SIDE = 8


def load_runs(folders: Sequence[Path]) -> dict[str, Run]:
    """Return several runs by names that tell them apart, in the order given.

    Raises
    ------
    DataError
        Where a run is named twice, or another version of nmsim wrote it: energies of two versions differ for
        reasons that no configuration shows.
    StoreError
        Where a folder is no run, or is damaged.
    """
    runs: list[Run] = []
    for folder in folders:
        run = load_run(folder)
        if any(other.path.resolve() == run.path.resolve() for other in runs):
            raise DataError("this run is named twice", file=folder)
        version, first = (r.manifest.get("nmsim_version") for r in (run, runs[0] if runs else run))
        if version != first:
            raise DataError(
                "this run is of another version than the first and cannot be compared with it",
                file=folder,
                found=version,
                expected=first,
                hint="Run one of them again, or write a report of each.",
            )
        runs.append(run)
    plain = [str(run.summary.get("name", run.path.name)) for run in runs]
    hashed = [f"{name}-{str(run.summary.get('hash', ''))[:8]}" for name, run in zip(plain, runs, strict=True)]
    for names in (plain, hashed, [str(run.path) for run in runs]):
        if len(set(names)) == len(runs):
            break
    return dict(zip(names, runs, strict=True))


def render_runs(runs: Mapping[str, Run]) -> str:
    """Return a report that compares runs as HTML; see `load_runs`."""
    schemes = list(dict.fromkeys(s for run in runs.values() for s in run.schemes["scheme"]))
    table = all_schemes(runs)
    shown = list(runs.items())[:SIDE_BY_SIDE]
    beside = [
        (name, replace(energy_breakdown(run.energy), name=f"energy_breakdown-{index}"))
        for index, (name, run) in enumerate(shown)
    ]
    return page(
        "runs.html.j2",
        title=f"nmsim: {len(runs)} runs compared",
        headline=headline(runs),
        cautions=cautions(runs),
        table=schemes_table(runs),
        plots=[*accuracy_of_runs(table, schemes), *ratios(runs, schemes)],
        beside=beside,
        left_out=len(runs) - len(shown),
        differences=differences(runs),
        folders=[(name, str(run.path)) for name, run in runs.items()],
    )


def all_schemes(runs: Mapping[str, Run]) -> pd.DataFrame:
    """Return the rows of `Run.schemes` of all runs with their bands, the run's name in the first column."""
    return pd.concat(
        [with_bands(run).assign(run=name).set_index("run").reset_index() for name, run in runs.items()],
        ignore_index=True,
    )


def headline(runs: Mapping[str, Run]) -> str:
    """Return what the selection that all runs have in common takes of `full` in each."""
    common = set.intersection(*(set(run.schemes["scheme"]) for run in runs.values()))
    scheme = verdict.main_scheme([s for s in next(iter(runs.values())).schemes["scheme"] if s in common])
    if scheme is None or FULL not in common:
        return "These runs have no selection in common that each compares with training on everything."
    parts = []
    for layer, title in LAYERS.items():
        of_run = {
            name: run.schemes.set_index("scheme").loc[scheme, f"ratio_{layer}"] for name, run in runs.items()
        }
        ends = min(of_run, key=of_run.__getitem__), max(of_run, key=of_run.__getitem__)
        low, high = (f"{format_ratio(of_run[name])} ({name})" for name in ends)
        parts.append(f"{title} from {low} to {high}" if ends[0] != ends[1] else f"{title} {low} in all")
    return f"What {scheme} takes of the energy of training on everything: {'; '.join(parts)}."


def cautions(runs: Mapping[str, Run]) -> list[str]:
    """Return why some of the runs' numbers are not to be compared, where there is a reason."""
    said = []
    several = list(runs.values())
    if len({run.summary.get("dataset", {}).get("sha256") for run in several}) > 1:
        said.append("The runs have different data sets: their accuracies say nothing about each other.")
    if len({run.manifest.get("git_revision") for run in several}) > 1:
        said.append("The runs come from different revisions of nmsim.")
    return said


def schemes_table(runs: Mapping[str, Run]) -> Table:
    """Return what each scheme of each run reached and took, with bands."""
    head = ["run", "scheme", "images kept", "accuracy", *(f"{title} energy" for title in LAYERS.values())]
    head += ["system energy to full", "break-even (system, epochs)", "time"]
    rows = []
    for name, run in runs.items():
        for _, row in run.schemes.iterrows():
            scheme, ratio = row["scheme"], row["ratio_system_energy"]
            cells = [Cell(name), Cell(scheme), number(row["kept"], "{:,.0f}".format), accuracy(row)]
            for layer in LAYERS:
                band = band_of(run, scheme, f"{layer}_fJ", format_energy)
                cells.append(number(row[f"{layer}_fJ"], format_energy, band))
            if scheme == FULL or pd.isna(ratio):
                cells += [Cell(NONE), Cell(NONE)]
            else:
                band = band_of(run, scheme, "ratio_system_energy", format_ratio)
                epochs = row["break_even_system_energy_epochs"]
                often = band_of(run, scheme, "break_even_system_energy_epochs", "{:.1f}".format)
                cells.append(number(ratio, format_ratio, band))
                cells.append(
                    Cell("never", often) if pd.isna(epochs) else number(epochs, "{:.1f}".format, often)
                )
            cells.append(number(row["time_ps"], format_time, band_of(run, scheme, "time_ps", format_time)))
            rows.append(cells)
    return Table("Every scheme of every run", head, rows, texts=2)


def accuracy_of_runs(table: pd.DataFrame, schemes: Sequence[str]) -> list[Plot]:
    """Return accuracy against system energy, a mark for each scheme, numbered by its run; up left is better.

    Nothing where no run has trained.

    Parameters
    ----------
    table : DataFrame
        `all_schemes`.
    schemes : sequence of str
        All schemes, in the order that gives them their colours.
    """
    runs = list(dict.fromkeys(table["run"]))
    data = table[table["accuracy_mean"].notna()].reset_index(drop=True)
    if data.empty:
        return []
    says = [
        f"{row.run}, {row.scheme}: {100 * row.accuracy_mean:.1f} %, {format_energy(row.system_energy_fJ)}"
        for row in data.itertuples()
    ]
    with drawing():
        figure = new_figure(4.2 + 0.17 * (len(runs) // 2 + len(schemes) // 3))
        ax = figure.subplots()
        front = draw_front(ax, data)
        name_axes(ax, data)
        draw_results(ax, data, schemes, says=says)
        for row in data.itertuples():
            place: dict[str, Any] = {"textcoords": "offset points", "fontsize": 7.5, "zorder": 5}
            at = (row.system_energy_fJ, 100 * row.accuracy_mean)
            ax.annotate(str(runs.index(row.run) + 1), at, (5, 3), **place)
        name_schemes(ax, schemes)
        for index, name in enumerate(runs):
            ax.plot([], [], ls="", label=f"{index + 1}: {name}")
        figure.legend(loc="outside lower center", ncols=3)
    best = data[front].sort_values("system_energy_fJ")
    verdict = unbeaten([f"{row.scheme} ({row.run})" for row in best.itertuples()])
    columns = ["run", *(c for c in RESULT if c in data), "kept"]
    data = data[columns].assign(on_front=front)
    return [Plot("accuracy_of_runs", "Accuracy against energy", figure, data, verdict)]


def ratios(runs: Mapping[str, Run], schemes: Sequence[str]) -> list[Plot]:
    """Return what each scheme takes of `full`, a row for each run, with bands; nothing without any `full`."""
    rows = []
    for name, run in runs.items():
        for _, row in run.schemes[run.schemes["scheme"] != FULL].iterrows():
            bands = run.bands[run.bands["scheme"] == row["scheme"]].set_index("quantity")
            for layer in LAYERS:
                key = f"ratio_{layer}"
                ends = bands.loc[key, ["p05", "p95"]] if key in bands.index else (np.nan, np.nan)
                rows.append((name, row["scheme"], layer, row[key], *ends))
    columns = ["run", "scheme", "layer", "ratio_to_full", "ratio_p05", "ratio_p95"]
    data = pd.DataFrame(rows, columns=columns)
    data = data[data["ratio_to_full"] > 0].reset_index(drop=True)
    if data.empty:
        return []
    names = list(dict.fromkeys(data["run"]))
    chosen = [scheme for scheme in schemes if scheme in set(data["scheme"])]
    with drawing():
        figure = new_figure(1.2 + len(names) * (0.16 + 0.13 * len(chosen)))
        axes = figure.subplots(1, len(LAYERS), sharey=True)
        for ax, (layer, title) in zip(axes, LAYERS.items(), strict=True):
            own = data[data["layer"] == layer]
            for row in own.itertuples():
                style = scheme_style(schemes.index(row.scheme))
                place = (chosen.index(row.scheme) - (len(chosen) - 1) / 2) * 0.8 / len(chosen)
                y = names.index(row.run) + place
                ax.plot((row.ratio_p05, row.ratio_p95), (y, y), lw=1.6, alpha=0.6, color=style["color"])
                (mark,) = ax.plot(row.ratio_to_full, y, ls="", ms=5, **style)
                hovered(mark, f"{row.run}, {row.scheme}: {format_ratio(row.ratio_to_full)}")
            for y in range(1, len(names)):
                ax.axhline(y - 0.5, color=FAINT, lw=0.4, alpha=0.5)
            ax.axvline(1, color=INK, lw=0.9, ls=(0, (4, 2)))
            values = own[["ratio_to_full", "ratio_p05", "ratio_p95"]].stack().dropna()
            logarithmic(ax, pd.concat([values, pd.Series([1.0])]), "{:g} ".format)
            ax.set_title(f"{title[0].upper()}{title[1:]}")
            ax.set_xlabel("energy / energy of full")
            ax.grid(axis="x")
        name_rows(axes[0], names)
        for index, scheme in enumerate(schemes):
            if scheme in chosen:
                axes[0].plot([], [], ls="", ms=5, label=scheme, **scheme_style(index))
        figure.legend(loc="outside lower center", ncols=4)
    system = data[data["layer"] == "system_energy"]
    saving = system[system["ratio_to_full"] < 1]
    best = system.loc[system["ratio_to_full"].idxmin()]
    says = (
        f"{len(saving)} of {len(system)} selections take less than full of the whole system's energy; "
        f"{best['scheme']} in {best['run']} takes least, {format_ratio(best['ratio_to_full'])}. Lines: 5 to "
        "95 % of the boards."
    )
    return [Plot("ratios", "What is left of the energy of full", figure, data, says)]


def differences(runs: Mapping[str, Run]) -> Table:
    """Return the settings in which the runs' configurations differ, with a column for each run."""
    settings = {name: dict(_settings(_config(run))) for name, run in runs.items()}
    paths = list(dict.fromkeys(path for found in settings.values() for path in found))
    rows = []
    for path in paths:
        cells = [found.get(path, Cell(NONE)) for found in settings.values()]
        if path != "name" and any(cell != cells[0] for cell in cells):
            rows.append([Cell(path), *cells])
    return Table("What differs in the configurations", ["setting", *runs], rows)


def _config(run: Run) -> dict[str, Any]:
    path = run.path / RESOLVED_CONFIG
    if not path.is_file():
        raise StoreError("a file of this run is missing", file=path, hint="Run it again.")
    return read_yaml(path)[0]


def _settings(tree: Any, path: str = "") -> Iterator[tuple[str, Cell]]:
    """Yield each setting below `tree` by its dotted path; where a value is from is not part of it."""
    if isinstance(tree, dict) and "value" in tree:
        low, high = tree.get("range") or (tree["value"], tree["value"])
        unit = f" {tree['unit']}" if tree.get("unit") else ""
        known = "" if low == high else f"{low:.6g} to {high:.6g}{unit}"
        yield path, Cell(f"{tree['value']:.6g}{unit}", known)
    elif isinstance(tree, dict):
        for key, value in tree.items():
            if key != "source":
                yield from _settings(value, f"{path}.{key}" if path else str(key))
    elif isinstance(tree, list):
        yield path, Cell(", ".join(map(str, tree)))
    else:
        yield path, Cell(NONE if tree is None else str(tree))
