"""How much of the room for browsers the tests of a run have used. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_sentinel.telemetry.record import Attempt


@dataclass(slots=True)
class Use:
    """Browsers in use, from the first attempt with one to the end of the last.

    Attributes:
        slots: for how many there is room; 0 where that is not known.
    """

    slots: int = 0
    latest: float = 0.0
    _busy: float = 0.0
    _first: float = 0.0

    def add(self, line: Attempt) -> None:
        """Count one attempt with all its browsers."""
        if line.browsers and line.started:
            self._busy += (line.finished - line.started) * len(line.browsers)
            self._first = min(self._first or line.started, line.started)
            self.latest = max(self.latest, line.finished)

    @property
    def share(self) -> float | None:
        """The share of slots that were in use; None where nobody can tell."""
        lasted = self.latest - self._first
        return self._busy / (lasted * self.slots) if self.slots and lasted > 0 else None
