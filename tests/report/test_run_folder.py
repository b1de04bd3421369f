"""Does a run read back as it was written, and is a damaged one refused in one line?"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nmsim.errors import DataError, NmsimError, StoreError
from nmsim.report.run import Run, load_run


def test_every_number_of_the_summary_stands_in_the_table_of_schemes(run_folder: Path):
    run = load_run(run_folder)
    stated = json.loads((run_folder / "summary.json").read_text())["schemes"]
    assert list(run.schemes["scheme"]) == list(stated)
    for row in run.schemes.itertuples():
        facts = stated[row.scheme]
        for name in ("accuracy_mean", "kept", "time_ps", "pcb_bytes", "ddr_energy_fJ", "system_energy_fJ"):
            assert getattr(row, name) == facts[name]
        expected = (facts["ratio_to_full"] or {}).get("system_energy", np.nan)
        assert row.ratio_system_energy == pytest.approx(expected, nan_ok=True)


def test_a_column_that_holds_a_quantity_ends_in_its_unit_or_is_a_share_or_a_count(run_folder: Path):
    run = load_run(run_folder)
    plain = {
        "scheme",
        "phase",
        "component",
        "kept",
        "seeds",
        "epochs",
        "accuracy_mean",
        "accuracy_sd",
        "simulated_share",
    }
    plain |= {"row_hits", "row_misses", "row_conflicts"}
    for frame in (run.schemes, run.energy, run.phases):
        for name in set(frame.columns) - plain:
            assert name.endswith(("_fJ", "_ps", "_bytes", "_training", "_epochs")) or name.startswith(
                "ratio_"
            )


def test_the_phases_of_a_scheme_sum_to_its_total(run_folder: Path):
    run = load_run(run_folder)
    by_phase = run.phases.groupby("scheme")["energy_fJ"].sum()
    by_component = run.energy.groupby("scheme")["energy_fJ"].sum()
    for row in run.schemes.itertuples():
        assert by_phase[row.scheme] == by_component[row.scheme] == row.system_energy_fJ


def test_indices_are_found_for_a_scheme_with_an_at_sign(run_folder: Path):
    run = load_run(run_folder)
    indices = run.indices("de-sne@nmc")
    assert indices.dtype == np.int64
    assert len(indices) == run.schemes.set_index("scheme").loc["de-sne@nmc", "kept"]
    with pytest.raises(DataError, match="no such scheme"):
        run.indices("de-sne")


def test_a_run_cannot_be_changed(run_folder: Path):
    run: Run = load_run(run_folder)
    with pytest.raises(AttributeError):
        run.path = Path("elsewhere")  # type: ignore[misc]


def _without(name: str):
    return lambda folder: (folder / name).unlink()


def _replaced(name: str, old: str, new: str):
    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return change


def _cut(name: str):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-40])


@pytest.mark.parametrize(
    "damage",
    [
        _without("manifest.json"),
        _cut("manifest.json"),
        _without("summary.json"),
        _cut("summary.json"),
        _replaced("summary.json", '"schemes"', '"shemes"'),
        _replaced("summary.json", '"kept"', '"held"'),
        _replaced("summary.json", '"accuracy_mean": ', '"accuracy_mean": NaN, "was": '),
        _replaced("summary.json", '"time_ps": ', '"time_ps": -'),
        _replaced("summary.json", '"simulated_share": 1.0', '"simulated_share": "all"'),
        _without("energy.csv"),
        _replaced("energy.csv", "energy_fJ", "energy"),
        _replaced("energy.csv", "soc_static", "soc_unknown"),
        _replaced("energy.csv", "full,", "fool,"),
    ],
)
def test_a_damaged_run_is_refused_in_one_line_that_names_the_file(run_folder: Path, damage):
    damage(run_folder)
    with pytest.raises(StoreError) as caught:
        load_run(run_folder)
    text = str(caught.value)
    assert "\n" not in text
    assert run_folder.name in text


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="no run here"):
        load_run(tmp_path / "nowhere")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"\x93NUMPY"])
def test_a_damaged_map_or_index_file_is_refused(run_folder: Path, content: bytes):
    run = load_run(run_folder)
    (run_folder / "selection.npz").write_bytes(content)
    (run_folder / "selected_indices.random.npy").write_bytes(content)
    with pytest.raises(NmsimError):
        run.selection()
    with pytest.raises(NmsimError):
        run.indices("random")


def test_a_map_that_names_images_it_does_not_hold_is_refused(run_folder: Path):
    points, labels = np.zeros((4, 2), dtype=np.float32), np.zeros(4, dtype=np.int64)
    np.savez(run_folder / "selection.npz", embedding=points, labels=labels, selected=np.array([1, 4]))
    with pytest.raises(StoreError, match="map is damaged"):
        load_run(run_folder).selection()


def test_a_pickle_is_never_opened(run_folder: Path):
    np.save(run_folder / "selected_indices.random.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(StoreError, match="no NumPy array"):
        load_run(run_folder).indices("random")
