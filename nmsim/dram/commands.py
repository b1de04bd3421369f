"""DRAM commands, and their order in every table of counts."""

from __future__ import annotations

import numpy as np

#: In the order of every array that is indexed by command. The first four address one bank, the others all
#: banks of a rank.
COMMANDS = ("PREpb", "ACT", "RD", "WR", "PREab", "REFab", "PDE", "PDX")
# As np.int64, because Numba compiles a function anew for every Python integer that it is given as a literal.
PREpb, ACT, RD, WR, PREab, REFab, PDE, PDX = np.arange(len(COMMANDS))
N_COMMANDS = len(COMMANDS)
N_BANK_COMMANDS = 4
RANK_WIDE = (PREab, REFab, PDE, PDX)

#: Row outcome of a request, in the order of every array that is indexed by it.
OUTCOMES = ("hit", "miss", "conflict")
HIT, MISS, CONFLICT = np.arange(len(OUTCOMES))

#: What a rank's background current depends on, in the order of every array that is indexed by it.
BACKGROUND_STATES = ("active", "precharged", "power_down_active", "power_down_precharged", "self_refresh")
ACTIVE, PRECHARGED, POWER_DOWN_ACTIVE, POWER_DOWN_PRECHARGED, SELF_REFRESH = np.arange(len(BACKGROUND_STATES))
