"""Fold the lines of a run record into what a person wants to know at the end. Pure.

One Digest serves the closing section and every later reader of a record.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from pytest_sentinel.telemetry.record import (
    Attempt,
    Begun,
    BrowserEvent,
    End,
    Line,
    Run,
    WorkerDeath,
)
from pytest_sentinel.telemetry.unfinished import Unfinished

_RECYCLED = {"tests", "age", "memory", "fresh"}


@dataclass(slots=True)
class Digest:
    """What happened in a run so far.

    Attributes:
        launched: browsers started for the first time, by nobody's death or wear.
        recycled: browsers renewed, by reason.
        replaced: browsers replaced after a crash.
        deferred: worn browsers that had to stay.
        driver_deaths: how often Playwright's driver died, in all workers.
        crashes: attempts under which a browser died.
        worker_crashes: tests under which an xdist worker died.
        worker_deaths: xdist workers that died, under a test or not.
        unfinished: the tests that began and did not end.
        launch_failures: launches that failed, by cause.
        leaks: how many were left open, by kind and the line that opened them.
        failures: attempts that ended badly, by whose fault it was.
        peaks: highest sum of one worker's PSS (Python, driver, its browsers), by worker.
    """

    run: Run | None = None
    end: End | None = None
    attempts: int = 0
    launched: int = 0
    recycled: Counter[str] = field(default_factory=Counter)
    replaced: int = 0
    deferred: int = 0
    driver_deaths: int = 0
    crashes: list[Attempt] = field(default_factory=list)
    survived: int = 0
    worker_crashes: list[Attempt] = field(default_factory=list)
    worker_deaths: list[WorkerDeath] = field(default_factory=list)
    unfinished: Unfinished = field(default_factory=Unfinished)
    launch_failures: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    peaks: dict[str, int] = field(default_factory=dict)
    leaks: Counter[tuple[str, str]] = field(default_factory=Counter)
    _slowest: list[Attempt] = field(default_factory=list)
    _hungriest: list[Attempt] = field(default_factory=list)
    _crashed: set[str] = field(default_factory=set)
    keep: int = 10

    def add(self, line: Line) -> None:
        """Take one line of the record."""
        self.unfinished.add(line)
        if isinstance(line, Begun):
            return
        if isinstance(line, Attempt):
            self._add_attempt(line)
        elif isinstance(line, BrowserEvent):
            self._add_event(line)
        elif isinstance(line, WorkerDeath):
            self.worker_deaths.append(line)
        elif isinstance(line, Run):
            self.run = line
        elif isinstance(line, End):
            self.end = line

    def slowest(self, count: int) -> list[Attempt]:
        """Return up to ``count`` attempts that took longest, longest first."""
        return self._slowest[:count]

    def hungriest(self, count: int) -> list[Attempt]:
        """Return up to ``count`` attempts under which a browser tree grew most, worst first."""
        return self._hungriest[:count]

    def dead_workers(self) -> dict[str, str]:
        """Return the workers that died, each with the test it ran; empty where it ran none."""
        dead = {line.worker: line.nodeid for line in self.worker_crashes}
        return dead | {line.worker: dead.get(line.worker, "") for line in self.worker_deaths}

    def _add_attempt(self, line: Attempt) -> None:
        self.attempts += 1
        if line.outcome == "worker-crashed":
            self.worker_crashes.append(line)
        if line.failure is not None:
            self.failures[line.failure] += 1
        if line.crash is not None:
            self.crashes.append(line)
            self._crashed.add(line.nodeid)
        if line.outcome == "passed" and line.nodeid in self._crashed:
            self.survived += 1
            self._crashed.discard(line.nodeid)
        if len(self._slowest) < self.keep or line.seconds > self._slowest[-1].seconds:
            self._keep(self._slowest, line)
        if line.memory and growth(line) > 0:
            self._keep(self._hungriest, line)
        if line.leaks:
            self.leaks.update((leak.kind, leak.where) for leak in line.leaks)
        if not line.memory:
            return
        total = sum(memory.peak or 0 for memory in line.memory.values())
        if total:
            self.peaks[line.worker] = max(self.peaks.get(line.worker, 0), total)

    def _keep(self, ranking: list[Attempt], line: Attempt) -> None:
        ranking.append(line)
        ranking.sort(
            key=(lambda a: a.seconds) if ranking is self._slowest else growth, reverse=True
        )
        del ranking[self.keep :]

    def _add_event(self, line: BrowserEvent) -> None:
        if line.event == "launched":
            self.launched += 1
        elif line.event == "replaced" and line.detail in _RECYCLED:
            self.recycled[line.detail] += 1
        elif line.event == "replaced":
            self.replaced += 1
        elif line.event == "launch-failed":
            self.launch_failures[line.detail] += 1
        elif line.event == "deferred":
            self.deferred += 1
        elif line.event == "driver-died":
            self.driver_deaths += 1


def growth(line: Attempt) -> int:
    """Return by how many bytes the attempt's browsers rose from its start to their peak."""
    return sum(
        max(0, line.memory[name].peak or 0) - (line.memory[name].start or 0)
        for name in _browser_memories(line)
        if line.memory[name].start is not None and line.memory[name].peak is not None
    )


def _browser_memories(line: Attempt) -> list[str]:
    return [name for name in line.memory if name not in ("worker", "driver")]
