"""Requests per CPU second on three patterns, beside what two established simulators reach; memory in use.

    python benchmarks/engine.py [--requests 1000000] [--long 50000000] [--long-patterns sequential mixed]

DDR4-2400, one 64-bit channel, the configuration of hw_configs/ddr4_2400.yaml. Times are CPU times of warm
kernels, the best of three runs, with commands counted, rows classified and energy summed. The patterns are
made in memory: `sequential`; `random`, any 64-byte line of 1 GiB; `mixed`, runs of nine in ten within
8 KiB, a third writes. The long streams are made and simulated in chunks; their CPU time includes the making.

What the others reach can be measured anew: docs/explanation/model_error.md, "Do it again", has the commands.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from nmsim.config import load_config
from nmsim.dram.address import AddressMap
from nmsim.dram.engine import Channel
from nmsim.system.parts import controller_spec, dram_spec
from nmsim.system.replay import replay, replay_requests
from nmsim.trace.importers import Requests

CONFIG = Path(__file__).parents[1] / "hw_configs" / "ddr4_2400.yaml"
LINES, ROW_LINES = (1 << 30) // 64, 8192 // 64
CHUNK = 1 << 17

#: M requests per CPU second of the C++ simulators on the three traces of docs/explanation/model_error.md, a
#: million requests each, text read included: best of four runs in November 2026 on one core of an AMD EPYC
#: (Zen 4), a virtual machine with other work beside. On any other machine the ratios are no more than an
#: order of magnitude.
DRAMSIM3 = {"sequential": 0.27, "random": 0.12, "mixed": 0.24}
RAMULATOR = {"sequential": 0.31, "random": 0.19, "mixed": 0.34}


def pattern(name: str, n: int, first: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return (line numbers, whether each is a write) of n requests from the request `first` on."""
    reads = np.zeros(n, dtype=bool)
    if name == "sequential":
        return np.arange(first, first + n) % LINES, reads
    if name == "random":
        return rng.integers(0, LINES, n), reads
    jump = rng.random(n) >= 0.9
    jump[0] = True
    start = np.flatnonzero(jump)
    length = np.diff(start, append=n)
    run = np.repeat(rng.integers(0, LINES, len(start)), length)
    offset = np.arange(n) - np.repeat(start, length)
    return run // ROW_LINES * ROW_LINES + (run + offset) % ROW_LINES, rng.random(n) < 1 / 3


def chunks(name: str, n: int, address_map: AddressMap) -> Iterator[Requests]:
    """Yield n requests of a pattern, seeded."""
    rng, now = np.random.default_rng(2400), np.empty(0, dtype=np.int64)
    for first in range(0, n, CHUNK):
        line, is_write = pattern(name, min(CHUNK, n - first), first, rng)
        yield Requests(address_map.decode(line * 64), is_write, now)


def best_cpu_s(work: Callable[[], object], repeats: int = 3) -> float:
    """Return the least CPU time of some runs, after one to compile."""
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def peak_MB() -> float:
    """Return the largest resident memory of this process so far."""
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 1e6


def write_text(path: Path, name: str, n: int) -> None:
    """Write a pattern in DRAMsim3's format."""
    line, is_write = pattern(name, n, 0, np.random.default_rng(2400))
    with open(path, "w") as file:
        for a, w in zip((line * 64).tolist(), is_write.tolist(), strict=True):
            file.write(f"0x{a:X} {'WRITE' if w else 'READ'} 0\n")


def main() -> None:
    """Print all figures."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--requests", type=int, default=1_000_000)
    options.add_argument("--long", type=int, default=50_000_000, help="requests of the long stream")
    patterns = ["sequential", "mixed"]
    options.add_argument("--long-patterns", nargs="+", choices=list(DRAMSIM3), default=patterns)
    args = options.parse_args()
    memory = load_config(CONFIG).memory
    spec, controller = dram_spec(memory), controller_spec(memory)
    address_map = AddressMap(spec, controller.address_map, controller.bank_hash)
    n = args.requests

    # First of all, while nothing else has taken memory.
    short = max(1, args.long // 10)
    for name in args.long_patterns:
        replay_requests(spec, controller, chunks(name, short, address_map))
        before, start = peak_MB(), time.process_time()
        replay_requests(spec, controller, chunks(name, args.long, address_map))
        print(f"{name}: peak resident memory {before:.0f} MB after {short:,} requests, "
              f"{peak_MB():.0f} MB after {args.long:,}, {time.process_time() - start:.1f} CPU s")  # fmt: skip

    print(f"\n{n:,} requests; M requests per CPU second (the others' from text, measured once)")
    print(f"{'pattern':12}{'in memory':>10}{'from text':>11}{'DRAMsim3':>10}{'Ramulator 2.1':>15}"
          f"{'in memory, times':>18}{'from text, times':>18}")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for name in DRAMSIM3:
            made = list(chunks(name, n, address_map))
            rate = n / best_cpu_s(lambda made=made: replay_requests(spec, controller, made)) / 1e6
            path = Path(folder) / name
            write_text(path, name, n)
            text = n / best_cpu_s(lambda path=path: replay(spec, controller, path)) / 1e6
            peer = max(DRAMSIM3[name], RAMULATOR[name])
            print(f"{name:12}{rate:10.2f}{text:11.2f}{DRAMSIM3[name]:10.2f}{RAMULATOR[name]:15.2f}"
                  f"{rate / peer:18.0f}{text / peer:18.0f}")  # fmt: skip

    visits = 64 * 1024
    bank = np.arange(visits) % spec.banks_per_channel
    row = np.arange(visits) // spec.banks_per_channel % spec.organization.rows
    columns = np.full(visits, spec.row_bursts)
    cpu_s = best_cpu_s(lambda: Channel(spec, controller).stream(bank, row, columns, False, 1))
    print(
        f"\nnear memory, whole rows of all banks: {columns.sum() / cpu_s / 1e6:.0f} M columns per CPU second"
    )


if __name__ == "__main__":
    main()
