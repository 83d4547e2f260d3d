"""What the HTML report, JUnit and CTRF show of a record: rows and series, ready to be drawn.

It reads records and the verdicts on leaks beside them; it draws nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pytest_sentinel.telemetry.digest import growth
from pytest_sentinel.telemetry.record import (
    Attempt,
    BrowserEvent,
    End,
    GateVerdict,
    Leftover,
    Line,
    Run,
    WorkerDeath,
)
from pytest_sentinel.telemetry.unfinished import Unfinished

BAD: Final = ("failed", "error", "crashed", "worker-crashed")
VITALS: Final = {"ttfb": 0.8, "fcp": 1.8, "lcp": 2.5, "inp": 0.2, "cls": 0.1}
_MOST_PATHS = 20


@dataclass(slots=True)
class Story:
    """A run, told for a reader.

    Attributes:
        began: the first moment that anything is known of.
        final: the last attempt of each test.
        paths: what a page that leaks is kept by, by test: lines of the verdict beside the record.
        more_paths: how many further verdicts lie there.
        deaths: xdist workers that died.
        unfinished: the tests that began and did not end, and whether the record was cut short.
    """

    run: Run = field(default_factory=lambda: Run("", 0.0))
    end: End | None = None
    attempts: list[Attempt] = field(default_factory=list)
    events: list[BrowserEvent] = field(default_factory=list)
    gates: list[GateVerdict] = field(default_factory=list)
    final: dict[str, Attempt] = field(default_factory=dict)
    paths: dict[str, list[str]] = field(default_factory=dict)
    more_paths: int = 0
    deaths: list[WorkerDeath] = field(default_factory=list)
    unfinished: Unfinished = field(default_factory=Unfinished)

    @property
    def began(self) -> float:
        """When the run began."""
        return self.run.started

    @property
    def seconds(self) -> float:
        """How long it took, or how long it is known to have lived."""
        last = self.end.finished if self.end is not None else 0.0
        return max([last, *(line.finished for line in self.attempts)], default=0.0) - self.began

    def counts(self) -> dict[str, int]:
        """Return how many tests came to which outcome in the end, and how many were flaky."""
        found: dict[str, int] = {}
        for line in self.final.values():
            found[line.outcome] = found.get(line.outcome, 0) + 1
        return found

    def flaky(self) -> list[str]:
        """Return the tests that passed after a bad attempt."""
        lost = {line.nodeid for line in self.attempts if line.outcome in BAD}
        return [name for name in lost if self.final[name].outcome == "passed"]

    def failures(self) -> dict[str, int]:
        """Return how many attempts were lost by whose fault."""
        found: dict[str, int] = {}
        for line in self.attempts:
            if line.failure is not None:
                found[line.failure] = found.get(line.failure, 0) + 1
        return found

    def slowest(self, count: int = 15) -> list[Attempt]:
        """Return the attempts that took longest."""
        return sorted(self.attempts, key=lambda line: -line.seconds)[:count]

    def hungriest(self, count: int = 15) -> list[Attempt]:
        """Return the attempts under which browsers rose most."""
        grown = [line for line in self.attempts if growth(line) > 0]
        return sorted(grown, key=lambda line: -growth(line))[:count]

    def leaks(self) -> list[tuple[Attempt, Leftover]]:
        """Return everything that was left open, with the attempt that left it."""
        return [(line, leak) for line in self.attempts for leak in line.leaks]

    def memory(self) -> dict[str, list[tuple[float, int]]]:
        """Return (seconds since the start, PSS) of each worker as a whole, and of each browser."""
        found: dict[str, list[tuple[float, int]]] = {}
        for line in self.attempts:
            at = line.finished - self.began
            peaks = {name: memory.peak or memory.end or 0 for name, memory in line.memory.items()}
            if not any(peaks.values()):
                continue
            found.setdefault(f"{line.worker}, all of it", []).append((at, sum(peaks.values())))
            for name, size in peaks.items():
                if name not in ("worker", "driver"):
                    found.setdefault(f"{line.worker}/{name}", []).append((at, size))
        return found

    def vitals(self) -> dict[str, list[float]]:
        """Return every web vital that was told."""
        found: dict[str, list[float]] = {name: [] for name in VITALS}
        for line in self.attempts:
            for visit in line.page.visits if line.page is not None else ():
                for name, values in found.items():
                    value = getattr(visit, name)
                    if value is not None:
                        values.append(value)
        return {name: values for name, values in found.items() if values}


def tell(lines: Iterable[Line], directory: Path | None = None) -> Story:
    """Return the story of a record, with the verdicts that lie beside it."""
    story = Story()
    for line in story.unfinished.follow(lines):
        if isinstance(line, Run):
            story.run = line
        elif isinstance(line, Attempt):
            story.attempts.append(line)
            story.final[line.nodeid] = line
        elif isinstance(line, BrowserEvent):
            story.events.append(line)
        elif isinstance(line, WorkerDeath):
            story.deaths.append(line)
        elif isinstance(line, GateVerdict):
            story.gates.append(line)
        elif isinstance(line, End):
            story.end = line
    if directory is not None:
        found = sorted(directory.glob("leaks/*/verdict.json"))
        story.more_paths = max(0, len(found) - _MOST_PATHS)
        for path in found[:_MOST_PATHS]:
            story.paths[path.parent.name] = _verdict(path)
    return story


def _verdict(path: Path) -> list[str]:
    """Return the owners, and the path that keeps each alive, of a verdict on a page."""
    try:
        told: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return [f"{path.name} cannot be read"]
    rows: list[str] = []
    for leak in told.get("leaks", ()):
        rows.append(" ".join(str(leak[name]) for name in ("kind", "owner") if leak.get(name)))
        rows += [f"    {step}" for step in leak.get("retainer_path") or ()]
    return rows or [str(told.get("verdict", ""))]


def as_ctrf(story: Story) -> str:
    """Return the run as CTRF (ctrf.io): one test each, with how often it was tried."""
    status = {"passed": "passed", "xpassed": "passed", "skipped": "skipped", "xfailed": "skipped"}
    tries: dict[str, int] = {}
    for line in story.attempts:
        tries[line.nodeid] = tries.get(line.nodeid, 0) + 1
    flaky = set(story.flaky())
    tests = [
        {
            "name": line.nodeid,
            "status": status.get(line.outcome, "failed" if line.outcome in BAD else "other"),
            "duration": round(line.seconds * 1000),
            "start": round(line.started * 1000),
            "stop": round(line.finished * 1000),
            "retries": tries[line.nodeid] - 1,
            "flaky": line.nodeid in flaky,
            "suite": [story.run.suite or "tests"],
            "filePath": line.nodeid.partition("::")[0],
            **({"browser": line.engine} if line.engine else {}),
            **({"message": line.failure} if line.failure else {}),
        }
        for line in story.final.values()
    ]
    tests += [
        {"name": name, "status": "other", "duration": 0, "message": "interrupted"}
        for name in story.unfinished.tests()
    ]
    counted = [test["status"] for test in tests]
    summary = {
        "tests": len(tests),
        **{name: counted.count(name) for name in ("passed", "failed", "skipped", "other")},
        "pending": 0,
        "start": round(story.began * 1000),
        "stop": round((story.began + story.seconds) * 1000),
    }
    results = {"tool": {"name": "pytest-sentinel"}, "summary": summary, "tests": tests}
    return json.dumps({"reportFormat": "CTRF", "specVersion": "0.0.0", "results": results}) + "\n"


def as_junit(story: Story) -> str:
    """Return the run as JUnit XML: a case for each test, by its last attempt."""
    from xml.etree import ElementTree as ET

    interrupted = story.unfinished.tests()
    count = str(len(story.final) + len(interrupted))
    suite = ET.Element("testsuite", name=story.run.suite or "tests", tests=count)
    for line in story.final.values():
        file, _, name = line.nodeid.partition("::")
        place = file.removesuffix(".py").replace("/", ".")
        case = ET.SubElement(
            suite, "testcase", classname=place, name=name, file=file, time=f"{line.seconds:.3f}"
        )
        if line.outcome in ("skipped", "xfailed"):
            ET.SubElement(case, "skipped", message=line.outcome)
        elif line.outcome in BAD:
            kind = "failure" if line.failure == "product" else "error"
            said = line.crash.what if line.crash is not None else line.outcome
            ET.SubElement(case, kind, message=said, type=line.failure or "product")
        elif line.outcome not in ("passed", "xpassed"):
            # JUnit has no word for what another plugin made up.
            kept = ET.SubElement(case, "properties")
            ET.SubElement(kept, "property", name="sentinel_outcome", value=line.outcome)
    for nodeid in interrupted:
        file, _, name = nodeid.partition("::")
        place = file.removesuffix(".py").replace("/", ".")
        case = ET.SubElement(suite, "testcase", classname=place, name=name, file=file, time="0.000")
        ET.SubElement(case, "error", message="interrupted", type="interrupted")
    ET.indent(suite)
    head = "<?xml version='1.0' encoding='utf-8'?>\n"
    return head + ET.tostring(suite, encoding="unicode") + "\n"
