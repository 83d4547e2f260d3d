"""Run a suite of tests/resources in a process of its own, and read back what was left open."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from pytest_sentinel.telemetry.journal import read_record
from pytest_sentinel.telemetry.record import Attempt, Leftover
from tests.runs import CACHE, OPTIONS

SUITES = Path(__file__).parents[1] / "resources"
_LEAVES = re.compile(r"# leaves: ([\w-]+)")
_WHERE = re.compile(r"(\w+\.py):(\d+) in ")


@dataclass(frozen=True)
class Ran:
    """What one run did."""

    directory: Path
    status: int
    stdout: str
    stderr: str

    def attempts(self) -> list[Attempt]:
        """Return the attempts that the record tells of."""
        lines = read_record(self.directory / ".sentinel" / "runs" / "latest")
        return [line for line in lines if isinstance(line, Attempt)]

    def left(self) -> dict[str, list[Leftover]]:
        """Return what each test left, by the name of the test without its parameters."""
        found: dict[str, list[Leftover]] = {}
        for attempt in self.attempts():
            name = attempt.nodeid.rpartition("::")[2].partition("[")[0]
            found.setdefault(name, []).extend(attempt.leaks)
        return found

    def properties(self, name: str) -> list[str]:
        """Return the values of a property, one for each test that has it."""
        root = ET.parse(self.directory / "junit.xml").getroot()
        return [one.get("value", "") for one in root.iter("property") if one.get("name") == name]


def lay(directory: Path, **files: str) -> Path:
    """Copy files of tests/resources, or write their text, under the names they have in a suite."""
    directory.mkdir(exist_ok=True)
    (directory / "pytest.ini").write_text("[pytest]\n")
    for name, source in files.items():
        if source.endswith(".py"):
            shutil.copy(SUITES / source, directory / f"{name}.py")
        else:
            (directory / f"{name}.py").write_text(source)
    return directory


def run(directory: Path, *options: str) -> Ran:
    """Run a suite to its end."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    temporary = directory / "temporary"
    temporary.mkdir(exist_ok=True)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *OPTIONS, "--junitxml=junit.xml", *options],
        cwd=directory,
        env={**environment, "XDG_CACHE_HOME": CACHE, "TMPDIR": str(temporary)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    return Ran(directory, ran.returncode, ran.stdout, ran.stderr)


def planted(source: Path) -> dict[str, list[tuple[str, int]]]:
    """Return kind and line of each leak that comments in ``source`` tell of, by test."""
    found: dict[str, list[tuple[str, int]]] = {}
    name = ""
    for number, line in enumerate(source.read_text().splitlines(), start=1):
        defined = re.match(r"(?:async )?def (\w+)", line)
        name = defined[1] if defined else name
        entries = found.setdefault(name, [])
        entries += [(kind, number) for kind in _LEAVES.findall(line)]
    return found


def blamed(leftovers: list[Leftover]) -> list[tuple[str, int]]:
    """Return kind and line of each leftover."""
    found = [(one.kind, _WHERE.match(one.where)) for one in leftovers]
    return sorted((kind, int(where[2]) if where else 0) for kind, where in found)
