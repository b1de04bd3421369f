"""Does a run exist if and only if it has a manifest, and does the manifest say where it comes from?"""

from __future__ import annotations

import json
import os
import subprocess
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest

import nmsim
from nmsim._version import BUILT_FROM, git_revision
from nmsim.errors import StoreError
from nmsim.store import fs, manifest
from nmsim.store.rundir import RunDir

CONFIG = {"name": "trial", "memory": {"channels": 2}}
HASH = manifest.config_hash(CONFIG)


def record(**changes):
    given = {
        "config": CONFIG,
        "seeds": [0, 1],
        "dataset_sha256": "00" * 32,
        "threads": 2,
        "started": manifest.now(),
    }
    return manifest.build_manifest(**{**given, **changes})


def test_a_run_appears_under_its_name_and_hash_with_its_manifest(tmp_path):
    with RunDir(tmp_path, "trial", HASH) as run:
        fs.write_text(run.path("plots", "a.txt"), "drawn")
        assert not run.final.exists()
        final = run.publish(record())
    assert final == run.final == tmp_path / f"trial-{HASH[:8]}"
    assert sorted(os.listdir(final)) == ["manifest.json", "plots"]
    assert os.listdir(tmp_path) == [final.name]


def test_a_run_without_a_manifest_does_not_exist(tmp_path):
    with pytest.raises(StoreError, match="without a manifest"), RunDir(tmp_path, "trial", HASH) as run:
        fs.write_text(run.path("a"), "done but not published")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_interrupted_run_leaves_the_finished_one_of_before(tmp_path, error):
    with RunDir(tmp_path, "trial", HASH) as run:
        final = run.publish(record())
    with pytest.raises(error), RunDir(tmp_path, "trial", HASH) as run:
        fs.write_text(run.path("a"), "half")
        raise error
    assert os.listdir(tmp_path) == [final.name] and os.listdir(final) == ["manifest.json"]


def test_the_same_run_again_replaces_the_first(tmp_path):
    for name in ("first", "second"):
        with RunDir(tmp_path, "trial", HASH) as run:
            fs.write_text(run.path(name), "")
            final = run.publish(record())
    assert sorted(os.listdir(final)) == ["manifest.json", "second"]


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a b", "x" * 65, "ä", "a\n"])
def test_names_that_are_no_folder_names_are_refused(tmp_path, name):
    with pytest.raises(StoreError, match="letters"):
        RunDir(tmp_path, name, HASH)


def test_an_unusable_output_folder_is_refused_before_the_run(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="nothing was run"):
        RunDir(tmp_path / "file", "trial", HASH)


def test_the_hash_of_a_configuration_ignores_the_order_of_keys_and_nothing_else():
    turned = {"memory": {"channels": 2}, "name": "trial"}
    assert manifest.config_hash(turned) == HASH
    assert manifest.config_hash({**CONFIG, "name": "other"}) != HASH
    assert manifest.config_hash({**CONFIG, "memory": {"channels": 2.0}}) != HASH


def test_a_manifest_says_what_the_conventions_ask_for(tmp_path):
    started = datetime.now(timezone(timedelta(hours=5))) - timedelta(seconds=90)
    made = record(started=started)
    assert made["nmsim_version"] == nmsim.__version__
    assert made["config_sha256"] == HASH and made["seeds"] == [0, 1] and made["threads"] == 2
    assert made["packages"]["numpy"] == np.__version__ and made["cpu"] and made["command"]
    begin, end = (datetime.strptime(made[k], "%Y-%m-%dT%H:%M:%SZ") for k in ("started", "ended"))
    assert 90 <= (end - begin).total_seconds() < 120  # both in UTC, whatever the zone of `started`
    assert made["peak_memory_bytes"] > 10 << 20  # an interpreter with NumPy is larger than 10 MiB
    fs.write_json(tmp_path / "manifest.json", made)
    assert manifest.read_manifest(tmp_path) == made


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "not a finished run"),
        ("{", "damaged"),
        ("[]", "another kind"),
        (json.dumps({"manifest_version": 99}), "manifest_version 99"),
    ],
)
def test_a_missing_or_damaged_manifest_is_one_line(tmp_path, content, message):
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(StoreError, match=message):
        manifest.read_manifest(tmp_path)


def git(folder, *words):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *identity, "-C", str(folder), *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_the_revision_is_the_checkouts_own_and_says_when_files_differ(tmp_path):
    package = tmp_path / "project" / "nmsim"
    package.mkdir(parents=True)
    (package / "a.py").write_text("1")
    assert git_revision(package) is None  # no checkout
    git(package.parent, "init", "-q")
    git(package.parent, "add", ".")
    git(package.parent, "commit", "-q", "-m", "first")
    head = git(package.parent, "rev-parse", "HEAD")
    assert git_revision(package) == head
    (package / "a.py").write_text("2")
    assert git_revision(package) == head + "+changes"
    installed = package.parent / ".venv" / "lib" / "nmsim"
    installed.mkdir(parents=True)
    assert git_revision(installed) is None  # inside a checkout, but another project's
    for folder in (installed, package):
        (folder / BUILT_FROM).write_text("built\n")
    assert git_revision(installed) == "built"
    assert git_revision(package) == head + "+changes"  # a checkout is what it is, whatever lies in it


def test_without_git_there_is_no_revision_and_no_failure(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_revision() is None
