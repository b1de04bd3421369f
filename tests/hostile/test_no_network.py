"""Does nothing but `data fetch` open the network?"""

from __future__ import annotations

import socket
from functools import partial

import pytest
from attacks import make_run
from idx_samples import write_idx_folder
from typer.testing import CliRunner

from nmsim.cli.app import app
from nmsim.data import open_dataset
from nmsim.data.fetch import fetch
from nmsim.errors import DataError


def _refuse(name: str, *_: object, **__: object) -> None:
    pytest.fail(f"socket.{name} is called")


@pytest.fixture
def no_network(monkeypatch):
    """Let every attempt to reach another machine end the test."""
    for name in ("socket", "create_connection", "getaddrinfo", "socketpair"):
        monkeypatch.setattr(socket, name, partial(_refuse, name))


@pytest.mark.slow
def test_reports_and_data_open_no_connection_and_fetching_does(tmp_path, no_network):
    run, images = make_run(tmp_path / "run", images=40), write_idx_folder(tmp_path / "set")
    verbs = (["report", run], ["plot", run, "--out", tmp_path / "plots"], ["trace", "summary", run],
             ["data", "list"], ["data", "check", "digits"], ["data", "check", images])  # fmt: skip
    for words in verbs:
        result = CliRunner().invoke(app, list(map(str, words)))
        assert result.exit_code == 0, result.stderr
    with pytest.raises(DataError, match="has not been fetched"):
        open_dataset("mnist", cache_dir=tmp_path)
    with pytest.raises(pytest.fail.Exception, match="is called"):
        fetch("mnist", tmp_path)
