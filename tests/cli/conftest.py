"""The command line in this process, with what it printed and how it ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from nmsim.cli.app import app

BOARDS = Path(__file__).parents[2] / "hw_configs"


@pytest.fixture
def lpddr4() -> str:
    """Return the path of the default board."""
    return str(BOARDS / "lpddr4.yaml")


@pytest.fixture
def ddr4() -> str:
    """Return the path of the DDR4-2400 board."""
    return str(BOARDS / "ddr4_2400.yaml")


@pytest.fixture
def nmsim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Return a function that runs a command line in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*words: object) -> Result:
        return CliRunner().invoke(app, [str(word) for word in words])

    return call


@pytest.fixture
def nmsim_json(nmsim: Callable[..., Result]) -> Callable[..., Any]:
    """Return a function that runs a command line with --json and reads what it prints."""

    def call(*words: object) -> Any:
        result = nmsim(*words, "--json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    return call


@pytest.fixture
def refused(nmsim: Callable[..., Result]) -> Callable[..., str]:
    """Return a function that runs a command line that must fail; gives its one line on stderr."""

    def call(*words: object, code: int = 2) -> str:
        before = sorted(Path.cwd().iterdir())
        result = nmsim(*words)
        assert result.exit_code == code, result.output
        assert result.stdout == ""
        assert result.stderr.startswith("nmsim: error: ") and result.stderr.count("\n") == 1
        assert "Traceback" not in result.stderr
        assert sorted(Path.cwd().iterdir()) == before, "something was left behind"
        return result.stderr

    return call
