"""Does a file or folder appear whole or not at all, and is a refusal one clear line?"""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nmsim.errors import StoreError
from nmsim.store import fs


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def dead_process() -> int:
    """Return the number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_no_file_and_keeps_the_old_one(tmp_path, error):
    fs.write_text(tmp_path / "old", "as before")
    for name in ("old", "new"):
        with pytest.raises(error), fs.staged_file(tmp_path / name) as file:
            file.write(b"half")
            raise error
    assert names(tmp_path) == ["old"]
    assert (tmp_path / "old").read_text() == "as before"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_no_folder_and_keeps_the_old_one(tmp_path, error):
    with fs.staged_dir(tmp_path / "old") as stage:
        fs.write_text(stage / "a", "as before")
    for name in ("old", "new"):
        with pytest.raises(error), fs.staged_dir(tmp_path / name) as stage:
            fs.write_text(stage / "sub" / "b", "half")
            raise error
    assert names(tmp_path) == ["old"]
    assert names(tmp_path / "old") == ["a"]


def test_a_folder_is_invisible_until_its_block_ends(tmp_path):
    with fs.staged_dir(tmp_path / "final") as stage:
        fs.write_text(stage / "a", "1")
        assert all(name.startswith(".") for name in names(tmp_path))
    assert names(tmp_path) == ["final"]


def test_a_finished_folder_is_replaced_as_a_whole(tmp_path):
    for content in ("first", "second"):
        with fs.staged_dir(tmp_path / "final") as stage:
            fs.write_text(stage / content, content)
    assert names(tmp_path) == ["final"]
    assert names(tmp_path / "final") == ["second"]


def test_the_old_folder_comes_back_where_the_new_one_cannot_be_renamed(tmp_path, monkeypatch):
    monkeypatch.setattr(fs, "_swap", lambda one, other: False)  # a system that has to do it in two steps
    with fs.staged_dir(tmp_path / "final") as stage:
        fs.write_text(stage / "a", "as before")
    rename = os.rename

    def fail_to_publish(source, target):
        if Path(target).name == "final" and Path(source).suffix == ".stage":
            raise OSError(errno.EIO, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "rename", fail_to_publish)
    with pytest.raises(StoreError, match="Input/output error"), fs.staged_dir(tmp_path / "final") as stage:
        fs.write_text(stage / "b", "lost")
    assert names(tmp_path) == ["final"]
    assert names(tmp_path / "final") == ["a"]


def test_a_killed_process_leaves_nothing_for_long(tmp_path):
    script = (
        "import os, signal, sys\nfrom nmsim.store import fs\n"
        "with fs.staged_dir(sys.argv[1]) as stage:\n"
        "    fs.write_text(stage / 'a', 'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "final")], check=False)
    assert len(names(tmp_path)) == 1 and names(tmp_path)[0].startswith(".final.")
    with fs.staged_dir(tmp_path / "another"):
        pass
    assert names(tmp_path) == ["another"]


def test_what_a_killed_process_had_set_aside_comes_back(tmp_path):
    aside = tmp_path / f".final.{fs._HOST}-{dead_process()}-00000000.old"
    aside.mkdir()
    (aside / "a").write_text("the only copy")
    fs.clear_leftovers(tmp_path)
    assert (tmp_path / "final" / "a").read_text() == "the only copy"


def test_leftovers_of_living_processes_and_other_machines_are_left_alone(tmp_path):
    (tmp_path / f".a.{fs._HOST}-{os.getpid()}-00000000.stage").mkdir()
    (tmp_path / f".a.ffffffff-{dead_process()}-00000000.stage").mkdir()
    (tmp_path / ".a.stage").mkdir()
    before = names(tmp_path)
    fs.clear_leftovers(tmp_path)
    assert names(tmp_path) == before


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT])
def test_a_refusal_of_the_system_is_one_line_with_the_path_and_a_hint(tmp_path, monkeypatch, code):
    def refuse(handle):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StoreError) as caught:
        fs.write_bytes(tmp_path / "file", b"content")
    text = str(caught.value)
    assert text.startswith(f"{tmp_path / 'file'}: ") and os.strerror(code) in text and "\n" not in text
    assert caught.value.hint
    assert names(tmp_path) == []


def test_a_write_that_the_kernel_cuts_off_leaves_the_old_content(tmp_path):
    # A real refusal in the middle of a file: no file may grow beyond 1,000 bytes; see setrlimit(2).
    script = (
        "import resource, sys\nfrom nmsim.errors import StoreError\nfrom nmsim.store import fs\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n    fs.write_chunks(sys.argv[1], [bytes(600)] * 3)\n"
        "except StoreError as error:\n    print(error)\n"
    )
    (tmp_path / "file").write_text("as before")
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "file")], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"{tmp_path / 'file'}: cannot write this: File too large")
    assert names(tmp_path) == ["file"] and (tmp_path / "file").read_text() == "as before"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("file/below", "Not a directory|File exists"),
        ("x" * 300, "File name too long"),
        ("folder", "Is a directory"),
    ],
)
def test_paths_that_cannot_be_files_are_refused(tmp_path, path, reason):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match=reason):
        fs.write_text(tmp_path / path, "content")
    assert names(tmp_path) == ["file", "folder"]


def test_a_file_in_the_way_of_a_folder_is_kept(tmp_path):
    (tmp_path / "final").write_text("mine")
    with pytest.raises(StoreError), fs.staged_dir(tmp_path / "final"):
        pass
    assert names(tmp_path) == ["final"] and (tmp_path / "final").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_found_out_before_any_work(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="nothing was run"):
        fs.ensure_writable(tmp_path / "file")
    assert fs.ensure_writable(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert names(tmp_path / "a" / "b") == []


def test_arrays_and_json_come_back(tmp_path):
    array = np.arange(6, dtype=np.int64).reshape(2, 3)
    fs.write_npy(tmp_path / "a.npy", array)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy", allow_pickle=False), array)
    fs.write_npz(tmp_path / "a.npz", rows=array, more=array[0])
    with np.load(tmp_path / "a.npz", allow_pickle=False) as back:
        np.testing.assert_array_equal(back["rows"], array)
        np.testing.assert_array_equal(back["more"], array[0])
    fs.write_json(tmp_path / "a.json", {"µ": [1, 2.5, None]})
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == {"µ": [1, 2.5, None]}


def test_what_json_and_numpys_formats_cannot_say_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(ValueError):
        fs.write_json(tmp_path / "a.json", float("nan"))
    with pytest.raises(ValueError):
        fs.write_npy(tmp_path / "a.npy", np.array([{}], dtype=object))
    with pytest.raises(ValueError):
        fs.write_npz(tmp_path / "a.npz", a=np.array([{}], dtype=object))
    assert names(tmp_path) == []


#: Calls that change what is on disk, or hand a name to a library that does.
WRITING = re.compile(
    r"(?<!\bfs)\.write_(?:text|bytes)\(|\bopen\([^)]*[\"'][wax]b?t?\+?[\"']"
    r"|\.(?:mkdir|touch|unlink|rmdir|symlink_to|hardlink_to|tofile|savefig|extractall)\("
    r"|\bos\.(?:remove|rename|replace|makedirs|link|symlink|truncate)|\bshutil\.(?:rmtree|move|copy|make_archive)"
    r"|\bnp\.(?:save|memmap)|\b(?:NamedTemporaryFile|TemporaryDirectory|mkdtemp|mkstemp)\b"
    r"|\.to_(?:csv|parquet|json|feather|pickle)\((?!index=|file\b|orient=|lineterminator=|\))"
    r"|ParquetWriter\((?!\s*self\._sink)|(?:Zip|Gzip|Tar)File\([^)]*[\"'][wax]"
    r"|\bimport (?:c?[Pp]ickle|shelve|marshal|joblib|dill)\b"
)


def test_nothing_else_in_the_package_writes_files_and_nothing_pickles():
    package = Path(fs.__file__).parents[1]
    found = {f.relative_to(package).as_posix(): WRITING.findall(f.read_text()) for f in package.rglob("*.py")}
    users = {name: calls for name, calls in found.items() if calls}
    assert len(users.pop("store/fs.py")) > 8
    assert users == {}


@pytest.mark.parametrize(
    "code",
    ["open(p, 'wb')", "open(p, mode='a')", "p.open('x')", "p.write_text('')", "os.replace(p, q)",
     "np.savez(p, a)", "frame.to_csv(p)", "figure.savefig(p)", "pq.ParquetWriter(p, schema)",
     "gzip.open(p, 'wt')", "file.unlink()", "import pickle"],
)  # fmt: skip
def test_the_search_for_writing_finds_it(code):
    assert WRITING.search(code)


def test_one_folder_takes_the_place_of_another_in_one_step(tmp_path):
    for name in ("one", "other"):
        fs.write_text(tmp_path / name / name, "")
    if not fs._swap(tmp_path / "one", tmp_path / "other"):
        pytest.skip("this system cannot exchange two names")
    assert names(tmp_path / "one") == ["other"] and names(tmp_path / "other") == ["one"]
    with pytest.raises(OSError, match="No such file"):
        fs._swap(tmp_path / "one", tmp_path / "absent")
