"""Finished points in their folder, and the table of them all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

import nmsim
from nmsim.config import RunConfig, config_hash
from nmsim.config.schema import quantities
from nmsim.energy.layers import LAYERS
from nmsim.errors import NmsimError
from nmsim.store import fs
from nmsim.store.manifest import RESOLVED_CONFIG
from nmsim.store.manifest import config_hash as hash_of
from nmsim.store.reading import read_json
from nmsim.sweep.spec import CONFIG, label

#: Folder of the points below that of the sweep, a point's files, the table of all, and the page.
POINTS, SUMMARY, ERROR, TABLE, PAGE = "points", "summary.json", "error.json", "points.csv", "index.html"

#: What a point took, by the clock; not part of the table, which is the same every time.
TIMING = "timing.json"

#: Facts of a scheme that the table has, besides the energies and what depends on their layer.
_LEARNT = ("accuracy_mean", "accuracy_sd", "seeds", "kept", "epochs")
_PLAYED = ("time_ps", "time_ps_p05", "time_ps_p95", "pcb_bytes", "simulated_share")


@dataclass(frozen=True)
class Point:
    """One point of a sweep.

    Attributes
    ----------
    values : mapping of str to object
        By path, as the sweep's file gives them.
    config : RunConfig or None
        None where the values cannot be together.
    error : str or None
        Why not.
    """

    values: Mapping[str, Any]
    config: RunConfig | None
    error: str | None = None

    @property
    def key(self) -> str:
        """Return the point's hash: of its configuration's meaning and of nmsim's version."""
        means = {"values": dict(self.values)} if self.config is None else {"config": config_hash(self.config)}
        return hash_of({**means, "nmsim": nmsim.__version__})[:12]


class Folder:
    """A sweep's folder; in `points/<hash>/` is `summary.json` of a finished point, or `error.json`."""

    def __init__(self, path: Path | str):
        self.path = fs.ensure_writable(path)

    def summary(self, point: Point) -> dict[str, Any] | None:
        """Return a finished point's summary; None where it is not finished, or its file is damaged."""
        try:
            summary = read_json(self._of(point) / SUMMARY)
        except (OSError, ValueError):
            return None
        try:
            rows = [_row(summary, scheme) for scheme in summary["schemes"]]
        except (KeyError, TypeError, AttributeError):
            return None
        return summary if rows else None

    def write(self, point: Point, summary: dict[str, Any]) -> None:
        """Write a point's summary, and its configuration, which JSON makes YAML of."""
        folder = self._of(point)
        if point.config is not None:
            fs.write_json(folder / RESOLVED_CONFIG, point.config.model_dump(mode="json", exclude_none=True))
        fs.write_json(folder / SUMMARY, summary)
        fs.remove(folder / ERROR)

    def write_error(self, point: Point, error: str) -> None:
        """Write why a point failed."""
        values = {path: label(value) for path, value in point.values.items()}
        fs.write_json(self._of(point) / ERROR, {"error": error, "values": values})

    def _of(self, point: Point) -> Path:
        return self.path / POINTS / point.key


def table(
    points: Sequence[Point], summaries: Mapping[str, dict[str, Any]], errors: Mapping[str, str]
) -> pd.DataFrame:
    """Return a row for each scheme of each point, in the sweep's order, and one for a point that failed.

    Parameters
    ----------
    points : sequence of Point
    summaries, errors : mapping
        By the points' hashes.
    """
    rows: list[dict[str, Any]] = []
    for point in points:
        common: dict[str, Any] = {"point": point.key, "status": "done", "error": ""}
        common |= _values(point)
        summary = summaries.get(point.key)
        if summary is None:
            error = errors.get(point.key, "")
            rows.append({"scheme": "", **common, "status": "failed" if error else "not run", "error": error})
            continue
        rows += [{**common, **_row(summary, scheme)} for scheme in summary["schemes"]]
    return pd.DataFrame(rows)


def _values(point: Point) -> dict[str, Any]:
    found: dict[str, Any] = {}
    physical = {} if point.config is None else quantities(point.config)
    for path, value in point.values.items():
        found[path] = Path(value).stem if path == CONFIG else label(value)
        if path in physical and physical[path].unit:
            found[f"{path} [{physical[path].unit}]"] = physical[path].value
    return found


def _row(summary: dict[str, Any], scheme: str) -> dict[str, Any]:
    facts = summary["schemes"][scheme]
    row = {"scheme": scheme, "seed": summary["seed"], "keep_ratio": summary["keep_ratio"]}
    row |= {key: math.nan if facts[key] is None else facts[key] for key in _LEARNT}
    for layer in LAYERS:
        row |= {f"{layer}_fJ{end}": facts[f"{layer}_fJ{end}"] for end in ("", "_p05", "_p95")}
    for key in ("ratio_to_full", "break_even_epochs"):
        for layer in LAYERS:
            for end in ("", "_p05", "_p95"):
                value = (facts.get(f"{key}{end}") or {}).get(layer)
                row[f"{key}_{layer}{end}"] = math.nan if value is None else value
    row |= {key: facts[key] for key in _PLAYED}
    near = summary["near_memory"]
    return row | {key: near[key] for key in ("units", "units_area_mm2", "die_share", "peak_power_W")}


def message(error: BaseException) -> str:
    """Return an error on one line, as a table holds it."""
    text = str(error) if isinstance(error, NmsimError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())
