"""Are request traces read as they are meant, and is everything else refused where it stands?"""

import gzip
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nmsim.config import load_config
from nmsim.dram.address import AddressMap, Location
from nmsim.errors import TraceFormatError
from nmsim.system.parts import dram_spec
from nmsim.trace import importers, texts
from nmsim.trace.importers import read_requests

CONFIGS = Path(__file__).parents[2] / "hw_configs"


@pytest.fixture(scope="module")
def address_map():
    """Return a map of two channels and two ranks, so that every field of a place can be wrong."""
    spec = dram_spec(load_config(CONFIGS / "ddr4_2400.yaml").memory)
    spec = replace(spec, organization=replace(spec.organization, channels=2, ranks=2))
    return AddressMap(spec, "RoBaRaBgCoCh")


def vector(address_map, address):
    org = address_map.spec.organization
    place = address_map.decode(np.array([address]))
    group, bank = divmod(int(place.bank[0]), org.banks)
    rank, bankgroup = divmod(group, org.bankgroups)
    return f"{place.channel[0]},{rank},{bankgroup},{bank},{place.row[0]},{place.column[0]}"


LINES = {
    "load": lambda w, a, t, m: f"{'ST' if w else 'LD'} {a:#x}",
    "load in decimal": lambda w, a, t, m: f"{'st' if w else 'ld'}   {a}\t",
    "vector": lambda w, a, t, m: f"{'RW'[w]} {vector(m, a)}",
    "vector with blanks": lambda w, a, t, m: f" {'RW'[w]} {vector(m, a).replace(',', ' , ')}",
    "dramsim3": lambda w, a, t, m: f"0x{a:X} {'WRITE' if w else 'READ'} {t}",
    "dramsim3 without 0x": lambda w, a, t, m: f"{a:x} {'WRITE' if w else 'READ'} {t}",
    "stl": lambda w, a, t, m: f"{t}: {'write' if w else 'read'} {a:#x}" + (" 0x00ff" if w else ""),
    "stl with length": lambda w, a, t, m: f"{t}:\t(64) {'write' if w else 'read'} {a:#x}",
    "csv": lambda w, a, t, m: f"{'RW'[w]},{a}",
    "csv with blanks": lambda w, a, t, m: f"{'rw'[w]} , {a:#X}",
}


def random_requests(address_map, n, seed=5):
    rng = np.random.default_rng(seed)
    address = rng.integers(0, address_map.size_bytes // 64, n) * 64
    return rng.integers(0, 2, n), address, np.cumsum(rng.integers(0, 99, n))


def read(path, address_map, form="auto"):
    """Return (is_write, address, arrival_clk) of all chunks together."""
    chunks = list(read_requests(path, address_map, form))
    place = Location(*(np.concatenate(part) for part in zip(*(c.place for c in chunks), strict=True)))
    is_write = np.concatenate([c.is_write for c in chunks])
    return is_write, address_map.encode(place), np.concatenate([c.arrival_clk for c in chunks])


@pytest.mark.parametrize("layout", LINES)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_is_written_is_read(tmp_path, address_map, layout, end):
    is_write, address, clk = random_requests(address_map, 500)
    lines = [LINES[layout](*r, address_map) for r in zip(is_write, address, clk, strict=True)]
    path = tmp_path / "a.trace"
    path.write_bytes(end.join(["# made for a test", "", *lines]).encode())  # the last line has no end
    found = read(path, address_map)
    assert np.array_equal(found[0], is_write) and np.array_equal(found[1], address)
    assert np.array_equal(
        found[2], clk if "clock" in layout or layout.startswith(("dramsim3", "stl")) else []
    )


@pytest.mark.parametrize("layout", ["load", "vector", "stl"])
def test_where_chunks_are_cut_changes_nothing(tmp_path, address_map, monkeypatch, layout):
    requests = random_requests(address_map, 300)
    lines = [LINES[layout](*r, address_map) + "\n" for r in zip(*requests, strict=True)]
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    plain.write_text("#\n".join(lines))
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    whole = read(plain, address_map)
    for size in (64, 97, 1024):
        monkeypatch.setattr(texts, "CHUNK_BYTES", size)
        for path in (plain, packed):
            for found, expected in zip(read(path, address_map), whole, strict=True):
                assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("LD 0x40\nLD 0xZZ\n", 2, "0xZZ"),
        ("LD 0x40\n# all is well\n\nLDX 0x40\n", 4, "found LDX; expected LD or ST"),
        ("LD 0x40\nLD\n", 2, "found end of line"),
        ("LD 0x40\nLD 0x40 7\n", 2, "found 7; expected the end of the line"),
        ("LD 0x40\nLD -64\n", 2, "found -64"),
        ("LD 0x40\nR,64\n", 2, "found R"),
        ("LD 0x40\nLD 0x", 2, "found 0x"),
        ("R,64\nR,6 4\n", 2, "found 4"),
        ("R,64\nR;64\n", 2, "found R;64|found ;64"),
        ("op,address\nR,64\n", 1, "found op"),
        ("R 0,0,0,0,0,0\nR 0,0,0,0,0\n", 2, "found end of line; expected a comma"),
        ("R 0,0,0,0,0,0\nR 2,0,0,0,0,0\n", 2, "channel lies outside .*found 2; expected below 2"),
        ("R 0,0,0,0,0,0\nR 0,0,0,0,65536,0\n", 2, "row lies outside .*found 65536"),
        ("0x40 READ 0\n0x40 FETCH 0\n", 2, "found FETCH; expected READ or WRITE"),
        ("0x40 READ 0\n0x40 READ\n", 2, "found end of line"),
        ("0x40 READ 0\n0x40 READ 99999999999999999999\n", 2, "this clock is too late"),
        ("1: read 0x40\n1 read 0x40\n", 2, "expected a colon"),
        ("1: read 0x40\n1: (0) read 0x40\n", 2, "expected a length"),
        ("1: read 0x40\n1: (9999999999999) read 0x40\n", 2, "length lies outside"),
        ("1: read 0x40\n1: write 0x40 0xnodata\n", 2, "expected the end of the line"),
        ("hello\n", 1, "found hello"),
        ("LD 0x40\n\x00\x01\n", 2, r"found \\x00\\x01"),
        ("LD 0x40\nLD 0x80 # the next line\n", 2, "found #; expected the end of the line"),
        ("LD 0x40\nLD 0x80\rLD 0xc0\n", 2, "found LD; expected the end of the line"),
        ("LD 0x40\nLD 0x1_000\n", 2, "found _000"),
        ("LD 0x40\nLD 1e3\n", 2, "found e3"),
        ("LD 0x40\nLD 99999999999999999999999999\n", 2, "address lies outside .*found 9999"),
        ("\ufeffLD 0x40\n", 1, r"found \\ufeffLD"),
        ("LD 0x40\nLD 0x80€\n", 2, "found €"),
        ("R 0,0,0,0,0,0\nR 0,0,0,0,0,0,0\n", 2, "found ,0; expected the end of the line"),
        ("R 0,0,0,0,0,0\nR 0,0,0,0,0x1,0\n", 2, "found x1; expected a comma"),
        ("R 0,0,0,0,0,0\nR 0,0,0,0,-1,0\n", 2, "found -1; expected a decimal number"),
    ],
)
def test_a_damaged_line_is_refused_with_its_number_and_what_stands_there(
    tmp_path, address_map, monkeypatch, text, line, says
):
    path = tmp_path / "bad.trace"
    path.write_text(text)
    for size in (64, texts.CHUNK_BYTES):
        monkeypatch.setattr(texts, "CHUNK_BYTES", size)
        with pytest.raises(TraceFormatError, match=says) as caught:
            list(read_requests(path, address_map))
        assert (caught.value.file, caught.value.line) == (path, line)


