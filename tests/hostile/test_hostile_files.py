"""Are bombs, lies and names that mean harm found out before they cost anything?"""

from __future__ import annotations

import gzip
import io
import json
import os
import sys
import tracemalloc
import zipfile
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from attacks import BOARD, idx_bytes, make_run, npy_bytes
from PIL import Image
from typer.testing import CliRunner

from nmsim.cli.app import app
from nmsim.config import load_config
from nmsim.data import make_dataset, open_dataset
from nmsim.errors import ConfigError, DataError, NmsimError, StoreError, TraceFormatError
from nmsim.report.outputs import draw
from nmsim.report.run import load_run, read_array
from nmsim.selection.api import create, fit
from nmsim.store.reading import parse_json
from nmsim.trace.schema import COMPONENT_COLUMNS
from nmsim.training.counted import count_training
from nmsim.training.recipe import Recipe

MB = 10**6


@contextmanager
def at_most(n_bytes: int):
    """Assert that Python and NumPy hold no more at any time."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < n_bytes
    finally:
        tracemalloc.stop()


def npz_bomb(folder):
    """An array of 12 images, says its header; behind it come 64 MB of zeros, packed."""
    with zipfile.ZipFile(folder / "data.npz", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("x_train.npy", npy_bytes(np.zeros((12, 2, 2), np.uint8)) + bytes(64 * MB))
        file.writestr("y_train.npy", npy_bytes(np.arange(12) % 2))
    return folder / "data.npz"


def npz_that_claims(folder):
    """Six gigabytes of images, says the header, and there are none."""
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (6000, 1000, 1000), }\n"
    with zipfile.ZipFile(folder / "data.npz", "w") as file:
        file.writestr("x_train.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    return folder / "data.npz"


def gzip_bomb(folder):
    """Twelve images, says the header; behind it come 64 MB of zeros, packed."""
    content = idx_bytes(np.zeros((12, 2, 2), np.uint8)) + bytes(64 * MB)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(content, 1))
    (folder / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.arange(12, dtype=np.uint8) % 2))
    return folder


def idx_that_claims(folder):
    """Six gigabytes of images, says the header, and there are none."""
    claim = bytes((0, 0, 8, 3)) + b"".join(n.to_bytes(4, "big") for n in (6000, 1000, 1000))
    (folder / "train-images-idx3-ubyte").write_bytes(claim)
    (folder / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.arange(12, dtype=np.uint8) % 2))
    return folder


@pytest.mark.parametrize("bomb", [npz_bomb, npz_that_claims, gzip_bomb, idx_that_claims])
def test_a_bomb_costs_little_more_memory_than_what_its_header_may_claim(tmp_path, bomb):
    path = bomb(tmp_path)
    with at_most(8 * MB), pytest.raises(DataError):
        open_dataset(path=path)


def test_an_array_of_a_run_that_claims_gigabytes_is_refused_for_its_few_bytes(tmp_path):
    header = b"{'descr': '<i8', 'fortran_order': False, 'shape': (900000000,), }\n"
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with at_most(4 * MB), pytest.raises(StoreError, match="no NumPy array"):
        read_array(tmp_path / "a.npy")


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "1e999", "NaN", "-Infinity", "1" * 5000])
def test_json_that_no_program_should_take_is_refused(text):
    with pytest.raises(ValueError):
        parse_json(text.encode())


@pytest.mark.parametrize(
    ("key", "value"),
    [("accuracy_mean", 10**400), ("time_ps", 2**63), ("time_ps", -1), ("time_ps", 1.5), ("time_ps", True),
     ("phases", [1]), ("ratio_to_full", "x"), ("ratio_to_full_p05", "x"), ("accuracy_sd", None)],
)  # fmt: skip
def test_a_summary_with_numbers_that_cannot_be_is_refused(tmp_path, key, value):
    file = make_run(tmp_path / "run", images=20) / "summary.json"
    summary = json.loads(file.read_text())
    summary["schemes"]["random"][key] = value
    file.write_text(json.dumps(summary))
    with pytest.raises(StoreError, match="the summary is damaged"):
        load_run(file.parent)


@pytest.mark.parametrize("value", [-1, 2**63 - 1, "nan", 0.5])
def test_an_energy_table_whose_sums_would_turn_over_is_refused(tmp_path, value):
    file = make_run(tmp_path / "run", images=20) / "energy.csv"
    lines = file.read_text().splitlines()
    lines[1] = ",".join([*lines[1].split(",")[:3], str(value)])
    file.write_text("\n".join(lines) + "\n")
    with pytest.raises(StoreError, match="the energy table is damaged"):
        load_run(file.parent)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_an_image_of_many_pictures_is_read_as_its_first(tmp_path, form):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for index in range(2):
            Image.new("L", (4, 4), index).save(tmp_path / name / f"{index}.png")
    film = [Image.new("L", (4, 4), 7)] * 100
    film[0].save(tmp_path / "dog" / "0.png", form, save_all=True, append_images=film[1:])
    with at_most(8 * MB):
        assert open_dataset(path=tmp_path).image_shape == (4, 4, 1)


@pytest.mark.parametrize("name", ["data.npz", "folder", "board.yaml", "run"])
def test_links_that_lead_in_a_circle_are_one_line(tmp_path, name):
    (tmp_path / name).symlink_to(tmp_path / name)
    words = {"board.yaml": ["config", "show"], "run": ["report"]}.get(name, ["data", "check"])
    result = CliRunner().invoke(app, [*words, str(tmp_path / name)])
    assert result.exit_code in (1, 2) and "Traceback" not in result.output
    (line,) = result.stderr.splitlines()
    assert str(tmp_path / name) in line


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_would_command_a_terminal_or_are_no_text_are_shown_escaped(tmp_path):
    evil = os.fsdecode(b"\x1b[2J\xff\n<b>")
    folder = tmp_path / evil
    for name in ("cat\x1b]0;x\x07", "dog"):
        (folder / name).mkdir(parents=True)
        for index in range(5):
            Image.new("L", (4, 4), index).save(folder / name / f"{index}.png")
    data = open_dataset(path=folder)
    assert data.class_names == ("cat\\x1b]0;x\\x07", "dog") and data.name == "\\x1b[2J\\udcff\\n<b>"
    (folder / "dog" / "1.png").write_text("")
    with pytest.raises(DataError) as caught:
        open_dataset(path=folder)
    assert str(caught.value).isprintable() and "\\x1b[2J\\udcff <b>/dog/1.png" in str(caught.value)


@pytest.mark.parametrize("value", ['"\\0"', '"\\0.yaml"', '"a\\ud800"', '"' + "x" * 5000 + '"'])
@pytest.mark.parametrize("path", ["dataset.path", "memory.standard", "name", "extends"])
def test_texts_that_no_file_can_be_named_by_are_one_line(tmp_path, path, value):
    file = tmp_path / "board.yaml"
    section, _, key = path.rpartition(".")
    file.write_text(f"{section}:\n  {key}: {value}\n" if section else f"{key}: {value}\n")
    result = CliRunner().invoke(app, ["run", str(file), "--dry-run"])
    assert (
        result.exit_code == 2 and result.stderr.startswith("nmsim: error") and "internal" not in result.stderr
    )


@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf", "1e999"])
@pytest.mark.parametrize(
    "path", ["selection.keep_ratio", "training.learning_rate", "near_memory.units_per_die"]
)
def test_numbers_that_are_none_are_refused_in_a_configuration(path, value):
    with pytest.raises(ConfigError):
        load_config(BOARD, [f"{path}={value}"])


@pytest.mark.parametrize("method", ["random", "de-sne", "kernel-herding", "k-center"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_data_that_are_no_numbers_are_refused_by_every_selection(method, value):
    X = np.random.default_rng(0).random((20, 3, 3))
    X[7, 1, 1] = value
    with pytest.raises(NmsimError):
        fit(create(method, 0.5), X, np.arange(20) % 2)


def test_images_as_floats_are_refused_by_a_data_set():
    with pytest.raises(DataError, match="wrong kind"):
        make_dataset("x", (np.full((4, 2, 2), np.nan), np.arange(4) % 2), None)


def test_an_archive_that_is_encrypted_or_packed_in_an_unknown_way_is_refused(tmp_path):
    content = io.BytesIO()
    np.savez(content, x_train=np.zeros((4, 2, 2), np.uint8), y_train=np.arange(4) % 2)
    whole = bytearray(content.getvalue())
    at = whole.index(b"PK\x01\x02")  # the first entry of the directory: flags at byte 8, method at byte 10
    for offset, value in ((8, 1), (10, 99)):
        harmed = bytearray(whole)
        harmed[at + offset] = value
        (tmp_path / "data.npz").write_bytes(harmed)
        with pytest.raises(DataError, match="npz"):
            open_dataset(path=tmp_path / "data.npz")


@pytest.mark.parametrize(
    ("setting", "says"),
    [("memory.organization.channels=2147483648", "banks in all"),
     ("memory.organization.rows=2147483648", "bytes in all"),
     ("memory.timing.tCK=1 s", r"tCK: must be at most 1e\+09 ps"),
     ("memory.controller.power_down_idle=1e30 ps", r"at most 1e\+15 ps"),
     ("soc.cpu.clock=1e61 Hz", r"at most 1e\+60 Hz")],
)  # fmt: skip
def test_a_memory_that_numbers_of_64_bits_cannot_address_or_time_is_refused(setting, says):
    extra = ["memory.organization.columns=2147483648"] if "rows" in setting else []
    with pytest.raises(ConfigError, match=says):
        load_config(BOARD, [setting, *extra])


def halve(part):
    table = pq.read_table(part)
    pq.write_table(table.slice(0, len(table) // 2), part)


@pytest.mark.parametrize("harm", [halve, os.remove])
def test_a_trace_that_is_not_whole_is_refused_by_all_who_read_it(tmp_path, harm):
    run = make_run(tmp_path / "run", images=20)
    harm(run / "trace" / "part-00000.parquet")
    for words in (
        ("report",),
        ("plot", "--out", tmp_path / "plots"),
        ("trace", "head"),
        ("trace", "summary"),
    ):
        result = CliRunner().invoke(app, [*map(str, (*words, run))])
        assert result.exit_code == 2 and len(result.stderr.splitlines()) == 1, words
        assert "trace" in result.stderr and not (tmp_path / "plots").exists()


def test_a_trace_of_other_energies_is_not_drawn(tmp_path):
    run = make_run(tmp_path / "run", images=20)
    part = run / "trace" / "part-00000.parquet"
    table = pq.read_table(part)
    name = next(name for name in COMPONENT_COLUMNS if pc.max(table[name]).as_py())
    row = int(np.argmax(table[name].to_numpy()))
    for column in (name, "energy_fJ"):
        numbers = table[column].to_numpy().copy()
        numbers[row] -= 1
        table = table.set_column(table.schema.get_field_index(column), column, pa.array(numbers))
    pq.write_table(table, part)
    with pytest.raises(TraceFormatError, match="does not sum to the energy table"):
        draw(run, tmp_path / "plots")


def test_a_training_that_is_only_counted_holds_nothing_for_an_epoch():
    with at_most(4 * MB):
        recipe = Recipe(network="softmax", epochs=1 << 31, min_steps=0)
        done = count_training(4, (2, 2, 1), 2, recipe, seed=1)
        assert done.loss_per_epoch.shape == done.accuracy_per_epoch.shape == (1 << 31,)
        assert np.isnan(done.loss_per_epoch[-1])
