"""nmsim: energy, time and accuracy of near-memory data selection on edge boards, from one run."""

from nmsim._version import __version__

__all__ = ["__version__"]
