"""Judge whether a pool may take in more: memory used, against a budget, with what one more costs.

Pure, and with memory of its own only for hysteresis and for what a lease has cost so far: once
closed, it stays closed until there is room to spare, or it would open and close with every lease.
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_sentinel.units import MIB, format_size

CLOSE_ABOVE = 0.95
OPEN_BELOW = 0.85
_SMOOTHING = 0.2
_FIRST_GUESS = 30 * MIB  # of one context with a small page; measured in its place soon


@dataclass(slots=True)
class Admission:
    """Whether anything new is admitted.

    Attributes:
        cost: bytes that one more lease is expected to take.
        reason: why nothing is admitted; empty while it is.
    """

    cost: float = _FIRST_GUESS
    reason: str = ""

    def learn(self, pss: int, idle: int, leases: int) -> None:
        """Note that a browser which takes ``idle`` bytes empty takes ``pss`` with ``leases``."""
        if leases > 0:
            seen = max(0.0, (pss - idle) / leases)
            self.cost += _SMOOTHING * (seen - self.cost)

    def judge(self, used: int, budget: int | None) -> str:
        """Return why nothing new is admitted; empty when it is.

        Args:
            used: bytes the pool takes now.
            budget: bytes it may take; None is any number.
        """
        if budget is None:
            self.reason = ""
            return self.reason
        expected = used + self.cost
        limit = budget * (OPEN_BELOW if self.reason else CLOSE_ABOVE)
        self.reason = ""
        if expected > limit:
            self.reason = (
                f"browsers use {format_size(used)} of {format_size(budget)}, and one more lease "
                f"takes about {format_size(self.cost)}"
            )
        return self.reason
