"""What a gate can ask about a run: named values, each with labels, folded from a record. Pure.

A metric is a list of observations, never a bucket: a quantile of it is exact. Counts have an
observation of zero for each attempt under which nothing was found, so that "none" differs from
"nobody looked".
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, overload

from pytest_sentinel.telemetry.record import Attempt, BrowserEvent, End, Line, Run, Sample
from pytest_sentinel.telemetry.use import Use

Shape = Literal["trend", "rate", "count", "gauge"]
Unit = Literal["seconds", "bytes", "ratio", ""]

BAD: Final = ("failed", "error", "worker-crashed")
_RUN: Final = ("suite", "branch_class")
_PAGE: Final = (*_RUN, "browser")
_TEST: Final = (*_PAGE, "worker")
_ATTEMPT: Final = (*_TEST, "outcome")


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric that gates can ask about.

    Attributes:
        shape: ``trend`` (many values), ``rate`` (each 0 or 1), ``count`` (values that add up) or
            ``gauge`` (a value that is, over time).
        labels: what it can be narrowed down by.
    """

    shape: Shape
    unit: Unit
    help: str
    labels: tuple[str, ...] = ()


# fmt: off
MEASURED: Final[Mapping[str, Measured]] = {
    "browser_tests": Measured("trend", "seconds", "duration of each attempt that used a browser", _ATTEMPT),
    "tests": Measured("trend", "seconds", "duration of each attempt", _ATTEMPT),
    "test_memory_growth": Measured("trend", "bytes", "by how much browsers rose during each attempt, PSS", _TEST),
    "worker_memory": Measured("gauge", "bytes", "peak of a worker with its driver and browsers in each attempt, PSS", (*_RUN, "worker")),
    "error_rate": Measured("rate", "ratio", "operations that ended badly: tests by their last attempt, requests of load", (*_PAGE, "worker", "task")),
    "infrastructure_rate": Measured("rate", "ratio", "attempts lost to a browser, a pool or a worker", _TEST),
    "harness_rate": Measured("rate", "ratio", "attempts lost to a fault of pytest-sentinel", _TEST),
    "flaky": Measured("count", "", "tests that passed after a bad attempt", _PAGE),
    "reruns": Measured("count", "", "attempts after the first of a test", _PAGE),
    "leaks": Measured("count", "", "things left open, and pages that leak", _TEST),
    "crashes": Measured("count", "", "attempts under which a browser or a worker died", _TEST),
    "launch_time": Measured("trend", "seconds", "how long browsers took to start", (*_RUN, "worker")),
    "console_errors": Measured("count", "", "console messages of level error", _TEST),
    "page_errors": Measured("count", "", "errors that no script of a page caught", _TEST),
    "failed_requests": Measured("count", "", "requests of pages that failed, or were answered with 4xx or 5xx", _TEST),
    "ttfb": Measured("trend", "seconds", "time to first byte of each page", _PAGE),
    "fcp": Measured("trend", "seconds", "first contentful paint of each page", _PAGE),
    "lcp": Measured("trend", "seconds", "largest contentful paint of each page", _PAGE),
    "inp": Measured("trend", "seconds", "interaction to next paint of each page", _PAGE),
    "cls": Measured("trend", "", "cumulative layout shift of each page", _PAGE),
    "run_duration": Measured("gauge", "seconds", "how long the run took", _RUN),
    "pool_wait": Measured("trend", "seconds", "from asking for a browser to having it, for each attempt or iteration", _RUN),
    "pool_utilization": Measured("gauge", "ratio", "share of slots in use: of a pool's, or of those that this machine has room for", _RUN),
    "uptime": Measured("rate", "ratio", "probes of a service that succeeded", ("target",)),
    "load_requests": Measured("trend", "seconds", "duration of each request of load, and of each step of a browser user", ("task",)),
    "load_iterations": Measured("trend", "seconds", "duration of each iteration of a browser user", ("task",)),
    "iterations_ended": Measured("rate", "ratio", "iterations of browser users that came to an end of their own, neither cut off nor lost", ("task",)),
    "coverage": Measured("gauge", "ratio", "share of lines that tests cover, from a coverage file"),
}
# fmt: on


