"""What is wrong with a board, its schemes or their training, said before any work is done."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from nmsim.config.memory import Memory
from nmsim.config.schema import RunConfig
from nmsim.dram.address import AddressMap
from nmsim.dram.controller import check_controller
from nmsim.dram.spec import check_rail
from nmsim.energy.logic import node_energy_factor
from nmsim.energy.rails import stated_rails
from nmsim.errors import ConfigError
from nmsim.schemes import Scheme
from nmsim.selection.configured import check_schemes
from nmsim.system.parts import controller_spec, dram_spec
from nmsim.training import Recipe


def check_board(config: RunConfig) -> None:
    """Refuse a board that cannot be, that its schemes cannot run on, or that its backend does not train for.

    Raises
    ------
    ConfigError
        With the file and line of the value that the message names; of several, of the one given last.
    """
    memory, near_memory, npu = config.memory, config.near_memory, config.soc.npu
    values: dict[str, Callable[[], object]] = {
        "memory.controller.address_map": lambda: _check_address_map(config),
        "near_memory.node_nm": lambda: node_energy_factor(near_memory.node_nm.value),
        "soc.npu.node_nm": lambda: node_energy_factor(npu.node_nm.value),
        "near_memory.data_placement": lambda: _check_placement(config),
        **{
            ".".join((*config.selection.path(scheme.method), "scope")): partial(_check_scope, config, scheme)
            for scheme in _near_memory(config)
        },
        "training.network": lambda: Recipe.of(config.training),
    }
    sections: dict[str, Callable[[], object]] = {
        **{
            f"memory.rails.{name}": partial(check_rail, name, rail)
            for name, rail in stated_rails(memory).items()
        },
        "memory": lambda: dram_spec(memory),
        "memory.rails": lambda: _check_ranges_of_currents(memory),
        "memory.controller": lambda: check_controller(dram_spec(memory), controller_spec(memory)),
        "schemes": lambda: check_schemes(config),
    }
    for section, check in (sections | values).items():
        try:
            check()
        except ConfigError as error:
            if error.file is not None:  # a standard's file knows its own line
                raise
            if section in values:
                error.message = f"{section}: {error.message}"
            named = re.findall(r"[A-Za-z]\w*", f"{error.message} {error.found} {error.expected}")
            paths = [path for path in config.known_paths(section) if path.rsplit(".", 1)[-1] in named]
            deepest = [path for path in paths if not any(other.startswith(f"{path}.") for other in paths)]
            origins = [config.origin(path) for path in deepest or [section]]
            origin = next((o for o in origins if o.line is None), origins[-1])
            error.file, error.line = origin.file, origin.line
            raise


def _near_memory(config: RunConfig) -> list[Scheme]:
    return [scheme for scheme in map(Scheme.parse, config.schemes) if scheme.near_memory]


def _check_address_map(config: RunConfig) -> None:
    fields = config.memory.controller.address_map
    mapped = AddressMap(dram_spec(config.memory), fields)
    if config.near_memory.mode_switch.reserved_rows and not mapped.has_rows_on_top:
        raise ConfigError(
            "near_memory.mode_switch needs the last row of every bank for its accesses, and this address map "
            "spreads data over it",
            found=f"address_map {fields}",
            expected="one that begins with Ro",
            hint="Put Ro first, or set park_reads and register_writes of near_memory.mode_switch to 0.",
        )


def _check_ranges_of_currents(memory: Memory) -> None:
    """Refuse ranges whose low ends, or high ends, together are no memory."""
    spec = dram_spec(memory)
    for end in ("low", "high"):
        try:
            replace(spec, rails=stated_rails(memory, end))
        except ConfigError as error:
            error.message = f"at the {end} ends of the ranges, {error.message}"
            error.hint = "A part draws less, or more, in all states together: mend the ranges."
            raise


def _check_placement(config: RunConfig) -> None:
    if _near_memory(config) and config.near_memory.data_placement == "interleaved":
        raise ConfigError(
            "an interleaved image lies in several banks, so no near-memory unit holds it",
            expected="striped or class_per_bank for schemes with @nmc",
        )


def _check_scope(config: RunConfig, scheme: Scheme) -> None:
    channels, given = config.memory.organization.channels, config.selection.parameters(scheme.method)
    if given.get("scope") == "global" and channels > 1:
        raise ConfigError(
            "a map of all classes needs units that reach all images, and no path joins the channels",
            found=f"{channels} channels",
            hint=f"Take scope: per_class, or memory.organization.channels: 1, or leave {scheme} out.",
        )
