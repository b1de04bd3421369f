"""A DRAM standard as data: its timing parameters, and the table of what must wait for what."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from nmsim.config.yaml_tree import Origin, Path_, read_yaml
from nmsim.dram.commands import COMMANDS
from nmsim.dram.expression import evaluate
from nmsim.errors import ConfigError, suggestion

LEVELS = ("bank", "bankgroup", "rank", "channel", "other_rank")
RESOURCES = ("cells", "power", "column", "command_bus")

#: What nmsim reads by these names, whatever the standard: each is required of the user or derived.
NEEDED = ("nBL", "nCL", "nCWL", "nRCD", "nRAS", "nRC", "nRPpb", "nRPab", "nRFCab", "nREFI", "nCCD")


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
    return tuple(sorted(f.stem.upper() for f in _folder().glob("*.yaml")))


def _folder() -> Path:
    return Path(str(resources.files("nmsim.dram") / "standards"))


@cache
def load_standard(name: str) -> Standard:
    """Return a standard.

    Parameters
    ----------
    name : str
        "DDR4", "LPDDR4", …; or the path of a file of one's own, which ends in .yaml (docs/howto/standard.md).

    Raises
    ------
    ConfigError
        Where there is no such standard, or its file is damaged: with file, line, and what is expected.
    """
    if name.endswith(".yaml"):
        return _Reader(*_read(Path(name))).standard()
    if name not in standards():
        known = standards()
        raise ConfigError(
            "unknown DRAM standard", found=name, expected=", ".join(known), hint=suggestion(name, known)
        )
    return _Reader(*_read(_folder() / f"{name.lower()}.yaml")).standard()


def _read(path: Path) -> tuple[dict[str, Any], dict[Path_, Origin]]:
    """Return a standard's file; a key that it leaves out is that of the standard that it `extends`."""
    raw, origins = read_yaml(path)
    base = raw.pop("extends", None)
    if base is None:
        return raw, origins
    if base not in standards():
        file, line = origins["extends",].file, origins["extends",].line
        expected = ", ".join(standards())
        raise ConfigError("`extends` names no standard", file=file, line=line, found=base, expected=expected)
    base_raw, base_origins = _read(_folder() / f"{base.lower()}.yaml")
    inherited = {k: v for k, v in base_origins.items() if k and k[0] not in raw}
    return {**base_raw, **raw}, inherited | origins


