"""Growth that speeds up: each iteration adds a multiple of what the one before added.

Such a page is dead long before a check of linear growth is over, so it is watched from the first
iteration on. Certain it is when the increments have multiplied too often and by too much for
anything that levels off. No page and no clock here: points in, an opinion out.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

FACTOR = 1.4  # between two increments, at least
_BYTES = ("heap", "buffers")
_STEPS = 4  # factors in a row that make certain
_RISE = 8.0  # the last increment over the first of them
_FIRST_SIGN = {"count": 4, "bytes": 2048}  # the last of three increments that speed up
_CERTAIN = {"count": 100, "bytes": 16 * 1024}  # the last increment
_DEAR = {"count": 10_000, "bytes": 500_000}  # what two more iterations may add before a snapshot
_DEAR_SECONDS = 2.0  # what two more iterations may take
_QUICK = 0.2  # seconds; the pace of quicker iterations says nothing


@dataclass(frozen=True, slots=True)
class Point:
    """What the page held after one more iteration.

    Attributes:
        values: counts, and the bytes of the heap and of buffers, by name.
        seconds: what the iteration took.
    """

    values: Mapping[str, int]
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Runaway:
    """A value whose increments multiply.

    Attributes:
        name: of the value.
        factor: the median factor between two increments.
        steps: how many factors in a row.
        last: the last increment.
        rise: the last increment over the first of the row.
    """

    name: str
    factor: float
    steps: int
    last: int
    rise: float

    @property
    def is_certain(self) -> bool:
        """Whether nothing that levels off looks like this."""
        floor = _CERTAIN[_unit(self.name)]
        return self.steps >= _STEPS and self.rise >= _RISE and self.last >= floor


def _unit(name: str) -> str:
    return "bytes" if name in _BYTES else "count"


def speeding(points: Sequence[Point], ignored: Sequence[str] = ()) -> list[Runaway]:
    """Return the values whose last three increments each were a multiple of the one before.

    The surest comes first.
    """
    found = []
    for name in points[-1].values if points else ():
        if name in ignored:
            continue
        values = [point.values.get(name, 0) for point in points]
        deltas = [after - before for before, after in itertools.pairwise(values)]
        steps = 0
        while steps + 1 < len(deltas):
            before, after = deltas[-steps - 2], deltas[-steps - 1]
            if before <= 0 or after < FACTOR * before:
                break
            steps += 1
        if steps < 2 or deltas[-1] < _FIRST_SIGN[_unit(name)]:
            continue
        chain = deltas[-steps - 1 :]
        factor = statistics.median(after / before for before, after in itertools.pairwise(chain))
        found.append(Runaway(name, factor, steps, chain[-1], chain[-1] / chain[0]))
    return sorted(found, key=lambda runaway: (-runaway.is_certain, -runaway.steps, runaway.name))


def is_rising(points: Sequence[Point], ignored: Sequence[str] = ()) -> bool:
    """Tell whether the last iteration added so much that it may be the beginning of such growth."""
    if len(points) < 2:
        return False
    now, before = points[-1].values, points[-2].values
    return any(
        now[name] - before.get(name, 0) >= _FIRST_SIGN[_unit(name)]
        for name in now
        if name not in ignored
    )


def is_due(points: Sequence[Point], found: Sequence[Runaway]) -> bool:
    """Tell whether two more iterations are all that can be afforded."""
    for runaway in found:
        coming = runaway.last * (runaway.factor + runaway.factor**2)
        if coming >= _DEAR[_unit(runaway.name)]:
            return True
    last, before = points[-1].seconds, points[-2].seconds
    if last < _QUICK:
        return False
    pace = max(1.0, last / max(before, 0.001))
    return last * (pace + pace**2) >= _DEAR_SECONDS


def has_jumped(samples: Sequence[Mapping[str, int]], ignored: Sequence[str] = ()) -> bool:
    """Tell whether the last cycle between samples added a multiple of what the one before added."""
    if len(samples) < 3:
        return False
    first, before, now = samples[-3:]
    for name in now:
        if name in ignored:
            continue
        last = now[name] - before.get(name, 0)
        earlier = max(before.get(name, 0) - first.get(name, 0), 0)
        floor = {"count": 64, "bytes": 64 * 1024}[_unit(name)]
        if last >= floor and last >= 4 * earlier > 0:
            return True
    return False
