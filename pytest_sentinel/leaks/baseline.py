"""Leaks that are known already: a JSON file of fingerprints, shared by the workers of a run.

Known leaks are reported and fail nothing; only new ones do. The file is written under a lock and
replaced in one step, so that workers which find leaks at the same time lose none.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable
from pathlib import Path

from pytest_sentinel.errors import SettingError
from pytest_sentinel.leaks.verdict import Leak

VERSION = 1


def read_baseline(path: Path) -> dict[str, dict[str, str]]:
    """Return the known leaks by fingerprint; a file that is not there knows none.

    Raises:
        SettingError: the file is no baseline.
    """
    try:
        found = json.loads(path.read_text())
        leaks: dict[str, dict[str, str]] = {VERSION: found["leaks"]}[found["version"]]
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        raise SettingError(
            "--sentinel-leak-baseline",
            os.fspath(path),
            f"is no leak baseline ({error})",
            "a file that --sentinel-leak-baseline-update has written",
        ) from None
    return leaks


def add_to_baseline(path: Path, leaks: Iterable[Leak], nodeid: str) -> None:
    """Add ``leaks`` to the file, with what a reader needs to recognise them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        known = read_baseline(path)
        for leak in leaks:
            known[leak.fingerprint] = {
                "kind": leak.kind,
                "owner": leak.owner,
                "constructor": leak.constructor,
                "test": nodeid,
            }
        fresh = path.with_name(f".{path.name}.new")
        content = {"version": VERSION, "leaks": dict(sorted(known.items()))}
        fresh.write_text(json.dumps(content, indent=2) + "\n")
        fresh.replace(path)
        lock.unlink(missing_ok=True)
