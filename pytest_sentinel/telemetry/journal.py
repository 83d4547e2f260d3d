"""Write and find run records on disk: ``DIR/runs/<start>-<id>/run.jsonl``, and ``DIR/runs/latest``.

Each line is flushed as it is written, so that a killed run keeps everything up to its last
report. A disk that is full or read-only costs the record, never the run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import msgspec

from pytest_sentinel.telemetry.record import Line, decode, encode
from pytest_sentinel.telemetry.relay import pack_happenings
from pytest_sentinel.telemetry.retention import hold, prune

FILE_NAME = "run.jsonl"


class Journal:
    """A run record that is being written.

    Args:
        directory: the record directory (``.sentinel``).
        run_id: a short name that is unique among runs.
        complain: called once with a sentence if the record cannot be kept.
        keep: how many runs are kept, this one included; None keeps all.
    """

    def __init__(
        self,
        directory: Path,
        run_id: str,
        complain: Callable[[str], None],
        keep: int | None = None,
    ) -> None:
        self._complain: Callable[[str], None] | None = complain
        self._keep = keep
        self._file: BinaryIO | None = None
        start = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        self.directory = directory / "runs" / f"{start}-{run_id}"
        self.path = self.directory / FILE_NAME

    def open(self) -> None:
        """Create the run's directory and file, and point ``latest`` at it."""
        runs = self.directory.parent
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            ignore = runs.parent / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
            self._file = self.path.open("ab", buffering=0)
            hold(self._file)
            _point(runs / "latest", self.directory.name)
        except OSError as error:
            self._give_up(error)
        else:
            if self._keep is not None:
                prune(runs, self._keep, FILE_NAME, self.directory.name)

    @property
    def is_open(self) -> bool:
        """Whether lines still reach the disk."""
        return self._file is not None

    def append(self, line: Line) -> None:
        """Write one line, past all buffers."""
        if self._file is None:
            return
        try:
            self._file.write(encode(line))
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """Close the file; safe to call twice."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _give_up(self, error: OSError) -> None:
        self.close()
        if self._complain is not None:
            self._complain(f"the run record {self.path} is not kept: {error}")
            self._complain = None


def note_unsent(directory: Path, worker: str) -> Callable[[Any], None]:
    """Return what notes a worker's happenings in the run's directory, until they are reported.

    A full disk costs the note; on another machine there is no such directory.
    """
    path = _unsent(directory, worker)

    def note(happening: Any) -> None:
        with suppress(OSError), path.open("ab") as file:
            file.writelines(
                msgspec.json.encode(row) + b"\n" for row in pack_happenings([happening])
            )

    return note


def take_unsent(directory: Path, worker: str) -> list[dict[str, Any]]:
    """Return, and remove, what a worker of this machine noted."""
    path = _unsent(directory, worker)
    rows: list[bytes] = []
    with suppress(OSError):
        rows = path.read_bytes().splitlines()
        path.unlink()
    found = []
    for row in rows:
        with suppress(msgspec.DecodeError):  # half a line: it died while it wrote
            found.append(msgspec.json.decode(row, type=dict[str, Any]))
    return found


def _unsent(directory: Path, worker: str) -> Path:
    return directory / f"unsent-{worker}.jsonl"


def find_record(path: Path) -> Path:
    """Return the file of the record that ``path`` means.

    That is the file itself, the directory of its run, or the directory that ``--sentinel-record``
    named, of which it is the last run's.

    Raises:
        FileNotFoundError: there is none; the message says what can be named.
    """
    for place in (".", FILE_NAME, f"latest/{FILE_NAME}", f"runs/latest/{FILE_NAME}"):
        if (path / place).is_file():
            return path / place
    what = "holds no run record" if path.is_dir() else "is not there"
    known = f"a {FILE_NAME}, the directory of a run, or what --sentinel-record named"
    raise FileNotFoundError(f"{path} {what}: name {known}")


def read_record(path: Path) -> list[Line]:
    """Return the lines of the record at ``path``; see ``find_record``.

    Raises:
        FileNotFoundError: there is no record.
        ValueError: the record is damaged before its last line.
    """
    return list(iterate_record(path))


def iterate_record(path: Path) -> Iterator[Line]:
    """Yield the lines of the record at ``path``, holding one at a time.

    Raises:
        FileNotFoundError: there is no record.
        ValueError: the record is damaged before its last line.
    """
    with find_record(path).open("rb") as rows:
        yield from decode(rows)


def _point(link: Path, target: str) -> None:
    """Make ``link`` a symbolic link to ``target``, replacing an older one in one step."""
    with suppress(OSError, NotImplementedError):
        fresh = link.with_name(f".latest-{os.getpid()}")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(target)
        fresh.replace(link)