class _Reader:
    """Takes a standard's file apart, and refuses what it cannot mean."""

    def __init__(self, raw: dict[str, Any], origins: dict[Path_, Origin]):
        self._raw, self._origins = raw, origins

    def standard(self) -> Standard:
        """Return what the file says."""
        required = (
            "standard",
            "document",
            "burst_beats",
            "beats_per_clock",
            "required",
            "refresh",
            "constraints",
        )
        raw = self._mapping((), self._raw, required, ("optional", "derived", "checks"))
        names = {key: self._texts((key,), raw.get(key, [])) for key in ("required", "optional")}
        derived = {k: str(v) for k, v in self._mapping(("derived",), raw.get("derived", {})).items()}
        known = dict.fromkeys(names["required"], 1)
        for name, text in derived.items():
            self._expression(("derived", name), text, known)
            known[name] = 1
        for name in NEEDED:
            if name not in known:
                hint = "Put it under `required`, or under `derived` as an expression in other names."
                raise self._error(
                    ("required",), f"{name} is missing, which nmsim needs of every standard", hint=hint
                )
        refresh = self._mapping(
            ("refresh",), raw["refresh"], ("interval", "postponed"), ("per_bank", "table")
        )
        self._expression(("refresh", "interval"), refresh["interval"], known)
        per_bank = self._mapping(
            ("refresh", "per_bank"), refresh.get("per_bank", {}), (), ("interval", "sets")
        )
        if per_bank:
            self._mapping(("refresh", "per_bank"), per_bank, ("interval", "sets"))
            self._expression(("refresh", "per_bank", "interval"), per_bank["interval"], known)
            parts = dict.fromkeys(("banks_per_rank", "bankgroups", "banks"), 1)
            self._expression(("refresh", "per_bank", "sets"), per_bank["sets"], parts)
            if "nRFCpb" not in known:
                raise self._error(
                    ("refresh", "per_bank"), "per-bank refresh needs nRFCpb", found="no such timing"
                )
        rows = self._list(("constraints",), raw["constraints"])
        return Standard(
            name=self._text(("standard",), raw["standard"]),
            document=self._text(("document",), raw["document"]),
            burst_beats=self._number(("burst_beats",), raw["burst_beats"]),
            beats_per_clock=self._number(("beats_per_clock",), raw["beats_per_clock"]),
            required=names["required"],
            optional=names["optional"],
            derived=derived,
            refresh_interval=refresh["interval"],
            refresh_postponed=self._number(("refresh", "postponed"), refresh["postponed"], 0),
            refresh_per_bank_interval=per_bank.get("interval", ""),
            refresh_sets=str(per_bank.get("sets", 0)),
            constraints=tuple(self._constraint(i, row, known) for i, row in enumerate(rows)),
            checks=tuple(
                self._check(i, c, known) for i, c in enumerate(self._list(("checks",), raw.get("checks", [])))
            ),
        )

    def _constraint(self, index: int, row: Any, known: dict[str, int]) -> Constraint:
        at: Path_ = ("constraints", index)
        row = self._mapping(
            at, row, ("name", "level", "preceding", "following", "latency", "table"), ("window", "resource")
        )
        self._one_of((*at, "level"), row["level"], LEVELS)
        self._one_of((*at, "resource"), row.get("resource", "cells"), RESOURCES)
        for key in ("preceding", "following"):
            for i, command in enumerate(self._texts((*at, key), row[key])):
                self._one_of((*at, key, i), command, COMMANDS)
        self._expression((*at, "latency"), row["latency"], known)
        return Constraint(
            name=self._text((*at, "name"), row["name"]),
            level=row["level"],
            preceding=tuple(row["preceding"]),
            following=tuple(row["following"]),
            latency=str(row["latency"]),
            window=self._number((*at, "window"), row.get("window", 1)),
            resource=row.get("resource", "cells"),
            table=self._text((*at, "table"), row["table"]),
        )

    def _check(self, index: int, check: Any, known: dict[str, int]) -> Check:
        check = self._mapping(("checks", index), check, ("that", "why"))
        self._expression(("checks", index, "that"), check["that"], known)
        return Check(check["that"], self._text(("checks", index, "why"), check["why"]))

    def _mapping(
        self, at: Path_, value: Any, required: Iterable[str] = (), optional: Iterable[str] | None = None
    ) -> dict[str, Any]:
        """Return `value`, a mapping with these keys; with `optional` None and nothing required, any keys."""
        if not isinstance(value, dict):
            raise self._error(at, "expected a mapping of keys to values", found=value)
        required, known = tuple(required), {*required, *(optional or ())}
        if required or optional is not None:
            for key in value:
                if key not in known:
                    hint = suggestion(key, known) or f"Known: {', '.join(sorted(known))}."
                    raise self._error((*at, key), "unknown key", found=key, hint=hint)
        for key in required:
            if key not in value:
                raise self._error(at, f"the key {key!r} is missing", expected=", ".join(required))
        return value

    def _list(self, at: Path_, value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise self._error(at, "expected a list", found=value)
        return value

    def _texts(self, at: Path_, value: Any) -> tuple[str, ...]:
        return tuple(self._text((*at, i), v) for i, v in enumerate(self._list(at, value)))

    def _text(self, at: Path_, value: Any) -> str:
        if not isinstance(value, str) or not value:
            raise self._error(at, "expected a text", found=value)
        return value

    def _number(self, at: Path_, value: Any, least: int = 1) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 1024:
            raise self._error(at, "expected a whole number", found=value, expected=f"{least} to 1024")
        return value

    def _one_of(self, at: Path_, value: Any, known: tuple[str, ...]) -> None:
        if value not in known:
            expected = f"one of {', '.join(known)}"
            raise self._error(
                at, "unknown value", found=value, expected=expected, hint=suggestion(value, known)
            )

    def _expression(self, at: Path_, text: Any, known: dict[str, int]) -> None:
        if isinstance(text, bool) or not isinstance(text, str | int):
            raise self._error(at, "expected an expression over clock counts", found=text)
        try:
            evaluate(text, known)
        except ConfigError as error:
            raise self._error(at, error.args[0], expected="names under `required` or `derived`") from None

    def _error(self, at: Path_, message: str, **more: Any) -> ConfigError:
        nearest = next(o for n in range(len(at), -1, -1) if (o := self._origins.get(at[:n])) is not None)
        where = ".".join(map(str, at)) or "standard"
        return ConfigError(f"{where}: {message}", file=nearest.file, line=nearest.line, **more)
