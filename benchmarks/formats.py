"""Requests read per CPU second from each format of request traces, and addresses decoded.

    python benchmarks/formats.py [--requests 500000]

Nothing is simulated. Beside each figure stands its ratio to a plain pass over the same bytes that does
nothing but count lines, measured in the same run: reading is bound by its one pass over the bytes, so that
longer lines take longer, and a gzipped file by its unpacking.
"""

from __future__ import annotations

import argparse
import gzip
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nmsim.config import load_config
from nmsim.dram.address import BANK_HASHES, AddressMap
from nmsim.system.parts import dram_spec
from nmsim.trace.importers import read_requests
from nmsim.trace.texts import CHUNK_BYTES

CONFIG = Path(__file__).parents[1] / "hw_configs" / "ddr4_2400.yaml"

LINES: dict[str, Callable[..., str]] = {
    "ramulator": lambda w, a, clk, place: f"{'ST' if w else 'LD'} {a:#x}",
    "ramulator, decimal": lambda w, a, clk, place: f"{'ST' if w else 'LD'} {a}",
    "ramulator, vectors": lambda w, a, clk, place: f"{'RW'[w]} 0,0,{place}",
    "dramsim3": lambda w, a, clk, place: f"0x{a:X} {'WRITE' if w else 'READ'} {clk}",
    "stl": lambda w, a, clk, place: f"{clk}: {'write' if w else 'read'} {a:#x}",
    "stl, lengths": lambda w, a, clk, place: f"{clk}: (64) {'write' if w else 'read'} {a:#x}",
    "csv": lambda w, a, clk, place: f"{'RW'[w]},{a:#x}",
}


def best_s(work: Callable[[], object], times: int = 5) -> float:
    """Return the shortest CPU time of several runs."""
    spans = []
    for _ in range(times):
        began = time.process_time()
        work()
        spans.append(time.process_time() - began)
    return min(spans)


def read(path: Path, address_map: AddressMap) -> int:
    """Return the number of requests of a trace."""
    return sum(len(requests.is_write) for requests in read_requests(path, address_map))


def count_lines(path: Path) -> int:
    """Return the number of lines of a file."""
    with open(path, "rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(CHUNK_BYTES), b""))


def main() -> None:
    """Print all figures."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--requests", type=int, default=500_000)
    n = options.parse_args().requests
    spec = dram_spec(load_config(CONFIG).memory)
    address_map = AddressMap(spec, "RoBaRaBgCo")
    rng = np.random.default_rng(2400)
    address = rng.integers(0, address_map.size_bytes // 64, n) * 64
    place, banks = address_map.decode(address), spec.organization.banks
    shown = zip(*(a.tolist() for a in (place.bank // banks, place.bank % banks, *place[2:])), strict=True)
    requests = list(
        zip(
            rng.integers(0, 2, n).tolist(),
            address.tolist(),
            np.cumsum(rng.integers(0, 9, n)).tolist(),
            (",".join(map(str, numbers)) for numbers in shown),
            strict=True,
        )
    )
    print(f"{'format':22}{'M requests/s':>14}{'MB/s':>8}{'of a count of lines':>22}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace"
        for name, line in LINES.items():
            text = "".join(line(*request) + "\n" for request in requests).encode()
            path.write_bytes(text)
            assert read(path, address_map) == n
            taken, least = best_s(lambda: read(path, address_map)), best_s(lambda: count_lines(path))
            print(f"{name:22}{n / taken / 1e6:14.1f}{len(text) / taken / 1e6:8.0f}{least / taken:22.3f}")
            if name == "ramulator":
                path.write_bytes(gzip.compress(text))
                taken = best_s(lambda: read(path, address_map), 2)
                print(f"{name + '.gz':22}{n / taken / 1e6:14.1f}{len(text) / taken / 1e6:8.0f}")
    print(f"\n{'decode':22}{'M addresses/s':>14}{'of a copy':>30}")
    addresses = address[: 1 << 16]
    copy = best_s(addresses.copy, 50)
    for bank_hash in BANK_HASHES:
        decode = AddressMap(spec, "RoBaRaBgCo", bank_hash).decode
        taken = best_s(lambda: decode(addresses), 50)  # noqa: B023 - called at once
        print(f"bank_hash: {bank_hash:11}{len(addresses) / taken / 1e6:14.0f}{copy / taken:30.3f}")


if __name__ == "__main__":
    sys.exit(main())
