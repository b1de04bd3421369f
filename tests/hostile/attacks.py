"""Every reader of nmsim with valid files for it, and ways to harm these.

An `Attack` is a reader with one file that an attacker writes; the files beside it are in order. Whatever the
file holds, the reader may return or raise an `NmsimError` of one printable line, and nothing else.
"""

from __future__ import annotations

import gzip
import io
import json
import sys
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
for folder in ("data", "formats", "report"):
    sys.path.insert(0, str(ROOT / "tests" / folder))

from idx_samples import idx_bytes  # noqa: E402
from made_up_run import make_run  # noqa: E402
from PIL import Image  # noqa: E402
from trace_samples import random_table  # noqa: E402

from nmsim._version import __version__  # noqa: E402
from nmsim.config import dump_config, load_config  # noqa: E402
from nmsim.config.yaml_tree import parse_yaml  # noqa: E402
from nmsim.data import open_dataset  # noqa: E402
from nmsim.data.fetch import _unpack  # noqa: E402
from nmsim.dram.address import AddressMap  # noqa: E402
from nmsim.dram.standard import load_standard  # noqa: E402
from nmsim.errors import NmsimError  # noqa: E402
from nmsim.report.run import load_run, read_array  # noqa: E402
from nmsim.store.kept import read_kept  # noqa: E402
from nmsim.store.objects import read_piece, write_piece  # noqa: E402
from nmsim.store.reading import sha256_of  # noqa: E402
from nmsim.sweep.spec import Drafts  # noqa: E402
from nmsim.sweep.spec_file import read_spec  # noqa: E402
from nmsim.system.parts import controller_spec, dram_spec  # noqa: E402
from nmsim.trace.command_files import read_commands  # noqa: E402
from nmsim.trace.importers import read_requests  # noqa: E402
from nmsim.trace.reader import open_trace  # noqa: E402
from nmsim.trace.writer import TraceWriter  # noqa: E402

BOARD = ROOT / "hw_configs" / "lpddr4.yaml"
DDR4 = ROOT / "hw_configs" / "ddr4_2400.yaml"
TRACES = ROOT / "traces"


@dataclass(frozen=True)
class Attack:
    """A reader, and a file that it is given.

    Attributes
    ----------
    file : Path
        What the attacker writes.
    seeds : sequence of bytes
        Content that the reader accepts.
    read : callable
        Reads the file as far as nmsim ever does.
    packed : callable
        Content to what is written: for files that are guarded by checksums, which an attacker can compute.
    """

    file: Path
    seeds: Sequence[bytes]
    read: Callable[[], object]
    packed: Callable[[bytes], bytes] = bytes

    def attempt(self, content: bytes) -> NmsimError | None:
        """Write the file and read it; return how it was refused, None where it was not."""
        self.file.write_bytes(self.packed(content))
        try:
            self.read()
        except NmsimError as error:
            assert str(error).isprintable(), repr(str(error))
            return error
        return None


def _numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def _labels(n: int) -> np.ndarray:
    return np.arange(n) % 2


def yaml_text(folder: Path) -> Attack:
    """Any text at all as YAML."""
    file = folder / "board.yaml"
    seeds = [b"a: 1\nb: {c: [1, 2.5, 'x'], d: ~}\ne: &x yes\nf: *x\ng: |\n  text\n", BOARD.read_bytes()]
    return Attack(file, seeds, lambda: parse_yaml(file.read_bytes().decode("utf-8", "replace"), str(file)))


def board(folder: Path) -> Attack:
    """A configuration, with all that it says."""
    file = folder / "board.yaml"
    return Attack(file, [dump_config(load_config(BOARD)).encode()], lambda: load_config(file))


def sweep(folder: Path) -> Attack:
    """What is varied on a board."""
    (folder / "board.yaml").write_text(dump_config(load_config(BOARD)))
    file = folder / "sweep.yaml"
    head = "config: board.yaml\nset:\n  training.seeds: 1\n"
    seeds = (
        "grid:\n  near_memory.buffer: [1 KiB, 4 KiB]\n  link.length: [20 mm, 60 mm]\n",
        "random:\n  points: 3\n  seed: 1\n  over:\n    link.length: {from: 20 mm, to: 60 mm, scale: log}\n",
        "search:\n  trials: 4\n  over:\n    selection.keep_ratio: {from: 0.1, to: 0.5}\n    seed: [1, 2]\n",
    )

    def read() -> None:
        spec = read_spec(file)
        spec.check_size(50, None)
        Drafts(spec).check()

    return Attack(file, [(head + seed).encode() for seed in seeds], read)


