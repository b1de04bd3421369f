"""Is what comes over the network checked, unpacked safely, and published whole? The server is local."""

from __future__ import annotations

import dataclasses
import hashlib
import http.server
import io
import os
import re
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest
from idx_samples import write_idx_folder

from nmsim.data import catalog, open_dataset
from nmsim.data.catalog import Entry, RemoteFile
from nmsim.data.fetch import fetch
from nmsim.errors import DataError


@pytest.fixture
def server(tmp_path):
    """Serve `tmp_path / "remote"` on the loopback interface; give its address and the paths asked for."""
    asked = []
    remote = tmp_path / "remote"
    remote.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(remote))

        def log_message(self, *args):
            asked.append(self.path)

    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=served.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{served.server_port}/", asked
    served.shutdown()
    served.server_close()


def pinned(file: Path, *addresses: str) -> RemoteFile:
    content = file.read_bytes()
    urls = tuple(address + file.name for address in addresses)
    return RemoteFile(file.name, urls, hashlib.sha256(content).hexdigest(), len(content))


@pytest.fixture
def mnist(tmp_path, server, monkeypatch) -> Entry:
    """Put a small stand-in for MNIST on the server and into the catalogue."""
    folder = write_idx_folder(tmp_path / "remote")
    files = tuple(pinned(file, server[0]) for file in sorted(folder.iterdir()))
    entry = dataclasses.replace(catalog.CATALOG["mnist"], remote=files)
    monkeypatch.setitem(catalog.CATALOG, "mnist", entry)
    return entry


def archive(file: Path, members: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    with tarfile.open(file, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    return file


@pytest.fixture
def cifar(tmp_path, server, monkeypatch):
    """Return a function that puts an archive on the server as CIFAR-10 with one training batch."""
    record = 3073
    batches = {f"{name}_batch{tail}.bin": 20 * record for name, tail in (("data", "_1"), ("test", ""))}

    def publish(members: dict[str, bytes], links: dict[str, str] | None = None) -> None:
        file = archive(tmp_path / "remote" / "cifar-10-binary.tar.gz", members, links)
        entry = dataclasses.replace(
            catalog.CATALOG["cifar10"], remote=(pinned(file, server[0]),), unpack=tuple(batches.items())
        )
        monkeypatch.setitem(catalog.CATALOG, "cifar10", entry)

    return publish


def batch(seed: int) -> bytes:
    records = np.random.default_rng(seed).integers(0, 256, (20, 3073), dtype=np.uint8)
    records[:, 0] = np.arange(20) % 10
    return records.tobytes()


GOOD = {
    "cifar-10-batches-bin/data_batch_1.bin": batch(1),
    "cifar-10-batches-bin/test_batch.bin": batch(2),
    "cifar-10-batches-bin/readme.html": b"<html>",
}


def test_a_fetched_data_set_is_the_one_on_the_server(tmp_path, mnist):
    folder = fetch("mnist", tmp_path / "cache")
    assert sorted(os.listdir(folder)) == sorted(mnist.files)
    assert open_dataset("mnist", cache_dir=tmp_path / "cache").sha256 == (
        open_dataset(path=tmp_path / "remote").sha256
    )


def test_what_is_there_is_not_fetched_again(tmp_path, mnist, server):
    fetch("mnist", tmp_path / "cache")
    before = len(server[1])
    fetch("mnist", tmp_path / "cache")
    assert len(server[1]) == before == 4


def test_progress_ends_at_the_whole_of_each_file(tmp_path, mnist):
    last = {}
    fetch("mnist", tmp_path / "cache", progress=lambda name, done, size: last.update({name: (done, size)}))
    assert last == {file.name: (file.size_bytes, file.size_bytes) for file in mnist.remote}


def test_an_archive_gives_its_data_files_and_nothing_else(tmp_path, cifar):
    cifar(GOOD)
    folder = fetch("cifar10", tmp_path / "cache")
    assert sorted(os.listdir(folder)) == ["data_batch_1.bin", "test_batch.bin"]
    assert len(open_dataset("cifar10", cache_dir=tmp_path / "cache").y_train) == 20


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda content: content[:-1] + bytes([content[-1] ^ 1]), "is not the pinned"),
        (lambda content: content[:-1], "bytes came"),
        (lambda content: content + b"\0", "more than the expected"),
        (lambda content: None, "the server says 404"),
    ],
    ids=["a bit flipped", "cut short", "too long", "missing"],
)
def test_a_download_that_is_not_the_pinned_one_leaves_nothing(tmp_path, mnist, harm, message):
    file = tmp_path / "remote" / "t10k-labels-idx1-ubyte.gz"
    content = harm(file.read_bytes())
    file.write_bytes(content) if content is not None else file.unlink()
    with pytest.raises(DataError) as caught:
        fetch("mnist", tmp_path / "cache")
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert os.listdir(tmp_path / "cache") == []


