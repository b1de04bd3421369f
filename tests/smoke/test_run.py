"""Does a whole run give what it promises?"""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from smoke_samples import BOARDS, SMALL

import nmsim
from nmsim.data import load, open_dataset
from nmsim.energy.components import COMPONENTS, DDR_COMPONENTS
from nmsim.errors import NmsimError
from nmsim.estimate import estimate_run, images_of, least_energy_fJ
from nmsim.learning import Learner
from nmsim.report.roofline import phase_work
from nmsim.trace.schema import COLUMNS
from nmsim.trace.writer import TraceWriter

SCHEMES = ["full", "random", "de-sne@nmc", "de-sne@host", "kernel-herding@nmc"]
PROMISED = {
    "accuracy_mean",
    "accuracy_sd",
    "seeds",
    "kept",
    "energy_fJ",
    "dataset_ddr_energy_fJ",
    "ddr_energy_fJ",
    "system_energy_fJ",
    "time_ps",
    "pcb_bytes",
}


def trace(run):
    return pd.concat([pq.read_table(part).to_pandas() for part in sorted((run.path / "trace").iterdir())])


def test_a_run_folder_holds_every_output(small_run):
    files = {str(p.relative_to(small_run.path)) for p in small_run.path.rglob("*") if p.is_file()}
    expected = {"manifest.json", "config.resolved.yaml", "summary.json", "energy.csv", "report.html"}
    expected |= {f"selected_indices.{s.replace('@', '-')}.npy" for s in SCHEMES}
    expected |= {"trace/part-00000.parquet", "plots/energy_breakdown.png"}
    assert expected <= files, f"missing: {expected - files}"


def test_the_summary_holds_what_others_read(small_run):
    summary = json.loads((small_run.path / "summary.json").read_text())
    assert list(summary["schemes"]) == SCHEMES
    for facts in summary["schemes"].values():
        assert set(facts) >= PROMISED
        assert set(facts["energy_fJ"]) == {*COMPONENTS, "total"}
        assert set(facts["ratio_to_full"]) == {"dataset_ddr_energy", "ddr_energy", "system_energy"}


def test_the_trace_the_table_and_the_summary_give_the_same_energies(small_run):
    rows = trace(small_run)
    table = pd.read_csv(small_run.path / "energy.csv")
    for scheme, facts in small_run.summary["schemes"].items():
        of_scheme = rows[rows["scheme"] == scheme]
        for component in COMPONENTS:
            in_table = table[(table["scheme"] == scheme) & (table["component"] == component)][
                "energy_fJ"
            ].sum()
            in_trace, in_summary = of_scheme[f"{component}_fJ"].sum(), facts["energy_fJ"][component]
            assert in_trace == in_table == in_summary, (scheme, component)
        ddr = of_scheme[[f"{c}_fJ" for c in DDR_COMPONENTS]].sum(axis=1)
        assert of_scheme["energy_fJ"].sum() == facts["system_energy_fJ"] == facts["energy_fJ"]["total"]
        assert ddr.sum() == facts["ddr_energy_fJ"]
        assert ddr[of_scheme["array"] == "images"].sum() == facts["dataset_ddr_energy_fJ"]


def test_a_trace_has_the_documented_columns(small_run):
    assert list(trace(small_run).columns) == list(COLUMNS)


def test_the_host_and_the_units_select_the_same_images_and_reach_the_same_accuracy(small_run):
    near, host = (small_run.summary["schemes"][s] for s in ("de-sne@nmc", "de-sne@host"))
    indices = [np.load(small_run.path / f"selected_indices.de-sne-{p}.npy") for p in ("nmc", "host")]
    assert (indices[0] == indices[1]).all()
    assert near["accuracies"] == host["accuracies"]
    assert near["energy_fJ"] != host["energy_fJ"] and near["time_ps"] != host["time_ps"]


def test_the_indices_of_a_run_are_rows_of_its_file_and_leave_out_what_it_tests_on(small_run):
    digits, whole = (open_dataset("digits", hold_out=split) for split in (True, False))
    full, few = (small_run.indices(s) for s in ("full", "de-sne@nmc"))
    assert np.array_equal(whole.X_train[full], digits.X_train)
    assert len(full) < len(whole.y_train) and np.isin(few, full).all()


def test_before_training_only_control_and_indices_cross_the_board_near_memory(small_run):
    near, host = (small_run.summary["schemes"][s] for s in ("de-sne@nmc", "de-sne@host"))
    images_bytes = small_run.summary["dataset"]["n_train"] * 64
    crossing = {phase for phase, facts in near["phases"].items() if facts["pcb_bytes"]}
    assert crossing == {"control", "indices", "training"}
    assert near["pcb_bytes_before_training"] < images_bytes < host["pcb_bytes_before_training"]


def test_a_kept_tenth_crosses_the_board_once_an_epoch(small_run):
    schemes = small_run.summary["schemes"]
    for scheme in SCHEMES[1:]:
        facts = schemes[scheme]
        assert facts["kept"] == round(0.1 * schemes["full"]["kept"])
        ratio = facts["phases"]["training"]["pcb_bytes"] / schemes["full"]["phases"]["training"]["pcb_bytes"]
        assert ratio == pytest.approx(facts["kept"] / schemes["full"]["kept"], rel=1e-9)


