"""`nmsim replay`: a request trace through the memory alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from nmsim.cli.board import load_board
from nmsim.cli.output import ConfigFile, Json, Overrides, picoseconds, print_json, print_table

Format = Literal["auto", "ramulator", "dramsim3", "stl", "csv"]
CommandFormat = Literal["csv", "drampower", "ramulator", "perfetto"]


def replay(
    config: ConfigFile,
    traces: Annotated[list[Path], typer.Argument(metavar="TRACE…", help="Request traces, gzipped or not.")],
    overrides: Overrides = None,
    form: Annotated[Format, typer.Option("--format", help="Format of the traces.")] = "auto",
    request_bytes: Annotated[
        int | None,
        typer.Option(
            "--bytes", min=1, max=1 << 31, help="Length of a request that names none; default: one burst."
        ),
    ] = None,
    commands: Annotated[
        Path | None,
        typer.Option(
            "--commands",
            metavar="FILE",
            help="Write the DRAM commands here; of several channels, to FILE.channelN.csv each.",
        ),
    ] = None,
    commands_format: Annotated[
        CommandFormat, typer.Option("--commands-format", help="Format of the DRAM commands.")
    ] = "csv",
    start: Annotated[
        str | None,
        typer.Option("--commands-from", metavar="TIME", help="Leave out earlier commands: '10 us'."),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--commands-until", metavar="TIME", help="Leave out commands then or later."),
    ] = None,
    threads: Annotated[
        int, typer.Option(min=1, max=64, help="Channels simulated side by side; no result depends on it.")
    ] = 1,
    as_json: Json = False,
) -> None:
    """Run request traces through the memory of a board alone.

    With --json prints one object for one trace, and a list of objects for several.
    """
    if commands is not None and len(traces) > 1:
        raise typer.BadParameter("give one trace with --commands", param_hint="--commands")
    from_ps, to_ps = picoseconds(start, "--commands-from"), picoseconds(end, "--commands-until")
    if commands is None and (commands_format != "csv" or start or end):
        raise typer.BadParameter("say where to write the commands", param_hint="--commands")
    memory = load_board(config, overrides).memory

    from nmsim.shipped import named
    from nmsim.system.parts import controller_spec, dram_spec
    from nmsim.system.replay import Commands
    from nmsim.system.replay import replay as replay_one

    spec, controller = dram_spec(memory), controller_spec(memory)
    written = None if commands is None else Commands(commands, commands_format, from_ps, to_ps)
    results = [
        replay_one(
            spec,
            controller,
            named(trace),
            format=form,
            request_bytes=request_bytes,
            commands=written,
            refresh_background=memory.refresh_background,
            threads=threads,
        )
        for trace in traces
    ]
    if as_json:
        print_json(results[0] if len(results) == 1 else results)
        return
    facts = [_facts(result) for result in results]
    rows = [(name, *(of_trace.get(name, "") for of_trace in facts)) for name in facts[0]]
    print_table(["", *(trace.name for trace in traces)], rows)


def _facts(result: dict[str, Any]) -> dict[str, str]:
    """Return the result for people, by name; the names are the same for every trace of a board."""
    from nmsim.units import format_bytes, format_energy, format_time

    return {
        "requests": f"{result['requests']:,}",
        "clocks": f"{result['clocks']:,}",
        "time": format_time(result["time_ps"]),
        "row hits": f"{result['row_hits']:,}",
        "row misses": f"{result['row_misses']:,}",
        "row conflicts": f"{result['row_conflicts']:,}",
        **{f"{name} commands": f"{count:,}" for name, count in result["commands"].items()},
        "bytes": format_bytes(result["bytes"]),
        "bandwidth": f"{result['bandwidth_GBps']:.3f} GB/s",
        **{f"{name} energy": format_energy(value) for name, value in result["energy_fJ"].items()},
        "wall time": f"{result['wall_s']:.2f} s",
        "speed": f"{result['requests_per_s'] / 1e6:.2f} M requests/s",
    }
