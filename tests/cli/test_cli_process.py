"""Does nmsim behave as a program should: exit codes, streams, start-up?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from nmsim import __version__
from nmsim._version import git_revision
from nmsim.cli import app as cli
from nmsim.errors import ConfigError, NmsimError, StoreError

#: Libraries that take longer to import than `--help` may take as a whole.
SLOW = ("numpy", "pandas", "numba", "pyarrow", "matplotlib", "pydantic", "yaml", "simpy", "sklearn", "PIL")
SLOW += ("rich", "dask", "distributed", "scipy", "jinja2", "importlib.metadata")


def program(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nmsim", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONUTF8": "1", **env},
        timeout=120,
    )


def test_the_version_is_printed_by_the_module_too():
    done = program("--version")
    revision = f" ({revision})" if (revision := git_revision()) else ""
    assert (done.returncode, done.stdout, done.stderr) == (0, f"nmsim {__version__}{revision}\n", "")


def test_help_imports_nothing_that_is_slow():
    code = f"""if True:
        import sys
        from nmsim.cli.app import main
        sys.argv = ["nmsim", "--help"]
        try:
            main()
        finally:
            print([m for m in {SLOW} if m in sys.modules], file=sys.stderr)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Usage" in done.stdout and done.stderr == "[]\n"


@pytest.mark.parametrize(
    "words",
    [["run"], ["fly"], ["config"], ["run", "--seed", "x", "f"], ["trace", "convert", "t", "--to", "x"]],
)
def test_a_wrong_usage_exits_with_2_and_prints_nothing_on_stdout(words):
    done = program(*words)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stdout == "" or words == ["config"]  # a group alone prints its help


def test_a_users_mistake_is_one_line_on_stderr_and_a_traceback_only_when_asked_for(tmp_path):
    plain = program("run", str(tmp_path / "absent.yaml"))
    assert plain.returncode == 2 and plain.stdout == "" and plain.stderr.count("\n") == 1
    assert plain.stderr.startswith("nmsim: error: ") and "absent.yaml" in plain.stderr
    debug = program("run", str(tmp_path / "absent.yaml"), NMSIM_DEBUG="1")
    assert debug.returncode == 2 and "Traceback" in debug.stderr and plain.stderr in debug.stderr


def test_every_command_helps_without_colour_where_none_is_wanted():
    for words in (["--help"], ["run", "-h"], ["trace", "convert", "--help"], ["data", "--help"]):
        done = program(*words, NO_COLOR="1", FORCE_COLOR="")
        assert done.returncode == 0 and "Usage" in done.stdout and "\x1b[" not in done.stdout


@pytest.mark.parametrize(
    ("words", "last", "expected"),
    [
        ("nmsim co", 1, {"compare", "config"}),
        ("nmsim trace ", 2, {"summary", "head", "plot", "convert", "export", "check"}),
    ],
)
def test_the_shell_completes_verbs(words, last, expected):
    env = {"_NMSIM_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(last)}
    assert set(program(**env).stdout.split()) == expected


def test_a_reader_that_goes_away_gets_no_traceback(lpddr4):
    command = f"{sys.executable} -m nmsim config show {lpddr4} | head -c 10"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert len(done.stdout) == 10 and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ConfigError("wrong"), 2, "error: wrong"),
        (StoreError("full", file="x"), 1, "error: x: full"),
        (OSError(28, "No space left on device", "f.nbi"), 1, "error: f.nbi: No space left on device"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 1, "error: there is not enough memory"),
    ],
)
def test_every_end_has_its_exit_code_and_line(nmsim, monkeypatch, error, code, words):
    def fail(path: Path) -> None:
        raise error

    monkeypatch.setattr("nmsim.trace.reader.open_trace", fail)
    result = nmsim("trace", "summary", "x")
    assert result.exit_code == code and result.stdout == ""
    assert result.stderr.startswith(f"nmsim: {words}") and result.stderr.count("\n") == 1


def test_further_problems_are_counted(nmsim, monkeypatch):
    error = ConfigError("first")
    error.others = [ConfigError("second")]

    def fail(path: Path) -> None:
        raise error

    monkeypatch.setattr("nmsim.trace.reader.open_trace", fail)
    assert "(1 more: see nmsim config check)" in nmsim("trace", "summary", "x").stderr


def test_a_fault_of_nmsims_own_is_one_line_that_says_so(monkeypatch, capsys):
    def fail(**_: object) -> None:
        raise ZeroDivisionError("a\nb")

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    printed = capsys.readouterr().err
    assert ended.value.code == 1 and printed.startswith("nmsim: internal error: ZeroDivisionError: a b.")
    assert printed.count("\n") == 1


def test_ctrl_c_ends_a_running_program_with_130():
    code = (
        "import signal, sys, time, nmsim.trace.reader as r\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored where tests run in background
        "def wait(path): print('ready', flush=True); time.sleep(60)\n"
        "r.open_trace = wait\n"
        "sys.argv = ['nmsim', 'trace', 'summary', 'x']\n"
        "from nmsim.cli.app import main\n"
        "main()\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None and child.stdout.readline() == "ready\n"
    child.send_signal(signal.SIGINT)
    _, printed = child.communicate(timeout=30)
    assert child.returncode == 130 and printed == "nmsim: interrupted; nothing half-written is left\n"


def test_every_error_has_an_exit_code_of_the_convention():
    def tree(kind: type[NmsimError]) -> set[type[NmsimError]]:
        return {kind}.union(*(tree(below) for below in kind.__subclasses__()))

    assert {kind.exit_code for kind in tree(NmsimError)} == {1, 2}


def test_the_verbs_are_those_that_the_manual_lists():
    manual = (Path(__file__).parents[2] / "docs" / "reference" / "cli.md").read_text()
    group = typer.main.get_command(cli.app)
    for name, command in group.commands.items():
        for line in [f"{name} {sub}" for sub in getattr(command, "commands", {})] or [name]:
            assert f"`nmsim {line}" in manual, line
