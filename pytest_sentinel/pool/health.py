"""What the figures of a pool mean: is it healthy, would it lease, how pressed is it. No I/O.

Three words: ``ok``, ``degraded`` (serves, but somebody should know) and ``failing`` (does not
serve, and a restart may help). Draining and a lack of memory are no illness: a restart would make
both worse.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from pytest_sentinel.pool.options import PoolOptions
from pytest_sentinel.pool.snapshot import BreakerFigures, BrowserFigures, PoolStatistics
from pytest_sentinel.units import format_duration, format_size

OK: Final = "ok"
DEGRADED: Final = "degraded"
FAILING: Final = "failing"
_ORDER = (OK, DEGRADED, FAILING)
_PROBES_MISSED = 3
_ROUNDS_LATE = 30.0  # seconds; a round of housekeeping is due every second
_FAILURES_SHOWN = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Component:
    """One part of the service: a word, a sentence, and figures."""

    name: str
    status: str
    detail: str
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Health:
    """The parts, and the one word for all of them."""

    status: str
    components: tuple[Component, ...]


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a lease that is asked for now would be granted without a refusal.

    Attributes:
        reason: one word for why not; empty when ready.
        waiting: clients that a free slot would serve.
        pressure: leases that are held or waited for, per slot that there could be.
        held_back: clients that wait for another lease of their owner to end.
    """

    ready: bool
    reason: str
    slots: int
    leased: int
    free: int
    waiting: int
    pressure: float
    held_back: int = 0


def judge(
    statistics: PoolStatistics, options: PoolOptions, *more: Component, listening: bool
) -> Health:
    """Return the health of a service; ``more`` are parts that were judged elsewhere."""
    parts = [
        Component(
            "lease-port",
            OK if listening else FAILING,
            "takes clients" if listening else "takes no clients",
        ),
        *(_browser(browser, options) for browser in statistics.browsers),
        _memory(statistics),
        *_breakers(statistics.breakers),
        *_upkeep(statistics),
        *more,
    ]
    if statistics.draining:
        parts.append(Component("pool", DEGRADED, "draining: no new lease is granted"))
    return Health(_overall(parts, statistics), tuple(parts))


def _overall(parts: Iterable[Component], statistics: PoolStatistics) -> str:
    """A service fails with its port or its housekeeping, or when no engine can be had."""
    found = list(parts)
    port_fails = any(part.status == FAILING for part in found if part.name == "lease-port")
    serving = any(browser.state in ("ready", "launching") for browser in statistics.browsers)
    shut = [breaker for breaker in statistics.breakers if breaker.state == "open"]
    sick = [part for part in found if part.name.startswith("browser") and part.status == FAILING]
    late = statistics.upkeep.last_round_ago > _ROUNDS_LATE
    if port_fails or late or (not serving and (shut or sick)):
        return FAILING
    worst = max(_ORDER.index(part.status) for part in found)
    return _ORDER[min(worst, _ORDER.index(DEGRADED))]


def _browser(browser: BrowserFigures, options: PoolOptions) -> Component:
    ago = browser.last_probe_ago
    late = options.probe_interval * _PROBES_MISSED + options.probe_timeout
    if browser.state == "quarantined" or browser.last_probe_ok is False:
        status, detail = FAILING, "did not pass its last probe; it is being replaced"
    elif browser.state == "ready" and max(ago or 0.0, 0.0 if ago else browser.age) > late:
        status, detail = FAILING, f"was not probed for {format_duration(ago or browser.age)}"
    else:
        told = "not probed yet" if ago is None else f"last probe {format_duration(ago)} ago"
        status, detail = OK, f"{browser.state}; {told}"
    return Component(
        f"browser {browser.name}",
        status,
        detail,
        {
            "engine": browser.engine,
            "state": browser.state,
            "leases": browser.leases,
            "last_probe_ago": None if ago is None else round(ago, 3),
            "last_probe_ok": browser.last_probe_ok,
        },
    )


def _memory(statistics: PoolStatistics) -> Component:
    memory = statistics.memory
    of = f" of {format_size(memory.budget)}" if memory.budget is not None else ""
    detail = f"{format_size(memory.used)}{of}"
    if memory.paused:
        detail += f"; nothing new is admitted: {memory.paused}"
    figures = {"used": memory.used, "budget": memory.budget}
    return Component("memory", DEGRADED if memory.paused else OK, detail, figures)


def _breakers(breakers: Iterable[BreakerFigures]) -> Iterable[Component]:
    for breaker in breakers:
        closed = breaker.state == "closed"
        detail = breaker.state
        if not closed:
            detail += f": {breaker.cause}; next trial in {format_duration(breaker.retry_in)}"
        yield Component(f"breaker {breaker.key}", OK if closed else DEGRADED, detail)


def _upkeep(statistics: PoolStatistics) -> Iterable[Component]:
    """Speak of the work in the background when it does not go as it should."""
    ago = statistics.upkeep.last_round_ago
    if ago > _ROUNDS_LATE:
        yield Component("housekeeping", FAILING, f"last round {format_duration(ago)} ago")
    for failure in statistics.upkeep.failures:
        if failure.ago <= _FAILURES_SHOWN:
            told = f"failed {format_duration(failure.ago)} ago: {failure.error}"
            yield Component(f"task {failure.task}", DEGRADED, told)


def descriptors(limit: int, needed: int) -> Component:
    """Judge the limit of open files (``ulimit -n``)."""
    few = limit < needed
    told = f"{limit} may be open, and {needed} are needed: raise `ulimit -n`" if few else str(limit)
    figures = {"limit": limit, "needed": needed}
    return Component("descriptors", DEGRADED if few else OK, told, figures)


def readiness(statistics: PoolStatistics, options: PoolOptions) -> Readiness:
    """Return whether it is worth to come now, and how pressed the pool is."""
    slots = statistics.maximum * options.contexts_per_browser
    held_back = sum(statistics.held_back.values())
    waiting = sum(statistics.waiting.values()) - held_back
    taken = len(statistics.leases)
    free = max(0, slots - taken - waiting)
    open_breakers = {breaker.key for breaker in statistics.breakers if breaker.state == "open"}
    if statistics.draining:
        reason = "draining"
    elif statistics.memory.paused:
        reason = "memory"
    elif statistics.upkeep.last_round_ago > _ROUNDS_LATE:
        reason = "housekeeping"
    elif set(options.engines) <= open_breakers:
        reason = "breaker"
    elif not free and waiting >= options.max_waiting:
        reason = "full"
    else:
        reason = ""
    return Readiness(
        ready=not reason,
        reason=reason,
        slots=slots,
        leased=taken,
        free=free,
        waiting=waiting,
        pressure=round((taken + waiting) / slots, 4) if slots else 1.0,
        held_back=held_back,
    )
