"""The memory that belongs to a process tree whoever else runs: PSS without the pages of files.

PSS divides the pages of the browser's own executable among all browsers of the machine. When one
of another worker ends, the others' PSS rises by tens of MiB although nothing grew. Ceilings may
be held against PSS; growth must be measured without those pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pytest_sentinel.memory.processes import read_memory

_LINE = re.compile(rb"^(Pss|Pss_File): +(\d+) kB", re.MULTILINE)


def own_memory(pids: Iterable[int]) -> int:
    """Return the bytes of PSS that are no pages of files, summed over ``pids``.

    Processes that vanish meanwhile are left out; where the kernel does not tell, it is the PSS.
    """
    return sum(map(_own, pids))


def _own(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            found = dict(_LINE.findall(file.read()))
        return (int(found[b"Pss"]) - int(found[b"Pss_File"])) * 1024
    except (OSError, KeyError):
        reading = read_memory([pid])
        return 0 if reading is None else reading.pss
