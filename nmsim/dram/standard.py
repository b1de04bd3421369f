"""A DRAM standard as data: its timing parameters, and the table of what must wait for what."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

import yaml

from nmsim.dram.commands import COMMANDS
from nmsim.errors import ConfigError

LEVELS = ("bank", "bankgroup", "rank", "channel", "other_rank")
RESOURCES = ("cells", "power", "column", "command_bus")


@dataclass(frozen=True)
class Constraint:
    """One row of a standard's table: `following` waits `latency` clocks after `preceding`.

    Attributes
    ----------
    name : str
        The JEDEC parameter, or a short description.
    level : str
        One of `LEVELS`: what the two commands must share for the row to apply.
    preceding, following : tuple of str
        Names from `COMMANDS`.
    latency : str
        Clocks, as an expression in the standard's parameters (see `nmsim.dram.expression`).
    window : int
        The how manieth command before counts: 1 the last one, 4 for tFAW.
    resource : str
        One of `RESOURCES`: what the row protects, which decides whether near-memory commands obey it.
    table : str
        Where the row stands in the standard.
    """

    name: str
    level: str
    preceding: tuple[str, ...]
    following: tuple[str, ...]
    latency: str
    window: int
    resource: str
    table: str


@dataclass(frozen=True)
class Check:
    """A condition that sensible timings fulfil, and why."""

    that: str
    why: str


@dataclass(frozen=True)
class Standard:
    """Everything that is the same for all devices of a standard.

    Attributes
    ----------
    name, document : str
        "DDR4", "JESD79-4".
    burst_beats, beats_per_clock : int
        Beats of one burst on the data bus, and beats in a clock.
    required, optional : tuple of str
        Names of the timing parameters in clocks.
    derived : dict of str to str
        More names, as expressions in the others: those that nmsim uses for every standard.
    refresh_interval : str
        Name of the average refresh interval.
    refresh_postponed : int
        All-bank refreshes that may be postponed.
    refresh_per_bank_interval : str
        Name of the average interval of REFpb; "" where the standard has none.
    refresh_sets : str
        Into how many sets the banks of a rank fall for REFpb, which refreshes the banks b of one set: those
        with equal b modulo this. An expression in banks_per_rank, bankgroups and banks.
    constraints : tuple of Constraint
    checks : tuple of Check
    """

    name: str
    document: str
    burst_beats: int
    beats_per_clock: int
    required: tuple[str, ...]
    optional: tuple[str, ...]
    derived: dict[str, str]
    refresh_interval: str
    refresh_postponed: int
    refresh_per_bank_interval: str
    refresh_sets: str
    constraints: tuple[Constraint, ...]
    checks: tuple[Check, ...]


def standards() -> tuple[str, ...]:
    """Return the names of all standards that nmsim has a table for."""
    folder = resources.files("nmsim.dram") / "standards"
    return tuple(sorted(f.name[:-5].upper() for f in folder.iterdir() if f.name.endswith(".yaml")))


@cache
def load_standard(name: str) -> Standard:
    """Return the standard of that name ("DDR4", "LPDDR4", …).

    Raises
    ------
    ConfigError
        Where there is no such standard, or its file is damaged.
    """
    if name not in standards():
        raise ConfigError("unknown DRAM standard", found=name, expected=", ".join(standards()))
    raw = _read(name)
    rows = tuple(_constraint(row) for row in raw["constraints"])
    per_bank = raw["refresh"].get("per_bank", {})
    return Standard(
        name=raw["standard"],
        document=raw["document"],
        burst_beats=raw["burst_beats"],
        beats_per_clock=raw["beats_per_clock"],
        required=tuple(raw["required"]),
        optional=tuple(raw["optional"]),
        derived={k: str(v) for k, v in raw["derived"].items()},
        refresh_interval=raw["refresh"]["interval"],
        refresh_postponed=raw["refresh"]["postponed"],
        refresh_per_bank_interval=per_bank.get("interval", ""),
        refresh_sets=str(per_bank.get("sets", 0)),
        constraints=rows,
        checks=tuple(Check(c["that"], c["why"]) for c in raw["checks"]),
    )


def _read(name: str) -> dict:
    """Return a standard's file; a key that it leaves out is that of the standard that it `extends`."""
    file = resources.files("nmsim.dram") / "standards" / f"{name.lower()}.yaml"
    raw = yaml.safe_load(file.read_text(encoding="utf-8"))
    return {**_read(raw.pop("extends")), **raw} if "extends" in raw else raw


def _constraint(row: dict) -> Constraint:
    constraint = Constraint(
        name=row["name"],
        level=row["level"],
        preceding=tuple(row["preceding"]),
        following=tuple(row["following"]),
        latency=str(row["latency"]),
        window=row.get("window", 1),
        resource=row.get("resource", "cells"),
        table=row["table"],
    )
    unknown = {*constraint.preceding, *constraint.following} - set(COMMANDS)
    if unknown or constraint.level not in LEVELS or constraint.resource not in RESOURCES:
        raise ConfigError(
            f"row {constraint.name!r} of a standard's table cannot be read",
            found=f"{constraint.level}, {constraint.resource}, {sorted(unknown)}",
            expected=f"one of {', '.join(LEVELS)}; one of {', '.join(RESOURCES)}; known commands",
        )
    return constraint
