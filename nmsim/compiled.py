"""Compiling kernels with Numba, and keeping what was compiled for as long as no source behind it has changed.

Numba asks only whether the file of a function is still the one that was compiled. What the function calls
may lie in another: a rule of the memory that is edited there would go on being obeyed as it was. Here what is
kept is good as long as every module of the function's package is what it was.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from functools import cache as once
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile

_Function = TypeVar("_Function", bound=Callable[..., Any])


def njit(*, cache: bool = False, **options: Any) -> Callable[[_Function], _Function]:
    """Return what `numba.njit` returns with these options; `cache` keeps it on disk as said above."""

    def compiled(function: _Function) -> _Function:
        kernel = numba.njit(**options)(function)
        if cache and not numba.config.DISABLE_JIT:
            kernel._cache = _KeptWithItsPackage(function)
        return cast(_Function, kernel)

    return compiled


class _KeptWithItsPackage(FunctionCache):
    def __init__(self, function: Callable[..., Any]):
        super().__init__(function)
        module = function.__module__.split(".")
        stamp = (self._impl.locator.get_source_stamp(), sources_digest(".".join(module[:2])))
        self._cache_file = IndexDataCacheFile(self._cache_path, self._impl.filename_base, stamp)


@once
def sources_digest(package: str) -> str:
    """Return a digest of all sources of a package that is being, or has been, imported."""
    digest = hashlib.sha256()
    origin = sys.modules[package].__file__
    assert origin is not None
    for source in sorted(Path(origin).parent.rglob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()
