"""What some work takes of this machine, what the machine has, and the refusal of more."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmsim.errors import ResourceLimitError
from nmsim.units import format_bytes

#: What to lower where nothing else helps.
IMAGES = "the number of images"


@dataclass(frozen=True)
class Need:
    """Something that takes room.

    Attributes
    ----------
    what : str
        For people.
    n_bytes : float
    lower : str
        What to lower so that it takes less; "" where nothing can be done.
    """

    what: str
    n_bytes: float
    lower: str = ""


@dataclass(frozen=True)
class Estimate:
    """What some work needs.

    Attributes
    ----------
    memory, disk : tuple of Need
        What is held at the moment of the peak; what is left on disk.
    time_s : float
        An order of magnitude.
    """

    memory: tuple[Need, ...]
    disk: tuple[Need, ...]
    time_s: float

    @property
    def memory_bytes(self) -> int:
        """Return the peak of memory."""
        return round(sum(need.n_bytes for need in self.memory))

    @property
    def disk_bytes(self) -> int:
        """Return the bytes on disk."""
        return round(sum(need.n_bytes for need in self.disk))

    def to_dict(self) -> dict[str, Any]:
        """Return it in JSON's types."""
        parts = {
            name: [{"what": need.what, "bytes": round(need.n_bytes)} for need in needs]
            for name, needs in (("memory", self.memory), ("disk", self.disk))
        }
        return {
            "memory_bytes": self.memory_bytes,
            "disk_bytes": self.disk_bytes,
            "time_s": self.time_s,
            **parts,
        }


def memory_limit() -> int:
    """Return half of the memory that this process may use: the machine's, or its control group's if less."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")] if hasattr(os, "sysconf") else []
    sizes += [size for file in _GROUP_LIMITS if (size := _number_in(Path(file))) is not None]
    return min(sizes, default=16 << 30) // 2


#: Control groups of version 2 and 1, as a container sees its own.
_GROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def _number_in(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # none, or "max"
        return None


def free_disk(folder: Path | str) -> int:
    """Return the bytes that are free where a folder is, or will be made."""
    path = Path(folder).absolute()
    nearest = next(p for p in (path, *path.parents) if p.exists())
    return shutil.disk_usage(nearest).free


def refuse(estimate: Estimate, max_memory: int, max_disk: int) -> None:
    """Refuse what needs more than these bytes.

    Raises
    ------
    ResourceLimitError
        With the estimate, its largest part, and what to lower or to raise.
    """
    for name, needs, total, limit in (
        ("memory", estimate.memory, estimate.memory_bytes, max_memory),
        ("disk", estimate.disk, estimate.disk_bytes, max_disk),
    ):
        if total <= limit:
            continue
        largest = max(needs, key=lambda need: need.n_bytes)
        lower = f"Lower {largest.lower}, or raise" if largest.lower else "Raise"
        raise ResourceLimitError(
            f"this would need about {format_bytes(total)} of {name} ({largest.what}: "
            f"{format_bytes(largest.n_bytes)}); the limit is {format_bytes(limit)}",
            hint=f"{lower} --max-{name}.",
        )
