"""The sentences of a refusal: what stands in the way, with counts, and what to do about it.

Pure. Who is refused, and when, is decided in leases.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_sentinel.errors import PoolRefused
from pytest_sentinel.pool.breaker import Breaker
from pytest_sentinel.units import format_duration


@dataclass(frozen=True, slots=True)
class Crowd:
    """How full a pool is: leases held, slots there are, clients waiting."""

    held: int
    slots: int
    waiting: int

    def __str__(self) -> str:
        return f"{self.held} of {self.slots} slots are leased, {self.waiting} clients wait"


def unknown_engine(engine: str, engines: tuple[str, ...]) -> PoolRefused:
    """Refuse an engine that this pool does not have."""
    return PoolRefused(
        "engine",
        f"this pool has no {engine!r}",
        f"Ask for {' or '.join(engines)}, or start the service with --browser.",
    )


def draining() -> PoolRefused:
    """Refuse because the pool finishes what runs and takes nothing new."""
    return PoolRefused(
        "draining", "the pool is draining", "Use another service, or wait until it is back."
    )


def closed() -> PoolRefused:
    """Refuse because the pool has ended."""
    return PoolRefused("closed", "the pool is closed", "Start the service again.")


def left() -> PoolRefused:
    """Refuse a client that is not there any more."""
    return PoolRefused("gone", "the client left while it waited", "")


def full(limit: int, crowd: Crowd, owner: str, newcomer: str) -> PoolRefused:
    """Refuse because the queue is as long as it may be.

    Where that meets another owner than the ``newcomer``, it is the one with most of the queue.
    """
    problem = f"the queue is full: {crowd} and no more than {limit} may"
    if owner != newcomer:
        problem += f", most of them of {owner!r}; the newest of those made room for another owner"
    return PoolRefused(
        "full",
        problem,
        "Run fewer clients, or raise --max, --contexts-per-browser or --max-waiting.",
        retry_after=1.0,
    )


def not_at_once(engine: str, crowd: Crowd) -> PoolRefused:
    """Refuse a client that does not want to wait."""
    return PoolRefused(
        "full",
        f"no {engine} is free now: {crowd}",
        "Wait for one with ?wait=30s, or raise --max or --contexts-per-browser.",
        retry_after=1.0,
    )


def waited(
    engine: str, wait: float, place: tuple[int, int], crowd: Crowd, last: Breaker
) -> PoolRefused:
    """Refuse after a wait in vain; ``place`` is the place in its owner's line, of so many."""
    number, of = place
    problem = (
        f"no {engine} was free within {format_duration(wait)}: {crowd}, this one as number {number}"
    )
    if of != crowd.waiting:
        problem += f" of the {of} of its owner"
    if last.cause:
        problem = with_tail(f"{problem}; the last launch failed: {last.cause}", last.log)
    return PoolRefused(
        "timeout", problem, "Wait longer, run fewer clients, or raise --max.", retry_after=1.0
    )


def owner_cap(owner: str, cap: int, wait: float) -> PoolRefused:
    """Refuse an owner who holds all that one owner may."""
    return PoolRefused(
        "owner-cap",
        f"{owner!r} held all {cap} leases that one owner may for {format_duration(wait)}",
        "Close a connection first, or raise --per-owner.",
    )


def memory(why: str) -> PoolRefused:
    """Refuse because memory is short."""
    return PoolRefused(
        "memory",
        f"nothing new is admitted: {why}",
        "Free memory, lower --max or --contexts-per-browser, or raise --memory-budget.",
        retry_after=5.0,
    )


def breaker_open(engine: str, breaker: Breaker, now: float) -> PoolRefused:
    """Refuse because launches keep failing, with the cause of the last one."""
    retry_in = breaker.retry_in(now)
    problem = (
        f"{engine} is not launched: the last {breaker.strikes} launches or browsers failed. "
        f"Cause: {breaker.cause}"
    )
    return PoolRefused(
        "breaker",
        with_tail(problem, breaker.log),
        f"The next trial is in {format_duration(retry_in)}.",
        retry_after=retry_in,
    )


def with_tail(problem: str, log: str) -> str:
    """Return ``problem`` with the last lines of a browser's output, if there are any."""
    return f"{problem}\nLast lines of the browser's output:\n{log}" if log else problem
