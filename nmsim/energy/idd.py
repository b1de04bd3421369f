"""What each DRAM command and each clock of standby costs, from a data sheet's currents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nmsim.dram.spec import IO_RAIL, DramSpec, has_current
from nmsim.energy.values import Number, whole
from nmsim.errors import ConfigError

REFRESH_BACKGROUNDS = ("active", "precharged")


@dataclass(frozen=True)
class CommandEnergies:
    """Energies of one rank, all its devices together, in whole fJ: ints, or arrays of shape (samples,).

    Attributes
    ----------
    command_fJ : mapping of str to int or ndarray
        One command, by each name of `nmsim.dram.commands.COMMANDS`. RDA and WRA are a RD or WR and a PREpb;
        a PREab costs its entry for every bank that it closes. PDE, PDX, SRE and SRX cost nothing by
        themselves: what changes is the background.
    background_fJ_per_clk : mapping of str to int or ndarray
        One clock in each of `nmsim.dram.commands.BACKGROUND_STATES`.
    refresh_background_fJ : int or ndarray
        The part of `command_fJ["REFab"]` that is background: what a refresh adds where its time is charged at
        the active background though all banks are closed. 0 by the convention "precharged". A REFpb has no
        such part: the other banks of its rank may be open, and decide on the background.
    """

    command_fJ: Mapping[str, Number]
    background_fJ_per_clk: Mapping[str, Number]
    refresh_background_fJ: Number


def command_energies(
    spec: DramSpec,
    refresh_background: str = "active",
    rails: Mapping[str, Mapping[str, Number]] | None = None,
) -> CommandEnergies:
    """Return the energies of a memory's commands.

    Parameters
    ----------
    spec : DramSpec
        Its currents, clocks and devices per rank.
    refresh_background : {"active", "precharged"}
        The background that runs while a rank is refreshed: DRAMPower charges IDD3N, DRAMsim3 IDD2N.
    rails : mapping, optional
        In place of `spec.rails`: one of them alone, for what that rail supplies; or with arrays in place of
        numbers, for many variants of the memory.

    Raises
    ------
    ConfigError
        Where the convention is unknown.

    Notes
    -----
    With V·I·t for each rail, times the devices of a rank:

    - ACT: (IDD0 - IDD3N)·tRAS and PRE: (IDD0 - IDD2N)·tRP: together what a data sheet's IDD0 loop of ACT and
      PRE draws above standby where nRC = nRAS + nRP. The loop has one bank open; where IDD3N is known for
      one bank too (IDD3N1), that is subtracted;
    - RD: (IDD4R - IDD3N)·tBURST and WR: (IDD4W - IDD3N)·tBURST; RDA and WRA: a PRE on top;
    - REFab: (IDD5B - IDD3N)·tRFCab, with the current during a burst of refreshes;
    - REFpb: (IDD5PB - IDD3N)·tRFCpb (IDD3N1 where known), likewise with the current during it. Data sheets
      of LPDDR4 give an average over tREFIpb instead, from which that current follows as IDD2N + (average -
      IDD2N)·tREFIpb/tRFCpb; but it is so near standby that its rounding decides. Without an IDD5PB, the
      energy of one REFab is divided by the number of REFpb that are due in its place, nREFI / nREFIpb (to
      the nearest whole number);
    - background: IDD3N with a bank open, IDD2N with all closed, IDD3P, IDD2P and IDD6 in power-down and
      self-refresh.

    Self-refresh is IDD6 for all of its time, the first refresh within it included. DRAMPower charges one
    REFab at each entry besides.

    The rail VDDQ drives data pins: its bursts are the link's energy, only its standby counts here.

    References
    ----------
    Micron, TN-40-07: Calculating Memory Power for DDR4 SDRAM. Chandrasekar et al., DRAMPower: Open-source
    DRAM Power & Energy Estimation Tool (the split of IDD0 into ACT and PRE).
    """
    if refresh_background not in REFRESH_BACKGROUNDS:
        raise ConfigError(
            "refresh_background cannot be read",
            found=refresh_background,
            expected=" or ".join(REFRESH_BACKGROUNDS),
        )
    clocks = spec.clocks
    rails = spec.rails if rails is None else rails
    core = [name for name in rails if name != IO_RAIL]

    def energy_fJ(current: str, less: str | None, clk: int, of: list[str] = core) -> Number:
        power_W: Number = 0.0
        for rail in (rails[name] for name in of):
            power_W += rail["voltage_V"] * (rail[f"{current}_A"] - (rail[f"{less}_A"] if less else 0))
        return whole(power_W * clk * spec.tCK_ps * 1e3 * spec.organization.devices_per_rank)

    every = list(rails)
    background = {
        "active": energy_fJ("IDD3N", None, 1, every),
        "precharged": energy_fJ("IDD2N", None, 1, every),
        "power_down_active": energy_fJ("IDD3P", None, 1, every),
        "power_down_precharged": energy_fJ("IDD2P", None, 1, every),
        "self_refresh": energy_fJ("IDD6", None, 1, every),
    }
    extra: Number = 0
    if refresh_background == "active":
        extra = (background["active"] - background["precharged"]) * clocks["nRFCab"]
    one_open = "IDD3N1" if has_current(spec.rails, "IDD3N1") else "IDD3N"
    refresh = energy_fJ("IDD5B", "IDD3N", clocks["nRFCab"])
    command = {
        "PREpb": energy_fJ("IDD0", "IDD2N", clocks["nRPpb"]),
        "ACT": energy_fJ("IDD0", one_open, clocks["nRAS"]),
        "RD": energy_fJ("IDD4R", "IDD3N", clocks["nBL"]),
        "WR": energy_fJ("IDD4W", "IDD3N", clocks["nBL"]),
        "REFab": refresh + extra,
        **dict.fromkeys(("REFpb", "PDE", "PDX", "SRE", "SRX"), 0),
    }
    command["PREab"] = command["PREpb"]
    command["RDA"] = command["RD"] + command["PREpb"]
    command["WRA"] = command["WR"] + command["PREpb"]
    interval = spec.table.refresh_per_bank_interval
    if interval and has_current(spec.rails, "IDD5PB"):
        command["REFpb"] = energy_fJ("IDD5PB", one_open, clocks["nRFCpb"])
    elif interval:
        sets = max(1, round(clocks["nREFI"] / clocks[interval]))  # that take turns in one REFab's interval
        command["REFpb"] = whole(refresh / sets)
    return CommandEnergies(command, background, extra)
