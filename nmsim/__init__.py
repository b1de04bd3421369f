"""nmsim: energy, time and accuracy of near-memory data selection on edge boards, from one run.

import nmsim

run = nmsim.simulate(nmsim.load_config("hw_configs/lpddr4.yaml"))
run.schemes                               # a DataFrame, units in the column names
nmsim.load_run(run.path).energy           # component × phase × scheme
indices = nmsim.select(X, y, keep_ratio=0.1, method="de-sne", random_state=1)
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from nmsim._version import __version__

#: Public name -> the module that holds it, imported when first used: `nmsim --help` needs none of them.
_WHERE = {
    "load_config": "nmsim.config",
    "load_run": "nmsim.report.run",
    "select": "nmsim.selection",
    "simulate": "nmsim.simulation",
}

__all__ = ["__version__", "load_config", "load_run", "select", "simulate"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'nmsim' has no attribute {name!r}")
    value = getattr(import_module(_WHERE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
