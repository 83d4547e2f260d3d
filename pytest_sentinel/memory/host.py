"""The host's memory as this process may use it: the limit of its control group, and what is left.

A container sees the whole machine in /proc/meminfo and is killed at a far smaller number; that
number stands in its cgroup, or in one above it. Cgroup v1, v2 and the two together are read.
``root`` is where the file system begins: tests lay out a small one of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from pytest_sentinel.units import KIB

_V1_UNLIMITED = 1 << 60
"""Cgroup v1 writes "no limit" as the greatest multiple of a page, which differs by kernel."""


@dataclass(frozen=True, slots=True)
class _Files:
    limit: str
    usage: str
    reclaimable: str


_V1 = _Files("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_V2 = _Files("memory.max", "memory.current", "inactive_file")


@dataclass(frozen=True, slots=True)
class _Group:
    """One cgroup that limits the memory of this process."""

    directory: Path
    files: _Files
    limit: int


def memory_limit(root: Path = Path("/")) -> tuple[int, str] | None:
    """Return the smallest memory limit on this process in bytes and the file that sets it.

    None when no cgroup limits it, or the platform has no cgroups.
    """
    group = min(_limiting_groups(root), key=lambda group: group.limit, default=None)
    return None if group is None else (group.limit, str(group.directory / group.files.limit))


def available_memory(root: Path = Path("/")) -> int:
    """Return how many bytes can still be used before this host, or a cgroup, runs out.

    Of a cgroup's limit its working set is taken: usage without the file pages that the
    kernel would drop first (``inactive_file``), the same as container platforms count.
    """
    left = [group.limit - _working_set(group) for group in _limiting_groups(root)]
    return max(0, min([_available_on_host(root), *left]))


def _available_on_host(root: Path) -> int:
    for line in _lines(root / "proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * KIB
    return psutil.virtual_memory().available


def _working_set(group: _Group) -> int:
    usage = _lines(group.directory / group.files.usage)
    statistics = dict(line.split() for line in _lines(group.directory / "memory.stat"))
    return int(usage[0] if usage else 0) - int(statistics.get(group.files.reclaimable, 0))


def _limiting_groups(root: Path) -> Iterator[_Group]:
    for directory, files in _groups(root):
        lines = _lines(directory / files.limit)
        if lines and lines[0] != "max" and int(lines[0]) < _V1_UNLIMITED:
            yield _Group(directory, files, int(lines[0]))


def _groups(root: Path) -> Iterator[tuple[Path, _Files]]:
    """Yield the directories of this process's memory cgroups, each with all those above it."""
    own: dict[_Files, str] = {}
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if not controllers:
            own[_V2] = path
        elif "memory" in controllers.split(","):
            own[_V1] = path
    for mounted, top, files in _mounts(root):
        if files not in own:
            continue
        # In a container the path may still be the host's while the mount begins further down;
        # what lies above the mount cannot be seen from here.
        here = Path(own[files])
        below = here.relative_to(top) if here.is_relative_to(top) else Path()
        for part in [below, *below.parents]:
            yield mounted / part, files


def _mounts(root: Path) -> Iterator[tuple[Path, Path, _Files]]:
    """Yield where a memory hierarchy is mounted, which cgroup lies at its top, and its files."""
    for line in _lines(root / "proc/self/mountinfo"):
        mount, _, kind = line.partition(" - ")
        fields = mount.split()
        system, _, options = kind.split(maxsplit=2)
        if system == "cgroup2":
            yield root / fields[4].lstrip("/"), Path(fields[3]), _V2
        elif system == "cgroup" and "memory" in options.split(","):
            yield root / fields[4].lstrip("/"), Path(fields[3]), _V1


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
