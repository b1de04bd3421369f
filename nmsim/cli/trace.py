"""`nmsim trace`: look at an energy trace, convert it, or check the commands of a trace or file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nmsim.cli.board import load_board
from nmsim.cli.output import Json, Overrides, note, picoseconds, print_json, print_table

if TYPE_CHECKING:
    from nmsim.dram.spec import DramSpec
    from nmsim.trace.checking import Verdict
    from nmsim.trace.exporters.window import Window

app = typer.Typer(help="Look at an energy trace, convert it, or check its commands.", no_args_is_help=True)

TracePath = Annotated[
    Path, typer.Argument(metavar="RUN|TRACE", help="A run's folder, its trace, or one part.")
]
FromTime = Annotated[
    str | None, typer.Option("--from", metavar="TIME", help="Leave out what starts earlier: '10 us'.")
]
_UNTIL_HELP = "Leave out what starts then or later."
UntilTime = Annotated[str | None, typer.Option("--until", "--to", metavar="TIME", help=_UNTIL_HELP)]
Scheme = Annotated[str | None, typer.Option("--scheme", help="Only this scheme.")]
Phase = Annotated[str | None, typer.Option("--phase", help="Only this phase.")]
ChannelNumber = Annotated[
    int | None, typer.Option("--channel", min=0, max=(1 << 15) - 1, help="Only this channel.")
]
#: What `head` shows people of a row; --json has all columns.
_HEAD: tuple[str, ...]
_HEAD = ("t_ps", "dur_ps", "scheme", "phase", "cmd", "channel", "rank", "bankgroup", "bank", "row", "col")
_HEAD += ("bytes", "source", "row_outcome", "array", "count", "energy_fJ")


@app.command()
def summary(
    path: TracePath,
    start: FromTime = None,
    end: UntilTime = None,
    scheme: Scheme = None,
    phase: Phase = None,
    channel: ChannelNumber = None,
    as_json: Json = False,
) -> None:
    """Print commands, bytes and energy by scheme, phase and command."""
    from nmsim.trace.exporters.window import nothing_in, rows_of
    from nmsim.trace.reader import SUMMARY_COLUMNS, open_trace
    from nmsim.units import format_bytes, format_energy

    window, trace = _window(start, end, scheme, phase, channel), open_trace(path)
    columns = [*SUMMARY_COLUMNS, "channel"]
    frame = trace.summary(rows_of(trace, window, columns))
    if frame.empty and window.text:
        raise nothing_in(trace, window)
    _note_unfinished(path)
    total = sum(frame["energy_fJ"].tolist())  # of several schemes it may pass 64 bits
    if as_json:
        n_rows, groups = int(frame["rows"].sum()), frame.to_dict(orient="records")
        print_json({"path": str(path), "rows": n_rows, "energy_fJ": total, "groups": groups})
        return
    rows = [
        (g.scheme, g.phase, g.cmd, f"{g.count:,}", format_bytes(g.bytes), format_energy(g.energy_fJ))
        for g in frame.itertuples()
    ]
    print_table(["scheme", "phase", "command", "count", "bytes", "energy"], rows, text=3)
    typer.echo(f"rows: {frame['rows'].sum():,}; energy: {format_energy(total)}")


@app.command()
def head(
    path: TracePath,
    rows: Annotated[int, typer.Option("--rows", "-n", min=1, max=(1 << 63) - 1, help="How many.")] = 20,
    start: FromTime = None,
    end: UntilTime = None,
    scheme: Scheme = None,
    phase: Phase = None,
    channel: ChannelNumber = None,
    as_json: Json = False,
) -> None:
    """Print the first rows of a trace, or of a part of it; --json has all columns."""
    from nmsim.trace.exporters.window import nothing_in, rows_of
    from nmsim.trace.reader import open_trace
    from nmsim.trace.schema import SCHEMA

    window, trace = _window(start, end, scheme, phase, channel), open_trace(path)
    found: list[dict[str, Any]] = []
    for batch in rows_of(trace, window, list(SCHEMA.names)):
        found += batch.slice(0, rows - len(found)).to_pylist()
        if len(found) == rows:
            break
    if not found and window.text:
        raise nothing_in(trace, window)
    _note_unfinished(path)
    if as_json:
        print_json({"path": str(path), "rows": found})
        return
    texts = {"scheme", "phase", "cmd", "source", "row_outcome", "array"}
    shown = [name for name in _HEAD if name in texts] + [name for name in _HEAD if name not in texts]
    cells = ([f"{row[n]:,}" if n not in texts else row[n] or "" for n in shown] for row in found)
    print_table(shown, cells, text=len(texts))


@app.command()
def plot(
    path: TracePath,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the figures go.")] = Path("plots"),
    bins: Annotated[int, typer.Option("--bins", min=1, max=10_000, help="Steps of time of a figure.")] = 200,
    start: FromTime = None,
    end: UntilTime = None,
    scheme: Scheme = None,
    phase: Phase = None,
    channel: ChannelNumber = None,
    as_json: Json = False,
) -> None:
    """Draw power, accesses of each bank and row outcomes over time; prints the files it wrote."""
    from nmsim.report.over_time import over_time
    from nmsim.trace.bins import bin_trace
    from nmsim.trace.reader import open_trace

    window, trace = _window(start, end, scheme, phase, channel), open_trace(path)
    figures = over_time(bin_trace(trace, bins, window))
    files = [str(file) for figure in figures for file in figure.save(out)]
    _note_unfinished(path)
    if as_json:
        print_json({"files": files})
    else:
        typer.echo("\n".join(files))


@app.command("export", help="The same as convert.")
@app.command()
def convert(
    path: TracePath,
    to: Annotated[
        Literal["csv", "perfetto", "drampower", "ramulator"], typer.Option("--to", help="Format to write.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="File to write.")],
    start: FromTime = None,
    end: Annotated[str | None, typer.Option("--until", metavar="TIME", help=_UNTIL_HELP)] = None,
    scheme: Scheme = None,
    phase: Phase = None,
    channel: ChannelNumber = None,
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
    from nmsim.store import fs
    from nmsim.system.parts import controller_spec, dram_spec
    from nmsim.trace.reader import open_trace

    window, trace = _window(start, end, scheme, phase, channel), open_trace(path)
    board = _board(path, config)
    fs.check_output(out, [*trace.files, *([] if board is None else [board])])
    if to == "csv":
        from nmsim.trace.exporters.csv import export_csv

        done = export_csv(trace, out, window)
    elif to == "perfetto":
        from nmsim.trace.exporters.perfetto import export_perfetto

        spec = None if board is None else dram_spec(load_board(board).memory)
        done = export_perfetto(trace, out, window, spec=spec)
    else:
        from nmsim.trace.exporters.energy_trace import export_commands

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
    from nmsim.shipped import named
    from nmsim.system.parts import controller_spec, dram_spec
    from nmsim.trace.checking import check_file, check_trace
    from nmsim.trace.reader import is_trace, open_trace

    path = named(path)
    if not os.path.lexists(path):
        open_trace(path)  # says so
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


def _window(
    start: str | None, end: str | None, scheme: str | None, phase: str | None, channel: int | None
) -> Window:
    """Return what the options choose."""
    from nmsim.trace.exporters.window import Window

    from_ps, to_ps = picoseconds(start, "--from"), picoseconds(end, "--until")
    if from_ps is not None and to_ps is not None and to_ps <= from_ps:
        raise typer.BadParameter(f"{end} is not after --from {start}", param_hint="--until")
    return Window(from_ps, to_ps, scheme, phase, channel)


def _note_unfinished(path: Path) -> None:
    """Say so where a trace lies in a folder that is no finished run."""
    from nmsim.store.manifest import MANIFEST

    if (path / "trace").is_dir() and not (path / MANIFEST).exists():
        note(f"{path} has no {MANIFEST}: it is no finished run, and its trace may lack its end")


def _board(path: Path, config: Path | None) -> Path | None:
    """Return the board given, or the run's own; None where there is none."""
    from nmsim.store.manifest import RESOLVED_CONFIG

    own = path / RESOLVED_CONFIG
    return config or (own if own.is_file() else None)