def test_addresses_end_with_the_memory(tmp_path, address_map):
    path, size = tmp_path / "a.stl", address_map.size_bytes
    path.write_text(f"0: read {size - 1:#x}\n0: (64) read {size - 64:#x}\n")
    assert read(path, address_map)[1].tolist() == [size - 64] * 2
    for line in (f"read {size:#x}", f"(65) read {size - 64:#x}", f"read {1 << 70:#x}"):
        path.write_text(f"0: {line}\n")
        with pytest.raises(TraceFormatError, match=r"address lies outside the memory.*memory\.organization"):
            list(read_requests(path, address_map))


def test_a_length_is_every_burst_that_holds_one_of_its_bytes(tmp_path, address_map, monkeypatch):
    monkeypatch.setattr(importers, "_BATCH_BURSTS", 3)
    path = tmp_path / "a.stl"
    # 0x3f..0x40 touch two bursts; 200 bytes from 0x1000 touch four; no length is the one that holds 0x2011.
    path.write_text("5: (2) read 0x3f\n6: (200) write 0x1000\n7: read 0x2011\n")
    is_write, address, clk = read(path, address_map)
    assert address.tolist() == [0, 0x40, 0x1000, 0x1040, 0x1080, 0x10C0, 0x2000]
    assert is_write.tolist() == [False] * 2 + [True] * 4 + [False]
    assert clk.tolist() == [5, 5, 6, 6, 6, 6, 7]


@pytest.mark.parametrize("layout", ["load", "dramsim3", "stl", "csv"])
@pytest.mark.parametrize("batch", [3, 1 << 18])
def test_requests_that_name_no_length_are_as_long_as_they_are_said_to_be(
    tmp_path, address_map, monkeypatch, layout, batch
):
    monkeypatch.setattr(importers, "_BATCH_BURSTS", batch)
    path = tmp_path / "a.trace"
    asked = [(False, 0x1000, 5), (True, 0x2040, 9), (False, 0x30, 9)]
    path.write_text("\n".join(LINES[layout](*r, address_map) for r in asked))
    chunks = list(read_requests(path, address_map, request_bytes=128))
    address = np.concatenate([address_map.encode(c.place) for c in chunks])
    # The last begins within a burst and so ends within another: its 128 bytes lie in three.
    assert address.tolist() == [0x1000, 0x1040, 0x2040, 0x2080, 0, 0x40, 0x80]
    assert np.concatenate([c.is_write for c in chunks]).tolist() == [False] * 2 + [True] * 2 + [False] * 3
    clk = np.concatenate([c.arrival_clk for c in chunks]).tolist()
    assert clk == ([5, 5, 9, 9, 9, 9, 9] if layout in ("dramsim3", "stl") else [])


