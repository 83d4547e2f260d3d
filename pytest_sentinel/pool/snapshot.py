"""A pool at one moment, and what happens to it, as frozen values that anybody may read.

Nothing here decides or counts. Edges turn these into JSON, tables and metrics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        name: area and word, such as ``lease.granted`` or ``browser.started``.
        at: seconds since 1970.
        facts: ids, durations in seconds, causes; nothing secret.
    """

    name: str
    at: float
    facts: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BrowserFigures:
    """One browser. Sizes are bytes, durations seconds.

    Attributes:
        state: a word of BrowserState, or ``quarantined`` while a probe of it has failed.
        pid: its browser server; None while there is none, and for an upstream server.
        leases: leases that it holds now; ``served`` counts those that it has served.
        pss: of the browser's process tree at the last reading; 0 before the first.
        last_probe_ago: since the last probe ended; None before the first.
    """

    name: str
    engine: str
    state: str
    generation: int
    pid: int | None
    leases: int
    pss: int
    age: float
    served: int
    last_probe_ago: float | None
    last_probe_ok: bool | None


@dataclass(frozen=True, slots=True)
class LeaseFigures:
    """One lease that is held; ``age`` in seconds since it was granted."""

    id: str
    owner: str
    engine: str
    browser: str
    age: float


@dataclass(frozen=True, slots=True)
class BreakerFigures:
    """The breaker of one engine: ``closed``, ``open`` or ``half-open``, and why."""

    key: str
    state: str
    cause: str
    log: str
    retry_in: float


@dataclass(frozen=True, slots=True)
class MemoryFigures:
    """Memory as admission sees it, in bytes; ``budget`` is None where nothing limits it.

    Attributes:
        paused: why nothing new is admitted; empty while it is.
    """

    used: int
    budget: int | None
    paused: str


@dataclass(frozen=True, slots=True)
class FailureFigures:
    """The last failure of one kind of background work; ``ago`` in seconds."""

    task: str
    error: str
    ago: float


@dataclass(frozen=True, slots=True)
class UpkeepFigures:
    """How the work in the background goes.

    Attributes:
        last_round_ago: seconds since a whole round of housekeeping was done.
        failures: the last one of each kind.
    """

    last_round_ago: float = 0.0
    failures: tuple[FailureFigures, ...] = ()


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """A pool at one moment.

    Attributes:
        slots: by state: ``free``, ``leased``, ``granted``, ``cleaning``, ``starting``,
            ``unavailable`` (quarantined, draining or ending) and ``unused`` (no browser there).
            Their sum is ``maximum`` times the contexts per browser.
        counters: totals since the pool began, by name and cause, such as
            ``{"leases_total": {"released": 3}}``.
        waiting: clients in the queue, by engine.
        held_back: those of them that only their owner's cap keeps from a lease: no demand.
    """

    browsers: tuple[BrowserFigures, ...]
    leases: tuple[LeaseFigures, ...]
    waiting: Mapping[str, int]
    maximum: int
    slots: Mapping[str, int]
    counters: Mapping[str, Mapping[str, int]]
    breakers: tuple[BreakerFigures, ...]
    memory: MemoryFigures
    draining: bool
    generation: int
    upkeep: UpkeepFigures = UpkeepFigures()
    held_back: Mapping[str, int] = field(default_factory=dict)
