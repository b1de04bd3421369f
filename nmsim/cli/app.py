"""`nmsim`: its verbs, and how its errors end.

Exit codes: 0 done; 1 the run failed (disk full, a broken protocol); 2 the user's input cannot be meant; 130
interrupted. An error is one line on stderr; NMSIM_DEBUG=1 adds the traceback.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from nmsim._version import __version__, git_revision
from nmsim.cli import (
    boards,
    compare,
    config,
    crossover,
    data,
    doctor,
    plot,
    probe,
    replay,
    report,
    run,
    select,
    sweep,
    trace,
)
from nmsim.errors import ConfigError, NmsimError

INTERRUPTED = 130


class _Verbs(TyperGroup):
    """The group of all verbs; ends them with one line where they fail."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except NmsimError as error:
            _debug()
            others = len(error.others) if isinstance(error, ConfigError) else 0
            more = f" ({others} more: see nmsim config check)" if others else ""
            raise _end(f"error: {error}{more}", error.exit_code) from None
        except KeyboardInterrupt as error:
            _debug()
            raise _end(str(error) or "interrupted; nothing half-written is left", INTERRUPTED) from None
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise  # who read the output has gone; that is for typer to end
            _debug()
            reason = error.strerror or str(error)
            raise _end(f"error: {error.filename or 'a file'}: {reason}", 1) from None
        except MemoryError:
            _debug()
            hint = "Choose a smaller data set, or a lower selection.keep_ratio."
            raise _end(f"error: there is not enough memory for this. {hint}", 1) from None


def _debug() -> None:
    if os.environ.get("NMSIM_DEBUG") == "1":
        traceback.print_exc()


def _end(line: str, code: int) -> typer.Exit:
    typer.echo(f"nmsim: {line}", err=True)
    return typer.Exit(code)


app = typer.Typer(
    cls=_Verbs,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,  # importing what draws boxes takes longer than all else that --help does
)


def _version(wanted: bool) -> None:
    if wanted:
        revision = git_revision()
        typer.echo(f"nmsim {__version__}" + (f" ({revision})" if revision else ""))
        raise typer.Exit()


@app.callback()
def _nmsim(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print the version and the revision."
        ),
    ] = False,
) -> None:
    """Energy, time and accuracy of near-memory data selection on edge boards, from one run."""


app.command("run")(run.run)
app.command("replay")(replay.replay)
app.command("probe")(probe.probe)
app.command("compare")(compare.compare)
app.command("sweep")(sweep.sweep)
app.command("crossover")(crossover.crossover)
app.command("select")(select.select)
app.command("plot")(plot.plot)
app.command("report")(report.report)
app.add_typer(trace.app, name="trace")
app.add_typer(data.app, name="data")
app.add_typer(config.app, name="config")
app.command("boards")(boards.boards)
app.command("doctor")(doctor.doctor)


def main() -> None:
    """Run the command line and exit with its code."""
    # A request to end (service managers, batch systems) is cleaned up after like Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app(prog_name="nmsim")
    except Exception as error:
        # A mistake of nmsim's own: still one line, but it says so.
        _debug()
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        typer.echo(f"nmsim: internal error: {reason}. Run again with NMSIM_DEBUG=1 and report it.", err=True)
        sys.exit(1)
