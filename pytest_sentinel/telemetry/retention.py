"""Remove the oldest run records of a directory, beyond the number that is kept.

Law: removed is only what is surely ours and surely over. A run that is being written holds a lock
on its file; what is no directory of that name with a record in it is not touched. Whatever cannot
be removed stays, and no run fails for it.
"""

from __future__ import annotations

import fcntl
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

_RUN: Final = re.compile(r"\d{8}-\d{6}-[\w.-]+")
_STAMP: Final = len("20260131-235959")
_REMOVED: Final = ".removed"


def hold(file: BinaryIO) -> None:
    """Mark a record as being written for as long as ``file`` is open."""
    with suppress(OSError):  # a file system without locks
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)


def prune(runs: Path, keep: int, file_name: str, own: str = "") -> list[str]:
    """Remove all but the ``keep`` newest runs in a directory; return the names of the removed.

    Args:
        runs: the directory of the runs, each named after the moment when it began.
        keep: at least 1.
        file_name: the record in a run's directory, which tells a run from anything else.
        own: the run that has just begun, which is one of those that are kept.
    """
    removed: list[str] = []
    with suppress(OSError):
        found = sorted(
            (path for path in runs.iterdir() if _is_run(path, file_name)),
            key=lambda path: (path.name == own, path.name[:_STAMP], _changed(path / file_name)),
        )
        for path in found[: max(0, len(found) - keep)]:
            with suppress(OSError), _is_over(path / file_name) as over:
                if over:
                    # In one step: nobody is to find half a run.
                    path.rename(path.with_name(f".{path.name}{_REMOVED}"))
                    removed.append(path.name)
        for path in runs.glob(f".*{_REMOVED}"):
            if _RUN.fullmatch(path.name[1:].removesuffix(_REMOVED)) and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
    return removed


def _is_run(path: Path, file_name: str) -> bool:
    named = _RUN.fullmatch(path.name) is not None
    return named and not path.is_symlink() and path.is_dir() and (path / file_name).is_file()


def _changed(record: Path) -> float:
    """Return when a record was last written: which of two runs of one second is the older."""
    try:
        return record.stat().st_mtime
    except OSError:
        return 0.0


@contextmanager
def _is_over(record: Path) -> Iterator[bool]:
    """Tell, and see to it meanwhile, that nobody writes a record."""
    with record.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
