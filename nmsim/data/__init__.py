"""Data sets: readers of the common formats and a generator that needs no download.

`nmsim.data.fetch` downloads; nothing here imports it, so that nothing opens the network unasked.
"""

from nmsim.data.catalog import cache_folder, list_datasets
from nmsim.data.dataset import Dataset, make_dataset
from nmsim.data.reader import check, load, open_dataset

__all__ = ["Dataset", "cache_folder", "check", "list_datasets", "load", "make_dataset", "open_dataset"]
