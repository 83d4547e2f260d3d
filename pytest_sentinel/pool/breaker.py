"""Crash-loop policy for one launch key: when to stop launching, and when to try again.

Clockless: every function takes ``now`` (seconds, any monotonic clock). The policy:

* a failed launch, or a browser that ended in less than ``PROVEN_UPTIME`` without having served
  a test, is a strike; a browser that did either clears all strikes;
* ``STRIKES`` strikes in a row open the breaker: nothing is launched any more;
* after a pause one trial is let through (half-open). It clears the strikes or opens the breaker
  again, with a pause twice as long, up to ``LONGEST_PAUSE``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

STRIKES = 3
PROVEN_UPTIME = 30.0
FIRST_PAUSE = 30.0
LONGEST_PAUSE = 300.0


class BreakerState(enum.Enum):
    """Whether launches are let through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(slots=True)
class Breaker:
    """The strikes of one launch key, and the cause of the last one."""

    strikes: int = 0
    cause: str = ""
    log: str = ""
    pause: float = FIRST_PAUSE
    opened_at: float | None = None
    trial_running: bool = False

    def state(self, now: float) -> BreakerState:
        """Return where the breaker stands at ``now``."""
        if self.opened_at is None:
            return BreakerState.CLOSED
        if now >= self.opened_at + self.pause:
            return BreakerState.HALF_OPEN
        return BreakerState.OPEN

    def may_launch(self, now: float) -> bool:
        """Tell whether a launch may start now; a half-open breaker lets one trial through."""
        state = self.state(now)
        if state is BreakerState.CLOSED:
            return True
        if state is BreakerState.HALF_OPEN and not self.trial_running:
            self.trial_running = True
            return True
        return False

    def retry_in(self, now: float) -> float:
        """Return the seconds until the next trial is due; 0 when one is."""
        if self.opened_at is None:
            return 0.0
        return max(0.0, self.opened_at + self.pause - now)

    def strike(self, now: float, cause: str, log: str = "") -> None:
        """Count a failed launch, or a browser that ended before it was proven."""
        self.strikes += 1
        self.cause = cause
        self.log = log
        if self.opened_at is not None and self.trial_running:
            self.pause = min(self.pause * 2, LONGEST_PAUSE)
            self.opened_at = now
        elif self.opened_at is None and self.strikes >= STRIKES:
            self.opened_at = now
        self.trial_running = False

    def prove(self) -> None:
        """Clear all strikes: a browser of this key has served a test or lived long enough."""
        self.strikes = 0
        self.cause = self.log = ""
        self.pause = FIRST_PAUSE
        self.opened_at = None
        self.trial_running = False

    def abandon(self) -> None:
        """Forget a running trial whose browser was closed before it could prove anything."""
        self.trial_running = False
