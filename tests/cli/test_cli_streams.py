"""Does nmsim end with one line whatever its streams and its environment are?"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from nmsim.cli.app import app

BOARDS = ["boards"]


def shell(words: list[str], redirected: str = "", **env: str) -> subprocess.CompletedProcess[bytes]:
    """Return how a command line ended that a shell redirected."""
    line = f'exec "$0" -m nmsim "$@" {redirected}'
    return subprocess.run(
        ["/bin/sh", "-c", line, sys.executable, *words],
        capture_output=True,
        env={**os.environ, **env},
        timeout=60,
    )


def printed(text: str, then: str = "pass", **env: str) -> bytes:
    """Return what reaches stdout of a text that nmsim prints, whatever the process does then."""
    code = f"import os; from nmsim.cli.app import _set_up_streams; _set_up_streams(); print({text!r}); {then}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env={**os.environ, **env}, timeout=60
    )
    assert done.stderr == b"" and done.returncode == 0
    return done.stdout.removesuffix(b"\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full device here")
@pytest.mark.parametrize("words", [["--version"], BOARDS])
def test_a_full_stdout_is_named(words):
    done = shell(words, "> /dev/full")
    assert (done.returncode, done.stderr) == (1, b"nmsim: error: stdout: No space left on device\n")


def test_a_closed_stdout_is_an_error_and_a_closed_stderr_is_none():
    done = shell(BOARDS, ">&-")
    assert done.returncode == 1 and done.stderr.startswith(b"nmsim: error: stdout: ")
    assert done.stderr.count(b"\n") == 1
    assert shell(BOARDS, "2>&-").returncode == 0


def test_what_stdout_has_no_character_for_is_replaced():
    done = shell(BOARDS, PYTHONIOENCODING="ascii")
    assert done.returncode == 0 and b"lpddr4" in done.stdout and done.stderr == b""


def test_what_a_user_chose_for_stdout_holds():
    for errors in ("backslashreplace", "xmlcharrefreplace"):
        assert printed("13 × 4 µJ", PYTHONIOENCODING=f"ascii:{errors}") == "13 × 4 µJ".encode("ascii", errors)
    # What some locales make Python's default ends in an error here, and so is not taken.
    assert printed("13 × 4 µJ", PYTHONIOENCODING="ascii:surrogateescape") == b"13 ? 4 ?J"


@pytest.mark.parametrize(("unbuffered", "shown"), [("1", True), ("", False)])
def test_an_unbuffered_stdout_stays_unbuffered(unbuffered, shown):
    # A process that ends without a flush shows what was not held back.
    assert printed("now", "os._exit(0)", PYTHONUNBUFFERED=unbuffered) == (b"now" if shown else b"")


@pytest.mark.parametrize("value", ["0", "-3", "abc", "99999999999"])
def test_a_number_of_threads_that_is_none_is_refused_by_name(value):
    result = CliRunner(env={"NUMBA_NUM_THREADS": value}).invoke(app, BOARDS)
    assert result.exit_code == 2 and result.stderr.startswith("nmsim: error: NUMBA_NUM_THREADS: ")
    assert result.stdout == "" and result.stderr.count("\n") == 1


def test_a_backend_of_matplotlib_that_is_none_does_not_matter():
    code = "import sys; from nmsim.cli.app import main; sys.argv[1:] = ['--version']\n"
    code += "try:\n    main()\nexcept SystemExit:\n    import matplotlib; print(matplotlib.get_backend())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        env={**os.environ, "MPLBACKEND": "nope"},
        timeout=60,
    )
    assert done.stdout.split()[-1:] == [b"agg"] and done.returncode == 0
