"""What each command, operation, bit and second costs on one board: the price list of a run."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nmsim.config.schema import RunConfig
from nmsim.dram.commands import COLUMN_COMMANDS, COMMANDS
from nmsim.dram.spec import DramSpec
from nmsim.energy.components import COMPONENTS
from nmsim.energy.exchange import exchange_prices
from nmsim.energy.idd import CommandEnergies, command_energies
from nmsim.energy.link import counted_link_prices, link_energy
from nmsim.energy.near_memory import near_memory_prices
from nmsim.energy.on_die import WAY, way_share
from nmsim.energy.placement import PLACEMENTS
from nmsim.energy.rails import stated_rails
from nmsim.energy.soc import soc_prices
from nmsim.energy.values import Number, whole
from nmsim.errors import ConfigError
from nmsim.units import format_energy

#: A joule; whole memories take microseconds to take as much.
_MAX_PRICE_FJ = 10**15

#: Whoever causes a DRAM command; "dram" is the memory itself.
SOURCES = ("host", "nmc", "dram")


class PriceList:
    """Energy vectors (one number per component, in fJ) of everything that a ledger counts.

    Parameters
    ----------
    config : RunConfig
        The board. Where its values are arrays, one for each of many samples, so are the prices.
    spec : DramSpec
        Its memory.
    """

    def __init__(self, config: RunConfig, spec: DramSpec):
        energies = command_energies(spec, config.memory.refresh_background, stated_rails(config.memory))
        self._work = {key: _vector(price) for key, price in _work_prices(config, spec, energies).items()}
        self._commands = {
            (name, source): _whole_vector(_command_price(config, spec, energies, name, source))
            for name in COMMANDS
            for source in SOURCES
        }

    def command(self, name: str, source: str) -> np.ndarray:
        """Return the energy vector of one DRAM command that `source` (host, nmc, dram) causes.

        Whole fJ: int64 of shape (components,), or float64 of shape (components, samples).
        """
        return self._commands[name, source]

    def work(self, kind: str, source: str) -> np.ndarray:
        """Return the energy vector of one unit of work of a kind: float64, shapes as of `command`."""
        return self._work[source, kind]

    def of(self, name: str, source: str) -> np.ndarray:
        """Return the vector of a DRAM command or of a unit of work, named as a ledger names it."""
        return self.command(name, source) if name in COMMANDS else self.work(name, source)


def _command_price(
    config: RunConfig, spec: DramSpec, energies: CommandEnergies, name: str, source: str
) -> dict[str, Number]:
    energy = energies.command_fJ[name]
    if name not in COLUMN_COMMANDS:
        component = {"ACT": "act", "REFab": "ref", "REFpb": "ref"}.get(name, "pre")
        # Where a refresh's time is charged at another background, that part of it is background.
        background = energies.refresh_background_fJ if name == "REFab" else 0
        return {component: energy - background, "background": background}
    kind = name.removesuffix("A")  # RDA and WRA bring a precharge along
    access, on_die = energies.command_fJ[kind], config.memory.on_die
    units = PLACEMENTS[config.near_memory.placement]
    column = whole(access * way_share(on_die, ("bank",)))
    reach = units.reach if source == "nmc" else WAY
    price = {
        "pre": energy - access,
        kind.lower(): column,
        "on_die_bus": whole(access * way_share(on_die, reach)) - column,
    }
    counted = source == "host" and config.link.data_dependent
    if (source == "host" and not counted) or (source == "nmc" and units.over_pins):
        bits = 8 * spec.access_bytes
        link = link_energy(config.link, spec.data_rate_Hz)
        price["phy"] = whole(bits * link.phy_fJ_per_bit)
        price["termination"] = whole(bits * link.termination_fJ_per_bit)
        if source == "host":  # a buffer chip sits beside the DRAM: no trace, no SoC controller
            price["trace"] = whole(bits * link.trace_fJ_per_bit)
            price["controller"] = whole(bits * link.controller_fJ_per_bit)
    return price


def _work_prices(
    config: RunConfig, spec: DramSpec, energies: CommandEnergies
) -> dict[tuple[str, str], Mapping[str, Number]]:
    units = near_memory_prices(config.near_memory, config.operations) | exchange_prices(
        PLACEMENTS[config.near_memory.placement],
        spec,
        config.memory.on_die,
        energies.command_fJ["RD"] / spec.access_bytes,
        config.link,
    )
    of_source: dict[str, Mapping[str, Mapping[str, Number]]] = {
        "soc": soc_prices(config.soc, config.operations),
        "nmc": units,
        "host": counted_link_prices(config.link, spec.data_rate_Hz),
        "dram": {state: {"background": fJ} for state, fJ in energies.background_fJ_per_clk.items()},
    }
    return {(source, kind): price for source, kinds in of_source.items() for kind, price in kinds.items()}


def _vector(price: Mapping[str, Number]) -> np.ndarray:
    """Return (components,) or (components, samples) float64."""
    return np.stack(np.broadcast_arrays(*(np.float64(price.get(name, 0.0)) for name in COMPONENTS)))


def _whole_vector(price: Mapping[str, Number]) -> np.ndarray:
    vector = _vector(price)
    high = ~(np.abs(vector) <= _MAX_PRICE_FJ).reshape(len(COMPONENTS), -1).all(axis=1)  # a NaN too
    if high.any():
        raise ConfigError(
            "the energy of one DRAM command is beyond all memories",
            found=", ".join(name for name, too in zip(COMPONENTS, high, strict=True) if too),
            expected=f"at most {format_energy(_MAX_PRICE_FJ)} each",
            hint="Look at the currents, voltages and capacitances of memory, link and near_memory.",
        )
    return vector.astype(np.int64) if vector.ndim == 1 else vector
