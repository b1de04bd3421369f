"""Does nmsim read nothing but regular files, and write where it destroys nothing?"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from attacks import make_run
from typer.testing import CliRunner

from nmsim.cli.app import app
from nmsim.config.yaml_tree import MAX_FILE_BYTES, read_yaml
from nmsim.errors import ConfigError, NmsimError, TraceFormatError
from nmsim.report.run import load_run
from nmsim.trace.texts import whole_lines


@contextmanager
def soon():
    """Assert that the block ends, for the opening of a pipe may wait for good."""

    def too_late(*_):
        raise AssertionError("nmsim waits for a pipe")

    before = signal.signal(signal.SIGALRM, too_late)
    signal.alarm(20)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def make_irregular(path, kind):
    """Make a named pipe, or a link to a device that is safe to read whatever happens."""
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(os.devnull)


def refused(*words):
    """Return the one line with which a command line ends."""
    with soon():
        result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code in (1, 2), result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("nmsim: error: ")
    return line


@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize(
    "words",
    [("config", "show", "FILE.yaml"), ("sweep", "FILE.yaml"), ("data", "check", "FILE.npz"),
     ("trace", "summary", "FILE.parquet"), ("plot", "FILE.parquet")],
)  # fmt: skip
def test_what_is_no_regular_file_is_refused_before_it_is_read(tmp_path, words, kind):
    name = next(str(word) for word in words if "FILE" in str(word))
    make_irregular(tmp_path / name, kind)
    words = [str(word).replace(name, str(tmp_path / name)) for word in words]
    assert "Not a regular file" in refused(*words)


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_trace_of_lines_is_a_regular_file(tmp_path, kind):
    make_irregular(tmp_path / "trace", kind)
    with soon(), pytest.raises(TraceFormatError, match="Not a regular file"):
        next(whole_lines(tmp_path / "trace"))


@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize("name", ["manifest.json", "summary.json", "energy.csv", "selection.npz"])
def test_a_run_is_read_from_regular_files_alone(tmp_path, name, kind):
    run = make_run(tmp_path / "run", images=20)
    (run / name).unlink(missing_ok=True)
    make_irregular(run / name, kind)
    with soon(), pytest.raises(NmsimError, match="Not a regular file"):
        load_run(run).selection()


@pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="the shell's pipes have no names here")
@pytest.mark.parametrize("size", [30, MAX_FILE_BYTES + 2])
def test_a_pipe_of_the_shell_is_read_up_to_the_bound_of_a_file(size):
    reader, writer = os.pipe()

    def write():  # a pipe holds less than a mebibyte
        with open(writer, "wb") as file:
            file.write(b"a: 1 #" + b"x" * (size - 6))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        if size > MAX_FILE_BYTES:
            with pytest.raises(ConfigError, match="too big"):
                read_yaml(Path(f"/dev/fd/{reader}"))
        else:
            assert read_yaml(Path(f"/dev/fd/{reader}"))[0] == {"a": 1}
        os.read(reader, size)
    finally:
        thread.join()
        os.close(reader)
