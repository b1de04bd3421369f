"""What a training has one of for each epoch, made when it is asked for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TypeVar, overload

_Value = TypeVar("_Value")


class ByEpoch(Sequence[_Value]):
    """A sequence over epochs whose values are made anew each time, because all together they are many."""

    @abstractmethod
    def of_epoch(self, epoch: int) -> _Value:
        """Return the value of an epoch; raise IndexError where there is none."""

    @overload
    def __getitem__(self, epochs: int) -> _Value: ...

    @overload
    def __getitem__(self, epochs: slice) -> list[_Value]: ...

    def __getitem__(self, epochs: int | slice) -> _Value | list[_Value]:
        """Return the value of an epoch, or a list of several."""
        if isinstance(epochs, slice):
            return [self.of_epoch(epoch) for epoch in range(*epochs.indices(len(self)))]
        return self.of_epoch(epochs)
