"""Is a method of one's own as good as a built-in one? The one of docs/howto/selector.md, installed."""

import configparser
import importlib
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from nmsim.access.work import OPERATIONS, Step
from nmsim.config import load_config
from nmsim.errors import ConfigError, DataError
from nmsim.selection import Selector, api, create, methods, select
from nmsim.selection.api import method_places
from nmsim.selection.needs import Records
from nmsim.simulation import simulate
from nmsim.system.board_checks import check_board

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "howto" / "selector.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"`([\w.]+)`[^`]*?:\n\n```\w+\n(.*?)```", PAGE, re.DOTALL))
BOARD = ROOT / "hw_configs" / "lpddr4.yaml"
SMALL = [
    "dataset.glyphs.n_train=120",
    "dataset.glyphs.n_test=40",
    "training.network=softmax",
    "training.epochs=1",
]
SMALL += ["training.min_steps=0", "training.seeds=1", "simulation.samples=100", "selection.keep_ratio=0.25"]
SMALL += ["trace.level=off"]


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Put the page's files where an installer would; whether one does, a slow test asks."""
    project = configparser.ConfigParser()
    project.read_string(FILES["pyproject.toml"])  # no TOML before Python 3.11, and this much of it is INI
    ((name, value),) = project['project.entry-points."nmsim.selectors"'].items()
    info = tmp_path / "nmsim_brightness-1.0.dist-info"
    info.mkdir()
    (tmp_path / "brightness.py").write_text(FILES["brightness.py"])
    (info / "entry_points.txt").write_text(f"[nmsim.selectors]\n{name} = {value}\n".replace('"', ""))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: nmsim-brightness\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield tmp_path
    sys.modules.pop("brightness", None)


def test_the_method_of_the_page_is_found_and_selects(installed):
    assert "middle-brightness" in methods() and method_places("middle-brightness") == ("host", "nmc")
    X = np.arange(11, dtype=np.uint8)[:, None] * np.ones((1, 4), np.uint8)
    # the median of 0 … 10 is 5, the next on both sides 4 and 6
    assert select(X, np.zeros(11, int), 0.27, "middle-brightness").tolist() == [4, 5, 6]


@pytest.mark.slow
def test_an_installer_takes_the_files_of_the_page_as_they_stand(tmp_path):
    assert list(FILES) == ["brightness.py", "pyproject.toml"]
    package, site = tmp_path / "package", tmp_path / "site"
    package.mkdir()
    for name, content in FILES.items():
        (package / name).write_text(content)
    pip = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", site, "."], cwd=package, check=True)
    # A method that cannot be found or loaded has no row in the list.
    command = [sys.executable, "-m", "nmsim", "select", "--list-methods"]
    path = os.pathsep.join(map(str, (site, ROOT)))
    printed = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert printed.returncode == 0, printed.stderr
    assert any(
        line.split()[:3] == ["middle-brightness", "host,", "nmc"] for line in printed.stdout.splitlines()
    )


def test_it_runs_on_either_side_of_a_board_and_is_priced_there(installed, tmp_path):
    schemes = "schemes=[full, random, middle-brightness@nmc, middle-brightness@host]"
    run = simulate(load_config(BOARD, [*SMALL, schemes]), out=tmp_path / "runs", report=False)
    near, host = (run.summary["schemes"][f"middle-brightness@{place}"] for place in ("nmc", "host"))
    assert near["accuracies"] == host["accuracies"] and near["kept"] == host["kept"] == 30
    assert near["phases"]["brightness"]["pcb_bytes"] == 0 < host["phases"]["brightness"]["pcb_bytes"]


def test_the_page_counts_in_kinds_that_hardware_knows(installed):
    fit = create("middle-brightness", 0.5).fit(np.zeros((8, 4), np.uint8), np.arange(8) % 2)
    assert all(set(step.operations) <= set(OPERATIONS) for step in fit.steps(1 << 10, 4))


@pytest.mark.parametrize("kind", OPERATIONS)
def test_a_misspelt_kind_of_operation_is_refused_with_the_right_one_which_the_page_names(kind):
    assert f"`{kind}`" in PAGE
    with pytest.raises(ConfigError, match=f"phase scan.*found {kind}s; .*Did you mean {kind}[?]"):
        Step("scan", operations={"compare": 1, f"{kind}s": 2})


def offered(monkeypatch, kind):
    class Installed:
        name = "mine"

        def load(self):
            if isinstance(kind, Exception):
                raise kind
            return kind

    monkeypatch.setattr(api, "entry_points", lambda group: [Installed()] if group == api.ENTRY_POINTS else [])


class Whole:
    """A selector with a parameter, that keeps what it is told to."""

    def __init__(self, keep_ratio, random_state, which, number_format="int8"):
        self.keep_ratio, self.indices_, self.number_format = keep_ratio, which, number_format

    def fit(self, X, y):
        return self


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (np.array([1, 1]), "chose what cannot be chosen.*distinct"),
        (np.array([2, 1]), "chose what cannot be chosen"),
        (np.array([-1, 1]), "chose what cannot be chosen"),
        (np.array([1, 4]), r"chose what cannot be chosen.*0 to 3"),
        (np.array([1]), r"chose no budget.*int64 \(1,\); expected int64 \(2,\)"),
        (np.array([0.0, 1.0]), "chose no budget.*float64"),
        ([0, 1], "chose no budget.*list"),
    ],
)
def test_a_plug_in_that_chooses_wrongly_is_refused(monkeypatch, chosen, message):
    offered(monkeypatch, Whole)
    with pytest.raises(DataError, match=message):
        select(np.zeros((4, 1), np.uint8), np.zeros(4, int), 0.5, "mine", which=chosen)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (ImportError("no module named x"), "plug-in mine cannot be loaded.*no module named x"),
        (
            type("Bare", (), {"__init__": lambda self: None}),
            "mine is no selector.*keep_ratio and random_state",
        ),
        (lambda keep_ratio, random_state: Whole, "plug-in mine cannot be loaded.*is no class"),
        (Whole, "mine needs its parameter which"),
    ],
)
def test_a_plug_in_that_cannot_be_made_is_refused(monkeypatch, kind, message):
    offered(monkeypatch, kind)
    with pytest.raises(ConfigError, match=message):
        create("mine", 0.5)


@pytest.fixture
def board(tmp_path):
    """Return a function that writes a board and loads it."""

    def write(text):
        path = tmp_path / "board.yaml"
        path.write_text(f"extends: {BOARD}\n{text}")
        return load_config(path)

    return write


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("schemes:\n- full\n- desne@nmc\n", 4, "unknown selection method.*Did you mean de-sne[?]"),
        ("schemes: [zzz@host]\n", 2, "unknown selection method.*expected de-sne, .*random.*plug-in"),
        ("schemes: [dq@nmc]\n", 2, "dq cannot run near memory: it trains a network.*expected dq@host"),
        ("selection:\n  methods:\n    randm: {}\n", 4, "unknown selection method.*Did you mean random[?]"),
        ("selection:\n  methods:\n    random: {a: 1}\n", 4, "unknown parameter of random.*found a"),
        ("selection:\n  methods:\n    de-sne: {}\n", 4, "section of their own.*selection.de_sne"),
        ("selection:\n  methods:\n    random:\n      keep_ratio: 1\n", 5, "keep_ratio of random is the same"),
    ],
)  # fmt: skip
def test_a_board_with_schemes_that_cannot_be_is_refused_with_the_line(board, text, line, words):
    with pytest.raises(ConfigError) as caught:
        check_board(board(text))
    assert re.search(rf"board.yaml:{line}: .*{words}", str(caught.value)), str(caught.value)


def test_parameters_and_the_number_format_reach_the_plug_in(board, monkeypatch):
    offered(monkeypatch, Whole)
    text = (
        "schemes: [mine@host]\nnear_memory: {format: fp16}\nselection: {methods: {mine: {which: [1, 2]}}}\n"
    )
    from nmsim.selection.configured import make_selector

    made = make_selector(board(text), "mine")
    assert (made.indices_, made.number_format) == ([1, 2], "fp16")
    made = make_selector(board(text.replace("[1, 2]", "1, number_format: fp32")), "mine")
    assert (made.indices_, made.number_format) == (1, "fp32")


class Bare:
    """All that a class of its own needs."""

    def __init__(self, keep_ratio, random_state):
        self.keep_ratio = keep_ratio

    def fit(self, X, y):
        self.indices_ = np.arange(len(X))[: round(self.keep_ratio * len(X))]
        return self

    def arrays(self):
        return []

    def steps(self, buffer_bytes, units=1):
        yield Step("scan", operations={"compare": buffer_bytes * units})


def test_what_a_plug_in_leaves_out_is_filled_in_once_and_what_it_has_stays(monkeypatch):
    offered(monkeypatch, Bare)
    kind = api.selector_class("mine")
    assert issubclass(kind, Bare) and (kind.__name__, kind.__doc__) == ("Bare", Bare.__doc__)
    made = create("mine", 0.5).fit(np.zeros((4, 1)), np.zeros(4, int))
    assert (kind.places, kind.host_only, made.reselect_every, made.map()) == (("host",), "", None, None)
    assert made.budget(10) == 5 and made.check_network("cnn-s") is None
    (need,) = made.needs(Records(100, 10, (4, 4, 3)))
    assert need.n_bytes == 4800 and made.duration_s(Records(100, 10, (4, 4, 3))) > 0
    (turn,) = made.turns(8, 2)
    assert turn.epoch == 0 and [step.operations for step in turn.steps] == [{"compare": 16}]
    rows, array = made.training_reads(4)
    assert (rows.tolist(), array) == ([0, 1], "images")
    made.training_images_, made.training_array = np.ones((2, 1), np.uint8), "kept"
    rows, array = made.training_reads(4)
    assert (rows.tolist(), array) == ([0, 1], "kept")


def test_a_plug_in_that_derives_from_the_interface_leaves_out_as_much(monkeypatch):
    offered(monkeypatch, type("Derived", (Bare, Selector), {}))
    made = create("mine", 0.5).fit(np.zeros((4, 1)), np.zeros(4, int))
    assert made.budget(10) == 5 and [turn.epoch for turn in made.turns(8)] == [0]
    assert len(list(made.needs(Records(100, 10, (4, 4, 3))))) == 1


def test_a_fitted_plug_in_can_be_sent_to_another_process(monkeypatch):
    offered(monkeypatch, Bare)
    made = create("mine", 0.5).fit(np.zeros((4, 1)), np.zeros(4, int))
    sent = pickle.loads(pickle.dumps(made))
    assert type(sent) is type(made) is api.selector_class("mine")
    assert sent.budget(10) == 5 and sent.indices_.tolist() == [0, 1]


def test_a_plug_in_that_follows_a_training_has_a_turn_for_each_round(monkeypatch):
    class Round(NamedTuple):
        epoch: int

    class Following(Bare):
        rounds_ = (Round(0), Round(3))
        reselect = feedback_steps = lambda self, number: [f"before {number}"]

        def round_steps(self, number, buffer_bytes, units=1):
            return [f"round {number}"]

    offered(monkeypatch, Following)
    made = create("mine", 0.5).fit(np.zeros((4, 1)), np.zeros(4, int))
    assert list(made.turns(8)) == [(0, ["round 0"], ["before 0"]), (3, ["round 1"], ["before 1"])]
    assert made.training_reads(4)[0].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "points",
    [np.zeros((4, 3)), np.zeros((3, 2)), np.full((4, 2), np.nan), np.zeros((4, 2), int), [[0, 0]] * 4],
)
def test_a_plug_in_whose_map_is_none_is_refused(monkeypatch, points):
    offered(monkeypatch, type("Mapped", (Bare,), {"map": lambda self: points}))
    with pytest.raises(DataError, match=r"Mapped made no map.*expected finite floats, shape \(4, 2\)"):
        select(np.zeros((4, 1), np.uint8), np.zeros(4, int), 0.5, "mine")


def test_an_array_in_the_place_of_the_map_is_no_method(monkeypatch):
    offered(monkeypatch, type("Mapped", (Bare,), {"map": np.zeros((4, 2))}))
    with pytest.raises(DataError, match=r"Mapped\.map is no method.*another name"):
        select(np.zeros((4, 1), np.uint8), np.zeros(4, int), 0.5, "mine")
