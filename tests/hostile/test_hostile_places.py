"""Does nmsim read nothing but regular files, and write where it destroys nothing?"""

from __future__ import annotations

import os
import signal
import stat
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from attacks import BOARD, DDR4, make_run
from typer.testing import CliRunner

from nmsim.cli.app import app
from nmsim.config.yaml_tree import MAX_FILE_BYTES, read_yaml
from nmsim.errors import ConfigError, NmsimError, TraceFormatError
from nmsim.report.run import load_run
from nmsim.store import fs
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


@pytest.fixture
def run(tmp_path):
    """Return a small run with a trace."""
    return make_run(tmp_path / "run", images=20)


def contents(folder):
    """Return what a folder holds, byte by byte."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", ["pipe", "link"])  # no device: a mistake of nmsim would destroy it
def test_an_output_takes_no_place_but_that_of_a_file(tmp_path, run, kind):
    out = tmp_path / "out.csv"
    os.mkfifo(out if kind == "pipe" else tmp_path / "pipe")
    if kind == "link":
        out.symlink_to("pipe")
    before = out.lstat()
    for words in (("trace", "convert", run, "--to", "csv"), ("report", run)):
        assert "Not a regular file" in refused(*words, "--out", out)
    assert (out.lstat().st_ino, out.lstat().st_mode) == (before.st_ino, before.st_mode)


@pytest.mark.parametrize("place", ["/", "", "."])
@pytest.mark.parametrize("board", [DDR4, BOARD])  # one channel, and two
def test_an_output_without_a_name_is_one_line(tmp_path, run, place, board):
    (tmp_path / "trace").write_text("")
    assert "folder" in refused("trace", "convert", run, "--to", "csv", "--out", place)
    assert "folder" in refused("replay", board, tmp_path / "trace", "--commands", place)


def test_a_link_stays_and_the_file_that_it_leads_to_is_replaced_with_its_permissions(tmp_path):
    (tmp_path / "file").write_text("before")
    (tmp_path / "file").chmod(0o604)
    (tmp_path / "link").symlink_to("file")
    fs.write_text(tmp_path / "link", "after")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_text() == "after"
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o604


def test_what_a_run_rests_on_is_the_output_of_nothing(tmp_path, run):
    before = contents(tmp_path)
    names = ["trace/part-00000.parquet", "trace/new.csv", "plots/../trace/new.csv", "summary.json"]
    names += ["energy.csv", "manifest.json", "config.resolved.yaml", "selected_indices.full.npy"]
    for name in names:
        assert "nothing was changed" in refused("trace", "convert", run, "--to", "csv", "--out", run / name)
        assert "nothing was changed" in refused("report", run, "--out", run / name)
    assert contents(tmp_path) == before
    fs.write_text(tmp_path / "trace" / "part-00000.parquet", "no run of nmsim stands here")


def test_an_output_that_is_an_input_is_refused(tmp_path, run):
    part = tmp_path / "part.parquet"
    part.write_bytes((run / "trace" / "part-00000.parquet").read_bytes())
    requests = tmp_path / "requests.channel1.csv"
    requests.write_text("0x0 READ 0\n")
    (tmp_path / "link.npy").symlink_to("data.npz")
    (tmp_path / "data.npz").write_text("images")
    image = tmp_path / "images" / "train" / "cat" / "1.png"
    image.parent.mkdir(parents=True)
    image.write_text("an image")
    (tmp_path / "to_image.npy").symlink_to(image)
    before = contents(tmp_path)
    assert "would be lost" in refused("trace", "convert", part, "--to", "csv", "--out", part)
    assert "would be lost" in refused("replay", BOARD, requests, "--commands", tmp_path / "requests.csv")
    assert "would be lost" in refused("select", tmp_path / "data.npz", "--out", tmp_path / "link.npy")
    assert "would be lost" in refused("select", tmp_path / "images", "--out", tmp_path / "to_image.npy")
    assert contents(tmp_path) == before
