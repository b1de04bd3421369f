"""Do the notebooks run from top to bottom, as they stand? Without Jupyter: their cells are Python."""

import json
import os

import matplotlib
import pytest
from pages import ROOT
from threadpoolctl import threadpool_limits

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def cells(notebook):
    return json.loads(notebook.read_text(encoding="utf-8"))["cells"]


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(notebook, tmp_path, monkeypatch):
    matplotlib.use("agg")
    os.symlink(ROOT / "hw_configs", tmp_path / "hw_configs")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "notebook"}
    with threadpool_limits(1):  # many threads on small arrays mostly wait for each other
        for cell in cells(notebook):
            if cell["cell_type"] == "code":
                exec(compile("".join(cell["source"]), notebook.name, "exec"), names)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs_and_its_cells_are_python(notebook):
    for cell in cells(notebook):
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
            compile("".join(cell["source"]), notebook.name, "exec")
