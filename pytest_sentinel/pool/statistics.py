"""Put together the snapshot of a pool: what its books say, and what its shell has seen."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from pytest_sentinel.pool.keeping import Kept
from pytest_sentinel.pool.leases import Leases
from pytest_sentinel.pool.options import PoolOptions
from pytest_sentinel.pool.places import Place
from pytest_sentinel.pool.snapshot import (
    BreakerFigures,
    BrowserFigures,
    FailureFigures,
    LeaseFigures,
    MemoryFigures,
    PoolStatistics,
    UpkeepFigures,
)
from pytest_sentinel.pool.tickets import TicketState
from pytest_sentinel.pool.wear import Browser


@dataclass(slots=True)
class Shell:
    """What the shell of a pool knows beyond its books.

    Attributes:
        kept: by name, every browser from its launch to the end of its last process.
        used: bytes that all browsers took at the last reading, ``budget`` what they might.
        kept_house_at: when the last round of housekeeping was done; None before the first.
        failures: by what failed in the background, when it last did, and why.
    """

    kept: dict[str, Kept] = field(default_factory=dict)
    counters: dict[str, dict[str, int]] = field(default_factory=dict)
    used: int = 0
    budget: int | None = None
    kept_house_at: float | None = None
    failures: dict[str, tuple[float, str]] = field(default_factory=dict)

    def count(self, name: str, cause: str, number: int = 1) -> None:
        """Add to a counter."""
        causes = self.counters.setdefault(name, {})
        causes[cause] = causes.get(cause, 0) + number

    def fail(self, what: str, cause: str, now: float) -> None:
        """Note a failure of work in the background."""
        self.count("task_failures_total", what)
        self.failures[what] = (now, cause)

    def next_upstream(self, options: PoolOptions) -> str | None:
        """Return the other people's server that fewest of our browsers stand for."""
        taken = Counter(kept.upstream for kept in self.kept.values())
        return min(options.upstream, key=lambda address: taken[address], default=None)


def describe(leases: Leases, shell: Shell, now: float) -> PoolStatistics:
    """Return the pool at ``now``."""
    held = [
        LeaseFigures(t.id, t.owner, t.engine, t.browser, now - t.since)
        for t in leases.tickets(TicketState.HELD)
    ]
    waiting, demand = leases.waiting(), leases.demand()
    breakers = [
        BreakerFigures(key, b.state(now).value, b.cause, b.log, b.retry_in(now))
        for key, b in leases.breakers.items()
    ]
    return PoolStatistics(
        browsers=tuple(
            _browser(place, browser, leases, shell, now)
            for place in leases.places
            for browser in place.browsers()
        ),
        leases=tuple(held),
        waiting=waiting,
        held_back={engine: waiting[engine] - demand[engine] for engine in waiting},
        maximum=leases.maximum,
        slots=leases.slots(),
        counters={
            name: dict(causes) for name, causes in {**leases.counters, **shell.counters}.items()
        },
        breakers=tuple(breakers),
        memory=MemoryFigures(shell.used, shell.budget, leases.paused),
        draining=leases.draining,
        generation=leases.generation,
        upkeep=UpkeepFigures(
            0.0 if shell.kept_house_at is None else now - shell.kept_house_at,
            tuple(FailureFigures(k, why, now - at) for k, (at, why) in shell.failures.items()),
        ),
    )


def _browser(
    place: Place, browser: Browser, leases: Leases, shell: Shell, now: float
) -> BrowserFigures:
    kept = shell.kept.get(browser.name)
    is_suspect = place.suspect and browser is place.browser
    process = kept.server.process if kept is not None else None
    probed_at = kept.probed_at if kept is not None else None
    return BrowserFigures(
        name=browser.name,
        engine=place.engine,
        state="quarantined" if is_suspect else browser.state.value,
        generation=browser.generation,
        pid=process.pid if process is not None else None,
        leases=len([t for t in leases.on(browser.name) if t.state is not TicketState.CLEANING]),
        pss=kept.pss if kept is not None else 0,
        age=now - browser.launched_at,
        served=browser.tests,
        last_probe_ago=None if probed_at is None else now - probed_at,
        last_probe_ok=kept.probe_ok if kept is not None else None,
    )
