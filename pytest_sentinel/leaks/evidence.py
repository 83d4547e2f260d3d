"""Keep what a verdict rests on: a directory of its own for each check, under that of the run.

Law: two checks never share a directory, whatever their tests are called, in whichever worker or
attempt they run. A name is safe on every file system, and bounded.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import re
from pathlib import Path

from pytest_sentinel.leaks.verdict import LeakReport

_READABLE = 60  # characters of a test's name that are kept; the digest tells tests apart


def folder_name(nodeid: str) -> str:
    """Return a name for the evidence of this test that no other test has."""
    bare = re.sub(r"[^A-Za-z0-9_.-]+", "-", nodeid.rpartition("::")[2])[:_READABLE].strip("-.")
    digest = hashlib.sha256(nodeid.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{bare}-{digest}" if bare else digest


def keep_evidence(report: LeakReport, directory: Path, nodeid: str) -> Path:
    """Write the verdict and its snapshots under ``directory``; return where they are.

    Raises:
        OSError: they cannot be written.
    """
    folder = _fresh(directory, folder_name(nodeid))
    verdict = {"test": nodeid, **report.to_dict()}
    (folder / "verdict.json").write_text(json.dumps(verdict, indent=2) + "\n")
    for number, raw in enumerate(report.snapshots):
        with gzip.open(folder / f"{number}.heapsnapshot.gz", "wb", compresslevel=1) as file:
            file.write(raw)
    return folder


def _fresh(directory: Path, name: str) -> Path:
    """Make a directory that nobody else has: a test may run again, or check more than one page."""
    directory.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        folder = directory / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise AssertionError("unreachable")
