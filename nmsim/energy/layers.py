"""The three energies that are reported and never mixed, and what counts under each of them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nmsim.energy.components import COMPONENTS, DDR_COMPONENTS

#: Key in the summary -> what it is called for people: each holds the ones before it.
LAYERS = {"dataset_ddr_energy": "dataset DDR", "ddr_energy": "all DDR", "system_energy": "whole system"}

#: Arrays whose accesses are the data set's own.
DATASET_ARRAYS = ("images", "kept_patches")

#: Of each component in order, whether it is DDR energy; and the columns of those that are.
IS_DDR = np.array([name in DDR_COMPONENTS for name in COMPONENTS])
DDR_COLUMNS = [f"{name}_fJ" for name in DDR_COMPONENTS]


def in_layers(rows: pd.DataFrame) -> pd.DataFrame:
    """Return how much of each row's energy counts under each of `LAYERS`.

    Parameters
    ----------
    rows : DataFrame
        Columns array, energy_fJ and a column `<component>_fJ` for each component: a ledger's, or a trace's.

    Returns
    -------
    DataFrame
        A column for each of `LAYERS`, in fJ, of the same integers and index.

    Notes
    -----
    DDR is what the devices and the path to and from them take. Dataset DDR is that of the rows whose array
    is the images: not of weights, features or neighbour lists, and no standby.
    """
    ddr = rows[DDR_COLUMNS].sum(axis=1)
    layers = (ddr.where(rows["array"].isin(DATASET_ARRAYS), 0), ddr, rows["energy_fJ"])
    return pd.DataFrame(dict(zip(LAYERS, layers, strict=True)))
