"""The presets, small memories of them on which every rule binds and refresh comes often, and requests."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from nmsim.config.load import read_extended
from nmsim.config.memory import Memory
from nmsim.dram.activity import CommandLog
from nmsim.dram.commands import COMMANDS, OUTCOMES, RANK_WIDE
from nmsim.dram.controller import SETTINGS
from nmsim.dram.engine import AccessBatch
from nmsim.dram.spec import Organization
from nmsim.system.parts import controller_spec, dram_spec

PRESETS = Path(__file__).parents[2] / "hw_configs" / "presets"
NOW = np.empty(0, dtype=np.int64)  # arrival_clk: all have arrived


@cache
def memory(name):
    """Return (DramSpec, ControllerSpec) of a preset."""
    section = Memory.model_validate(read_extended(PRESETS / f"memory-{name}.yaml")[0]["memory"])
    return dram_spec(section), controller_spec(section)


def one_preset_of_each_standard():
    """Return the name of a preset of each standard: the first, and rather one that stands by itself."""
    files = sorted(
        PRESETS.glob("memory-*.yaml"), key=lambda f: ("\nextends:" in f.read_text(), f), reverse=True
    )
    names = [file.stem.removeprefix("memory-") for file in files]
    return sorted({memory(name)[0].standard: name for name in names}.values())


#: Of two standards always, of the others in the long lane.
QUICK = ("ddr4-2400", "lpddr5-6400")


def quick_standards_first():
    """Return the same as parameters of a test that takes seconds: all but two are slow."""
    return [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name in one_preset_of_each_standard()
    ]


def small(name, **changes):
    """Return a preset with two ranks, few rows, and refresh so often that short streams meet it.

    nRRD is lengthened on LPDDR4, where nFAW = 4 nRRD would hide whether the window is obeyed.
    """
    spec, controller = memory(name)
    org = spec.organization
    every = dict.fromkeys(("nREFIpb", "nREFIsb"), 225) | {"nREFI": 900}
    takes = dict.fromkeys(("nRFCpb", "nRFCsb"), 200) | dict.fromkeys(("nRFC", "nRFCab"), 250)
    takes |= dict.fromkeys(("nXS", "nXSR"), 260) | dict.fromkeys(("nXSDLL", "nXS_DLL"), 500)
    often = every | takes | {"nFAW": 80} | changes
    timing = spec.timing | {name: clocks for name, clocks in often.items() if name in spec.timing}
    groups, banks = (1, 4) if org.bankgroups == 1 else (min(org.bankgroups, 4), 2)
    org = Organization(1, changes.get("ranks", 2), groups, banks, 16, 64, org.device_width_bits, 1)
    controller = replace(
        controller, read_queue=6, write_queue=5, write_high_watermark=4, write_low_watermark=1
    )
    return replace(spec, organization=org, timing=timing), controller


def batch(spec, bank, row, is_write=False, arrival_clk=NOW):
    """Return an AccessBatch; columns count up."""
    bank = np.asarray(bank)
    column = np.arange(len(bank)) % spec.row_bursts
    return AccessBatch(bank, np.broadcast_to(row, bank.shape), column, np.broadcast_to(is_write, bank.shape),
                       np.asarray(arrival_clk))  # fmt: skip


#: Values of everything that a controller can be told, and of the ranks that it has.
ALL_SETTINGS = {
    **{name: list(SETTINGS[name]) for name in ("scheduler", "row_policy", "refresh")},
    "ranks": [1, 2],
    "row_hit_cap": [0, 1, 2, 5],
    "row_timeout_clk": [1, 40, 300],
    "refresh_postponed": [0, 1, 3, 8],
    "power_down_idle_clk": [0, 1, 30, 200],
    "self_refresh_idle_clk": [0, 900, 1500],
    "queues": [(6, 5, 4, 1), (1, 1, 1, 0), (3, 8, 8, 7)],
}


@st.composite
def memories(draw, name, allowed=ALL_SETTINGS):
    """Draw a small memory made of a preset, with a controller of any of the allowed settings that fit it."""
    chosen = {setting: draw(st.sampled_from(values), label=setting) for setting, values in allowed.items()}
    spec, controller = small(name, ranks=chosen.pop("ranks"))
    names = ("read_queue", "write_queue", "write_high_watermark", "write_low_watermark")
    chosen |= dict(zip(names, chosen.pop("queues"), strict=True))
    if chosen["row_policy"] != "timeout":
        chosen["row_timeout_clk"] = 0
    if chosen["refresh"] == "per_bank" and not spec.refresh_sets:
        chosen["refresh"] = "all_bank"
    chosen["refresh_postponed"] = min(chosen["refresh_postponed"], spec.table.refresh_postponed)
    return spec, replace(controller, **chosen)


#: (bank, row, is_write, clocks after the one before): few rows, now and then a pause.
REQUESTS = st.lists(
    st.tuples(
        st.integers(0, 15), st.integers(0, 2), st.booleans(), st.sampled_from([0, 0, 0, 1, 5, 40, 700, 2500])
    ),
    max_size=40,
)

#: (bank, row, columns, is_write) of near memory's row visits.
VISITS = st.lists(
    st.tuples(st.integers(0, 15), st.integers(0, 2), st.integers(1, 12), st.booleans()), max_size=20
)


def as_batch(spec, requests, start=0):
    """Return drawn requests as an AccessBatch that begins to arrive at `start`."""
    bank = np.array([r[0] % spec.banks_per_channel for r in requests], dtype=np.int64)
    row, write, gap = (np.array([r[i] for r in requests], dtype=np.int64) for i in (1, 2, 3))
    column = np.arange(len(bank)) % spec.row_bursts
    return AccessBatch(bank, row, column, write.astype(bool), start + np.cumsum(gap))


def in_order(issued):
    """Return the reference's commands by their clocks: it fixes those of a row visit ahead."""
    return sorted(issued, key=lambda i: i.clk)


def log_of(spec, issued):
    """Return the reference's commands as a CommandLog; `closed` is left 0."""
    command = np.array([COMMANDS.index(i.command) for i in issued], dtype=np.int64)
    clk, _, bank, row, column, near, _ = (
        zip(*issued, strict=True) if issued else [()] * 7
    )  # fmt: skip
    bank, row, column = (np.array(a, dtype=np.int64) for a in (bank, row, column))
    group, in_group = np.divmod(bank, spec.organization.banks)
    rank, group = np.divmod(group, spec.organization.bankgroups)
    wide = np.isin(command, RANK_WIDE)
    outcome = [OUTCOMES.index(i.outcome) if i.outcome else -1 for i in issued]
    return CommandLog(
        np.array(clk, dtype=np.int64), command, rank, np.where(wide, -1, group), np.where(wide, -1, in_group),
        row, column, np.array(outcome, dtype=np.int64), np.zeros_like(row), np.array(near, dtype=bool),
    )  # fmt: skip
