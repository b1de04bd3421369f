"""Where the energy of a run goes: by component, phase and layer.

Every function returns a `Plot`; nothing is written here. Quantities that differ by orders of magnitude
between schemes are shown twice or on a logarithmic axis of dots, never as bars on a logarithmic axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nmsim.access.phases import TRAINING
from nmsim.energy.components import COMPONENTS, DDR_COMPONENTS
from nmsim.energy.layers import LAYERS
from nmsim.report.axes import (
    BAR,
    by_group,
    energy_scale,
    logarithmic,
    name_rows,
    note_bars,
    stack,
)
from nmsim.report.canvas import FAINT, GROUPS, Plot, drawing, hovered, new_figure, scheme_style
from nmsim.report.verdict import format_share, main_scheme
from nmsim.schemes import FULL
from nmsim.units import format_energy, format_time

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Phases below this share of their scheme's energy are summed up where components are told apart.
SMALL_PHASE = 0.005
OTHER_PHASES = "other phases"


def energy_breakdown(energy: pd.DataFrame) -> Plot:
    """Return stacked bars by component: the whole system above, DDR alone below, absolute and as shares.

    DDR has its own row because in most boards the SoC's static power and arithmetic hide it.

    Parameters
    ----------
    energy : DataFrame
        Columns scheme, phase, component, energy_fJ.
    """
    schemes = list(dict.fromkeys(energy["scheme"]))
    table = energy.pivot_table(index="scheme", columns="component", values="energy_fJ", aggfunc="sum")
    table = table.reindex(index=schemes, columns=list(COMPONENTS)).fillna(0)
    pieces = by_group(energy, "scheme")
    ddr = [name for name, (parts, *_) in GROUPS.items() if set(parts) <= set(DDR_COMPONENTS)]
    with drawing():
        figure = new_figure(2.35 + 0.56 * len(schemes))
        axes = figure.subplots(2, 2, sharey=True)
        handles = _breakdown_row(axes[0], pieces, "whole system")
        _breakdown_row(axes[1], pieces[ddr], "all DDR")
        shown = [name for name in pieces if pieces[name].sum() > 0]
        figure.legend([handles[name] for name in shown], shown, loc="outside lower center", ncols=3)
    data = table.rename_axis(columns="component").stack().rename("energy_fJ").astype(np.int64).reset_index()
    return Plot("energy_breakdown", "Energy by component", figure, data, _largest_component(table))


def _breakdown_row(axes: Sequence[Axes], pieces: pd.DataFrame, title: str) -> dict[str, Any]:
    absolute, shares = axes
    totals = pieces.sum(axis=1).to_numpy(dtype=float)
    scale, unit = energy_scale(totals.max())
    handles = stack(absolute, pieces / scale, pieces)
    stack(shares, pieces.div(np.where(totals > 0, totals, 1), axis=0) * 100, pieces, label_from=8)
    note_bars(absolute, list(pieces.index), totals, scale, room=1.45)
    absolute.set_title(f"{title[0].upper()}{title[1:]}: energy")
    absolute.set_xlabel(f"energy ({unit})")
    shares.set_xlim(0, 100)
    shares.set_title("and what it consists of")
    shares.set_xlabel("share of the bar beside it (%)")
    name_rows(absolute, list(pieces.index))
    return handles


def _largest_component(table: pd.DataFrame) -> str:
    scheme = main_scheme(table.index) or table.index[0]
    own = table.loc[scheme]
    if own.sum() == 0:
        return f"{scheme} takes no energy."
    share = format_share(own.max() / own.sum())
    return (
        f"The largest single component of {scheme} is {COMPONENTS[str(own.idxmax())][0]}: {share} of "
        f"{format_energy(own.sum())}."
    )


def energy_phases(energy: pd.DataFrame) -> Plot:
    """Return stacked bars by component for each phase, a panel with a scale of its own for each scheme.

    Phases that take less than `SMALL_PHASE` of their scheme's energy stand together as `OTHER_PHASES`.

    Parameters
    ----------
    energy : DataFrame
        Columns scheme, phase, component, energy_fJ.
    """
    of_phase = energy.groupby(["scheme", "phase"], sort=False)["energy_fJ"].sum()
    of_scheme = of_phase.groupby("scheme", sort=False).sum()
    small = set(
        of_phase.index[of_phase < SMALL_PHASE * of_scheme.loc[of_phase.index.get_level_values(0)].to_numpy()]
    )
    keys = zip(energy["scheme"], energy["phase"], strict=True)
    named = [OTHER_PHASES if key in small else key[1].replace("_", " ") for key in keys]
    drawn = energy.assign(phase=named)
    panels = {scheme: by_group(own, "phase") for scheme, own in drawn.groupby("scheme", sort=False)}
    for scheme, table in panels.items():
        last = [name for name in table.index if name == OTHER_PHASES]
        panels[scheme] = table.loc[[name for name in table.index if name != OTHER_PHASES] + last]
    with drawing():
        figure = new_figure(0.75 + sum(0.62 + 0.22 * len(table) for table in panels.values()))
        heights = [0.7 + len(table) for table in panels.values()]
        axes = figure.subplots(len(panels), 2, height_ratios=heights, squeeze=False, sharey="row")
        handles: dict[str, Any] = {}
        for (absolute, shares), (scheme, table) in zip(axes, panels.items(), strict=True):
            totals = table.sum(axis=1).to_numpy(dtype=float)
            scale, unit = energy_scale(totals.max(initial=0))
            drawn_here = stack(absolute, table / scale, table)
            handles |= {name: bar for name, bar in drawn_here.items() if table[name].sum()}
            stack(shares, table.div(np.where(totals > 0, totals, 1), axis=0) * 100, table, label_from=8)
            note_bars(absolute, list(table.index), totals, scale, room=1.3)
            absolute.set_title(f"{scheme}: {format_energy(of_scheme[scheme])}")
            absolute.set_xlabel(f"energy ({unit})")
            shares.set_xlim(0, 100)
            name_rows(absolute, list(table.index))
        axes[0][1].set_title("and what each phase consists of")
        axes[-1][1].set_xlabel("share of the phase (%)")
        shown = [name for name in GROUPS if name in handles]
        figure.legend([handles[name] for name in shown], shown, loc="outside lower center", ncols=3)
    data = energy[["scheme", "phase", "component", "energy_fJ"]].reset_index(drop=True)
    return Plot("energy_phases", "Energy by phase and component", figure, data, _largest_phase(of_phase))


def _largest_phase(of_phase: pd.Series) -> str:
    scheme = main_scheme(of_phase.index.get_level_values(0).unique())
    if scheme is None or not of_phase[scheme].sum():
        scheme = of_phase.index[0][0]
    own = of_phase[scheme]
    if not own.sum():
        return f"{scheme} takes no energy."
    name = str(own.idxmax()).replace("_", " ")
    return (
        f"The dearest phase of {scheme} is “{name}”, with {format_share(own.max() / own.sum())} of its "
        f"energy; phases below {SMALL_PHASE:.1%} of a scheme's energy are summed up."
    )


def layers(by_layer: pd.DataFrame) -> Plot:
    """Return bars of the three energies that are never mixed, each with its ratio to `full`.

    Parameters
    ----------
    by_layer : DataFrame
        Columns scheme and, for each of `LAYERS`, `<layer>_fJ`.
    """
    schemes = list(by_layer["scheme"])
    with drawing():
        figure = new_figure(0.95 + 0.30 * len(schemes))
        axes = figure.subplots(1, len(LAYERS), sharey=True)
        for ax, (layer, title) in zip(axes, LAYERS.items(), strict=True):
            values = by_layer[f"{layer}_fJ"].to_numpy(dtype=float)
            scale, unit = energy_scale(values.max())
            colours = [scheme_style(i)["color"] for i in range(len(schemes))]
            bars = ax.barh(np.arange(len(schemes)), values / scale, BAR, color=colours)
            for bar, scheme, value in zip(bars, schemes, values, strict=True):
                hovered(bar, f"{scheme}: {title}, {format_energy(value)}")
            note_bars(ax, schemes, values, scale, room=1.75)
            ax.set_title(title[0].upper() + title[1:])
            ax.set_xlabel(f"energy ({unit})")
            ax.grid(axis="x")
        name_rows(axes[0], schemes)
    data = by_layer.melt("scheme", var_name="layer", value_name="energy_fJ")
    data["layer"] = data["layer"].str.removesuffix("_fJ")
    says = (
        "“Dataset DDR” is what reading the images takes, “all DDR” adds every other access, standby and "
        "refresh, “whole system” adds the SoC and the near-memory units. " + _layer_trend(by_layer)
    )
    return Plot("layers", "Three energies against training on everything", figure, data, says.strip())


def _layer_trend(by_layer: pd.DataFrame) -> str:
    table = by_layer.set_index("scheme")
    scheme = main_scheme(table.index)
    if scheme is None or FULL not in table.index or not (table.loc[FULL] > 0).all():
        return ""
    ratios = {
        title: table.loc[scheme, f"{layer}_fJ"] / table.loc[FULL, f"{layer}_fJ"]
        for layer, title in LAYERS.items()
    }
    best, worst = min(ratios, key=ratios.__getitem__), max(ratios, key=ratios.__getitem__)
    return (
        f"{scheme} takes ×{ratios[best]:.3g} of what full takes in {best}, its best of the three, and "
        f"×{ratios[worst]:.3g} in {worst}, its worst."
    )


def phases(table: pd.DataFrame) -> Plot:
    """Return dots of energy and time by phase, a mark per scheme, on logarithmic axes.

    Parameters
    ----------
    table : DataFrame
        Columns scheme, phase, time_ps, energy_fJ.
    """
    schemes = list(dict.fromkeys(table["scheme"]))
    names = phase_order(table)
    with drawing():
        figure = new_figure(1.25 + max(0.34, 0.07 * len(schemes)) * len(names))
        axes = figure.subplots(1, 2, sharey=True)
        quantities = (("energy_fJ", "energy", format_energy), ("time_ps", "time", format_time))
        for ax, (column, title, say) in zip(axes, quantities, strict=True):
            for index, scheme in enumerate(schemes):
                own = table[(table["scheme"] == scheme) & (table[column] > 0)]
                style = scheme_style(index)
                offset = (index - (len(schemes) - 1) / 2) * 0.62 / max(len(schemes), 1)
                y = own["phase"].map(names.index).to_numpy(dtype=float) + offset
                ax.plot([], [], ls="", ms=5.5, label=scheme, **style)
                for value, phase, place in zip(own[column], own["phase"], y, strict=True):
                    (mark,) = ax.plot(value, place, ls="", ms=5.5, **style)
                    hovered(mark, f"{scheme}, {phase}: {say(value)}")
            for y in range(1, len(names)):
                ax.axhline(y - 0.5, color=FAINT, lw=0.4, alpha=0.5)
            logarithmic(ax, table[column], say)
            ax.set_title(title.capitalize())
            ax.set_xlabel(f"{title} of the phase, logarithmic")
            ax.grid(axis="x")
        name_rows(axes[0], [name.replace("_", " ") for name in names])
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(len(schemes), 4))
    data = table[["scheme", "phase", "energy_fJ", "time_ps"]]
    return Plot("phases", "Energy and time by phase", figure, data, _training_share(table))


def _training_share(table: pd.DataFrame) -> str:
    schemes = list(dict.fromkeys(table["scheme"]))
    scheme = main_scheme(schemes) or schemes[0]
    own = table[table["scheme"] == scheme].set_index("phase")
    if not own["energy_fJ"].sum() or not own["time_ps"].sum():
        return f"{scheme} has no phases that take energy."
    training = own[own.index == TRAINING]
    energy = format_share(training["energy_fJ"].sum() / own["energy_fJ"].sum())
    time = format_share(training["time_ps"].sum() / own["time_ps"].sum())
    return f"Training takes {energy} of the energy and {time} of the time of {scheme}."


def phase_order(table: pd.DataFrame) -> list[str]:
    """Return all phases of a table in an order that keeps each scheme's, as far as they agree."""
    order: list[str] = []
    for names in sorted(
        (list(g) for _, g in table.groupby("scheme", sort=False)["phase"]), key=len, reverse=True
    ):
        place = 0
        for name in dict.fromkeys(names):
            if name in order:
                place = order.index(name) + 1
            else:
                order.insert(place, name)
                place += 1
    return order
