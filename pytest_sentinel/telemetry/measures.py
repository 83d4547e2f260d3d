"""Fold the lines of a run record into the metrics of the catalogue. Pure: no clock, no client.

Law: a metric of the last run is a gauge, set once, at its end; whatever grows while the run goes
on is a counter or a histogram, and is only ever scraped or written with a timestamp.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pytest_sentinel.telemetry.catalogue import (
    BY_NAME,
    CATALOGUE,
    FAILURES,
    OTHER,
    OUTCOMES,
    TRANSPORTS,
    Labels,
    Series,
)
from pytest_sentinel.telemetry.digest import growth
from pytest_sentinel.telemetry.record import (
    Attempt,
    BrowserEvent,
    End,
    GateVerdict,
    Line,
    Memory,
    PageFigures,
    Run,
    Sample,
)
from pytest_sentinel.telemetry.use import Use

Key = tuple[str, ...]
_BAD: Final = ("failed", "error", "crashed", "worker-crashed")
_P95: Final = 0.95


@dataclass(slots=True)
class Spread:
    """A histogram: counts below each bound, and an example for each, as (test, value, moment)."""

    counts: list[int]
    total: float = 0.0
    examples: dict[int, tuple[str, float, float]] = field(default_factory=dict)

    def copy(self) -> Spread:
        """Return it as it is now."""
        return Spread(list(self.counts), self.total, dict(self.examples))


@dataclass(slots=True)
class Table:
    """The values of all metrics at one moment, by name and label values."""

    numbers: dict[str, dict[Key, float]] = field(default_factory=dict)
    spreads: dict[str, dict[Key, Spread]] = field(default_factory=dict)

    def copy(self) -> Table:
        """Return it as it is now."""
        return Table(
            {name: dict(values) for name, values in self.numbers.items()},
            {
                name: {key: spread.copy() for key, spread in values.items()}
                for name, values in self.spreads.items()
            },
        )

    def series(self) -> Iterator[Series]:
        """Yield, in the catalogue's order, the metrics that have a value."""
        for series in CATALOGUE:
            if self.numbers.get(series.name) or self.spreads.get(series.name):
                yield series


def hash_test(nodeid: str) -> str:
    """Return the 12 hexadecimal digits that stand for a test in an exemplar."""
    return hashlib.blake2b(nodeid.encode(errors="replace"), digest_size=6).hexdigest()


