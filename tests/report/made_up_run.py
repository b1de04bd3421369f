"""A small run folder, made up: every file that a run leaves, from one table of phases and rows.

The energies have the size of a small edge board's, so that pictures look like a real run's; which numbers
they are does not matter to any test, only that the folder's files agree with each other.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import yaml

from nmsim.energy.components import COMPONENTS, DDR_COMPONENTS
from nmsim.trace.schema import trace_table

LAYER_KEYS = ("dataset_ddr_energy", "ddr_energy", "system_energy")
CLASSES = 10
#: fJ of one 32-byte access by component: from the host, and from a unit beside the bank.
HOST_ACCESS = {"rd": 113_000, "on_die_bus": 575_000, "phy": 246_000, "termination": 404_000}
HOST_ACCESS |= {"trace": 9_000, "controller": 256_000, "act": 24_000, "pre": 12_000}
NEAR_ACCESS = {"rd": 113_000, "act": 24_000, "pre": 12_000}
ACCESS_BYTES = 32


def _phases(scheme: str, keep: float, images: int) -> dict[str, dict]:
    """Return {phase: time_ps, host and near accesses of images, operations by component in fJ}."""
    accesses = images * 3072 // ACCESS_BYTES
    kept = 1.0 if scheme == "full" else keep
    seconds = 6.0 * kept
    training = {
        "time_ps": int(seconds * 1e12),
        "host": int(accesses * 8 * kept),
        "soc_compute": int(0.9e15 * kept),
        "soc_sram": int(0.12e15 * kept),
        "soc_static": int(0.5e15 * seconds),
        "background": int(0.055e15 * seconds),
        "ref": int(0.004e15 * seconds),
    }
    phases = {}
    if scheme.startswith("de-sne"):
        near = scheme.endswith("@nmc")
        work = "nmc_compute" if near else "soc_compute"
        for phase, share in (
            ("features", 0.01),
            ("distances", 0.04),
            ("affinities", 0.02),
            ("embedding", 0.13),
        ):
            phases[phase] = {
                "time_ps": int(share * 1e12 * (1 if near else 2)),
                work: int(share * 0.3e15),
                "soc_static": int(share * 0.5e15),
                "background": int(share * 0.055e15),
                ("near" if near else "host"): accesses if phase == "features" else accesses // 50,
            }
        if near:
            phases = {"mode_switch": {"time_ps": 2_000_000, "cpu": 4_000_000}} | phases
        phases["sampling"] = {"time_ps": 3_000_000_000, "cpu": 2_000_000_000}
    if scheme != "full":
        phases["indices"] = {"time_ps": 20_000_000, "cpu": 30_000_000, "host": 300}
    return phases | {"training": training}


def _rows(scheme: str, phase: str, facts: dict, single: int, start_ps: int, rng) -> list[dict]:
    """Return trace rows: the first `single` accesses one by one, the rest a row per bank, then the work."""
    common = {"scheme": scheme, "phase": phase, "t_ps": start_ps}
    # Near memory the classes lie unevenly on the banks; the host's reads are striped.
    weights = {"host": np.full(16, 1 / 16), "near": np.arange(8, 24) / 248}
    rows = []
    for source, prices in (("host", HOST_ACCESS), ("near", NEAR_ACCESS)):
        count = facts.get(source, 0)
        who = {"cmd": "RD", "source": "nmc" if source == "near" else "host", "array": "images"}
        firsts = min(single, count)
        places = rng.integers(0, 16, firsts)
        rest = rng.multinomial(count - firsts, weights[source])
        # Single accesses have a row and a time of their own, 5 ns apart; sums have neither.
        counts = [(int(p), 1, i) for i, p in enumerate(places)]
        counts += [(p, int(n), -1) for p, n in enumerate(rest) if n]
        rows += [
            common
            | who
            | {
                "channel": p // 8,
                "rank": 0,
                "bankgroup": 0,
                "bank": p % 8,
                "count": n,
                "bytes": n * ACCESS_BYTES,
                "row": 0 if place >= 0 else -1,
                "t_ps": start_ps + 5_000 * max(place, 0),
                "dur_ps": 5_000 if place >= 0 else 0,
            }
            | {f"{name}_fJ": price * n for name, price in prices.items()}
            for p, n, place in counts
        ]
    for name in COMPONENTS:
        if name in facts:
            source = COMPONENTS[name][1]
            kind = {"background": "STANDBY", "ref": "REFab", "soc_static": "STATIC"}.get(name, "mac_fp16")
            rows.append(common | {"cmd": kind, "source": source, "count": 1, f"{name}_fJ": facts[name]})
    return rows


def _work(rows: pd.DataFrame, side: str) -> dict[str, int]:
    """Return ten operations for each byte that this side moved, all of the host's on its NPU."""
    moved = int(rows.loc[rows["source"] == side, "bytes"].sum())
    return {"operations": 10 * moved, "bytes": moved} | ({"cpu_operations": 0} if side == "host" else {})


