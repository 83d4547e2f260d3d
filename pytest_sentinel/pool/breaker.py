"""Crash-loop policy for one launch key: when to stop launching, and when to try again.

Clockless: every function takes ``now`` (seconds, any monotonic clock). The policy:
* a failed launch, or a browser that ended in less than ``PROVEN_UPTIME`` without having served
  a test, is a strike; a browser that did either clears all strikes. A test that kills each browser
  it is given strikes once: that is its own fault, and must not cost the tests that follow;
* ``STRIKES`` strikes in a row open the breaker: nothing is launched any more;
* after a pause one trial is let through (half-open). It clears the strikes or opens the breaker
  again, with a pause twice as long, up to ``LONGEST_PAUSE``. What browsers of before do meanwhile
  says nothing about launching, and moves nothing.
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
    """The strikes of one launch key, and the cause of the last one.

    Attributes:
        under: what ran on the browser that was the last strike; empty for a failed launch.
        trial: the browser that was let through while half-open; None when there is none.
    """

    strikes: int = 0
    cause: str = ""
    log: str = ""
    under: str = ""
    pause: float = FIRST_PAUSE
    opened_at: float | None = None
    trial: str | None = None

    def state(self, now: float) -> BreakerState:
        """Return where the breaker stands at ``now``."""
        if self.opened_at is None:
            return BreakerState.CLOSED
        if now >= self.opened_at + self.pause:
            return BreakerState.HALF_OPEN
        return BreakerState.OPEN

    def may_launch(self, now: float, browser: str) -> bool:
        """Tell whether ``browser`` may be launched; half-open, it becomes the one trial."""
        state = self.state(now)
        if state is BreakerState.CLOSED:
            return True
        if state is BreakerState.HALF_OPEN and self.trial is None:
            self.trial = browser
            return True
        return False

    def retry_in(self, now: float) -> float:
        """Return the seconds until the next trial is due; 0 when one is."""
        if self.opened_at is None:
            return 0.0
        return max(0.0, self.opened_at + self.pause - now)

    def strike(
        self, now: float, browser: str, cause: str, log: str = "", *, under: str = ""
    ) -> None:
        """Count a failed launch, or a browser that ended ``under`` a test before it was proven."""
        if not under or under != self.under:
            self.strikes += 1
        self.cause = cause
        self.log = log
        self.under = under
        if self.trial == browser:
            self.trial = None
            self.pause = min(self.pause * 2, LONGEST_PAUSE)
            self.opened_at = now
        elif self.opened_at is None and self.strikes >= STRIKES:
            self.opened_at = now

    def prove(self, browser: str) -> None:
        """Clear all strikes: ``browser`` has served a test or lived long enough."""
        if self.opened_at is not None and self.trial != browser:
            return
        self.strikes = 0
        self.cause = self.log = self.under = ""
        self.pause = FIRST_PAUSE
        self.opened_at = None
        self.trial = None

    def abandon(self, browser: str) -> None:
        """Make room for another trial if ``browser``, closed unproven, was the running one."""
        if self.trial == browser:
            self.trial = None
