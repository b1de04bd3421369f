"""A standard's rows compiled for one memory: dense arrays of clocks that kernels index."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nmsim.dram.commands import ACT, COMMANDS, N_COMMANDS, N_NEXT, RANK_WIDE, RD, RDA, WR, WRA, PREab, PREpb
from nmsim.dram.lanes import padded
from nmsim.dram.spec import DramSpec
from nmsim.dram.standard import Constraint
from nmsim.errors import ConfigError

#: A clock before every other; a latency that never binds.
NEVER = -(1 << 60)
#: Clocks stand above these bits of a scheduler's key (see `nmsim.dram.scheduler`).
KEY_SHIFT = 32
#: A wait that never binds, as it stands in `Tables.waits`.
_NO_WAIT = -(1 << 30)


class Tables(NamedTuple):
    """What must wait for what, as clocks; a group is one bank group of one rank.

    Attributes
    ----------
    bank : ndarray of int64, shape (N_COMMANDS, N_COMMANDS)
        From a command to a later one on the same bank.
    group : ndarray of int64, shape (N_COMMANDS, groups, groups, N_COMMANDS)
        From a command in a group to a later one in each group.
    bank_next, group_next : ndarray of int64
        The same to the first `N_NEXT` commands only, for the innermost loop: shapes (N_COMMANDS, N_NEXT) and
        (N_COMMANDS * groups, groups * N_NEXT).
    waits : ndarray of int64, shape (N_COMMANDS * groups, N_NEXT, banks padded to whole vectors)
        `group_next` once more, to each bank, in units of 2**KEY_SHIFT clocks.
    rank_wait : ndarray of int64, shape (N_COMMANDS, groups, ranks, N_COMMANDS)
        From a command in a group to one that touches all groups of a rank.
    near_memory : bool
        Whose commands must wait: near memory's, or the host's.
    near_bank, near_group, near_rank_wait : ndarray of int64
        As `bank`, `group` and `rank_wait`, for what must wait for commands of near memory.
    group_of_bank, rank_of_bank : ndarray of uint32, shape (banks of the channel,)
    ranks, groups_per_rank, banks_per_rank : int
    window_acts, window_clk : int
        At most `window_acts` ACTs of a rank within `window_clk` (tFAW).
    bus_clk : int
        Clocks after which the channel's command pins are free again, whatever came and whatever follows.
    read_close_clk, write_close_clk, act_close_clk : int
        Clocks from RD, WR and ACT after which a bank can precharge: when auto-precharge begins.
    """

    bank: np.ndarray
    group: np.ndarray
    bank_next: np.ndarray
    group_next: np.ndarray
    waits: np.ndarray
    rank_wait: np.ndarray
    near_memory: bool
    near_bank: np.ndarray
    near_group: np.ndarray
    near_rank_wait: np.ndarray
    group_of_bank: np.ndarray
    rank_of_bank: np.ndarray
    ranks: int
    groups_per_rank: int
    banks_per_rank: int
    window_acts: int
    window_clk: int
    bus_clk: int
    read_close_clk: int
    write_close_clk: int
    act_close_clk: int


def compile_tables(spec: DramSpec, near_memory: bool = False, simultaneous_act: int = 0) -> Tables:
    """Return the tables of a memory.

    Parameters
    ----------
    spec : DramSpec
    near_memory : bool
        The rules for commands from sequencers beside the banks: rows that protect the command bus do not
        bind them, and rows that protect the column path bind only within a bank.
    simultaneous_act : int
        Near memory only. 0: the standard's spacing of ACTs. n > 0: a supply made for n activations at once:
        n instead of the standard's number may fall into its window (tFAW), with no other spacing.

    Raises
    ------
    ConfigError
        Where the table has a window over anything but the ACTs of a rank.
    """
    org = spec.organization
    groups = org.ranks * org.bankgroups
    bank, group, window_acts, window_clk = _waits(spec, near_memory, simultaneous_act)
    near_bank, near_group = (bank, group) if near_memory else _waits(spec, True, 0)[:2]
    # Unsigned, because Numba checks signed indices for negative values.
    group_of_bank = np.repeat(np.arange(groups, dtype=np.uint32), org.banks)
    if not near_memory:
        _check_auto_precharge(spec, bank, group)
    to_one_bank = np.ascontiguousarray(group[..., :N_NEXT])
    waits = np.where(to_one_bank < 0, _NO_WAIT, to_one_bank) << KEY_SHIFT
    waits = np.moveaxis(waits, 3, 2)[..., group_of_bank].reshape(N_COMMANDS * groups, N_NEXT, -1)
    padding = padded(len(group_of_bank)) - len(group_of_bank)
    return Tables(
        bank=bank,
        group=group,
        bank_next=np.ascontiguousarray(bank[:, :N_NEXT]),
        group_next=to_one_bank.reshape(N_COMMANDS * groups, groups * N_NEXT),
        waits=np.ascontiguousarray(np.pad(waits, ((0, 0), (0, 0), (0, padding)))),
        rank_wait=_to_ranks(group, org.ranks),
        near_memory=near_memory,
        near_bank=near_bank,
        near_group=near_group,
        near_rank_wait=_to_ranks(near_group, org.ranks),
        group_of_bank=group_of_bank,
        rank_of_bank=group_of_bank // np.uint32(org.bankgroups),
        ranks=org.ranks,
        groups_per_rank=org.bankgroups,
        banks_per_rank=spec.banks_per_rank,
        window_acts=window_acts,
        window_clk=window_clk,
        bus_clk=bus_clocks(spec),
        read_close_clk=max(0, int(bank[RD, PREpb])),
        write_close_clk=max(0, int(bank[WR, PREpb])),
        act_close_clk=max(0, int(bank[ACT, PREpb])),
    )


def _waits(
    spec: DramSpec, near_memory: bool, simultaneous_act: int
) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Return `Tables.bank` and `Tables.group`, and the window of activations: how many ACTs, and clocks."""
    org = spec.organization
    groups = org.ranks * org.bankgroups
    bank = np.full((N_COMMANDS, N_COMMANDS), NEVER, dtype=np.int64)
    group = np.full((N_COMMANDS, groups, groups, N_COMMANDS), NEVER, dtype=np.int64)
    window_acts, window_clk = 1, NEVER
    for row in spec.table.constraints:
        clocks = spec.latency(row.latency)
        if row.window > 1:
            if (row.level, row.preceding, row.following) != ("rank", ("ACT",), ("ACT",)) or window_clk > 0:
                raise ConfigError(f"row {row.name!r}: only one window, over the ACTs of a rank, is supported")
            window_acts, window_clk = row.window, clocks
            continue
        if near_memory and _is_waived(row, simultaneous_act):
            continue
        own_bank_only = near_memory and row.resource == "column"
        for before in (COMMANDS.index(c) for c in row.preceding):
            for after in (COMMANDS.index(c) for c in row.following):
                if row.level == "bank" or (own_bank_only and row.level != "other_rank"):
                    bank[before, after] = max(bank[before, after], clocks)
                elif not own_bank_only:
                    apply = _applies(
                        row.level, groups, org.bankgroups, before in RANK_WIDE or after in RANK_WIDE
                    )
                    group[before, :, :, after] = np.where(
                        apply, np.maximum(group[before, :, :, after], clocks), group[before, :, :, after]
                    )
    if near_memory:
        # The controller knows when a visit under way ends, and closes no row before it.
        bank[PREpb, PREab] = max(bank[PREpb, PREab], 0)
        window_acts = simultaneous_act or window_acts
    return bank, group, window_acts, window_clk


