"""DRAM commands, and their order in every table of counts."""

from __future__ import annotations

import numpy as np

#: In the order of every array that is indexed by command. The first seven address one bank (REFpb: the set
#: of banks that its bank belongs to, see `DramSpec.refresh_sets`), the others all banks of a rank.
COMMANDS = ("PREpb", "ACT", "RD", "WR", "RDA", "WRA", "REFpb", "PREab", "REFab", "PDE", "PDX", "SRE", "SRX")
# As np.int64, because Numba compiles a function anew for every Python integer that it is given as a literal.
PREpb, ACT, RD, WR, RDA, WRA, REFpb, PREab, REFab, PDE, PDX, SRE, SRX = np.arange(len(COMMANDS))
N_COMMANDS = len(COMMANDS)
N_BANK_COMMANDS = 7
#: The first commands, for which kernels keep the earliest clocks at hand; RDA and WRA wait as RD and WR do.
N_NEXT = 4
RANK_WIDE = (PREab, REFab, PDE, PDX, SRE, SRX)

#: Names of the commands that move a burst; and of each command, whether it does.
COLUMN_COMMANDS = ("RD", "WR", "RDA", "WRA")
MOVES_BURST = np.array([name in COLUMN_COMMANDS for name in COMMANDS])

#: Of each command, whether the memory causes it by itself, whoever works meanwhile.
OF_MEMORY = np.array([name in ("REFpb", "REFab", "PDE", "PDX", "SRE", "SRX") for name in COMMANDS])

#: Row outcome of a request, in the order of every array that is indexed by it.
OUTCOMES = ("hit", "miss", "conflict")
HIT, MISS, CONFLICT = np.arange(len(OUTCOMES))

#: What a rank's background current depends on, in the order of every array that is indexed by it.
BACKGROUND_STATES = ("active", "precharged", "power_down_active", "power_down_precharged", "self_refresh")
ACTIVE, PRECHARGED, POWER_DOWN_ACTIVE, POWER_DOWN_PRECHARGED, SELF_REFRESH = np.arange(len(BACKGROUND_STATES))