def test_without_a_network_the_user_is_told_what_to_do(tmp_path, mnist, server, monkeypatch):
    nobody = dataclasses.replace(mnist.remote[0], urls=("http://127.0.0.1:9/file",))  # the discard port
    monkeypatch.setitem(catalog.CATALOG, "mnist", dataclasses.replace(mnist, remote=(nobody,)))
    with pytest.raises(DataError, match="Connection refused") as caught:
        fetch("mnist", tmp_path / "cache")
    assert f"get {nobody.name} from http://127.0.0.1:9/file on another machine" in caught.value.hint
    assert str(tmp_path / "cache" / "downloads" / "mnist") in caught.value.hint


def test_the_second_address_is_tried_where_the_first_fails(tmp_path, mnist, server, monkeypatch):
    files = tuple(
        dataclasses.replace(f, urls=("http://127.0.0.1:9/" + f.name, *f.urls)) for f in mnist.remote
    )
    monkeypatch.setitem(catalog.CATALOG, "mnist", dataclasses.replace(mnist, remote=files))
    assert sorted(os.listdir(fetch("mnist", tmp_path / "cache"))) == sorted(mnist.files)


def test_files_put_there_by_hand_spare_the_network(tmp_path, mnist, cifar, server):
    cifar(GOOD)
    for name in ("mnist", "cifar10"):
        by_hand = tmp_path / "cache" / "downloads" / name
        by_hand.mkdir(parents=True)
        for remote in catalog.CATALOG[name].remote:
            (by_hand / remote.name).write_bytes((tmp_path / "remote" / remote.name).read_bytes())
        fetch(name, tmp_path / "cache")
        assert sorted(os.listdir(by_hand)) == sorted(f.name for f in catalog.CATALOG[name].remote)
        assert len(open_dataset(name, cache_dir=tmp_path / "cache").y_train) == 20
    assert server[1] == []


def test_a_wrong_file_put_there_by_hand_is_named(tmp_path, mnist):
    by_hand = tmp_path / "cache" / "downloads" / "mnist"
    by_hand.mkdir(parents=True)
    (by_hand / "train-images-idx3-ubyte.gz").write_bytes(b"<html>")
    with pytest.raises(
        DataError, match=r"train-images-idx3-ubyte.gz: this is not the file that was expected"
    ):
        fetch("mnist", tmp_path / "cache")
    assert os.listdir(tmp_path / "cache") == ["downloads"]


HOSTILE = {
    "a path upwards": ({"../../test_batch.bin": batch(2)}, None),
    "an absolute link": ({}, {"data_batch_1.bin": "/etc/passwd"}),
    "a link upwards": ({}, {"cifar-10-batches-bin/data_batch_1.bin": "../../../../secret"}),
    "a wrong size": ({"cifar-10-batches-bin/data_batch_1.bin": b"short"}, None),
    "nothing of use": ({"readme": b""}, None),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_an_archive_cannot_write_elsewhere_or_something_else(tmp_path, cifar, case):
    members, links = HOSTILE[case]
    cifar(members, links)
    with pytest.raises(DataError, match="archive"):
        fetch("cifar10", tmp_path / "cache")
    assert os.listdir(tmp_path / "cache") == []
    assert sorted(os.listdir(tmp_path)) == ["cache", "remote"]


def test_a_file_that_is_no_archive_is_refused(tmp_path, cifar):
    cifar(GOOD)
    entry = catalog.CATALOG["cifar10"]
    file = tmp_path / "remote" / "cifar-10-binary.tar.gz"
    file.write_bytes(file.read_bytes()[:5000])
    whole = dataclasses.replace(
        entry, remote=(pinned(file, entry.remote[0].urls[0].removesuffix(file.name)),)
    )
    catalog.CATALOG["cifar10"] = whole  # the fixture's patch restores the real one
    with pytest.raises(DataError, match="damaged"):
        fetch("cifar10", tmp_path / "cache")
    assert os.listdir(tmp_path / "cache") == []


@pytest.mark.parametrize(
    ("name", "message"), [("imagenet", "no data set has this name"), ("glyphs", "no download")]
)
def test_names_without_a_download_are_refused(tmp_path, name, message):
    with pytest.raises(DataError, match=message):
        fetch(name, tmp_path)
    assert os.listdir(tmp_path) == []


def test_only_fetch_knows_the_network():
    package = Path(catalog.__file__).parents[1]
    network = re.compile(r"^\s*(?:import|from)\s+(?:urllib|http|socket|ssl|ftplib|requests)\b", re.MULTILINE)
    users = [
        f.relative_to(package).as_posix() for f in package.rglob("*.py") if network.search(f.read_text())
    ]
    assert users == ["data/fetch.py"]
