"""Does the engine stay legal over ten million commands of each standard, whatever it is told and asked?

Each of some thirty controllers per standard, drawn at random, gets requests of all kinds: streams and random
accesses, reads and writes, back to back and with pauses from a few clocks to many refresh intervals, and row
visits of near-memory units between and beside them. The checker sees every command.
"""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nmsim.config.load import read_extended
from nmsim.config.memory import Memory
from nmsim.dram.checker import Checker
from nmsim.dram.commands import COMMANDS
from nmsim.dram.controller import ControllerSpec
from nmsim.dram.engine import SHARING, AccessBatch, Channel
from nmsim.dram.standard import standards
from nmsim.system.parts import dram_spec

PRESETS = Path(__file__).parents[2] / "hw_configs" / "presets"
COMMANDS_EACH = 10_000_000
CONTROLLERS = 30
REQUESTS = 20_000
LOG_ROWS = 8 * REQUESTS + 200_000


def memories():
    """Return {standard: [DramSpec of each preset]}."""
    found = {}
    for file in sorted(PRESETS.glob("memory-*.yaml")):
        spec = dram_spec(Memory.model_validate(read_extended(file)[0]["memory"]))
        found.setdefault(spec.standard, []).append(spec)
    return found


MEMORIES = memories()


def drawn(rng, spec):
    """Return a memory of one to four ranks, and a controller told anything that it can be told."""
    ranks = int(rng.choice([1, 1, 2, 4]))
    rows = int(rng.choice([16, 4096]))
    spec = replace(spec, organization=replace(spec.organization, ranks=ranks, rows=rows))
    interval = spec.clocks["nREFI"]
    row_policy = str(rng.choice(["open", "closed", "timeout"]))
    reads, writes = (int(rng.choice([1, 4, 32, 64])) for _ in range(2))
    high = int(rng.integers(1, writes + 1))
    return spec, ControllerSpec(
        scheduler=str(rng.choice(["FRFCFS", "FRFCFS", "FRFCFS", "FCFS"])),
        row_hit_cap=int(rng.choice([0, 0, 1, 4])),
        row_policy=row_policy,
        row_timeout_clk=int(rng.choice([1, 50, 500])) if row_policy == "timeout" else 0,
        refresh=str(rng.choice(["all_bank", "per_bank"] if spec.refresh_sets else ["all_bank"])),
        refresh_postponed=int(rng.integers(0, spec.table.refresh_postponed + 1)),
        read_queue=reads,
        write_queue=writes,
        write_high_watermark=high,
        write_low_watermark=int(rng.integers(0, high)),
        power_down_idle_clk=int(rng.choice([0, 1, 20, 300])),
        self_refresh_idle_clk=int(rng.choice([0, 0, 1, 3])) * interval,
    )


def requests(rng, spec, start):
    """Return requests of one kind, from `start` on."""
    n, banks = REQUESTS, spec.banks_per_channel
    hot = rng.integers(0, banks, 4)
    bank = [rng.integers(0, banks, n), hot[rng.integers(0, 4, n)], np.arange(n) // 37 % banks][
        rng.integers(3)
    ]
    row = [rng.integers(0, spec.organization.rows, n), rng.integers(0, 2, n), np.arange(n) // 997 % 16]
    is_write = rng.random(n) < rng.choice([0, 0.1, 0.5, 1])
    # Pauses: none; short; long ones between bursts; now and then long enough for self-refresh.
    pause = (rng.random(n) < 0.02) * rng.integers(0, rng.choice([1, 30, 900, 20_000]), n)
    pause += (rng.random(n) < 0.0005) * rng.integers(0, 5 * spec.clocks["nREFI"], n)
    column = np.arange(n) % spec.row_bursts
    return AccessBatch(bank, row[rng.integers(3)], column, is_write, start + np.cumsum(pause))


def near_memory_visits(rng, spec):
    """Return arguments of `Channel.stream`: some rows of every bank."""
    n = 200
    arrays = rng.integers(0, spec.banks_per_channel, n), rng.integers(0, spec.organization.rows, n)
    columns = rng.integers(1, spec.row_bursts + 1, n)
    simultaneous = int(rng.choice([0, 0, 8, spec.banks_per_rank]))
    return *arrays, columns, rng.random(n) < 0.3, int(rng.choice([1, 8, 40])), min(simultaneous, 64)


@pytest.mark.slow
@pytest.mark.parametrize("standard", standards())
def test_ten_million_commands_are_legal(standard, capsys):
    rng = np.random.default_rng(sum(standard.encode()))
    counts, checked_s, began = np.zeros(len(COMMANDS), dtype=np.int64), 0.0, time.perf_counter()
    controllers = 0
    any_spec = MEMORIES[standard][0]
    Checker(any_spec).violations(
        Channel(any_spec, ControllerSpec()).advance(100_000, log_rows=1000).log
    )  # compiles
    while counts.sum() < COMMANDS_EACH or controllers < CONTROLLERS:
        spec, controller = drawn(rng, MEMORIES[standard][controllers % len(MEMORIES[standard])])
        channel, checker = Channel(spec, controller), Checker(spec, controller.refresh)
        of_this, controllers = 0, controllers + 1
        while of_this < COMMANDS_EACH / CONTROLLERS:
            simultaneous = 0
            if rng.random() < 0.2 and not channel.queued:
                *visits, simultaneous = near_memory_visits(rng, spec)
                done = channel.stream(*visits, simultaneous, log_rows=LOG_ROWS)
            elif rng.random() < 0.2:
                *visits, simultaneous = near_memory_visits(rng, spec)
                batch, policy = requests(rng, spec, channel.clk), str(rng.choice(SHARING))
                drain = bool(rng.random() < 0.7)
                done = channel.share(batch, *visits, policy, simultaneous, drain=drain, log_rows=LOG_ROWS)
            elif rng.random() < 0.1:
                done = channel.advance(channel.clk + int(rng.integers(1, 200_000)), log_rows=LOG_ROWS)
            else:
                batch = requests(rng, spec, channel.clk)
                done = channel.access(batch, drain=bool(rng.random() < 0.7), log_rows=LOG_ROWS)
            assert len(done.log) < LOG_ROWS, "the log is too short to have every command"
            before = time.perf_counter()
            found = checker.violations(done.log, simultaneous)
            checked_s += time.perf_counter() - before
            assert not found, f"{found[0].error()}\n{spec.organization}\n{controller}"
            counts += np.bincount(done.log.command, minlength=len(COMMANDS))
            of_this += len(done.log)
        assert checker.end(channel.clk) == []
    issued = {name for name, count in zip(COMMANDS, counts, strict=True) if count}
    assert issued == set(COMMANDS) - ({"REFpb"} if not spec.refresh_sets else set())
    with capsys.disabled():
        shown = ", ".join(f"{name} {count:,}" for name, count in zip(COMMANDS, counts, strict=True) if count)
        rate, total_s = counts.sum() / checked_s / 1e6, time.perf_counter() - began
        print(
            f"\n{standard}: {counts.sum():,} commands of {controllers} controllers, 0 violations; {shown}; "
            f"checked at {rate:.1f} M commands/s, {total_s:.0f} s in all"
        )
