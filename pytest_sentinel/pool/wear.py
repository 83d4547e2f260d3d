"""One browser as the books know it: its state, what it has been through, and when it is worn.

Shared by the ledger of a pytest process and by the leases of a service. Pure: ``now`` is handed
in, and a state only changes by the table in states.py.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

from pytest_sentinel.pool.states import BrowserEvent, BrowserState, move

JITTER = 0.1  # wear limits are lowered by up to this share, so that not all wear out at once


class Reason(enum.StrEnum):
    """Why a browser was launched."""

    START = "start"
    CRASH = "crash"
    TESTS = "tests"
    AGE = "age"
    MEMORY = "memory"
    FRESH = "fresh"
    RESTART = "restart"


@dataclass(frozen=True, slots=True)
class Wear:
    """When a browser is worn: tests served, seconds lived, bytes of PSS reached; None = never."""

    tests: int | None = None
    age: float | None = None
    memory: int | None = None


@dataclass(slots=True)
class Browser:
    """One browser's page in the books.

    Attributes:
        tests: how many tests, or leases, it has served.
        generation: which restart of the pool it belongs to.
    """

    name: str
    reason: Reason
    jitter: float
    launched_at: float
    state: BrowserState = BrowserState.LAUNCHING
    ready_at: float = 0.0
    tests: int = 0
    peak_memory: int = 0
    proven: bool = False
    deferred: bool = False
    generation: int = 0

    def take(self, event: BrowserEvent) -> None:
        """Move to the state that follows ``event``, or raise and change nothing."""
        self.state = move(self.name, self.state, event)

    def wear(self, limits: Wear, now: float) -> Reason | None:
        """Return why this browser is worn at ``now``, or None."""
        share = JITTER * self.jitter
        if limits.memory is not None and self.peak_memory > limits.memory:
            return Reason.MEMORY
        # Rounded up, so that small limits stay exact: 10 tests are 10 tests.
        if limits.tests is not None and self.tests >= math.ceil(limits.tests * (1 - share)):
            return Reason.TESTS
        if limits.age is not None and now - self.ready_at >= limits.age * (1 - share):
            return Reason.AGE
        return None