def test_the_break_even_is_where_equally_long_trainings_cost_the_same(small_run):
    for layer in ("ddr_energy", "system_energy"):
        full, near = (small_run.summary["schemes"][s] for s in ("full", "de-sne@nmc"))
        table = pd.read_csv(small_run.path / "energy.csv")
        components = DDR_COMPONENTS if layer == "ddr_energy" else COMPONENTS
        kept = table[table["component"].isin(components) & (table["phase"] == "training")]
        epoch = kept.groupby("scheme")["energy_fJ"].sum() / 2  # both train for two epochs
        epochs = near["break_even_epochs"][layer]
        before = near[f"{layer}_fJ"] - 2 * epoch["de-sne@nmc"]
        assert before + epochs * epoch["de-sne@nmc"] == pytest.approx(epochs * epoch["full"])
        assert full["break_even_epochs"] is None


def test_the_same_seed_gives_the_same_run(small_run, tmp_path):
    again = nmsim.simulate(nmsim.load_config(BOARDS / "lpddr4.yaml", SMALL), out=tmp_path, report=False)
    assert again.summary == small_run.summary
    assert again.path.name == small_run.path.name


def test_another_seed_gives_another_selection(small_run, tmp_path):
    config = nmsim.load_config(BOARDS / "lpddr4.yaml", [*SMALL, "seed=2", "schemes=[random]"])
    other = nmsim.simulate(config, out=tmp_path, report=False)
    mine, theirs = (np.load(r.path / "selected_indices.random.npy") for r in (small_run, other))
    assert (mine != theirs).any()


def test_a_run_without_a_trace_gives_the_same_energies(small_run, tmp_path):
    config = nmsim.load_config(BOARDS / "lpddr4.yaml", [*SMALL, "trace.level=off"])
    run = nmsim.simulate(config, out=tmp_path, report=False)
    assert not list(run.path.glob("trace/*"))
    expected = {s: f["energy_fJ"] for s, f in small_run.summary["schemes"].items()}
    assert {s: f["energy_fJ"] for s, f in run.summary["schemes"].items()} == expected


def test_the_access_level_shows_every_access_by_itself(tmp_path):
    sets = [*SMALL, "trace.level=access", "schemes=[random]"]
    run = nmsim.simulate(nmsim.load_config(BOARDS / "lpddr4.yaml", sets), out=tmp_path, report=False)
    accesses = trace(run).query("cmd in ('RD', 'WR')")
    assert (accesses["count"] == 1).all()
    assert len(accesses) == run.summary["schemes"]["random"]["accesses"]


def test_a_second_board_runs_as_well(tmp_path):
    run = nmsim.simulate(nmsim.load_config(BOARDS / "ddr4_2400.yaml", SMALL), out=tmp_path, report=False)
    assert run.summary["board"]["memory"] == "DDR4"


def test_a_failing_run_leaves_nothing_behind(tmp_path):
    config = nmsim.load_config(BOARDS / "lpddr4.yaml", [*SMALL, "selection.keep_ratio=0.001"])
    with pytest.raises(NmsimError, match="below one sample a class"):
        nmsim.simulate(config, out=tmp_path, report=False)
    assert list(tmp_path.iterdir()) == []


def test_the_public_names_are_these():
    assert sorted(nmsim.__all__) == ["__version__", "load_config", "load_run", "select", "simulate"]
    assert all(hasattr(nmsim, name) for name in nmsim.__all__)


def test_what_the_dram_took_is_told_by_rail_by_standby_state_and_by_kind_of_refresh(small_run):
    inside = ("act", "pre", "rd", "wr", "ref", "background", "on_die_bus")
    for scheme, facts in small_run.summary["schemes"].items():
        energy = facts["energy_fJ"]
        device = sum(energy[name] for name in inside)
        rails = sum(facts["dram_rails_fJ"].values())
        # What the units exchange over the on-die buses is given to no rail.
        assert rails <= device if scheme.endswith("@nmc") else rails == pytest.approx(device, rel=1e-9)
        standby_and_refresh = sum(facts["background_states_fJ"].values())
        standby_and_refresh += sum(facts["refresh_commands_fJ"].values())
        assert standby_and_refresh == pytest.approx(energy["ref"] + energy["background"], rel=1e-9)


def test_every_energy_and_ratio_has_its_band(small_run):
    for facts in small_run.summary["schemes"].values():
        for key in ("dataset_ddr_energy_fJ", "ddr_energy_fJ", "system_energy_fJ", "time_ps"):
            assert 0 < facts[f"{key}_p05"] <= facts[f"{key}_p95"]
        for key in ("energy_fJ", "ratio_to_full"):
            low, high = facts[f"{key}_p05"], facts[f"{key}_p95"]
            assert set(low) == set(high) == set(facts[key])
            assert all(low[name] <= high[name] for name in low)
    assert small_run.summary["uncertainty"]["samples"] >= 1000


