"""How long commands occupy what they work on."""

from __future__ import annotations

from nmsim.dram.spec import DramSpec

_CLOCKS = {
    "ACT": "nRCD",
    "PREpb": "nRPpb",
    "PREab": "nRPab",
    "RD": "nBL",
    "WR": "nBL",
    "RDA": "nBL",
    "WRA": "nBL",
    "REFpb": "nRFCpb",
    "REFab": "nRFCab",
}


def command_durations(spec: DramSpec) -> dict[str, int]:
    """Return for commands how long each occupies what it works on, in clocks; others take one clock."""
    return {command: spec.clocks[name] for command, name in _CLOCKS.items() if name in spec.clocks}
