"""`nmsim`: its verbs, and how its errors end.

Exit codes: 0 done; 1 the run failed (disk full, a broken protocol); 2 the user's input cannot be meant; 130
interrupted. An error is one line on stderr; NMSIM_DEBUG=1 adds the traceback.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
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
_STDOUT = "stdout"
#: What Python may do about a character that an encoding lacks and that is an error; the first two by default.
_FAIL = ("strict", "surrogateescape", "surrogatepass")


class _Verbs(TyperGroup):
    """The group of all verbs; ends them with one line where they fail."""

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Return the context of the words given; `--help` and `--version` are obeyed here."""
        with _ended():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Run a verb."""
        with _ended():
            return super().invoke(ctx)


@contextmanager
def _ended() -> Iterator[None]:
    """Turn what ends the block too early into one line and an exit code."""
    try:
        yield
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
        if error.filename == _STDOUT:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python would try again at its end
        raise _end(f"error: {error.filename or 'a file'}: {error.strerror or error}", 1) from None
    except MemoryError:
        _debug()
        hint = "Choose a smaller data set, or a lower selection.keep_ratio."
        raise _end(f"error: there is not enough memory for this. {hint}", 1) from None
    except ImportError as error:
        if "map segment" not in str(error):  # as dlopen(3) says where there is no memory
            raise
        _debug()
        raise _end("error: there is not enough memory to load the libraries that this needs", 1) from None


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
    threads = os.environ.get("NUMBA_NUM_THREADS", "").strip()
    if threads and not (threads.isdecimal() and len(threads) <= 4 and int(threads) > 0):
        raise ConfigError(
            "NUMBA_NUM_THREADS: this is no number of threads",
            found=repr(threads)[:40],
            expected="a whole number from 1 to 9999",
            hint="Set it so, or unset it: all cores are used then.",
        )


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


class _Stdout(io.FileIO):
    """Standard output that names itself where it cannot be written, as files do."""

    def write(self, data: Any) -> Any:
        try:
            return super().write(data)
        except OSError as error:
            error.filename = _STDOUT
            raise


def _set_up_streams() -> None:
    """Make every character printable, and of closed streams some that are there.

    Where stdout is closed, printing is an error of the system like any other; what is said on stderr is lost.
    Otherwise the next file that is opened would take the stream's number.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_WRONLY if number == 2 else os.O_RDONLY)
    if sys.stdout is sys.__stdout__:  # and no program's that runs nmsim within itself
        encoding, errors, at_once = "utf-8", "replace", False
        if isinstance(sys.stdout, io.TextIOWrapper):
            encoding, at_once = sys.stdout.encoding, sys.stdout.write_through  # as `python -u` is
            if sys.stdout.errors not in _FAIL:
                errors = sys.stdout.errors or errors
        raw = _Stdout(1, "w", closefd=False)
        sys.stdout = io.TextIOWrapper(
            raw if at_once else io.BufferedWriter(raw),
            encoding=encoding,
            errors=errors,
            line_buffering=raw.isatty(),
            write_through=at_once,
        )
    sys.stderr = sys.stderr or io.StringIO()


def main() -> None:
    """Run the command line and exit with its code."""
    _set_up_streams()
    os.environ["MPLBACKEND"] = (
        "agg"  # figures are files here; a name of nothing would end matplotlib's import
    )
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
