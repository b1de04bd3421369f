"""`nmsim probe`: a memory's latency over bandwidth, checked against what paper allows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmsim.cli.board import load_board
from nmsim.cli.output import ConfigFile, Json, Overrides, note, print_json, print_table, progress
from nmsim.cli.probed import described, flat, memory_facts
from nmsim.errors import ConfigError

if TYPE_CHECKING:
    from nmsim.config import RunConfig
    from nmsim.dram.spec import DramSpec
    from nmsim.system.bound_checks import Finding
    from nmsim.system.probe import Load, Point


def probe(
    config: ConfigFile,
    overrides: Overrides = None,
    read_fraction: Annotated[
        str | None, typer.Option("--read-fraction", metavar="A,B,…", help="Shares of reads, 0 to 1.")
    ] = None,
    random_share: Annotated[
        str | None,
        typer.Option("--random-share", metavar="A,B,…", help="0: one burst after another … 1: all random."),
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option("--rate", metavar="A,B,…", help="Offered shares of the peak; 0.05 to 1.1 where absent."),
    ] = None,
    arrivals: Annotated[str, typer.Option("--arrivals", help="poisson or even gaps.")] = "poisson",
    requests: Annotated[
        int | None, typer.Option("--requests", help="Requests of each point; 60,000 where absent.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Instead of the board's.")] = None,
    near_memory: Annotated[
        bool,
        typer.Option(
            "--near-memory", help="Beside units that stream rows from none, half, all of the banks."
        ),
    ] = False,
    host_policy: Annotated[
        str | None,
        typer.Option(
            "--host-policy", metavar="A,B,…|all", help="What the host may do then: the board's, or these."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Write the figure, its numbers and where from."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Load a memory step by step: latency over bandwidth.

    One channel with its own controller and address map. Exit code 1: something was faster than possible.
    """
    board = load_board(config, overrides)

    from nmsim.store import manifest
    from nmsim.system.bound_checks import check_bounds
    from nmsim.system.parts import controller_spec, dram_spec
    from nmsim.system.probe import RATES, REQUESTS, Load, loaded_latency

    if host_policy is not None and not near_memory:
        raise ConfigError("--host-policy goes with --near-memory")
    load = Load(
        _numbers("--read-fraction", read_fraction or ("1" if near_memory else "1,0.67,0.5")),
        _numbers("--random-share", random_share or ("0,1" if near_memory else "0,0.5,1")),
        RATES if rate is None else _numbers("--rate", rate),
        arrivals,
        REQUESTS if requests is None else requests,
        board.seed if seed is None else seed,
        refine=rate is None,
    )
    started = manifest.now()
    if near_memory:
        from nmsim.cli.shared_probe import probe_shared

        probe_shared(board, load, host_policy, out, as_json, started)
        return
    spec, controller = dram_spec(board.memory), controller_spec(board.memory)
    with progress() as tell:
        findings = check_bounds(spec, controller)
        points, wrong = loaded_latency(spec, controller, load, tell)
    wrong += [f"{f.name}: {f.measured:g} {f.unit}, {f.verdict}" for f in findings if not f.holds]
    result = _result(spec, load, findings, points, wrong)
    if out is not None:
        _write(out, board, result, started)
    if as_json:
        print_json(result)
    else:
        _print(spec, findings, points)
    if wrong:
        note(f"{len(wrong)} times faster than possible; the first: {wrong[0]}")
        raise typer.Exit(1)


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise ConfigError(f"{option} takes numbers, separated by commas", found=repr(text)) from None


def _result(
    spec: DramSpec, load: Load, findings: list[Finding], points: list[Point], wrong: list[str]
) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "memory": memory_facts(spec),
        "load": asdict(load),
        "bounds": [finding.as_dict() for finding in findings],
        "points": [asdict(point) for point in points],
        "faster_than_possible": wrong,
    }


def _write(out: Path, board: RunConfig, result: dict[str, Any], started: Any) -> None:
    """Write loaded_latency.png, loaded_latency.csv and probe.json."""
    import pandas as pd

    from nmsim.report.loaded_latency import loaded_latency
    from nmsim.store import fs

    folder = fs.ensure_writable(out)
    clk_ns = result["memory"]["tCK_ps"] * 1e-3
    rows = [flat(point) for point in result["points"]]
    bounds = {f["name"]: f["bound"] for f in result["bounds"] if f["unit"] == "GB/s"}
    unloaded = {
        f["name"].removeprefix("unloaded "): f["bound"] * clk_ns
        for f in result["bounds"]
        if f["unit"] == "clk"
    }
    memory = result["memory"]
    channels = f", one of {memory['channels']} channels" if memory["channels"] > 1 else ""
    title = f"{board.name}: {memory['standard']}, {memory['peak_GBps_per_channel']:.4g} GB/s{channels}"
    loaded_latency(pd.DataFrame(rows), bounds, unloaded, title, memory["ranks"]).save(folder)
    fs.write_json(folder / "probe.json", described(board, result, started))
    note(f"written: {folder / 'loaded_latency.png'}, loaded_latency.csv, probe.json")


def _print(spec: DramSpec, findings: list[Finding], points: list[Point]) -> None:
    digits = {"clk": 0, "GB/s": 3}
    rows = [
        (
            f.name.replace("_", " "),
            f.traffic,
            f.verdict,
            f"{f.measured:.{digits[f.unit]}f} {f.unit}",
            f"{f.bound:.{digits[f.unit]}f} {f.unit}",
            f"{f.ratio:.4f}",
        )
        for f in findings
    ]
    print_table(["bound", "traffic", "verdict", "measured", "bound", "ratio"], rows, text=3)
    for finding in findings:
        if finding.why:
            typer.echo(f"  {finding.name.replace('_', ' ')}: {finding.why}.")
    channels = spec.organization.channels
    typer.echo(f"\n  The curve, one channel of {channels}; latencies of reads (of writes, without reads):")
    head = [
        "reads",
        "random",
        "nearly idle",
        "at half load",
        "last stable",
        "there",
        "p99 there",
        "saturated at",
    ]
    lines: dict[tuple[float, float], list[Point]] = {}
    for point in points:
        lines.setdefault((point.read_fraction, point.random_share), []).append(point)
    print_table(head, [_line(spec, line) for line in lines.values()], text=0)


def _line(spec: DramSpec, line: list[Point]) -> list[str]:
    """Return a line of the curve in one row: how it begins, where it bends, where it ends."""
    line = sorted(line, key=lambda point: point.rate)
    first = line[0]
    stable = [point for point in line if not point.saturated]
    full = [point for point in line if point.saturated]

    def latency(point: Point) -> str:
        found = point.read_ns or point.write_ns
        margin = f" ± {found['ci95']:.1f}" if "ci95" in found else ""
        return f"{found['mean']:.1f}{margin} ns"

    row = [f"{first.read_fraction:.0%}", f"{first.random_share:.0%}"]
    if stable:
        last = stable[-1]
        half = min(stable, key=lambda point: abs(point.achieved_GBps - last.achieved_GBps / 2))
        p99 = (last.read_ns or last.write_ns)["p99"]
        row += [
            latency(stable[0]),
            latency(half),
            f"{last.achieved_GBps:.2f} GB/s",
            latency(last),
            f"{p99:.0f} ns",
        ]
    else:
        row += ["–"] * 5
    if full:
        share = max(p.achieved_GBps for p in full) / (spec.peak_bandwidth_Bps / 1e9)
        row.append(f"{max(p.achieved_GBps for p in full):.2f} GB/s ({share:.0%} of peak)")
    else:
        row.append("not reached")
    return row