def standard(folder: Path) -> Attack:
    """A DRAM standard of one's own."""
    file = folder / "standard.yaml"
    known = ROOT / "nmsim" / "dram" / "standards"
    seeds = [(known / f"{name}.yaml").read_bytes() for name in ("hbm2", "lpddr5x")]
    return Attack(file, seeds, lambda: load_standard.__wrapped__(str(file)))


def _idx(folder: Path, attacked: str) -> Attack:
    parts = {"images-idx3": _numbers(10, 4, 5), "labels-idx1": _labels(10).astype(np.uint8)}
    for kind, array in parts.items():
        (folder / f"train-{kind}-ubyte").write_bytes(idx_bytes(array))
    content = idx_bytes(parts[attacked])
    file = folder / f"train-{attacked}-ubyte"
    return Attack(file, [content, gzip.compress(content)], lambda: open_dataset(path=folder))


def idx_images(folder: Path) -> Attack:
    """Images as MNIST's."""
    return _idx(folder, "images-idx3")


def idx_labels(folder: Path) -> Attack:
    """Labels as MNIST's."""
    return _idx(folder, "labels-idx1")


def cifar10(folder: Path) -> Attack:
    """A batch of CIFAR-10."""
    records = np.concatenate([np.arange(10, dtype=np.uint8)[:, None], _numbers(10, 3072)], axis=1)
    (folder / "test_batch.bin").write_bytes(records.tobytes())
    return Attack(folder / "data_batch_1.bin", [records.tobytes()], lambda: open_dataset(path=folder))


