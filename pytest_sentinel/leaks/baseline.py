"""Leaks that are known already: a JSON file of fingerprints, shared by the workers of a run.

Known leaks are reported and fail nothing; only new ones do. The file is written under a lock and
replaced in one step, so that workers which find leaks at the same time lose none. Law: what is
locked is never removed, or those who wait for it would hold a lock on nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_sentinel.errors import SettingError
from pytest_sentinel.leaks.verdict import Leak

VERSION = 1
_FLAG = "--sentinel-leak-baseline"
_GOOD = "leaks.json, or the path of a file that --sentinel-leak-baseline-update has written"


def check_baseline(path: Path, *, is_updated: bool) -> str:
    """Look at a baseline before a run; return what its user should know, or nothing.

    Raises:
        SettingError: it is a directory, cannot be read or written, or is no baseline; or the
            directory that it should be in is not there.
    """
    try:
        if path.is_dir():
            raise _bad(path, "is a directory")
        if path.exists():
            read_baseline(path)
        elif not is_updated and not path.parent.is_dir():
            raise _bad(path, f"is not there, nor is the directory {path.parent}")
        if is_updated:
            _check_writable(path)
        elif not path.exists():
            return (
                f"the leak baseline {path} is not there, so no leak is known;"
                " --sentinel-leak-baseline-update writes it"
            )
    except OSError as error:
        raise _bad(path, f"cannot be read: {error.strerror or error}") from None
    return ""


def _check_writable(path: Path) -> None:
    place = path.resolve().parent
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise _bad(path, f"cannot be written: {place} is no directory")
    if not os.access(place, os.W_OK | os.X_OK):
        raise _bad(path, f"cannot be written: {place} does not allow it")


def _bad(path: Path, problem: str) -> SettingError:
    return SettingError(_FLAG, os.fspath(path), problem, _GOOD)


def read_baseline(path: Path) -> dict[str, dict[str, str]]:
    """Return the known leaks by fingerprint; a file that is not there knows none.

    Raises:
        SettingError: the file is no baseline.
    """
    try:
        found = json.loads(path.read_text())
        leaks: dict[str, dict[str, str]] = {VERSION: found["leaks"]}[found["version"]]
        if not all(isinstance(entry, dict) for entry in leaks.values()):
            raise ValueError("an entry is no object")  # noqa: TRY301
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _bad(path, f"is no leak baseline ({error})") from None
    return leaks


def add_to_baseline(path: Path, leaks: Iterable[Leak], nodeid: str) -> None:
    """Add ``leaks`` to the file, with what a reader needs to recognise them."""
    path = path.resolve()  # a symbolic link stays one
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path):
        known = read_baseline(path)
        for leak in leaks:
            known[leak.fingerprint] = {
                "kind": leak.kind,
                "owner": leak.owner,
                "constructor": leak.constructor,
                "test": nodeid,
            }
        content = {"version": VERSION, "leaks": dict(sorted(known.items()))}
        # Beside the file, for only there a rename is one step; a directory, for its mode is ours
        # alone while the file gets the mode that any other would get.
        with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as aside:
            fresh = Path(aside, path.name)
            fresh.write_text(json.dumps(content, indent=2) + "\n")
            if path.exists():
                fresh.chmod(path.stat().st_mode & 0o777)
            fresh.replace(path)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock that everybody takes who writes ``path``."""
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
    except OSError:  # NFS locks only what is open for writing
        os.close(directory)
        lock = path.with_name(f".{path.name}.lock")
        directory = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        fcntl.flock(directory, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(directory)
