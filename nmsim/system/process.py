"""Processes of a simulation (SimPy) whose time is whole picoseconds."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeAlias, TypeVar

import simpy

_Result = TypeVar("_Result")

#: Yields the events that it waits for, and returns its result: `Process[int]`.
Process: TypeAlias = Generator[simpy.Event, Any, _Result]


class Environment(simpy.Environment):
    """A simulation in picoseconds."""

    @property
    def now(self) -> int:
        """Return the time, in ps."""
        return int(self._now)
