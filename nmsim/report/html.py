"""The report: one HTML page that needs nothing else, for screens light and dark, phones and paper."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from nmsim.energy.components import COMPONENTS
from nmsim.report import verdict
from nmsim.report.axes import format_ratio
from nmsim.report.canvas import Plot, css_colours
from nmsim.report.plots import phase_order
from nmsim.report.run import LAYERS, Run
from nmsim.units import format_bytes, format_energy, format_time

NONE = "–"


class Table(NamedTuple):
    """A table as text: the first cell of a row is its head."""

    title: str
    head: list[str]
    rows: list[list[str]]
    folded: bool = False


class Check(NamedTuple):
    """Something that must hold for the report to mean anything, and whether it does."""

    text: str
    holds: bool


def render(
    run: Run,
    plots: Sequence[Plot],
    trace_energy: pd.DataFrame | None,
) -> str:
    """Return the report of a run as HTML.

    Parameters
    ----------
    run : Run
        The run.
    plots : sequence of Plot
        Its figures, in the order to show them.
    trace_energy : DataFrame or None
        Energy by scheme, phase and component as summed from the trace; None where there is no trace.
    """
    from jinja2 import Environment, PackageLoader
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("nmsim.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["tight"] = tight
    light, dark = css_colours()
    return environment.get_template("report.html.j2").render(
        name=run.summary.get("name", run.path.name),
        headline=verdict.headline(run),
        findings=verdict.findings(run),
        rule=verdict.RULE,
        tables=[schemes_table(run), ratios_table(run), phases_table(run), components_table(run)],
        # Markup: made by canvas from the figure alone; matplotlib escapes the text in it.
        figures=[(plot.title, plot.sentence, Markup(plot.svg())) for plot in plots],
        checks=checks(run, trace_energy),
        assumed=list(run.summary.get("assumed", [])),
        scaled=scaled(run),
        facts=facts(run),
        provenance=provenance(run),
        colours={"light": Markup(light), "dark": Markup(dark)},
    )


def tight(text: str) -> str:
    """Return a sentence whose numbers are not parted from their units at the end of a line."""
    return re.sub(r"(?<=\d) (?=%|±|[fpnµmkMGTP]?[JsB]\b)|(?<=±) ", "\u00a0", text)


def schemes_table(run: Run) -> Table:
    """Return what each scheme reached and took."""
    head = ["scheme", "images kept", "epochs", "accuracy", "seeds", "system energy", "time"]
    head += ["over the board", "of it before training", "row hits"]
    rows = []
    for _, row in run.schemes.iterrows():
        accesses = row["row_hits"] + row["row_misses"] + row["row_conflicts"]
        rows.append(
            [
                row["scheme"],
                f"{row['kept']:,}",
                str(row["epochs"]),
                verdict.format_accuracy(row),
                str(row["seeds"]),
                format_energy(row["system_energy_fJ"]),
                format_time(row["time_ps"]),
                format_bytes(row["pcb_bytes"]),
                format_bytes(row["pcb_bytes_before_training"]),
                f"{row['row_hits'] / accesses * 100:.1f} %" if accesses else NONE,
            ]
        )
    return Table("Schemes", head, rows)


def ratios_table(run: Run) -> Table:
    """Return the three energies with their ratios to `full`, and from which epoch on a scheme has saved.

    Beside each value stands the band in which 90 % of the boards lie that could be this one, where known.
    """
    head = ["scheme"]
    for title in LAYERS.values():
        head += [f"{title} energy", "to full", "break-even (epochs)"]
    rows, bands = [], run.bands.set_index(["scheme", "quantity"])

    def with_band(scheme: str, quantity: str, value: str, say: Callable[[float], str]) -> str:
        if (scheme, quantity) not in bands.index:
            return value
        low, high = (NONE if pd.isna(end) else say(end) for end in bands.loc[(scheme, quantity)])
        return f"{value} ({low} to {high})"

    for _, row in run.schemes.iterrows():
        scheme = row["scheme"]
        cells = [scheme]
        for layer in LAYERS:
            ratio, epochs = row[f"ratio_{layer}"], row[f"break_even_{layer}_epochs"]
            compared = not pd.isna(ratio) and scheme != "full"
            cells.append(with_band(scheme, f"{layer}_fJ", format_energy(row[f"{layer}_fJ"]), format_energy))
            cells.append(
                with_band(scheme, f"ratio_{layer}", format_ratio(ratio), format_ratio) if compared else NONE
            )
            often = "never" if pd.isna(epochs) else f"{epochs:.1f}"
            cells.append(
                with_band(scheme, f"break_even_{layer}_epochs", often, "{:.1f}".format) if compared else NONE
            )
        rows.append(cells)
    return Table("Three energies, never mixed", head, rows)


def phases_table(run: Run) -> Table:
    """Return energy, time and bytes over the board of every phase and scheme."""
    schemes = list(run.schemes["scheme"])
    cells = run.phases.set_index(["phase", "scheme"])
    rows = []
    for phase in phase_order(run.phases):
        row = [phase.replace("_", " ")]
        for scheme in schemes:
            if (phase, scheme) not in cells.index:
                row.append(NONE)
                continue
            values = cells.loc[(phase, scheme)]
            parts = [format_energy(values["energy_fJ"]), format_time(values["time_ps"])]
            parts += [format_bytes(values["pcb_bytes"])] if values["pcb_bytes"] else []
            row.append(" · ".join(parts))
        rows.append(row)
    return Table("Phases: energy · time · bytes over the board", ["phase", *schemes], rows)


def components_table(run: Run) -> Table:
    """Return energy by component and scheme."""
    wide = run.energy.pivot_table(index="component", columns="scheme", values="energy_fJ", aggfunc="sum")
    schemes = [scheme for scheme in run.schemes["scheme"] if scheme in wide]
    rows = [
        [meaning, *(format_energy(value) for value in wide.loc[name, schemes].fillna(0))]
        for name, (meaning, _) in COMPONENTS.items()
        if name in wide.index and wide.loc[name].fillna(0).any()
    ]
    return Table("Energy by component", ["component", *schemes], rows, folded=True)


def checks(run: Run, trace_energy: pd.DataFrame | None) -> list[Check]:
    """Return whether the run is complete, its files agree to the femtojoule, and both sides select alike."""
    status = run.manifest.get("status")
    results = (
        [] if status in ("complete", "finished") else [Check(f"This run is {status}, not complete.", False)]
    )
    stated = run.schemes.set_index("scheme")["system_energy_fJ"]
    tables = [("The energy table", run.energy), ("The trace", trace_energy)]
    for name, frame in tables:
        if frame is None:
            results.append(Check("This run kept no trace; the breakdown is drawn from energy.csv.", True))
            continue
        summed = frame.groupby("scheme")["energy_fJ"].sum().reindex(stated.index, fill_value=0)
        gap = int((summed - stated).abs().max())
        results.append(Check(f"{name} sums to each scheme's total: largest difference {gap} fJ.", gap == 0))
    for near in (scheme for scheme in stated.index if scheme.endswith("@nmc")):
        host = near.removesuffix("nmc") + "host"
        if host in stated.index:
            same = np.array_equal(run.indices(near), run.indices(host))
            alike = "the same images" if same else "different images"
            results.append(Check(f"{near} and {host} select {alike}.", same))
    return results


def scaled(run: Run) -> list[str]:
    """Return which schemes were simulated in part, and how much the simulated epochs differ."""
    texts = []
    for scheme, facts_of in run.summary["schemes"].items():
        share = facts_of["simulated_share"]
        if share >= 1:
            continue
        text = f"{scheme}: {verdict.format_share(share)} of the accesses were simulated one by one"
        epochs = facts_of.get("energy_per_epoch_fJ")
        if isinstance(epochs, dict) and epochs.get("simulated", 0) < epochs.get("of", 0):
            low, high = format_energy(epochs["min"]), format_energy(epochs["max"])
            text += f"; {epochs['simulated']} of {epochs['of']} epochs, which took {low} to {high} each"
        texts.append(text + "; the rest repeats them.")
    return texts


def facts(run: Run) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return what was simulated, in groups of (name, value)."""
    groups = []
    for title in ("board", "near_memory", "dataset", "training", "trace"):
        group = run.summary.get(title)
        if isinstance(group, dict):
            groups.append(
                (
                    title.replace("_", " "),
                    [(key.replace("_", " "), _text(value)) for key, value in group.items()],
                )
            )
    return groups


def provenance(run: Run) -> list[tuple[str, str]]:
    """Return the manifest as (name, value)."""
    manifest = dict(run.manifest)
    if isinstance(manifest.get("peak_memory_bytes"), int):
        manifest["peak_memory"] = format_bytes(manifest.pop("peak_memory_bytes"))
    return [(key.replace("_", " "), _text(value)) for key, value in manifest.items()]


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(_text(inner) for inner in value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return NONE if value is None else str(value)
