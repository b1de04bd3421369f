"""`nmsim trace`: sum up an energy trace, convert it, or check the commands of a trace or file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nmsim.cli.board import load_board
from nmsim.cli.output import Json, Overrides, note, picoseconds, print_json, print_table

if TYPE_CHECKING:
    from nmsim.dram.spec import DramSpec
    from nmsim.trace.checking import Verdict

app = typer.Typer(help="Sum up an energy trace, convert it, or check its commands.", no_args_is_help=True)

TracePath = Annotated[
    Path, typer.Argument(metavar="RUN|TRACE", help="A run's folder, its trace, or one part.")
]
#: Where a run keeps the configuration that it ran with.
RESOLVED_CONFIG = "config.resolved.yaml"


@app.command()
def summary(path: TracePath, as_json: Json = False) -> None:
    """Print commands, bytes and energy by scheme, phase and command."""
    from nmsim.trace.reader import open_trace
    from nmsim.units import format_bytes, format_energy

    trace = open_trace(path)
    frame = trace.summary()
    if as_json:
        total = int(frame["energy_fJ"].sum())
        groups = frame.to_dict(orient="records")
        print_json({"path": str(path), "rows": trace.rows, "energy_fJ": total, "groups": groups})
        return
    rows = [
        (g.scheme, g.phase, g.cmd, f"{g.count:,}", format_bytes(g.bytes), format_energy(g.energy_fJ))
        for g in frame.itertuples()
    ]
    print_table(["scheme", "phase", "command", "count", "bytes", "energy"], rows, text=3)
    typer.echo(f"rows: {trace.rows:,}; energy: {format_energy(frame['energy_fJ'].sum())}")


@app.command("export", help="The same as convert.")
@app.command()
def convert(
    path: TracePath,
    to: Annotated[
        Literal["csv", "perfetto", "drampower", "ramulator"], typer.Option("--to", help="Format to write.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="File to write.")],
    start: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Leave out what starts earlier: '10 us'.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Leave out what starts then or later.")
    ] = None,
    scheme: Annotated[str | None, typer.Option("--scheme", help="Only this scheme.")] = None,
    phase: Annotated[str | None, typer.Option("--phase", help="Only this phase.")] = None,
    channel: Annotated[int | None, typer.Option("--channel", help="Only this channel.")] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="CONFIG",
            help="Board of the trace, to check commands against; the run's own where RUN names a run.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a trace as CSV, for ui.perfetto.dev, or as a command trace of DRAMPower 5 or Ramulator 2.

    All but CSV get the single commands only; how many aggregated rows were left out is printed.
    """
    from nmsim.system.board import controller_spec, dram_spec
    from nmsim.trace.exporters.window import Window
    from nmsim.trace.reader import open_trace

    window = Window(picoseconds(start, "--from"), picoseconds(end, "--until"), scheme, phase, channel)
    trace = open_trace(path)
    if to == "csv":
        from nmsim.trace.exporters.csv import export_csv

        done = export_csv(trace, out, window)
    elif to == "perfetto":
        from nmsim.trace.exporters.perfetto import export_perfetto

        board = _board(path, config)
        spec = None if board is None else dram_spec(load_board(board).memory)
        done = export_perfetto(trace, out, window, spec=spec)
    else:
        from nmsim.trace.exporters.energy_trace import export_commands

        board = _board(path, config)
        if board is None:
            raise typer.BadParameter("a command trace needs the board of this trace", param_hint="--config")
        memory = load_board(board).memory
        done = export_commands(trace, out, dram_spec(memory), to, window, controller_spec(memory).refresh)
    if as_json:
        print_json({"file": str(out), **vars(done)})
        return
    typer.echo(f"{out}: {done.rows:,} rows")
    if done.left_out_rows:
        from nmsim.units import format_energy

        left_out = f"{done.left_out_rows:,} ({format_energy(done.left_out_energy_fJ)})"
        note(f"aggregated rows left out: {left_out}; --set trace.level=access has every command")


@app.command()
def check(
    path: Annotated[
        Path, typer.Argument(metavar="RUN|TRACE|FILE", help="A run or its trace, or a file of DRAM commands.")
    ],
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="CONFIG", help="Board of the commands; the run's own where RUN names a run."
        ),
    ] = None,
    overrides: Overrides = None,
    part: Annotated[
        bool,
        typer.Option("--part", help="FILE begins in the midst of a run: what came before is not known."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Check DRAM commands against the rules of their standard; exit with 1 where one is broken.

    FILE is what `nmsim replay --commands` writes. A trace is checked as far as it has single commands.
    """
    from nmsim.dram.controller import check_controller
    from nmsim.system.board import controller_spec, dram_spec
    from nmsim.trace.checking import check_file, check_trace
    from nmsim.trace.reader import is_trace, open_trace

    file = _board(path, config)
    if file is None:
        raise typer.BadParameter("commands need the board that they were made with", param_hint="--config")
    board = load_board(file, overrides)
    spec, controller = dram_spec(board.memory), controller_spec(board.memory)
    check_controller(spec, controller)
    if is_trace(path):
        simultaneous_act = board.near_memory.max_simultaneous_act
        verdict = check_trace(open_trace(path), spec, controller.refresh, simultaneous_act)
    else:
        verdict = check_file(path, spec, controller.refresh, from_start=not part)
    if as_json:
        found = [
            {**vars(f.violation), **{k: v for k, v in vars(f).items() if k != "violation"}}
            for f in verdict.first
        ]
        print_json({"path": str(path), "standard": spec.standard, **vars(verdict), "first": found})
    else:
        _print_verdict(path, spec, verdict)
    if verdict.violations:
        raise typer.Exit(1)


def _print_verdict(path: Path, spec: DramSpec, verdict: Verdict) -> None:
    if verdict.first:
        rows = []
        for found in verdict.first:
            v = found.violation
            place = f"rank {v.rank}" + (f", group {v.bankgroup}, bank {v.bank}" if v.bank >= 0 else "")
            legal = "never" if v.earliest_clk is None else f"{v.earliest_clk:,}"
            where = (
                f"line {found.line}" if found.line else f"{found.scheme}, {found.phase}, ch {found.channel}"
            )
            rows.append((v.rule, v.table, v.command, place, where, f"{v.clk:,}", legal))
        print_table(["rule", "standard", "command", "to", "where", "clock", "legal from"], rows, text=5)
    more = verdict.violations - len(verdict.first)
    typer.echo(
        f"{path}: {verdict.commands:,} commands, {verdict.rules} rules of {spec.standard}: "
        f"{verdict.violations:,} violations" + (f" (the last {more:,} not shown)" if more else "")
    )
    if verdict.unchecked:
        stretches = f"{verdict.stretches} stretches without a gap were checked"
        note(f"{stretches}; {verdict.unchecked:,} commands are in the trace as sums only, and were not")
    if not verdict.has_end:
        note(f"{path} has no END line: it may lack its last commands")


def _board(path: Path, config: Path | None) -> Path | None:
    """Return the board given, or the run's own; None where there is none."""
    own = path / RESOLVED_CONFIG
    return config or (own if own.is_file() else None)
