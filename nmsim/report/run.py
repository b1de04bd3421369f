"""A finished run, read back: its summary and tables, with units in every column name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nmsim.energy.components import COMPONENTS
from nmsim.energy.layers import LAYERS
from nmsim.errors import DataError, StoreError
from nmsim.schemes import Scheme
from nmsim.store.manifest import read_manifest
from nmsim.store.reading import check_regular, read_json, read_npy, read_npz

_COUNTS: tuple[str, ...]
_COUNTS = ("kept", "seeds", "epochs", "time_ps", "pcb_bytes", "pcb_bytes_before_training")
_COUNTS += tuple(f"{layer}_fJ" for layer in LAYERS)
_REALS = ("accuracy_mean", "accuracy_sd", "simulated_share")
_OUTCOMES = ("row_hits", "row_misses", "row_conflicts")
#: Arrays of a selection's map.
_MAP = ("embedding", "labels", "selected")
_WHOLE = ("labels", "selected", "pictured")
_ENERGY_COLUMNS = ["scheme", "phase", "component", "energy_fJ"]


@dataclass(frozen=True, eq=False)
class Run:
    """What a run folder holds.

    Attributes
    ----------
    path : Path
        The folder.
    manifest, summary : dict
        `manifest.json` (provenance) and `summary.json` as they stand there.
    schemes : DataFrame
        A row per scheme in the run's order: accuracies as shares of 1, energies in fJ, times in ps, ratios to
        the scheme `full`, and the epochs of training after which the scheme has cost less than `full` has.
        Where there is no such number, NaN.
    energy : DataFrame
        Columns scheme, phase, component, energy_fJ.
    phases : DataFrame
        Columns scheme, phase, time_ps, energy_fJ, pcb_bytes.
    bands : DataFrame
        Columns scheme, quantity (a column of `schemes`), p05, p95: where 90 % of the boards lie that could be
        this one; NaN where there is no such end (a break-even never reached). No rows where none were drawn.
    trace_files : tuple of Path
        The parts of the trace in order; none where the run kept no trace.
    """

    path: Path
    manifest: dict[str, Any]
    summary: dict[str, Any]
    schemes: pd.DataFrame
    energy: pd.DataFrame
    phases: pd.DataFrame
    bands: pd.DataFrame
    trace_files: tuple[Path, ...]

    def indices(self, scheme: str) -> np.ndarray:
        """Return which training images `scheme` kept, as the data set's file counts them: int64, sorted.

        Where a fifth of the file's images became the test part (`summary["dataset"]["split"]`), none of it is
        among them.

        Raises
        ------
        DataError
            Where the run has no such scheme.
        StoreError
            Where the scheme's file is missing or damaged.
        """
        if scheme not in self.summary["schemes"]:
            raise DataError(
                "this run has no such scheme",
                file=self.path,
                found=scheme,
                expected=", ".join(self.summary["schemes"]),
            )
        path = self.path / f"selected_indices.{Scheme.parse(scheme).file_name}.npy"
        return read_array(path)

    def selection(self) -> dict[str, np.ndarray] | None:
        """Return the selection's map: `embedding` (n, 2), `labels` (n,), `selected`; None without one.

        `selected` are rows of `embedding`. With it come `pictured`, rows too, and `pictures`, what these
        look like, where the run kept any.

        Raises
        ------
        StoreError
            Where the file is damaged.
        """
        path = self.path / "selection.npz"
        if not path.exists():
            return None
        try:
            arrays = read_npz(path, (*_MAP, "pictured", "pictures"))
        except (OSError, ValueError) as error:
            raise StoreError("the selection's map is damaged", file=path, found=_one_line(error)) from error
        missing = [name for name in _MAP if name not in arrays]
        found = f"no {missing[0]}" if missing else _damage(arrays)
        if found:
            raise StoreError(
                "the selection's map is damaged",
                file=path,
                found=found,
                expected="a point (x, y) and a label for each image, and selected numbers among them",
            )
        return arrays


def _damage(arrays: Mapping[str, np.ndarray]) -> str | None:
    """Return what is wrong with a selection's map, None where nothing is."""
    points, labels = arrays["embedding"], arrays["labels"]
    if points.dtype.kind != "f" or not np.isfinite(points).all():
        return f"an embedding of {points.dtype} that is not finite"
    if labels.ndim != 1 or any(arrays[name].dtype.kind not in "iu" for name in arrays if name in _WHOLE):
        return f"labels {labels.shape} of {labels.dtype}"
    shape, n = points.shape, len(labels)
    for name in ("selected", "pictured"):
        numbers = arrays.get(name, np.empty(0, dtype=np.int64))
        if (
            shape != (n, 2)
            or numbers.ndim != 1
            or (len(numbers) and not 0 <= numbers.min() <= numbers.max() < n)
        ):
            return f"embedding {shape}, {n} labels, {len(numbers)} {name}"
    if "pictured" in arrays:
        pictures = arrays.get("pictures", np.empty(0))
        if (
            pictures.ndim != 4
            or pictures.dtype != np.uint8
            or len(pictures) != len(arrays["pictured"])
            or pictures.shape[-1] not in (1, 3)
        ):
            return f"{len(arrays['pictured'])} pictured, pictures {pictures.shape}"
    return None


