"""Does a sweep finish, go on where it was, and say what failed?"""

import shutil
from contextlib import nullcontext
from pathlib import Path

import pandas as pd
import pytest
from sweep_samples import write_spec
from typer.testing import CliRunner

from nmsim.cli.app import app
from nmsim.errors import ClusterError, StoreError
from nmsim.store import fs
from nmsim.sweep import cluster
from nmsim.sweep.local import InProcess
from nmsim.sweep.run import Runner, planned
from nmsim.sweep.search import search
from nmsim.sweep.spec_file import read_spec

ONE_BY_ONE = cluster.engine_of(1, None, cluster.TLS())

GRID = """\
grid:
  near_memory.data_placement: [striped, interleaved]
  scheme: [k-center@host, k-center@nmc]
"""


@pytest.fixture(scope="session")
def swept(tmp_path_factory):
    """The folder of a finished sweep whose last point failed, its file, and what the command line said."""
    folder = tmp_path_factory.mktemp("sweep")
    spec = write_spec(folder, GRID)
    said = CliRunner().invoke(app, ["sweep", str(spec), "--out", str(folder / "out"), "--jobs", "1"])
    return folder / "out", spec, said


def test_a_failed_point_is_recorded_and_does_not_stop_the_others(swept):
    out, _, said = swept
    table = pd.read_csv(out / "points.csv")
    assert said.exit_code == 1 and "1 of 4 points failed" in said.stderr
    assert list(table.groupby("point", sort=False)["status"].first()) == ["done"] * 3 + ["failed"]
    assert "interleaved" in table["error"].iloc[-1]
    assert (
        len(list(out.glob("points/*/summary.json"))) == 3 and len(list(out.glob("points/*/error.json"))) == 1
    )
    parquet = pd.read_parquet(out / "points.parquet")
    assert list(parquet) == list(table) and parquet["ddr_energy_fJ"].equals(table["ddr_energy_fJ"])


def test_a_sweep_goes_on_where_it_was_and_comes_to_the_same_table(swept, tmp_path, monkeypatch):
    out, spec, _ = swept
    again = tmp_path / "again"
    shutil.copytree(out, again)
    (again / "points.csv").unlink()
    lost, damaged, _ = sorted(again.glob("points/*/summary.json"))
    lost.unlink()
    damaged.write_text("{")
    with Runner(again, ONE_BY_ONE) as runner:
        runner.run(planned(read_spec(spec)), 4)
    runner.write(read_spec(spec))
    assert runner.sweep.reused == 1
    assert (again / "points.csv").read_bytes() == (out / "points.csv").read_bytes()


def test_dask_comes_to_the_same_table(swept, tmp_path):
    from distributed import Client

    out, spec, _ = swept
    with Client(
        processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None, set_as_default=False
    ) as client:
        runner = Runner(tmp_path, lambda points: nullcontext(cluster.OnCluster(client)))
        runner.run(planned(read_spec(spec)), 4)
    runner.write(read_spec(spec))
    assert (tmp_path / "points.csv").read_bytes() == (out / "points.csv").read_bytes()


def test_a_full_disk_keeps_the_finished_points_and_says_so(swept, tmp_path, monkeypatch):
    _, spec, _ = swept
    runner = Runner(tmp_path, ONE_BY_ONE)
    written = []

    def write_json(path, value, real=fs.write_json):
        written.append(path)
        if len(written) > 2:  # a configuration and a summary
            raise StoreError("cannot write this: No space left on device", file=path)
        real(path, value)

    monkeypatch.setattr(fs, "write_json", write_json)
    with pytest.raises(StoreError, match=r"Finished points, 1 by now, are kept in .*go on"):
        runner.run(planned(read_spec(spec))[:3], 3)
    assert len(list(tmp_path.glob("points/*/summary.json"))) == 1


def test_an_unreachable_scheduler_is_said_at_once(swept, tmp_path, monkeypatch):
    _, spec, _ = swept
    monkeypatch.setattr(cluster, "PATIENCE_S", 0.2)
    done = CliRunner().invoke(
        app, ["sweep", str(spec), "--out", str(tmp_path), "--scheduler", "tcp://127.0.0.1:9"]
    )
    assert done.exit_code == 1
    assert "tcp://127.0.0.1:9: no scheduler answers" in done.stderr and "dask scheduler" in done.stderr


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("nonsense", r"no scheduler's address \(found nonsense; expected tcp://HOST:PORT"),
        ("tls://127.0.0.1:9", r"TLS needs a certificate\. Give --tls-ca"),
        ("tls://127.0.0.1:9 with files", r"files for TLS cannot be used \(found .*No such file"),
    ],
)
def test_what_cannot_reach_a_scheduler_is_refused_before_it_is_tried(address, said):
    absent = Path("/nowhere/cert.pem")
    tls = cluster.TLS(absent, absent, absent) if "files" in address else cluster.TLS()
    with pytest.raises(ClusterError, match=said), cluster.remote_engine([], address.split()[0], tls):
        pass


def test_workers_of_another_version_are_refused(monkeypatch):
    own = cluster.versions()

    class Client:
        def wait_for_workers(self, n, timeout): ...

        def run(self, function):
            return {"tcp://10.0.0.2:1": own, "tcp://10.0.0.3:1": own | {"numpy": "1.0"}}

    with pytest.raises(ClusterError, match=r"tcp://10.0.0.3:1: .*another version of numpy \(found 1.0"):
        cluster._check_workers(Client(), "tcp://10.0.0.1:8786")


def test_a_stage_that_fails_is_tried_once_for_all_points_that_need_it():
    from nmsim.sweep.stages import Stage

    tries = []

    def fail(config, scheme):
        tries.append(scheme)
        raise ValueError("no")

    shared = Stage("shared", fail, None, "s", ())
    points = [Stage(f"p{i}", lambda config, scheme, result: result, None, "", (shared,)) for i in range(3)]
    results = [result for _, result in InProcess().run(points)]
    assert tries == ["s"] and all(isinstance(result, ValueError) for result in results)


SEARCH = """\
search:
  trials: 5
  at_once: 2
  seed: 3
  over:
    near_memory.buffer: {from: 1 KiB, to: 64 KiB, scale: log}
    near_memory.placement: [bank, rank]
"""


def test_a_search_goes_on_where_it_was_and_comes_to_the_same_points(tmp_path):
    optuna = pytest.importorskip("optuna")
    spec = read_spec(write_spec(tmp_path, SEARCH))
    tables = []
    for again in range(2):
        with Runner(tmp_path / "out", ONE_BY_ONE) as runner:
            search(spec, runner)
        tables.append(runner.sweep.table())
        if not again:  # as after a kill in the midst of it
            next((tmp_path / "out").glob("points/*/summary.json")).unlink()
    pd.testing.assert_frame_equal(*tables)
    assert runner.sweep.reused == tables[0]["point"].nunique() - 1
    journal = optuna.storages.journal.JournalFileBackend(str(tmp_path / "out" / "search.journal"))
    study = optuna.load_study(study_name="spec", storage=optuna.storages.JournalStorage(journal))
    near = tables[0].query("scheme == 'k-center@nmc'").set_index("near_memory.buffer")
    assert len(study.trials) == 5
    for trial in study.trials:
        row = near.loc[[f"{trial.params['near_memory.buffer']} KiB"]].iloc[0]
        assert trial.values[1] == row["accuracy_mean"]
        assert trial.values[0] in (near["system_energy_fJ"] * 1e-15).to_list()
