"""Whichever file operation fails, is there exactly the old or the new content, and nothing else?"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from faults import faults

from nmsim.errors import StoreError
from nmsim.store import fs
from nmsim.store.rundir import RunDir

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="faults are injected through /proc")

#: What a disk says: full, broken, full in the middle of a write.
KINDS = [
    {"code": errno.ENOSPC},
    {"code": errno.EIO},
    {"code": errno.ENOSPC, "short": True},
]


def content(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder, hidden ones too."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def write_file(folder: Path, text: str) -> None:
    """Replace a single file."""
    fs.write_text(folder / "result", text * 20_000)


def write_run(folder: Path, text: str) -> None:
    """Replace a run of a few files, one of them in a folder of its own."""
    with RunDir(folder, "run", "0" * 64) as run:
        fs.write_text(run.path("summary.json"), text)
        fs.write_text(run.path("plots", "a.csv"), text)
        run.publish({"text": text})


def failing(
    write: Callable[[Path, str], None], folder: Path, how: dict[str, object]
) -> Iterator[tuple[StoreError | None, list[str]]]:
    """Yield what comes of failing at the first operation, the second, …, until nothing fails any more."""
    for number in count(1):
        with faults(folder):
            write(folder, "old")
        with faults(folder, number, **how) as told:
            error = None
            try:
                write(folder, "new")
            except StoreError as raised:
                error = raised
        yield error, told.done
        if len(told.done) < number:
            return


@pytest.mark.parametrize("how", KINDS, ids=["full", "broken", "cut"])
@pytest.mark.parametrize("write", [write_file, write_run])
def test_one_failing_operation_leaves_the_old_content_or_the_new_and_no_litter(tmp_path, write, how):
    expected = {}
    for text in ("old", "new"):
        write(tmp_path, text)
        expected[text] = content(tmp_path)
    ends = [error is None for error, _ in failing_checked(write, tmp_path, how, expected)]
    assert ends[-1] and ends.count(False) >= 5


def failing_checked(write, folder, how, expected):
    for error, done in failing(write, folder, how):
        found = content(folder)
        assert found in expected.values(), f"{done[-1]}: {error}: {sorted(found)}"
        if error is not None:
            text = str(error)
            assert os.strerror(how["code"]) in text and "\n" not in text
            assert text.startswith(f"{folder}") and ".stage" not in text
            kept = fs.IN_PLACE if found == expected["new"] else "nothing was "
            assert kept in text
        yield error, done


@pytest.mark.parametrize("write", [write_file, write_run])
def test_a_kill_at_any_operation_leaves_the_old_content_or_the_new_and_the_next_one_clears_up(
    tmp_path, write
):
    expected = {}
    for text in ("old", "new"):
        write(tmp_path, text)
        expected[text] = content(tmp_path)
    for number in count(1):
        with faults(tmp_path):
            write(tmp_path, "old")
        child = os.fork()
        if not child:
            with faults(tmp_path, number, kill=True):
                write(tmp_path, "new")
            os._exit(0)
        _, status = os.waitpid(child, 0)
        seen = {name: held for name, held in content(tmp_path).items() if not name.startswith(".")}
        assert seen in expected.values(), f"killed at operation {number}"
        with faults(tmp_path):
            write(tmp_path, "new")
        assert content(tmp_path) == expected["new"]
        if status == 0:
            break
    assert number > 5


def test_a_disk_that_stays_broken_leaves_the_old_content_and_litter_only_until_it_works(
    tmp_path, monkeypatch
):
    write_run(tmp_path, "old")
    before = content(tmp_path)
    for number in range(1, 12):
        with faults(tmp_path, number, code=errno.EIO, lasting=True), pytest.raises(StoreError):
            write_run(tmp_path, "new")
        assert {n: c for n, c in content(tmp_path).items() if not n.startswith(".")} == before
        with monkeypatch.context() as later:
            later.setattr(fs, "_alive", lambda pid: False)
            fs.clear_leftovers(tmp_path)
        assert content(tmp_path) == before


def test_everything_is_flushed_to_disk_before_it_is_renamed(tmp_path):
    write_run(tmp_path, "old")
    with faults(tmp_path) as told:
        write_run(tmp_path, "new")
    published = next(i for i, done in enumerate(told.done) if done.startswith("swap"))
    written = {done.split()[1] for done in told.done[:published] if done.startswith("open")}
    flushed = {done.split()[1] for done in told.done[:published] if done.startswith("fsync")}
    staged = {name for name in written if "/" in name}
    assert len(staged) == 3 and staged <= flushed  # two outputs and the manifest
    assert {str(Path(name).parent) for name in staged} <= flushed  # and the names in their folders
    assert told.done[published + 1].startswith("fsync")  # and the name of the whole
