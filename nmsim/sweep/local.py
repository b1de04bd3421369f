"""Points one after another in this process."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from nmsim.sweep.stages import Stage

#: Results that no point at hand needs any more, kept for those of the next call.
IDLE = 32


class Engine(Protocol):
    """What carries points out."""

    def run(self, points: Sequence[Stage]) -> Iterator[tuple[Stage, Any]]:
        """Yield each point with its result, or with the exception that it ended with, as they are done."""
        ...


class Shared:
    """Results by their stages' keys, held as long as a point that is still to come needs them."""

    def __init__(self) -> None:
        self._uses: Counter[str] = Counter()
        self._held: dict[str, Any] = {}
        self._idle: OrderedDict[str, Any] = OrderedDict()

    def expect(self, points: Iterable[Stage]) -> None:
        """Count what these points need."""
        for point in points:
            self._uses.update(stage.key for stage in point.all())

    def get(self, key: str) -> Any:
        """Return a result, None where there is none."""
        if key in self._idle:
            self._held[key] = self._idle.pop(key)
        return self._held.get(key)

    def put(self, key: str, result: Any) -> None:
        """Hold a result if somebody needs it besides the point at hand."""
        self._held[key] = result

    def done(self, point: Stage) -> None:
        """Let go of what no other point needs."""
        for stage in point.all():
            self._uses[stage.key] -= 1
            if self._uses[stage.key] <= 0:
                del self._uses[stage.key]
                if stage.key in self._held and stage is not point:
                    self._idle[stage.key] = self._held.pop(stage.key)
                self._held.pop(stage.key, None)
        while len(self._idle) > IDLE:
            self._idle.popitem(last=False)


class InProcess:
    """Carries points out one after another, without any other process."""

    def __init__(self) -> None:
        self._shared = Shared()

    def run(self, points: Sequence[Stage]) -> Iterator[tuple[Stage, Any]]:
        """See `Engine.run`."""
        self._shared.expect(points)
        for point in points:
            try:
                result = self._result(point)
            except Exception as error:
                result = error
            self._shared.done(point)
            yield point, result

    def _result(self, stage: Stage) -> Any:
        found = self._shared.get(stage.key)
        if found is None:
            try:
                needs = [self._result(need) for need in stage.needs]
                found = stage.work(stage.config, stage.scheme, *needs)
            except Exception as error:
                found = error
            self._shared.put(stage.key, found)
        if isinstance(found, Exception):
            raise found
        return found
