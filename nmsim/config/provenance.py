"""Where every physical value of a configuration comes from."""

from __future__ import annotations

from dataclasses import dataclass

from nmsim.config.schema import RunConfig, physical_values


@dataclass(frozen=True)
class Provenance:
    """A physical value, how far it is known, and who says so.

    Attributes
    ----------
    path : str
        Dotted.
    value : float
        In `unit`, the base unit of its dimension ("" for a ratio).
    unit : str
    low, high : float
        The range that the value may lie in.
    source : str
    assumed : bool
        Whether the range is ours, or the source says that the value is assumed or not verified.
    file : str
        Where the value was written; for one of the command line, its `--set`.
    line : int or None
    """

    path: str
    value: float
    unit: str
    low: float
    high: float
    source: str
    assumed: bool
    file: str
    line: int | None


def provenance(config: RunConfig) -> list[Provenance]:
    """Return every physical value of a loaded configuration, in the schema's order."""
    found = []
    for keys, q in physical_values(config):
        origin = config.origin(keys)
        source = q.source or ""
        found.append(
            Provenance(
                ".".join(map(str, keys)),
                q.value,
                q.unit,
                q.low,
                q.high,
                source,
                q.assumed,
                origin.file,
                origin.line,
            )
        )
    return found
