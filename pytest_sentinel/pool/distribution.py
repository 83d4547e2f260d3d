"""How long things took: counts by upper bound, as Prometheus wants them. No clock."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence


class Distribution:
    """Durations in seconds, counted."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Count one more."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self.total += seconds

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(self._counts)

    def buckets(self) -> list[tuple[str, int]]:
        """Return (upper bound, how many took no longer) for each bound; the last is ``+Inf``."""
        found = []
        below = 0
        for bound, count in zip([*map(str, self._bounds), "+Inf"], self._counts, strict=True):
            below += count
            found.append((bound, below))
        return found
