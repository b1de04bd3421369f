"""Do processes that share a folder keep out of each other's way?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nmsim.errors import StoreError
from nmsim.store import fs, lock

pytestmark = pytest.mark.skipif(lock.fcntl is None, reason="no advisory locks here")

STAGING = (
    "import sys\nfrom nmsim.store import fs\n"
    "with fs.staged_dir(sys.argv[1]) as stage:\n"
    "    fs.write_text(stage / 'a', 'theirs')\n"
    "    print('ready', flush=True)\n"
    "    sys.stdin.readline()\n"
)


@contextmanager
def another_process(final: Path) -> Iterator[subprocess.Popen[str]]:
    """Give a process that is making a folder, and finishes it when it gets a line."""
    with subprocess.Popen(
        [sys.executable, "-c", STAGING, str(final)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_folder_that_another_process_is_making_is_refused_and_others_are_not(tmp_path):
    with another_process(tmp_path / "run") as process:
        refused = pytest.raises(StoreError, match=rf"another process.*number {process.pid}")
        with refused, fs.staged_dir(tmp_path / "run"):
            pass
        with fs.staged_dir(tmp_path / "run-2"):  # a name that begins alike, too
            pass
        process.communicate("\n")
    assert (tmp_path / "run" / "a").read_text() == "theirs"
    with fs.staged_dir(tmp_path / "run"):
        pass
    assert sorted(os.listdir(tmp_path)) == ["run", "run-2"]


def test_a_killed_process_holds_nothing(tmp_path):
    with another_process(tmp_path / "run") as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        with fs.staged_dir(tmp_path / "run") as stage:
            fs.write_text(stage / "a", "ours")
    assert sorted(os.listdir(tmp_path)) == ["run"] and (tmp_path / "run" / "a").read_text() == "ours"


def test_what_a_locked_process_of_another_container_left_is_not_cleared(tmp_path):
    # Its number counts among the processes of its own container: here, nobody has it.
    stage = tmp_path / f".run.{fs._HOST}-{2**22 + 1}-00000000.stage"
    stage.mkdir()
    handle = lock.hold(stage)
    fs.clear_leftovers(tmp_path)
    assert stage.exists()
    lock.release(handle)
    fs.clear_leftovers(tmp_path)
    assert not stage.exists()


def test_a_folder_that_stays_locked_is_a_message_in_time(tmp_path):
    handle = lock.hold(tmp_path)
    refused = pytest.raises(StoreError, match="another process has had this folder locked")
    with refused, lock.locked(tmp_path, patience_s=0.05):
        pass
    lock.release(handle)
    with lock.locked(tmp_path, patience_s=0):
        assert lock.is_held(tmp_path)
    assert not lock.is_held(tmp_path)


def test_a_folder_can_be_had_by_one_process_alone(tmp_path):
    with lock.sole(tmp_path):
        with pytest.raises(StoreError, match="at work in this folder"), lock.sole(tmp_path):
            pass
        fs.write_text(tmp_path / "a", "single files are written without its lock")
    with lock.sole(tmp_path):
        pass


def test_a_file_system_without_locks_is_written_to_as_well(tmp_path, monkeypatch):
    def refuse(handle, how):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(lock.fcntl, "flock", refuse)
    with fs.staged_dir(tmp_path / "run") as stage:
        fs.write_text(stage / "a", "ours")
    assert (tmp_path / "run" / "a").read_text() == "ours"
