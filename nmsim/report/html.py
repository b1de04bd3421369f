"""The report: one HTML page that needs nothing else, for screens light and dark, phones and paper."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from nmsim.report import verdict
from nmsim.report.canvas import Plot, css_colours
from nmsim.report.run import Run, outside_bands
from nmsim.report.tables import components_table, data_table, layer_tables, names, phases_table, schemes_table
from nmsim.schemes import Scheme
from nmsim.units import format_bytes, format_energy


class Check(NamedTuple):
    """Something that must hold for the report to mean anything, and whether it does."""

    text: str
    holds: bool


def render(run: Run, plots: Sequence[Plot], trace_energy: pd.DataFrame | None) -> str:
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
    return page(
        "report.html.j2",
        title=f"nmsim run {run.summary.get('name', run.path.name)}",
        headline=verdict.headline(run),
        findings=verdict.findings(run),
        rule=verdict.RULE,
        schemes=schemes_table(run),
        layers=layer_tables(run),
        phases=phases_table(run),
        components=components_table(run),
        plots=plots,
        checks=checks(run, trace_energy),
        assumed=list(run.summary.get("assumed", [])),
        samples=(run.summary.get("uncertainty") or {}).get("samples"),
        outside=not outside_bands(run).empty,
        scaled=scaled(run),
        facts=facts(run),
        provenance=provenance(run),
    )


def page(template: str, **content: Any) -> str:
    """Return a page from a template in `templates/`, with the style, the script and the figures' colours.

    Everything in `content` is text and is escaped; the SVG of a `Plot` is taken as it is.
    """
    from jinja2 import Environment, PackageLoader
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("nmsim.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["tight"] = tight
    # Markup: made by canvas from the figure alone; matplotlib escapes the text in it.
    environment.filters["svg"] = lambda plot: Markup(plot.svg())
    environment.filters["numbers"] = data_table
    loader = environment.loader
    assert loader is not None
    style, script = (loader.get_source(environment, name)[0] for name in ("style.css", "script.js"))
    light, dark = css_colours()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template(template).render(
        style=Markup(style.replace("/* light */", light).replace("/* dark */", dark)),
        script=Markup(script),
        script_sha256=digest,
        **content,
    )


def tight(text: str) -> str:
    """Return a sentence whose numbers are not parted from their units at the end of a line."""
    return re.sub(r"(?<=\d) (?=%|±|[fpnµmkMGTP]?[JsB]\b)|(?<=±) ", "\u00a0", text)


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
    for near in (scheme for scheme in stated.index if Scheme.parse(scheme).near_memory):
        host = str(Scheme.parse(near).at("host"))
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
    titles = ("board", "near_memory", "dataset", "training", "trace")
    groups = [(title, run.summary.get(title)) for title in titles]
    return [
        (title.replace("_", " "), names(group.items())) for title, group in groups if isinstance(group, dict)
    ]


def provenance(run: Run) -> list[tuple[str, str]]:
    """Return the manifest as (name, value)."""
    manifest = dict(run.manifest)
    if isinstance(manifest.get("peak_memory_bytes"), int):
        manifest["peak_memory"] = format_bytes(manifest.pop("peak_memory_bytes"))
    return names(manifest.items())
