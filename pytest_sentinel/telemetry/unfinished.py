"""Which tests of a run began and never ended, and whether its record was cut short. Pure.

A reader that says nothing of them would show a run that was killed as a small run that went well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pytest_sentinel.telemetry.record import Attempt, Begun, End, Line, Run

_NAMED = 3
# The same test is tried once more: it has not ended.
_REPEATED = ("crashed", "rerun")


@dataclass(slots=True)
class Unfinished:
    """Follows the lines of one or more records."""

    _running: dict[str, int] = field(default_factory=dict)
    _run: Run | None = None
    _end: End | None = None
    _notes: list[str] = field(default_factory=list)

    def add(self, line: Line) -> None:
        """Take one line."""
        if isinstance(line, Begun):
            self._running[line.nodeid] = self._running.get(line.nodeid, 0) + 1
        elif isinstance(line, Attempt):
            if line.nodeid in self._running and line.outcome not in _REPEATED:
                self._ended(line.nodeid)
        elif isinstance(line, Run):
            self._close()
            self._run = line
        elif isinstance(line, End):
            self._end = line

    def follow(self, lines: Iterable[Line]) -> Iterator[Line]:
        """Yield ``lines`` as they are, having taken each."""
        for line in lines:
            self.add(line)
            yield line

    def tests(self) -> list[str]:
        """Return the tests of this run that began and did not end."""
        if self._end is not None:
            return list(self._end.interrupted)
        return [name for name, count in self._running.items() for _ in range(count)]

    def is_cut(self) -> bool:
        """Tell whether the record of this run has no end."""
        return self._run is not None and self._end is None

    def notes(self) -> list[str]:
        """Return a sentence for each run so far that is not whole."""
        return [*self._notes, *self._note()]

    def _ended(self, nodeid: str) -> None:
        self._running[nodeid] -= 1
        if not self._running[nodeid]:
            del self._running[nodeid]

    def _close(self) -> None:
        self._notes += self._note()
        self._running, self._run, self._end = {}, None, None

    def _note(self) -> list[str]:
        tests = self.tests()
        named = in_short(tests)
        if self.is_cut():
            assert self._run is not None
            cut = f"the record of run {self._run.id} has no end (killed, or still running)"
            seen = f"{cut}: it counts up to the last finished test"
            return [f"{seen}; {_count(tests)} interrupted: {named}" if tests else seen]
        return [f"{_count(tests)} interrupted when the run ended: {named}"] if tests else []


def in_short(names: Iterable[str], most: int = _NAMED) -> str:
    """Return the first names in a row, and how many more there are."""
    kept = list(names)
    more = [f"and {len(kept) - most} more"] if len(kept) > most else []
    return ", ".join([*kept[:most], *more])


def _count(tests: list[str]) -> str:
    return f"{len(tests)} {'test was' if len(tests) == 1 else 'tests were'}"