@dataclass(frozen=True, slots=True)
class Value:
    """One observation; ``at`` is a moment, in seconds since the epoch."""

    value: float
    labels: Mapping[str, str]
    at: float = 0.0


class Column(Sequence[Value]):
    """The observations of one metric, in 20 bytes each: a run may have a hundred thousand."""

    def __init__(self) -> None:
        self.numbers = array("d")
        self._moments = array("d")
        self._kinds = array("l")
        self._labels: list[Mapping[str, str]] = []
        self._known: dict[tuple[str, ...], int] = {}

    def add(self, value: float, labels: Mapping[str, str], at: float, count: int = 1) -> None:
        """Note one observation, or several that are equal."""
        key = (*labels, *labels.values())
        kind = self._known.get(key)
        if kind is None:
            kind = self._known[key] = len(self._labels)
            self._labels.append(dict(labels))
        self.numbers.extend([value] * count)
        self._moments.extend([at] * count)
        self._kinds.extend([kind] * count)

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, place: int) -> Value: ...
    @overload
    def __getitem__(self, place: slice) -> list[Value]: ...
    def __getitem__(self, place: int | slice) -> Value | list[Value]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        labels = self._labels[self._kinds[place]]
        return Value(self.numbers[place], labels, self._moments[place])

    def narrowed(self, labels: Mapping[str, str]) -> Column:
        """Return the observations that have these labels."""
        if not labels:
            return self
        wanted = {
            kind
            for kind, found in enumerate(self._labels)
            if all(found.get(name) == text for name, text in labels.items())
        }
        kept = Column()
        kept._labels = self._labels
        for value, at, kind in zip(self.numbers, self._moments, self._kinds, strict=True):
            if kind in wanted:
                kept.numbers.append(value)
                kept._moments.append(at)
                kept._kinds.append(kind)
        return kept

    def split(self, label: str) -> dict[str, array[float]]:
        """Return the numbers by the value of a label; those without it are under ``""``."""
        by_value: dict[str, array[float]] = {}
        names = [labels.get(label, "") for labels in self._labels]
        for value, kind in zip(self.numbers, self._kinds, strict=True):
            by_value.setdefault(names[kind], array("d")).append(value)
        return by_value

    def latest(self) -> float:
        """Return the value of the last moment; of equal moments the one that came last."""
        return max(zip(self._moments, range(len(self)), self.numbers, strict=True))[2]


@dataclass(frozen=True, slots=True)
class _Last:
    """What a test came to so far; the attempt itself would take a hundred times the room."""

    outcome: str
    worker: str
    engine: str
    finished: float