def test_a_length_that_a_line_names_counts_more_than_the_one_for_all(tmp_path, address_map):
    path = tmp_path / "a.stl"
    path.write_text("0: (64) read 0x0\n0: read 0x1000\n")
    (requests,) = read_requests(path, address_map, request_bytes=256)
    assert address_map.encode(requests.place).tolist() == [0, 0x1000, 0x1040, 0x1080, 0x10C0]


def test_a_request_may_not_reach_beyond_the_memory(tmp_path, address_map):
    path = tmp_path / "a.csv"
    path.write_text(f"R,{address_map.size_bytes - 64}\n")
    assert len(next(read_requests(path, address_map, request_bytes=64)).is_write) == 1
    with pytest.raises(TraceFormatError, match="outside the memory"):
        list(read_requests(path, address_map, request_bytes=65))


def test_an_address_vector_has_no_length(tmp_path, address_map):
    path = tmp_path / "a.ramulator"
    path.write_text("R 0,0,0,0,0,0\n")
    with pytest.raises(TraceFormatError, match="names one burst"):
        list(read_requests(path, address_map, request_bytes=64))


def peak_MB(chunks):
    tracemalloc.start()
    for _ in chunks:
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def test_a_longer_file_takes_no_more_memory(tmp_path, address_map):
    path, peaks = tmp_path / "a.csv", []
    for megabytes in (4, 16):
        path.write_bytes(b"R,0\n" * (megabytes << 18))  # the shortest line there is
        peaks.append(peak_MB(read_requests(path, address_map)))
    assert peaks[1] < 1.01 * peaks[0] and peaks[1] < 64


def test_a_request_as_long_as_the_memory_takes_no_more_memory(tmp_path, address_map, monkeypatch):
    monkeypatch.setattr(importers, "_BATCH_BURSTS", 1 << 10)
    path = tmp_path / "a.stl"
    path.write_text("0: (67108864) read 0x0\n")  # 2**20 bursts, of which 2**10 at a time
    assert peak_MB(read_requests(path, address_map)) < 64


def test_a_clock_before_its_predecessors_waits_for_it(tmp_path, address_map, monkeypatch):
    monkeypatch.setattr(texts, "CHUNK_BYTES", 32)  # a line a chunk
    path = tmp_path / "a.ds3"
    path.write_text("".join(f"0x40 READ {clk}\n" for clk in (3, 9, 0, 4, 12, 11)))
    assert read(path, address_map)[2].tolist() == [3, 9, 9, 9, 12, 12]


def test_other_formats_than_the_asked_one_are_refused(tmp_path, address_map):
    path = tmp_path / "a.trace"
    path.write_text("LD 0x40\n")
    assert len(read(path, address_map, "ramulator")[0]) == 1
    for form in ("dramsim3", "stl", "csv"):
        with pytest.raises(TraceFormatError, match=f"{path}:1: "):
            list(read_requests(path, address_map, form))
    with pytest.raises(TraceFormatError, match="expected auto or ramulator"):
        read_requests(path, address_map, "gem5")


@pytest.mark.parametrize("content", [b"", b"\n\n", b"# nothing\n", gzip.compress(b"", mtime=0)])
def test_a_trace_without_requests_is_refused(tmp_path, address_map, content):
    path = tmp_path / "a.trace"
    path.write_bytes(content)
    with pytest.raises(TraceFormatError, match="holds no request"):
        list(read_requests(path, address_map))


def test_damaged_gzip_is_refused(tmp_path, address_map):
    path = tmp_path / "a.trace.gz"
    packed = gzip.compress(b"LD 0x40\n" * 10_000)
    flipped = packed[:40] + bytes([packed[40] ^ 0xFF]) + packed[41:]
    for content in (packed[: len(packed) // 2], packed[:-4], flipped):
        path.write_bytes(content)
        with pytest.raises(TraceFormatError, match="gzip stream is truncated or damaged"):
            list(read_requests(path, address_map))


def test_what_cannot_be_a_trace_is_refused(tmp_path, address_map, monkeypatch):
    with pytest.raises(TraceFormatError, match="absent"):
        list(read_requests(tmp_path / "absent", address_map))
    with pytest.raises(TraceFormatError, match="cannot read this"):
        list(read_requests(tmp_path, address_map))
    (tmp_path / "a.rstl").write_text("0: read 0x0\n")
    with pytest.raises(TraceFormatError, match="relative"):
        read_requests(tmp_path / "a.rstl", address_map)
    monkeypatch.setattr(texts, "CHUNK_BYTES", 256)
    (tmp_path / "long").write_text("LD " + "0" * 300 + "\n")
    with pytest.raises(TraceFormatError, match="longer than 256 bytes"):
        list(read_requests(tmp_path / "long", address_map))
