"""A trace over time: power by component and by command, accesses of each bank, and row outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nmsim.dram.commands import OUTCOMES
from nmsim.energy.components import COMPONENTS
from nmsim.report.canvas import GROUPS, PAPER, Plot, drawing, new_figure
from nmsim.trace.bins import PLACE, Bins
from nmsim.units import format_energy, format_time

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Units of a time axis: picoseconds of one, and its name.
_TIMES = ((1e12, "s"), (1e9, "ms"), (1e6, "µs"), (1e3, "ns"), (1.0, "ps"))

#: Colours of commands, by how much energy they take: Okabe and Ito's palette, then greys.
_COMMAND_COLOURS = ("#0072b2", "#e69f00", "#56b4e9", "#d55e00", "#009e73", "#f0e442", "#cc79a7", "#3f3f46")
_OTHERS = "#c9c9d0"

#: Channels whose names find room beside a panel.
_CHANNELS_NAMED = 12

_OUTCOME_COLOURS = {"hit": "#56b4e9", "miss": "#e69f00", "conflict": "#d55e00"}


def over_time(found: Mapping[str, Bins]) -> list[Plot]:
    """Return the figures of a trace over time, those that it has rows for.

    Parameters
    ----------
    found : mapping of str to Bins
        Of each scheme, from `nmsim.trace.bins.bin_trace`.
    """
    figures = [power_by_component(found), power_by_command(found), banks_over_time(found)]
    figures.append(outcomes_over_time(found))
    return [figure for figure in figures if figure is not None]


def power_by_component(found: Mapping[str, Bins]) -> Plot:
    """Return the power of each scheme over time, stacked by the groups of components."""
    names = list(COMPONENTS)
    tables = {
        scheme: pd.DataFrame(
            {
                group: bins.components_fJ[:, [names.index(part) for part in parts]].sum(axis=1)
                for group, (parts, *_) in GROUPS.items()
            }
        )
        for scheme, bins in found.items()
    }
    colours = {group: colour for group, (_, colour, _) in GROUPS.items()}
    return _stacked(
        "power_by_component", "Power over time, by component", found, tables, colours, "component"
    )


def power_by_command(found: Mapping[str, Bins]) -> Plot:
    """Return the power of each scheme over time, stacked by command, or by kind of other work."""
    totals: dict[str, float] = {}
    for bins in found.values():
        for command, energy in bins.commands_fJ.items():
            totals[command] = totals.get(command, 0.0) + float(energy.sum())
    named = sorted(totals, key=lambda name: -totals[name])[: len(_COMMAND_COLOURS)]
    tables = {}
    for scheme, bins in found.items():
        none = np.zeros(len(bins.outcomes))
        columns = {name: bins.commands_fJ.get(name, none) for name in named}
        rest = [energy for name, energy in bins.commands_fJ.items() if name not in named]
        tables[scheme] = pd.DataFrame(columns | {"all others": sum(rest, start=none)})
    colours = dict(zip(named, _COMMAND_COLOURS, strict=False)) | {"all others": _OTHERS}
    return _stacked("power_by_command", "Power over time, by command", found, tables, colours, "cmd")


def _stacked(
    name: str,
    title: str,
    found: Mapping[str, Bins],
    tables: Mapping[str, pd.DataFrame],
    colours: Mapping[str, str],
    key: str,
) -> Plot:
    """Return a panel for each scheme of energies in fJ, a row for each bin, as stacked power."""
    shown = [column for column in colours if any(table[column].any() for table in tables.values())]
    with drawing():
        figure = new_figure(1.2 + 1.45 * len(found))
        axes = figure.subplots(len(found), squeeze=False)[:, 0]
        for ax, (scheme, bins) in zip(axes, found.items(), strict=True):
            edges = _time_axis(ax, bins)
            watts = tables[scheme][shown].to_numpy() / bins.width_ps * 1e-3  # fJ/ps = mW
            top = np.cumsum(watts, axis=1)
            for index, column in enumerate(shown):
                bottom = top[:, index - 1] if index else np.zeros(len(top))
                ax.stairs(
                    top[:, index],
                    edges,
                    baseline=bottom,
                    fill=True,
                    color=colours[column],
                    label=column,
                )
            ax.set_title(scheme)
            ax.set_ylabel("power (W)")
            ax.set_ylim(bottom=0)
            ax.grid(axis="y")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
    data = pd.concat(
        [
            _timed(scheme, bins, tables[scheme][shown].stack().rename("energy_fJ"), key)
            for scheme, bins in found.items()
        ],
        ignore_index=True,
    )
    total = sum(float(bins.components_fJ.sum()) for bins in found.values())
    spread = sum(bins.aggregated_fJ for bins in found.values())
    largest = max(shown, key=lambda c: sum(float(t[c].sum()) for t in tables.values()), default=None)
    sentence = f"{format_energy(total)} in all"
    if largest is not None:
        share = sum(float(table[largest].sum()) for table in tables.values()) / max(total, 1)
        sentence += f", most of it {largest} ({share:.0%})"
    sums = f"{spread / max(total, 1):.0%}"
    sentence += f"; {sums} of it stand in the trace as sums, and are spread evenly over their time."
    return Plot(name, title, figure, data, sentence)


def banks_over_time(found: Mapping[str, Bins]) -> Plot | None:
    """Return how often each bank is accessed over time, a panel for each scheme; None without an access."""
    used = {scheme: bins for scheme, bins in found.items() if bins.accesses}
    if not used:
        return None
    rates = {}
    for scheme, bins in used.items():
        banks = sorted(bins.accesses)
        rates[scheme] = banks, np.stack([bins.accesses[bank] for bank in banks]) / bins.width_ps * 1e6
    highest = max(float(rate.max()) for _, rate in rates.values())
    with drawing():
        figure = new_figure(0.9 + 1.8 * len(used))
        axes = figure.subplots(len(used), squeeze=False)[:, 0]
        for ax, (scheme, bins) in zip(axes, used.items(), strict=True):
            banks, rate = rates[scheme]
            edges = _time_axis(ax, bins)
            image = ax.pcolormesh(edges, np.arange(len(banks) + 1), rate, vmin=0, cmap="cividis")
            image.set_rasterized(True)
            _name_channels(ax, [bank[0] for bank in banks])
            ax.set_title(scheme)
            bar = figure.colorbar(image, ax=ax, pad=0.01)
            bar.set_label("accesses / µs")
            bar.outline.set_visible(False)
    data = pd.concat(
        [
            _timed(
                scheme,
                bins,
                pd.DataFrame(bins.accesses, columns=pd.MultiIndex.from_tuples(bins.accesses, names=PLACE))
                .stack(list(PLACE), future_stack=True)
                .rename("accesses"),
                *PLACE,
            )
            for scheme, bins in used.items()
        ],
        ignore_index=True,
    )
    scheme = max(rates, key=lambda s: float(rates[s][1].max()))
    sentence = f"The busiest bank of all is accessed {highest:,.3g} times a µs, under {scheme}."
    return Plot("banks_over_time", "Accesses of each bank over time", figure, data, sentence)


def outcomes_over_time(found: Mapping[str, Bins]) -> Plot | None:
    """Return the shares of row hits, misses and conflicts over time; None where the trace names none."""
    used = {scheme: bins for scheme, bins in found.items() if bins.outcomes.any()}
    if not used:
        return None
    with drawing():
        figure = new_figure(1.1 + 1.2 * len(used))
        axes = figure.subplots(len(used), squeeze=False)[:, 0]
        for ax, (scheme, bins) in zip(axes, used.items(), strict=True):
            edges = _time_axis(ax, bins)
            counts = bins.outcomes.sum(axis=1, keepdims=True)
            shares = 100 * np.divide(
                bins.outcomes, counts, where=counts > 0, out=np.zeros_like(bins.outcomes)
            )
            top = np.cumsum(shares, axis=1)
            for index, outcome in enumerate(OUTCOMES):
                bottom = top[:, index - 1] if index else np.zeros(len(top))
                colour = _OUTCOME_COLOURS[outcome]
                ax.stairs(top[:, index], edges, baseline=bottom, fill=True, color=colour, label=outcome)
            ax.set_title(scheme)
            ax.set_ylabel("accesses (%)")
            ax.set_ylim(0, 100)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
    data = pd.concat(
        [
            _timed(
                scheme,
                bins,
                pd.DataFrame(bins.outcomes.astype(np.int64), columns=list(OUTCOMES))
                .stack()
                .rename("accesses"),
                "row_outcome",
            )
            for scheme, bins in used.items()
        ],
        ignore_index=True,
    )
    parts = []
    for scheme, bins in used.items():
        hits, total = bins.outcomes[:, 0].sum(), bins.outcomes.sum()
        parts.append(f"{scheme} {hits / total:.1%} of {int(total):,}")
    sentence = f"Row hits among the accesses that stand one by one in the trace: {', '.join(parts)}."
    return Plot("outcomes_over_time", "Row outcomes over time", figure, data, sentence)


def _name_channels(ax: Axes, channels: Sequence[int]) -> None:
    """Part the banks of each channel from the next one's, and name it where there is room."""
    starts = [0, *(i for i in range(1, len(channels)) if channels[i] != channels[i - 1]), len(channels)]
    bands = [(a, b) for a, b in pairwise(starts) if b - a >= len(channels) / _CHANNELS_NAMED]
    ax.set_yticks([(a + b) / 2 for a, b in bands], [f"channel {channels[a]}" for a, _ in bands])
    for start in starts[1:-1]:
        ax.axhline(start, color=PAPER, lw=1)
    ax.set_ylim(len(channels), 0)


def _time_axis(ax: Axes, bins: Bins) -> np.ndarray:
    """Label the time axis of a panel; return the edges of its bins in the axis' unit."""
    duration = bins.edges_ps[-1] - bins.edges_ps[0]
    unit_ps, unit = next(((ps, name) for ps, name in _TIMES if duration >= ps), _TIMES[-1])
    ax.set_xlabel(f"time ({unit}); {format_time(bins.width_ps)} a step")
    ax.set_xlim(bins.edges_ps[0] / unit_ps, bins.edges_ps[-1] / unit_ps)
    return bins.edges_ps / unit_ps


def _timed(scheme: str, bins: Bins, values: pd.Series, *keys: str) -> pd.DataFrame:
    """Return values by bin and `keys` with the scheme, and when the bin begins and ends, before them."""
    table = values.reset_index()
    table.columns = ["bin", *keys, values.name]
    edges, at = np.rint(bins.edges_ps).astype(np.int64), table.pop("bin").to_numpy()
    table.insert(0, "end_ps", edges[at + 1])
    table.insert(0, "start_ps", edges[at])
    table.insert(0, "scheme", scheme)
    return table
