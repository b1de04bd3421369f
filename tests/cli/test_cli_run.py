"""Does `run` end with a whole run, or with one line and nothing?"""

from __future__ import annotations

import errno
import json
import os
import re
from pathlib import Path

import pytest

from nmsim.cli.run import print_schemes
from nmsim.config import config_hash, load_config

#: The smallest run: scikit-learn's digits, a linear network, one seed.
SMALL = ["dataset.name=digits", "training.network=softmax", "training.epochs=1", "training.seeds=1"]
SMALL += ["selection.de_sne.n_iter=20", "trace.rows_per_phase=100"]

#: What summary.json promises for each scheme.
KEYS = {
    "accuracy_mean",
    "accuracy_sd",
    "seeds",
    "kept",
    "energy_fJ",
    "dataset_ddr_energy_fJ",
    "ddr_energy_fJ",
}
KEYS |= {"system_energy_fJ", "time_ps", "pcb_bytes", "pcb_bytes_before_training", "ratio_to_full", "phases"}


def options(*settings: str) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


def test_a_run_prints_its_schemes_and_where_the_report_is(nmsim, lpddr4, tmp_path):
    settings = [*SMALL, "schemes=[full, de-sne@nmc]"]
    result = nmsim("run", lpddr4, "--out", "out", "--seed", "5", "--name", "small", *options(*settings))
    assert result.exit_code == 0, result.stderr
    config = load_config(lpddr4, [*settings, "seed=5", "name=small"])
    folder = tmp_path / "out" / f"small-{config_hash(config)[:8]}"
    assert result.stdout.splitlines()[-1] == f"report: {folder / 'report.html'}"
    assert result.stderr == "" and (folder / "report.html").stat().st_size > 0
    for scheme in config.schemes:
        assert re.search(rf"^\s*{re.escape(scheme)} .*%.*J.*B\s*$", result.stdout, re.MULTILINE)


def test_a_run_again_replaces_the_first_and_prints_the_same_numbers_as_json(nmsim, lpddr4):
    words = [
        "run",
        lpddr4,
        "--out",
        "out",
        "--no-report",
        "--json",
        *options(*SMALL, "schemes=[full, random]"),
    ]
    first, second = nmsim(*words), nmsim(*words)
    assert first.exit_code == second.exit_code == 0, first.stderr + second.stderr
    assert first.stderr == "" and "will be replaced: out/lpddr4-" in second.stderr
    assert second.stdout == first.stdout and len(list(Path("out").iterdir())) == 1
    printed = json.loads(first.stdout)
    stored = json.loads((Path(printed.pop("path")) / "summary.json").read_text())
    assert printed == stored and list(stored["schemes"]) == ["full", "random"]
    assert all(set(scheme) >= KEYS for scheme in stored["schemes"].values())
    assert not list(Path("out").rglob("report.html")), "a report was asked not to be made"


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("dataset.path=absent", "absent"),
        ("selection.keep_ratio=0.001", "class"),  # 1,438 images: a budget of 1, and ten classes
        ("memory.timing.nRC=3", "impossible timing"),
    ],
)
def test_what_only_shows_in_the_run_leaves_nothing_behind_either(nmsim, lpddr4, setting, words):
    result = nmsim("run", lpddr4, "--out", "out", *options(*SMALL, setting))
    assert result.exit_code == 2 and result.stdout == ""
    assert result.stderr.startswith("nmsim: error: ") and result.stderr.count("\n") == 1
    assert words in result.stderr
    assert not Path("out").exists() or not list(Path("out").iterdir())


def test_an_output_folder_that_is_a_file_fails_at_once(nmsim, lpddr4, tmp_path):
    (tmp_path / "out").write_text("mine")
    result = nmsim("run", lpddr4, "--out", "out")
    assert result.exit_code == 1 and result.stderr.startswith("nmsim: error: ")
    assert result.stderr.count("\n") == 1 and (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize("files", [0, 8])
def test_a_full_disk_fails_with_one_line_and_leaves_nothing(nmsim, lpddr4, monkeypatch, files):
    flushed = []

    def fsync(number: int) -> None:
        flushed.append(number)
        if len(flushed) > files:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    result = nmsim("run", lpddr4, "--out", "out", *options(*SMALL, "schemes=[full]"))
    assert result.exit_code == 1 and result.stdout == ""
    assert result.stderr.startswith("nmsim: error: ") and result.stderr.count("\n") == 1
    assert "No space left" in result.stderr and "Free some space" in result.stderr
    assert not list(Path("out").iterdir())


def test_the_table_shows_ratios_to_full_and_nothing_where_there_is_none(capsys):
    scheme = {
        "kept": 1200,
        "epochs": 6,
        "seeds": 3,
        "accuracy_mean": 0.91,
        "accuracy_sd": 0.004,
        "time_ps": 2 * 10**12,
        "pcb_bytes": 4096,
    }
    scheme |= {f"{layer}_energy_fJ": 15 * 10**11 for layer in ("dataset_ddr", "ddr", "system")}
    ratios = {f"{layer}_energy": 0.1 for layer in ("dataset_ddr", "ddr", "system")}
    print_schemes({"full": {**scheme, "ratio_to_full": None}, "x@[nmc]": {**scheme, "ratio_to_full": ratios}})
    full, other = capsys.readouterr().out.splitlines()[-3:-1] or ["", ""]
    assert "1.50 mJ" in full and "×" not in full and "91.00% ± 0.40%" in full
    assert (
        other.count("1.50 mJ (0.1×)") == 3 and "x@[nmc]" in other and "2.00 s" in other and "4.10 kB" in other
    )


def test_a_folder_that_is_no_run_is_a_wrong_input_to_all_verbs(nmsim, tmp_path):
    (tmp_path / "empty").mkdir()
    for words in (("report", "empty"), ("run", "--resume", "empty"), ("report", "absent")):
        result = nmsim(*words)
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1)


def test_a_keep_ratio_that_keeps_nothing_is_refused_where_it_is_written(refused, tmp_path, lpddr4):
    (tmp_path / "board.yaml").write_text(f"extends: {lpddr4}\nselection:\n  keep_ratio: 1e-9\n")
    assert "board.yaml:3: the keep ratio keeps nothing" in refused("run", "board.yaml", "--dry-run")
