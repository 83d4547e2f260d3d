"""What the books of a shared pool ask its shell to do; the shell reports back what came of it."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_sentinel.errors import PoolRefused
from pytest_sentinel.pool.wear import Reason


@dataclass(frozen=True, slots=True)
class Grant:
    """Tell the waiter of ``ticket`` that a slot of ``browser`` is kept for it."""

    ticket: str
    browser: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """Tell the waiter of ``ticket`` that it gets nothing."""

    ticket: str
    error: PoolRefused


@dataclass(frozen=True, slots=True)
class Revoke:
    """Tell the holder of ``ticket`` to go."""

    ticket: str
    why: str


@dataclass(frozen=True, slots=True)
class Clean:
    """See to it that the contexts of ``ticket`` on ``browser`` are gone, and report it."""

    ticket: str
    browser: str


@dataclass(frozen=True, slots=True)
class Launch:
    """Start ``browser``, an ``engine``."""

    browser: str
    engine: str
    reason: Reason
    generation: int


@dataclass(frozen=True, slots=True)
class End:
    """End ``browser``: politely within a deadline, or at once if ``kill``."""

    browser: str
    kill: bool
    why: str


Action = Grant | Refuse | Revoke | Clean | Launch | End
