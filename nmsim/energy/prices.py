"""What each command, operation, bit and second costs on one board: the price list of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nmsim.config.schema import RunConfig
from nmsim.energy.components import COMPONENTS
from nmsim.energy.exchange import exchange_prices
from nmsim.energy.link import counted_link_prices, link_energy
from nmsim.energy.near_memory import near_memory_prices
from nmsim.energy.on_die import REACH, way_share
from nmsim.energy.soc import soc_prices
from nmsim.energy.values import Number, whole
from nmsim.errors import ConfigError
from nmsim.units import format_energy

#: DRAM commands that move data -> the same without the precharge that some bring along.
COLUMN_COMMANDS = {"RD": "RD", "WR": "WR", "RDA": "RD", "WRA": "WR"}

#: A joule; whole memories take microseconds to take as much.
_MAX_PRICE_FJ = 10**15

#: Whoever causes a DRAM command; "dram" is the memory itself.
SOURCES = ("host", "nmc", "dram")


@dataclass(frozen=True)
class DramPrices:
    """Energies of one channel's devices, in fJ.

    Attributes
    ----------
    command_fJ : mapping of str to int or ndarray
        One command of each kind, on all devices of a rank together.
    refresh_background_fJ : int or ndarray
        The part of a REFab that is background (see `nmsim.energy.idd.CommandEnergies`).
    background_fJ_per_clk : mapping of str to int or ndarray
        One rank in each background state, for one clock.
    access_bytes : int
        Bytes of one column command.
    data_rate_Hz : float
        Bits per second on one data pin.
    """

    command_fJ: Mapping[str, Number]
    refresh_background_fJ: Number
    background_fJ_per_clk: Mapping[str, Number]
    access_bytes: int
    data_rate_Hz: float


class PriceList:
    """Energy vectors (one number per component, in fJ) of everything that a ledger counts.

    Parameters
    ----------
    config : RunConfig
        The board. Where its values are arrays, one for each of many samples, so are the prices.
    dram : DramPrices
        Its memory.
    command_names : sequence of str
        DRAM command of each row of a ledger's counts.
    """

    def __init__(self, config: RunConfig, dram: DramPrices, command_names: Sequence[str]):
        self.command_names = tuple(command_names)
        self.command_bytes = {n: dram.access_bytes if n in COLUMN_COMMANDS else 0 for n in self.command_names}
        self._work = {key: _vector(price) for key, price in _work_prices(config, dram).items()}
        self._commands = {
            (name, source): _whole_vector(_command_price(config, dram, name, source))
            for name in self.command_names
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
        """Return the vector of a DRAM command or of a unit of work, named as `Ledger.counts` names it."""
        return self.command(name, source) if name in self.command_bytes else self.work(name, source)


def _command_price(config: RunConfig, dram: DramPrices, name: str, source: str) -> dict[str, Number]:
    energy = dram.command_fJ.get(name, 0)
    if name not in COLUMN_COMMANDS:
        component = {"ACT": "act", "REFab": "ref", "REFpb": "ref"}.get(name, "pre")
        # Where a refresh's time is charged at another background, that part of it is background.
        background = dram.refresh_background_fJ if name == "REFab" else 0
        return {component: energy - background, "background": background}
    kind = COLUMN_COMMANDS[name]
    access, placement = dram.command_fJ[kind], config.near_memory.placement
    reach = REACH[placement if source == "nmc" else "host"]
    on_die = config.memory.on_die
    column = whole(access * way_share(on_die, REACH["bank"]))
    price = {
        "pre": energy - access,
        kind.lower(): column,
        "on_die_bus": whole(access * way_share(on_die, reach)) - column,
    }
    counted = source == "host" and config.link.data_dependent
    if (source == "host" and not counted) or (source == "nmc" and placement == "rank"):
        bits = 8 * dram.access_bytes
        link = link_energy(config.link, dram.data_rate_Hz)
        price["phy"] = whole(bits * link.phy_fJ_per_bit)
        price["termination"] = whole(bits * link.termination_fJ_per_bit)
        if source == "host":  # a buffer chip sits beside the DRAM: no trace, no SoC controller
            price["trace"] = whole(bits * link.trace_fJ_per_bit)
            price["controller"] = whole(bits * link.controller_fJ_per_bit)
    return price


def _work_prices(config: RunConfig, dram: DramPrices) -> dict[tuple[str, str], Mapping[str, Number]]:
    units = near_memory_prices(config.near_memory, config.operations) | exchange_prices(
        config.near_memory,
        config.memory.organization,
        config.memory.on_die,
        dram.command_fJ["RD"] / dram.access_bytes,
        config.link,
        dram.data_rate_Hz,
    )
    of_source: dict[str, Mapping[str, Mapping[str, Number]]] = {
        "soc": soc_prices(config.soc, config.operations),
        "nmc": units,
        "host": counted_link_prices(config.link, dram.data_rate_Hz),
        "dram": {state: {"background": energy} for state, energy in dram.background_fJ_per_clk.items()},
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
