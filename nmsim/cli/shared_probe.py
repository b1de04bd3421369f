"""`nmsim probe --near-memory`: what a host sees of a memory whose banks stream rows by themselves."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nmsim.cli.output import note, print_json, print_table, progress
from nmsim.cli.probed import described, flat, memory_facts
from nmsim.config.board import HOST_POLICIES
from nmsim.errors import ConfigError

if TYPE_CHECKING:
    from nmsim.config import RunConfig
    from nmsim.dram.spec import DramSpec
    from nmsim.system.probe import Load
    from nmsim.system.shared_probe import SharedPoint


def probe_shared(
    board: RunConfig, load: Load, host_policy: str | None, out: Path | None, as_json: bool, started: Any
) -> None:
    """Load the memory beside near memory and print, or write, what host and units get.

    Raises
    ------
    ConfigError
        Where a policy is unknown, or the units read through the pins as a host does.
    typer.Exit
        With code 1 where something was faster than possible.
    """
    from nmsim.energy.placement import PLACEMENTS
    from nmsim.system.parts import controller_spec, dram_spec
    from nmsim.system.shared_probe import NearMemoryLoad, shared_latency

    policies = _policies(host_policy, board)
    near, placement = board.near_memory, PLACEMENTS[board.near_memory.placement]
    if placement.over_pins:
        origin = board.origin("near_memory.placement")
        inside = " or ".join(name for name, other in PLACEMENTS.items() if not other.over_pins)
        raise ConfigError(
            "placement: a unit at the rank reads through the pins, as the host does",
            found=near.placement,
            expected=f"{inside} for --near-memory",
            file=origin.file,
            line=origin.line,
        )
    spec, controller = dram_spec(board.memory), controller_spec(board.memory)
    sites = placement.sites(spec.organization)
    work = NearMemoryLoad(spec.banks_per_channel // sites, near.max_simultaneous_act)
    with progress() as tell:
        points, wrong = shared_latency(spec, controller, load, policies, work, tell)
    result = {
        "memory": memory_facts(spec),
        "load": asdict(load),
        "near_memory": asdict(work),
        "points": [asdict(point) for point in points],
        "faster_than_possible": wrong,
    }
    if out is not None:
        _write(out, board, spec, result, started)
    if as_json:
        print_json(result)
    else:
        _print(spec, points)
    if wrong:
        note(f"{len(wrong)} times faster than possible; the first: {wrong[0]}")
        raise typer.Exit(1)


def _policies(words: str | None, board: RunConfig) -> tuple[str, ...]:
    if words is None:
        return (board.near_memory.host_policy,)
    chosen = HOST_POLICIES if words == "all" else tuple(dict.fromkeys(words.split(",")))
    unknown = set(chosen) - set(HOST_POLICIES)
    if unknown:
        raise ConfigError(
            "--host-policy is unknown", found=min(unknown), expected=f"{', '.join(HOST_POLICIES)}, or all"
        )
    return chosen


def _write(out: Path, board: RunConfig, spec: DramSpec, result: dict[str, Any], started: Any) -> None:
    """Write shared_latency.png, .csv and .json."""
    import pandas as pd

    from nmsim.dram.bounds import unloaded_clk
    from nmsim.report.loaded_latency import shared_latency
    from nmsim.store import fs

    folder = fs.ensure_writable(out)
    rows = []
    for point in result["points"]:
        host = point["host"]
        shared = {name: value for name, value in point.items() if name != "host"}
        rows.append(shared | {"host_waits": host is None} | (flat(host) if host else {}))
    unloaded = {name: clk * spec.tCK_ps * 1e-3 for name, clk in unloaded_clk(spec).items()}
    peak = result["memory"]["peak_GBps_per_channel"]
    title = f"{board.name}: {spec.standard}, {peak:.4g} GB/s a channel, beside near memory in its banks"
    table = pd.DataFrame(rows)
    table["saturated"] = table["saturated"].astype("boolean").fillna(False).astype(bool)
    shared_latency(table, unloaded, peak, title).save(folder)
    fs.write_json(folder / "shared_latency.json", described(board, result, started))
    note(f"written: {folder / 'shared_latency.png'}, shared_latency.csv, shared_latency.json")


def _print(spec: DramSpec, points: list[SharedPoint]) -> None:
    channels = spec.organization.channels
    typer.echo(f"  One channel of {channels}; latencies of the host's reads (of writes, without reads);")
    typer.echo("  bandwidths in GB/s.")
    lines: dict[tuple[Any, ...], list[SharedPoint]] = {}
    for point in points:
        kind = point.host and (point.host.read_fraction, point.host.random_share)
        lines.setdefault((point.host_policy, point.busy, kind), []).append(point)
    head = ["policy", "near memory in", "reads", "random", "nearly idle", "last stable", "there", "p99 there"]
    head += ["saturated at", "near memory there", "alone"]
    rows, waits = [], []
    for (policy, _, kind), line in lines.items():
        first = line[0]
        where = f"{first.near_banks} of {spec.banks_per_channel}"
        alone = f"{first.near_alone_GBps:.2f}" if first.near_banks else ""
        if kind is None:
            waits.append(f"  {policy}, near memory in {where} banks: the host's requests wait until it has")
            waits[-1] += f" finished; it gets {alone} GB/s."
            continue
        row = [policy, where, *(f"{share:.0%}" for share in kind)]
        stable = [p for p in line if p.host and not p.host.saturated]
        if stable:
            least, last = min(stable, key=_rate), max(stable, key=_rate)
            row += [
                f"{_latency(least)['mean']:.0f} ns",
                f"{last.host.achieved_GBps:.2f}" if last.host else "",
            ]
            row += [f"{_latency(last)[of]:.0f} ns" for of in ("mean", "p99")]
        else:
            row += ["–"] * 4
        full = [p.host.achieved_GBps for p in line if p.host and p.host.saturated]
        row.append(f"{max(full):.2f}" if full else "–")
        rows.append([*row, f"{last.near_GBps:.2f}" if alone and stable else "", alone])
    print_table(head, rows, text=2)
    for text in waits:
        typer.echo(text)


def _latency(point: SharedPoint) -> dict[str, float]:
    return (point.host.read_ns or point.host.write_ns) if point.host else {}


def _rate(point: SharedPoint) -> float:
    return point.host.rate if point.host else 0.0
