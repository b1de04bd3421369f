"""A board with two arrays that executes a scheme."""

import pytest
from board_samples import BOARDS, GROUPS, RECORD_BYTES, N

from nmsim.access.work import ArraySpec
from nmsim.config import load_config
from nmsim.system.board import Board, SelectionWork
from nmsim.system.parts import line_contents
from nmsim.trace.writer import TraceWriter


@pytest.fixture
def execute(tmp_path):
    """Return a function that executes a scheme on a board and gives the board and its trace writer."""

    def run(selection=None, epochs=(), board="lpddr4", place="nmc", contents=None, **overrides):
        sets = [f"{key.replace('__', '.')}={value}" for key, value in overrides.items()]
        config = load_config(BOARDS / f"{board}.yaml", sets)
        arrays = [ArraySpec("images", N, RECORD_BYTES, per_image=True), ArraySpec("indices", 40, 4)]
        folder = tmp_path / f"trace-{len(list(tmp_path.iterdir()))}"
        with TraceWriter(folder) as writer:
            lines = line_contents(config, contents or {})
            machine = Board(config, "scheme", arrays, GROUPS, writer, lines)
            given = isinstance(selection or {}, dict)
            work = selection or {} if given else SelectionWork(place, selection, 40)
            machine.execute(work, epochs)
        return machine, writer

    return run
