"""Finished pieces of work on disk: numbers, arrays and nmsim's own objects, without pickle.

A piece becomes one `.npz` file: its arrays, and under `tree` the rest as JSON. Reading makes objects of
classes of nmsim only, and calls none of their code: it fills in their attributes.
"""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nmsim.errors import StoreError
from nmsim.store import fs
from nmsim.store.reading import parse_json, read_npz

_PACKAGE = "nmsim."
_TREE = "tree"
#: Of an array. Views of a small array can be of any size (see `nmsim.data.synthetic`).
LIMIT_BYTES = 4 << 30

#: Generators whose state NumPy checks; a position in the state of MT19937 could lie outside it.
_GENERATORS = ("PCG64", "PCG64DXSM")


def write_piece(path: Path, value: Any, known: Mapping[str, np.ndarray]) -> bool:
    """Write a value; return False, and write nothing, where it holds what cannot be written.

    Parameters
    ----------
    path : Path
    value : object
        Built of None, bool, int, float, str, list, tuple, dict, slice, arrays and scalars of NumPy, its
        random generators, and objects of nmsim's classes.
    known : mapping of str to ndarray
        Large arrays that the reader has as well: they are written by their name.
    """
    writer = _Writer(known)
    try:
        tree = writer.put(value)
    except _NotWritableError:
        return False
    text = np.frombuffer(json.dumps(tree, allow_nan=False).encode(), dtype=np.uint8)
    fs.write_npz(path, compressed=False, **{_TREE: text, **writer.arrays})
    return True


def read_piece(path: Path, known: Mapping[str, np.ndarray]) -> Any:
    """Return what `write_piece` wrote, given the same `known` arrays.

    Raises
    ------
    StoreError
        Where the file is missing, damaged, or of another version of nmsim.
    """
    try:
        arrays = read_npz(path)
        return _Reader(arrays, known).take(parse_json(arrays.pop(_TREE).tobytes()))
    except Exception as error:  # a tree that was not written here can go wrong in any way that objects can
        raise StoreError(
            "what an interrupted run kept is damaged",
            file=path,
            found=" ".join(f"{type(error).__name__}: {error}".split())[:160],
            hint="Run it anew, without --resume.",
        ) from error


class _NotWritableError(Exception):
    """A value has no form on disk."""


class _Writer:
    def __init__(self, known: Mapping[str, np.ndarray]):
        self.arrays: dict[str, np.ndarray] = {}
        self._known = {_place(array): name for name, array in known.items()}
        self._seen: dict[int, int] = {}
        self._held: list[Any] = []  # an id means something only as long as its object lives

    def put(self, value: Any) -> Any:
        if value is None or (isinstance(value, bool | int | str) and not isinstance(value, np.generic)):
            return value
        if isinstance(value, float) and not isinstance(value, np.generic):
            return value if math.isfinite(value) else {"float": repr(value)}
        if isinstance(value, list):
            return [self.put(item) for item in value]
        if id(value) in self._seen:
            return {"again": self._seen[id(value)]}
        form = self._form(value)  # what it consists of is numbered before itself, as a reader makes it
        self._seen[id(value)] = len(self._held)
        self._held.append(value)
        return form

    def _form(self, value: Any) -> dict[str, Any]:
        kind = type(value)
        if isinstance(value, np.ndarray | np.generic):
            return self._array(value)
        if kind is tuple:
            return {"tuple": [self.put(item) for item in value]}
        if isinstance(value, dict):  # a Counter or a defaultdict too: nothing is added to it any more
            return {"dict": [[self.put(key), self.put(item)] for key, item in value.items()]}
        if kind is slice:
            return {"slice": [self.put(end) for end in (value.start, value.stop, value.step)]}
        if isinstance(value, np.dtype):
            return {"dtype": value.str}
        if isinstance(value, np.random.Generator):
            return {"generator": self.put(value.bit_generator.state)}
        name = f"{kind.__module__}:{kind.__qualname__}"
        if not name.startswith(_PACKAGE) or "<" in name:
            raise _NotWritableError(name)
        if isinstance(value, tuple):
            return {"named": name, "items": [self.put(item) for item in value]}
        if not hasattr(value, "__dict__"):
            raise _NotWritableError(name)
        return {"object": name, "state": self.put(dict(vars(value)))}

    def _array(self, value: np.ndarray | np.generic) -> dict[str, Any]:
        if value.dtype.hasobject:
            raise _NotWritableError("an array of objects")
        if isinstance(value, np.ndarray) and (name := self._known.get(_place(value))) is not None:
            return {"known": name}
        if value.nbytes > LIMIT_BYTES:
            raise _NotWritableError("an array that takes longer to keep than to make")
        name = f"a{len(self.arrays)}"
        self.arrays[name] = np.asarray(value)
        return {"array" if isinstance(value, np.ndarray) else "scalar": name}


class _Reader:
    def __init__(self, arrays: Mapping[str, np.ndarray], known: Mapping[str, np.ndarray]):
        self._arrays, self._known = arrays, known
        self._made: list[Any] = []

    def take(self, tree: Any) -> Any:
        if isinstance(tree, list):
            return [self.take(item) for item in tree]
        if not isinstance(tree, dict):
            return tree
        if "float" in tree:
            return float(tree["float"])
        if "again" in tree:
            return self._made[tree["again"]]
        value = self._value(*next(iter(tree.items())), tree)
        self._made.append(value)
        return value

    def _value(self, kind: str, content: Any, tree: dict[str, Any]) -> Any:
        if kind == "known":
            return self._known[content]
        if kind in ("array", "scalar"):
            return self._arrays[content] if kind == "array" else self._arrays[content][()]
        if kind == "tuple":
            return tuple(self.take(item) for item in content)
        if kind == "dict":
            return {self.take(key): self.take(item) for key, item in content}
        if kind == "slice":
            return slice(*(self.take(end) for end in content))
        if kind == "dtype":
            return np.dtype(content)
        if kind == "generator":
            state = self.take(content)
            if state["bit_generator"] not in _GENERATORS:
                raise ValueError(f"no generator {state['bit_generator']}")
            bits = getattr(np.random, state["bit_generator"])()
            bits.state = state
            return np.random.Generator(bits)
        if kind == "named":
            return tuple.__new__(_own_class(content), [self.take(item) for item in tree["items"]])
        if kind == "object":
            made: Any = object.__new__(_own_class(content))
            made.__dict__.update(self.take(tree["state"]))
            return made
        raise ValueError(f"no such kind of value: {kind}")


def _own_class(name: str) -> type:
    """Return a class of nmsim by `module:name`."""
    module, _, path = name.partition(":")
    if not module.startswith(_PACKAGE):
        raise ValueError(f"{name} is no class of nmsim")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    if not isinstance(found, type) or found.__module__ != module:
        raise ValueError(f"{name} is no class of nmsim")
    return found


def _place(array: np.ndarray) -> tuple[Any, ...]:
    return array.__array_interface__["data"][0], array.shape, array.strides, array.dtype.str