@dataclass(slots=True)
class Samples:
    """Observations by metric.

    Attributes:
        only: the metrics that anybody will ask about; None means all.
    """

    values: dict[str, Column] = field(default_factory=dict)
    only: frozenset[str] | None = None
    _suite: str = ""
    _branch: str = ""
    _started: float = 0.0
    _last: dict[str, _Last] = field(default_factory=dict)
    _use: Use = field(default_factory=Use)

    def take(
        self,
        metric: str,
        value: float,
        labels: Mapping[str, str] | None = None,
        at: float = 0.0,
        count: int = 1,
    ) -> None:
        """Note one observation, or several that are equal.

        Raises:
            KeyError: bug: there is no such metric.
        """
        known = MEASURED[metric].labels
        if self.only is not None and metric not in self.only:
            return
        kept = {name: text for name, text in (labels or {}).items() if name in known}
        column = self.values.get(metric)
        if column is None:
            column = self.values[metric] = Column()
        column.add(value, kept, at, count)

    def add(self, line: Line) -> None:
        """Take one line of a record."""
        if isinstance(line, Run):
            self._suite, self._branch, self._started = line.suite, line.branch_class, line.started
            self._use = Use(line.slots)
            self._last.clear()
        elif isinstance(line, Attempt):
            self._add_attempt(line)
        elif isinstance(line, BrowserEvent):
            if line.event in ("launched", "replaced") and line.seconds is not None:
                self.take("launch_time", line.seconds, self._labels(line.worker), line.at)
        elif isinstance(line, Sample):
            if line.metric in MEASURED:
                labels = {**self._labels(), **line.labels}
                self.take(line.metric, line.value, labels, line.at, line.count)
        elif isinstance(line, End):
            self._add_end(line)

    def settle(self) -> None:
        """Judge each test by its last attempt; call it when no line of the run comes any more."""
        for line in self._last.values():
            if line.outcome != "skipped":
                bad = line.outcome in BAD or line.outcome == "crashed"
                self.take("error_rate", float(bad), self._of(line), line.finished)
        self._last.clear()
        if self._use.share is not None:
            self.take("pool_utilization", self._use.share, self._labels(), self._use.latest)
        self._use = Use(self._use.slots)

    def _labels(self, worker: str = "") -> dict[str, str]:
        return {"suite": self._suite, "branch_class": self._branch, "worker": worker}

    def _of(self, line: Attempt | _Last) -> dict[str, str]:
        more = {"browser": line.engine or "none", "outcome": line.outcome}
        return {**self._labels(line.worker), **more}

    def _add_attempt(self, line: Attempt) -> None:
        labels, at = self._of(line), line.finished
        earlier = self._last.get(line.nodeid)
        flaky = earlier is not None and earlier.outcome in (*BAD, "crashed")
        last = _Last(line.outcome, line.worker, line.engine, line.finished)
        self._last[line.nodeid] = last
        figures: dict[str, float] = {
            "infrastructure_rate": float(line.failure == "infrastructure"),
            "harness_rate": float(line.failure == "harness"),
            "flaky": float(flaky and line.outcome == "passed"),
            "reruns": float(earlier is not None or line.attempt > 1),
            "leaks": float(len(line.leaks)),
            "crashes": float(line.crash is not None or line.outcome == "worker-crashed"),
        }
        if line.outcome != "skipped":
            figures["tests"] = line.seconds
            if line.browsers or line.engine:
                figures["browser_tests"] = line.seconds
        if line.wait is not None:
            figures["pool_wait"] = line.wait
        self._use.add(line)
        peak = sum(memory.peak or 0 for memory in line.memory.values())
        if peak:
            figures["worker_memory"] = float(peak)
        if line.page is not None:
            figures["console_errors"] = float(line.page.console.get("error", 0))
            figures["page_errors"] = float(line.page.errors)
            bad = [n for key, n in line.page.requests.items() if not key.endswith(" ok")]
            figures["failed_requests"] = float(sum(bad))
        for metric, value in figures.items():
            self.take(metric, value, labels, at)
        for name, memory in line.memory.items():
            if name in ("worker", "driver") or memory.start is None or memory.peak is None:
                continue
            self.take("test_memory_growth", float(max(0, memory.peak - memory.start)), labels, at)
        for visit in line.page.visits if line.page is not None else ():
            for vital in ("ttfb", "fcp", "lcp", "inp", "cls"):
                found = getattr(visit, vital)
                if found is not None:
                    self.take(vital, found, labels, at)

    def _add_end(self, line: End) -> None:
        seconds = line.finished - self._started
        self.take("run_duration", seconds, self._labels(), line.finished)


def from_lines(lines: Iterable[Line], only: frozenset[str] | None = None) -> Samples:
    """Return what the lines of one or more records tell, ``only`` of some metrics if given."""
    samples = Samples(only=only)
    for line in lines:
        if isinstance(line, Run):
            samples.settle()
        samples.add(line)
    samples.settle()
    return samples