def load_run(path: Path | str, manifest: Mapping[str, Any] | None = None) -> Run:
    """Return the run that a folder holds.

    Parameters
    ----------
    path : Path or str
        The run's folder.
    manifest : mapping, optional
        The manifest of a run that is being written and has none on disk yet.

    Raises
    ------
    DataError
        Where there is no such folder.
    StoreError
        Where it is no finished run, or one of its files is missing or damaged.
    """
    path = Path(path)
    if not path.is_dir():
        raise DataError("there is no run here", file=path, hint="Name the folder of a run.")
    manifest = read_manifest(path) if manifest is None else dict(manifest)
    summary = _read_summary(path / "summary.json")
    schemes, phases = _tables(summary, path / "summary.json")
    energy = _read_energy(path / "energy.csv", set(schemes["scheme"]))
    trace_files = tuple(sorted(path.glob("trace/part-*.parquet"), key=lambda p: (len(p.name), p.name)))
    return Run(
        path, manifest, summary, schemes, energy, phases, _bands(summary, path / "summary.json"), trace_files
    )


def read_array(path: Path) -> np.ndarray:
    """Return the array of an `.npy` file that holds no pickled objects, or raise StoreError."""
    try:
        return read_npy(path)
    except FileNotFoundError:
        raise StoreError("a file of this run is missing", file=path, hint="Run it again.") from None
    except (OSError, ValueError) as error:
        raise StoreError("this is no NumPy array", file=path, found=_one_line(error)) from error


def _one_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _read_summary(path: Path) -> dict[str, Any]:
    try:
        summary = read_json(path)
    except FileNotFoundError:
        raise StoreError("a file of this run is missing", file=path, hint="Run it again.") from None
    except (OSError, ValueError) as error:
        raise StoreError("the summary is damaged", file=path, found=_one_line(error)) from error
    if (
        not isinstance(summary, dict)
        or not isinstance(summary.get("schemes"), dict)
        or not summary["schemes"]
    ):
        raise StoreError(
            "the summary is damaged", file=path, expected="a run's schemes", hint="Run it again."
        )
    return summary