class Measures:
    """The metrics of one run so far.

    Args:
        worker_limit: what a worker should stay below, in bytes.
        targets: by name, what is promised.
    """

    def __init__(self, worker_limit: int = 0, targets: Mapping[str, float] | None = None) -> None:
        self.table = Table()
        self.labels = Labels()
        self._worker_limit = worker_limit
        self._targets = dict(targets or {})
        self._run = Run("", 0.0)
        self._final: dict[str, Attempt] = {}
        self._workers: set[str] = set()
        self._gates: list[GateVerdict] = []
        self._peak = 0
        self._reruns = self._flaky = self._leaks = 0
        self._use = Use()
        self._looks: list[float] = []
        # Where each value goes, once that is known: a test has a handful, and always the same.
        self._numbers: dict[tuple[str, Key], tuple[dict[Key, float], Key]] = {}
        self._spreads: dict[tuple[str, Key], tuple[Spread, Sequence[float]]] = {}

    def add(self, line: Line) -> None:
        """Take one line of the record."""
        if isinstance(line, Run):
            self._begin(line)
        elif isinstance(line, Attempt):
            self._add_attempt(line)
        elif isinstance(line, BrowserEvent):
            self._add_event(line)
        elif isinstance(line, Sample):
            if line.metric == "pool_utilization":
                self._looks += [line.value] * line.count
        elif isinstance(line, GateVerdict):
            self._gates.append(line)
        elif isinstance(line, End):
            self._finish(line)

    def count(self, name: str, *labels: str, by: float = 1.0) -> None:
        """Add to a counter."""
        values, key = self._place(name, labels)
        values[key] = values.get(key, 0.0) + by

    def put(self, name: str, value: float, *labels: str) -> None:
        """Set a gauge."""
        values, key = self._place(name, labels)
        values[key] = float(value)

    def observe(
        self, name: str, value: float, *labels: str, test: str = "", at: float = 0.0
    ) -> None:
        """Add a value to a histogram; ``test`` and ``at`` make it an example of its bucket."""
        found = self._spreads.get((name, labels))
        spread, bounds = found if found is not None else self._spread(name, labels)
        bucket = bisect_left(bounds, value)
        spread.counts[bucket] += 1
        spread.total += value
        if test:
            spread.examples[bucket] = (test, value, at)

    def _spread(self, name: str, labels: Key) -> tuple[Spread, Sequence[float]]:
        series = BY_NAME[f"sentinel_{name}"]
        spreads = self.table.spreads.setdefault(series.name, {})
        key = self.labels.bound(series, labels)
        spread = spreads.get(key)
        if spread is None:
            spread = spreads[key] = Spread([0] * (len(series.buckets) + 1))
        if key == labels:  # the others are counted each time
            self._spreads[name, labels] = spread, series.buckets
        return spread, series.buckets

    def _place(self, name: str, labels: Key) -> tuple[dict[Key, float], Key]:
        found = self._numbers.get((name, labels))
        if found is not None:
            return found
        series = BY_NAME[f"sentinel_{name}"]
        values = self.table.numbers.setdefault(series.name, {})
        before = self.labels.overflow.get(series.name, 0)
        key = self.labels.bound(series, labels)
        if self.labels.overflow.get(series.name, 0) > before:
            self.count("label_overflow_total", series.name)
        if key == labels:
            self._numbers[name, labels] = values, key
        return values, key

    def _begin(self, line: Run) -> None:
        self._run = line
        self._use = Use(line.slots)
        versions = line.versions
        known = (versions.get("pytest-sentinel", ""), versions.get("python", ""))
        self.put("build_info", 1, *known, versions.get("playwright", ""))
        if self._worker_limit:
            self.put("worker_memory_limit_bytes", self._worker_limit)
        for slo, value in self._targets.items():
            self.put("slo_target", value, slo)
        # A series that begins at its first event has no increase there.
        for failure in FAILURES:
            self.count("test_failures_total", line.suite, failure, by=0)
        for transport in TRANSPORTS:
            self.count("export_failures_total", transport, by=0)
        for name in (
            "worker_crashes",
            "browser_crashes",
            "driver_deaths",
            "browser_launch_failures",
        ):
            self.count(f"{name}_total", by=0)

    def _add_attempt(self, line: Attempt) -> None:
        suite, browser = self._run.suite, line.engine or "none"
        test = line.nodeid
        self.count("tests_total", suite, browser, line.outcome)
        at = line.finished
        for phase, seconds in line.phases.items():
            self.observe("test_duration_seconds", seconds, suite, phase, test=test, at=at)
        if line.failure is not None:
            self.count("test_failures_total", suite, line.failure)
        earlier = self._final.get(line.nodeid)
        if earlier is not None:
            self._reruns += 1
            self.count("test_reruns_total", suite, browser)
            if line.outcome == "passed" and earlier.outcome in _BAD:
                self._flaky += 1
                self.count("flaky_tests_total", suite, browser)
        self._final[line.nodeid] = line
        if line.outcome == "worker-crashed":
            self.count("worker_crashes_total")
        for leak in line.leaks:
            self._leaks += 1
            self.count("leak_suspects_total", leak.kind)
        self._use.add(line)
        if line.wait is not None:
            self.observe("browser_wait_seconds", line.wait, test=test, at=line.finished)
        self._add_memory(line, browser)
        if line.page is not None:
            self._add_page(line.page, line.worker, test, line.finished)

    def _add_memory(self, line: Attempt, browser: str) -> None:
        if line.worker not in self._workers:
            self._workers.add(line.worker)
            self.put("workers", len(self._workers))
        if not line.memory:
            return
        peak = sum(memory.peak or 0 for memory in line.memory.values())
        self._peak = max(self._peak, peak)
        self.put("worker_memory_bytes", peak, line.worker)
        trees = {n: m for n, m in line.memory.items() if n not in ("worker", "driver")}
        if trees:
            self.put("browser_memory_bytes", sum(map(_peak, trees.values())), line.worker)
            grown = max(0, growth(line))
            self.observe(
                "test_memory_growth_bytes", grown, browser, test=line.nodeid, at=line.finished
            )

    def _add_page(self, page: PageFigures, worker: str, test: str, at: float) -> None:
        for level, count in page.console.items():
            self.count("page_console_messages_total", level, by=count)
        if page.errors:
            self.count("page_errors_total", by=page.errors)
        for request, count in page.requests.items():
            resource, _, result = request.partition(" ")
            self.count("page_requests_total", resource, result, by=count)
        for visit in page.visits:
            for vital in ("ttfb", "fcp", "lcp", "inp"):
                seconds = getattr(visit, vital)
                if seconds is not None:
                    self.observe("page_web_vital_seconds", seconds, vital, test=test, at=at)
            if visit.cls is not None:
                self.observe("page_layout_shift_score", visit.cls, test=test, at=at)
        if page.heap is not None:
            self.put("page_heap_used_bytes", page.heap, worker)
        if page.nodes is not None:
            self.put("page_dom_nodes", page.nodes, worker)

    def _add_event(self, line: BrowserEvent) -> None:
        if line.event in ("launched", "replaced"):
            self.count("browser_launches_total", line.detail)
            if line.seconds is not None:
                self.observe("browser_launch_duration_seconds", line.seconds)
        elif line.event == "crashed":
            self.count("browser_crashes_total")
        elif line.event == "driver-died":
            self.count("driver_deaths_total")
        elif line.event == "launch-failed":
            self.count("browser_launch_failures_total")

    def _finish(self, line: End) -> None:
        labels = (self._run.suite, self._run.branch_class)
        self.put("sampler_cpu_seconds", line.sampler_seconds)
        self.put("run_last_completed_timestamp_seconds", line.finished, *labels)
        if line.exit_status == 0:
            self.put("run_last_success_timestamp_seconds", line.finished, *labels)
        self.put("run_duration_seconds", line.finished - self._run.started, *labels)
        outcomes = Counter(
            attempt.outcome if attempt.outcome in OUTCOMES else OTHER
            for attempt in self._final.values()
        )
        for outcome in ("passed", "failed", "error", "skipped", *outcomes):
            self.put("run_tests", outcomes[outcome], *labels, outcome)
        bad = [a.failure for a in self._final.values() if a.outcome in _BAD]
        for failure in FAILURES:
            self.put("run_failures", bad.count(failure), *labels, failure)
        self.put("run_reruns", self._reruns, *labels)
        self.put("run_flaky_tests", self._flaky, *labels)
        self.put("run_leak_suspects", self._leaks, *labels)
        durations = sorted(a.seconds for a in self._final.values() if a.outcome != "skipped")
        if durations:
            nearest = durations[min(len(durations) - 1, int(len(durations) * _P95))]
            self.put("run_test_duration_p95_seconds", nearest, *labels)
        if self._peak:
            self.put("run_peak_worker_memory_bytes", self._peak, *labels)
        used = sum(self._looks) / len(self._looks) if self._looks else self._use.share
        if used is not None:
            self.put("run_slots_used_ratio", used, *labels)
        for gate in self._gates:
            if gate.state != "no data":
                self.put("run_quality_gate_passed", gate.state == "pass", *labels, gate.name)


def _peak(memory: Memory) -> int:
    return memory.peak or 0
