"""The one directory in which a pool and its browsers keep their files, and what dead pools left.

A pool that lives holds a lock on a file in its directory; the kernel drops the lock however the
pool ends. A directory without a lock is a dead pool's: the processes that it notes are ended if
they are still the same ones (pid and start time, on this boot), never by name, and it is removed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pytest_sentinel.memory.processes import ProcessId, kill_group, wait_gone
from pytest_sentinel.pool.disowning import disown_in_children

_PREFIX = "sentinel-pool-"
_NOTES = "processes"
_ENDED_WITHIN = 5.0


class Scratch:
    """The directory of one pool."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._is_ours = True
        self._notes: BinaryIO = (self.directory / _NOTES).open("ab", buffering=0)
        fcntl.flock(self._notes, fcntl.LOCK_EX)
        self._notes.write(f"{_this_boot()}\n".encode())
        disown_in_children(self)

    def note(self, process: ProcessId) -> None:
        """Note that ``process`` is ours, for whoever cleans up after us."""
        self._notes.write(f"{process.pid} {process.started}\n".encode())

    def disown(self) -> None:
        """In a forked child: let go of the lock, which says that the parent lives."""
        self._is_ours = False
        self._notes.close()

    def close(self) -> None:
        """Remove the directory."""
        if self._is_ours:
            shutil.rmtree(self.directory, ignore_errors=True)
        self._notes.close()


def remove_leftovers() -> list[tuple[Path, int]]:
    """End and remove what dead pools of this user left; return each with the processes ended."""
    found = []
    for directory in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError), _claimed(directory) as notes:
            boot, processes = _read(notes)
            ended = [process for process in processes if boot == _this_boot()]
            ended = [process for process in ended if kill_group(process)]
            wait_gone(ended, _ENDED_WITHIN)
            shutil.rmtree(directory, ignore_errors=True)
            found.append((directory, len(ended)))
    return found


@contextmanager
def _claimed(directory: Path) -> Iterator[str]:
    """Lock the notes of a directory whose pool is dead, and return them.

    Raises:
        OSError: it is not ours, its pool lives, or it is just being made or removed.
    """
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise PermissionError(directory)
    with (directory / _NOTES).open("rb") as notes:
        fcntl.flock(notes, fcntl.LOCK_EX | fcntl.LOCK_NB)
        text = notes.read().decode(errors="replace")
        if not text:  # between being made and being locked
            raise BlockingIOError(directory)
        yield text


def _read(notes: str) -> tuple[str, list[ProcessId]]:
    boot, *rows = notes.splitlines()
    words = [row.split() for row in rows]
    return boot, [ProcessId(int(pair[0]), int(pair[1])) for pair in words if len(pair) == 2]


def _this_boot() -> str:
    """Name what pids mean here: this boot, and this namespace of pids."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return "unknown"