def _tables(summary: dict[str, Any], path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    schemes, phases = [], []
    scheme = key = ""
    try:
        for scheme, facts in summary["schemes"].items():
            row: dict[str, Any] = {"scheme": scheme}
            for key in _REALS:
                untrained = key == "accuracy_mean" and facts[key] is None
                row[key] = math.nan if untrained else _number(facts[key])
            for key in _COUNTS:
                row[key] = _count(facts[key])
            for key in _OUTCOMES:
                row[key] = _count(facts.get(key, 0))
            for key, suffix in (("ratio_to_full", ""), ("break_even_epochs", "_epochs")):
                name = key.removesuffix("_to_full").removesuffix("_epochs")
                for layer in LAYERS:
                    value = (facts.get(key) or {}).get(layer)
                    row[f"{name}_{layer}{suffix}"] = math.nan if value is None else _number(value)
            schemes.append(row)
            key = "phases"
            phases += [
                {
                    "scheme": scheme,
                    "phase": phase,
                    **{name: _count(values[name]) for name in ("time_ps", "energy_fJ", "pcb_bytes")},
                }
                for phase, values in facts["phases"].items()
            ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(
            f"the summary is damaged: scheme {scheme}, {key}",
            file=path,
            found=f"{type(error).__name__} {_one_line(error)}",
            hint="Run it again.",
        ) from error
    columns = ["scheme", "phase", "time_ps", "energy_fJ", "pcb_bytes"]
    return pd.DataFrame(schemes), pd.DataFrame(phases, columns=columns)


def outside_bands(run: Run) -> pd.DataFrame:
    """Return the rows of `Run.bands` whose end is on the wrong side of what the run came to.

    A band is of boards with every value somewhere in its range; a run takes values as they are stated, and
    some are stated at an end of theirs, such as a data sheet's largest currents.
    """
    stated = run.schemes.set_index("scheme").stack()
    places = pd.MultiIndex.from_frame(run.bands[["scheme", "quantity"]])
    values = stated.reindex(places).astype(float).to_numpy()
    return run.bands[(values < run.bands["p05"]) | (values > run.bands["p95"])]


def _bands(summary: dict[str, Any], path: Path) -> pd.DataFrame:
    rows = []
    for scheme, facts in summary["schemes"].items():
        ends: dict[str, list[Any]] = {}
        for end in ("p05", "p95"):
            for layer in LAYERS:
                ends.setdefault(f"{layer}_fJ", []).append(facts.get(f"{layer}_fJ_{end}"))
                for key, name in (
                    ("ratio_to_full", f"ratio_{layer}"),
                    ("break_even_epochs", f"break_even_{layer}_epochs"),
                ):
                    by_layer = facts.get(f"{key}_{end}")
                    ends.setdefault(name, []).append(
                        by_layer.get(layer) if isinstance(by_layer, dict) else by_layer
                    )
            ends.setdefault("time_ps", []).append(facts.get(f"time_ps_{end}"))
        try:
            for name, both in ends.items():
                if any(value is not None for value in both):
                    low, high = (math.nan if value is None else _number(value) for value in both)
                    rows.append((scheme, name, low, high))
        except ValueError as error:
            raise StoreError(
                f"the summary is damaged: scheme {scheme}, the band of {name}",
                file=path,
                found=_one_line(error),
                hint="Run it again.",
            ) from error
    return pd.DataFrame(rows, columns=["scheme", "quantity", "p05", "p95"])


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{str(value)[:40]!r} is not a number")
    if not abs(value) < 2**1023:  # a NaN neither
        raise ValueError("a number beyond all quantities")
    return float(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise ValueError(f"{str(value)[:40]!r} is not a whole number of at least 0")
    return value


def _read_energy(path: Path, schemes: set[str]) -> pd.DataFrame:
    try:
        check_regular(path)
        frame = pd.read_csv(path, keep_default_na=False, dtype={"scheme": str, "phase": str})
    except FileNotFoundError:
        raise StoreError("a file of this run is missing", file=path, hint="Run it again.") from None
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise StoreError("the energy table is damaged", file=path, found=_one_line(error)) from error
    if list(frame.columns) != _ENERGY_COLUMNS or not pd.api.types.is_integer_dtype(frame["energy_fJ"]):
        found, expected = ",".join(map(str, frame.columns)), ",".join(_ENERGY_COLUMNS) + " in whole fJ"
        raise StoreError("the energy table is damaged", file=path, found=found, expected=expected)
    total = sum(map(int, frame["energy_fJ"]))
    if frame["energy_fJ"].min() < 0 or total >= 2**63:  # sums of these columns would turn over
        found = "a negative energy" if total < 2**63 else f"{total:.3g} fJ in all"
        raise StoreError("the energy table is damaged", file=path, found=found, expected="0 to 2^63 fJ")
    strangers = sorted((set(frame["component"]) - set(COMPONENTS)) | (set(frame["scheme"]) - schemes))
    if strangers:
        raise StoreError("the energy table has unknown names", file=path, found=", ".join(strangers))
    return frame
