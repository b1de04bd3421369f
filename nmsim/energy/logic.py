"""Energy and area of arithmetic in a given process, scaled from 45 nm."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nmsim.config.board import Operations
from nmsim.energy.arithmetic import ARITHMETIC
from nmsim.energy.values import Number
from nmsim.errors import ConfigError

#: node in nm -> energy of an operation relative to 45 nm (A. Stillmaker, B. Baas, Integration 58, 2017).
NODE_ENERGY = {7: 0.094, 10: 0.118, 14: 0.139, 16: 0.174, 20: 0.22, 32: 0.66, 45: 1.0, 65: 1.24}

#: node in nm -> area of logic relative to 45 nm (the same; no figure for 32 nm at hand).
NODE_AREA = {7: 0.059, 10: 0.10, 14: 0.17, 16: 0.19, 20: 0.21, 45: 1.0, 65: 1.5}


def node_energy_factor(node_nm: Number) -> Number:
    """Return the energy of an operation at `node_nm` relative to 45 nm.

    Parameters
    ----------
    node_nm : float or ndarray
        Between 7 and 65, the ends of the published table.

    Raises
    ------
    ConfigError
        Outside the table: an extrapolated factor would have no source.

    Notes
    -----
    Straight lines between the table's points in log-log space, which keeps the factor monotone in the node.
    """
    return _between(NODE_ENERGY, node_nm)


def node_area_factor(node_nm: Number) -> Number:
    """Return the area of logic at `node_nm` relative to 45 nm; as `node_energy_factor` in all else."""
    return _between(NODE_AREA, node_nm)


def _between(table: Mapping[int, float], node_nm: Number) -> Number:
    nodes = sorted(table)
    if np.min(node_nm) < nodes[0] or np.max(node_nm) > nodes[-1]:
        raise ConfigError(
            "no published scaling for this node",
            found=f"{np.max(node_nm) if np.max(node_nm) > nodes[-1] else np.min(node_nm):g} nm",
            expected=f"{nodes[0]} to {nodes[-1]} nm",
        )
    logs = np.interp(np.log(node_nm), np.log(nodes), np.log([table[node] for node in nodes]))
    return np.exp(logs) if isinstance(node_nm, np.ndarray) else float(np.exp(logs))


def operation_energies_fJ(
    operations: Operations, node_nm: Number, penalty: Number = 1.0
) -> dict[str, Number]:
    """Return the energy in fJ of one operation of each kind, scaled to a node and a process penalty."""
    factor = node_energy_factor(node_nm) * penalty
    return {kind: getattr(operations, kind).value * factor for kind in ARITHMETIC}