def _bands(facts: dict, spread: float) -> dict:
    found = {}
    for end, factor in (("p05", 1 / spread), ("p95", spread)):
        for key in (*(f"{layer}_fJ" for layer in LAYER_KEYS), "time_ps"):
            found[f"{key}_{end}"] = round(facts[key] * factor)
        for key in ("ratio_to_full", "break_even_epochs"):
            values = facts[key]
            found[f"{key}_{end}"] = values and {layer: value * factor for layer, value in values.items()}
    ratios = facts["ratio_to_full"]
    shares = {layer: float(ratio * spread < 1) or 0.25 for layer, ratio in (ratios or {}).items()}
    return found | {"saves_share": shares or None}


def _tornado(facts: dict, spread: float) -> dict:
    return {
        layer: [{"factor": "link.phy", "at_low": ratio / spread, "at_high": ratio * spread}]
        for layer, ratio in (facts["ratio_to_full"] or {}).items()
    }


def make_run(
    folder: Path,
    *,
    schemes: tuple[str, ...] = ("full", "random", "de-sne@nmc", "de-sne@host"),
    accuracy: dict[str, tuple[float, float]] | None = None,
    images: int = 12_000,
    single: int = 40,
    parts: int = 2,
    dataset: str = "glyphs",
    simulated_share: float = 1.0,
    with_trace: bool = True,
    with_map: bool = True,
    spread: float | None = 1.2,
    length_mm: float = 30,
) -> Path:
    """Write a run folder whose summary, energy table and trace agree, and return it.

    Bands go from each value over `spread` to it times `spread`, and one factor alone moves the ratios so far.
    """
    rng = np.random.default_rng(7)
    accuracy = {"full": (0.962, 0.002), "random": (0.894, 0.006)} | (accuracy or {})
    keep = 0.1
    all_rows, facts_of = [], {}
    for scheme in schemes:
        phases, clock = _phases(scheme, keep, images), 0
        start = len(all_rows)
        for phase, facts in phases.items():
            all_rows += _rows(scheme, phase, facts, single, clock, rng)
            clock += facts["time_ps"]
        facts_of[scheme] = (phases, all_rows[start:])
    frame = pd.DataFrame(all_rows)
    numbers = frame.columns.difference(["scheme", "phase", "cmd", "source", "array"])
    frame[numbers] = frame[numbers].fillna(0).astype("int64")
    frame["array"] = frame["array"].fillna("")
    priced = [f"{name}_fJ" for name in COMPONENTS if f"{name}_fJ" in frame]
    frame["energy_fJ"] = frame[priced].sum(axis=1)
    frame.loc[frame["array"] == "", ["channel", "rank", "bankgroup", "bank", "row"]] = -1

    summary_schemes = {}
    for scheme in schemes:
        phases, _ = facts_of[scheme]
        own = frame[frame["scheme"] == scheme]
        energy = {name: int(own[f"{name}_fJ"].sum()) if f"{name}_fJ" in own else 0 for name in COMPONENTS}
        ddr = [f"{name}_fJ" for name in DDR_COMPONENTS if f"{name}_fJ" in own]
        host = own[own["source"] == "host"]
        mean, sd = accuracy.get(scheme, (0.897, 0.005))
        summary_schemes[scheme] = {
            "accuracy_mean": mean,
            "accuracy_sd": sd,
            "accuracies": [mean - sd, mean, mean + sd],
            "seeds": 3,
            "epochs": 8,
            "kept": images if scheme == "full" else int(images * keep),
            "energy_fJ": energy | {"total": sum(energy.values())},
            "dataset_ddr_energy_fJ": int(own.loc[own["array"] == "images", ddr].to_numpy().sum()),
            "ddr_energy_fJ": int(own[ddr].to_numpy().sum()),
            "system_energy_fJ": int(own["energy_fJ"].sum()),
            "time_ps": sum(facts["time_ps"] for facts in phases.values()),
            "pcb_bytes": int(host["bytes"].sum()),
            "pcb_bytes_before_training": int(host.loc[host["phase"] != "training", "bytes"].sum()),
            "phases": {
                phase: {
                    "time_ps": facts["time_ps"],
                    "energy_fJ": int(own.loc[own["phase"] == phase, "energy_fJ"].sum()),
                    "pcb_bytes": int(host.loc[host["phase"] == phase, "bytes"].sum()),
                    "work": {side: _work(own[own["phase"] == phase], side) for side in ("host", "nmc")},
                }
                for phase, facts in phases.items()
            },
            "simulated_share": simulated_share,
            "row_hits": 9_000,
            "row_misses": 100,
            "row_conflicts": 900,
            "energy_per_epoch_fJ": {
                "first": 10**12,
                "min": 10**12,
                "max": 11 * 10**11,
                "simulated": 8,
                "of": 8,
            },
        }
    for facts in summary_schemes.values():
        full = summary_schemes.get("full")
        ratios = full and {key: facts[f"{key}_fJ"] / full[f"{key}_fJ"] for key in LAYER_KEYS}
        facts["ratio_to_full"] = ratios if full is not facts else None
        facts["break_even_epochs"] = dict.fromkeys(LAYER_KEYS, 1.25) if ratios and full is not facts else None
        if spread is not None:
            facts |= _bands(facts, spread)
    folder.mkdir(parents=True)
    total = frame["scheme"].map(str)  # keep the schemes' order in the tidy table
    tidy = frame.assign(scheme=total).groupby(["scheme", "phase"], sort=False)[priced].sum()
    tidy.columns = pd.Index([name.removesuffix("_fJ") for name in priced], name="component")
    tidy.stack().rename("energy_fJ").reset_index().to_csv(folder / "energy.csv", index=False)
    summary = {
        "name": "lpddr4",
        "hash": "ab" * 32,
        "seed": 1,
        "keep_ratio": keep,
        "dataset": {
            "name": dataset,
            "n_train": images,
            "n_test": 2000,
            "shape": [32, 32, 3],
            "classes": CLASSES,
            "sha256": "cd" * 32,
        },
        "board": {
            "memory": "LPDDR4",
            "channels": 2,
            "placement": "bank",
            "units": 16,
            "link_length_mm": 30.0,
        },
        "peaks": {
            "host": {"operations_per_s": 5e11, "cpu_operations_per_s": 1.6e10, "bytes_per_s": 12.8e9},
            "nmc": {"operations_per_s": 5e10, "bytes_per_s": 1e11},
        },
        "training": {"network": "cnn-s", "epochs": 8, "batch_size": 64},
        "trace": {"level": "window" if with_trace else "off", "rows": len(frame), "rows_per_phase": single},
        "uncertainty": spread
        and {
            "samples": 2000,
            "tornado": {name: _tornado(facts, spread) for name, facts in summary_schemes.items()},
        },
        "assumed": ["near_memory.dram_process_penalty", "link.controller"],
        "schemes": summary_schemes,
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    length = {"value": length_mm, "unit": "mm", "source": "made up", "range": [10, 80]}
    settings = {"name": "lpddr4", "seed": 1, "link": {"length": length}, "schemes": list(schemes)}
    (folder / "config.resolved.yaml").write_text(yaml.safe_dump(settings))
    manifest = {
        "manifest_version": 1,
        "status": "complete",
        "nmsim_version": "0.1.0",
        "git_revision": "0123456789abcdef0123456789abcdef01234567",
        "config_sha256": "ab" * 32,
        "dataset_sha256": "cd" * 32,
        "seeds": [1, 2, 3],
        "python": "3.11.2",
        "packages": {"numpy": "2.0.0", "numba": "0.60.0"},
        "platform": "Linux",
        "cpu": "a processor",
        "cpu_count": 2,
        "threads": 2,
        "started": "2025-01-01T10:00:00Z",
        "ended": "2025-01-01T10:00:30Z",
        "peak_memory_bytes": 900_000_000,
        "command": "nmsim run hw_configs/lpddr4.yaml",
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    for scheme in schemes:
        draw = np.random.default_rng(
            list(scheme.partition("@")[0].encode())
        )  # both sides of a method select alike
        kept = np.sort(draw.choice(images, summary_schemes[scheme]["kept"], replace=False)).astype(np.int64)
        np.save(folder / f"selected_indices.{scheme.replace('@', '-').replace('/', '')}.npy", kept)
    if with_trace:
        (folder / "trace").mkdir()
        texts = {
            name: frame[name].to_numpy(dtype=object) for name in ("scheme", "phase", "cmd", "source", "array")
        }
        values = {name: frame[name].to_numpy() for name in frame.columns if name not in texts}
        table = trace_table(texts | values, len(frame))
        cuts = np.linspace(0, len(frame), parts + 1).astype(int)
        for index, (a, b) in enumerate(pairwise(cuts)):
            pq.write_table(table.slice(a, b - a), folder / "trace" / f"part-{index:05d}.parquet")
    if with_map:
        labels = np.arange(images) % CLASSES
        points = rng.normal(0, 6, (images, 2)) + rng.choice([-14, 0, 12], (images, 2))
        chosen = np.flatnonzero(rng.random(images) < keep)
        np.savez(
            folder / "selection.npz", embedding=points.astype(np.float32), labels=labels, selected=chosen
        )
    return folder