def _to_ranks(group: np.ndarray, ranks: int) -> np.ndarray:
    """Return the waits of commands that touch all groups of a rank: the longest to any of them."""
    groups = group.shape[1]
    return group.reshape(N_COMMANDS, groups, ranks, groups // ranks, N_COMMANDS).max(axis=3)


def _check_auto_precharge(spec: DramSpec, bank: np.ndarray, group: np.ndarray) -> None:
    """Refuse a table whose RDA and WRA the scheduler would issue too early.

    It waits for RD and WR, and looks then whether the bank allows auto-precharge as well.
    """
    for plain, auto in ((RD, RDA), (WR, WRA)):
        if (bank[:, auto] < bank[:, plain]).any() or (group[..., plain] != group[..., auto]).any():
            raise ConfigError(
                f"the table of {spec.standard} lets {COMMANDS[auto]} and {COMMANDS[plain]} wait differently",
                expected=f"each row that {COMMANDS[plain]} follows in names {COMMANDS[auto]}",
                hint="Only within a bank may auto-precharge wait longer.",
            )


def bus_clocks(spec: DramSpec) -> int:
    """Return the clocks after which the command pins are free again, whatever came and whatever follows."""
    rows = [row for row in spec.table.constraints if row.resource == "command_bus"]
    return max((spec.latency(row.latency) for row in rows), default=1)


def _is_waived(row: Constraint, simultaneous_act: int) -> bool:
    """Return whether a row does not bind near-memory commands at all."""
    return row.resource == "command_bus" or (row.resource == "power" and simultaneous_act > 0)


def _applies(level: str, groups: int, groups_per_rank: int, rank_wide: bool) -> np.ndarray:
    """Return (from group, to group) where a row binds; a command to a whole rank touches all its groups."""
    index = np.arange(groups)
    same_rank = index[:, None] // groups_per_rank == index[None, :] // groups_per_rank
    if level == "channel":
        return np.ones((groups, groups), dtype=bool)
    if level == "other_rank":
        return ~same_rank
    if level == "rank" or rank_wide:
        return same_rank
    return index[:, None] == index[None, :]
