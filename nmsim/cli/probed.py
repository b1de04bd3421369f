"""What a probe found, as it is written to files, with near memory or without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nmsim.config import RunConfig
    from nmsim.dram.spec import DramSpec


def memory_facts(spec: DramSpec) -> dict[str, Any]:
    """Return what a reader of the points needs to know of the memory."""
    return {
        "standard": spec.standard,
        "tCK_ps": spec.tCK_ps,
        "channels": spec.organization.channels,
        "ranks": spec.organization.ranks,
        "access_bytes": spec.access_bytes,
        "peak_GBps_per_channel": spec.peak_bandwidth_Bps / 1e9,
    }


def described(board: RunConfig, result: dict[str, Any], started: Any) -> dict[str, Any]:
    """Return a result with where it comes from: configuration, versions, seed."""
    from nmsim.store import manifest

    resolved = board.model_dump(mode="json", exclude={"name"})
    provenance = manifest.build_manifest(
        config=resolved, seeds=[result["load"]["seed"]], dataset_sha256="", threads=1, started=started
    )
    del provenance["dataset_sha256"]
    return {"provenance": provenance, "memory_config": resolved["memory"], **result}


def flat(point: dict[str, Any]) -> dict[str, Any]:
    """Return a point as one row of a table; a kind of request that there was none of stays empty."""
    row = {name: value for name, value in point.items() if not isinstance(value, dict)}
    for kind in ("read", "write"):
        for statistic in ("mean", "ci95", "p50", "p95", "p99", "min"):
            row[f"{kind}_{statistic}_ns"] = point[f"{kind}_ns"].get(statistic, float("nan"))
    return row