def cifar100(folder: Path) -> Attack:
    """The training part of CIFAR-100."""
    labels = np.arange(100, dtype=np.uint8)[:, None]
    records = np.concatenate([labels // 5, labels, _numbers(100, 3072)], axis=1)
    (folder / "test.bin").write_bytes(records[:2].tobytes())
    return Attack(folder / "train.bin", [records.tobytes()], lambda: open_dataset(path=folder))


def _npz_bytes(save: Callable, **arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def npy_bytes(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(folder: Path) -> Attack:
    """An archive of arrays."""
    file, arrays = folder / "data.npz", {"x_train": _numbers(8, 3, 4), "y_train": _labels(8)}
    seeds = [_npz_bytes(save, **arrays) for save in (np.savez, np.savez_compressed)]
    return Attack(file, seeds, lambda: open_dataset(path=file))


def npz_array(folder: Path) -> Attack:
    """An array in an archive that is whole."""
    file = folder / "data.npz"

    def packed(content: bytes) -> bytes:
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as members:
            members.writestr("x_train.npy", content)
            members.writestr("y_train.npy", npy_bytes(_labels(8)))
        return archive.getvalue()

    images = _numbers(8, 3, 4)
    seeds = [npy_bytes(a) for a in (images, np.asfortranarray(images / 255), images.astype(">i2"))]
    return Attack(file, seeds, lambda: open_dataset(path=file), packed)


def image(folder: Path) -> Attack:
    """One image of a folder of them."""
    for name in ("cat", "dog"):
        (folder / name).mkdir()
        for index in range(2):
            Image.fromarray(_numbers(4, 6, 3)).save(folder / name / f"{index}.png")
    drawn, seeds = Image.fromarray(_numbers(4, 6, 3)), []
    for form in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"):
        content = io.BytesIO()
        drawn.save(content, form)
        seeds.append(content.getvalue())
    return Attack(folder / "dog" / "1.png", seeds, lambda: open_dataset(path=folder))


@cache
def _places() -> AddressMap:
    memory = load_config(DDR4).memory
    return AddressMap(dram_spec(memory), controller_spec(memory).address_map)


def _requests(folder: Path, form: str, *samples: str) -> Attack:
    places = _places()
    file = folder / f"trace.{form}"
    seeds = [b"".join((TRACES / name).read_bytes().splitlines(keepends=True)[:12]) for name in samples]

    def read() -> None:
        for _ in read_requests(file, places, "auto" if form == "auto" else form):
            pass

    return Attack(file, [*seeds, *map(gzip.compress, seeds)], read)


def dramsim3(folder: Path) -> Attack:
    """Requests as DRAMsim3 reads them."""
    return _requests(folder, "dramsim3", "mixed.dramsim3")


def ramulator(folder: Path) -> Attack:
    """Requests as Ramulator reads them, by address and by place."""
    return _requests(folder, "ramulator", "mixed.ramulator", "mixed.vectors.ramulator")


def stl(folder: Path) -> Attack:
    """Requests as DRAMSys reads them."""
    return _requests(folder, "stl", "mixed.stl")


def any_requests(folder: Path) -> Attack:
    """Requests in a format that is guessed."""
    return _requests(folder, "auto", "mixed.csv", "mixed.stl", "mixed.ramulator")


def commands(folder: Path) -> Attack:
    """DRAM commands as DRAMPower reads them."""
    spec = dram_spec(load_config(BOARD).memory)
    file = folder / "commands.csv"

    def read() -> None:
        for _ in read_commands(file, spec):
            pass

    return Attack(file, [(TRACES / "commands.drampower.csv").read_bytes()], read)


def parquet(folder: Path) -> Attack:
    """A part of nmsim's own trace."""
    with TraceWriter(folder / "trace") as writer:
        writer.write(random_table(40, 1))
    (file,) = (folder / "trace").glob("part-*.parquet")

    def read() -> None:
        trace = open_trace(folder)
        for _ in trace.batches(from_ps=10, to_ps=10**12):
            pass
        trace.summary()
        trace.energy_fJ()

    return Attack(file, [file.read_bytes()], read)


def _run_file(folder: Path, name: str, read: Callable[[Path], object]) -> Attack:
    run = make_run(folder / "run", images=40)
    file = run / name
    return Attack(file, [file.read_bytes()], lambda: read(run))


def manifest(folder: Path) -> Attack:
    """The manifest of a run."""
    return _run_file(folder, "manifest.json", load_run)


def summary(folder: Path) -> Attack:
    """The summary of a run."""
    return _run_file(folder, "summary.json", load_run)


def energy(folder: Path) -> Attack:
    """The energy table of a run."""
    return _run_file(folder, "energy.csv", load_run)


def indices(folder: Path) -> Attack:
    """The selected numbers of a run."""
    return _run_file(
        folder, "selected_indices.random.npy", lambda run: read_array(run / "selected_indices.random.npy")
    )


def selection(folder: Path) -> Attack:
    """The map of a run's selection."""
    return _run_file(folder, "selection.npz", lambda run: load_run(run).selection())


def kept(folder: Path) -> Attack:
    """What an interrupted run keeps."""
    value = {"a": np.arange(5), "b": [(1, 2.5, None), {"c": np.float64(3)}], "d": np.random.default_rng(1)}
    file = folder / "piece.npz"
    write_piece(file, value, {})
    return Attack(file, [file.read_bytes()], lambda: read_piece(file, {}))


def kept_tree(folder: Path) -> Attack:
    """The JSON within it."""
    file = folder / "piece.npz"
    write_piece(file, {"a": np.arange(5), "b": [(1, 2.5, None), slice(1, 2)]}, {})
    with np.load(file) as held:
        arrays = dict(held)
    seed = arrays.pop("tree").tobytes()
    seeds = [seed, b'{"object": "nmsim.data.catalog:Entry", "state": {"dict": [["name", 1]]}}']

    def packed(content: bytes) -> bytes:
        return _npz_bytes(np.savez, tree=np.frombuffer(content, np.uint8), **arrays)

    return Attack(file, seeds, lambda: read_piece(file, {}), packed)


def interrupted(folder: Path) -> Attack:
    """The manifest of an interrupted run."""
    file = folder / "manifest.json"
    seed = {
        "manifest_version": 1,
        "status": "interrupted",
        "nmsim_version": __version__,
        "config_sha256": "x",
        "dataset_sha256": "y",
    }
    piece = folder / "kept" / "000.npz"
    write_piece(piece, [1, 2], {})
    kept = {"kept": {"a": "kept/000.npz"}, "kept_sha256": {"a": sha256_of(piece)}}
    return Attack(file, [json.dumps(seed | kept).encode()], lambda: read_kept(folder, seed, {}))


def archive(folder: Path) -> Attack:
    """A downloaded archive, were its hash not checked first."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("cifar/data_batch_1.bin", "cifar/é" + "x" * 120, "cifar/test_batch.bin"):
            member = tarfile.TarInfo(name)
            member.size = 700
            tar.addfile(member, io.BytesIO(bytes(700)))
    file, out = folder / "archive.tar.gz", folder / "out"
    wanted = {"data_batch_1.bin": 700, "test_batch.bin": 700}

    def read() -> None:
        _unpack(file, out, wanted)

    out.mkdir()
    return Attack(
        file, [content.getvalue()], read, lambda content: gzip.compress(content, compresslevel=1, mtime=0)
    )


def squeezed_archive(folder: Path) -> Attack:
    """The same, squeezed by whoever attacks."""
    plain = archive(folder)
    return Attack(plain.file, [gzip.compress(plain.seeds[0])], plain.read)


ATTACKS: dict[str, Callable[[Path], Attack]] = {
    make.__name__.replace("_", " "): make
    for make in (
        yaml_text, board, sweep, standard, idx_images, idx_labels, cifar10, cifar100, npz, npz_array, image,
        dramsim3, ramulator, stl, any_requests, commands, parquet, manifest, summary, energy, indices,
        selection, kept, kept_tree, interrupted, archive, squeezed_archive,
    )
}  # fmt: skip
