"""Fuzzes one reader guided by coverage (atheris): `guided.py "idx images" 60 FOLDER` for a minute.

Kernels run as Python, so that their branches count as well. Ends with a traceback where anything but an
`NmsimError` comes out, a file takes more than ten seconds, or the process more than 2 GiB; the file that did
it is left in FOLDER.
"""

import logging
import os
import sys
import warnings
from pathlib import Path

os.environ["NUMBA_DISABLE_JIT"] = "1"

import atheris

with atheris.instrument_imports(include=["nmsim", "yaml", "zipfile", "tarfile", "gzip"]):
    from attacks import ATTACKS

warnings.simplefilter("ignore")
logging.disable()

name, seconds, place = sys.argv[1], sys.argv[2], Path(sys.argv[3])
corpus, folder = place / "corpus", place / "attacked"
corpus.mkdir(parents=True)
folder.mkdir()
attack = ATTACKS[name](folder)
for number, seed in enumerate(attack.seeds):
    assert attack.attempt(seed) is None
    (corpus / str(number)).write_bytes(seed)
limits = ["-rss_limit_mb=2048", "-timeout=10", f"-max_total_time={seconds}", "-max_len=20000"]
options = [*limits, "-print_final_stats=1", "-seed=1", f"-artifact_prefix={place}/", str(corpus)]


def give(content: bytes) -> None:
    """Let the reader have a file."""
    attack.attempt(content)


atheris.Setup([sys.argv[0], *options], give)
atheris.Fuzz()
