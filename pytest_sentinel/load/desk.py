"""What one Locust process keeps of a load run: its books, its sidecar, its intended starts.

For gevent; knows Locust's environment by sight, imports nothing of it. A worker's desk gives its
books away with each report, the master's desk merges them. Law: what was begun ends once.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import gevent

from pytest_sentinel.addresses import Address
from pytest_sentinel.gates import Gate
from pytest_sentinel.load import tally as books
from pytest_sentinel.load import wire
from pytest_sentinel.load.link import Link
from pytest_sentinel.load.plan import Arrivals
from pytest_sentinel.load.tally import Outcome, Tally
from pytest_sentinel.probing import Probing
from pytest_sentinel.telemetry.record import Sample

_LATE: Final = 0.1  # an intended start that is taken later than this was late
_PATIENCE: Final = 60.0  # and one that nobody took within this is dropped
_LOOK_EVERY: Final = 1.0
LOST_WORKER: Final = "(lost with a worker)"


class Desk:
    """The books of one process of Locust.

    Args:
        worker: what it is called in a report.
        link: its sidecar; a master has none.
    """

    def __init__(self, worker: str, setup: wire.Setup | None) -> None:
        self.worker = worker
        self.tally = Tally()
        self.link = None if setup is None else Link(setup, self._hear)
        self.figures: wire.Figures | None = None
        self.workers: dict[str, dict[str, Any]] = {}
        self.own_memory: Callable[[], int] = lambda: 0
        self._numbers = itertools.count(1)
        self._users = itertools.count(0)
        self._arrivals: dict[str, Arrivals] = {}
        self._shares: dict[str, float] = {}
        self.is_alone = True
        self.gates: list[Gate] = []
        self._probing: Probing | None = None

    def number(self) -> int:
        """Return the number of a new iteration."""
        return next(self._numbers)

    def newcomer(self) -> int:
        """Return the number of a new user, from 0."""
        return next(self._users)

    def begin_run(self) -> None:
        """Begin a run: users are counted anew, and starts are intended from now on."""
        self._arrivals.clear()
        self._users = itertools.count(0)

    def reset(self) -> None:
        """Forget what was booked, but for what is in flight: its end is still to come.

        Not for workers: what they have not told yet belongs to the books of the master.
        """
        in_flight = self.tally.in_flight()
        self.tally.take()
        self.tally.begun = in_flight
        self.workers.clear()

    # Intended starts

    def take_start(self, kind: str, rate: float, scenario: str) -> float:
        """Wait for the next intended start of a class of users, and return its moment.

        Args:
            kind: the class.
            rate: starts a second, of all workers together.
            scenario: what is to be started, for the books.
        """
        while True:
            now = time.monotonic()
            share = rate * self._shares.get(kind, 1.0 if self.is_alone else 0.0)
            arrivals = self._arrivals.get(kind)
            if arrivals is None:
                arrivals = self._arrivals[kind] = Arrivals(share, _PATIENCE, now)
            arrivals.change(share, now)
            self._drop(scenario, arrivals.overdue(now))
            intended = arrivals.due(now)
            if intended is not None:
                if now - intended > _LATE:
                    self.tally.was_late(scenario)
                return intended
            gevent.sleep(min(arrivals.wait(now), _LOOK_EVERY))

    def drop_starts(self) -> None:
        """Drop the intended starts that nobody took until the end of the run."""
        now = time.monotonic()
        for kind, arrivals in self._arrivals.items():
            self._drop(f"{kind}.(never begun)", arrivals.overdue(now, 0.0))
        self._arrivals.clear()

    def share(self, shares: dict[str, float]) -> None:
        """Have this worker make a share of the starts of each class."""
        self._shares.update(shares)

    def _drop(self, scenario: str, number: int) -> None:
        for _ in range(number):
            self.tally.begin()
            self.tally.end(scenario, Outcome.DROPPED)

    # Reports

    def report(self) -> dict[str, Any]:
        """Return what has happened since the last report, for the master."""
        told: dict[str, Any] = {"books": books.to_bytes(self.tally.take())}
        if self.figures is not None:
            told["now"] = now_of(self.figures)
        return told

    def merge(self, worker: str, told: dict[str, Any]) -> None:
        """Take the report of a worker."""
        self.tally.merge(books.from_bytes(told["books"]))
        if "now" in told:
            self.workers[worker] = told["now"]

    def probe(self, services: Sequence[Address]) -> None:
        """Look at services from now on, and forget what was seen of them before."""
        self._end_probing()
        self._probing = Probing(services) if services else None

    def _end_probing(self) -> list[Sample]:
        if self._probing is None:
            return []
        self._probing.close()
        probing, self._probing = self._probing, None
        return probing.take()

    def settle(self) -> None:
        """Book what was seen of services, and as lost what has not ended: its worker has died."""
        for sample in self._end_probing():
            if sample.metric == "uptime":
                self.tally.probed(sample.labels["target"], up=bool(sample.value))
            else:
                self.tally.busy += sample.value
                self.tally.possible += 1.0
        for _ in range(self.tally.in_flight()):
            self.tally.end(LOST_WORKER, Outcome.INFRASTRUCTURE)

    def now(self) -> dict[str, dict[str, Any]]:
        """Return how each worker is, by its name."""
        if self.figures is not None:
            return {self.worker: now_of(self.figures)}
        return dict(self.workers)

    def _hear(self, figures: wire.Figures) -> None:
        self.figures = figures
        self.tally.busy += figures.busy
        self.tally.possible += figures.possible
        self.tally.lag.merge(figures.lag)
        if figures.memory:
            self.tally.weigh(self.worker, sum(figures.memory.values()) + self.own_memory())


def now_of(figures: wire.Figures) -> dict[str, Any]:
    """Return what of a sidecar's figures is for people's eyes."""
    slots = figures.slots
    return {
        "slots": sum(slots.values()),
        "leased": slots.get("leased", 0) + slots.get("granted", 0) + slots.get("cleaning", 0),
        "waiting": figures.waiting,
        "running": figures.running,
        "memory": sum(figures.memory.values()),
        "crashes": figures.counters.get("crashes_total", 0),
        "launches": figures.counters.get("launches_total", 0),
        "lag": figures.lag.quantile(0.99) or 0.0,
    }
