"""The patterns that DRAMPower tests its LPDDR4 core energy with, and nmsim's energy of them.

Commands, memory and expected energies: DRAMPower 5, commit d8b980a, tests/tests_drampower/core/LPDDR4/
lpddr4_test_pattern_*.cpp and tests/tests_drampower/resources/lpddr4.json. Energies are whole pJ there.
"""

from pathlib import Path

from nmsim.dram.spec import DramSpec, Organization
from nmsim.dram.standard import load_standard
from nmsim.energy.idd import command_energies

STANDARD = Path(__file__).parents[2] / "hw_configs" / "calibration" / "drampower_test_standard.yaml"
RAIL = {
    "voltage_V": 1.2,
    "IDD0_A": 56.25e-3,
    "IDD2N_A": 33.75e-3,
    "IDD2P_A": 17e-3,
    "IDD3N_A": 35e-3,
    "IDD3P_A": 22.5e-3,
    "IDD4R_A": 157.5e-3,
    "IDD4W_A": 135e-3,
    "IDD5B_A": 118e-3,
    "IDD6_A": 20.25e-3,
}
CLOCKS = {"nBL": 4, "nRAS": 10, "nRCD": 13, "nRPpb": 10, "nRFCab": 25, "nREFI": 20}

#: pattern -> (commands as (clock, name, bank), its end).
PATTERNS = {
    0: ([(0, "ACT", 0), (15, "PRE", 0)], 15),
    1: ([(0, "ACT", 0), (15, "RD", 0), (35, "PRE", 0)], 35),
    2: ([(0, "ACT", 0), (15, "RD", 0), (35, "PRE", 0)], 50),
    3: ([(0, "ACT", 0), (15, "RD", 0), (20, "ACT", 3), (35, "PRE", 0), (45, "PRE", 3)], 50),
    4: ([(0, "ACT", 0), (15, "RD", 0), (20, "ACT", 3), (35, "RD", 3), (40, "RD", 0), (50, "PREA", 0)], 70),
    5: (
        [
            (0, "ACT", 0),
            (15, "RD", 0),
            (20, "ACT", 3),
            (35, "RD", 3),
            (40, "RD", 0),
            (50, "PREA", 0),
            (65, "REFA", 0),
        ],
        100,
    ),
}
TOTAL_pJ = {0: 888, 1: 1987, 2: 2454, 3: 2878, 4: 4420, 5: 7299}


def memory():
    """Return DRAMPower's test memory; timings that no price depends on are 1."""
    names = load_standard(str(STANDARD)).required
    return DramSpec(
        standard=str(STANDARD),
        organization=Organization(1, 1, 1, 16, 65536, 1024, 8, 1),
        tCK_ps=10_000 / 13,  # not whole: the pattern's energies are rounded to pJ
        timing=dict.fromkeys(names, 1) | CLOCKS,
        rails={"VDD": RAIL},
    )


def energy_pJ(pattern):
    """Return nmsim's energy of a pattern by part: act, pre, rd, ref, active, precharged."""
    energies = command_energies(memory())
    price_fJ, clock_fJ = energies.command_fJ, energies.background_fJ_per_clk
    commands, end = PATTERNS[pattern]
    part = dict.fromkeys(("act", "pre", "rd", "ref", "active", "precharged"), 0)
    opened, since = set(), 0
    for clock, command, bank in [*commands, (end, "END", 0)]:
        part["active" if opened else "precharged"] += (clock - since) * clock_fJ[
            "active" if opened else "precharged"
        ]
        since = clock
        if command == "ACT":
            opened.add(bank)
            part["act"] += price_fJ["ACT"]
        elif command in ("PRE", "PREA"):
            closed = opened if command == "PREA" else {bank}
            part["pre"] += len(closed) * price_fJ["PREpb"]
            opened = opened - closed
        elif command == "RD":
            part["rd"] += price_fJ["RD"]
        elif command == "REFA":
            part["ref"] += price_fJ["REFab"]
    return {name: energy / 1e3 for name, energy in part.items()}