def test_no_phase_is_faster_than_the_peaks_of_the_board_allow(small_run):
    work = phase_work(small_run)
    assert {"host", "nmc"} == set(work["side"])
    assert (work["operations_per_s"] <= work["roof_operations_per_s"] * (1 + 1e-6)).all()


def test_a_run_whose_sums_differ_by_a_femtojoule_fails(tmp_path, monkeypatch):
    exact = TraceWriter.phase_energy_fJ.fget

    def one_more(writer):
        sums = exact(writer)
        sums["full"]["training"] += 1
        return sums

    monkeypatch.setattr(TraceWriter, "phase_energy_fJ", property(one_more))
    config = nmsim.load_config(BOARDS / "lpddr4.yaml", [*SMALL, "schemes=[full]", "training.seeds=1"])
    with pytest.raises(NmsimError, match=r"energies of full do not sum to its ledger.*accesses, training"):
        nmsim.simulate(config, out=tmp_path, report=False)
    assert not list(tmp_path.rglob("summary.json"))


def test_every_key_of_the_summary_is_documented(small_run):
    page = (Path(__file__).parents[2] / "docs" / "reference" / "summary.md").read_text(encoding="utf-8")
    summary = small_run.summary
    named = [summary, *(summary[k] for k in ("dataset", "board", "near_memory", "training", "trace"))]
    named += [summary["uncertainty"], *summary["schemes"].values()]
    keys = {re.sub(r"_(p05|p95|low|high)$", "", key) for part in named for key in part}
    missing = sorted(key for key in keys if f"`{key}`" not in page)
    assert not missing, f"not in docs/reference/summary.md: {missing}"


def test_a_run_takes_the_room_that_was_estimated(small_run):
    needs = estimate_run(nmsim.load_config(BOARDS / "lpddr4.yaml", SMALL))
    written = sum(file.stat().st_size for file in small_run.path.rglob("*") if file.is_file())
    assert written / 3 < needs.disk_bytes < 6 * written
    # The peak is that of all that this process has done: it bounds the estimate from above alone.
    assert needs.memory_bytes < 1.5 * small_run.manifest["peak_memory_bytes"]


def test_a_run_that_only_counts_its_training_costs_what_a_real_one_does(small_run, tmp_path):
    sets = [*SMALL, "schemes=[full, random]", "training.backend=none"]
    counted = nmsim.simulate(nmsim.load_config(BOARDS / "lpddr4.yaml", sets), out=tmp_path)
    for scheme, facts in counted.summary["schemes"].items():
        real = small_run.summary["schemes"][scheme]
        assert facts["energy_fJ"] == real["energy_fJ"] and facts["time_ps"] == real["time_ps"]
        assert facts["accuracy_mean"] is None and facts["accuracies"] == []
    report = (counted.path / "report.html").read_text()
    assert "nothing was trained" in report and not re.search(r"\bnan\b", report.split("<body>")[1])


def test_no_scheme_takes_less_energy_than_its_training_is_certain_to_take(small_run):
    config = nmsim.load_config(small_run.path / "config.resolved.yaml")
    least = dict(zip(config.schemes, least_energy_fJ(config, images_of(config)), strict=True))
    for row in small_run.schemes.itertuples():
        assert least[row.scheme] <= row.system_energy_fJ


def test_the_map_of_the_first_scheme_that_has_one_is_kept_whatever_its_method(tmp_path):
    few = ["dataset.glyphs.n_train=60", "dataset.name=glyphs", "schemes=[full, k-center@host, adapsne@nmc]"]
    few += ["selection.methods.adapsne.n_iter=3", "selection.keep_ratio=0.2"]
    config = nmsim.load_config(BOARDS / "lpddr4.yaml", [*SMALL, *few])
    learner = Learner(config, dataset := load(config.dataset), lambda message, share: None)
    learner.write_map(tmp_path / "map.npz")
    kept, selector = np.load(tmp_path / "map.npz"), learner.select("adapsne@nmc")
    assert np.array_equal(kept["embedding"], selector.map()) and kept["embedding"].shape == (60, 2)
    assert np.array_equal(kept["selected"], selector.indices_)
    assert np.array_equal(kept["labels"], dataset.y_train)


def test_a_memory_without_room_for_what_the_training_spills_is_refused_before_anything_is_chosen(tmp_path):
    # Two channels of 8 banks of 4 rows of 2 KiB are 131,072 bytes, of which the images take 1,438 · 64. The
    # MLP's 64 · 128 + 128 + 128 · 10 + 10 weights of two bytes fit, its gradients, as many, not beside them.
    sets = ["memory.organization.rows=4", "soc.sram=1 KiB", "training.network=mlp"]
    config, said = nmsim.load_config(BOARDS / "lpddr4.yaml", [*SMALL, *sets]), []
    with pytest.raises(NmsimError, match=r"too small for the array 'gradients'.*131,072"):
        nmsim.simulate(config, tmp_path, lambda message, share: said.append(message))
    assert said == ["reading the data"]
