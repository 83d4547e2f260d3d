"""The books of a load run: every iteration once, and how long things took. Pure.

A worker keeps one tally and gives it away at intervals (``take``); the master merges what it
gets, so that its totals are the sums of what the workers saw. Names come from code: classes,
tasks, steps. Should a program make them up as it goes, those beyond a number become ``other``.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection
from typing import Final, TypeVar

import msgspec

from pytest_sentinel.load.histogram import Histogram
from pytest_sentinel.load.wire import PageLoad

_MOST_NAMES: Final = 500
_OTHER: Final = "other"
_Kept = TypeVar("_Kept")
VITALS: Final = ("ttfb", "fcp", "lcp", "inp", "cls")


class Outcome(enum.StrEnum):
    """How an iteration ended; it ends in exactly one of these ways."""

    PASSED = "passed"
    FAILED = "failed"
    INFRASTRUCTURE = "infrastructure"  # lost to a browser, a pool or a sidecar
    SKIPPED = "skipped"  # the task said so, as by pytest.skip
    DROPPED = "dropped"  # cut off by the end of its user, or never begun because it was too late


ENDED: Final = (Outcome.PASSED, Outcome.FAILED, Outcome.SKIPPED)


class Tally(msgspec.Struct, array_like=True):
    """What happened, by the name of a scenario (``Class.task``), step or request.

    Attributes:
        begun: iterations that were handed out; those that have ended are in ``outcomes``.
        service: seconds from having a browser to the end, of passed and failed iterations.
        response: seconds from the intended start to the end, where starts are intended.
        late: intended starts that nobody was free for at once.
        waits: seconds until an iteration had a browser.
        steps, step_failures: by ``Class.task/step``.
        requests, request_failures: of HTTP users, by ``METHOD name``.
        tasks: iterations of users without a browser that came to their end, by ``Class.task``.
        vitals: by ``page|vital``: the last value of each page load.
        busy: slot-seconds used, of ``possible`` ones.
        lag: by how much event loops of sidecars were late, in seconds.
        memory: highest PSS seen of a worker with its sidecar and browsers, by worker.
        probes, probe_failures: looks at services, by address.
        outside: iterations that failed outside of their steps, by ``Class.task``.
        unhealthy: why figures of this run cannot be trusted, by how often.
    """

    begun: int = 0
    outcomes: dict[str, dict[str, int]] = msgspec.field(default_factory=dict)
    service: dict[str, Histogram] = msgspec.field(default_factory=dict)
    response: dict[str, Histogram] = msgspec.field(default_factory=dict)
    late: dict[str, int] = msgspec.field(default_factory=dict)
    waits: dict[str, Histogram] = msgspec.field(default_factory=dict)
    steps: dict[str, Histogram] = msgspec.field(default_factory=dict)
    step_failures: dict[str, int] = msgspec.field(default_factory=dict)
    requests: dict[str, Histogram] = msgspec.field(default_factory=dict)
    request_failures: dict[str, int] = msgspec.field(default_factory=dict)
    vitals: dict[str, Histogram] = msgspec.field(default_factory=dict)
    busy: float = 0.0
    possible: float = 0.0
    lag: Histogram = msgspec.field(default_factory=Histogram)
    memory: dict[str, int] = msgspec.field(default_factory=dict)
    unhealthy: dict[str, int] = msgspec.field(default_factory=dict)
    tasks: dict[str, int] = msgspec.field(default_factory=dict)
    probes: dict[str, int] = msgspec.field(default_factory=dict)
    probe_failures: dict[str, int] = msgspec.field(default_factory=dict)
    outside: dict[str, int] = msgspec.field(default_factory=dict)

    def begin(self) -> None:
        """Count an iteration that is handed out."""
        self.begun += 1

    def failed_outside(self, scenario: str) -> None:
        """Count an iteration whose failure no step has told."""
        _add(self.outside, scenario, 1)

    def end(self, scenario: str, outcome: Outcome) -> None:
        """Count the end of an iteration."""
        counts = _at(self.outcomes, scenario, dict)
        counts[outcome.value] = counts.get(outcome.value, 0) + 1

    def count(self, outcome: Outcome | None = None) -> int:
        """Return how many iterations have ended, or ended in one way."""
        wanted = Outcome if outcome is None else (outcome,)
        return sum(counts.get(one.value, 0) for counts in self.outcomes.values() for one in wanted)

    def ended(self) -> int:
        """Return how many iterations came to an end of their own: neither cut off nor lost."""
        return sum(self.count(one) for one in ENDED)

    def in_flight(self) -> int:
        """Return how many iterations are handed out and have not ended."""
        return self.begun - self.count()

    def served(self, scenario: str, seconds: float, response: float | None) -> None:
        """Note how long an iteration took, and since its intended start where it had one."""
        _at(self.service, scenario, Histogram).add(seconds)
        if response is not None:
            _at(self.response, scenario, Histogram).add(response)

    def waited(self, scenario: str, seconds: float) -> None:
        """Note how long an iteration waited for a browser."""
        _at(self.waits, scenario, Histogram).add(seconds)

    def was_late(self, scenario: str) -> None:
        """Count an intended start that nobody was free for."""
        _add(self.late, scenario, 1)

    def step(self, name: str, seconds: float, *, failed: bool) -> None:
        """Note a step that ended."""
        _at(self.steps, name, Histogram).add(seconds)
        if failed:
            _add(self.step_failures, name, 1)

    def request(self, name: str, seconds: float, *, failed: bool) -> None:
        """Note a request of an HTTP user that ended."""
        _at(self.requests, name, Histogram).add(seconds)
        if failed:
            _add(self.request_failures, name, 1)

    def task(self, name: str) -> None:
        """Count an iteration of a user without a browser."""
        _add(self.tasks, name, 1)

    def probed(self, target: str, *, up: bool) -> None:
        """Note whether a service answered a probe."""
        _add(self.probes, target, 1)
        if not up:
            _add(self.probe_failures, target, 1)

    def page(self, load: PageLoad) -> None:
        """Note the vitals of one page."""
        for vital in VITALS:
            value = getattr(load, vital)
            if value is not None:
                _at(self.vitals, f"{load.page}|{vital}", Histogram).add(value)

    def doubt(self, why: str) -> None:
        """Note that what was measured meanwhile cannot be trusted."""
        _add(self.unhealthy, why, 1)

    def weigh(self, worker: str, memory: int) -> None:
        """Note what a worker with its sidecar and browsers holds, in bytes."""
        self.memory[worker] = max(self.memory.get(worker, 0), memory)

    def merge(self, other: Tally) -> None:
        """Add all that ``other`` has."""
        self.begun += other.begun
        self.busy += other.busy
        self.possible += other.possible
        self.lag.merge(other.lag)
        for scenario, counts in other.outcomes.items():
            mine = _at(self.outcomes, scenario, dict)
            for outcome, number in counts.items():
                mine[outcome] = mine.get(outcome, 0) + number
        for name in ("service", "response", "waits", "steps", "requests", "vitals"):
            kept: dict[str, Histogram] = getattr(self, name)
            for key, histogram in getattr(other, name).items():
                _at(kept, key, Histogram).merge(histogram)
        for name in ("late", "step_failures", "request_failures", "unhealthy", "tasks",
                     "probes", "probe_failures", "outside"):  # fmt: skip
            for key, number in getattr(other, name).items():
                _add(getattr(self, name), key, number)
        for worker, memory in other.memory.items():
            self.weigh(worker, memory)

    def take(self) -> Tally:
        """Return what has come together since the last time, and begin anew."""
        taken = Tally(*(getattr(self, name) for name in self.__struct_fields__))
        fresh = Tally()
        for name in self.__struct_fields__:
            setattr(self, name, getattr(fresh, name))
        return taken


def to_bytes(tally: Tally) -> bytes:
    """Return a tally as it travels."""
    return msgspec.msgpack.encode(tally)


def from_bytes(data: bytes) -> Tally:
    """Return the tally that travelled."""
    return msgspec.msgpack.decode(data, type=Tally)


def _at(names: dict[str, _Kept], name: str, make: Callable[[], _Kept]) -> _Kept:
    name = _bound(names, name)
    if name not in names:
        names[name] = make()
    return names[name]


def _add(names: dict[str, int], name: str, number: int) -> None:
    name = _bound(names, name)
    names[name] = names.get(name, 0) + number


def _bound(names: Collection[str], name: str) -> str:
    return name if name in names or len(names) < _MOST_NAMES else _OTHER
